//! Which processes live, and which are whose. Reads `/proc`, decides nothing and signals nothing.
//! Invariant: a process is named by pid, start and boot, so that a reused pid is another process; what
//! cannot be read is an error or unknown, never "gone".

use crate::name::Uid;
use crate::snapshot::{Blind, Observed, Process, RuntimeAt};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The variable that every process of an agent inherits from its pane.
pub const UID_VARIABLE: &str = "FLEET_UID";

/// What `/proc/PID/stat` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The command's name, at most 15 bytes.
    pub command: String,
    /// `R`, `S`, `T` (stopped), `Z` (a zombie), …
    pub state: char,
    /// The process group.
    pub group: u32,
    /// The kernel session.
    pub session: u32,
    /// The process group in the foreground of its terminal.
    pub foreground: Option<u32>,
    /// Its start, in clock ticks since boot.
    pub started: u64,
}

impl Stat {
    /// It has ended and only waits to be reaped.
    #[must_use]
    pub fn over(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// The id of this boot of the kernel.
///
/// # Errors
/// `/proc` could not be read.
pub fn boot_id() -> Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// What a process is; `None` when there is none of this id.
///
/// # Errors
/// It could not be read, or is not understood.
pub fn stat(pid: u32) -> Result<Option<Stat>> {
    let Some(text) = there(std::fs::read(format!("/proc/{pid}/stat")))? else { return Ok(None) };
    let odd = || Error::new(ErrorKind::InvalidData, format!("/proc/{pid}/stat is not understood"));
    parse_stat(&String::from_utf8_lossy(&text)).map(Some).ok_or_else(odd)
}

/// The start of a process in clock ticks since boot; `None` when it is gone or a zombie.
///
/// # Errors
/// It could not be read.
pub fn start_time(pid: u32) -> Result<Option<u64>> {
    Ok(stat(pid)?.filter(|stat| !stat.over()).map(|stat| stat.started))
}

/// When a process started, in seconds since 1970 by the clock as it is set now.
///
/// # Errors
/// `/proc` could not be read.
pub fn started_at(stat: &Stat) -> Result<i64> {
    // Linux shows all programs a clock of 100 ticks a second, whatever its own is.
    const TICKS: u64 = 100;
    let text = std::fs::read_to_string("/proc/stat")?;
    let boot =
        text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<i64>().ok());
    let boot = boot.ok_or_else(|| Error::new(ErrorKind::InvalidData, "/proc/stat has no btime"))?;
    Ok(boot.saturating_add(i64::try_from(stat.started / TICKS).unwrap_or(i64::MAX)))
}

/// This very process still runs.
///
/// # Errors
/// It could not be read.
pub fn is_running(process: &Process) -> Result<bool> {
    Ok(boot_id()? == process.boot && start_time(process.pid)? == Some(process.started))
}

/// The process of this id with its identity; `None` when it is gone or a zombie.
///
/// # Errors
/// It could not be read.
pub fn process(pid: u32, boot: &str) -> Result<Option<Process>> {
    let live = stat(pid)?.filter(|stat| !stat.over());
    Ok(live.map(|stat| named(pid, stat, boot)))
}

/// All living processes of a kernel session.
///
/// # Errors
/// `/proc` could not be read.
pub fn members_of_session(sid: u32) -> Result<Vec<(u32, Stat)>> {
    let mut members = Vec::new();
    for pid in pids()? {
        if let Some(stat) = stat(pid)?
            && stat.session == sid
            && !stat.over()
        {
            members.push((pid, stat));
        }
    }
    Ok(members)
}

/// The environment that the process began with has `name=value`. False for one that is gone.
///
/// # Errors
/// It is another user's, or could not be read.
pub fn carries(pid: u32, name: &str, value: &str) -> Result<bool> {
    let Some(environment) = there(std::fs::read(format!("/proc/{pid}/environ")))? else {
        return Ok(false);
    };
    let wanted = format!("{name}={value}");
    Ok(environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
}

/// The process ignores the signal of this number, as interactive shells ignore TERM. False for one that is
/// gone.
///
/// # Errors
/// It could not be read.
pub fn ignores(pid: u32, signal: u32) -> Result<bool> {
    let Some(status) = there(std::fs::read(format!("/proc/{pid}/status")))? else {
        return Ok(false);
    };
    let status = String::from_utf8_lossy(&status);
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    Ok(signal.checked_sub(1).is_some_and(|bit| mask >> bit & 1 == 1))
}

/// All living processes that carry this incarnation's variable, with their kernel session. Processes of
/// other users cannot be asked and are left out.
///
/// # Errors
/// `/proc` could not be read.
pub fn carriers(uid: Uid) -> Result<Vec<(Process, u32)>> {
    let (boot, uid) = (boot_id()?, uid.to_string());
    let mut found = Vec::new();
    for pid in pids()? {
        if !matches!(carries(pid, UID_VARIABLE, &uid), Ok(true)) {
            continue;
        }
        if let Some(stat) = stat(pid)?.filter(|stat| !stat.over()) {
            let session = stat.session;
            found.push((named(pid, stat, &boot), session));
        }
    }
    Ok(found)
}

/// What of an earlier run still runs: the living members of its kernel session that carry its uid.
#[must_use]
pub fn survivors(at: &RuntimeAt) -> Observed<Vec<Process>> {
    match look_for_survivors(at) {
        Ok(found) => Observed::Known(found),
        Err(error) => Observed::Unknown(Blind {
            what: format!("processes of run {}", at.sid),
            cause: error.to_string(),
        }),
    }
}

fn look_for_survivors(at: &RuntimeAt) -> Result<Vec<Process>> {
    let boot = boot_id()?;
    if boot != at.boot {
        return Ok(Vec::new());
    }
    let uid = at.uid.to_string();
    let mut found = Vec::new();
    for (pid, stat) in members_of_session(at.sid)? {
        let ours = carries(pid, UID_VARIABLE, &uid)
            .map_err(|error| Error::new(error.kind(), format!("pid {pid}: {error}")))?;
        if ours {
            found.push(named(pid, stat, &boot));
        }
    }
    Ok(found)
}

/// A process that works in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Its id.
    pub pid: u32,
    /// Its command's name.
    pub command: String,
    /// Its kernel session.
    pub session: u32,
    /// Where it works.
    pub cwd: PathBuf,
}

/// The processes whose working directory is `dir` or below it. Those of other users cannot be asked and
/// are left out. `dir` must be canonical.
///
/// # Errors
/// `/proc` could not be read.
pub fn inside(dir: &Path) -> Result<Vec<Inside>> {
    let mut found = Vec::new();
    for pid in pids()? {
        let cwd = match there(std::fs::read_link(format!("/proc/{pid}/cwd"))) {
            Ok(Some(cwd)) => without_deleted(cwd),
            Ok(None) => continue,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(error),
        };
        if cwd.starts_with(dir)
            && let Some(stat) = stat(pid)?.filter(|stat| !stat.over())
        {
            found.push(Inside { pid, command: stat.command, session: stat.session, cwd });
        }
    }
    Ok(found)
}

/// Whether this process holds a socket that was bound to this path, though the path may be gone. `None`
/// when its descriptors may not be read.
///
/// # Errors
/// `/proc` could not be read.
pub fn holds_socket(pid: u32, path: &Path) -> Result<Option<bool>> {
    let inodes = bound_inodes(path)?;
    let entries = match std::fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return there(Err(error)).map(|gone: Option<()>| gone.map(|()| false)),
    };
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    Ok(Some(links.into_iter().any(|link| {
        let inode = link.to_str().and_then(|l| l.strip_prefix("socket:[")?.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.iter().any(|known| known == inode))
    })))
}

