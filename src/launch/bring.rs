//! Untracked files of the main worktree, brought into a new one: those that `files` names and those that the
//! repository's `.worktreeinclude` names. Owns which they are and the list of what was brought. Invariant:
//! nothing that exists is written over, nothing is written through a link, and what was brought is in the
//! list before it is in the worktree.

use super::Bring;
use super::file::{self, FileError};
use crate::process::{Child, ProcessError};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Patterns of a repository's own, as in `.gitignore`; what they match is copied.
const INCLUDE: &str = ".worktreeinclude";

/// How long git may take to list the files of a large repository.
const LIST_LIMIT: Duration = Duration::from_secs(120);

/// Why files were not brought.
#[derive(Debug, thiserror::Error)]
pub enum BringError {
    /// A glob of `files` is none.
    #[error("files: {glob:?} is not a glob")]
    Glob {
        /// Which.
        glob: String,
        /// Why.
        #[source]
        source: globset::Error,
    },
    /// git did not run.
    #[error("the untracked files cannot be listed")]
    Git(#[source] ProcessError),
    /// git refused.
    #[error("the untracked files of {} cannot be listed: {said}", from.display())]
    List {
        /// The main worktree.
        from: PathBuf,
        /// Its first line on standard error.
        said: String,
    },
    /// A file or directory of the main worktree cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file or link cannot be made in the worktree.
    #[error("{} cannot be made", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The list of what was brought cannot be kept.
    #[error("the list of what was brought cannot be kept")]
    Kept(#[source] FileError),
}

/// What was brought: `sha256:HEX` of a copy, `link:TARGET` of a link, by the path in the worktree.
pub type Brought = BTreeMap<String, String>;

/// How a file is brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Copy,
    Link,
}

/// Brings what is wanted and not there yet.
///
/// # Errors
/// Any [`BringError`]; what was brought before it stays and is in the list.
pub fn bring(bring: &Bring, worktree: &Path) -> Result<(), BringError> {
    let wanted = wanted(bring)?;
    let mut brought = read_list(&bring.list)?;
    let mut parts = Vec::new();
    for (path, how) in &wanted {
        let target = worktree.join(path);
        if !is_free(worktree, path) {
            continue;
        }
        let part = prepare(&bring.from.join(path), &target, *how)?;
        brought.insert(path.clone(), part.digest.clone());
        parts.push((part, target));
    }
    if parts.is_empty() {
        return Ok(());
    }
    let json = serde_json::to_vec(&brought).unwrap_or_default();
    file::replace(&bring.list, &json).map_err(BringError::Kept)?;
    parts.into_iter().try_for_each(|(part, target)| part.put(target))
}

/// Reads the list of what was brought; empty when nothing ever was.
///
/// # Errors
/// [`BringError::Kept`]: a list that cannot be read is not an empty one.
pub fn read_list(list: &Path) -> Result<Brought, BringError> {
    let path = || list.to_owned();
    match std::fs::read(list) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|source| BringError::Kept(FileError::Content { path: path(), source })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Brought::new()),
        Err(source) => Err(BringError::Kept(FileError::Read { path: path(), source })),
    }
}

/// What is to be brought, by its path in the worktree. `files` goes over `.worktreeinclude`, a copy over a link.
fn wanted(bring: &Bring) -> Result<BTreeMap<String, How>, BringError> {
    let mut wanted = BTreeMap::new();
    let include = bring.from.join(INCLUDE);
    if include.is_file() {
        let mut from = std::ffi::OsString::from("--exclude-from=");
        from.push(&include);
        let found = list(&bring.from, &[OsStr::new("--ignored"), &from])?;
        wanted.extend(found.into_iter().filter(|path| !path.ends_with('/')).map(copied));
    }
    let (copy, link) = (globs(&bring.files.copy)?, globs(&bring.files.link)?);
    if copy.is_empty() && link.is_empty() {
        return Ok(wanted);
    }
    let deep = bring.files.copy.iter().chain(&bring.files.link).any(|glob| glob.contains('/'));
    for entry in list(&bring.from, &[OsStr::new("--directory")])? {
        let Some(directory) = entry.strip_suffix('/') else {
            wanted.extend(chosen(&entry, &copy, &link));
            continue;
        };
        match chosen(directory, &copy, &link) {
            Some((_, How::Copy)) => wanted.extend(walk(&bring.from, directory)?.map(copied)),
            Some(linked) => wanted.extend([linked]),
            None if deep => wanted.extend(
                walk(&bring.from, directory)?.filter_map(|path| chosen(&path, &copy, &link)),
            ),
            None => {}
        }
    }
    Ok(wanted)
}

fn copied(path: String) -> (String, How) {
    (path, How::Copy)
}

fn chosen(path: &str, copy: &GlobSet, link: &GlobSet) -> Option<(String, How)> {
    if copy.is_match(path) {
        Some((path.to_owned(), How::Copy))
    } else {
        link.is_match(path).then(|| (path.to_owned(), How::Link))
    }
}

fn globs(globs: &[String]) -> Result<GlobSet, BringError> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let failed = |source| BringError::Glob { glob: glob.clone(), source };
        let bare = glob.trim_start_matches("./").trim_end_matches('/');
        set.add(GlobBuilder::new(bare).literal_separator(true).build().map_err(failed)?);
    }
    let failed = |source| BringError::Glob { glob: globs.join(" "), source };
    set.build().map_err(failed)
}

