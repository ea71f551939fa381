//! Children that outlive a killed run. Owns how they are found again, by an argument that only we give or by
//! their directory, and waited for; never signals one. Invariant: a process that cannot be looked at is not
//! taken for one of ours, since ours run as this user.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::Result;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Waits until no `program` runs that has `text` in one of its arguments, or `directory` as a
/// variable's value or as the place that it works in or below; gives
/// the pid of one that is left at the end of `limit`.
///
/// # Errors
/// `/proc` cannot be read.
pub fn wait_gone(
    program: &str,
    text: &str,
    directory: &Path,
    limit: Duration,
) -> Result<Option<u32>> {
    let deadline = Instant::now() + limit;
    loop {
        let Some(pid) = find(program, text, directory)? else { return Ok(None) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Some(pid));
        }
        let Some(process) = open(pid) else { continue };
        let timeout = super::timespec(left);
        // Readable when it ends; what woke us is seen at the next turn.
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

fn find(program: &str, text: &str, directory: &Path) -> Result<Option<u32>> {
    for item in std::fs::read_dir("/proc")? {
        let item = item?;
        let Some(pid) = item.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if pid != std::process::id() && is_orphan(&item.path(), program, text, directory) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

fn is_orphan(proc: &Path, program: &str, text: &str, directory: &Path) -> bool {
    // A zombie has no arguments.
    let Ok(arguments) = std::fs::read(proc.join("cmdline")) else { return false };
    let mut words = arguments.split(|byte| *byte == 0);
    let Some(first) = words.next() else { return false };
    let name = Path::new(std::ffi::OsStr::from_bytes(first)).file_name();
    name.is_some_and(|name| name == program)
        && (words.any(|word| String::from_utf8_lossy(word).contains(text))
            || std::fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory))
            || is_sent_to(proc, directory))
}

/// A child is told its directory in a variable before it goes there.
fn is_sent_to(proc: &Path, directory: &Path) -> bool {
    let Ok(variables) = std::fs::read(proc.join("environ")) else { return false };
    variables.split(|byte| *byte == 0).any(|variable| {
        let value = variable.iter().position(|byte| *byte == b'=').map(|at| &variable[at + 1..]);
        value.is_some_and(|value| value == directory.as_os_str().as_bytes())
    })
}
