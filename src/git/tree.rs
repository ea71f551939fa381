//! A commit's files, from the object database. Owns the reading of a tree at a revision; runs no program and
//! looks at no working directory. Invariant: a file's size is known before its first byte is read, and no link
//! leads out of the tree.

use super::within::{Astray, Stand, follow};
use crate::snapshot::Commit;
use git2::{ErrorCode, ObjectType, Oid, Repository, RepositoryOpenFlags};
use jiff::Timestamp;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A link, among the modes of a tree's entries.
const LINK: i32 = 0o120_000;
/// The longest path that a link may hold.
const LONGEST_LINK: usize = 4_096;
/// The most files that a listing goes through.
const MOST_FILES: usize = 200_000;

/// Why a revision could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// git2 cannot read the repository.
    #[error("the repository {} cannot be read", top.display())]
    Repository {
        /// Its top directory.
        top: PathBuf,
        /// Why.
        #[source]
        source: git2::Error,
    },
    /// It belongs to another user, and git takes no word of such a one.
    #[error("the repository {} belongs to another user", top.display())]
    Owner {
        /// Its top directory.
        top: PathBuf,
    },
    /// The repository has no such revision.
    #[error("there is no revision {revision} in this {}", if *shallow { "shallow clone" } else { "repository" })]
    Unknown {
        /// As it was asked for.
        revision: String,
        /// Its history was cut off when it was cloned.
        shallow: bool,
    },
    /// The revision is there, and what it names cannot be read.
    #[error("the revision {revision} cannot be read")]
    Unreadable {
        /// As it was asked for.
        revision: String,
        /// Why.
        #[source]
        source: git2::Error,
    },
}

/// Why a file of a commit, or of a checkout, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// There is none.
    #[error("there is no such file")]
    Missing,
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// It lies outside.
    #[error("it lies outside of the repository")]
    Outside,
    /// Its links lead in a circle.
    #[error("too many links lead to it")]
    Links,
    /// No commit would hold it.
    #[error("git does not track it")]
    Untracked,
    /// A pipe, a socket, a device, or a repository inside.
    #[error("it is no regular file")]
    Special,
    /// It is larger than its reader takes, or there are too many of them.
    #[error("it is too large")]
    Large,
    /// The system refused.
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The object database did.
    #[error("it cannot be read")]
    Git(#[source] git2::Error),
}

impl From<Astray<TreeError>> for TreeError {
    fn from(astray: Astray<TreeError>) -> Self {
        match astray {
            Astray::Outside => Self::Outside,
            Astray::Links => Self::Links,
            Astray::Missing => Self::Missing,
            Astray::Unseen(error) => error,
        }
    }
}

/// The files of one commit.
pub struct Tree {
    repo: Repository,
    tree: Oid,
    /// Which commit.
    pub commit: Commit,
}

impl Tree {
    /// Opens a revision of the repository at this top directory.
    ///
    /// # Errors
    /// [`RevisionError`].
    pub fn open(top: &Path, revision: &str) -> Result<Self, RevisionError> {
        let repo = open(top)?;
        let found = repo.revparse_single(revision).and_then(|object| object.peel_to_commit());
        let read = found.map(|commit| {
            let time = Timestamp::from_second(commit.time().seconds());
            let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
            (commit.tree_id(), Commit { id: commit.id().to_string(), time })
        });
        match read {
            Ok((tree, commit)) => Ok(Self { repo, tree, commit }),
            Err(error) => Err(no_revision(&repo, revision, error)),
        }
    }

    /// A file's bytes.
    ///
    /// # Errors
    /// [`TreeError::Large`] beyond the limit; any other.
    pub fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, TreeError> {
        let (at, stand) = self.follow(path)?;
        if stand == Stand::Directory {
            return Err(TreeError::Directory);
        }
        let entry = self.root()?.get_path(&at).map_err(TreeError::Git)?;
        if entry.kind() != Some(ObjectType::Blob) {
            return Err(TreeError::Special);
        }
        self.blob(entry.id(), limit)
    }

