//! Makes worktrees. Owns the one `git worktree add` and what is left when it was cut off; never overwrites
//! anything. Invariant: a worktree carries its mark from its first instant, and its description only once it
//! is complete, its `post-checkout` hook included.

use super::empty::{copy_tree, drop_entry};
use super::entry::{
    DESCRIPTION, Entry, entry_of, forward_link, is_there, move_to, put_unsynced, same_place,
};
use super::ground::is_empty_directory;
use super::inspect::Place;
use super::{Git, GitError, file, refused, run, said};
use crate::failpoint::boundary;
use crate::process::{Ended, orphan, pause};
use crate::snapshot::{BranchSource, Commit};
use crate::world::{AddWorktree, WorktreeOf};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a child of a killed run is waited for.
const ORPHAN: Duration = Duration::from_secs(60);
/// How often and after what pause a child that met another git at work is run again.
const RETRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);
const ADD: &str = "git worktree add";

impl Git {
    /// Makes a worktree, locked with its mark, and gives the commit it stands on. Done already when a complete
    /// worktree with this uid stands at the path.
    ///
    /// # Errors
    /// [`GitError::HalfMade`] when a killed run left it without its files: [`Self::discard_half_made`], then
    /// again. [`GitError::Hook`] when it stands but its hook failed: the next call runs the hook again.
    pub fn add_worktree(&self, add: &AddWorktree) -> Result<String, GitError> {
        let place = self.place(&add.worktree.repo)?;
        let uid = add.worktree.uid;
        let mut left = entry_of(&place.common, uid)?;
        if left.as_ref().is_some_and(|entry| !entry.is_described()) {
            wait_for_orphans(&add.worktree)?;
            left = entry_of(&place.common, uid)?;
        }
        if let Some(entry) = left {
            return self.complete(&place, add, &entry);
        }
        let path = &add.worktree.path;
        if is_there(path)? && !is_empty_directory(path) {
            return Err(GitError::Taken { path: path.clone() });
        }
        self.make(&place, add)?;
        let admin = forward_link(path)?.ok_or(GitError::Answer { operation: ADD })?;
        self.describe_new(&place, add, &Entry::read(&admin)?)
    }

    /// The admin directory of the worktree at this path; `None` when there is no linked worktree.
    ///
    /// # Errors
    /// [`GitError::File`] when its `.git` file cannot be read.
    pub fn admin_of(&self, path: &Path) -> Result<Option<PathBuf>, GitError> {
        forward_link(path)
    }

    /// Goes on with what an earlier call left.
    fn complete(
        &self,
        place: &Place,
        add: &AddWorktree,
        entry: &Entry,
    ) -> Result<String, GitError> {
        let path = &add.worktree.path;
        if let Some(found) = &entry.path
            && !same_place(found, path)
        {
            return Err(GitError::Elsewhere { found: found.clone(), expected: path.clone() });
        }
        if !entry.is_checked_out() {
            return Err(GitError::HalfMade { path: path.clone() });
        }
        if entry.is_described() {
            return self.head_of(path);
        }
        // Whether the hook of the cut off run came to its end is not known.
        self.run_hook(path)?;
        self.describe_new(place, add, entry)
    }

    fn make(&self, place: &Place, add: &AddWorktree) -> Result<(), GitError> {
        let path = &add.worktree.path;
        let mut branch_stands = false;
        let mut tries = 0..RETRIES;
        loop {
            let ended = run(&self.add_command(place, add, branch_stands)?, ADD)?;
            boundary();
            if ended.status.success() {
                return Ok(());
            }
            if let Some(entry) = entry_of(&place.common, add.worktree.uid)? {
                return Err(if entry.is_checked_out() {
                    GitError::Hook { path: path.clone(), said: said(&ended) }
                } else {
                    GitError::HalfMade { path: path.clone() }
                });
            }
            if met_another(&ended) && tries.next().is_some() {
                pause(PAUSE);
            } else if !branch_stands && self.left_our_branch(place, add)? {
                // A killed run, or the try before, made the branch and nothing else.
                branch_stands = true;
            } else {
                return Err(refused(ADD, &ended));
            }
        }
    }

    /// The branch to be made stands already, where it was to be made.
    fn left_our_branch(&self, place: &Place, add: &AddWorktree) -> Result<bool, GitError> {
        let (Some(branch), BranchSource::New { at, .. } | BranchSource::Remote(at)) =
            (&add.branch, &add.source)
        else {
            return Ok(false);
        };
        match self.commit(&place.top, &format!("refs/heads/{branch}"))? {
            None => Ok(false),
            Some(found) if found.id == at.id => Ok(true),
            Some(_) => Err(GitError::BranchAppeared { branch: branch.clone() }),
        }
    }

    fn add_command(
        &self,
        place: &Place,
        add: &AddWorktree,
        branch_stands: bool,
    ) -> Result<crate::process::Child, GitError> {
        let reason = reason(add);
        let mut args: Vec<OsString> = ["worktree", "add", "--quiet", "--lock", "--reason", &reason]
            .map(OsString::from)
            .to_vec();
        let path = add.worktree.path.clone().into_os_string();
        match (&add.branch, &add.source) {
            (_, BranchSource::NoBase { base }) => {
                return Err(GitError::NoBase { base: base.clone() });
            }
            (Some(branch), BranchSource::New { at, .. } | BranchSource::Remote(at))
                if !branch_stands =>
            {
                args.extend(["--no-track", "-b", branch].map(OsString::from));
                args.extend([path, OsString::from(&at.id)]);
            }
            (Some(branch), BranchSource::Detached { .. }) => {
                return Err(GitError::BranchAppeared { branch: branch.clone() });
            }
            (Some(branch), _) => args.extend([path, OsString::from(branch)]),
            (None, source) => {
                args.push(OsString::from("--detach"));
                args.push(path);
                args.extend(commit(source).map(|commit| OsString::from(&commit.id)));
            }
        }
        Ok(self.act(&place.top).args(args))
    }

