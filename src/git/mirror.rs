//! A bare copy of the one commit of a remote that a manifest is read from, and of those before it that were taken.
//! Owns its refs; checks nothing out. Invariant: a commit that was marked stays readable, whatever the remote does.

use super::tree::{RevisionError, open};
use super::{Git, GitError, file, output};
use crate::private::{make_directory_if_needed, replace};
use crate::snapshot::Commit;
use git2::ErrorCode;
use jiff::Timestamp;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The limit of one fetch.
const LIMIT: Duration = Duration::from_secs(60);

/// What a ref of the mirror stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// What the remote had when it was last reached.
    Head,
    /// What was last taken.
    Taken,
    /// What a human trusted.
    Trusted,
    /// What a human trusted, and all that comes after it.
    Always,
}

impl Mark {
    /// Its ref.
    #[must_use]
    pub fn reference(self) -> &'static str {
        match self {
            Self::Head => "refs/fleet/head",
            Self::Taken => "refs/fleet/taken",
            Self::Trusted => "refs/fleet/trusted",
            Self::Always => "refs/fleet/always",
        }
    }
}

/// A mirror's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    directory: PathBuf,
}

impl Mirror {
    /// The mirror in this directory, which need not exist.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Brings what a remote's ref stands for, marks it as the head, and remembers the working copy.
    ///
    /// # Errors
    /// [`GitError::Run`] after 60 s, [`GitError::Refused`] when the remote cannot be reached or has no such ref.
    pub fn fetch(
        &self,
        git: &Git,
        (url, reference): (&str, &str),
        root: &Path,
    ) -> Result<(), GitError> {
        let made = make_directory_if_needed(&self.directory);
        made.map_err(file("make", &self.directory))?;
        if !self.directory.join("HEAD").exists() {
            let init = git.quiet(&self.directory).args(["init", "--quiet", "--bare", "."]);
            output(&init, "git init")?;
        }
        let quiet = ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "fetch", "--quiet"];
        let only = ["--depth=1", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        let spec = format!("+{reference}:{}", Mark::Head.reference());
        // Without these ssh would ask on the terminal that fleetctl runs in.
        let child = git.quiet(&self.directory).env("SSH_ASKPASS", "false");
        let child = child.env("SSH_ASKPASS_REQUIRE", "force").limit(LIMIT);
        output(&child.args(quiet).args(only).args(["--", url, &spec]), "git fetch")?;
        let reached = self.directory.join("reached");
        replace(&reached, root.as_os_str().as_bytes()).map_err(file("write", &reached))
    }

    /// The working copy that was named at the last fetch.
    #[must_use]
    pub fn root(&self) -> Option<PathBuf> {
        let bytes = std::fs::read(self.directory.join("reached")).ok()?;
        Some(PathBuf::from(OsString::from_vec(bytes)))
    }

    /// When the remote was last reached.
    #[must_use]
    pub fn reached(&self) -> Option<Timestamp> {
        let meta = self.directory.join("reached").metadata().ok()?;
        Timestamp::try_from(meta.modified().ok()?).ok()
    }

    /// The commit of a mark; `None` where there is none.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub fn commit(&self, mark: Mark) -> Result<Option<Commit>, RevisionError> {
        if !self.directory.join("HEAD").exists() {
            return Ok(None);
        }
        let repo = open(&self.directory)?;
        let found = repo.find_reference(mark.reference()).and_then(|found| found.peel_to_commit());
        match found {
            Ok(commit) => {
                let time = Timestamp::from_second(commit.time().seconds());
                let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
                Ok(Some(Commit { id: commit.id().to_string(), time }))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(source) => {
                let revision = mark.reference().to_owned();
                Err(RevisionError::Unreadable { revision, source })
            }
        }
    }

    /// Marks a commit, by its whole id or the beginning of it; gives the whole id.
    ///
    /// # Errors
    /// When it is not in the mirror, or the ref cannot be written.
    pub fn mark(&self, mark: Mark, commit: &str) -> Result<String, RevisionError> {
        let repo = open(&self.directory)?;
        let unknown = |_| RevisionError::Unknown { revision: commit.to_owned(), shallow: false };
        let found = repo.revparse_single(commit).and_then(|found| found.peel_to_commit());
        let id = found.map_err(unknown)?.id();
        let made = repo.reference(mark.reference(), id, true, "fleetctl");
        made.map_err(|source| RevisionError::Unreadable { revision: commit.to_owned(), source })?;
        Ok(id.to_string())
    }

    /// Takes a mark away.
    ///
    /// # Errors
    /// When the ref cannot be deleted.
    pub fn unmark(&self, git: &Git, mark: Mark) -> Result<(), GitError> {
        let child = git.quiet(&self.directory).args(["update-ref", "-d", mark.reference()]);
        output(&child, "git update-ref").map(drop)
    }
}
