//! `attach`: be in a session's pane.

use super::args::Target;
use super::desk::Desk;
use crate::error::{Exit, Failure};
use crate::process::Child;
use crate::snapshot::{Marked, Observed};
use std::path::Path;

/// Becomes the tmux client that shows the pane.
///
/// # Errors
/// Usage for an unknown name, refused when it has no pane, unknown when tmux cannot be seen.
pub fn attach(mut desk: Desk, target: &Target) -> Result<Exit, Failure> {
    let name = desk.name(target.name.as_str())?;
    let (snapshot, _) = desk.look()?;
    let server = match &snapshot.tmux {
        Observed::Known(server) => server,
        Observed::Absent(_) => return Err(no_pane(name.as_str())),
        Observed::Unknown(blind) => {
            return Err(Failure::new(
                Exit::CannotObserve,
                format!("{}: {}", blind.what, blind.cause),
            ));
        }
    };
    let uid = desk.records.by_name(&name).map(|record| record.uid);
    let pane = server
        .panes
        .iter()
        .find(|pane| matches!(&pane.mark, Marked::Yes(mark) if Some(mark.uid) == uid))
        .ok_or_else(|| no_pane(name.as_str()))?;
    let inside = desk.context.env.get("TMUX").and_then(|text| text.split(',').next());
    let same = inside.is_some_and(|socket| Path::new(socket) == desk.live.tmux.socket());
    let argv = desk.live.tmux.attach_argv(pane, same);
    let client = Child::new(&argv[0]).args(&argv[1..]);
    // A client of another server would be refused as a nested one.
    let client = if same { client } else { client.without("TMUX").without("TMUX_PANE") };
    Err(Failure::because(Exit::Failed, &client.replace()))
}

fn no_pane(name: &str) -> Failure {
    Failure::new(Exit::Refused, format!("{name} does not run"))
        .with_help(format!("why: fleetctl describe {name}; to start it: fleetctl start {name}"))
}
