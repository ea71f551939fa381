//! Moves worktrees to the trash and back. Owns the order of it, each step of which may be repeated after a
//! kill; deletes nothing. Invariant: only a linked worktree whose lock names the incarnation is moved, and its
//! index and files stay as they are, byte for byte.

use super::entry::{
    DESCRIPTION, Entry, entry_of, forward_link, is_there, move_to, read_if_there, replace,
    same_place,
};
use super::ground::is_empty_directory;
use super::inspect::Place;
use super::{Git, GitError, file, output};
use crate::failpoint::boundary;
use crate::record::BranchAt;
use crate::snapshot::Lock;
use crate::world::WorktreeOf;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file in an entry that remembers what HEAD was before the move.
const NOTE: &str = "fleetctl-trash.json";
/// What makes git count a branch as checked out, beside HEAD.
const HOLDS_A_BRANCH: [&str; 3] = ["rebase-merge", "rebase-apply", "BISECT_START"];

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    branch: Option<BranchAt>,
}

impl Git {
    /// Moves a worktree to the trash and frees its branch: HEAD is detached where it stands, and an operation
    /// under way is put aside. Gives the branch that HEAD was on. Done already when it lies there.
    ///
    /// # Errors
    /// [`GitError::NotOurs`], [`GitError::Elsewhere`] or [`GitError::Taken`] before anything is moved.
    pub fn trash(&self, worktree: &WorktreeOf, to: &Path) -> Result<Option<BranchAt>, GitError> {
        let place = self.place(&worktree.repo)?;
        let entry = self.ours(&place, worktree)?;
        if !lies_at(&entry, to)? {
            self.note_and_move(&entry, &worktree.path, to)?;
        }
        boundary();
        entry.link(to)?;
        boundary();
        let note = Note::read(&entry)?;
        self.detach(&entry, to)?;
        for name in HOLDS_A_BRANCH {
            boundary();
            move_if_there(&entry.admin.join(name), &aside(&entry, name))?;
        }
        Ok(note.and_then(|note| note.branch))
    }

    fn note_and_move(&self, entry: &Entry, from: &Path, to: &Path) -> Result<(), GitError> {
        if !lies_at(entry, from)? {
            let found = entry.path.clone().unwrap_or_default();
            return Err(GitError::Elsewhere { found, expected: from.to_owned() });
        }
        if is_there(to)? {
            return Err(GitError::Taken { path: to.to_owned() });
        }
        let head = self.commit(from, "HEAD")?.map(|commit| commit.id);
        let branch = match (self.branch_of(entry, from)?, head) {
            (Some(name), Some(at)) => Some(BranchAt { name, at }),
            _ => None,
        };
        let note = serde_json::to_vec(&Note { branch }).map_err(std::io::Error::from);
        entry.replace(NOTE, &note.map_err(file("write", &entry.admin))?)?;
        absolute(entry, from)?;
        boundary();
        move_to(from, to)
    }

    /// Detaches HEAD where it stands; neither the index nor a file changes.
    fn detach(&self, entry: &Entry, path: &Path) -> Result<(), GitError> {
        let (Some(_), Some(head)) = (self.branch_of(entry, path)?, self.commit(path, "HEAD")?)
        else {
            return Ok(());
        };
        let why = ["update-ref", "--no-deref", "-m", "fleetctl: moved to the trash", "HEAD"];
        output(&self.quiet(path).args(why).arg(&head.id), "git update-ref").map(drop)
    }

    /// Brings a worktree back from the trash to its path. HEAD goes back to `branch` only if that points where
    /// it did and is checked out nowhere else. Gives whether HEAD is on it. Done already when it is back.
    ///
    /// # Errors
    /// [`GitError::NotReadBack`], [`GitError::Taken`] or [`GitError::BranchBusy`] before anything is moved.
    pub fn untrash(
        &self,
        worktree: &WorktreeOf,
        from: &Path,
        branch: Option<&BranchAt>,
        salvage: &[String],
    ) -> Result<bool, GitError> {
        let place = self.place(&worktree.repo)?;
        let entry = self.ours(&place, worktree)?;
        self.read_back(&place.top, salvage.iter())?;
        let path = &worktree.path;
        if !lies_at(&entry, path)? {
            if !lies_at(&entry, from)? {
                let found = entry.path.clone().unwrap_or_default();
                return Err(GitError::Elsewhere { found, expected: from.to_owned() });
            }
            self.refuse_busy_branch(&place, &entry)?;
            if is_empty_directory(path) {
                std::fs::remove_dir(path).map_err(file("remove", path))?;
            }
            absolute(&entry, from)?;
            boundary();
            move_to(from, path)?;
        }
        boundary();
        entry.link(path)?;
        for name in HOLDS_A_BRANCH {
            boundary();
            move_if_there(&aside(&entry, name), &entry.admin.join(name))?;
        }
        let emptied = aside(&entry, "");
        if is_empty_directory(&emptied) {
            std::fs::remove_dir(&emptied).map_err(file("remove", &emptied))?;
        }
        let attached = match branch {
            Some(branch) => self.attach_if_same(&place, &entry, path, branch)?,
            None => false,
        };
        boundary();
        let note = entry.admin.join(NOTE);
        if is_there(&note)? {
            std::fs::remove_file(&note).map_err(file("remove", &note))?;
        }
        Ok(attached)
    }

