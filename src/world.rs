//! The one seam between decisions and the machine: look, answer, act. Owns the vocabulary of acts; the
//! real world is `world::live`, a simulated one `world::sim`. Invariant: an implementation decides nothing;
//! it does what an act says or says why not.

pub mod live;
pub mod sim;

use crate::launch::Launch;
use crate::name::{Name, Uid};
use crate::record::BranchAt;
use crate::snapshot::{
    Answers, BranchSource, Mark, PaneId, Question, RuntimeAt, ServerId, Snapshot, Wanted,
};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// What a pass works on.
pub trait World {
    /// Looks at everything that `wanted` names, and at the tmux server. Changes nothing.
    fn observe(&mut self, wanted: &Wanted) -> Snapshot;

    /// Answers the questions of a plan. Changes nothing.
    fn answer(&mut self, questions: &BTreeSet<Question>) -> Answers;

    /// Performs a batch of acts that do not depend on each other, possibly side by side. The results are in
    /// the order of the acts.
    fn perform(&mut self, acts: &[Act]) -> Vec<Result<Done, ActError>>;

    /// The time now.
    fn now(&self) -> jiff::Timestamp;

    /// A new uid.
    fn mint(&mut self) -> Uid;

    /// 128 random bits, for a conversation's id.
    fn random(&mut self) -> u128;

    /// True until whoever runs the program wants it to end: asked before every step.
    fn may_go_on(&self) -> bool {
        true
    }

    /// A pass is over: lets go of what is held open for the sake of its acts.
    fn rest(&mut self) {}
}

/// One effect on the machine. Each may be performed again after it was cut off.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Brings the base of new worktrees up to date: `git fetch` of the remote that `base` names.
    Fetch {
        /// The repository.
        repo: PathBuf,
        /// The base, `origin/main`; `None` for the default one.
        base: Option<String>,
        /// Done already when the last fetch, or the last attempt, is younger.
        max_age: Duration,
    },
    /// `git worktree add --lock`. Done already when the path is a complete worktree locked with this uid.
    AddWorktree(AddWorktree),
    /// Writes a run's launch file and removes the report of an earlier run.
    WriteLaunch {
        /// The file.
        launch: Box<Launch>,
        /// `setup` is due again, although it was done.
        setup_again: bool,
    },
    /// Makes a pane with its marks, running `__launch`. Done already when a pane with this mark lives.
    StartPane(StartPane),
    /// Writes the marks of a pane of ours anew.
    Remark {
        /// Which pane.
        pane: PaneId,
        /// With which marks.
        mark: Mark,
    },
    /// Keeps the last 5,000 lines of a pane's screen in a file.
    KeepScreen {
        /// Whose.
        pane: PaneId,
        /// Whose it must be.
        uid: Uid,
        /// Where to.
        to: PathBuf,
    },
    /// Ends the agent in a pane of ours: keys, then TERM, then KILL to its kernel session. The pane stays.
    EndRun(EndRun),
    /// Ends what is left of an earlier run, as far as it carries the uid.
    EndSurvivors(RuntimeAt),
    /// Removes a pane of ours; with it its tmux session if nothing but idle shells remain there.
    RemovePane {
        /// Which.
        pane: PaneId,
        /// Whose it must be.
        uid: Uid,
    },
    /// Runs `teardown` commands.
    Teardown {
        /// In this directory.
        directory: PathBuf,
        /// `sh -c` texts, one after the other.
        run: Vec<String>,
        /// For each.
        timeout: Duration,
        /// For `FLEET_NAME` and `FLEET_SESSION`.
        fleet: Name,
        /// For `FLEET_SESSION`.
        session: Name,
        /// Whose.
        uid: Uid,
    },
    /// Pins what has no name of its own under `refs/fleet/salvage/<uid>/`.
    Salvage(WorktreeOf),
    /// Moves a worktree to the trash and frees its branch. Done already when it is there.
    Trash {
        /// Which.
        worktree: WorktreeOf,
        /// Where to.
        to: PathBuf,
        /// Only finish a move that had begun; [`ActError::Changed`] when none had.
        finish_only: bool,
    },
    /// Brings a worktree back from the trash. Done already when it is back.
    Untrash {
        /// Where it goes; its lock must name `uid`.
        worktree: WorktreeOf,
        /// Where it lies.
        from: PathBuf,
        /// The branch to attach HEAD to, if it still points there.
        branch: Option<BranchAt>,
        /// Salvaged refs, read back before anything moves.
        salvage: Vec<String>,
    },
    /// Makes a worktree's lost directory anew; the entry's index and HEAD log go to the trash first.
    Rebuild {
        /// Which.
        worktree: WorktreeOf,
        /// Where index and HEAD log are kept.
        keep: PathBuf,
    },
    /// Writes `fleetctl.json` into a worktree's admin directory.
    Describe {
        /// Which.
        worktree: WorktreeOf,
        /// Its contents.
        json: String,
    },
    /// Removes a worktree's lock, so that it is nobody's: `rm --keep`.
    LetGo(WorktreeOf),
    /// Removes the marks of a pane of ours, so that it is nobody's: `rm --keep`.
    Unmark {
        /// Which.
        pane: PaneId,
        /// Whose it must be.
        uid: Uid,
    },
    /// Removes what an incarnation has in the state directory.
    Tidy {
        /// Whose.
        uid: Uid,
        /// Not only the launch file, which holds values of `env`, but also what setup, its screen and an agent
        /// that keeps its conversations there have left.
        all: bool,
    },
    /// Deletes a directory of the trash, and the worktree's entry and salvage refs with it.
    EmptyTrash {
        /// The worktree's entry.
        worktree: WorktreeOf,
        /// The directory in the trash.
        path: PathBuf,
        /// The refs that salvage made.
        salvage: Vec<String>,
    },
}

