//! A manifest's files behind a fence: those of one commit, or those that the working tree tracks. For manifests
//! that a stranger may have written. Invariant: nothing that lies outside of the top directory is read.

use crate::git::{Checkout, Tree, TreeError};
use crate::manifest::files::{FileError, Files, finds_hidden, plain_prefix};
use globset::GlobMatcher;
use std::path::{Path, PathBuf};

/// Files that are read by their absolute paths, and are found only below one directory.
pub struct Fenced {
    top: PathBuf,
    yard: Yard,
}

/// Where the files come from.
pub enum Yard {
    /// The object database.
    Commit(Box<Tree>),
    /// The disk.
    Checkout(Checkout),
}

impl Fenced {
    /// Those files, as if the top directory held them.
    #[must_use]
    pub fn new(top: PathBuf, yard: Yard) -> Self {
        Self { top, yard }
    }

    fn below<'p>(&self, path: &'p Path) -> Result<&'p Path, FileError> {
        path.strip_prefix(&self.top).map_err(|_| TreeError::Outside.into())
    }

    /// Whether the file is there.
    ///
    /// # Errors
    /// It cannot be told: what should hold it cannot be read.
    pub fn has(&self, path: &Path) -> Result<bool, std::io::Error> {
        match self.read(path, 0) {
            Err(FileError::Missing) => Ok(false),
            Err(FileError::Unreadable(error)) => Err(error),
            // What else is wrong with it is told by whoever reads it.
            Ok(_) | Err(_) => Ok(true),
        }
    }
}

impl From<TreeError> for FileError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Missing => Self::Missing,
            TreeError::Directory => Self::Directory,
            TreeError::Large => Self::Large,
            TreeError::Unreadable(error) => Self::Unreadable(error),
            TreeError::Git(error) => Self::Unreadable(std::io::Error::other(error)),
            error @ (TreeError::Outside
            | TreeError::Links
            | TreeError::Untracked
            | TreeError::Special) => Self::Refused(error.to_string()),
        }
    }
}

impl Files for Fenced {
    fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
        let below = self.below(path)?;
        Ok(match &self.yard {
            Yard::Commit(tree) => tree.read(below, limit),
            Yard::Checkout(checkout) => checkout.read(below, limit),
        }?)
    }

    fn glob(&self, base: &Path, glob: &GlobMatcher) -> Result<Vec<PathBuf>, FileError> {
        let prefix = plain_prefix(glob);
        let start = self.below(base)?.join(&prefix);
        let found = match &self.yard {
            Yard::Commit(tree) => tree.files(&start),
            Yard::Checkout(checkout) => checkout.files(&start),
        }?;
        let hidden = finds_hidden(glob);
        let shows = |path: &Path| {
            hidden || !path.iter().any(|part| part.as_encoded_bytes().starts_with(b"."))
        };
        let found = found.into_iter().filter(|path| shows(path)).map(|path| prefix.join(path));
        Ok(found.filter(|path| glob.is_match(path)).collect())
    }
}
