//! One look at the live state, as plain data. Owns the three-valued [`Observed`]; never touches tmux,
//! git, a clock or the environment. Invariant: what could not be seen is [`Observed::Unknown`], and
//! nothing here turns that into absence.

pub mod second;

pub use second::{
    Answers, BranchSource, Commit, Company, Ground, GroundAt, Merge, MergedAt, PortHolder, PortsAt,
    PortsSeen, Probe, Process, Question, ReadyAt, Risk, RuntimeAt, TranscriptAt, Work, WorkAt,
};

use crate::name::{Installation, Name, Run, Spec, Uid};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What a look at one part of the world gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    /// It was seen.
    Known(T),
    /// It was proven not to be there.
    Absent(Evidence),
    /// The look failed: it may be there or not.
    Unknown(Blind),
}

impl<T> Observed<T> {
    /// The value, when it was seen.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent(_) | Self::Unknown(_) => None,
        }
    }

    /// Why nothing is known, when the look failed.
    pub fn blind(&self) -> Option<&Blind> {
        match self {
            Self::Unknown(blind) => Some(blind),
            Self::Known(_) | Self::Absent(_) => None,
        }
    }
}

/// What proves that something is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// No tmux server ever ran on the socket, as far as the store remembers.
    NoServer,
    /// The server last seen there (pid, start time, boot id) is dead.
    ServerDied,
    /// The authority that lists such objects was read and does not list it.
    NotListed,
}

/// A failed look: what could not be seen, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blind {
    /// The thing looked at: `tmux`, `repository /srv/shop`.
    pub what: String,
    /// The cause, in one line.
    pub cause: String,
}

/// Everything that one pass knows of the world.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the look was made.
    pub taken: Timestamp,
    /// The tmux server of the fleet.
    pub tmux: Observed<Server>,
    /// Every repository that the manifest or a record names, by the path it is named with.
    pub repos: BTreeMap<PathBuf, Observed<Repository>>,
    /// The checkout that the manifest lies in.
    pub manifest: Observed<Checkout>,
    /// What `__launch` reported of runs that ended before the agent ran.
    pub launches: BTreeMap<Uid, LaunchFailure>,
    /// The second look: only what the plan asked for.
    pub answers: Answers,
}

/// A tmux server's identity: ids of panes and sessions count only together with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServerId {
    /// Its process id.
    pub pid: u32,
    /// Its start, in seconds since 1970 as tmux has it.
    pub started: i64,
    /// The kernel's boot id.
    pub boot: String,
}

/// A tmux server as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Which server.
    pub id: ServerId,
    /// All its panes, ours and others; one that is visible in several sessions appears once, under the
    /// session that it was made in.
    pub panes: Vec<Pane>,
}

/// A pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pane {
    /// `%7`
    pub id: PaneId,
    /// `@3`
    pub window: String,
    /// `$2`
    pub session: String,
    /// The tmux session's name now (its user may have renamed it).
    pub session_name: String,
    /// The process started in it.
    pub pid: u32,
    /// Whether that process runs, and how it ended.
    pub state: PaneState,
    /// What `@fleet` says on the pane itself.
    pub mark: Marked,
    /// A client other than fleetctl's sees it and was active in the last five minutes.
    pub attached: bool,
}

/// A tmux pane id: `%7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaneId(pub String);

/// The process of a pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaneState {
    /// It runs.
    Alive,
    /// Dead, but tmux has not reaped it: how it ended is not known yet.
    Ending,
    /// It exited with this status.
    Exited(i32),
    /// A signal of this number ended it.
    Killed(i32),
    /// Dead, and its status stayed unknown; counts as a crash.
    Lost,
}

/// The mark on a pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marked {
    /// None.
    No,
    /// A mark of some fleetctl.
    Yes(Mark),
    /// Something that is not a mark stands where a mark would.
    Garbled,
}

/// What fleetctl writes on a pane that is its own, in the step that makes the pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Which incarnation.
    pub uid: Uid,
    /// Whose.
    pub installation: Installation,
    /// Of which fleet.
    pub fleet: Name,
    /// The session's name when the pane was made.
    pub session: Name,
    /// Which run.
    pub run: Run,
    /// With which restart-class fields.
    pub spec: Spec,
    /// In which conversation, as far as it is known.
    pub conversation: Option<String>,
    /// Never to be decommissioned.
    pub protect: bool,
}

/// A repository as seen: heads and worktrees, no status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The canonical common directory (`…/.git`): its identity.
    pub common: PathBuf,
    /// The main worktree's top directory.
    pub top: PathBuf,
    /// All linked worktrees.
    pub worktrees: Vec<Worktree>,
}

/// A linked worktree's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// Where it is, or was.
    pub path: PathBuf,
    /// Its entry under `<common>/worktrees/`.
    pub admin: PathBuf,
    /// What its HEAD is.
    pub head: Head,
    /// Whose it is, by the lock.
    pub lock: Lock,
    /// False when the directory is gone while the entry remains: *lost*.
    pub present: bool,
}

/// Where a HEAD points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// A branch, without `refs/heads/`.
    Branch(String),
    /// A commit, as hex.
    Detached(String),
    /// It could not be read.
    Unreadable,
}

/// The checkout around a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// What its HEAD is.
    pub head: Head,
    /// The merge, rebase or bisect that is under way.
    pub under_way: Option<String>,
}

impl Checkout {
    /// The branch; of a HEAD without one the same word whatever the commit.
    #[must_use]
    pub fn branch(&self) -> &str {
        match &self.head {
            Head::Branch(branch) => branch,
            Head::Detached(_) | Head::Unreadable => "(no branch)",
        }
    }
}

/// The lock of a worktree's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// Not locked.
    No,
    /// Locked with `fleetctl <fleet> <uid>`.
    Fleet {
        /// The fleet named there.
        fleet: Name,
        /// The incarnation named there.
        uid: Uid,
    },
    /// Locked by someone else, for this reason.
    Other(String),
}

/// Why a run ended before its agent ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchFailure {
    /// Which run.
    pub run: Run,
    /// What failed.
    pub reason: LaunchFailureReason,
    /// One line for a human.
    pub message: String,
}

/// What failed in `__launch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaunchFailureReason {
    /// A `setup` command failed or ran out of time.
    Setup,
    /// The working directory is not there or cannot be entered.
    Directory,
    /// The program was not found or cannot be run.
    Program,
    /// `env_file` could not be read.
    EnvFile,
    /// `files` could not be brought.
    Files,
}

/// What a look must cover.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The manifest.
    pub manifest: PathBuf,
    /// The repositories to read.
    pub repos: BTreeSet<PathBuf>,
    /// The incarnations whose launch reports to read.
    pub uids: BTreeSet<Uid>,
}
