//! The words of a plan: sign, verb and count of every verdict. Owns the vocabulary that text, tables and JSON
//! share. Invariant: every variant of the plan's types is told by name; a new one does not compile until it
//! has words.

pub mod condition;
pub mod hold;
pub mod step;
pub mod time;
pub mod wait;

use crate::plan::{
    Activity, Entry, Health, HoldReason, LaunchMode, Note, Ports, Step, StepKind, StepReason,
    Verdict,
};
use crate::record::{EndKind, Expiry, StopReason, WishKind};
use crate::render::View;
use crate::render::style::Tone;

/// What a verdict comes to, in the order in which a summary counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// To be made.
    Create,
    /// To be started.
    Start,
    /// To be started in its conversation.
    Resume,
    /// To be restarted.
    Restart,
    /// To be made anew.
    Recreate,
    /// To be changed in place.
    Update,
    /// Done when it is idle or detached.
    Deferred,
    /// Done when a place is free.
    Queued,
    /// Done after something else, or when its time comes.
    Pending,
    /// To be stopped.
    Stop,
    /// To be decommissioned.
    Decommission,
    /// To be let go of.
    Forget,
    /// An end that was seen, to be recorded.
    Settle,
    /// Not done until somebody lifts it.
    Held,
    /// A human's wish stands against it.
    Wished,
    /// It reached what it was there for.
    Finished,
    /// Not decided: it could not be seen.
    Unknown,
    /// As it should be.
    Synced,
}

impl Kind {
    /// What a verdict comes to.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Synced => Self::Synced,
            Verdict::Do(step) => Self::of_step(&step.kind),
            Verdict::Hold(hold) => Self::of_hold(&hold.reason),
        }
    }

    fn of_step(kind: &StepKind) -> Self {
        match kind {
            StepKind::Create(_) => Self::Create,
            StepKind::Start { launch: LaunchMode::Resume(_), .. } => Self::Resume,
            StepKind::Start { launch: LaunchMode::Fresh { .. } | LaunchMode::Plain, .. } => {
                Self::Start
            }
            StepKind::Restart { .. } => Self::Restart,
            StepKind::Recreate { .. } => Self::Recreate,
            StepKind::Update { .. } => Self::Update,
            StepKind::Stop { .. } => Self::Stop,
            StepKind::Decommission(_) => Self::Decommission,
            StepKind::Forget => Self::Forget,
            StepKind::Settle(_) => Self::Settle,
        }
    }

    /// What a hold comes to.
    #[must_use]
    pub fn of_hold(reason: &HoldReason) -> Self {
        match reason {
            HoldReason::Busy | HoldReason::Attached | HoldReason::Manual => Self::Deferred,
            HoldReason::Queued { .. } => Self::Queued,
            HoldReason::Dependency { .. }
            | HoldReason::Backoff { .. }
            | HoldReason::Starting { .. }
            | HoldReason::After(_)
            | HoldReason::Prune { .. }
            | HoldReason::Failed { .. } => Self::Pending,
            HoldReason::Finished { .. } => Self::Finished,
            HoldReason::Wish { .. } => Self::Wished,
            HoldReason::Unseen(_) => Self::Unknown,
            HoldReason::AtRisk(_)
            | HoldReason::Protected { .. }
            | HoldReason::Mass { .. }
            | HoldReason::Conflict(_)
            | HoldReason::Lost { .. }
            | HoldReason::Doubled
            | HoldReason::Orphaned
            | HoldReason::Strayed { .. }
            | HoldReason::Frozen { .. }
            | HoldReason::YourPanes(_)
            | HoldReason::ConversationLost { .. }
            | HoldReason::NoBase { .. }
            | HoldReason::NoPort { .. }
            | HoldReason::Elsewhere { .. }
            | HoldReason::Inside => Self::Held,
        }
    }

    /// The word in a summary, after a number.
    #[must_use]
    pub fn counted(self) -> &'static str {
        match self {
            Self::Create => "to create",
            Self::Start => "to start",
            Self::Resume => "to resume",
            Self::Restart => "to restart",
            Self::Recreate => "to recreate",
            Self::Update => "to update",
            Self::Deferred => "deferred",
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::Stop => "to stop",
            Self::Decommission => "to decommission",
            Self::Forget => "to forget",
            Self::Settle => "ended",
            Self::Held => "held",
            Self::Wished => "held by a human",
            Self::Finished => "finished",
            Self::Unknown => "unknown",
            Self::Synced => "as the file says",
        }
    }

    /// The word in JSON.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Recreate => "recreate",
            Self::Update => "update",
            Self::Deferred => "deferred",
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::Stop => "stop",
            Self::Decommission => "decommission",
            Self::Forget => "forget",
            Self::Settle => "settle",
            Self::Held => "held",
            Self::Wished => "held-by-human",
            Self::Finished => "finished",
            Self::Unknown => "unknown",
            Self::Synced => "synced",
        }
    }

    /// Its colour.
    #[must_use]
    pub fn tone(self) -> Tone {
        match self {
            Self::Create | Self::Start | Self::Resume => Tone::Good,
            Self::Restart | Self::Recreate | Self::Update | Self::Deferred => Tone::Change,
            Self::Queued
            | Self::Pending
            | Self::Settle
            | Self::Wished
            | Self::Forget
            | Self::Finished => Tone::Dim,
            Self::Stop | Self::Decommission | Self::Held => Tone::Bad,
            Self::Unknown => Tone::Unsure,
            Self::Synced => Tone::Plain,
        }
    }
}

