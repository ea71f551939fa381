//! Pins what has no name of its own under `refs/fleet/salvage/<uid>/`. Owns those refs; touches neither the
//! index nor a file of the worktree. Invariant: it returns only refs that were read back.

use super::entry::{BROUGHT, Entry, entry_of, is_id, is_there};
use super::status::{Brought, Staged};
use super::{Git, GitError, file, line, output};
use crate::failpoint::boundary;
use crate::name::Uid;
use crate::process::Child;
use crate::world::WorktreeOf;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the refs of an incarnation lie.
pub(super) fn prefix(uid: Uid) -> String {
    format!("refs/fleet/salvage/{uid}/")
}

/// A worktree while it is salvaged.
struct Salvage<'a> {
    git: &'a Git,
    entry: &'a Entry,
    path: &'a Path,
    head: Option<String>,
}

impl Git {
    /// Pins HEAD's tip, commits that only the worktree's logs name, its branch's stashes, the index, and
    /// modified and untracked files (not ignored ones). Gives the full names of all refs of the incarnation,
    /// read back. Repeating it makes nothing new.
    ///
    /// # Errors
    /// Any [`GitError`]: then not all is pinned.
    pub fn salvage(&self, worktree: &WorktreeOf) -> Result<Vec<String>, GitError> {
        let place = self.place(&worktree.repo)?;
        let entry = entry_of(&place.common, worktree.uid)?
            .ok_or_else(|| GitError::NotOurs { repo: worktree.repo.clone(), uid: worktree.uid })?;
        let Some(path) = entry.path.clone() else {
            return Err(GitError::HalfMade { path: worktree.path.clone() });
        };
        let head = self.commit(&path, "HEAD")?.map(|commit| commit.id);
        let salvage = Salvage { git: self, entry: &entry, path: &path, head };
        let wanted = salvage.all()?;
        boundary();
        self.pin(&place.top, worktree.uid, &wanted)
    }

    /// Makes the refs and reads them back. A ref that pointed elsewhere keeps its old commit under another name.
    fn pin(
        &self,
        top: &Path,
        uid: Uid,
        wanted: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, GitError> {
        let ours = prefix(uid);
        let before = self.salvaged(top, uid)?;
        let mut input = String::new();
        for (name, id) in wanted {
            let name = format!("{ours}{name}");
            match before.get(&name) {
                Some(old) if old == id => continue,
                Some(old) => input.push_str(&format!("update {name}-before-{old} {old}\n")),
                None => {}
            }
            input.push_str(&format!("update {name} {id}\n"));
        }
        if !input.is_empty() {
            output(
                &self.quiet(top).args(["update-ref", "--stdin"]).input(input),
                "git update-ref",
            )?;
        }
        let after = self.salvaged(top, uid)?;
        for (name, id) in wanted {
            let reference = format!("{ours}{name}");
            if after.get(&reference) != Some(id) {
                return Err(GitError::NotReadBack { reference });
            }
        }
        self.read_back(top, after.keys())?;
        Ok(after.into_keys().collect())
    }

    /// Every ref must name a commit whose tree is there.
    pub(super) fn read_back<'a>(
        &self,
        top: &Path,
        refs: impl Iterator<Item = &'a String>,
    ) -> Result<(), GitError> {
        let refs: Vec<&String> = refs.collect();
        let input: String = refs.iter().map(|name| format!("{name}^{{tree}}\n")).collect();
        let ask = self.look(top).args(["cat-file", "--batch-check=%(objecttype)"]).input(input);
        let answer = output(&ask, "git cat-file")?;
        let answer = String::from_utf8_lossy(&answer);
        let mut lines = answer.lines();
        for reference in refs {
            if lines.next() != Some("tree") {
                return Err(GitError::NotReadBack { reference: reference.clone() });
            }
        }
        Ok(())
    }

