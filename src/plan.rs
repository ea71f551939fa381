//! The decisions: from what should be, what is, and what is remembered, to a typed list of steps and holds.
//! Pure, total and deterministic to the byte: no I/O, no clock, no failure. What cannot be done, and why,
//! is output. Invariant: nothing that was not seen, not marked, or not asked for is ever in a step.

use crate::name::{Name, Uid};
use crate::record::{Books, EndKind, Place, StopReason, Truth};
use crate::snapshot::{
    Blind, BranchSource, GroundAt, Merge, PaneId, PortHolder, Question, Risk, WorkAt,
};
use jiff::Timestamp;

mod backoff;
mod build;
mod change;
pub mod compare;
pub mod condition;
mod due;
mod ends;
mod guard;
pub mod hold;
mod names;
mod needs;
mod order;
mod pass;
pub mod policy;
mod ports;
mod retire;
pub mod runs;
mod runtime;
mod session;
mod sight;
mod start;
mod status;
mod stray;
pub mod wait;

pub use condition::{Because, Condition, Sync, conditions};
pub use hold::{Conflict, Hold, HoldReason, Lag, Wants};
pub use policy::{Failed, Pace, Policy, Removals, Request};
pub use ports::Ports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// The whole plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The fleet.
    pub fleet: Name,
    /// The last recorded revision.
    pub revision: u64,
    /// The manifest differs from that revision, which would make it the next one.
    pub new_revision: bool,
    /// The branch of the manifest's own repository, where it is to be recorded.
    pub branch: Option<String>,
    /// The files that were read.
    pub sources: Vec<PathBuf>,
    /// When the world was seen.
    pub seen: Timestamp,
    /// One entry a session: in file order, then those gone from the file by name.
    pub entries: Vec<Entry>,
    /// What must be asked before the plan is complete.
    pub questions: BTreeSet<Question>,
    /// What a reader should know: possible renames, say.
    pub hints: Vec<Hint>,
    /// What could not be seen at all.
    pub blind: Vec<Blind>,
    /// Indices into `entries`, in the order of acting: creates and starts (dependencies first), then updates,
    /// restarts and recreates, then stops, then decommissions (dependents and sharers first). A sharer that
    /// must stop before its owner is recreated comes right before that recreate.
    pub order: Vec<usize>,
    /// The new names that `moved` gives, to be recorded all at once before the first step: a name is a label,
    /// and two sessions may swap theirs. They belong into the transaction that records the revision; of a
    /// recorded one there are none.
    pub renames: BTreeMap<Uid, Name>,
    /// The ports that sessions have once their steps are done.
    pub ports: BTreeMap<Name, Ports>,
    /// What looks have taught of sessions, where it is not what is remembered: to be recorded.
    pub books: BTreeMap<Uid, Books>,
    /// When the same file, machine and memory would give another plan, by time alone; or when to look again at
    /// something that changes without a sign. `None`: not before something else happens.
    pub due: Option<Timestamp>,
}

/// What the plan says of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The session.
    pub name: Name,
    /// Its incarnation, when it has one.
    pub uid: Option<Uid>,
    /// The name that its record has still, when `moved` gives it this one.
    pub renamed_from: Option<Name>,
    /// What is to be done.
    pub verdict: Verdict,
    /// A further step that is not done now: a restart that waits, while the verdict updates what needs none.
    pub deferred: Option<Hold>,
    /// Field changes, with old and new values.
    pub changes: Vec<Change>,
    /// Facts worth saying beside the verdict.
    pub notes: Vec<Note>,
    /// How it is, whatever is to be done.
    pub status: Status,
}

/// What is to be done with a session.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one a session; a box would only move it")]
pub enum Verdict {
    /// It is as it should be.
    Synced,
    /// A step.
    Do(Step),
    /// A step that is not done.
    Hold(Hold),
}

/// How a session is now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// Its health.
    pub health: Health,
    /// What its agent does, as far as it is known.
    pub activity: Activity,
    /// A client sees it.
    pub attached: bool,
    /// Its agent's process runs.
    pub running: bool,
    /// What its `ready` asks for was seen; `None` without one.
    pub ready: Option<Truth>,
    /// The branch that its worktree is on now.
    pub branch: Option<String>,
    /// The directory it works in.
    pub directory: Option<PathBuf>,
    /// The tmux session that holds its pane, by its name now.
    pub tmux_session: Option<String>,
    /// Its pane.
    pub pane: Option<PaneId>,
    /// The end that stands.
    pub end: Option<EndKind>,
}

