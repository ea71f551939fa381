//! A linked worktree's entry, `<common>/worktrees/<id>/`, as files. Owns how its path, HEAD and lock are read
//! and how its files are replaced; does not run git. Invariant: an entry belongs to an incarnation only by
//! its lock.

use super::{GitError, file};
use crate::name::Uid;
use crate::snapshot::{Head, Lock};
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The file in an entry that says what fleetctl knows of the worktree; written when it is complete.
pub(super) const DESCRIPTION: &str = "fleetctl.json";
/// The file in an entry that lists what `files` brought.
pub(super) const BROUGHT: &str = "fleetctl-files.json";

/// An entry.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) admin: PathBuf,
    /// The worktree's directory; `None` when a killed `git worktree add` had not yet written it.
    pub(super) path: Option<PathBuf>,
    pub(super) lock: Lock,
}

impl Entry {
    /// Reads the entry in this directory.
    pub(super) fn read(admin: &Path) -> Result<Self, GitError> {
        let lock = read_lock(admin)?;
        let path = read_if_there(&admin.join("gitdir"))?.and_then(|text| back_link(admin, &text));
        Ok(Self { admin: admin.to_owned(), path, lock })
    }

    /// Where HEAD points, as far as files tell (a reftable repository keeps it elsewhere).
    pub(super) fn head(&self) -> Head {
        head_in(&self.admin)
    }

    /// The checkout came to its end: git renames the index into place after the last file.
    pub(super) fn is_checked_out(&self) -> bool {
        self.admin.join("index").is_file()
            && !self.admin.join("index.lock").exists()
            && self.path.as_deref().is_some_and(|path| path.join(".git").exists())
    }

    pub(super) fn is_described(&self) -> bool {
        std::fs::metadata(self.admin.join(DESCRIPTION)).is_ok_and(|found| found.len() > 0)
    }

    /// Writes one of the entry's files, so that it has either its old or its new contents.
    pub(super) fn replace(&self, name: &str, contents: &[u8]) -> Result<(), GitError> {
        replace(&self.admin.join(name), contents)
    }

    /// Points the entry and the worktree's `.git` at each other. Done already when they do.
    pub(super) fn link(&self, path: &Path) -> Result<(), GitError> {
        let dot_git = path.join(".git");
        if self.path.as_deref() != Some(path) {
            let mut back = dot_git.as_os_str().as_bytes().to_vec();
            back.push(b'\n');
            self.replace("gitdir", &back)?;
        }
        if forward_link(path)?.is_none_or(|admin| !same_place(&admin, &self.admin)) {
            let mut forward = b"gitdir: ".to_vec();
            forward.extend_from_slice(self.admin.as_os_str().as_bytes());
            forward.push(b'\n');
            replace(&dot_git, &forward)?;
        }
        Ok(())
    }
}

/// All entries of a repository, by id.
pub(super) fn entries(common: &Path) -> Result<Vec<Entry>, GitError> {
    admins(common)?.iter().map(|admin| Entry::read(admin)).collect()
}

/// The entry whose lock names the incarnation.
pub(super) fn entry_of(common: &Path, uid: Uid) -> Result<Option<Entry>, GitError> {
    for admin in admins(common)? {
        let lock = read_lock(&admin)?;
        if matches!(lock, Lock::Fleet { uid: owner, .. } if owner == uid) {
            return Entry::read(&admin).map(Some);
        }
    }
    Ok(None)
}

fn admins(common: &Path) -> Result<Vec<PathBuf>, GitError> {
    let directory = common.join("worktrees");
    let listing = match std::fs::read_dir(&directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file("read", &directory)(error)),
    };
    let mut admins = Vec::new();
    for item in listing {
        let item = item.map_err(file("read", &directory))?;
        if item.file_type().map_err(file("stat", &directory))?.is_dir() {
            admins.push(item.path());
        }
    }
    admins.sort();
    Ok(admins)
}

fn read_lock(admin: &Path) -> Result<Lock, GitError> {
    Ok(match read_if_there(&admin.join("locked"))? {
        None => Lock::No,
        Some(reason) => parse_lock(&String::from_utf8_lossy(&reason)),
    })
}

/// The entry that a worktree's `.git` file names; `None` when there is no such file.
pub(super) fn forward_link(path: &Path) -> Result<Option<PathBuf>, GitError> {
    let dot_git = path.join(".git");
    if dot_git.is_dir() {
        return Ok(None);
    }
    let Some(text) = read_if_there(&dot_git)? else { return Ok(None) };
    let Some(target) = text.strip_prefix(b"gitdir: ") else { return Ok(None) };
    Ok(Some(path.join(path_from(target))))
}