    fn attach_if_same(
        &self,
        place: &Place,
        entry: &Entry,
        path: &Path,
        branch: &BranchAt,
    ) -> Result<bool, GitError> {
        if let Some(current) = self.branch_of(entry, path)? {
            return Ok(current == branch.name);
        }
        let reference = format!("refs/heads/{}", branch.name);
        for name in [&reference, "HEAD"] {
            if self.commit(path, name)?.is_none_or(|commit| commit.id != branch.at) {
                return Ok(false);
            }
        }
        if self.checkout_of(place, &branch.name)?.is_some() {
            return Ok(false);
        }
        let why = ["symbolic-ref", "-m", "fleetctl: back from the trash", "HEAD", &reference];
        output(&self.quiet(path).args(why), "git symbolic-ref")?;
        Ok(true)
    }

    /// An operation that was put aside comes back to its branch: not while that is checked out elsewhere.
    fn refuse_busy_branch(&self, place: &Place, entry: &Entry) -> Result<(), GitError> {
        for name in ["rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"] {
            let Some(text) = read_if_there(&aside(entry, name))? else { continue };
            let text = String::from_utf8_lossy(&text);
            let branch = text.trim_end().trim_start_matches("refs/heads/");
            if let Some(at) = self.checkout_of(place, branch)? {
                return Err(GitError::BranchBusy { branch: branch.to_owned(), at });
            }
        }
        Ok(())
    }

    /// Writes what fleetctl knows of a worktree into its entry.
    ///
    /// # Errors
    /// [`GitError::NotOurs`], or [`GitError::File`].
    pub fn describe(&self, worktree: &WorktreeOf, json: &str) -> Result<(), GitError> {
        let place = self.place(&worktree.repo)?;
        self.ours(&place, worktree)?.replace(DESCRIPTION, json.as_bytes())
    }

    /// Removes a worktree's lock, and nothing else. Done already when the worktree at the path has none.
    ///
    /// # Errors
    /// [`GitError::NotOurs`] when it is locked by someone else.
    pub fn let_go(&self, worktree: &WorktreeOf) -> Result<(), GitError> {
        let place = self.place(&worktree.repo)?;
        let entry = match self.ours(&place, worktree) {
            Ok(entry) => entry,
            Err(error) => {
                let listed = self.read_repository(&place.common)?.worktrees;
                let free = |w: &crate::snapshot::Worktree| {
                    w.lock == Lock::No && same_place(&w.path, &worktree.path)
                };
                return if listed.iter().any(free) { Ok(()) } else { Err(error) };
            }
        };
        let path = entry.path.unwrap_or_else(|| worktree.path.clone());
        let unlock = self.act(&place.top).args(["worktree", "unlock"]).arg(&path);
        output(&unlock, "git worktree unlock").map(drop)
    }

    pub(super) fn ours(&self, place: &Place, worktree: &WorktreeOf) -> Result<Entry, GitError> {
        let missing = || GitError::NotOurs { repo: worktree.repo.clone(), uid: worktree.uid };
        entry_of(&place.common, worktree.uid)?.ok_or_else(missing)
    }
}

impl Note {
    fn read(entry: &Entry) -> Result<Option<Self>, GitError> {
        let path = entry.admin.join(NOTE);
        let Some(text) = read_if_there(&path)? else { return Ok(None) };
        let note = serde_json::from_slice(&text).map_err(std::io::Error::from);
        note.map(Some).map_err(file("read", &path))
    }
}

/// The directory at this path is the entry's worktree, whatever the entry thinks.
fn lies_at(entry: &Entry, path: &Path) -> Result<bool, GitError> {
    Ok(forward_link(path)?.is_some_and(|admin| same_place(&admin, &entry.admin)))
}

/// A relative link would not survive the move.
fn absolute(entry: &Entry, path: &Path) -> Result<(), GitError> {
    use std::os::unix::ffi::OsStrExt;
    let dot_git = path.join(".git");
    let text = read_if_there(&dot_git)?.unwrap_or_default();
    if text.starts_with(b"gitdir: /") {
        return Ok(());
    }
    replace(&dot_git, &[b"gitdir: ", entry.admin.as_os_str().as_bytes(), b"\n"].concat())
}

fn aside(entry: &Entry, name: &str) -> std::path::PathBuf {
    entry.admin.join("fleetctl-aside").join(name)
}

fn move_if_there(from: &Path, to: &Path) -> Result<(), GitError> {
    if is_there(from)? { move_to(from, to) } else { Ok(()) }
}
