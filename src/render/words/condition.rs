//! The words of conditions: their names, the one-word reason and the line that explains it. Invariant: a word,
//! once here, keeps its meaning.

use super::hold::why;
use super::step;
use crate::plan::{Because, Condition, Entry, Hold, Sync, Verdict};
use crate::record::{ConditionKind, EndKind, StopReason, Truth};
use crate::render::View;
use crate::render::json::{hold_reason, step_reason};

/// Where a session stands between file and machine.
#[must_use]
pub fn sync(sync: Sync) -> &'static str {
    match sync {
        Sync::Synced => "synced",
        Sync::Pending => "pending",
        Sync::Held => "held",
        Sync::Unknown => "unknown",
    }
}

/// The name of a condition.
#[must_use]
pub fn kind(kind: ConditionKind) -> &'static str {
    match kind {
        ConditionKind::Synced => "synced",
        ConditionKind::Running => "running",
        ConditionKind::Ready => "ready",
    }
}

/// Whether it holds.
#[must_use]
pub fn truth(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown",
    }
}

/// What made a condition so, in one word.
#[must_use]
pub fn reason(entry: &Entry, condition: &Condition) -> &'static str {
    match (&condition.because, judged(entry)) {
        (Because::Verdict, Judged::Synced) => "as-the-file-says",
        (Because::Verdict, Judged::Hold(hold)) => hold_reason(&hold.reason),
        (Because::Verdict, Judged::Step) => match &entry.verdict {
            Verdict::Do(step) => step_reason(&step.reason),
            Verdict::Synced | Verdict::Hold(_) => "as-the-file-says",
        },
        (Because::Runs, _) => "runs",
        (Because::Ended(end), _) => ended(end),
        (Because::Crashed, _) => "crashed",
        (Because::NotCreated, _) => "not-created",
        (Because::NotStarted, _) => "not-started",
        (Because::Unseen, _) => "unseen",
        (Because::Probed, _) => match condition.truth {
            Truth::True => "probed",
            Truth::False => "not-yet",
            Truth::Unknown => "unseen",
        },
    }
}

/// What made a condition so, in one line.
#[must_use]
pub fn message(entry: &Entry, condition: &Condition, view: &View) -> String {
    match (&condition.because, judged(entry)) {
        (Because::Verdict, Judged::Synced) => "it is as the file says".to_owned(),
        (Because::Verdict, Judged::Hold(hold)) => why(entry, hold, view).join("; "),
        (Because::Verdict, Judged::Step) => match &entry.verdict {
            Verdict::Do(step) => step::clauses(entry, step, view).join("; "),
            Verdict::Synced | Verdict::Hold(_) => String::new(),
        },
        (Because::Runs, _) => "its process runs".to_owned(),
        (Because::Ended(end), _) => super::end_clause(end),
        (Because::Crashed, _) => "it crashed, and is to be started again".to_owned(),
        (Because::NotCreated, _) => "it has not been made".to_owned(),
        (Because::NotStarted, _) => "it does not run".to_owned(),
        (Because::Unseen, _) => "it could not be seen".to_owned(),
        (Because::Probed, _) => match condition.truth {
            Truth::True => "what `ready` asks for was seen".to_owned(),
            Truth::False => "what `ready` asks for was not seen yet".to_owned(),
            Truth::Unknown => "what `ready` asks for could not be looked at".to_owned(),
        },
    }
}

/// What keeps an entry from being synced.
enum Judged<'a> {
    Synced,
    Step,
    Hold(&'a Hold),
}

fn judged(entry: &Entry) -> Judged<'_> {
    match (&entry.deferred, &entry.verdict) {
        (Some(hold), _) | (None, Verdict::Hold(hold)) => Judged::Hold(hold),
        (None, Verdict::Do(_)) => Judged::Step,
        (None, Verdict::Synced) => Judged::Synced,
    }
}

/// An end in one word, and who made it.
#[must_use]
pub fn ended(end: &EndKind) -> &'static str {
    match end {
        EndKind::Completed => "completed",
        EndKind::Stopped(StopReason::Human) => "stopped-by-human",
        EndKind::Stopped(_) => "stopped",
        EndKind::ByHand => "by-hand",
        EndKind::Expired(_) => "expired",
        EndKind::Finished(_) => "finished",
        EndKind::GivenUp => "given-up",
        EndKind::Failed(_) => "failed",
    }
}
