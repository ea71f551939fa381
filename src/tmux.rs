//! The tmux driver: one server on one socket, spoken to through the `tmux` program. Owns how tmux is
//! called and what its refusals mean; knows neither manifest nor plan. Invariant: every call names the
//! socket, never a server by chance, and none but [`Tmux::start`] may begin one.
//!
//! tmux 3.2 or later (`-N`, `new-session -e`, client flags).

mod anchor;
mod command;
mod company;
mod control;
mod end;
mod look;
pub mod mark;
pub mod notice;
mod parse;
mod server;
mod start;

pub use parse::pane_format;
pub use server::Login;
pub use start::StartSpec;

use crate::causes::in_one_line;
use crate::name::Uid;
use crate::process::{Child, Ended, ProcessError};
use crate::snapshot::{Blind, Evidence, Observed, PaneId};
use crate::world::ActError;
use command::List;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// The pane option that marks a pane as ours.
const OPTION: &str = "@fleet";
/// How often a call is made again when the server ended under it.
const TRIES: usize = 3;

/// Where and how to reach a tmux server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program, absolute: it is called without a `PATH`, so that panes get the server's.
    pub program: PathBuf,
    /// The socket, absolute.
    pub socket: PathBuf,
    /// The configuration of a server that is to be started; `None` for the user's.
    pub config: Option<PathBuf>,
    /// How a server is started.
    pub login: Login,
    /// The id of this boot.
    pub boot: String,
}

/// A tmux server on one socket, running or not.
#[derive(Debug)]
pub struct Tmux {
    options: Options,
    control: Mutex<Option<control::Control>>,
}

/// Why tmux did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TmuxError {
    /// No server answers on the socket.
    #[error("{said}")]
    NoServer {
        /// tmux's own words.
        said: String,
    },
    /// It answered, and refused.
    #[error("tmux {verb}: {said}")]
    Refused {
        /// The first command of the list.
        verb: String,
        /// tmux's own words.
        said: String,
    },
    /// The child failed.
    #[error("tmux {verb}")]
    Child {
        /// The first command of the list.
        verb: String,
        /// Why.
        #[source]
        source: ProcessError,
    },
    /// It answered something that is not understood.
    #[error("tmux {verb} answered what is not understood: {answer:?}")]
    Garbled {
        /// The first command of the list.
        verb: String,
        /// The beginning of the line.
        answer: String,
    },
    /// The control-mode client failed.
    #[error("tmux control mode")]
    Control(#[source] std::io::Error),
}

/// The socket that the `tmux` program uses by itself.
#[must_use]
pub fn default_socket(tmpdir: Option<&Path>, uid: u32) -> PathBuf {
    named_socket(tmpdir, uid, "default")
}

/// The socket of `tmux -L NAME`.
#[must_use]
pub fn named_socket(tmpdir: Option<&Path>, uid: u32, name: &str) -> PathBuf {
    let base = tmpdir.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("/tmp"));
    base.join(format!("tmux-{uid}")).join(name)
}

impl Tmux {
    /// A driver; nothing is called yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, control: Mutex::new(None) }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.options.socket
    }

    /// The arguments that name the server.
    fn address(&self) -> Vec<OsString> {
        let mut args = vec!["-u".into(), "-S".into(), self.options.socket.clone().into()];
        if let Some(config) = &self.options.config {
            args.extend(["-f".into(), config.clone().into()]);
        }
        args
    }

    /// A client that starts no server and brings nothing of our environment along.
    fn client(&self) -> Child {
        let child = Child::new(&self.options.program).arg("-N").args(self.address());
        child.without("PATH").without("TMUX").without("TMUX_PANE")
    }

    /// Runs a command list and gives what it printed.
    fn call(&self, list: &List) -> Result<Vec<u8>, TmuxError> {
        self.run(&self.client().args(list.argv()), list.verb())
    }

    fn run(&self, child: &Child, verb: &str) -> Result<Vec<u8>, TmuxError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let ended =
                child.run().map_err(|source| TmuxError::Child { verb: verb.to_owned(), source })?;
            match judge(verb, ended) {
                Err(TmuxError::Refused { said, .. }) if tries < TRIES && died_under(&said) => {}
                judged => return judged,
            }
        }
    }

    /// The uid in a session's own environment, where a create leaves it.
    #[must_use]
    pub fn session_env_uid(&self, name: &str) -> Observed<Option<Uid>> {
        let list = List::of(&["show-environment", "-t", &exact(name), "FLEET_UID"]);
        match self.call(&list) {
            Ok(out) => {
                let text = String::from_utf8_lossy(&out);
                let value = text.trim_end().strip_prefix("FLEET_UID=");
                Observed::Known(value.and_then(|uid| uid.parse().ok()))
            }
            Err(TmuxError::Refused { said, .. }) if said.starts_with("unknown variable") => {
                Observed::Known(None)
            }
            Err(error) => not_listed(&error),
        }
    }

    /// Whether a session of exactly this name is there.
    #[must_use]
    pub fn has_session(&self, name: &str) -> Observed<()> {
        match self.call(&List::of(&["has-session", "-t", &exact(name)])) {
            Ok(_) => Observed::Known(()),
            Err(error) => not_listed(&error),
        }
    }

    /// The command line that shows a pane to a human: `attach-session`, or `switch-client` for one who
    /// sits in a client of this server.
    #[must_use]
    pub fn attach_argv(&self, pane: &crate::snapshot::Pane, inside: bool) -> Vec<OsString> {
        let verb = if inside { "switch-client" } else { "attach-session" };
        let target = format!("{}:{}.{}", pane.session, pane.window, pane.id.0);
        let mut argv = vec![self.options.program.clone().into_os_string()];
        argv.extend(self.address());
        argv.extend([verb.into(), "-t".into(), target.into()]);
        argv
    }
}

