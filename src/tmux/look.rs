//! The look at a whole server in one call. Owns what counts as "no server"; changes nothing. Invariant: a
//! server that was seen once is absent only when its process is proven dead.

use super::command::List;
use super::parse::{self, CLIENT, END, SERVER};
use super::{Tmux, TmuxError, blind};
use crate::process::alive;
use crate::snapshot::{Blind, Evidence, Observed, PaneState, Server, ServerId};
use std::path::PathBuf;
use std::time::Duration;

/// How long tmux is given to reap a dead pane, and how often.
const SETTLE: Duration = Duration::from_millis(20);
const SETTLE_TRIES: usize = 3;

impl Tmux {
    /// Looks at all panes and clients. `last` is the server that was last seen on this socket.
    #[must_use]
    pub fn look(&self, last: Option<&ServerId>) -> Observed<Server> {
        let list = List::of(&["display-message", "-p", SERVER])
            .then(&["list-panes", "-a", "-F", &parse::pane_format()])
            .then(&["list-clients", "-F", CLIENT])
            .then(&["display-message", "-p", END]);
        let ended = match self.client().args(list.argv()).run() {
            Ok(ended) => ended,
            Err(source) => {
                let verb = list.verb().to_owned();
                return Observed::Unknown(blind(&TmuxError::Child { verb, source }));
            }
        };
        // A server that has no session refuses to list its panes, in the same breath in which it answers.
        let empty = ended.stderr.trim_end() == "no current target";
        let answer = if empty { Ok(ended.stdout) } else { super::judge("list-panes", ended) };
        match answer {
            Ok(answer) => self.understand(&answer, empty),
            Err(TmuxError::NoServer { .. }) => self.nobody(last),
            Err(TmuxError::Refused { said, .. }) if super::died_under(&said) => self.nobody(last),
            Err(error) => Observed::Unknown(blind(&error)),
        }
    }

    fn understand(&self, answer: &[u8], empty: bool) -> Observed<Server> {
        match parse::parse(answer, empty) {
            Ok(seen) => {
                let boot = self.options.boot.clone();
                let id = ServerId { pid: seen.pid, started: seen.started, boot };
                Observed::Known(Server { id, panes: seen.panes })
            }
            Err(parse::Garbled(answer)) => {
                Observed::Unknown(blind(&TmuxError::Garbled { verb: "list-panes".into(), answer }))
            }
        }
    }

    /// Nobody answers on the socket: is the server dead, or only its socket gone?
    fn nobody(&self, last: Option<&ServerId>) -> Observed<Server> {
        let unknown = |cause| Observed::Unknown(Blind { what: "tmux".into(), cause });
        match self.hidden_server(last) {
            Ok(Hidden::Nobody) if last.is_some() => Observed::Absent(Evidence::ServerDied),
            Ok(Hidden::Nobody) => Observed::Absent(Evidence::NoServer),
            Ok(Hidden::Pid(pid)) => unknown(format!(
                "the socket of tmux server pid {pid} is gone; kill -USR1 {pid} makes it again"
            )),
            Ok(Hidden::Someone) => unknown(format!(
                "a tmux server runs, but its socket {} is gone; kill -USR1 to it makes it again",
                self.options.socket.display()
            )),
            Err(error) => unknown(format!("whether the tmux server lives: {error}")),
        }
    }

    fn hidden_server(&self, last: Option<&ServerId>) -> std::io::Result<Hidden> {
        let socket = &self.options.socket;
        if let Some(last) = last
            && self.is_alive(last)?
        {
            return Ok(Hidden::Pid(last.pid));
        }
        Ok(if alive::is_bound(socket)? { Hidden::Someone } else { Hidden::Nobody })
    }

    /// Whether this very server still runs.
    ///
    /// # Errors
    /// `/proc` could not be read.
    pub fn is_alive(&self, server: &ServerId) -> std::io::Result<bool> {
        if server.boot != self.options.boot {
            return Ok(false);
        }
        let Some(stat) = alive::stat(server.pid)?.filter(|stat| !stat.over()) else {
            return Ok(false);
        };
        let socket = &self.options.socket;
        for path in [socket.clone(), canonical(socket)] {
            match alive::holds_socket(server.pid, &path)? {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => return Ok(stat.command.starts_with("tmux")),
            }
        }
        // It may know its socket by another name. The clock may have been set since, but hardly by much
        // in the very minute in which another tmux got its pid.
        let near = (alive::started_at(&stat)? - server.started).abs() <= 60;
        Ok(stat.command.starts_with("tmux") && near)
    }

    /// Makes tmux reap dead panes whose end it has missed, and looks again; a pane that stays unsettled is
    /// [`PaneState::Lost`].
    #[must_use]
    pub fn settle_ending(&self, seen: Observed<Server>) -> Observed<Server> {
        let mut seen = seen;
        for _ in 0..SETTLE_TRIES {
            let Observed::Known(server) = &seen else { return seen };
            if server.panes.iter().all(|pane| pane.state != PaneState::Ending) {
                return seen;
            }
            let ending = server.panes.iter().filter(|pane| pane.state == PaneState::Ending).count();
            tracing::debug!(ending, "ends without a status yet");
            let last = server.id.clone();
            if let Err(error) = self.reap() {
                return Observed::Unknown(blind(&error));
            }
            crate::process::pause(SETTLE);
            seen = self.look(Some(&last));
        }
        if let Observed::Known(server) = &mut seen {
            for pane in server.panes.iter_mut().filter(|pane| pane.state == PaneState::Ending) {
                pane.state = PaneState::Lost;
            }
        }
        seen
    }

    /// tmux misses the end of a pane while a helper of its own closes another; the end of any further child
    /// makes it ask for all of them.
    pub(super) fn reap(&self) -> Result<(), TmuxError> {
        self.call(&List::of(&["run-shell", "-b", "true"])).map(|_| ())
    }
}

enum Hidden {
    Nobody,
    Pid(u32),
    Someone,
}

/// The socket's path as `tmux -L` would have made it, with its directory resolved.
fn canonical(socket: &std::path::Path) -> PathBuf {
    let resolved = socket.parent().and_then(|dir| dir.canonicalize().ok());
    match (resolved, socket.file_name()) {
        (Some(dir), Some(name)) => dir.join(name),
        _ => socket.to_owned(),
    }
}
