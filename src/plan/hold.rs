//! Steps that are not done, and why. Plain data. Invariant: every reason is one that something lifts, and the
//! words for it name what.

use super::StepReason;
use crate::manifest::fleet::Need;
use crate::name::Name;
use crate::record::WishKind;
use crate::snapshot::{Blind, Risk};
use jiff::Timestamp;
use std::path::PathBuf;

/// A step that is not done.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// The step that would be done.
    pub wants: Wants,
    /// Why it is not.
    pub reason: HoldReason,
}

/// The verb of the step that a hold stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wants {
    /// Create.
    Create,
    /// Start or resume.
    Start,
    /// Restart.
    Restart,
    /// Recreate.
    Recreate,
    /// Update.
    Update,
    /// Stop.
    Stop,
    /// Decommission.
    Decommission,
    /// Nothing would be done, but something stands in the way of knowing.
    Nothing,
}

/// Why a step is not done.
#[derive(Debug, Clone, PartialEq)]
pub enum HoldReason {
    /// The agent is busy, or its activity is unknown, which counts as busy. Lifted by idleness or `--now`.
    Busy,
    /// A client sees the pane. Lifted by detaching or `--now`.
    Attached,
    /// `on_change: manual`. Lifted by `fleetctl restart`.
    Manual,
    /// `max_running` is reached.
    Queued {
        /// Its place in the queue, from 1.
        place: usize,
        /// The queue's length.
        of: usize,
        /// The limit.
        max: usize,
    },
    /// `max_starting` agents were started a moment ago. Lifted by time.
    Starting {
        /// The limit.
        max: usize,
        /// When there is room again.
        until: Timestamp,
    },
    /// It depends on something of another session.
    Dependency {
        /// Which.
        on: Name,
        /// What of it.
        need: Need,
        /// Why it is not so.
        lag: Lag,
    },
    /// It ended several times in a row and is not started again at once. Lifted by time or `start`.
    Backoff {
        /// When it is.
        until: Timestamp,
        /// How many times.
        after: u32,
        /// How it ended.
        ended: Box<StepReason>,
    },
    /// It is finished and is not made again. Lifted by `start --again`.
    Finished {
        /// The commit that brought its work into the base.
        commit: String,
        /// When it was taken down.
        at: Timestamp,
    },
    /// A human's wish. Lifted by `start` or `release`.
    Wish {
        /// Which.
        kind: WishKind,
        /// Why, in his words.
        why: Option<String>,
        /// Who.
        by: String,
        /// Since when.
        since: Timestamp,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// Its worktree holds work that would be at risk.
    AtRisk(Vec<Risk>),
    /// `protect: true`, since this revision.
    Protected {
        /// Which.
        since: u64,
    },
    /// The mass guard: too many at once.
    Mass {
        /// How many would go.
        would: usize,
        /// Of how many.
        of: usize,
    },
    /// `prune` has not passed, or is manual.
    Prune {
        /// When it will be done; `None` for manual.
        due: Option<Timestamp>,
    },
    /// Something on the machine stands on a name, path or branch that it needs.
    Conflict(Conflict),
    /// Its worktree's directory is gone while git still lists it.
    Lost {
        /// Where it was.
        path: PathBuf,
    },
    /// Two live objects carry its uid.
    Doubled,
    /// Our mark, but no record of it.
    Orphaned,
    /// Its worktree was moved by hand.
    Strayed {
        /// Where it was made.
        recorded: PathBuf,
        /// Where it is.
        found: PathBuf,
    },
    /// The user's own panes beside ours run something that the step would end.
    YourPanes(Vec<String>),
    /// The included file that it may stand in is invalid.
    Frozen {
        /// The file, relative to the manifest.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its conversation is gone and `resume: required`.
    ConversationLost {
        /// Its id.
        id: String,
    },
    /// It waits for the steps of other sessions in this pass: creates in its repository, its dependents.
    After(Vec<Name>),
    /// What must be seen before it can be decided could not be seen.
    Unseen(Blind),
    /// The base of its branch cannot be resolved.
    NoBase {
        /// What was tried.
        base: String,
    },
    /// The fleet's pool has no free port for a name of it.
    NoPort {
        /// The port's name.
        name: String,
        /// The pool, both ends included.
        pool: Option<(u16, u16)>,
        /// Who has its ports, and how many each.
        by: Vec<(String, usize)>,
    },
    /// The program runs in the session that the step would end.
    Inside,
    /// The manifest's repository is on another branch than it was applied from, or in the midst of an
    /// operation. Lifted by going back, or by `apply`.
    Elsewhere {
        /// The branch that it was applied from, if that is another one.
        was: Option<String>,
        /// The branch now.
        now: String,
        /// The merge, rebase or bisect under way.
        under_way: Option<String>,
    },
    /// The step failed. Lifted by time, or by asking for it.
    Failed {
        /// How many times in a row.
        times: u32,
        /// When it is tried again.
        again: Timestamp,
    },
}

impl HoldReason {
    /// It waits for another session to be started.
    #[must_use]
    pub fn waits_for(on: &Name) -> Self {
        Self::Dependency { on: on.clone(), need: Need::Started, lag: Lag::NotYet }
    }
}

/// Why what a session waits for of another one is not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// It did not come yet.
    NotYet,
    /// It should have come by now.
    Late,
    /// It cannot be told, which counts as no.
    Unknown,
}

/// What stands in the way of a create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// A tmux session with its name that is not ours.
    Session {
        /// Its name.
        name: String,
    },
    /// A worktree that is not ours, or something else, at its path.
    Path {
        /// Where.
        path: PathBuf,
    },
    /// Its branch is checked out elsewhere.
    Branch {
        /// Which.
        branch: String,
        /// Where.
        at: PathBuf,
    },
}