/// A target that is this session and no other.
fn exact(name: &str) -> String {
    format!("={name}:")
}

/// The format that is true on a pane with this uid's own mark.
fn ours(pane: &PaneId, uid: Uid) -> String {
    format!("#{{m:{} {uid} * {},#{{{OPTION}}}}}", mark::FORMAT, pane.0)
}

fn judge(verb: &str, ended: Ended) -> Result<Vec<u8>, TmuxError> {
    // A server that cannot make its socket says so and ends with 0.
    if ended.status.success() && !ended.stderr.starts_with("error creating ") {
        return Ok(ended.stdout);
    }
    let said = ended.stderr.lines().next().unwrap_or("it failed without a word").to_owned();
    Err(refusal(verb, said))
}

fn refusal(verb: &str, said: String) -> TmuxError {
    let nobody = said.starts_with("no server running on ")
        || (said.starts_with("error connecting to ")
            && said.ends_with("(No such file or directory)"));
    if nobody {
        TmuxError::NoServer { said }
    } else {
        TmuxError::Refused { verb: verb.to_owned(), said }
    }
}

fn died_under(said: &str) -> bool {
    said == "server exited unexpectedly" || said == "lost server"
}

/// For looks at one object: tmux says that it is not there, or nothing is known.
fn not_listed<T>(error: &TmuxError) -> Observed<T> {
    match error {
        TmuxError::Refused { said, .. } if no_such(said) => Observed::Absent(Evidence::NotListed),
        error => Observed::Unknown(blind(error)),
    }
}

fn no_such(said: &str) -> bool {
    said.starts_with("can't find ") || said.starts_with("no such ")
}

fn blind(error: &TmuxError) -> Blind {
    Blind { what: "tmux".into(), cause: in_one_line(error) }
}

/// For an act that changes something: a refusal changed nothing, silence tells nothing.
fn act_error(what: &str, error: &TmuxError) -> ActError {
    let (what, cause) = (what.to_owned(), in_one_line(error));
    match error {
        TmuxError::NoServer { .. } | TmuxError::Refused { .. } => ActError::Failed { what, cause },
        TmuxError::Child {
            source: ProcessError::Missing { .. } | ProcessError::Start { .. },
            ..
        } => ActError::Failed { what, cause },
        _ => ActError::Uncertain { what, cause },
    }
}

/// How long a shell may take to log in and start a server.
const LOGIN_LIMIT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_socket_follows_tmux_tmpdir() {
        assert_eq!(default_socket(None, 7), Path::new("/tmp/tmux-7/default"));
        assert_eq!(default_socket(Some(Path::new("")), 7), Path::new("/tmp/tmux-7/default"));
        assert_eq!(
            default_socket(Some(Path::new("/run/me")), 7),
            Path::new("/run/me/tmux-7/default")
        );
    }

    #[test]
    fn only_tmux_saying_that_nobody_is_there_counts_as_no_server() {
        let none =
            ["no server running on /s", "error connecting to /s (No such file or directory)"];
        for said in none {
            assert!(matches!(refusal("x", said.into()), TmuxError::NoServer { .. }), "{said}");
        }
        let unclear = [
            "error connecting to /s (Permission denied)",
            "error connecting to /s (File name too long)",
            "server exited unexpectedly",
            "lost server",
            "",
        ];
        for said in unclear {
            assert!(matches!(refusal("x", said.into()), TmuxError::Refused { .. }), "{said}");
        }
    }
}