    /// All files below a directory, relative to it, links included.
    ///
    /// # Errors
    /// [`TreeError::Missing`] when there is no such directory; [`TreeError::Large`] when there are too many.
    pub fn files(&self, below: &Path) -> Result<Vec<PathBuf>, TreeError> {
        let (at, stand) = self.follow(below)?;
        if stand != Stand::Directory {
            return Err(TreeError::Missing);
        }
        let top = match at.as_os_str().is_empty() {
            true => self.root()?,
            false => {
                let entry = self.root()?.get_path(&at).map_err(TreeError::Git)?;
                self.repo.find_tree(entry.id()).map_err(TreeError::Git)?
            }
        };
        let mut found = Vec::new();
        let mut open = vec![(PathBuf::new(), top)];
        let mut seen = 0;
        while let Some((directory, tree)) = open.pop() {
            for entry in &tree {
                seen += 1;
                if seen > MOST_FILES {
                    return Err(TreeError::Large);
                }
                let path = directory.join(OsStr::from_bytes(entry.name_bytes()));
                match entry.kind() {
                    Some(ObjectType::Blob) => found.push(path),
                    Some(ObjectType::Tree) => {
                        let tree = self.repo.find_tree(entry.id()).map_err(TreeError::Git)?;
                        open.push((path, tree));
                    }
                    // A repository inside has no files here.
                    _ => {}
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn root(&self) -> Result<git2::Tree<'_>, TreeError> {
        self.repo.find_tree(self.tree).map_err(TreeError::Git)
    }

    fn follow(&self, path: &Path) -> Result<(PathBuf, Stand), TreeError> {
        let root = self.root()?;
        Ok(follow(path, |at| self.stand(&root, at))?)
    }

    fn stand(&self, root: &git2::Tree<'_>, at: &Path) -> Result<Stand, TreeError> {
        let entry = match root.get_path(at) {
            Ok(entry) => entry,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(Stand::Missing),
            Err(error) => return Err(TreeError::Git(error)),
        };
        Ok(match (entry.kind(), entry.filemode()) {
            (Some(ObjectType::Tree), _) => Stand::Directory,
            (Some(ObjectType::Blob), LINK) => {
                let target = self.blob(entry.id(), LONGEST_LINK)?;
                Stand::Link(PathBuf::from(OsStr::from_bytes(&target)))
            }
            _ => Stand::File,
        })
    }

    fn blob(&self, id: Oid, limit: usize) -> Result<Vec<u8>, TreeError> {
        let objects = self.repo.odb().map_err(TreeError::Git)?;
        let (size, _) = objects.read_header(id).map_err(TreeError::Git)?;
        if size > limit {
            return Err(TreeError::Large);
        }
        let object = objects.read(id).map_err(TreeError::Git)?;
        Ok(object.data().to_vec())
    }
}

/// Opens the repository at exactly this directory, whatever the environment says.
pub(super) fn open(top: &Path) -> Result<Repository, RevisionError> {
    let none: [&Path; 0] = [];
    let opened = Repository::open_ext(top, RepositoryOpenFlags::NO_SEARCH, none);
    opened.map_err(|source| unreadable(top, source))
}

pub(super) fn unreadable(top: &Path, source: git2::Error) -> RevisionError {
    let top = top.to_owned();
    match source.code() {
        ErrorCode::Owner => RevisionError::Owner { top },
        _ => RevisionError::Repository { top, source },
    }
}

fn no_revision(repo: &Repository, revision: &str, source: git2::Error) -> RevisionError {
    let revision = revision.to_owned();
    match source.code() {
        ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Peel | ErrorCode::Invalid => {
            RevisionError::Unknown { revision, shallow: repo.is_shallow() }
        }
        _ => RevisionError::Unreadable { revision, source },
    }
}
