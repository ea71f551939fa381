//! What the store remembers, as plain data: intent, history and conversations, which neither the file nor
//! the machine can tell. Does no I/O. Invariant: no value of `env` or `env_file` is ever in here, only
//! digests of them.

use crate::name::{Name, Run, Spec, Uid};
use crate::snapshot::{BranchSource, LaunchFailure, Merge, ServerId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// All that the store knows of one fleet when a pass begins.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// The live records, by incarnation.
    pub sessions: BTreeMap<Uid, Record>,
    /// The last recorded revision; 0 before the first apply.
    pub revision: u64,
    /// The digest of the last recorded revision's manifest.
    pub digest: String,
    /// The branch of the manifest's own repository when the fleet was last applied from it.
    pub branch: Option<String>,
    /// The tmux server last seen.
    pub server: Option<ServerId>,
    /// When sessions were last decommissioned or recreated without an approval by number (for the mass guard).
    pub recent_ends: Vec<Timestamp>,
    /// What is in the trash, newest first.
    pub tombstones: Vec<Tombstone>,
    /// The steps that began and have no outcome, oldest first.
    pub intents: Vec<Intent>,
    /// Sessions that are not made again by themselves, by name.
    pub finished: BTreeMap<Name, Finished>,
}

impl Records {
    /// The live record of a session by its name.
    #[must_use]
    pub fn by_name(&self, name: &Name) -> Option<&Record> {
        self.sessions.values().find(|record| &record.name == name)
    }
}

/// What is as by default is left out of a text: a thousand records are read at every look.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One live incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its identity.
    pub uid: Uid,
    /// Its name now (a `moved` changes it, the derived names below stay).
    pub name: Name,
    /// The tmux session's name, derived at creation.
    pub tmux_name: String,
    /// Where it works.
    pub place: Place,
    /// The last run that was allotted.
    pub run: Run,
    /// The runtime of the last start that is known to have happened.
    #[serde(default, skip_serializing_if = "is_default")]
    pub runtime: Option<Runtime>,
    /// Its ports by name, kept until it is decommissioned.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ports: BTreeMap<String, u16>,
    /// The agent's conversation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conversation: Option<Conversation>,
    /// Conversations left behind, oldest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub old_conversations: Vec<String>,
    /// The manifest's values that are in force.
    #[serde(default, skip_serializing_if = "is_default")]
    pub applied: Applied,
    /// The revision since which it is protected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protected_since: Option<u64>,
    /// Why the last run ended, when that end stands.
    #[serde(default, skip_serializing_if = "is_default")]
    pub end: Option<End>,
    /// A human's wish.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wish: Option<Wish>,
    /// What looks at it have taught.
    #[serde(default, skip_serializing_if = "is_default")]
    pub books: Books,
    /// Since when its conditions are as they were last seen; those that the rest of this tells are left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conditions: BTreeMap<ConditionKind, Transition>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was first seen to be gone from the file.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gone_since: Option<Timestamp>,
    /// The names that it had before, oldest first: a `moved` whose `from` is in here has been done.
    #[serde(default, skip_serializing_if = "is_default")]
    pub former: Vec<Name>,
}

impl Record {
    /// Gives it another name and keeps the old one in mind.
    pub fn rename(&mut self, to: Name) {
        let from = std::mem::replace(&mut self.name, to);
        self.former.retain(|name| name != &from && name != &self.name);
        self.former.push(from);
    }
}

/// Where a session works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A worktree of its own.
    Own {
        /// The repository, by the path of the manifest at creation.
        repo: PathBuf,
        /// The worktree's directory.
        path: PathBuf,
        /// The branch at creation; `None` for a detached HEAD.
        branch: Option<String>,
        /// The commit it stood on at creation.
        base: Option<String>,
    },
    /// The repository itself.
    Repository {
        /// The repository, by the path of the manifest at creation.
        repo: PathBuf,
    },
    /// Another session's worktree.
    Shared {
        /// Whose.
        owner: Name,
        /// The repository, by the path of the manifest at creation.
        repo: PathBuf,
        /// The worktree's directory.
        path: PathBuf,
    },
}

impl Place {
    /// The directory in which `cwd` is taken.
    #[must_use]
    pub fn directory(&self) -> &PathBuf {
        match self {
            Self::Own { path, .. } | Self::Shared { path, .. } => path,
            Self::Repository { repo } => repo,
        }
    }

