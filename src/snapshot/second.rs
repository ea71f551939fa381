//! The second look: what a plan asks of the world before it can decide a step, and the answers. Plain data.
//! Invariant: a question carries all that is needed to answer it.

use super::{Observed, PaneId};
use crate::name::{Name, Uid};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

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
    /// Which of these ports are taken?
    Ports(PortsAt),
    /// Is the work in this worktree in its base?
    Merged(MergedAt),
    /// Is this run ready?
    Ready(ReadyAt),
}

/// Ports that are to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortsAt {
    /// The fleet's pool, both ends included.
    pub pool: Option<(u16, u16)>,
    /// With so many free ones of the pool the look ends.
    pub wanted: usize,
    /// Ports that this fleet has given away: they are not free, and not looked at.
    pub given: BTreeSet<u16>,
    /// Ports that are looked at all the same: kept by sessions that do not run.
    pub kept: BTreeSet<u16>,
}

/// Ports as seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortsSeen {
    /// Those that are taken, and by whom.
    pub taken: BTreeMap<u16, PortHolder>,
}

/// Who has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortHolder {
    /// Another fleet of this user has given it to a session.
    Fleet(Name),
    /// A process listens on it.
    Process {
        /// Its id.
        pid: u32,
        /// Its command's name.
        command: String,
    },
    /// A process that this user cannot see listens on it.
    Somebody,
}

/// A worktree whose work may be in the base.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MergedAt {
    /// Whose it is.
    pub uid: Uid,
    /// Its repository, by the path recorded at creation.
    pub repo: PathBuf,
    /// Its directory.
    pub path: PathBuf,
    /// The commit it stood on at creation.
    pub since: String,
    /// The manifest's base, or `None` for the repository's default.
    pub base: Option<String>,
}

/// Work that is in the base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// The worktree's commit that is.
    pub tip: String,
    /// The commit of the base that brought it there.
    pub commit: String,
}

/// A run that may be ready.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadyAt {
    /// Whose it is.
    pub uid: Uid,
    /// Of which fleet.
    pub fleet: Name,
    /// Of which session.
    pub session: Name,
    /// Its pane.
    pub pane: PaneId,
    /// Its worktree.
    pub worktree: PathBuf,
    /// Where it works.
    pub directory: PathBuf,
    /// What tells.
    pub probe: Probe,
}

/// What tells that a run is ready.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// A regular expression that its screen matches.
    Screen(String),
    /// An `sh -c` text that ends with 0.
    Command(String),
    /// Something listens on this port of this machine.
    Port(u16),
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
    /// To [`Question::Ports`].
    pub ports: BTreeMap<PortsAt, Observed<PortsSeen>>,
    /// To [`Question::Merged`]: how, if it is.
    pub merged: BTreeMap<Uid, Observed<Option<Merge>>>,
    /// To [`Question::Ready`].
    pub ready: BTreeMap<Uid, Observed<bool>>,
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
