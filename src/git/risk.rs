//! The assessment of the work in a worktree. Owns the list of what would be at risk; changes nothing, and
//! decides nothing. Invariant: a part of the look that failed is a risk of its own, never "nothing there".

use super::entry::{
    BROUGHT, Entry, entry_of, is_id, is_there, read_if_there, resolved, same_place,
};
use super::inspect::blind;
use super::status::{Brought, Changes, Staged, records};
use super::walk::{Found, walk};
use super::{Git, GitError, line, output, refused, run};
use crate::snapshot::{Blind, Evidence, Observed, Risk, Work, WorkAt};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What lies in a git directory while an operation is under way, and the operation.
pub(super) const UNDER_WAY: [(&str, &str); 9] = [
    ("rebase-apply/applying", "am"),
    ("rebase-apply", "rebase"),
    ("rebase-merge", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("sequencer", "cherry-pick"),
    ("BISECT_LOG", "bisect"),
    ("BISECT_START", "bisect"),
];

/// Someone who is somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupant {
    /// A process of this user.
    Process {
        /// Its id.
        pid: u32,
        /// Its command's name.
        command: String,
        /// Its working directory.
        directory: PathBuf,
    },
    /// A pane of the user's.
    Pane {
        /// `%9`
        pane: String,
        /// Its command's name.
        command: String,
        /// Its working directory.
        directory: PathBuf,
    },
}

/// Who is where, as far as that could be seen.
pub type Occupants = Observed<Vec<Occupant>>;

/// Commits that no branch, tag or remote ref holds.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    pub(super) count: usize,
    /// Those of them that hold all the others.
    pub(super) tips: BTreeSet<String>,
}

impl Git {
    /// Assesses the work in a worktree. `occupants` is who may stand in it; those elsewhere are passed over.
    pub fn work(&self, at: &WorkAt, occupants: &Occupants) -> Observed<Work> {
        match self.worktree_at(at) {
            Ok(Some(entry)) => Observed::Known(self.assess(&entry, &at.path, occupants)),
            Ok(None) => Observed::Absent(Evidence::NotListed),
            Err(error) => Observed::Unknown(blind("worktree", &at.path, &error)),
        }
    }

    fn worktree_at(&self, at: &WorkAt) -> Result<Option<Entry>, GitError> {
        let place = self.place(&at.repo)?;
        let Some(entry) = entry_of(&place.common, at.uid)? else { return Ok(None) };
        if let Some(found) = &entry.path
            && !same_place(found, &at.path)
        {
            return Err(GitError::Elsewhere { found: found.clone(), expected: at.path.clone() });
        }
        std::fs::read_dir(&at.path).map_err(super::file("read", &at.path))?;
        Ok(Some(entry))
    }

    fn assess(&self, entry: &Entry, path: &Path, occupants: &Occupants) -> Work {
        let mut look =
            Assessment { git: self, entry, path, work: Work::default(), gaps: Vec::new() };
        look.commits();
        look.files();
        look.under_way();
        look.names();
        look.occupants(occupants);
        look.work.risks.extend(look.gaps.into_iter().map(Risk::Undetermined));
        look.work
    }

    /// Commits that HEAD or the worktree's own logs and refs name, and no branch, tag or remote ref holds.
    pub(super) fn unnamed(&self, path: &Path, admin: &Path) -> Result<Unnamed, GitError> {
        let mut ids = named_in(admin)?;
        ids.extend(self.commit(path, "HEAD")?.map(|head| head.id));
        if ids.is_empty() {
            return Ok(Unnamed::default());
        }
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let ask = ["rev-list", "--parents", "--ignore-missing", "--stdin"];
        let but = ["--not", "--branches", "--tags", "--remotes"];
        let listing = output(&self.look(path).args(ask).args(but).input(input), "git rev-list")?;
        let listing = String::from_utf8_lossy(&listing);
        let mut unnamed = Unnamed::default();
        let mut parents = BTreeSet::new();
        for line in listing.lines() {
            let mut ids = line.split(' ');
            unnamed.tips.extend(ids.next().map(str::to_owned));
            parents.extend(ids.map(str::to_owned));
            unnamed.count += 1;
        }
        unnamed.tips.retain(|id| !parents.contains(id));
        Ok(unnamed)
    }

    /// The stashes made on a branch, or on none.
    pub(super) fn stashes(
        &self,
        path: &Path,
        branch: Option<&str>,
    ) -> Result<Vec<String>, GitError> {
        let ask = ["-c", "log.showSignature=false", "stash", "list", "-z", "--format=%H %gs"];
        let listing = output(&self.look(path).args(ask), "git stash list")?;
        let on = format!("On {}:", branch.unwrap_or("(no branch)"));
        let wip = format!("WIP on {}:", branch.unwrap_or("(no branch)"));
        let mut ids = Vec::new();
        for record in records(&listing) {
            let record = String::from_utf8_lossy(record);
            let Some((id, message)) = record.split_once(' ') else {
                return Err(GitError::Answer { operation: "git stash list" });
            };
            if message.starts_with(&on) || message.starts_with(&wip) {
                ids.push(id.to_owned());
            }
        }
        Ok(ids)
    }