fn back_link(admin: &Path, text: &[u8]) -> Option<PathBuf> {
    let link = path_from(text);
    // Whoever makes the entry creates the file and then writes it.
    if link.as_os_str().is_empty() {
        return None;
    }
    let dot_git = admin.join(link);
    let path = dot_git.parent()?;
    if text.starts_with(b"/") {
        return Some(path.to_owned());
    }
    // Relative links (git 2.48 and later) are relative to the entry.
    Some(std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
}

fn path_from(text: &[u8]) -> PathBuf {
    let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
    PathBuf::from(OsString::from_vec(text[..end].to_vec()))
}

/// What `<directory>/HEAD` says.
pub(super) fn head_in(directory: &Path) -> Head {
    std::fs::read_to_string(directory.join("HEAD")).map_or(Head::Unreadable, |text| {
        let text = text.trim_end();
        match text.strip_prefix("ref: ") {
            Some(name) => name
                .strip_prefix("refs/heads/")
                .filter(|branch| *branch != ".invalid")
                .map_or(Head::Unreadable, |branch| Head::Branch(branch.to_owned())),
            None if is_id(text) => Head::Detached(text.to_owned()),
            None => Head::Unreadable,
        }
    })
}

/// Whether a text is a full object id (SHA-1 or SHA-256).
pub(super) fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Reads `fleetctl <fleet> <uid>`.
fn parse_lock(reason: &str) -> Lock {
    let reason = reason.trim_end();
    let mut words = reason.split(' ');
    if words.next() == Some("fleetctl")
        && let (Some(fleet), Some(uid), None) = (words.next(), words.next(), words.next())
        && let (Ok(fleet), Ok(uid)) = (fleet.parse(), uid.parse())
    {
        return Lock::Fleet { fleet, uid };
    }
    Lock::Other(reason.to_owned())
}

/// Whether two paths are the same place, links resolved as far as they exist.
pub(super) fn same_place(one: &Path, other: &Path) -> bool {
    one == other || resolved(one) == resolved(other)
}

/// The path with the links in what exists of it resolved.
pub(super) fn resolved(path: &Path) -> PathBuf {
    if let Ok(found) = std::fs::canonicalize(path) {
        return found;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}

/// Whether something is there; a failed look is an error, not an absence.
pub(super) fn is_there(path: &Path) -> Result<bool, GitError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(file("stat", path)(error)),
    }
}

pub(super) fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, GitError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(file("read", path)(error)),
    }
}

/// Replaces a file by rename, synced, so that it has either its old or its new contents.
pub(super) fn replace(path: &Path, contents: &[u8]) -> Result<(), GitError> {
    put(path, contents, std::fs::File::sync_all)
}

/// Writes a file anew by rename. A crash of the machine may leave it empty, a kill may not.
pub(super) fn put_unsynced(path: &Path, contents: &[u8]) -> Result<(), GitError> {
    put(path, contents, |_| Ok(()))
}

fn put(
    path: &Path,
    contents: &[u8],
    sync: fn(&std::fs::File) -> std::io::Result<()>,
) -> Result<(), GitError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".fleetctl-new");
    let new = PathBuf::from(name);
    let written = std::fs::File::create(&new).and_then(|mut opened| {
        opened.write_all(contents)?;
        sync(&opened)
    });
    written.map_err(file("write", &new))?;
    std::fs::rename(&new, path).map_err(file("rename", path))
}

/// Renames a directory to a free name, making the directory above it.
pub(super) fn move_to(from: &Path, to: &Path) -> Result<(), GitError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if let Some(above) = to.parent() {
        std::fs::create_dir_all(above).map_err(file("mkdir", above))?;
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(GitError::Taken { path: to.to_owned() }),
        Err(errno) => Err(file("rename", from)(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_ours_only_in_the_exact_form() {
        let uid = "01JD3M1QF0000000000000000A";
        assert!(matches!(
            parse_lock(&format!("fleetctl shop {uid}\n")),
            Lock::Fleet { fleet, .. } if fleet.as_str() == "shop"
        ));
        for other in [
            "",
            "fleetctl",
            "fleetctl shop",
            "on a usb stick",
            &format!("fleetctl shop {uid} and more"),
            &format!("fleetctl Shop {uid}"),
            &format!("Fleetctl shop {uid}"),
        ] {
            assert_eq!(parse_lock(other), Lock::Other(other.to_owned()));
        }
    }
}
