//! A repository of a simulated machine: branches and linked worktrees. Invariant: what is in a worktree is
//! moved with it and never deleted, but by emptying the trash.

use super::{branch_at, failed};
use crate::name::Uid;
use crate::record::BranchAt;
use crate::snapshot::{
    BranchSource, Commit, Ground, GroundAt, Head, Lock, Merge, Repository, Risk, Work, WorkAt,
    Worktree,
};
use crate::world::{ActError, AddWorktree, Done, WorktreeOf};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A repository.
#[derive(Debug, Clone)]
pub struct Forest {
    /// Its main worktree.
    pub top: PathBuf,
    /// The branch that is checked out there.
    pub main: String,
    /// Branches and where they point.
    pub branches: BTreeMap<String, String>,
    /// Linked worktrees, those in the trash too.
    pub trees: Vec<Tree>,
    /// Paths on which something else stands.
    pub taken: Vec<PathBuf>,
    /// The base of new branches; without it none can be resolved.
    pub base: Option<String>,
}

/// A linked worktree.
#[derive(Debug, Clone)]
pub struct Tree {
    /// As git lists it.
    pub entry: Worktree,
    /// The work in it that has no name of its own.
    pub risks: Vec<Risk>,
    /// Commits of its own were made in it, and are in the base.
    pub merged: bool,
}

impl Forest {
    /// A repository with one branch, `main`.
    #[must_use]
    pub fn new(top: impl Into<PathBuf>) -> Self {
        Self {
            top: top.into(),
            main: "main".into(),
            branches: [("main".into(), "c0".into())].into(),
            trees: Vec::new(),
            taken: Vec::new(),
            base: Some("main".into()),
        }
    }

    pub(super) fn look(&self) -> Repository {
        Repository {
            common: self.top.join(".git"),
            top: self.top.clone(),
            worktrees: self.trees.iter().map(|tree| tree.entry.clone()).collect(),
        }
    }

    pub(super) fn has_directory(&self, path: &Path) -> bool {
        let trees = self.trees.iter().filter(|tree| tree.entry.present);
        path.starts_with(&self.top) || trees.map(|t| &t.entry.path).any(|p| path.starts_with(p))
    }

    pub(super) fn work(&self, at: &WorkAt) -> Option<Work> {
        let tree = self.trees.iter().find(|tree| is_of(&tree.entry, at.uid))?;
        let branch = match &tree.entry.head {
            Head::Branch(branch) => Some(branch.clone()),
            Head::Detached(_) | Head::Unreadable => None,
        };
        let head = branch.as_ref().and_then(|branch| self.branches.get(branch)).cloned();
        Some(Work { risks: tree.risks.clone(), branch, head, commits: 0, ignored: 0 })
    }

    pub(super) fn merged(&self, uid: Uid) -> Option<Merge> {
        let tree = self.trees.iter().find(|tree| is_of(&tree.entry, uid) && tree.merged)?;
        let tip = match &tree.entry.head {
            Head::Branch(branch) => self.branches.get(branch)?.clone(),
            Head::Detached(commit) => commit.clone(),
            Head::Unreadable => return None,
        };
        Some(Merge { tip, commit: "merged".into() })
    }

    pub(super) fn ground(&self, at: &GroundAt) -> Ground {
        let commit = |id: &String| Commit { id: id.clone(), time: Timestamp::UNIX_EPOCH };
        let base = at.base.as_ref().or(self.base.as_ref());
        let on = base.and_then(|base| Some((base.clone(), self.branches.get(base)?)));
        let local = at.branch.as_ref().and_then(|branch| self.branches.get(branch));
        let branch = match (local, on, &at.branch) {
            (Some(id), _, _) => BranchSource::Local(commit(id)),
            (None, Some((base, id)), Some(_)) => BranchSource::New { base, at: commit(id) },
            (None, Some((base, id)), None) => BranchSource::Detached { base, at: commit(id) },
            (None, None, _) => {
                BranchSource::NoBase { base: base.cloned().unwrap_or_else(|| "HEAD".into()) }
            }
        };
        Ground {
            branch,
            path_taken: self.taken.contains(&at.path),
            checked_out: at.branch.as_ref().and_then(|branch| self.checked_out(branch)),
        }
    }

    fn checked_out(&self, branch: &str) -> Option<PathBuf> {
        let is_on = |tree: &&Tree| matches!(&tree.entry.head, Head::Branch(on) if on == branch);
        let main = (self.main == branch).then(|| self.top.clone());
        main.or_else(|| self.trees.iter().find(is_on).map(|tree| tree.entry.path.clone()))
    }

    /// A worktree of ours at its path, or the refusal.
    pub(super) fn ours(&mut self, of: &WorktreeOf) -> Result<&mut Tree, ActError> {
        let ours = |tree: &&mut Tree| is_of(&tree.entry, of.uid) && tree.entry.path == of.path;
        self.trees.iter_mut().find(ours).ok_or_else(|| ActError::Changed("the worktree".into()))
    }