/// A worktree of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeOf {
    /// Whose it must be, by its lock.
    pub uid: Uid,
    /// The repository.
    pub repo: PathBuf,
    /// Its directory.
    pub path: PathBuf,
}

/// [`Act::AddWorktree`].
#[derive(Debug, Clone, PartialEq)]
pub struct AddWorktree {
    /// Where and whose.
    pub worktree: WorktreeOf,
    /// For the lock's reason.
    pub fleet: Name,
    /// The branch's name; `None` for a detached HEAD.
    pub branch: Option<String>,
    /// Where it comes from.
    pub source: BranchSource,
    /// Contents of `fleetctl.json` in its admin directory.
    pub json: String,
    /// Where a half made one goes before it is made anew.
    pub discard: PathBuf,
}

/// [`Act::StartPane`].
#[derive(Debug, Clone, PartialEq)]
pub struct StartPane {
    /// The tmux session's name, when one is to be made.
    pub tmux_name: String,
    /// Our dead pane, whose window is to be replaced.
    pub over: Option<PaneId>,
    /// The pane's directory.
    pub directory: PathBuf,
    /// The launch file that `__launch` is given.
    pub launch: PathBuf,
    /// The marks.
    pub mark: Mark,
}

/// [`Act::EndRun`].
#[derive(Debug, Clone, PartialEq)]
pub struct EndRun {
    /// Which pane.
    pub pane: PaneId,
    /// Whose it must be.
    pub uid: Uid,
    /// Keys that interrupt a turn, as tmux names them.
    pub interrupt: Vec<String>,
    /// Keys that quit.
    pub quit: Vec<String>,
    /// How long each of keys and TERM is given.
    pub grace: Duration,
}

/// What an act gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// Nothing to tell.
    Plain,
    /// A remote was asked.
    Fetched,
    /// A pane runs.
    Started {
        /// On which server.
        server: ServerId,
        /// Which pane.
        pane: PaneId,
        /// The pid of its process.
        pid: u32,
    },
    /// A worktree stands.
    Added {
        /// The commit it stands on.
        head: String,
        /// Its admin directory, `<common>/worktrees/NAME`.
        admin: PathBuf,
    },
    /// What salvage pinned, by full ref name.
    Salvaged(Vec<String>),
    /// A worktree is in the trash.
    Trashed {
        /// The branch that HEAD was on.
        branch: Option<BranchAt>,
    },
    /// A worktree is back.
    Restored {
        /// HEAD is on its branch again.
        attached: bool,
    },
    /// These processes left the agent's kernel session and still run: `pid command`.
    Left(Vec<String>),
}

/// Why an act was not done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ActError {
    /// What was seen before is no longer so; nothing was done.
    #[error("{0} changed meanwhile")]
    Changed(String),
    /// It failed.
    #[error("{what}: {cause}")]
    Failed {
        /// The operation: `git worktree add`.
        what: String,
        /// Why, in one line.
        cause: String,
    },
    /// Whether it was done is not known.
    #[error("{what}: the result is not known: {cause}")]
    Uncertain {
        /// The operation.
        what: String,
        /// Why, in one line.
        cause: String,
    },
    /// An earlier act of the same batch failed in a way that stops the batch.
    #[error("not attempted")]
    NotAttempted,
}
