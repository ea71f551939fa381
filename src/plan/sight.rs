//! The snapshot by what the decisions ask for: panes by incarnation and by tmux session, worktrees by
//! incarnation, path and branch. Each is read once. Invariant: only marks make an object ours, never a name.

use crate::name::{Installation, Name, Uid};
use crate::snapshot::{
    Head, Lock, Marked, Observed, Pane, PaneState, Repository, Snapshot, Worktree,
};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What was seen, indexed.
#[derive(Debug)]
pub(super) struct Sight<'a> {
    panes: HashMap<Uid, Vec<&'a Pane>>,
    tmux_sessions: HashSet<&'a str>,
    trees: HashMap<Uid, Vec<&'a Worktree>>,
    paths: HashMap<&'a Path, &'a Worktree>,
    branches: HashMap<(&'a Path, &'a str), &'a Path>,
}

/// Our pane of one incarnation.
#[derive(Debug, Clone, Copy)]
pub(super) enum PaneOf<'a> {
    /// None.
    None,
    /// The one that counts: the live one, or the dead one of the last run.
    One(&'a Pane),
    /// Two live ones.
    Doubled,
}

/// The worktree that is locked with one uid.
#[derive(Debug, Clone, Copy)]
pub(super) enum TreeOf<'a> {
    /// None.
    None,
    /// One.
    One(&'a Worktree),
    /// Two.
    Doubled,
}

impl<'a> Sight<'a> {
    /// Reads a snapshot with the eyes of one installation and fleet.
    pub(super) fn new(snapshot: &'a Snapshot, installation: &Installation, fleet: &Name) -> Self {
        let mut sight = Self {
            panes: HashMap::new(),
            tmux_sessions: HashSet::new(),
            trees: HashMap::new(),
            paths: HashMap::new(),
            branches: HashMap::new(),
        };
        for pane in snapshot.tmux.known().iter().flat_map(|server| &server.panes) {
            sight.tmux_sessions.insert(&pane.session_name);
            if let Marked::Yes(mark) = &pane.mark
                && &mark.installation == installation
                && &mark.fleet == fleet
            {
                sight.panes.entry(mark.uid).or_default().push(pane);
            }
        }
        let mut read = HashSet::new();
        for repository in snapshot.repos.values().filter_map(Observed::known) {
            // Two paths of the manifest may lead to one repository.
            if read.insert(&repository.common) {
                sight.read(repository, fleet);
            }
        }
        sight
    }

    fn read(&mut self, repository: &'a Repository, fleet: &Name) {
        for tree in &repository.worktrees {
            self.paths.insert(&tree.path, tree);
            if let Head::Branch(branch) = &tree.head {
                self.branches.insert((&repository.common, branch), &tree.path);
            }
            if let Lock::Fleet { fleet: of, uid } = &tree.lock
                && of == fleet
            {
                self.trees.entry(*uid).or_default().push(tree);
            }
        }
    }

    /// The pane of an incarnation.
    pub(super) fn pane(&self, uid: Uid) -> PaneOf<'a> {
        let Some(panes) = self.panes.get(&uid) else { return PaneOf::None };
        let mut live = panes.iter().filter(|pane| pane.state == PaneState::Alive);
        match (live.next(), live.next()) {
            (Some(_), Some(_)) => PaneOf::Doubled,
            (Some(pane), None) => PaneOf::One(pane),
            (None, _) => panes
                .iter()
                .max_by_key(|pane| (run_of(pane), &pane.id))
                .map_or(PaneOf::None, |pane| PaneOf::One(pane)),
        }
    }

    /// The worktree of an incarnation.
    pub(super) fn tree(&self, uid: Uid) -> TreeOf<'a> {
        match self.trees.get(&uid).map(Vec::as_slice) {
            None | Some([]) => TreeOf::None,
            Some([tree]) => TreeOf::One(tree),
            Some(_) => TreeOf::Doubled,
        }
    }

    /// A worktree of an incarnation, whatever its state.
    pub(super) fn any_tree(&self, uid: Uid) -> Option<&'a Worktree> {
        self.trees.get(&uid)?.first().copied()
    }

    /// True when a tmux session of this name is there, whosever.
    pub(super) fn has_tmux_session(&self, name: &str) -> bool {
        self.tmux_sessions.contains(name)
    }

    /// The linked worktree that git lists at a path.
    pub(super) fn tree_at(&self, path: &Path) -> Option<&'a Worktree> {
        self.paths.get(path).copied()
    }

    /// Where a branch is checked out in a linked worktree.
    pub(super) fn checked_out(&self, common: &'a Path, branch: &'a str) -> Option<&'a Path> {
        self.branches.get(&(common, branch)).copied()
    }

    /// Incarnations that carry our mark, on a pane or on a worktree.
    pub(super) fn marked(&self) -> impl Iterator<Item = Uid> {
        self.panes.keys().chain(self.trees.keys()).copied()
    }
}

/// The run that a pane's mark names.
pub(super) fn run_of(pane: &Pane) -> crate::name::Run {
    match &pane.mark {
        Marked::Yes(mark) => mark.run,
        Marked::No | Marked::Garbled => crate::name::Run(0),
    }
}
