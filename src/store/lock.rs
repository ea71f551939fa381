//! One writer a fleet. Owns the lock file. Invariant: the kernel frees the lock with its holder's death, and
//! taking it changes no file but for making it once.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The lock of a fleet, held.
#[derive(Debug)]
pub struct Lock {
    // The lock lives as long as this descriptor, which no child inherits.
    _file: File,
}

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("the fleet is locked by {}", holder(*pid))]
    Held {
        /// Its pid, when the kernel tells.
        pid: Option<u32>,
    },
    /// The lock file could not be made or opened.
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
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

impl Lock {
    /// Takes the lock of the fleet whose state lies in `directory`, which is made if it is missing.
    ///
    /// # Errors
    /// [`LockError::Held`] at once when another process has it.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("lock");
        let open = || {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
        };
        let file = open().map_err(|source| LockError::Open { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { pid: holder_of(&file) }),
            Err(TryLockError::Error(source)) => Err(LockError::Open { path, source }),
        }
    }
}

/// Who holds a `flock`, by the kernel's own table: nothing needs to be written into the file for it.
fn holder_of(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino().to_string();
    let table = std::fs::read_to_string("/proc/locks").ok()?;
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ours = words.get(1) == Some(&"FLOCK") && words.get(5)?.rsplit(':').next()? == inode;
        ours.then(|| words.get(4)?.parse().ok()).flatten()
    })
}