/// One word for how a session fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// It runs.
    Healthy,
    /// It is about to run: started and not ready yet, or to be started next.
    Progressing,
    /// It crashed and will be started again, or should have been ready by now.
    Degraded,
    /// It does not run, and should not.
    Stopped,
    /// It failed for good.
    Failed,
    /// It has not been made.
    #[default]
    Missing,
    /// It could not be seen.
    Unknown,
}

/// What an agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// Not known; counts as busy.
    #[default]
    Unknown,
    /// A shell or a command: it has none.
    Shell,
    /// A shell with a program in the foreground.
    Busy,
    /// It has exited.
    Exited,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What.
    pub kind: StepKind,
    /// Why.
    pub reason: StepReason,
}

/// What a step does, with all that the executor needs. Any step on a session of the file leaves
/// [`after_update`](crate::record::Applied::after_update) in its record, one that starts a run [`after_start`](crate::record::Applied::after_start). A session that
/// shares a worktree starts in the directory that its owner's record has at that moment.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Make worktree, pane and agent.
    Create(Creation),
    /// Start a run, in a new tmux session or in the window of the dead pane.
    Start {
        /// How.
        launch: LaunchMode,
        /// Our dead pane, if it is still there.
        over: Option<PaneId>,
        /// Run `setup` again first.
        setup: bool,
        /// Make the lost directory of its own worktree anew before that.
        rebuild: bool,
    },
    /// End the run and start another.
    Restart {
        /// How.
        launch: LaunchMode,
        /// The pane as it was seen: the precondition.
        pane: PaneId,
        /// Run `setup` again first.
        setup: bool,
        /// Check the lost worktree out again in between.
        rebuild: bool,
    },
    /// Decommission, then create.
    Recreate {
        /// The old half.
        retire: Retirement,
        /// The new half.
        create: Creation,
    },
    /// Take over in-place fields, a new name or lost marks.
    Update {
        /// The name, if it changed.
        rename: Option<Name>,
    },
    /// End the run and keep everything else.
    Stop {
        /// Why.
        reason: StopReason,
        /// The pane as it was seen; `None` when only the intent is to be recorded.
        pane: Option<PaneId>,
    },
    /// Stop, salvage, move to the trash, leave a tombstone.
    Decommission(Retirement),
    /// Drop the record; touch nothing.
    Forget,
    /// Record an end that was seen, and do nothing else.
    Settle(EndKind),
}

impl StepKind {
    /// The verb under which a hold of this step is shown.
    #[must_use]
    pub fn wants(&self) -> Wants {
        match self {
            Self::Create(_) => Wants::Create,
            Self::Start { .. } => Wants::Start,
            Self::Restart { .. } => Wants::Restart,
            Self::Recreate { .. } => Wants::Recreate,
            Self::Update { .. } => Wants::Update,
            Self::Stop { .. } => Wants::Stop,
            Self::Decommission(_) | Self::Forget => Wants::Decommission,
            Self::Settle(_) => Wants::Nothing,
        }
    }

    /// True when it ends a live run, takes a worktree away or drops a record.
    #[must_use]
    pub fn destroys(&self) -> bool {
        matches!(
            self,
            Self::Restart { .. }
                | Self::Recreate { .. }
                | Self::Stop { .. }
                | Self::Decommission(_)
                | Self::Forget
        )
    }
}

/// What a create makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Creation {
    /// Where it will work. For a worktree of its own: the path and branch to be.
    pub place: Place,
    /// Where the branch comes from; `None` without a worktree of its own.
    pub branch: Option<BranchSource>,
    /// The ground that was looked at: asked again right before.
    pub ground: Option<GroundAt>,
    /// The tmux session's name.
    pub tmux_name: String,
}

