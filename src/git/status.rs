//! What differs between HEAD, the index and the files. Owns the reading of `git status` and `git ls-files`,
//! and what flags in the index hide from them; changes nothing. Invariant: git2 is believed only when it says
//! *clean*.

use super::entry::{Entry, is_absence, read_if_there};
use super::{Git, GitError, file, line, output, refused, run};
use crate::snapshot::Head;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Changes that `git status` shows.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) modified: usize,
    pub(super) staged: usize,
    /// By path below the top; a directory that is a repository ends in `/`.
    pub(super) untracked: BTreeSet<PathBuf>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.modified == 0 && self.staged == 0 && self.untracked.is_empty()
    }
}

/// An entry of the index.
#[derive(Debug, Clone)]
pub(super) struct Staged {
    /// `assume-unchanged` is set.
    pub(super) assumed: bool,
    /// `skip-worktree` is set.
    pub(super) skipped: bool,
    pub(super) mode: String,
    pub(super) id: String,
    /// 0, or 1 to 3 where a merge left several versions.
    pub(super) stage: String,
    pub(super) path: PathBuf,
}

impl Staged {
    /// Reads `TAG MODE ID STAGE\tPATH`.
    fn parse(record: &[u8]) -> Option<Self> {
        let tab = record.iter().position(|byte| *byte == b'\t')?;
        let mut words = std::str::from_utf8(&record[..tab]).ok()?.split(' ');
        let tag = words.next()?.chars().next()?;
        let mut word = || words.next().map(str::to_owned);
        Some(Self {
            assumed: tag.is_ascii_lowercase(),
            skipped: tag.eq_ignore_ascii_case(&'s'),
            mode: word()?,
            id: word()?,
            stage: word()?,
            path: PathBuf::from(OsStr::from_bytes(&record[tab + 1..])),
        })
    }

    pub(super) fn is_submodule(&self) -> bool {
        self.mode == "160000"
    }
}

/// The records of a `-z` listing.
pub(super) fn records(listing: &[u8]) -> impl Iterator<Item = &[u8]> {
    listing.split(|byte| *byte == 0).filter(|record| !record.is_empty())
}

impl Git {
    /// The index of a worktree, flags included.
    pub(super) fn tracked(&self, path: &Path) -> Result<Vec<Staged>, GitError> {
        const LIST: &str = "git ls-files";
        let listing = output(&self.look(path).args(["ls-files", "-v", "--stage", "-z"]), LIST)?;
        records(&listing)
            .map(|record| Staged::parse(record).ok_or(GitError::Answer { operation: LIST }))
            .collect()
    }

    /// What `git status` shows: git2's word if that is *nothing*, else git's.
    pub(super) fn changes(&self, path: &Path) -> Result<Changes, GitError> {
        if is_clean(path).unwrap_or(false) {
            return Ok(Changes::default());
        }
        let ask = [
            "status",
            "--porcelain=v2",
            "-z",
            "--untracked-files=all",
            "--ignore-submodules=none",
            "--no-renames",
        ];
        parse_changes(&output(&self.look(path).args(ask), "git status")?)
    }

    /// Edits of tracked files that flags in the index hide from `git status`.
    pub(super) fn hidden(&self, path: &Path, tracked: &[Staged]) -> Result<usize, GitError> {
        let mut edits = 0;
        let mut asked: Vec<&Staged> = Vec::new();
        let flagged = tracked.iter().filter(|entry| entry.assumed || entry.skipped);
        for entry in flagged.filter(|entry| !entry.is_submodule()) {
            match self.plainly_edited(path, entry)? {
                Some(edited) => edits += usize::from(edited),
                None => asked.push(entry),
            }
        }
        Ok(edits + self.edited_by_content(path, &asked)?)
    }

    /// Whether it was edited, as far as that shows without reading a file.
    fn plainly_edited(&self, top: &Path, entry: &Staged) -> Result<Option<bool>, GitError> {
        let path = top.join(&entry.path);
        let found = match std::fs::symlink_metadata(&path) {
            Ok(found) => found,
            // A sparse checkout leaves files out; what was only assumed to be unchanged was deleted.
            Err(error) if is_absence(&error) => return Ok(Some(!entry.skipped)),
            Err(error) => return Err(file("stat", &path)(error)),
        };
        if entry.mode == "120000" {
            let Ok(points) = std::fs::read_link(&path) else { return Ok(Some(true)) };
            let hash = self.look(top).args(["hash-object", "--stdin"]);
            let id = line(&hash.input(points.as_os_str().as_bytes()), "git hash-object")?;
            return Ok(Some(id != entry.id));
        }
        let executable = found.permissions().mode() & 0o100 != 0;
        let strange = entry.path.as_os_str().as_bytes().iter().any(|b| matches!(b, b'\n' | b'"'));
        if !found.is_file() || executable != (entry.mode == "100755") || strange {
            return Ok(Some(true));
        }
        Ok(None)
    }