    pub(super) fn add(&mut self, add: &AddWorktree) -> Result<Done, ActError> {
        let AddWorktree { worktree, fleet, branch, source, .. } = add;
        if let Ok(tree) = self.ours(worktree) {
            let admin = tree.entry.admin.clone();
            return Ok(Done::Added { head: "c0".into(), admin });
        }
        let listed = self.trees.iter().any(|tree| tree.entry.path == worktree.path);
        if listed || self.taken.contains(&worktree.path) {
            return Err(failed("git worktree add", "the path is taken"));
        }
        let head = match source {
            BranchSource::Local(commit) | BranchSource::Remote(commit) => commit.id.clone(),
            BranchSource::New { at, .. } | BranchSource::Detached { at, .. } => at.id.clone(),
            BranchSource::NoBase { base } => {
                return Err(failed("git worktree add", &format!("no {base}")));
            }
        };
        let on = match branch {
            Some(branch) if self.checked_out(branch).is_some() => {
                return Err(failed("git worktree add", "the branch is checked out elsewhere"));
            }
            Some(branch) => {
                self.branches.entry(branch.clone()).or_insert_with(|| head.clone());
                Head::Branch(branch.clone())
            }
            None => Head::Detached(head.clone()),
        };
        let admin = self.top.join(".git/worktrees").join(worktree.uid.to_string());
        let entry = Worktree {
            path: worktree.path.clone(),
            admin: admin.clone(),
            head: on,
            lock: Lock::Fleet { fleet: fleet.clone(), uid: worktree.uid },
            present: true,
        };
        self.trees.push(Tree { entry, risks: Vec::new(), merged: false });
        Ok(Done::Added { head, admin })
    }

    pub(super) fn salvage(&mut self, of: &WorktreeOf) -> Result<Done, ActError> {
        let risks = self.ours(of)?.risks.len();
        let refs = (0..risks).map(|n| format!("refs/fleet/salvage/{}/{n}", of.uid));
        Ok(Done::Salvaged(refs.collect()))
    }

    pub(super) fn trash(
        &mut self,
        of: &WorktreeOf,
        to: &Path,
        finish_only: bool,
    ) -> Result<Done, ActError> {
        let there = WorktreeOf { path: to.to_owned(), ..of.clone() };
        if self.ours(&there).is_ok() {
            return Ok(Done::Trashed { branch: None });
        }
        if finish_only {
            return Err(ActError::Changed("the worktree".into()));
        }
        let tree = self.ours(of)?;
        if !tree.entry.present {
            return Err(failed("rename", "the worktree is not there"));
        }
        tree.entry.path = to.to_owned();
        let head = tree.entry.head.clone();
        let Head::Branch(name) = head else { return Ok(Done::Trashed { branch: None }) };
        let at = self.branches.get(&name).cloned().unwrap_or_default();
        self.ours(&there)?.entry.head = Head::Detached(at.clone());
        Ok(Done::Trashed { branch: Some(branch_at(&name, &at)) })
    }

    pub(super) fn untrash(
        &mut self,
        of: &WorktreeOf,
        from: &Path,
        branch: Option<&BranchAt>,
    ) -> Result<Done, ActError> {
        if self.ours(of).is_ok() {
            return Ok(Done::Restored { attached: false });
        }
        let taken = self.trees.iter().any(|tree| tree.entry.path == of.path);
        if taken || self.taken.contains(&of.path) {
            return Err(failed("rename", "the path is taken"));
        }
        let still = branch.filter(|branch| {
            self.branches.get(&branch.name) == Some(&branch.at)
                && self.checked_out(&branch.name).is_none()
        });
        let tree = self.ours(&WorktreeOf { path: from.to_owned(), ..of.clone() })?;
        tree.entry.path.clone_from(&of.path);
        if let Some(branch) = still {
            tree.entry.head = Head::Branch(branch.name.clone());
        }
        Ok(Done::Restored { attached: still.is_some() })
    }

    pub(super) fn rebuild(&mut self, of: &WorktreeOf) -> Result<Done, ActError> {
        self.ours(of)?.entry.present = true;
        Ok(Done::Plain)
    }

    pub(super) fn let_go(&mut self, of: &WorktreeOf) -> Result<Done, ActError> {
        let let_go = |tree: &Tree| tree.entry.path == of.path && tree.entry.lock == Lock::No;
        if self.trees.iter().any(let_go) {
            return Ok(Done::Plain);
        }
        match self.ours(of) {
            Ok(tree) => tree.entry.lock = Lock::No,
            Err(error) => return Err(error),
        }
        Ok(Done::Plain)
    }

    pub(super) fn empty(&mut self, of: &WorktreeOf, path: &Path) -> Result<Done, ActError> {
        let ours = |tree: &Tree| is_of(&tree.entry, of.uid) && tree.entry.path == path;
        self.trees.retain(|tree| !ours(tree));
        Ok(Done::Plain)
    }
}

fn is_of(entry: &Worktree, uid: crate::name::Uid) -> bool {
    matches!(&entry.lock, Lock::Fleet { uid: of, .. } if *of == uid)
}
