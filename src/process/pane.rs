//! Children that share the terminal of the pane we run in, and becoming one. Owns exec and the end of what
//! hangs on to our kernel session; knows nothing of fleets. Invariant: a signal goes only to a process that
//! was seen in our own kernel session while its pidfd was open.

use super::{Child, ProcessError};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How long what ran out of time has between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);

/// The environment that this process was given.
#[must_use]
pub fn inherited() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

impl Child {
    /// Becomes the program. Returns only when it could not.
    #[must_use]
    pub fn replace(&self) -> ProcessError {
        let source = self.command().exec();
        match source.kind() {
            std::io::ErrorKind::NotFound => ProcessError::Missing { program: self.name() },
            _ => ProcessError::Start { program: self.name(), source },
        }
    }

    /// Runs it to its end in the terminal that this process has, in its process group, so that the user sees
    /// it and can answer and interrupt it. At its limit everything else in this kernel session is ended.
    ///
    /// For a process that leads its kernel session, as the first one in a pane does; of another one, only the
    /// child itself is ended.
    ///
    /// # Errors
    /// Any [`ProcessError`]. A status other than 0 is not an error here.
    pub fn run_attended(&self) -> Result<ExitStatus, ProcessError> {
        let deadline = Instant::now() + self.limit;
        let mut child = self.command().spawn().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ProcessError::Missing { program: self.name() },
            _ => ProcessError::Start { program: self.name(), source },
        })?;
        let outcome = self.wait_end(&mut child, deadline);
        if !matches!(outcome, Err(ProcessError::Timeout { .. })) {
            return outcome;
        }
        signal_session(Signal::TERM);
        if self.wait_end(&mut child, Instant::now() + GRACE).is_err() {
            signal_session(Signal::KILL);
            // It is our own child and not reaped yet, so its pid cannot be another's.
            let killed = child.kill().and_then(|()| child.wait());
            tracing::debug!(program = %self.name(), ?killed, "killed at its limit");
        }
        outcome
    }
}

/// Signals every other process of our kernel session, if it is ours to lead.
fn signal_session(signal: Signal) {
    let me = rustix::process::getpid();
    let own = std::fs::read_to_string("/proc/self/stat").ok();
    if own.and_then(|stat| session_in(&stat)) != Some(me.as_raw_nonzero().get()) {
        return;
    }
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw).filter(|pid| *pid != me) else { continue };
        if let Some(fd) = open_in_session(pid, me) {
            let sent = pidfd_send_signal(fd.as_fd(), signal);
            tracing::debug!(pid = pid.as_raw_nonzero(), ?sent, "signalled");
        }
    }
}

/// A pidfd of the process, if it belongs to that kernel session.
fn open_in_session(pid: Pid, session: Pid) -> Option<OwnedFd> {
    let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    (session_in(&stat)? == session.as_raw_nonzero().get()).then_some(fd)
}

/// The kernel session in a line of `/proc/PID/stat`: 0 for the kernel's own threads, and for one whose leader
/// is outside of a container; `getsid` of rustix 1.1 panics there.
fn session_in(stat: &str) -> Option<i32> {
    // The command's name stands in parentheses and may hold anything.
    let (_, after) = stat.rsplit_once(')')?;
    after.split_ascii_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_session_is_read_after_a_name_that_looks_like_fields() {
        assert_eq!(session_in("7 (a) S 1 2 (b) S 5 6 77 0 -1"), Some(77));
        assert_eq!(session_in("2 (kthreadd) S 0 0 0 0 -1"), Some(0));
        assert_eq!(session_in(""), None);
    }
}
