//! The cheap look at a repository: its worktrees, locks and heads, no status. Owns how a repository is found
//! from a path; changes nothing. Invariant: a repository that cannot be opened is unknown, never absent.

use super::entry::{entries, head_in, is_id, is_there};
use super::rebuild::is_being_rebuilt;
use super::{Git, GitError, file, line, output};
use crate::snapshot::{Blind, Head, Observed, Repository, Worktree};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where a repository lies.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The canonical common directory.
    pub(super) common: PathBuf,
    /// The main worktree's top; the common directory itself in a bare repository.
    pub(super) top: PathBuf,
}

impl Place {
    pub(super) fn is_bare(&self) -> bool {
        self.top == self.common
    }

    /// In a reftable repository the files named HEAD tell nothing.
    fn keeps_heads_in_files(&self) -> bool {
        !self.common.join("reftable").is_dir()
    }
}

impl Git {
    /// Looks at the repository that `path` lies in: its worktrees, their locks and heads, no status.
    pub fn repository(&self, path: &Path) -> Observed<Repository> {
        match self.read_repository(path) {
            Ok(repository) => Observed::Known(repository),
            Err(error) => Observed::Unknown(blind("repository", path, &error)),
        }
    }

    pub(super) fn read_repository(&self, path: &Path) -> Result<Repository, GitError> {
        let place = self.place(path)?;
        let mut listed =
            if place.keeps_heads_in_files() { BTreeMap::new() } else { self.listed_heads(path)? };
        let mut worktrees = Vec::new();
        for entry in entries(&place.common)? {
            // Without its path the entry is a killed `git worktree add` that has made nothing else yet.
            let Some(path) = entry.path.clone() else { continue };
            let head = match entry.head() {
                Head::Unreadable => listed.remove(&path).unwrap_or(Head::Unreadable),
                head => head,
            };
            // One whose rebuild was cut off is lost until that is finished.
            let present = is_there(&path).unwrap_or(true) && !is_being_rebuilt(&entry);
            worktrees.push(Worktree { path, admin: entry.admin, head, lock: entry.lock, present });
        }
        Ok(Repository { common: place.common, top: place.top, worktrees })
    }

    /// Finds the repository that a path lies in.
    pub(super) fn place(&self, path: &Path) -> Result<Place, GitError> {
        let none: [&Path; 0] = [];
        let opened = git2::Repository::open_ext(path, git2::RepositoryOpenFlags::empty(), none);
        let (common, top) = match opened.and_then(|repo| place_by_git2(&repo)) {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "git2 leaves it to git");
                self.place_by_git(path)?
            }
        };
        let common = std::fs::canonicalize(&common).map_err(file("resolve", &common))?;
        let top = match top {
            Some(top) => std::fs::canonicalize(&top).map_err(file("resolve", &top))?,
            None => common.clone(),
        };
        Ok(Place { common, top })
    }

    fn place_by_git(&self, path: &Path) -> Result<(PathBuf, Option<PathBuf>), GitError> {
        if std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Err(GitError::NoDirectory);
        }
        let ask = self.look(path).args(["rev-parse", "--path-format=absolute", "--git-common-dir"]);
        let common = match line(&ask, "git rev-parse") {
            // The driver asks in the C locale.
            Err(GitError::Refused { said, .. }) if said.starts_with("not a git repository") => {
                return Err(GitError::NoRepository);
            }
            answer => PathBuf::from(answer?),
        };
        let ask = self.look(path).args(["worktree", "list", "--porcelain", "-z"]);
        let listing = output(&ask, "git worktree list")?;
        let main = listing.split(|byte| *byte == 0).take_while(|field| !field.is_empty());
        let mut top = None;
        for field in main {
            if field == b"bare" {
                top = None;
            } else if let Some(path) = field.strip_prefix(b"worktree ") {
                top = Some(PathBuf::from(OsString::from_vec(path.to_vec())));
            }
        }
        Ok((common, top))
    }

    /// What `git worktree list` says of every HEAD, by path.
    fn listed_heads(&self, path: &Path) -> Result<BTreeMap<PathBuf, Head>, GitError> {
        let ask = self.look(path).args(["worktree", "list", "--porcelain", "-z"]);
        let listing = output(&ask, "git worktree list")?;
        let mut heads = BTreeMap::new();
        let mut current = PathBuf::new();
        for field in listing.split(|byte| *byte == 0) {
            if let Some(path) = field.strip_prefix(b"worktree ") {
                current = PathBuf::from(OsString::from_vec(path.to_vec()));
            } else if let Some(id) = field.strip_prefix(b"HEAD ") {
                let id = String::from_utf8_lossy(id).into_owned();
                if is_id(&id) {
                    heads.insert(current.clone(), Head::Detached(id));
                }
            } else if let Some(name) = field.strip_prefix(b"branch refs/heads/") {
                let name = String::from_utf8_lossy(name).into_owned();
                heads.insert(current.clone(), Head::Branch(name));
            }
        }
        Ok(heads)
    }

    /// What the main worktree's HEAD is; `None` in a bare repository.
    pub(super) fn main_head(&self, place: &Place) -> Result<Option<Head>, GitError> {
        if place.is_bare() {
            return Ok(None);
        }
        if place.keeps_heads_in_files() {
            return Ok(Some(head_in(&place.common)));
        }
        Ok(self.listed_heads(&place.top)?.remove(&place.top))
    }
}

fn place_by_git2(repo: &git2::Repository) -> Result<(PathBuf, Option<PathBuf>), git2::Error> {
    let common = repo.commondir().to_owned();
    let top = if repo.is_worktree() {
        git2::Repository::open(&common)?.workdir().map(Path::to_owned)
    } else {
        repo.workdir().map(Path::to_owned)
    };
    Ok((common, top))
}

pub(super) fn blind(kind: &str, path: &Path, error: &GitError) -> Blind {
    Blind { what: format!("{kind} {}", path.display()), cause: error.line() }
}