    fn edited_by_content(&self, top: &Path, entries: &[&Staged]) -> Result<usize, GitError> {
        if entries.is_empty() {
            return Ok(0);
        }
        let mut input = Vec::new();
        for entry in entries {
            input.extend_from_slice(entry.path.as_os_str().as_bytes());
            input.push(b'\n');
        }
        let hash = self.look(top).args(["hash-object", "--stdin-paths"]).input(input);
        let ids = line(&hash, "git hash-object")?;
        let ids: Vec<&str> = ids.lines().collect();
        if ids.len() != entries.len() {
            return Err(GitError::Answer { operation: "git hash-object" });
        }
        Ok(entries.iter().zip(ids).filter(|(entry, id)| entry.id != *id).count())
    }

    /// The branch that a worktree's HEAD is on.
    pub(super) fn branch_of(&self, entry: &Entry, path: &Path) -> Result<Option<String>, GitError> {
        match entry.head() {
            Head::Branch(name) => return Ok(Some(name)),
            Head::Detached(_) => return Ok(None),
            Head::Unreadable => {}
        }
        let ended = run(
            &self.look(path).args(["symbolic-ref", "--quiet", "--short", "HEAD"]),
            "git symbolic-ref",
        )?;
        match ended.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&ended.stdout).trim_end().to_owned())),
            Some(1) => Ok(None),
            _ => Err(refused("git symbolic-ref", &ended)),
        }
    }
}

/// git2's quick look; `None` where it cannot tell, or would trust less than we ask for.
fn is_clean(path: &Path) -> Option<bool> {
    let repo = git2::Repository::open(path).ok()?;
    let config = repo.config().ok()?;
    if config.get_bool("core.trustctime").is_ok_and(|trusted| !trusted)
        || config.get_string("core.checkstat").is_ok_and(|check| check == "minimal")
    {
        return None;
    }
    let mut options = git2::StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(false);
    options.exclude_submodules(false).update_index(false);
    Some(repo.statuses(Some(&mut options)).ok()?.is_empty())
}

fn parse_changes(listing: &[u8]) -> Result<Changes, GitError> {
    let unexpected = || GitError::Answer { operation: "git status" };
    let mut changes = Changes::default();
    for record in records(listing) {
        match record {
            [b'1', b' ', staged, modified, b' ', ..] => {
                changes.staged += usize::from(*staged != b'.');
                changes.modified += usize::from(*modified != b'.');
            }
            [b'u', b' ', ..] => changes.modified += 1,
            [b'?', b' ', path @ ..] => {
                changes.untracked.insert(PathBuf::from(OsStr::from_bytes(path)));
            }
            [b'#', ..] => {}
            _ => return Err(unexpected()),
        }
    }
    Ok(changes)
}

/// What `files` brought into a worktree: by path below its top, `sha256:HEX` of a copy or `link:TARGET`.
#[derive(Debug, Default)]
pub(super) struct Brought(BTreeMap<PathBuf, String>);

impl Brought {
    pub(super) fn read(list: &Path) -> Result<Self, GitError> {
        let Some(text) = read_if_there(list)? else { return Ok(Self::default()) };
        let map = serde_json::from_slice(&text).map_err(std::io::Error::from);
        Ok(Self(map.map_err(file("read", list))?))
    }

    /// Those of them that are as they were brought.
    pub(super) fn unchanged(&self, top: &Path) -> BTreeSet<PathBuf> {
        let same = |(path, was): &(&PathBuf, &String)| {
            digest(&top.join(path)).is_some_and(|is| is == **was)
        };
        self.0.iter().filter(same).map(|(path, _)| path.clone()).collect()
    }
}

/// What the list of brought files says of a file; `None` for anything but a file or a link.
fn digest(path: &Path) -> Option<String> {
    if let Ok(target) = std::fs::read_link(path) {
        return Some(format!("link:{}", target.to_str()?));
    }
    let digest = Sha256::digest(std::fs::read(path).ok()?);
    digest.iter().try_fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").ok()?;
        Some(text)
    })
}
