//! Where a manifest stands: its directory, the user's home, the files that it brings in. Owns the making of
//! absolute paths and the digest of all that was read. Invariant: every byte that decides about a fleet is
//! in the digest.

use super::files::{FileError, Files, plain_prefix};
use super::fleet::Reads;
use super::source::is_allowed;
use globset::GlobMatcher;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// What a resolution needs beside the text.
pub struct Ground<'f> {
    /// The manifest's directory, absolute.
    pub directory: PathBuf,
    home: PathBuf,
    files: &'f dyn Files,
    digest: Sha256,
    texts: HashMap<PathBuf, Rc<str>>,
    reads: Reads,
}

/// Why a text could not be brought in.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The file.
    #[error("{0}")]
    File(FileError),
    /// More than the limit.
    #[error("it is larger than {0} KiB")]
    Large(usize),
    /// Not text.
    #[error("it is not UTF-8 text without control characters")]
    NotText,
}

impl<'f> Ground<'f> {
    /// The ground of the manifest at this path.
    #[must_use]
    pub fn new(manifest: &Path, home: &Path, files: &'f dyn Files) -> Self {
        Self {
            directory: manifest.parent().unwrap_or(Path::new("/")).to_owned(),
            home: home.to_owned(),
            files,
            digest: Sha256::new(),
            texts: HashMap::new(),
            reads: Reads::default(),
        }
    }

    /// Takes bytes into the digest.
    pub fn digest(&mut self, what: &str, bytes: &[u8]) {
        self.digest.update((what.len() as u64).to_le_bytes());
        self.digest.update(what);
        self.digest.update((bytes.len() as u64).to_le_bytes());
        self.digest.update(bytes);
    }

    /// Takes note of a file that decides, there or not.
    pub fn reads(&mut self, path: &Path) {
        self.reads.files.insert(path.to_owned());
    }

    /// The digest of all that was read, as hex, and where it was read.
    #[must_use]
    pub fn finish(self) -> (String, Reads) {
        (super::applied::hex_of(&self.digest.finalize()), self.reads)
    }

    /// The absolute path for one that was written: `~` expands, the rest is relative to the manifest.
    #[must_use]
    pub fn path(&self, written: &str) -> PathBuf {
        let path = match written.strip_prefix('~') {
            Some("") => self.home.clone(),
            Some(rest) if rest.starts_with('/') => self.home.join(&rest[1..]),
            _ => self.directory.join(written),
        };
        normal(&path)
    }

    /// The text of a file.
    ///
    /// # Errors
    /// When it is missing, too large or no text.
    pub fn text(&mut self, path: &Path, limit: usize) -> Result<Rc<str>, TextError> {
        if let Some(text) = self.texts.get(path) {
            return Ok(Rc::clone(text));
        }
        self.reads(path);
        let bytes = self.files.read(path, limit).map_err(|error| match error {
            FileError::Large => TextError::Large(limit / 1_024),
            error => TextError::File(error),
        })?;
        if bytes.len() > limit {
            return Err(TextError::Large(limit / 1_024));
        }
        let text = String::from_utf8(bytes).map_err(|_| TextError::NotText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if !text.chars().all(is_allowed) {
            return Err(TextError::NotText);
        }
        self.digest(&path.display().to_string(), text.as_bytes());
        let text: Rc<str> = text.into();
        self.texts.insert(path.to_owned(), Rc::clone(&text));
        Ok(text)
    }

    /// The files below the manifest's directory that match, relative to it.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn glob(&mut self, glob: &GlobMatcher) -> Result<Vec<PathBuf>, FileError> {
        let found = self.files.glob(&self.directory, glob)?;
        let from = self.directory.join(plain_prefix(glob));
        let listed = found.iter().filter_map(|path| path.parent());
        let listed = listed.map(|directory| self.directory.join(directory));
        self.reads.directories.extend(listed.chain([from]));
        let list: Vec<_> = found.iter().map(|path| path.display().to_string()).collect();
        self.digest(glob.glob().glob(), list.join("\n").as_bytes());
        Ok(found)
    }
}

/// A path without `.` and `..`, by its text alone.
#[must_use]
pub fn normal(path: &Path) -> PathBuf {
    let mut made = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                made.pop();
            }
            part => made.push(part),
        }
    }
    made
}