    /// A submodule that holds nothing of its own: its commit is the recorded one, pushed, and nothing differs.
    fn is_clean_submodule(&self, path: &Path, id: &str) -> Result<bool, GitError> {
        if self.commit(path, "HEAD")?.is_none_or(|head| head.id != id) {
            return Ok(false);
        }
        let changes = self.changes(path)?;
        let tracked = self.tracked(path)?;
        let own = ["rev-list", "--count", "HEAD", "--branches", "--glob=refs/stash", "--not"];
        let own = self.look(path).args(own).args(["--remotes", "--tags"]);
        Ok(changes.is_empty()
            && self.hidden(path, &tracked)? == 0
            && line(&own, "git rev-list")? == "0"
            && self.unclean_inside(path, &tracked, &walk(path)?)?.is_empty())
    }

    /// Repositories inside that are not clean submodules.
    fn unclean_inside(
        &self,
        top: &Path,
        tracked: &[Staged],
        found: &Found,
    ) -> Result<Vec<String>, GitError> {
        let mut unclean = Vec::new();
        for path in &found.embedded {
            let recorded = tracked.iter().find(|s| s.is_submodule() && s.path == *path);
            let clean = match recorded {
                Some(recorded) => self.is_clean_submodule(&top.join(path), &recorded.id)?,
                None => false,
            };
            if !clean {
                unclean.push(path.display().to_string());
            }
        }
        Ok(unclean)
    }
}

/// An assessment under way.
struct Assessment<'a> {
    git: &'a Git,
    entry: &'a Entry,
    path: &'a Path,
    work: Work,
    gaps: Vec<String>,
}

