//! The files between the program that plans a run and the pane that becomes it: the launch file one way, the
//! report of a failure the other. Invariant: a file is there whole or not at all, and only its owner reads it.

use super::Launch;
use crate::private;
use crate::snapshot::LaunchFailure;
use std::path::{Path, PathBuf};

/// Why one of the files could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Writing.
    #[error("{} cannot be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{} is not what fleetctl writes there", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Writes a launch file, mode 0600, over one of an earlier run.
///
/// # Errors
/// [`FileError::Write`] or, never in practice, [`FileError::Content`].
pub fn write(path: &Path, launch: &Launch) -> Result<(), FileError> {
    replace(path, &to_json(path, launch)?)
}

/// Reads a launch file.
///
/// # Errors
/// [`FileError::Read`] or [`FileError::Content`].
pub fn read(path: &Path) -> Result<Launch, FileError> {
    let source = |source| FileError::Read { path: path.to_owned(), source };
    from_json(path, &std::fs::read(path).map_err(source)?)
}

/// Reads the report of a run that failed before its program; `None` when there is none.
///
/// # Errors
/// [`FileError::Read`] or [`FileError::Content`]: a report that cannot be read is not an absent one.
pub fn read_report(path: &Path) -> Result<Option<LaunchFailure>, FileError> {
    match std::fs::read(path) {
        Ok(bytes) => from_json(path, &bytes).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::Read { path: path.to_owned(), source }),
    }
}

/// Writes the report of a run that failed before its program.
///
/// # Errors
/// As [`write()`].
pub fn write_report(path: &Path, failure: &LaunchFailure) -> Result<(), FileError> {
    replace(path, &to_json(path, failure)?)
}

fn to_json(path: &Path, value: &impl serde::Serialize) -> Result<Vec<u8>, FileError> {
    serde_json::to_vec(value).map_err(|source| FileError::Content { path: path.to_owned(), source })
}

fn from_json<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, FileError> {
    serde_json::from_slice(bytes)
        .map_err(|source| FileError::Content { path: path.to_owned(), source })
}

/// Puts contents in place in one step, readable by the owner alone.
///
/// # Errors
/// [`FileError::Write`].
pub fn replace(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    private::replace(path, contents)
        .map_err(|source| FileError::Write { path: path.to_owned(), source })
}

/// Makes a directory that only its owner enters, with its parents, if it is missing.
///
/// # Errors
/// [`FileError::Write`].
pub fn make_directory_if_needed(path: &Path) -> Result<(), FileError> {
    private::make_directory_if_needed(path)
        .map_err(|source| FileError::Write { path: path.to_owned(), source })
}
