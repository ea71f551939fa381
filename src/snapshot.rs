//! One look at the live state, as plain data. Owns the three-valued [`Observed`]; never touches tmux,
//! git, a clock or the environment. Invariant: what could not be seen is [`Observed::Unknown`], and
//! nothing here turns that into absence.

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

/// A question that the plan asks of the world before it can decide a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// What work lies in this worktree?
    Work(WorkAt),
    /// What would a new worktree stand on?
    Ground(GroundAt),
    /// What else runs in the tmux session and window of this pane of ours?
    Company(PaneId),
    /// Is the conversation of this incarnation on disk?
    Transcript(TranscriptAt),
    /// Does anything of an earlier run of this incarnation still run?
    Survivors(RuntimeAt),
}

/// A worktree whose work is to be assessed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkAt {
    /// Whose it is.
    pub uid: Uid,
    /// Its repository, by the path recorded at creation.
    pub repo: PathBuf,
    /// Its directory.
    pub path: PathBuf,
    /// The kernel sessions of the runs that end before the worktree goes: that of the session itself and those
    /// of its sharers. Their processes are no risk.
    pub sids: Vec<u32>,
}

/// Where an agent keeps a conversation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TranscriptAt {
    /// Whose it is.
    pub uid: Uid,
    /// Globs, any of which is enough; they may begin with `$HOME` or `$OTHER_VARIABLE`.
    pub globs: Vec<String>,
}

/// The last known runtime of an incarnation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuntimeAt {
    /// Whose it was.
    pub uid: Uid,
    /// The pid of its pane: the kernel session that its processes belong to.
    pub sid: u32,
    /// The boot that the pid counts in.
    pub boot: String,
}

/// Where a new worktree would be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroundAt {
    /// The repository, by the path that the manifest names it with.
    pub repo: PathBuf,
    /// The worktree's directory to be.
    pub path: PathBuf,
    /// The branch to be checked out; `None` for a detached HEAD.
    pub branch: Option<String>,
    /// The manifest's base, or `None` for the repository's default.
    pub base: Option<String>,
}

/// The answers of the second look, by what was asked.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// To [`Question::Work`].
    pub work: BTreeMap<Uid, Observed<Work>>,
    /// To [`Question::Ground`].
    pub ground: BTreeMap<GroundAt, Observed<Ground>>,
    /// To [`Question::Company`].
    pub company: BTreeMap<PaneId, Observed<Company>>,
    /// To [`Question::Transcript`]: whether it is there.
    pub transcripts: BTreeMap<Uid, Observed<bool>>,
    /// To [`Question::Survivors`].
    pub survivors: BTreeMap<Uid, Observed<Vec<Process>>>,
}

/// What a new worktree would stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// Where its branch comes from.
    pub branch: BranchSource,
    /// The path is taken by something that git does not list as ours.
    pub path_taken: bool,
    /// Where the branch is checked out already, if it is.
    pub checked_out: Option<PathBuf>,
}

/// Where the branch of a new worktree comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BranchSource {
    /// A local branch, used as it is.
    Local(Commit),
    /// `origin`'s branch of the same name, to be tracked.
    Remote(Commit),
    /// A new branch from the base.
    New {
        /// The base as a name: `origin/main`.
        base: String,
        /// Its commit.
        at: Commit,
    },
    /// No branch: a detached HEAD at the base.
    Detached {
        /// The base as a name.
        base: String,
        /// Its commit.
        at: Commit,
    },
    /// The base cannot be resolved.
    NoBase {
        /// What was tried.
        base: String,
    },
}

/// A commit and its committer's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its id, as hex.
    pub id: String,
    /// When it was committed.
    pub time: Timestamp,
}

/// The assessment of the work in a worktree. Everything in [`Work::risks`] holds a decommission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Work {
    /// What would be at risk, worst first; empty for a clean worktree.
    pub risks: Vec<Risk>,
    /// The branch that HEAD is on.
    pub branch: Option<String>,
    /// HEAD's commit.
    pub head: Option<String>,
    /// Commits on the branch that its base or upstream does not have; they stay on the branch.
    pub commits: usize,
    /// Ignored files (they move along).
    pub ignored: usize,
}

/// One kind of work that a decommission could put at risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Files changed in the working tree.
    Modified(usize),
    /// Files changed in the index.
    Staged(usize),
    /// Untracked files, but for those that `files` brought and nobody changed.
    Untracked(usize),
    /// Edits hidden by `assume-unchanged` or `skip-worktree`.
    Hidden(usize),
    /// `merge`, `rebase`, `cherry-pick`, `revert`, `bisect` or `am` under way.
    UnderWay(String),
    /// Commits that no branch, tag or remote ref holds.
    Unnamed(usize),
    /// Stashes made on this branch.
    Stashes(usize),
    /// Repositories inside that are not clean submodules, by their relative paths.
    Embedded(Vec<String>),
    /// A process of this user works in the directory.
    Process {
        /// Its id.
        pid: u32,
        /// Its command's name.
        command: String,
    },
    /// A pane of the user's stands in the directory.
    Pane {
        /// `%9`
        pane: String,
        /// Its command's name.
        command: String,
    },
    /// Part of the look failed.
    Undetermined(String),
}

/// What else runs beside our pane.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Company {
    /// The command in our own pane now.
    pub command: String,
    /// It is a shell with a program in the foreground.
    pub working: bool,
    /// Panes of the user's in the same window that run more than an idle shell, by command.
    pub window: Vec<String>,
    /// Panes of the user's in other windows of the session that run more than an idle shell, by command.
    pub session: Vec<String>,
    /// How many panes of the user's in the session are idle shells.
    pub idle_shells: usize,
}

/// A process, named so that it cannot be mistaken for another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its start in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub started: u64,
    /// The kernel's boot id.
    pub boot: String,
    /// Its command's name.
    pub command: String,
}

/// What a look must cover.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The repositories to read.
    pub repos: BTreeSet<PathBuf>,
    /// The incarnations whose launch reports to read.
    pub uids: BTreeSet<Uid>,
}