impl Assessment<'_> {
    /// Takes a part of the look; a failed one is a gap.
    fn seen<T>(&mut self, part: Result<T, GitError>) -> Option<T> {
        part.map_err(|error| self.gaps.push(error.line())).ok()
    }

    fn risk(&mut self, count: usize, risk: fn(usize) -> Risk) {
        if count > 0 {
            self.work.risks.push(risk(count));
        }
    }

    fn commits(&mut self) {
        let branch = self.git.branch_of(self.entry, self.path);
        self.work.branch = self.seen(branch).flatten();
        let head = self.git.commit(self.path, "HEAD");
        self.work.head = self.seen(head).flatten().map(|commit| commit.id);
        if self.work.branch.is_some() && self.work.head.is_some() {
            let ahead = self.ahead();
            self.work.commits = self.seen(ahead).unwrap_or(0);
        }
    }

    /// How many commits the branch has that its upstream, or else the default base, has not.
    fn ahead(&self) -> Result<usize, GitError> {
        let ask = ["rev-parse", "--verify", "--quiet", "@{upstream}^{commit}"];
        let ended = run(&self.git.look(self.path).args(ask), "git rev-parse")?;
        let base = if ended.status.success() {
            Some(String::from_utf8_lossy(&ended.stdout).trim_end().to_owned())
        } else {
            self.git.default_base(self.path)?.map(|(_, commit)| commit.id)
        };
        let Some(base) = base else { return Ok(0) };
        let count = ["rev-list", "--count", "HEAD", "--not", &base];
        let count = line(&self.git.look(self.path).args(count), "git rev-list")?;
        count.parse().map_err(|_| GitError::Answer { operation: "git rev-list" })
    }

    fn files(&mut self) {
        let changes = self.git.changes(self.path);
        let changes = self.seen(changes);
        let tracked = self.git.tracked(self.path);
        let tracked = self.seen(tracked);
        let found = self.seen(walk(self.path));
        if let Some(changes) = &changes {
            self.changed(changes);
        }
        if let Some(tracked) = &tracked {
            let hidden = self.git.hidden(self.path, tracked);
            let hidden = self.seen(hidden).unwrap_or(0);
            self.risk(hidden, Risk::Hidden);
        }
        let (Some(changes), Some(tracked), Some(found)) = (changes, tracked, found) else { return };
        let known: BTreeSet<&Path> = tracked.iter().map(|entry| &*entry.path).collect();
        let ignored = |path: &&PathBuf| {
            !known.contains(path.as_path()) && !changes.untracked.contains(path.as_path())
        };
        self.work.ignored = found.files.iter().filter(ignored).count();
        let unclean = self.git.unclean_inside(self.path, &tracked, &found);
        let unclean = self.seen(unclean).unwrap_or_default();
        if !unclean.is_empty() {
            self.work.risks.push(Risk::Embedded(unclean));
        }
    }

    fn changed(&mut self, changes: &Changes) {
        self.risk(changes.modified, Risk::Modified);
        self.risk(changes.staged, Risk::Staged);
        let brought = Brought::read(&self.entry.admin.join(BROUGHT));
        let brought = self.seen(brought).unwrap_or_default().unchanged(self.path);
        // A repository inside is listed with a slash at its end; it is a risk of its own.
        let is_own = |path: &&PathBuf| {
            !path.as_os_str().as_encoded_bytes().ends_with(b"/") && !brought.contains(*path)
        };
        self.risk(changes.untracked.iter().filter(is_own).count(), Risk::Untracked);
    }

    fn under_way(&mut self) {
        let here = |name: &str| is_there(&self.entry.admin.join(name));
        let mut operations: Vec<&str> = Vec::new();
        let mut failed = Vec::new();
        for (mark, operation) in UNDER_WAY {
            let said_already = match operation {
                "rebase" => operations.contains(&"am"),
                "cherry-pick" => operations.contains(&"revert"),
                _ => false,
            } || operations.contains(&operation);
            match here(mark) {
                Ok(true) if !said_already => operations.push(operation),
                Ok(_) => {}
                Err(error) => failed.push(error.line()),
            }
        }
        self.gaps.extend(failed);
        for operation in operations {
            self.work.risks.push(Risk::UnderWay(operation.to_owned()));
        }
        let pseudo = self.pseudo_refs();
        for operation in self.seen(pseudo).unwrap_or_default() {
            let risk = Risk::UnderWay(operation.to_owned());
            if !self.work.risks.contains(&risk) {
                self.work.risks.push(risk);
            }
        }
    }

    /// A reftable repository keeps these in its table.
    fn pseudo_refs(&self) -> Result<Vec<&'static str>, GitError> {
        let mut operations = Vec::new();
        if !is_there(&self.entry.admin.join("reftable"))? {
            return Ok(operations);
        }
        for (name, operation) in [("CHERRY_PICK_HEAD", "cherry-pick"), ("REVERT_HEAD", "revert")] {
            let ask = self.git.look(self.path).args(["rev-parse", "--verify", "--quiet", name]);
            let ended = run(&ask, "git rev-parse")?;
            match ended.status.code() {
                Some(0) => operations.push(operation),
                Some(1) => {}
                _ => return Err(refused("git rev-parse", &ended)),
            }
        }
        Ok(operations)
    }

    fn names(&mut self) {
        let unnamed = self.git.unnamed(self.path, &self.entry.admin);
        let unnamed = self.seen(unnamed).unwrap_or_default().count;
        self.risk(unnamed, Risk::Unnamed);
        let stashes = self.git.stashes(self.path, self.work.branch.as_deref());
        let stashes = self.seen(stashes).unwrap_or_default().len();
        self.risk(stashes, Risk::Stashes);
    }

    fn occupants(&mut self, occupants: &Occupants) {
        let list = match occupants {
            Observed::Known(list) => list,
            Observed::Absent(_) => return,
            Observed::Unknown(Blind { what, cause }) => {
                return self.gaps.push(format!("{what}: {cause}"));
            }
        };
        let path = resolved(self.path);
        let inside = |directory: &Path| directory.starts_with(&path);
        for occupant in list {
            let risk = match occupant.clone() {
                Occupant::Process { pid, command, directory } if inside(&directory) => {
                    Risk::Process { pid, command }
                }
                Occupant::Pane { pane, command, directory } if inside(&directory) => {
                    Risk::Pane { pane, command }
                }
                _ => continue,
            };
            self.work.risks.push(risk);
        }
    }
}

/// Every commit that a worktree's own files name: HEAD's log, pseudo refs, refs of its own, autostashes.
fn named_in(admin: &Path) -> Result<BTreeSet<String>, GitError> {
    let mut ids = BTreeSet::new();
    let log = read_if_there(&admin.join("logs/HEAD"))?.unwrap_or_default();
    for line in String::from_utf8_lossy(&log).lines() {
        ids.extend(line.split(' ').take(2).map(str::to_owned));
    }
    let mut files: Vec<PathBuf> = [
        "ORIG_HEAD",
        "MERGE_HEAD",
        "MERGE_AUTOSTASH",
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
        "REBASE_HEAD",
        "rebase-merge/autostash",
        "rebase-merge/orig-head",
        "rebase-merge/amend",
        "rebase-apply/autostash",
        "rebase-apply/orig-head",
    ]
    .iter()
    .map(|name| admin.join(name))
    .collect();
    let refs = admin.join("refs");
    if is_there(&refs)? {
        files.extend(walk(&refs)?.files.into_iter().map(|below| refs.join(below)));
    }
    for file in files {
        let text = read_if_there(&file)?.unwrap_or_default();
        ids.extend(String::from_utf8_lossy(&text).lines().map(|line| line.trim().to_owned()));
    }
    ids.retain(|id| is_id(id) && id.bytes().any(|byte| byte != b'0'));
    Ok(ids)
}
