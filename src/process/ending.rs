//! Ending processes. Owns signals and the wait for an end; knows nothing of tmux or fleets. Invariant: a
//! signal goes through a pidfd to the process that was verified by pid, start and boot, or to nobody.

use super::alive;
use super::timespec;
use crate::snapshot::{Observed, Process, RuntimeAt};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a killed process is given to go.
const KILL_LIMIT: Duration = Duration::from_secs(5);

const TERM_NUMBER: u32 = 15;

/// Signals this very process. False when it is gone.
///
/// # Errors
/// It could not be verified, or it is another user's.
pub fn signal(process: &Process, signal: Signal) -> std::io::Result<bool> {
    let Some(pidfd) = open(process)? else { return Ok(false) };
    match pidfd_send_signal(&pidfd, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits until these processes have ended, but no longer than `limit`; gives those that still run.
///
/// # Errors
/// One of them could not be watched.
pub fn wait_gone(processes: &[Process], limit: Duration) -> std::io::Result<Vec<Process>> {
    let deadline = Instant::now() + limit;
    let mut left: Vec<(&Process, OwnedFd)> = Vec::new();
    for process in processes {
        left.extend(open(process)?.map(|pidfd| (process, pidfd)));
    }
    while !left.is_empty() {
        let Some(time) = deadline.checked_duration_since(Instant::now()) else { break };
        let mut polled: Vec<PollFd<'_>> =
            left.iter().map(|(_, pidfd)| PollFd::new(pidfd, PollFlags::IN)).collect();
        match poll(&mut polled, Some(&timespec(time))) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let over: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut over = over.into_iter();
        left.retain(|_| !over.next().unwrap_or(false));
    }
    Ok(left.into_iter().map(|(process, _)| process.clone()).collect())
}

/// Ends all that `look` finds: TERM, or HUP where TERM is ignored, and after `grace` KILL. It looks again after each wait, so that a
/// process born meanwhile is not missed. Gives what still runs at the end.
///
/// # Errors
/// The look failed, or a process may not be signalled.
pub fn end_all(
    look: impl Fn() -> std::io::Result<Vec<Process>>,
    grace: Duration,
) -> std::io::Result<Vec<Process>> {
    let rounds = [(Signal::TERM, grace), (Signal::KILL, KILL_LIMIT), (Signal::KILL, KILL_LIMIT)];
    for (sent, limit) in rounds {
        let found = look()?;
        if found.is_empty() {
            return Ok(found);
        }
        for process in &found {
            // An interactive shell ignores TERM; HUP is what its terminal's end sends it.
            let deaf = sent == Signal::TERM && alive::ignores(process.pid, TERM_NUMBER)?;
            let sent = if deaf { Signal::HUP } else { sent };
            let reached = signal(process, sent)?;
            tracing::debug!(pid = process.pid, signal = ?sent, reached, "signal");
        }
        wait_gone(&found, limit)?;
    }
    look()
}

/// Ends what is left of an earlier run, as far as it carries the uid. Gives what still runs at the end.
///
/// # Errors
/// It could not be seen, or a process may not be signalled.
pub fn end_survivors(at: &RuntimeAt, grace: Duration) -> std::io::Result<Vec<Process>> {
    let look = || match alive::survivors(at) {
        Observed::Known(found) => Ok(found),
        Observed::Absent(_) => Ok(Vec::new()),
        Observed::Unknown(blind) => Err(std::io::Error::other(blind.cause)),
    };
    end_all(look, grace)
}

/// A descriptor of this very process; `None` when it is gone.
fn open(process: &Process) -> std::io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    // In this order: the descriptor holds the process that is verified after it was opened.
    Ok(alive::is_running(process)?.then_some(pidfd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Child;

    fn sleeper() -> (std::process::Child, Process) {
        let child = Child::new("sleep").arg("100").spawn().unwrap();
        let boot = alive::boot_id().unwrap();
        let process = alive::process(child.id(), &boot).unwrap().unwrap();
        (child, process)
    }

    #[test]
    fn a_signal_to_another_start_of_the_same_pid_reaches_nobody() {
        let (mut child, process) = sleeper();
        let other = Process { started: process.started + 1, ..process.clone() };
        assert!(!signal(&other, Signal::KILL).unwrap());
        assert!(child.try_wait().unwrap().is_none());
        assert!(signal(&process, Signal::KILL).unwrap());
        assert_eq!(wait_gone(std::slice::from_ref(&process), KILL_LIMIT).unwrap(), Vec::new());
        child.wait().unwrap();
    }

    #[test]
    fn the_wait_for_a_process_that_stays_ends_with_its_limit_and_names_it() {
        let (mut child, process) = sleeper();
        let left = wait_gone(std::slice::from_ref(&process), Duration::from_millis(20)).unwrap();
        assert_eq!(left, [process]);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
