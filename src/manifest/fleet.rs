//! The desired state, resolved: every default applied, every `each` unrolled, every name checked. Plain
//! data, made only by `manifest::load`. Invariant: a `Fleet` is valid as a whole; what is wrong with a file
//! became a problem instead.

use super::include::Frozen;
use crate::agent::profile::{Mode, Profile};
use crate::name::Name;
use crate::record::Applied;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// What one manifest describes.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Its name, unique per user.
    pub name: Name,
    /// The files that were read, the manifest first.
    pub sources: Vec<PathBuf>,
    /// A digest of all that was read, as hex: the identity of a revision.
    pub digest: String,
    /// Where a change may make another fleet of it.
    pub reads: Reads,
    /// Included files that are bad: their sessions are not among these.
    pub frozen: Vec<Frozen>,
    /// The sessions, in file order.
    pub sessions: IndexMap<Name, Session>,
    /// Renames.
    pub moved: Vec<Moved>,
    /// Sessions to be let go of.
    pub removed: Vec<Removed>,
    /// Fleet-wide settings.
    pub settings: Settings,
}

/// What a fleet was made of: a change of any of it may make another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// The files that were read, and those that would be if they were there; absolute.
    pub files: BTreeSet<PathBuf>,
    /// The directories whose files were listed; absolute.
    pub directories: BTreeSet<PathBuf>,
}

/// Fleet-wide settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// When the controller decommissions what is gone from the file.
    pub prune: Prune,
    /// What happens to work at risk.
    pub at_risk: AtRisk,
    /// How many agents may be starting at once.
    pub max_starting: usize,
    /// How many agents may run; shells do not count.
    pub max_running: usize,
    /// Which tmux server.
    pub socket: Socket,
    /// The ports that sessions get theirs from.
    pub ports: Option<PortPool>,
}

/// `ports: FIRST-LAST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortPool {
    /// The lowest.
    pub first: u16,
    /// The highest, not below the lowest.
    pub last: u16,
}

/// `prune`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// After it has been gone from the file that long.
    After(Duration),
    /// Only by `apply --prune`.
    Manual,
}

/// `at_risk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtRisk {
    /// Hold the decommission and show it.
    Keep,
    /// Salvage, then move to the trash.
    Archive,
}

/// `tmux: {socket: …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Socket {
    /// The user's own server.
    Default,
    /// `tmux -L NAME`.
    Name(String),
    /// `tmux -S PATH`, absolute.
    Path(PathBuf),
}

/// `moved: [{from, to}]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The name it had.
    pub from: Name,
    /// The name it has in this file.
    pub to: Name,
}

/// `removed: [{session, keep}]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The session that is no longer in the file.
    pub session: Name,
    /// Let go of it without touching it.
    pub keep: bool,
}

/// One desired session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its name.
    pub name: Name,
    /// What runs in it.
    pub program: Program,
    /// Put before the program's argv.
    pub wrap: Vec<String>,
    /// Given with a fresh start.
    pub prompt: Option<String>,
    /// What a changed prompt causes.
    pub on_prompt_change: OnPromptChange,
    /// The agent's model.
    pub model: Option<String>,
    /// The agent's permission mode.
    pub mode: Option<Mode>,
    /// Further arguments of the agent.
    pub args: Vec<String>,
    /// Environment, values may hold `${env.NAME}`.
    pub env: BTreeMap<String, String>,
    /// A file of `NAME=value` lines, absolute; read at launch.
    pub env_file: Option<PathBuf>,
    /// The repository.
    pub repo: Repo,
    /// Where it works.
    pub worktree: Worktree,
    /// Relative to the worktree.
    pub cwd: PathBuf,
    /// The names of its ports: letters, digits and `-`, a letter first.
    pub ports: Vec<String>,
    /// Untracked files of the main worktree to bring.
    pub files: Files,
    /// Run in the pane before the first start.
    pub setup: Option<Commands>,
    /// Run after the stop and before the trash.
    pub teardown: Option<Commands>,
    /// `state`.
    pub state: Desired,
    /// `restart`.
    pub restart: Restart,
    /// How soon it is started again, and when no more.
    pub backoff: Backoff,
    /// What it waits for.
    pub depends_on: Vec<Dependency>,
    /// How it is known to be ready.
    pub ready: Option<Ready>,
    /// When its run has lasted long enough.
    pub stop_after: StopAfter,
    /// When there is no more use for it.
    pub until: Option<Until>,
    /// When a restart-class change is done.
    pub on_change: OnChange,
    /// Never decommissioned.
    pub protect: bool,
    /// What becomes of the conversation at a start.
    pub resume: Resume,
    /// For selectors.
    pub labels: BTreeMap<String, String>,
    /// The manifest's values by class, as the store keeps them.
    pub applied: Applied,
}

