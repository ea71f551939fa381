//! A child that lives beside us. Owns its parting: the end of its input, and KILL where that is not enough.
//! Invariant: it is reaped, and it does not outlive the value that stands for it.

use super::{Child, ProcessError, timespec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::Duration;

/// How long it may take to end once its input has.
const PARTING: Duration = Duration::from_millis(500);

/// A child that lives until this is dropped.
#[derive(Debug)]
pub struct Companion {
    child: std::process::Child,
    ended: Option<ExitStatus>,
}

impl Companion {
    /// Starts it, and gives the pipe that it writes to.
    ///
    /// # Errors
    /// [`ProcessError::Missing`] or [`ProcessError::Start`].
    pub fn start(child: &Child) -> Result<(Self, OwnedFd), ProcessError> {
        let mut started = child.spawn()?;
        let output = started.stdout.take().map(OwnedFd::from);
        let companion = Self { child: started, ended: None };
        let lost = || ProcessError::Pipe {
            program: child.name(),
            source: std::io::ErrorKind::BrokenPipe.into(),
        };
        Ok((companion, output.ok_or_else(lost)?))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, and gives what it complained about last.
    pub fn part(&mut self) -> String {
        drop(self.child.stdin.take());
        if self.ended.is_none() {
            self.ended = self.wait();
        }
        let mut said = Vec::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let mut buffer = [0; 4096];
            // What it left behind in the background may hold the pipe open.
            while readable(&stderr, Duration::ZERO) {
                match stderr.read(&mut buffer) {
                    Ok(read @ 1..) => said.extend_from_slice(&buffer[..read]),
                    Ok(0) | Err(_) => break,
                }
            }
        }
        String::from_utf8_lossy(&said).trim_end().to_owned()
    }

    /// Our own child, not reaped yet: its pid cannot be another's.
    fn wait(&mut self) -> Option<ExitStatus> {
        let life = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty());
        if !life.is_ok_and(|life| readable(&life, PARTING)) {
            let killed = self.child.kill();
            tracing::debug!(pid = self.id(), ?killed, "a companion that would not part");
        }
        let ended = self.child.wait();
        tracing::debug!(pid = self.id(), ?ended, "companion");
        ended.ok()
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        let said = self.part();
        tracing::debug!(%said, "parted");
    }
}

fn readable(fd: impl std::os::fd::AsFd, limit: Duration) -> bool {
    matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timespec(limit))), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::alive;

    #[test]
    fn it_ends_with_its_input_and_tells_its_last_words() {
        let script = "cat >/dev/null; echo bye >&2; exit 3";
        let (mut companion, _) = Companion::start(&Child::new("sh").args(["-c", script])).unwrap();
        assert_eq!(companion.part(), "bye");
        assert_eq!(companion.ended.and_then(|ended| ended.code()), Some(3));
    }

    #[test]
    fn one_that_stays_is_killed_and_reaped() {
        let child = Child::new("sh").args(["-c", "trap '' TERM HUP; exec sleep 1000"]);
        let (companion, _) = Companion::start(&child).unwrap();
        let pid = companion.id();
        drop(companion);
        assert_eq!(alive::stat(pid).unwrap(), None);
    }
}