/// The untracked files of a main worktree, by their paths in it. A name that is no text stays behind.
fn list(from: &Path, options: &[&OsStr]) -> Result<Vec<String>, BringError> {
    let git = Child::new("git")
        .args(["-c", "core.fsmonitor=false", "ls-files", "--others", "-z"])
        .args(options)
        .directory(from)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .without("GIT_DIR")
        .without("GIT_WORK_TREE")
        .without("GIT_INDEX_FILE")
        .limit(LIST_LIMIT);
    let ended = git.run().map_err(BringError::Git)?;
    if !ended.status.success() {
        let said = ended.stderr.lines().next().unwrap_or_default().to_owned();
        return Err(BringError::List { from: from.to_owned(), said });
    }
    let names = ended.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let texts = names.filter_map(|name| std::str::from_utf8(name).ok());
    Ok(texts.filter(|path| is_inside(path)).map(str::to_owned).collect())
}

/// It names something below the directory that it is taken in.
fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// All files and links below a directory of the main worktree, but for repositories inside.
fn walk(from: &Path, directory: &str) -> Result<impl Iterator<Item = String>, BringError> {
    let top = from.join(directory);
    let mut found = Vec::new();
    let entries = walkdir::WalkDir::new(&top).into_iter();
    for entry in entries.filter_entry(|entry| {
        !entry.file_type().is_dir() || entry.path().join(".git").symlink_metadata().is_err()
    }) {
        let entry = entry.map_err(|error| BringError::Read {
            path: error.path().unwrap_or(&top).to_owned(),
            source: error.into(),
        })?;
        // To open a pipe would be to wait for its other end.
        let kind = entry.file_type();
        if (kind.is_file() || kind.is_symlink())
            && let Some(path) = entry.path().strip_prefix(from).ok().and_then(Path::to_str)
        {
            found.push(path.to_owned());
        }
    }
    Ok(found.into_iter())
}

/// Nothing is at that path of the worktree, and no directory on the way to it is a link or a file.
fn is_free(worktree: &Path, path: &str) -> bool {
    let mut at = worktree.to_owned();
    let mut parts = Path::new(path).components().peekable();
    while let Some(part) = parts.next() {
        at.push(part);
        match at.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            Ok(found) if found.is_dir() && parts.peek().is_some() => {}
            _ => return false,
        }
    }
    false
}

/// A copy or link beside its place, complete.
struct Part {
    path: PathBuf,
    digest: String,
}

impl Part {
    /// Puts it in its place, unless something has come there meanwhile.
    fn put(self, target: PathBuf) -> Result<(), BringError> {
        match renameat_with(CWD, &self.path, CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::EXIST) => std::fs::remove_file(&self.path)
                .map_err(|source| BringError::Make { path: self.path, source }),
            // Some network file systems cannot do it in one step.
            Err(rustix::io::Errno::INVAL) if target.symlink_metadata().is_err() => {
                std::fs::rename(&self.path, &target)
                    .map_err(|source| BringError::Make { path: target, source })
            }
            Err(errno) => Err(BringError::Make { path: target, source: errno.into() }),
        }
    }
}

/// Makes a copy of, or a link to, a file of the main worktree beside the place that it is for.
fn prepare(source: &Path, target: &Path, how: How) -> Result<Part, BringError> {
    let name = target.file_name().unwrap_or_default();
    let mut part_name = OsStr::from_bytes(b".").to_owned();
    part_name.push(name);
    part_name.push(".fleetctl-part");
    let part = target.with_file_name(part_name);
    let make = |error| BringError::Make { path: target.to_owned(), source: error };
    let read = |error| BringError::Read { path: source.to_owned(), source: error };
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(make)?;
    }
    // One of a run that was killed.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(make(error)),
        _ => {}
    }
    let found = source.symlink_metadata().map_err(read)?;
    let digest = if how == How::Link || found.is_symlink() {
        let to = match how {
            How::Link => source.to_owned(),
            How::Copy => std::fs::read_link(source).map_err(read)?,
        };
        std::os::unix::fs::symlink(&to, &part).map_err(make)?;
        format!("link:{}", to.to_string_lossy())
    } else {
        copy(source, &part, found.permissions().mode()).map_err(|failed| match failed {
            Failed::Reading(error) => read(error),
            Failed::Writing(error) => make(error),
        })?
    };
    Ok(Part { path: part, digest })
}

enum Failed {
    Reading(io::Error),
    Writing(io::Error),
}

/// Copies a file and tells the digest of what was copied.
fn copy(source: &Path, to: &Path, mode: u32) -> Result<String, Failed> {
    let mut input = std::fs::File::open(source).map_err(Failed::Reading)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(mode & 0o777);
    let mut output = options.open(to).map_err(Failed::Writing)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 65536];
    loop {
        let count = input.read(&mut buffer).map_err(Failed::Reading)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        output.write_all(&buffer[..count]).map_err(Failed::Writing)?;
    }
    Ok(format!("sha256:{:x}", hash.finalize()))
}