/// Whether any process holds a socket that was bound to this path, though the path may be gone.
///
/// # Errors
/// `/proc` could not be read.
pub fn is_bound(path: &Path) -> Result<bool> {
    Ok(!bound_inodes(path)?.is_empty())
}

fn bound_inodes(path: &Path) -> Result<Vec<String>> {
    let table = std::fs::read("/proc/net/unix")?;
    Ok(table.split(|byte| *byte == b'\n').filter_map(|line| bound(line, path)).collect())
}

/// The inode in a line of `/proc/net/unix` when the socket is bound to `path`.
fn bound(line: &[u8], path: &Path) -> Option<String> {
    let start = line.len().checked_sub(path.as_os_str().len())?;
    let (fields, name) = line.split_at(start);
    if name != path.as_os_str().as_bytes() || !fields.ends_with(b" ") {
        return None;
    }
    std::str::from_utf8(fields).ok()?.split_ascii_whitespace().nth(6).map(str::to_owned)
}

fn named(pid: u32, stat: Stat, boot: &str) -> Process {
    Process { pid, started: stat.started, boot: boot.to_owned(), command: stat.command }
}

fn pids() -> Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(pids)
}

/// A process that ended while it was looked at is gone, which is no error.
fn there<T>(read: Result<T>) -> Result<Option<T>> {
    const NO_SUCH_PROCESS: i32 = rustix::io::Errno::SRCH.raw_os_error();
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(NO_SUCH_PROCESS) => Ok(None),
        Err(error) => Err(error),
    }
}

