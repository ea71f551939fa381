//! A descriptor that tells of a process's end. Owns where such descriptors lie. Invariant: however many there
//! are, half of the ordinary descriptors stay free for everything else, and our limit of open files is what it
//! was whenever this is not at work.

use super::alive;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, setrlimit};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// A process that runs, held by a descriptor that becomes readable with its end.
#[derive(Debug)]
pub struct Life {
    /// Readable when the process is over; closed in children.
    pub end: OwnedFd,
    /// Its start, in clock ticks since boot.
    pub started: u64,
}

impl Life {
    /// Takes hold of a process; `None` when it is gone or a zombie.
    ///
    /// # Errors
    /// It could not be held or read, or there is no room for another descriptor.
    pub fn of(pid: u32) -> Result<Option<Self>> {
        let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let end = match pidfd_open(id, PidfdFlags::empty()) {
            Ok(end) => out_of_the_way(end)?,
            Err(Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        // The descriptor holds the process whose id it is from now on, so this start is its own.
        Ok(alive::start_time(pid)?.map(|started| Self { end, started }))
    }
}

/// The descriptor itself in the lower half of what we may open; another number for it above the soft limit
/// otherwise. The limit only rules new descriptors, so it is raised for this one moment: a tmux server that
/// was started under a raised one would hand it to every agent.
fn out_of_the_way(end: OwnedFd) -> Result<OwnedFd> {
    let limits = getrlimit(Resource::Nofile);
    let Some(soft) = limits.current.and_then(|soft| RawFd::try_from(soft).ok()) else {
        return Ok(end);
    };
    if end.as_raw_fd() < soft / 2 {
        return Ok(end);
    }
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum })?;
    let above = fcntl_dupfd_cloexec(&end, soft);
    setrlimit(Resource::Nofile, limits)?;
    above.map_err(|errno| match errno {
        Errno::INVAL | Errno::MFILE => {
            let most = limits.maximum.unwrap_or_default();
            let told = format!("the limit of open files, {most}, leaves no room (ulimit -Hn)");
            Error::new(ErrorKind::QuotaExceeded, told)
        }
        errno => errno.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_held_and_one_that_never_was_cannot() {
        let me = Life::of(std::process::id()).unwrap().unwrap();
        assert_eq!(Some(me.started), alive::start_time(std::process::id()).unwrap());
        assert!(Life::of(u32::MAX).unwrap().is_none());
        assert!(Life::of(0).unwrap().is_none());
    }
}
