//! Makes a lost worktree's directory anew. Owns what is kept of the lost one's index and logs; overwrites no
//! file. Invariant: the entry's own files are copied and synced before the first of them changes.

use super::add::{free_name, wait_for_orphans};
use super::empty::copy_tree;
use super::entry::{Entry, forward_link, is_there, move_to, read_if_there, same_place};
use super::ground::is_empty_directory;
use super::{Git, GitError, file, output};
use crate::failpoint::boundary;
use crate::world::WorktreeOf;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The file in an entry that says where the lost one's files are kept, while the rebuild is under way.
const NOTE: &str = "fleetctl-rebuild";
/// What an operation under way leaves. Without the index that it went with it would only mislead.
const OPERATION: [&str; 10] = [
    "MERGE_HEAD",
    "MERGE_MODE",
    "MERGE_MSG",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "rebase-merge",
    "rebase-apply",
    "sequencer",
    "BISECT_START",
    "BISECT_LOG",
];

impl Git {
    /// Keeps a copy of a lost worktree's entry (its index, its HEAD log) in `keep`, then checks HEAD out again
    /// at the same path. Done already when the worktree stands there.
    ///
    /// # Errors
    /// [`GitError::Taken`] when something stands at the path; [`GitError::Hook`] when only the hook failed.
    pub fn rebuild(&self, worktree: &WorktreeOf, keep: &Path) -> Result<(), GitError> {
        let place = self.place(&worktree.repo)?;
        let entry = self.ours(&place, worktree)?;
        let path = &worktree.path;
        if entry.path.as_deref().is_none_or(|known| !same_place(known, path)) {
            let found = entry.path.clone().unwrap_or_default();
            return Err(GitError::Elsewhere { found, expected: path.clone() });
        }
        let note = entry.admin.join(NOTE);
        match read_if_there(&note)? {
            Some(kept) => {
                self.start_over(&entry, worktree, &PathBuf::from(OsStr::from_bytes(&kept)))?
            }
            None if stands(&entry, path)? => return Ok(()),
            None if is_there(path)? && !is_empty_directory(path) => {
                return Err(GitError::Taken { path: path.clone() });
            }
            None => {
                let kept = keep_copy(&entry, keep)?;
                boundary();
                entry.replace(NOTE, &kept.into_os_string().into_vec())?;
                boundary();
            }
        }
        self.put_aside(&entry)?;
        boundary();
        std::fs::create_dir_all(path).map_err(file("mkdir", path))?;
        entry.link(path)?;
        boundary();
        if self.commit(path, "HEAD")?.is_some() {
            output(&self.act(path).args(["read-tree", "-m", "-u", "HEAD"]), "git read-tree")?;
        }
        let hook = self.run_hook(path);
        std::fs::remove_file(&note).map_err(file("remove", &note))?;
        hook
    }

    /// A killed rebuild: nothing worked there yet, and what it had made is kept beside the copy.
    fn start_over(
        &self,
        entry: &Entry,
        worktree: &WorktreeOf,
        kept: &Path,
    ) -> Result<(), GitError> {
        let path = &worktree.path;
        wait_for_orphans(worktree)?;
        if is_there(path)? {
            move_to(path, &free_name(&kept.join("half-made"))?)?;
        }
        let lock = entry.admin.join("index.lock");
        if is_there(&lock)? {
            std::fs::remove_file(&lock).map_err(file("remove", &lock))?;
        }
        Ok(())
    }

    /// Takes the index and an operation under way out of git's sight. The copy has them.
    fn put_aside(&self, entry: &Entry) -> Result<(), GitError> {
        for name in OPERATION.into_iter().chain(["index"]) {
            let found = entry.admin.join(name);
            if is_there(&found)? {
                let aside = entry.admin.join("fleetctl-lost").join(name);
                move_to(&found, &free_name(&aside)?)?;
            }
        }
        Ok(())
    }
}

/// A rebuild began and did not come to its end.
pub(super) fn is_being_rebuilt(entry: &Entry) -> bool {
    entry.admin.join(NOTE).exists()
}

/// It is not lost, or not any more.
fn stands(entry: &Entry, path: &Path) -> Result<bool, GitError> {
    let linked = forward_link(path)?.is_some_and(|admin| same_place(&admin, &entry.admin));
    Ok(linked && entry.is_checked_out())
}

/// Copies the entry, under its name only when complete.
fn keep_copy(entry: &Entry, keep: &Path) -> Result<PathBuf, GitError> {
    let keep = free_name(keep)?;
    let mut part = keep.clone().into_os_string();
    part.push(".part");
    let part = free_name(Path::new(&part))?;
    copy_tree(&entry.admin, &part)?;
    for name in ["index", "logs/HEAD"] {
        let copy = part.join(name);
        if is_there(&copy)? {
            let synced = std::fs::File::open(&copy).and_then(|copy| copy.sync_all());
            synced.map_err(file("sync", &copy))?;
        }
    }
    move_to(&part, &keep)?;
    Ok(keep)
}
