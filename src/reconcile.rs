//! One pass: look, plan, act. Owns the order of effects and what is journaled around them; never prints.
//! Invariant: an intent is on disk before its first effect, and an effect that ends, moves or replaces
//! something is preceded by a fresh look that still plans it.

pub mod alarm;
pub mod batch;
pub mod controller;
pub mod execute;
pub mod fetch;
pub mod keep;
pub mod launching;
mod ports;
pub mod recover;
mod remember;
pub mod restore;
pub mod retire;
pub mod start;
pub mod turn;
pub mod wake;
pub mod watch;

use crate::manifest::fleet::Fleet;
use crate::name::{Installation, Name};
use crate::paths::Paths;
use crate::plan::{HoldReason, Plan, Policy, plan};
use crate::record::Records;
use crate::snapshot::{Answers, Question, Snapshot, Wanted};
use crate::store::{StoreError, events};
use crate::world::World;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

pub use execute::execute;
pub use recover::recover;

/// What of the surroundings goes into marks, launch files and records.
#[derive(Debug, Clone)]
pub struct House {
    /// Whose marks.
    pub installation: Installation,
    /// The manifest, for `FLEET_FILE`.
    pub manifest: PathBuf,
    /// The user's login shell, for `agent: shell`.
    pub shell: PathBuf,
    /// The fleet's files in the state directory.
    pub paths: Paths,
    /// The user's login name.
    pub user: String,
    /// How long an agent is given for its quit keys, and again for TERM.
    pub grace: Duration,
}

/// What a pass tells while it works.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step begins.
    Began {
        /// Of which session.
        name: Name,
        /// Which verb.
        verb: Verb,
    },
    /// A step ended.
    Ended(Line),
    /// Something worth knowing.
    Note(String),
}

/// What was done with one session.
#[derive(Debug, Clone)]
pub struct Line {
    /// Which session.
    pub name: Name,
    /// Which verb.
    pub verb: Verb,
    /// How it ended.
    pub result: StepResult,
    /// How long it took.
    pub took: Duration,
}

/// The verb of a step, as the plan and the report print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Create.
    Create,
    /// Start.
    Start,
    /// Start with the conversation of before.
    Resume,
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
    /// Forget.
    Forget,
    /// Record an end.
    Settle,
    /// Restore from the trash.
    Restore,
    /// Empty the trash.
    Empty,
}

impl Verb {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Recreate => "recreate",
            Self::Update => "update",
            Self::Stop => "stop",
            Self::Decommission => "decommission",
            Self::Forget => "forget",
            Self::Settle => "record",
            Self::Restore => "restore",
            Self::Empty => "empty",
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone)]
pub enum StepResult {
    /// Done, with what is worth telling.
    Done(Vec<String>),
    /// It failed.
    Failed(String),
    /// It was not done, for a reason that was only seen right before it.
    Held(HoldReason),
    /// It was not attempted, because of this.
    NotAttempted(String),
}

impl StepResult {
    /// How it is told of later.
    #[must_use]
    pub fn outcome(&self) -> events::Outcome {
        match self {
            Self::Done(_) => events::Outcome::Done,
            Self::Failed(_) => events::Outcome::Failed,
            Self::Held(_) => events::Outcome::Held,
            Self::NotAttempted(_) => events::Outcome::NotAttempted,
        }
    }

    /// For those who ask later what happened.
    #[must_use]
    pub fn in_a_line(&self) -> String {
        let told = match self {
            Self::Done(told) if told.is_empty() => "done".to_owned(),
            Self::Done(told) => format!("done; {}", told.join("; ")),
            Self::Failed(why) => format!("failed: {why}"),
            Self::Held(_) => "held: it was no longer as it was planned".to_owned(),
            Self::NotAttempted(because) => format!("not attempted: {because}"),
        };
        told.replace('\n', " ")
    }
}

/// All that a pass did.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// One line a step, in the order of acting.
    pub lines: Vec<Line>,
}

impl Outcome {
    /// True when every step that was begun was done.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lines.iter().all(|line| matches!(line.result, StepResult::Done(_)))
    }

    /// True when at least one step was done.
    #[must_use]
    pub fn did_something(&self) -> bool {
        self.lines.iter().any(|line| matches!(line.result, StepResult::Done(_)))
    }
}

/// Why a pass stopped.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The store could not be read or written: nothing more was done.
    #[error("the store failed; nothing more was done")]
    Store(#[from] StoreError),
}

/// The most looks that one plan may ask for; each answers all questions of the one before.
const ROUNDS: usize = 6;

/// Looks and plans until the plan asks nothing more. Changes nothing.
pub fn survey<W: World + ?Sized>(
    world: &mut W,
    fleet: &Fleet,
    records: &Records,
    policy: &Policy,
) -> (Snapshot, Plan) {
    let mut snapshot = world.observe(&wanted(fleet, records));
    let plan = settle_questions(world, fleet, records, (policy, &mut snapshot));
    (snapshot, plan)
}

fn settle_questions<W: World + ?Sized>(
    world: &mut W,
    fleet: &Fleet,
    records: &Records,
    (policy, snapshot): (&Policy, &mut Snapshot),
) -> Plan {
    let mut planned = plan(fleet, snapshot, records, policy);
    for _ in 0..ROUNDS {
        let open: BTreeSet<Question> = planned
            .questions
            .iter()
            .filter(|question| !snapshot.answers.has(question))
            .cloned()
            .collect();
        if open.is_empty() {
            break;
        }
        snapshot.answers.extend(world.answer(&open));
        planned = plan(fleet, snapshot, records, policy);
    }
    planned
}

/// Everything that a pass over this fleet has to see.
#[must_use]
pub fn wanted(fleet: &Fleet, records: &Records) -> Wanted {
    let desired = fleet.sessions.values().map(|session| session.repo.path.clone());
    let recorded = records.sessions.values().map(|record| record.place.repo().clone());
    Wanted {
        manifest: fleet.sources.first().cloned().unwrap_or_default(),
        repos: desired.chain(recorded).collect(),
        uids: records.sessions.keys().copied().collect(),
    }
}

impl Answers {
    /// Whether a question has an answer, be it that nothing could be seen.
    #[must_use]
    pub fn has(&self, question: &Question) -> bool {
        match question {
            Question::Work(at) => self.work.contains_key(&at.uid),
            Question::Ground(at) => self.ground.contains_key(at),
            Question::Company(pane) => self.company.contains_key(pane),
            Question::Transcript(at) => self.transcripts.contains_key(&at.uid),
            Question::Survivors(at) => self.survivors.contains_key(&at.uid),
            Question::Ports(at) => self.ports.contains_key(at),
            Question::Merged(at) => self.merged.contains_key(&at.uid),
            Question::Ready(at) => self.ready.contains_key(&at.uid),
        }
    }

    /// Takes over further answers.
    pub fn extend(&mut self, more: Self) {
        self.work.extend(more.work);
        self.ground.extend(more.ground);
        self.company.extend(more.company);
        self.transcripts.extend(more.transcripts);
        self.survivors.extend(more.survivors);
        self.ports.extend(more.ports);
        self.merged.extend(more.merged);
        self.ready.extend(more.ready);
    }
}
