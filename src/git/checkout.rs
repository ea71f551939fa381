//! The working tree as a commit of it would be. Owns the reading of files that a stranger may have named: only
//! what git tracks, without following a link out, without waiting. Invariant: nothing outside of the top is
//! opened, and neither is a pipe or a device.

use super::tree::{RevisionError, TreeError, open, unreadable};
use super::within::{Stand, follow};
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The files below one directory.
pub struct Checkout {
    top: PathBuf,
    /// What git tracks; `None` where there is no repository.
    index: Option<git2::Index>,
    /// Read although git does not track it (yet).
    named: PathBuf,
}

/// The repository's top directory for a path that need not exist: the nearest directory with a `.git` that can be
/// reached without following a link of an outer repository.
#[must_use]
pub fn top_of(path: &Path) -> Option<PathBuf> {
    let mut ups: Vec<&Path> = path.ancestors().skip(1).collect();
    ups.reverse();
    let mut top: Option<&Path> = None;
    for up in ups {
        let is_link = up.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
        if top.is_some() && is_link {
            break;
        }
        if up.join(".git").symlink_metadata().is_ok() {
            top = Some(up);
        }
    }
    top.map(Path::to_owned)
}

impl Checkout {
    /// The tracked files of the repository at this top directory, and one more that the user named himself.
    ///
    /// # Errors
    /// When git2 cannot read the repository or its index.
    pub fn of_repository(top: &Path, named: &Path) -> Result<Self, RevisionError> {
        let index = open(top)?.index().map_err(|source| unreadable(top, source))?;
        Ok(Self { top: top.to_owned(), index: Some(index), named: named.to_owned() })
    }

    /// The files below a directory that is in no repository.
    #[must_use]
    pub fn of_directory(top: &Path) -> Self {
        Self { top: top.to_owned(), index: None, named: PathBuf::new() }
    }

    /// A file's bytes, by its path below the top.
    ///
    /// # Errors
    /// [`TreeError::Large`] beyond the limit; any other.
    pub fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, TreeError> {
        let (at, stand) = self.follow(path)?;
        if stand == Stand::Directory {
            return Err(TreeError::Directory);
        }
        if !self.tracks(&at) {
            return Err(TreeError::Untracked);
        }
        // A pipe opens without a writer, and a link that took the file's place meanwhile does not.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut options = std::fs::OpenOptions::new();
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let file = options.read(true).custom_flags(flags).open(self.top.join(&at));
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::NotFound => TreeError::Missing,
            _ => TreeError::Unreadable(error),
        })?;
        let meta = file.metadata().map_err(TreeError::Unreadable)?;
        if !meta.is_file() {
            return Err(TreeError::Special);
        }
        let mut bytes = Vec::new();
        let most = limit as u64 + 1;
        file.take(most).read_to_end(&mut bytes).map_err(TreeError::Unreadable)?;
        if bytes.len() > limit {
            return Err(TreeError::Large);
        }
        Ok(bytes)
    }

    /// All files below a directory, relative to it, links included.
    ///
    /// # Errors
    /// [`TreeError::Missing`] when there is no such directory; what keeps it from being listed.
    pub fn files(&self, below: &Path) -> Result<Vec<PathBuf>, TreeError> {
        let (at, stand) = self.follow(below)?;
        if stand != Stand::Directory {
            return Err(TreeError::Missing);
        }
        let mut found = match &self.index {
            Some(index) => self.tracked(index, &at),
            None => listed(&self.top.join(&at))?,
        };
        found.sort();
        Ok(found)
    }

    fn tracked(&self, index: &git2::Index, below: &Path) -> Vec<PathBuf> {
        let entries = index.iter();
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| {
                let path = Path::new(OsStr::from_bytes(&entry.path));
                path.strip_prefix(below).ok().map(Path::to_owned)
            })
            .filter(|path| {
                let there = self.top.join(below).join(path).symlink_metadata();
                there.is_ok_and(|meta| !meta.is_dir())
            })
            .collect();
        // One under a merge stands there once for each side.
        found.dedup();
        found
    }

    fn tracks(&self, at: &Path) -> bool {
        let Some(index) = &self.index else { return true };
        at == self.named || (0..=3).any(|stage| index.get_path(at, stage).is_some())
    }

    fn follow(&self, path: &Path) -> Result<(PathBuf, Stand), TreeError> {
        Ok(follow(path, |at| stand(&self.top.join(at)))?)
    }
}

fn stand(path: &Path) -> Result<Stand, TreeError> {
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Stand::Missing);
        }
        Err(error) => return Err(TreeError::Unreadable(error)),
    };
    if meta.is_symlink() {
        return Ok(Stand::Link(path.read_link().map_err(TreeError::Unreadable)?));
    }
    Ok(if meta.is_dir() { Stand::Directory } else { Stand::File })
}

fn listed(directory: &Path) -> Result<Vec<PathBuf>, TreeError> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(directory) {
        let entry = entry.map_err(|error| TreeError::Unreadable(error.into()))?;
        if !entry.file_type().is_dir() {
            let path = entry.path();
            found.push(path.strip_prefix(directory).unwrap_or(path).to_owned());
        }
    }
    Ok(found)
}
