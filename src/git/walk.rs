//! A walk through a worktree's files. Owns the finding of repositories inside it, ignored directories
//! included; follows no link and does not enter a repository inside. Invariant: a directory that cannot be
//! read is an error, not an empty directory.

use super::{GitError, file};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What lies in a worktree, by path below its top.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Repositories, linked worktrees and submodules inside.
    pub(super) embedded: Vec<PathBuf>,
    /// Files and links.
    pub(super) files: Vec<PathBuf>,
}

/// Walks through a worktree.
pub(super) fn walk(top: &Path) -> Result<Found, GitError> {
    let mut found = Found::default();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let directory = top.join(&below);
        let mut names = BTreeSet::new();
        let mut directories = Vec::new();
        let mut files = Vec::new();
        for item in std::fs::read_dir(&directory).map_err(file("read", &directory))? {
            let item = item.map_err(file("read", &directory))?;
            let kind = item.file_type().map_err(file("stat", &directory))?;
            let name = item.file_name();
            let path = below.join(&name);
            if kind.is_dir() {
                directories.push(path)
            } else {
                files.push(path)
            }
            names.insert(name);
        }
        let is_top = below.as_os_str().is_empty();
        if !is_top && is_repository(&names) {
            found.embedded.push(below);
            continue;
        }
        let dot_git = Path::new(".git");
        found.files.extend(files.into_iter().filter(|path| path != dot_git));
        open.extend(directories);
    }
    found.embedded.sort();
    Ok(found)
}

/// With a `.git`, or a bare one.
fn is_repository(names: &BTreeSet<OsString>) -> bool {
    let has = |name: &str| names.contains(std::ffi::OsStr::new(name));
    has(".git") || (has("HEAD") && has("objects") && has("refs"))
}