fn without_deleted(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(live) => PathBuf::from(std::ffi::OsStr::from_bytes(live)),
        None => path,
    }
}

/// The command's name may hold spaces and parentheses, so the fields count from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(") ")?;
    let command = head.split_once(" (")?.1.to_owned();
    let mut fields = tail.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let (group, session) = (fields.nth(1)?, fields.next()?);
    // A process that is being reaped has left its group and session; the state was read before that.
    let released = group == "-1" && session == "-1";
    let state = if released { 'X' } else { state };
    let id = |text: &str| if released { Some(0) } else { text.parse().ok() };
    let (group, session) = (id(group)?, id(session)?);
    let foreground = fields.nth(1)?.parse().ok();
    let started = fields.nth(13)?.parse().ok()?;
    Some(Stat { command, state, group, session, foreground, started })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        let text = "77 (a) b (c)) S 1 70 60 34816 71 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9\n";
        let stat = parse_stat(text).unwrap();
        assert_eq!(stat.command, "a) b (c)");
        assert_eq!((stat.group, stat.session, stat.foreground), (70, 60, Some(71)));
        assert_eq!((stat.state, stat.started), ('S', 123_456));
    }

    #[test]
    fn a_process_without_a_terminal_has_no_foreground() {
        let text = "77 (x) S 1 70 60 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9\n";
        assert_eq!(parse_stat(text).unwrap().foreground, None);
    }

    #[test]
    fn a_process_that_is_being_reaped_is_over() {
        let text = "77 (x) Z 0 -1 -1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9\n";
        assert!(parse_stat(text).unwrap().over());
    }

    #[test]
    fn a_truncated_stat_is_not_understood() {
        assert_eq!(parse_stat("77 (x) S 1 70 60 0 -1 419"), None);
    }

    #[test]
    fn this_process_runs_and_another_start_of_its_pid_does_not() {
        let boot = boot_id().unwrap();
        let me = process(std::process::id(), &boot).unwrap().unwrap();
        assert!(is_running(&me).unwrap());
        assert!(!is_running(&Process { started: me.started + 1, ..me.clone() }).unwrap());
        assert!(!is_running(&Process { boot: "another".into(), ..me }).unwrap());
    }

    #[test]
    fn a_listening_socket_is_found_by_path_after_its_file_is_gone() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let path = dir.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(holds_socket(std::process::id(), &path).unwrap(), Some(true));
        assert_eq!(holds_socket(std::process::id(), &dir.path().join("t")).unwrap(), Some(false));
    }

    #[test]
    fn the_mark_of_a_directory_that_was_deleted_is_taken_off() {
        assert_eq!(without_deleted("/a/b (deleted)".into()), PathBuf::from("/a/b"));
    }

    #[test]
    fn nothing_survives_a_reboot() {
        let at = RuntimeAt { uid: Uid::from_parts(1, 1), sid: 1, boot: "another".into() };
        assert_eq!(survivors(&at), Observed::Known(Vec::new()));
    }
}