    /// The branch at creation, if it has a worktree of its own with one.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::Own { branch, .. } => branch.as_deref(),
            Self::Shared { .. } | Self::Repository { .. } => None,
        }
    }

    /// The repository's path as recorded.
    #[must_use]
    pub fn repo(&self) -> &PathBuf {
        match self {
            Self::Own { repo, .. } | Self::Shared { repo, .. } | Self::Repository { repo } => repo,
        }
    }
}

/// A pane that was made for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// Which run.
    pub run: Run,
    /// The pid of the pane's process, which is its kernel session too.
    pub pid: u32,
    /// The server that holds the pane.
    pub server: ServerId,
    /// When it was started.
    pub started: Timestamp,
}

/// An agent's conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The agent's own id.
    pub id: String,
    /// A run was started with it, so its transcript may exist.
    pub begun: bool,
}

/// The manifest's values in force for a session, by class and field. Only what differs from the default
/// is in here, so that a removed field shows as a change. Values of `env` are digests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Applied {
    /// A change of one restarts the agent.
    #[serde(skip_serializing_if = "is_default")]
    pub restart: BTreeMap<String, String>,
    /// A change of one means another worktree.
    #[serde(skip_serializing_if = "is_default")]
    pub recreate: BTreeMap<String, String>,
    /// A change of one is taken over in place.
    #[serde(skip_serializing_if = "is_default")]
    pub in_place: BTreeMap<String, String>,
    /// A change of one is said, and used at the next creation or start.
    #[serde(skip_serializing_if = "is_default")]
    pub noted: BTreeMap<String, String>,
    /// The built-in agent at the bottom of the profile; `None` for a command.
    #[serde(skip_serializing_if = "is_default")]
    pub builtin: Option<String>,
    /// The digest of `restart`.
    #[serde(skip_serializing_if = "is_default")]
    pub spec: Option<Spec>,
    /// What a stop and a decommission need when the text is gone.
    #[serde(skip_serializing_if = "is_default")]
    pub parting: Parting,
}

impl Applied {
    /// What is in force after `wanted` was taken over without a start.
    #[must_use]
    pub fn after_update(&self, wanted: &Self) -> Self {
        Self {
            in_place: wanted.in_place.clone(),
            noted: wanted.noted.clone(),
            parting: Parting {
                teardown: wanted.parting.teardown.clone(),
                teardown_timeout: wanted.parting.teardown_timeout,
                depends_on: wanted.parting.depends_on.clone(),
                ..self.parting.clone()
            },
            ..self.clone()
        }
    }

    /// What is in force after a start with `wanted` in the worktree that there is.
    #[must_use]
    pub fn after_start(&self, wanted: &Self) -> Self {
        Self { recreate: self.recreate.clone(), ..wanted.clone() }
    }
}

/// What is needed to end a session whose text is gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Parting {
    /// `teardown`, substituted.
    #[serde(skip_serializing_if = "is_default")]
    pub teardown: Vec<String>,
    /// Its time limit in seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub teardown_timeout: u64,
    /// The profile's keys that interrupt a turn.
    #[serde(skip_serializing_if = "is_default")]
    pub interrupt: Vec<String>,
    /// The profile's keys that quit.
    #[serde(skip_serializing_if = "is_default")]
    pub quit: Vec<String>,
    /// The names of sessions that it depended on.
    #[serde(skip_serializing_if = "is_default")]
    pub depends_on: Vec<Name>,
    /// It is a shell or a plain command, which has no activity to wait for.
    #[serde(skip_serializing_if = "is_default")]
    pub shell: bool,
    /// It is a shell without a command of its own: busy while a program runs in the foreground.
    #[serde(skip_serializing_if = "is_default")]
    pub interactive: bool,
}

/// An end that stands until a human or a change lifts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Of which run.
    pub run: Run,
    /// What kind.
    pub kind: EndKind,
    /// When.
    pub at: Timestamp,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndKind {
    /// It exited with status 0.
    Completed,
    /// fleetctl ended it.
    Stopped(StopReason),
    /// It ended while a client was attached.
    ByHand,
    /// It had run or idled for as long as the file lets it.
    Expired(Expiry),
    /// Its work is in the base: it is there no more.
    Finished(Merge),
    /// It failed too often.
    GivenUp,
    /// It failed in a way that another start cannot mend.
    Failed(LaunchFailure),
}

