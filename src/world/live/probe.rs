//! Whether a run is ready: its screen, a command, a port. Asks and decides nothing. Invariant: what takes too
//! long to answer is not ready.

use crate::process::{Child, ProcessError};
use crate::snapshot::{Blind, Observed, Probe, ReadyAt};
use crate::tmux::Tmux;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a command may take that is asked again and again.
const COMMAND: Duration = Duration::from_secs(5);
/// The same for a connection on this machine.
const CONNECTION: Duration = Duration::from_millis(500);

/// Asks what tells that a run is ready.
pub(super) fn ready(tmux: &Tmux, at: &ReadyAt) -> Observed<bool> {
    match &at.probe {
        Probe::Screen(regex) => screen(tmux, at, regex),
        Probe::Command(text) => command(at, text),
        Probe::Port(port) => Observed::Known(listens(*port)),
    }
}

fn screen(tmux: &Tmux, at: &ReadyAt, regex: &str) -> Observed<bool> {
    let wanted = match regex::RegexBuilder::new(regex).multi_line(true).build() {
        Ok(wanted) => wanted,
        Err(error) => return unknown(at, error.to_string()),
    };
    match tmux.screen(&at.pane, at.uid) {
        Observed::Known(screen) => {
            // What tmux pads its lines with is not what anybody wrote.
            let lines: Vec<&str> = screen.lines().skip(1).map(str::trim_end).collect();
            Observed::Known(wanted.is_match(&lines.join("\n")))
        }
        Observed::Absent(evidence) => Observed::Absent(evidence),
        Observed::Unknown(blind) => Observed::Unknown(blind),
    }
}

fn command(at: &ReadyAt, text: &str) -> Observed<bool> {
    let child = Child::new("sh")
        .args(["-c", text])
        .directory(&at.directory)
        .limit(COMMAND)
        .without("TMUX")
        .without("TMUX_PANE")
        .env("FLEET_NAME", at.fleet.as_str())
        .env("FLEET_SESSION", at.session.as_str())
        .env("FLEET_WORKTREE", &at.worktree)
        .env("FLEET_UID", at.uid.to_string());
    match child.run() {
        Ok(ended) => Observed::Known(ended.status.success()),
        Err(ProcessError::Timeout { .. }) => Observed::Known(false),
        Err(error) => unknown(at, crate::causes::in_one_line(&error)),
    }
}

/// Whether something on this machine takes connections there.
fn listens(port: u16) -> bool {
    let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    here.into_iter()
        .any(|ip| TcpStream::connect_timeout(&SocketAddr::new(ip, port), CONNECTION).is_ok())
}

fn unknown(at: &ReadyAt, cause: String) -> Observed<bool> {
    Observed::Unknown(Blind { what: format!("whether {} is ready", at.session), cause })
}
