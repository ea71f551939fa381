//! One writer per fleet: a kernel lock on a file of its own, freed by its holder's death. Owns who holds it.
//! Invariant: taking it changes no file that exists, so that a pass that does nothing leaves no trace. For
//! that reason the holder is not written down but read from the kernel's own list.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The right to write to one fleet, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// Held open, and closed by exec: no child keeps the lock.
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another writer has it.
    #[error("another fleetctl is at work on this fleet{}", holder(*pid))]
    Held {
        /// Which; `None` when the kernel does not tell.
        pid: Option<u32>,
    },
    /// Its file or directory cannot be made, opened or locked.
    #[error("{} cannot be opened", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(": pid {pid}")).unwrap_or_default()
}

impl Lock {
    /// Takes the lock of the fleet whose store is in this directory, which is made when it is missing.
    ///
    /// # Errors
    /// [`LockError::Held`] at once, without waiting, when another writer has it.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("lock");
        let open = || {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)
        };
        let failed = |source| LockError::Open { path: path.clone(), source };
        let file = open().map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { pid: holder_of(&file) }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

fn holder_of(file: &File) -> Option<u32> {
    let metadata = file.metadata().ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let device = metadata.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    find_holder(&locks, metadata.ino(), &format!("{major:02x}:{minor:02x}"))
}

/// Finds a lock by its inode: on the same device if one is listed so, on any if not, since some file systems
/// give files another device than the kernel lists them under.
fn find_holder(locks: &str, inode: u64, device: &str) -> Option<u32> {
    let mut found = None;
    for line in locks.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = fields[..] else { continue };
        let Some((on, number)) = place.rsplit_once(':') else { continue };
        if number.parse() == Ok(inode) {
            let pid = pid.parse().ok().filter(|pid| *pid > 0);
            if on == device {
                return pid;
            }
            found = pid;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_writer_is_refused_and_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("fleet");
        let lock = Lock::acquire(&place).unwrap();
        let Err(LockError::Held { pid }) = Lock::acquire(&place) else { panic!("not held") };
        assert_eq!(pid, Some(std::process::id()));
        assert_eq!(holder_of(&File::open(place.join("lock")).unwrap()), pid);
        drop(lock);
        assert_eq!(holder_of(&File::open(place.join("lock")).unwrap()), None);
        Lock::acquire(&place).unwrap();
    }

    #[test]
    fn only_the_owner_may_enter_and_taking_it_again_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("fleet");
        drop(Lock::acquire(&place).unwrap());
        let file = std::fs::metadata(place.join("lock")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
        drop(Lock::acquire(&place).unwrap());
        let again = std::fs::metadata(place.join("lock")).unwrap();
        assert_eq!(again.modified().unwrap(), file.modified().unwrap());
        assert_eq!(again.len(), 0);
    }

    #[test]
    fn the_holder_is_found_by_inode_and_device() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:01:42 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 8 00:1f:42 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE 9 fe:01:42 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 10 fe:01:42 0 EOF\n";
        assert_eq!(find_holder(locks, 42, "fe:01"), Some(9));
        assert_eq!(find_holder(locks, 42, "08:02"), Some(9));
        assert_eq!(find_holder(locks, 43, "fe:01"), None);
    }
}