/// The sign at the beginning of a plan's line.
#[must_use]
pub fn sign(verdict: &Verdict) -> char {
    if let Verdict::Hold(hold) = verdict
        && let HoldReason::Protected { .. } = hold.reason
    {
        return 'x';
    }
    match Kind::of(verdict) {
        Kind::Create | Kind::Start | Kind::Resume => '+',
        Kind::Restart | Kind::Recreate | Kind::Update | Kind::Deferred => '~',
        Kind::Queued | Kind::Pending => '·',
        Kind::Stop | Kind::Decommission | Kind::Forget => '-',
        Kind::Held => '!',
        Kind::Settle | Kind::Wished | Kind::Finished | Kind::Synced => '=',
        Kind::Unknown => '?',
    }
}

/// The verb of a plan's line.
#[must_use]
pub fn verb(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Do(Step { kind: StepKind::Settle(end), .. }) => ended(end),
        Verdict::Do(step) => Kind::of_step(&step.kind).key(),
        Verdict::Hold(hold) => match &hold.reason {
            HoldReason::Wish { kind: WishKind::Stop | WishKind::Restored, .. } => "stopped",
            HoldReason::Wish { kind: WishKind::Hold, .. } => "held",
            reason => Kind::of_hold(reason).key(),
        },
        Verdict::Synced => Kind::Synced.key(),
    }
}

/// What a line says after the verb, clause by clause.
#[must_use]
pub fn clauses(entry: &Entry, view: &View) -> Vec<String> {
    let mut said = match &entry.verdict {
        Verdict::Synced => {
            entry.status.end.as_ref().map(|end| standing(end, entry, view)).unwrap_or_default()
        }
        Verdict::Do(step) => step::clauses(entry, step, view),
        Verdict::Hold(hold) => hold::clauses(entry, hold, view),
    };
    if let (Some(from), false) = (&entry.renamed_from, tells_rename(&entry.verdict)) {
        said.insert(0, format!("called {from} until now"));
    }
    if let Some(hold) = &entry.deferred {
        said.push(format!("{} {}", hold::wanted(hold.wants), Kind::of_hold(&hold.reason).key()));
        said.extend(hold::clauses(entry, hold, view));
    }
    said.extend(entry.notes.iter().map(note));
    said
}

/// True when the step's own reason names the old name already.
fn tells_rename(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Do(Step { reason: StepReason::Moved { .. }, .. }))
}

/// An end that stands, and what ends it.
fn standing(end: &EndKind, entry: &Entry, view: &View) -> Vec<String> {
    let mut said = vec![end_clause(end)];
    if !matches!(end, EndKind::Stopped(StopReason::File)) {
        said.push(format!("again: {}", view.command(&format!("start {}", entry.name))));
    }
    said
}

