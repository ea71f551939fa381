//! What a manifest needs of the file system: the bytes of files and the paths of a glob. Owns the one real
//! implementation; the loader knows only the trait. Invariant: nothing is written, and no file is read
//! beyond its limit.

use globset::{GlobBuilder, GlobMatcher};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Why a file or directory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("there is no such file")]
    Missing,
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// It is larger than the limit.
    #[error("it is too large")]
    Large,
    /// It is not to be read from here.
    #[error("{0}")]
    Refused(String),
    /// The system refused.
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Self::Missing,
            std::io::ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Unreadable(error),
        }
    }
}

/// Where a manifest's files come from.
pub trait Files {
    /// At most `limit + 1` bytes of a file.
    ///
    /// # Errors
    /// When it cannot be read. More than `limit` bytes may be [`FileError::Large`] already.
    fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, FileError>;

    /// The files under `base` that match, relative to it and sorted.
    ///
    /// # Errors
    /// When `base` cannot be listed.
    fn glob(&self, base: &Path, glob: &GlobMatcher) -> Result<Vec<PathBuf>, FileError>;
}

/// A glob in which `*` stays within one directory.
///
/// # Errors
/// When it is none.
pub fn matcher(glob: &str) -> Result<GlobMatcher, globset::Error> {
    let glob = GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build()?;
    Ok(glob.compile_matcher())
}

/// The real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
        let file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn glob(&self, base: &Path, glob: &GlobMatcher) -> Result<Vec<PathBuf>, FileError> {
        let hidden = finds_hidden(glob);
        let start = base.join(plain_prefix(glob));
        let walk = walkdir::WalkDir::new(start).into_iter();
        let mut found = Vec::new();
        for entry in walk.filter_entry(|entry| {
            entry.depth() == 0 || hidden || !entry.file_name().as_encoded_bytes().starts_with(b".")
        }) {
            let entry = entry.map_err(std::io::Error::from)?;
            let path = entry.path().strip_prefix(base).unwrap_or(entry.path());
            if !entry.file_type().is_dir() && glob.is_match(path) {
                found.push(path.to_owned());
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Whether a glob finds what begins with a dot: only where it names such a thing itself.
#[must_use]
pub fn finds_hidden(glob: &GlobMatcher) -> bool {
    let glob = glob.glob().glob();
    glob.contains("/.") || glob.starts_with('.')
}

/// The directories that a glob begins with, so that only what lies in them is walked.
#[must_use]
pub fn plain_prefix(glob: &GlobMatcher) -> PathBuf {
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
    let parts: Vec<&str> = glob.glob().glob().split('/').collect();
    parts[..parts.len() - 1].iter().copied().take_while(is_plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_finds_files_of_one_directory_or_of_all_but_hidden_ones() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["a/x.rs", "a/b/y.rs", "a/.h/z.rs", "n/w.rs"] {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |glob: &str| -> Vec<String> {
            let found = Disk.glob(directory.path(), &matcher(glob).unwrap()).unwrap();
            found.iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(found("a/*.rs"), ["a/x.rs"]);
        assert_eq!(found("**/*.rs"), ["a/b/y.rs", "a/x.rs", "n/w.rs"]);
        assert_eq!(found("a/.h/*"), ["a/.h/z.rs"]);
        let missing = Disk.glob(directory.path(), &matcher("no/*").unwrap());
        assert!(matches!(missing, Err(FileError::Missing)));
    }

    #[test]
    fn a_file_is_read_to_its_limit_and_a_directory_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("f"), "abcdef").unwrap();
        assert_eq!(Disk.read(&directory.path().join("f"), 3).unwrap(), b"abcd");
        assert!(matches!(Disk.read(directory.path(), 3), Err(FileError::Directory)));
        assert!(matches!(Disk.read(&directory.path().join("g"), 3), Err(FileError::Missing)));
    }
}