/// Why fleetctl ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// `fleetctl stop`.
    Human,
    /// `state: stopped`.
    File,
    /// A restart or recreate: a start follows.
    Restart,
    /// A decommission.
    Decommission,
    /// Its worktree's owner is decommissioned.
    Owner,
    /// `stop_after`.
    Expired(Expiry),
}

/// Which of the times of `stop_after` has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// It did nothing for so long.
    Idle,
    /// Its run lasted so long.
    Age,
}

/// What a human wants of a session, against or beside the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// What.
    pub kind: WishKind,
    /// Why, in his words.
    pub why: Option<String>,
    /// Who: the user's login name.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` until it is released.
    pub until: Option<Timestamp>,
}

impl Wish {
    /// True until its time has passed.
    #[must_use]
    pub fn stands_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The kinds of wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WishKind {
    /// `stop`: end it and keep it so.
    Stop,
    /// `hold`: change nothing.
    Hold,
    /// `restore` of a session that is not in the file: stopped and kept.
    Restored,
}

/// A fact about a session that others may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionKind {
    /// It is as the file says.
    Synced,
    /// Its process runs.
    Running,
    /// What its `ready` asks for was seen.
    Ready,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// It does.
    True,
    /// It does not.
    False,
    /// It could not be seen.
    Unknown,
}

/// What a condition became, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// What.
    pub truth: Truth,
    /// When it was first seen so.
    pub since: Timestamp,
}

/// What looks at a session have taught, and no later look could tell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Books {
    /// The ends since the last long run.
    #[serde(skip_serializing_if = "is_default")]
    pub crashes: Crashes,
    /// Since when it does nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub idle_since: Option<Timestamp>,
    /// The last run that was seen to be ready.
    #[serde(skip_serializing_if = "is_default")]
    pub ready: Option<Run>,
}

/// Ends in a row that nobody wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Crashes {
    /// How many, each soon after its start.
    pub count: u32,
    /// The run of the last one.
    pub run: Run,
    /// When the last one was seen.
    pub last: Option<Timestamp>,
    /// When those of them were seen that were crashes, as far as they count.
    #[serde(skip_serializing_if = "is_default")]
    pub recent: Vec<Timestamp>,
}

/// A session that reached what it was there for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Its name then.
    pub name: Name,
    /// Its incarnation.
    pub uid: Uid,
    /// When.
    pub at: Timestamp,
    /// Where its work went.
    pub merge: Merge,
}

/// What remains of a decommissioned session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The record as it was.
    pub record: Record,
    /// When it went.
    pub at: Timestamp,
    /// Where its worktree lies now; `None` when it had none of its own.
    pub trash: Option<PathBuf>,
    /// The branch that HEAD was on, and where that branch pointed then.
    pub branch: Option<BranchAt>,
    /// The refs that salvage made, by full name.
    pub salvage: Vec<String>,
    /// The kept screen, if any.
    pub screen: Option<PathBuf>,
}

/// A branch and the commit that it pointed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchAt {
    /// The branch, without `refs/heads/`.
    pub name: String,
    /// The commit, as hex.
    pub at: String,
}

/// A journaled step that began and has no outcome yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The incarnation; it has one intent at a time.
    pub uid: Uid,
    /// What was begun.
    pub kind: IntentKind,
    /// The acts of it that are known to be done.
    pub done: Vec<String>,
}

/// What a journaled step was to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntentKind {
    /// Make a session: worktree, pane, agent.
    Create {
        /// Where its branch comes from; `None` without a worktree of its own.
        branch: Option<BranchSource>,
    },
    /// Start a run of an existing session.
    Start {
        /// Which run.
        run: Run,
    },
    /// End a run.
    Stop {
        /// Why.
        reason: StopReason,
    },
    /// Decommission.
    Decommission,
    /// Bring a session back from the trash.
    Restore {
        /// The tombstone.
        tombstone: Box<Tombstone>,
    },
    /// Delete a session's part of the trash.
    EmptyTrash {
        /// The tombstone.
        tombstone: Box<Tombstone>,
    },
}