/// An end in one word.
#[must_use]
pub fn ended(end: &EndKind) -> &'static str {
    match end {
        EndKind::Completed => "completed",
        EndKind::Stopped(_) => "stopped",
        EndKind::ByHand => "ended",
        EndKind::Expired(_) => "expired",
        EndKind::Finished(_) => "finished",
        EndKind::GivenUp => "given up",
        EndKind::Failed(_) => "failed",
    }
}

/// An end in a clause.
#[must_use]
pub fn end_clause(end: &EndKind) -> String {
    format!("{}: {}", ended(end), why_ended(end))
}

/// What made an end stand.
#[must_use]
pub fn why_ended(end: &EndKind) -> String {
    match end {
        EndKind::Completed => "it exited with 0".to_owned(),
        EndKind::Stopped(reason) => stop_reason(*reason).to_owned(),
        EndKind::ByHand => "by hand, while somebody was attached".to_owned(),
        EndKind::Expired(expiry) => expired(*expiry).to_owned(),
        EndKind::Finished(merge) => format!("merged in {}", short(&merge.commit)),
        EndKind::GivenUp => "it crashed too often".to_owned(),
        EndKind::Failed(failure) => failure.message.clone(),
    }
}

/// Why fleetctl ended a run.
#[must_use]
pub fn stop_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Human => "asked for",
        StopReason::File => "state: stopped in the file",
        StopReason::Restart => "another start follows",
        StopReason::Decommission => "it is decommissioned",
        StopReason::Owner => "the session whose worktree it shares goes",
        StopReason::Expired(expiry) => expired(expiry),
    }
}

fn expired(expiry: Expiry) -> &'static str {
    match expiry {
        Expiry::Idle => "it was idle for as long as stop_after lets it",
        Expiry::Age => "it ran for as long as stop_after lets it",
    }
}

/// A fact beside a verdict.
#[must_use]
pub fn note(note: &Note) -> String {
    match note {
        Note::OnBranch(branch) => format!("on branch {branch}"),
        Note::Detached(commit) => format!("HEAD is detached at {}", short(commit)),
        Note::Renamed(name) => format!("its tmux session is now called {name}"),
        Note::OnHold { by, why: None } => format!("on hold by {by}"),
        Note::OnHold { by, why: Some(why) } => format!("on hold by {by}: {why}"),
        Note::CrashedTimes(1) => "crashed once".to_owned(),
        Note::CrashedTimes(times) => format!("crashed {times} times"),
        Note::NotReady(after) => format!("not ready after {}", time::span(*after)),
        Note::MergeUnseen(cause) => format!("whether it is merged cannot be told: {cause}"),
        Note::AtNextStart => "taken over at the next start".to_owned(),
        Note::Ports(ports) => format!("gets {}", ports_of(ports)),
        Note::PortOutside { name, port } => {
            format!("keeps port {port} ({name}), which is not in the pool any more")
        }
        Note::PortTaken { name, port, by } => format!("port {port} ({name}) is taken by {by}"),
    }
}

/// A session's health in one word.
#[must_use]
pub fn health(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Progressing => "progressing",
        Health::Degraded => "degraded",
        Health::Stopped => "stopped",
        Health::Failed => "failed",
        Health::Missing => "missing",
        Health::Unknown => "unknown",
    }
}

/// What an agent does in one word.
#[must_use]
pub fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Unknown => "unknown",
        Activity::Shell => "shell",
        Activity::Busy => "busy",
        Activity::Exited => "exited",
    }
}

/// Ports by name: `port 41000 (web), port 41001 (db)`.
#[must_use]
pub fn ports_of(ports: &Ports) -> String {
    let told: Vec<String> =
        ports.iter().map(|(name, port)| format!("port {port} ({name})")).collect();
    told.join(", ")
}

/// A commit's id as people write it.
#[must_use]
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// A conversation's id as people tell two apart: four characters of a long one.
#[must_use]
pub fn abridged(id: &str) -> String {
    match id.char_indices().nth(4) {
        Some((at, _)) if id.chars().count() > 12 => format!("{}…", &id[..at]),
        _ => id.to_owned(),
    }
}

/// `1 pane`, `2 panes`.
#[must_use]
pub fn plural(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}