impl Session {
    /// True for a shell or a plain command: it counts in no limit and has no activity.
    #[must_use]
    pub fn is_shell(&self) -> bool {
        !matches!(self.program, Program::Agent(_))
    }
}

/// What runs in a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Program {
    /// An agent of this profile, all `extends` resolved.
    Agent(Box<Profile>),
    /// `sh -c TEXT`.
    ShellCommand(String),
    /// An argv.
    Argv(Vec<String>),
    /// The user's shell, interactive (`agent: shell`).
    Shell,
}

/// `repos.X`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// Absolute; any directory inside the repository will do.
    pub path: PathBuf,
    /// The default base of its branches.
    pub base: Option<String>,
    /// Where its worktrees go, absolute; `None`: `../<directory>.worktrees` beside the repository.
    pub worktrees: Option<PathBuf>,
    /// How old a remote base may be before a create fetches it; `None`: never fetch.
    pub fetch: Option<Duration>,
}

/// `worktree`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worktree {
    /// Its own.
    Own {
        /// The branch; `None` for a detached HEAD.
        branch: Option<String>,
        /// The session's own base, over the repository's.
        base: Option<String>,
    },
    /// The repository itself.
    Repository,
    /// That of another session.
    Shared(Name),
}

/// `files`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Files {
    /// Globs of files to copy.
    pub copy: Vec<String>,
    /// Globs of files to link.
    pub link: Vec<String>,
}

/// `setup` or `teardown`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// `sh -c` texts, one after the other.
    pub run: Vec<String>,
    /// For each of them.
    pub timeout: Duration,
}

/// `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// It should run.
    Running,
    /// It should not; the worktree stays.
    Stopped,
}

/// `restart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// After a crash.
    OnFailure,
    /// However it ended.
    Always,
    /// Never by itself.
    Never,
}

/// How soon a run that ended is followed by the next, and when no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    /// After the first crash; twice that after each further one.
    pub first: Duration,
    /// At most.
    pub max: Duration,
    /// A run that lasted so long begins the count anew.
    pub reset: Duration,
    /// With so many starts that ended in a crash it is given up, …
    pub starts: u32,
    /// … when they lie within this time.
    pub within: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(10),
            max: Duration::from_secs(300),
            reset: Duration::from_secs(600),
            starts: 5,
            within: Duration::from_secs(1_800),
        }
    }
}

/// One of `depends_on`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// On which session.
    pub on: Name,
    /// What of it.
    pub need: Need,
}

/// What of a session another one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Need {
    /// It runs, or has run to its end.
    #[default]
    Started,
    /// Its `ready` says so.
    Ready,
    /// It runs, and does nothing.
    Idle,
    /// It exited with 0.
    Completed,
    /// Its work is in the base.
    Merged,
}

impl Need {
    /// The word for it in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ready => "ready",
            Self::Idle => "idle",
            Self::Completed => "completed",
            Self::Merged => "merged",
        }
    }
}

/// `ready`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// What tells it.
    pub probe: Probe,
    /// How long it may take from the start of a run.
    pub timeout: Duration,
}

/// What tells that a session is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A regular expression that its screen matches; `^` and `$` match at lines.
    Screen(String),
    /// An `sh -c` text that ends with 0 in its directory.
    Command(String),
    /// Something listens there.
    Port(Port),
}

/// A port on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// Its number.
    Number(u16),
    /// One of the session's own, by its name.
    Named(String),
}

/// `stop_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StopAfter {
    /// When it did nothing for so long.
    pub idle: Option<Duration>,
    /// When its run has lasted so long.
    pub age: Option<Duration>,
}

/// `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Its work is in the base.
    Merged,
}

/// `on_change`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChange {
    /// When it is idle and detached.
    Idle,
    /// When it is detached.
    Now,
    /// By `fleetctl restart`.
    Manual,
}

/// `on_prompt_change`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPromptChange {
    /// Said, and nothing else.
    Ignore,
    /// A restart with a new conversation.
    Restart,
}

/// `resume`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// A lost conversation starts fresh and says so.
    Preferred,
    /// A lost conversation holds the start.
    Required,
    /// Every start is fresh.
    Never,
}
