//! A control-mode client that only listens. Owns which of tmux's notifications tell that a session, a window
//! or a human came or went. Invariant: it starts no server, never writes a command, and its anchor session is
//! left out of every look.

use super::anchor::Anchor;
use super::{Tmux, TmuxError, refusal};
use crate::process::companion::Companion;
use std::os::fd::OwnedFd;

/// What is worth a look. Windows that are renamed after what runs in them are not.
const TELLING: [&str; 7] = [
    "%sessions-changed",
    "%session-renamed",
    "%window-close",
    "%unlinked-window-close",
    "%client-session-changed",
    "%client-detached",
    "%exit",
];
/// The longest beginning of a line that has to be known.
const ENOUGH: usize = 64;

impl Tmux {
    /// Starts a client that hears of changes as long as it lives, and gives the pipe that it hears them on.
    ///
    /// # Errors
    /// The program could not be started. A server that is not there ends the client at once.
    pub fn listen(&self) -> Result<(Listener, OwnedFd), TmuxError> {
        let anchor = Anchor::new(self)?;
        let child = self.client().arg("-C").args(anchor.make().argv());
        let started = Companion::start(&child);
        let (client, output) =
            started.map_err(|source| TmuxError::Child { verb: "-C".into(), source })?;
        Ok((Listener { client, anchor }, output))
    }
}

/// A client that listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    client: Companion,
    anchor: Anchor,
}

impl Listener {
    /// What the client complained about last, once its output has ended.
    pub fn last_words(&mut self) -> String {
        self.client.part()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let said = self.client.part();
        tracing::debug!(%said, "listens no more");
        self.anchor.end();
    }
}

/// What a client's last words tell.
#[must_use]
pub fn nobody_there(said: &str) -> bool {
    let said = said.lines().next().unwrap_or_default();
    super::died_under(said) || matches!(refusal("-C", said.to_owned()), TmuxError::NoServer { .. })
}

/// What a stretch of a client's output told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// The server answered.
    pub answer: bool,
    /// Something came or went.
    pub change: bool,
}

/// The lines of a client's output, as they come.
#[derive(Debug, Default)]
pub struct Ear {
    line: Vec<u8>,
}

impl Ear {
    /// Takes the next stretch.
    pub fn hear(&mut self, bytes: &[u8]) -> Heard {
        let mut heard = Heard::default();
        for byte in bytes {
            match byte {
                b'\n' => {
                    heard.answer |= self.line.starts_with(b"%begin ");
                    heard.change |= self.is_telling();
                    self.line.clear();
                }
                byte if self.line.len() < ENOUGH => self.line.push(*byte),
                _ => {}
            }
        }
        heard
    }

    fn is_telling(&self) -> bool {
        let verb = self.line.split(|byte| *byte == b' ').next().unwrap_or_default();
        TELLING.iter().any(|telling| telling.as_bytes() == verb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_heard_however_the_output_is_cut() {
        let output = b"%begin 1 2 0\n%end 1 2 0\n%window-renamed @1 sh\n%sessions-changed\n";
        for step in [1, 7, output.len()] {
            let mut ear = Ear::default();
            let heard: Vec<Heard> = output.chunks(step).map(|chunk| ear.hear(chunk)).collect();
            assert_eq!(heard.iter().filter(|heard| heard.answer).count(), 1);
            assert_eq!(heard.iter().filter(|heard| heard.change).count(), 1);
        }
    }

    #[test]
    fn what_happens_all_day_is_not_worth_a_look() {
        let names = "n".repeat(100_000);
        let day = format!(
            "%unlinked-window-renamed @3 {names}\n%output %1 %sessions-changed\n%layout-change @1\n\
             %sessions-changed-not\n%subscription-changed a\n"
        );
        assert_eq!(Ear::default().hear(day.as_bytes()), Heard::default());
    }

    #[test]
    fn only_a_server_that_is_gone_counts_as_nobody() {
        assert!(nobody_there("no server running on /s\n"));
        assert!(nobody_there("server exited unexpectedly"));
        assert!(!nobody_there("error connecting to /s (Permission denied)"));
        assert!(!nobody_there(""));
    }
}
