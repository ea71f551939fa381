//! What can go wrong with a store, told apart as far as it matters before acting. Invariant: no error holds
//! what a record says.

use rusqlite::ErrorCode;
use std::path::PathBuf;

/// Why the store could not be used. After any of these no step may begin.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the user's share of it, is full.
    #[error("no space is left for the store")]
    Full(#[source] rusqlite::Error),
    /// The file is damaged, or is no store.
    #[error("the store is damaged")]
    Damaged(#[source] rusqlite::Error),
    /// Someone else keeps it locked.
    #[error("the store is locked by another program")]
    Busy(#[source] rusqlite::Error),
    /// This user may not read or write it.
    #[error("the store may not be read or written")]
    Denied(#[source] rusqlite::Error),
    /// The system failed to read, write or sync it.
    #[error("the store could not be brought to disk or read from it")]
    Disk(#[source] rusqlite::Error),
    /// Anything else that SQLite says.
    #[error("the store does not work")]
    Sqlite(#[source] rusqlite::Error),
    /// Its directory or file cannot be made or looked at.
    #[error("the store's place {} cannot be used", path.display())]
    Place {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It was written by a later fleetctl.
    #[error(
        "the store has format {found}, and this fleetctl knows formats up to {known}: use a newer fleetctl"
    )]
    Newer {
        /// Its format.
        found: i64,
        /// The latest that is known here.
        known: i64,
    },
    /// It was written by an earlier fleetctl, and only a changing verb brings it up to date.
    #[error(
        "the store has format {found} and needs {known}: `fleetctl apply` brings it up to date"
    )]
    Older {
        /// Its format.
        found: i64,
        /// The one that is needed.
        known: i64,
    },
    /// It came from another machine, where its sessions live.
    #[error("the store {} was made on another machine: move it away to begin anew here", path.display())]
    OtherMachine {
        /// Its file.
        path: PathBuf,
    },
    /// A path that is to be remembered is no text.
    #[error("{} is not UTF-8", path.display())]
    Text {
        /// Which.
        path: PathBuf,
    },
    /// A row does not hold what fleetctl writes there.
    #[error("the store's table {table} holds something that is not understood")]
    Content {
        /// Where.
        table: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // What SQLite says when the memory that its users share has no room on the disk.
        let no_room = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
        if error.sqlite_error().is_some_and(|said| said.extended_code == no_room) {
            return Self::Full(error);
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
                Self::Denied(error)
            }
            Some(ErrorCode::SystemIoFailure) => Self::Disk(error),
            _ => Self::Sqlite(error),
        }
    }
}
