//! A commit's files, from the object database. Owns the reading of a tree at a revision; runs no program and
//! looks at no working directory. Invariant: a file's size is known before its first byte is read, and no link
//! leads out of the tree.

use super::within::{Astray, Stand, follow};
use crate::snapshot::Commit;
use git2::{ErrorCode, ObjectType, Oid, Repository, RepositoryOpenFlags};
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The modes of a tree's entries; git2 makes older ones into these.
const FILE: i32 = 0o100_644;
const PROGRAM: i32 = 0o100_755;
const LINK: i32 = 0o120_000;
const DIRECTORY: i32 = 0o040_000;
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

/// What stands in one directory, by name.
type Listing = HashMap<OsString, (Oid, i32)>;

/// The files of one commit.
pub struct Tree {
    repo: Repository,
    tree: Oid,
    /// Directories that were read: git2 keeps no large one.
    known: RefCell<HashMap<PathBuf, Rc<Listing>>>,
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
            Ok((tree, commit)) => {
                let known = RefCell::default();
                Ok(Self { repo, tree, known, commit })
            }
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
        match self.entry(&at)? {
            Some((id, FILE | PROGRAM | LINK)) => self.blob(id, limit),
            _ => Err(TreeError::Special),
        }
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
        let id = match at.as_os_str().is_empty() {
            true => self.tree,
            false => self.entry(&at)?.ok_or(TreeError::Missing)?.0,
        };
        let top = self.repo.find_tree(id).map_err(TreeError::Git)?;
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

    fn follow(&self, path: &Path) -> Result<(PathBuf, Stand), TreeError> {
        Ok(follow(path, |at| self.stand(at))?)
    }

    fn stand(&self, at: &Path) -> Result<Stand, TreeError> {
        Ok(match self.entry(at)? {
            None => Stand::Missing,
            Some((_, DIRECTORY)) => Stand::Directory,
            Some((id, LINK)) => {
                let target = self.blob(id, LONGEST_LINK)?;
                Stand::Link(PathBuf::from(OsStr::from_bytes(&target)))
            }
            Some(_) => Stand::File,
        })
    }

    /// What stands at a path without links, and its mode.
    fn entry(&self, at: &Path) -> Result<Option<(Oid, i32)>, TreeError> {
        let (Some(directory), Some(name)) = (at.parent(), at.file_name()) else { return Ok(None) };
        Ok(self.listing(directory)?.and_then(|listing| listing.get(name).copied()))
    }

    fn listing(&self, directory: &Path) -> Result<Option<Rc<Listing>>, TreeError> {
        if let Some(known) = self.known.borrow().get(directory) {
            return Ok(Some(Rc::clone(known)));
        }
        let id = match directory.as_os_str().is_empty() {
            true => self.tree,
            false => match self.entry(directory)? {
                Some((id, DIRECTORY)) => id,
                _ => return Ok(None),
            },
        };
        let tree = self.repo.find_tree(id).map_err(TreeError::Git)?;
        let entries = tree.iter().map(|entry| {
            let name = OsStr::from_bytes(entry.name_bytes()).to_owned();
            (name, (entry.id(), entry.filemode()))
        });
        let listing = Rc::new(entries.collect::<Listing>());
        self.known.borrow_mut().insert(directory.to_owned(), Rc::clone(&listing));
        Ok(Some(listing))
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