    /// Sets what is to be tracked, and writes the description: the worktree is complete.
    fn describe_new(
        &self,
        place: &Place,
        add: &AddWorktree,
        entry: &Entry,
    ) -> Result<String, GitError> {
        if let (Some(branch), BranchSource::Remote(_)) = (&add.branch, &add.source) {
            self.track(place, branch)?;
            boundary();
        }
        let head = self.head_of(&add.worktree.path)?;
        // git syncs none of the worktree's files either, and to sync one would wait for all of them.
        put_unsynced(&entry.admin.join(DESCRIPTION), add.json.as_bytes())?;
        Ok(head)
    }

    fn track(&self, place: &Place, branch: &str) -> Result<(), GitError> {
        let _one_at_a_time = self.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let upstream = format!("--set-upstream-to=origin/{branch}");
        let child = self.act(&place.top).args(["branch", "--quiet", &upstream, branch]);
        let mut tries = 0..RETRIES;
        loop {
            let ended = run(&child, "git branch")?;
            if ended.status.success() {
                return Ok(());
            }
            if !met_another(&ended) || tries.next().is_none() {
                return Err(refused("git branch", &ended));
            }
            pause(PAUSE);
        }
    }

    /// Runs the `post-checkout` hook as `git worktree add` does.
    pub(super) fn run_hook(&self, path: &Path) -> Result<(), GitError> {
        let head = self.head_of(path)?;
        let zero = "0".repeat(head.len());
        let hook = ["hook", "run", "--ignore-missing", "post-checkout", "--", &zero, &head, "1"];
        let ended = run(&self.act(path).args(hook), "git hook run")?;
        if ended.status.success() {
            return Ok(());
        }
        Err(GitError::Hook { path: path.to_owned(), said: said(&ended) })
    }

    pub(super) fn head_of(&self, path: &Path) -> Result<String, GitError> {
        let head = self.commit(path, "HEAD")?;
        Ok(head.ok_or(GitError::Answer { operation: "git rev-parse HEAD" })?.id)
    }

    /// Moves what a killed `git worktree add` left, directory and entry, to the trash. Nothing worked there
    /// yet. Gives where it lies; `None` when nothing is there, or it is complete after all.
    ///
    /// # Errors
    /// [`GitError::StillRunning`] when the killed run's git does not come to its end.
    pub fn discard_half_made(
        &self,
        worktree: &WorktreeOf,
        to: &Path,
    ) -> Result<Option<PathBuf>, GitError> {
        let place = self.place(&worktree.repo)?;
        wait_for_orphans(worktree)?;
        let Some(entry) = entry_of(&place.common, worktree.uid)? else { return Ok(None) };
        if entry.is_described() || entry.is_checked_out() {
            return Ok(None);
        }
        let to = free_name(to)?;
        let linked = forward_link(&worktree.path)?;
        if linked.is_some_and(|admin| same_place(&admin, &entry.admin))
            || is_barely_begun(&worktree.path)
        {
            move_to(&worktree.path, &to)?;
        }
        // The entry goes with it, so that the branch is free: there is nothing to come back for.
        copy_tree(&entry.admin, &to.join("entry-of-a-killed-run"))?;
        drop_entry(&place, worktree.uid, Some(&entry))?;
        Ok(Some(to))
    }
}

/// The `git` of a killed run goes on without it, and cleans up after itself: what stands at the path by then
/// must not be someone else's.
pub(super) fn wait_for_orphans(worktree: &WorktreeOf) -> Result<(), GitError> {
    let left = orphan::wait_gone("git", &worktree.uid.to_string(), &worktree.path, ORPHAN);
    match left.map_err(file("read", Path::new("/proc")))? {
        None => Ok(()),
        Some(pid) => Err(GitError::StillRunning { pid, path: worktree.path.clone() }),
    }
}

/// The kill came between the making of the `.git` file and the writing of it: it is empty, and alone.
fn is_barely_begun(path: &Path) -> bool {
    let Ok(items) = std::fs::read_dir(path) else { return false };
    let names: Vec<_> = items.flatten().map(|item| item.file_name()).collect();
    names == [".git"]
        && std::fs::symlink_metadata(path.join(".git")).is_ok_and(|f| f.is_file() && f.len() == 0)
}

/// The name, or the name with the first number that is free.
pub(super) fn free_name(wanted: &Path) -> Result<PathBuf, GitError> {
    let mut name = wanted.to_owned();
    let mut number = 1;
    while is_there(&name)? {
        number += 1;
        let mut numbered = wanted.as_os_str().to_owned();
        numbered.push(format!(".{number}"));
        name = PathBuf::from(numbered);
    }
    Ok(name)
}

/// git gives up at once where another holds a lock, or is in the middle of making another worktree's entry:
/// each reads the entries of all.
fn met_another(ended: &Ended) -> bool {
    let met = ["could not lock config file", "/commondir: ", ".lock': File exists"];
    met.iter().any(|met| ended.stderr.contains(met))
}

/// The mark: the reason of the lock.
fn reason(add: &AddWorktree) -> String {
    format!("fleetctl {} {}", add.fleet, add.worktree.uid)
}

fn commit(source: &BranchSource) -> Option<&Commit> {
    match source {
        BranchSource::Local(at) | BranchSource::Remote(at) => Some(at),
        BranchSource::New { at, .. } | BranchSource::Detached { at, .. } => Some(at),
        BranchSource::NoBase { .. } => None,
    }
}