    /// The refs of an incarnation, with what they point to.
    fn salvaged(&self, top: &Path, uid: Uid) -> Result<BTreeMap<String, String>, GitError> {
        let ours = prefix(uid);
        let ask = ["for-each-ref", "--format=%(refname) %(objectname)", ours.trim_end_matches('/')];
        let answer = output(&self.look(top).args(ask), "git for-each-ref")?;
        let text = String::from_utf8_lossy(&answer);
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(name, id)| (name.to_owned(), id.to_owned())).collect())
    }
}

/// Deletes all salvaged refs of an incarnation.
pub(super) fn delete_refs(git: &Git, top: &Path, uid: Uid) -> Result<(), GitError> {
    let doomed = git.salvaged(top, uid)?;
    if doomed.is_empty() {
        return Ok(());
    }
    let input: String = doomed.iter().map(|(name, id)| format!("delete {name} {id}\n")).collect();
    let child = git.quiet(top).args(["update-ref", "--stdin"]).input(input);
    output(&child, "git update-ref").map(drop)
}

impl Salvage<'_> {
    /// What is to be pinned, by the name below the prefix.
    fn all(&self) -> Result<BTreeMap<String, String>, GitError> {
        let mut wanted = BTreeMap::new();
        if let Some(head) = &self.head {
            wanted.insert("head".to_owned(), head.clone());
        }
        for tip in self.git.unnamed(self.path, &self.entry.admin)?.tips {
            wanted.insert(format!("log/{tip}"), tip);
        }
        let branch = self.git.branch_of(self.entry, self.path)?;
        for stash in self.git.stashes(self.path, branch.as_deref())? {
            wanted.insert(format!("stash/{stash}"), stash);
        }
        if is_there(self.path)? && is_there(&self.entry.admin.join("index"))? {
            self.files(&mut wanted)?;
        }
        Ok(wanted)
    }

    fn files(&self, wanted: &mut BTreeMap<String, String>) -> Result<(), GitError> {
        let tree = match &self.head {
            Some(head) => {
                let ask = self.git.look(self.path).args(["rev-parse", "--verify"]);
                Some(line(&ask.arg(format!("{head}^{{tree}}")), "git rev-parse")?)
            }
            None => None,
        };
        let tracked = self.git.tracked(self.path)?;
        let changes = self.git.changes(self.path)?;
        if changes.is_empty() && self.git.hidden(self.path, &tracked)? == 0 {
            return Ok(());
        }
        let scratch = Scratch::new(&self.entry.admin)?;
        let staged = self.staged_tree(&scratch, &tracked)?;
        if Some(&staged) != tree.as_ref() {
            wanted.insert("index".to_owned(), self.commit(&staged, "index")?);
        }
        let all = self.working_tree(&scratch, &tracked)?;
        if all != staged {
            wanted.insert("files".to_owned(), self.commit(&all, "files")?);
        }
        Ok(())
    }

    /// The index as a tree. Where a merge left several versions of a file, all of them are in it.
    fn staged_tree(&self, scratch: &Scratch, tracked: &[Staged]) -> Result<String, GitError> {
        scratch.clear()?;
        let index = self.entry.admin.join("index");
        std::fs::copy(&index, &scratch.index).map_err(file("copy", &index))?;
        let mut changes = Vec::new();
        for staged in tracked.iter().filter(|staged| staged.stage != "0") {
            let zero = "0".repeat(staged.id.len());
            put(&mut changes, &format!("0 {zero} 0\t"), &staged.path);
            let aside = format!("{} {} 0\t.unmerged/{}/", staged.mode, staged.id, staged.stage);
            put(&mut changes, &aside, &staged.path);
        }
        self.feed_index(scratch, changes)?;
        line(&self.with(scratch).args(["write-tree", "--missing-ok"]), "git write-tree")
    }

    /// Modified and untracked files as a tree, through a fresh index: a copied one would hide the edits that
    /// the flags in it hide.
    fn working_tree(&self, scratch: &Scratch, tracked: &[Staged]) -> Result<String, GitError> {
        scratch.clear()?;
        let mut entries = Vec::new();
        let mut left_out = Vec::new();
        for staged in tracked.iter().filter(|staged| staged.stage == "0") {
            put(&mut entries, &format!("{} {} 0\t", staged.mode, staged.id), &staged.path);
            if staged.skipped && !is_there(&self.path.join(&staged.path))? {
                put(&mut left_out, "", &staged.path);
            }
        }
        self.feed_index(scratch, entries)?;
        if !left_out.is_empty() {
            // What a sparse checkout leaves out is not deleted.
            let mark = ["update-index", "-z", "--skip-worktree", "--stdin"];
            output(&self.with(scratch).args(mark).input(left_out), "git update-index")?;
        }
        output(&self.with(scratch).args(["add", "--all", "--sparse", "--", "."]), "git add")?;
        self.take_out_what_was_brought(scratch, tracked)?;
        line(&self.with(scratch).args(["write-tree", "--missing-ok"]), "git write-tree")
    }

    /// What `files` brought and nobody changed has its original elsewhere, and may be a secret.
    fn take_out_what_was_brought(
        &self,
        scratch: &Scratch,
        tracked: &[Staged],
    ) -> Result<(), GitError> {
        let brought = Brought::read(&self.entry.admin.join(BROUGHT))?.unchanged(self.path);
        let zero = "0".repeat(self.head.as_ref().map_or(40, String::len));
        let mut removed = Vec::new();
        for path in brought.iter().filter(|path| !tracked.iter().any(|s| s.path == **path)) {
            put(&mut removed, &format!("0 {zero} 0\t"), path);
        }
        self.feed_index(scratch, removed)
    }

    fn feed_index(&self, scratch: &Scratch, entries: Vec<u8>) -> Result<(), GitError> {
        if entries.is_empty() {
            return Ok(());
        }
        let feed = self.with(scratch).args(["update-index", "-z", "--index-info"]).input(entries);
        output(&feed, "git update-index").map(drop)
    }

    /// A commit of a tree on HEAD; the same tree on the same HEAD gives the same commit.
    fn commit(&self, tree: &str, what: &str) -> Result<String, GitError> {
        let mut child = self.git.quiet(self.path);
        let mut date = "@1 +0000".to_owned();
        if let Some(head) = &self.head {
            let ask = self.git.look(self.path).args(["show", "-s", "--no-show-signature"]);
            date = line(&ask.args(["--format=@%ct +0000", head]), "git show")?;
        }
        for role in ["AUTHOR", "COMMITTER"] {
            child = child
                .env(format!("GIT_{role}_NAME"), "fleetctl")
                .env(format!("GIT_{role}_EMAIL"), "fleetctl@localhost")
                .env(format!("GIT_{role}_DATE"), &date);
        }
        child = child.args(["commit-tree", "-m", &format!("fleetctl: salvaged {what}"), tree]);
        if let Some(head) = &self.head {
            child = child.args(["-p", head]);
        }
        let id = line(&child, "git commit-tree")?;
        if is_id(&id) { Ok(id) } else { Err(GitError::Answer { operation: "git commit-tree" }) }
    }

    /// A child that works on the scratch index, and syncs what it writes.
    fn with(&self, scratch: &Scratch) -> Child {
        let synced = ["-c", "core.fsync=all", "-c", "core.fsyncMethod=batch"];
        self.git.quiet(self.path).args(synced).env("GIT_INDEX_FILE", &scratch.index)
    }
}

/// Adds one NUL-ended record.
fn put(records: &mut Vec<u8>, head: &str, path: &Path) {
    records.extend_from_slice(head.as_bytes());
    records.extend_from_slice(path.as_os_str().as_bytes());
    records.push(0);
}

/// An index of our own in the worktree's entry, gone when dropped.
struct Scratch {
    index: PathBuf,
}

impl Scratch {
    fn new(admin: &Path) -> Result<Self, GitError> {
        let scratch = Self { index: admin.join("fleetctl-scratch-index") };
        scratch.clear()?;
        Ok(scratch)
    }

    /// Removes it, with the lock that a killed run may have left on it.
    fn clear(&self) -> Result<(), GitError> {
        for path in [self.index.clone(), self.index.with_extension("lock")] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(file("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::debug!(error = %error.line(), "the scratch index stays");
        }
    }
}