/// What a decommission ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Retirement {
    /// Our pane, dead or alive, as it was seen.
    pub pane: Option<PaneId>,
    /// The worktree of its own, if it has one.
    pub work: Option<WorkAt>,
    /// Go on although work is at risk: salvage keeps it.
    pub archive: bool,
    /// The risks that were seen and accepted.
    pub risks: Vec<Risk>,
    /// Commits that stay on the branch, and that branch.
    pub commits: Option<(usize, String)>,
}

/// How a run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchMode {
    /// A new conversation, with the prompt. `lost` is the conversation that could not be resumed.
    Fresh {
        /// The conversation whose transcript is gone.
        lost: Option<String>,
    },
    /// The conversation of this id goes on.
    Resume(String),
    /// A shell or a command.
    Plain,
}

/// Why a step is done.
#[derive(Debug, Clone, PartialEq)]
pub enum StepReason {
    /// The file has it and the machine does not.
    New,
    /// Its runtime is gone: killed, or the server died.
    Gone,
    /// Its run crashed.
    Crashed {
        /// The exit status, if it is known.
        status: Option<i32>,
        /// The signal, if one ended it.
        signal: Option<i32>,
    },
    /// `restart: always`.
    Ended,
    /// Fields changed in the file.
    Changed,
    /// The file says `state: running` again, or a human said `start`.
    Wanted,
    /// A human asked for it.
    Asked,
    /// The file says `state: stopped`.
    StoppedInFile,
    /// It is gone from the file since then.
    LeftFile(Option<Timestamp>),
    /// The file's `removed`, or `rm --keep`, lets go of it.
    LetGo,
    /// Nothing of it is left on the machine.
    NothingLeft,
    /// The file's `moved` renames it.
    Moved {
        /// The old name.
        from: Name,
    },
    /// Its run ended, and that end stands.
    EndSeen,
    /// Its work is in the base, and the file wants it until then.
    Merged(Merge),
    /// It ran or idled for as long as the file lets it.
    Expired,
}

/// A changed field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path: `model`, `env.PORT`, `prompt`.
    pub field: String,
    /// The value in force; `None` for the default.
    pub from: Option<String>,
    /// The file's value; `None` for the default.
    pub to: Option<String>,
    /// What it causes.
    pub class: ChangeClass,
}

/// What a change of a field causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeClass {
    /// Another worktree.
    Recreate,
    /// A restart.
    Restart,
    /// Taken over in place.
    InPlace,
    /// Said; used at the next creation or start.
    Noted,
}

/// A fact worth saying beside a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Its worktree is on another branch than at creation.
    OnBranch(String),
    /// Its worktree's HEAD is detached although it was made with a branch.
    Detached(String),
    /// Its tmux session was renamed.
    Renamed(String),
    /// A human holds it, and there is nothing that this keeps from being done.
    OnHold {
        /// Who.
        by: String,
        /// Why.
        why: Option<String>,
    },
    /// It crashed that many times.
    CrashedTimes(usize),
    /// It is not ready, although it had so long.
    NotReady(Duration),
    /// Whether it is merged cannot be told, for this reason.
    MergeUnseen(String),
    /// A restart-class change waits for the next start.
    AtNextStart,
    /// It gets these ports.
    Ports(Ports),
    /// A port that it keeps is not in the fleet's pool any more.
    PortOutside {
        /// The port's name.
        name: String,
        /// The port.
        port: u16,
    },
    /// Somebody has taken a port that it keeps.
    PortTaken {
        /// The port's name.
        name: String,
        /// The port.
        port: u16,
        /// Who.
        by: PortHolder,
    },
}

/// A hint under the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// One session is removed and one added: perhaps a rename.
    PerhapsMoved {
        /// The removed one.
        from: Name,
        /// The added one.
        to: Name,
    },
}

/// Decides, from what should be, what is and what is remembered, what to do. Pure, total, deterministic.
///
/// What must be known before a step can be decided and is not in `snapshot.answers` becomes a question of
/// the plan; the step is held meanwhile. A question that has an answer is not asked again, so answering and
/// planning again comes to an end.
#[must_use]
pub fn plan(
    fleet: &crate::manifest::fleet::Fleet,
    snapshot: &crate::snapshot::Snapshot,
    records: &crate::record::Records,
    policy: &Policy,
) -> Plan {
    pass::Pass::new(fleet, snapshot, records, policy).build()
}
