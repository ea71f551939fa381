//! Empties the trash: the one place that deletes directories. Owns the order of it: name, files, entry, refs;
//! deletes only what its caller names and its lock or ref name proves ours. Invariant: what is to be deleted
//! is renamed first, so that nothing half deleted stands under a name that can be restored.

use super::entry::{Entry, entry_of, is_there, move_to, same_place};
use super::inspect::Place;
use super::salvage::{delete_refs, prefix};
use super::{Git, GitError, file};
use crate::failpoint::boundary;
use crate::name::Uid;
use crate::world::WorktreeOf;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

impl Git {
    /// Deletes a directory of the trash, then the worktree's entry, then the salvaged refs. What is gone
    /// already is passed over.
    ///
    /// # Errors
    /// [`GitError::ForeignRef`] when a ref is not this incarnation's; [`GitError::Elsewhere`] when the worktree
    /// does not lie in the trash. Then nothing is deleted.
    pub fn empty_trash(
        &self,
        path: &Path,
        worktree: &WorktreeOf,
        salvage: &[String],
    ) -> Result<(), GitError> {
        let uid = worktree.uid;
        let ours = prefix(uid);
        if let Some(foreign) = salvage.iter().find(|name| !name.starts_with(&ours)) {
            return Err(GitError::ForeignRef { reference: foreign.clone(), uid });
        }
        let place = self.place(&worktree.repo)?;
        let entry = entry_of(&place.common, uid)?;
        if let Some(found) = entry.as_ref().and_then(|entry| entry.path.clone())
            && !same_place(&found, path)
        {
            return Err(GitError::Elsewhere { found, expected: path.to_owned() });
        }
        if entry.is_none() && is_there(path)? {
            return Err(GitError::NotOurs { repo: worktree.repo.clone(), uid });
        }
        delete(path, uid)?;
        boundary();
        drop_entry(&place, uid, entry.as_ref())?;
        boundary();
        delete_refs(self, &place.top, uid)
    }
}

/// Renames, then deletes.
fn delete(path: &Path, uid: Uid) -> Result<(), GitError> {
    let doomed = path.with_file_name(format!(".deleting-{uid}"));
    if is_there(&doomed)? {
        delete_tree(&doomed)?;
    }
    if is_there(path)? {
        move_to(path, &doomed)?;
        boundary();
        delete_tree(&doomed)?;
    }
    Ok(())
}

/// Takes an entry out of the repository's list in one step, then deletes it.
pub(super) fn drop_entry(place: &Place, uid: Uid, entry: Option<&Entry>) -> Result<(), GitError> {
    let doomed = place.common.join(format!("fleetctl-deleting-{uid}"));
    if is_there(&doomed)? {
        delete_tree(&doomed)?;
    }
    if let Some(entry) = entry {
        move_to(&entry.admin, &doomed)?;
        boundary();
        delete_tree(&doomed)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this is what emptying the trash is")]
fn delete_tree(path: &Path) -> Result<(), GitError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            // Some tools write their directories read-only (Go's module cache does).
            make_writable(path);
            std::fs::remove_dir_all(path).map_err(file("delete", path))
        }
        done => done.map_err(file("delete", path)),
    }
}

fn make_writable(path: &Path) {
    let mut open = vec![path.to_owned()];
    while let Some(directory) = open.pop() {
        let writable = std::fs::Permissions::from_mode(0o700);
        if let Err(error) = std::fs::set_permissions(&directory, writable) {
            tracing::debug!(path = %directory.display(), %error, "cannot make it writable");
        }
        let Ok(items) = std::fs::read_dir(&directory) else { continue };
        let below = items.flatten().filter(|item| item.file_type().is_ok_and(|kind| kind.is_dir()));
        open.extend(below.map(|item| item.path()));
    }
}

/// Copies plain files and directories; links are copied as links, anything else is passed over.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), GitError> {
    std::fs::create_dir_all(to).map_err(file("mkdir", to))?;
    for item in std::fs::read_dir(from).map_err(file("read", from))? {
        let item = item.map_err(file("read", from))?;
        let (source, target): (PathBuf, PathBuf) = (item.path(), to.join(item.file_name()));
        let kind = item.file_type().map_err(file("stat", &source))?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            let points = std::fs::read_link(&source).map_err(file("read", &source))?;
            std::os::unix::fs::symlink(points, &target).map_err(file("link", &target))?;
        } else if kind.is_file() {
            std::fs::copy(&source, &target).map_err(file("copy", &target))?;
        }
    }
    Ok(())
}
