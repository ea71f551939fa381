//! From what was planned and done to an exit code.

use super::args::FailOn;
use crate::error::Exit;
use crate::plan::compare::{Comparison, Severity};
use crate::plan::{Plan, Verdict, Wants};
use crate::reconcile::{Outcome, StepResult};
use crate::render::words::Kind;

/// The exit code of `diff`.
#[must_use]
pub fn of_diff(plan: &Plan, fail_on: FailOn) -> Exit {
    if cannot_see(plan) {
        return Exit::CannotObserve;
    }
    match fail_on {
        FailOn::Changes => {}
        FailOn::Destructive if plan.entries.iter().any(destroys) => return Exit::Differs,
        FailOn::Destructive | FailOn::Never => return Exit::Done,
    }
    let same = |kind: Kind| matches!(kind, Kind::Synced | Kind::Wished | Kind::Finished);
    let differs = plan.entries.iter().any(|entry| {
        !same(Kind::of(&entry.verdict))
            || entry.deferred.as_ref().is_some_and(|hold| !same(Kind::of_hold(&hold.reason)))
    });
    if differs { Exit::Differs } else { Exit::Done }
}

/// True when a worktree is to go, now or when a hold is lifted.
fn destroys(entry: &crate::plan::Entry) -> bool {
    let wants = match &entry.verdict {
        Verdict::Do(step) => Some(step.kind.wants()),
        Verdict::Hold(hold) => Some(hold.wants),
        Verdict::Synced => None,
    };
    let deferred = entry.deferred.as_ref().map(|hold| hold.wants);
    let grave = |wants| matches!(wants, Wants::Recreate | Wants::Decommission);
    wants.into_iter().chain(deferred).any(grave)
}

/// The exit code of a comparison of two manifests.
#[must_use]
pub fn of_comparison(comparison: &Comparison, fail_on: FailOn) -> Exit {
    let fails = match fail_on {
        FailOn::Changes => !comparison.is_same(),
        FailOn::Destructive => comparison.severity() == Severity::Destructive,
        FailOn::Never => false,
    };
    if fails { Exit::Differs } else { Exit::Done }
}

/// The exit code of a pass: of what was done, and of what the plan still holds.
#[must_use]
pub fn of_pass(plan: &Plan, outcome: &Outcome, strict: bool) -> Exit {
    if cannot_see(plan) {
        return Exit::CannotObserve;
    }
    if !outcome.is_whole() {
        return Exit::Partly;
    }
    let kinds = plan.entries.iter().flat_map(|entry| {
        let deferred = entry.deferred.as_ref().map(|hold| Kind::of_hold(&hold.reason));
        let held = match &entry.verdict {
            Verdict::Hold(hold) => Some(Kind::of_hold(&hold.reason)),
            Verdict::Do(_) | Verdict::Synced => None,
        };
        held.into_iter().chain(deferred)
    });
    for kind in kinds {
        match kind {
            Kind::Held => return Exit::Partly,
            Kind::Deferred | Kind::Queued | Kind::Pending if strict => return Exit::Partly,
            _ => {}
        }
    }
    Exit::Done
}

/// The exit code of a verb about single sessions: 1 when what was asked failed.
#[must_use]
pub fn of_verb(plan: &Plan, outcome: &Outcome) -> Exit {
    let failed = outcome.lines.iter().any(|line| matches!(line.result, StepResult::Failed(_)));
    match of_pass(plan, outcome, false) {
        Exit::Partly if failed && !outcome.did_something() => Exit::Failed,
        exit => exit,
    }
}

/// True when something that the answer needs could not be seen.
#[must_use]
pub fn cannot_see(plan: &Plan) -> bool {
    !plan.blind.is_empty()
        || plan.entries.iter().any(|entry| Kind::of(&entry.verdict) == Kind::Unknown)
}

/// What is to be said when nobody is there to do what waits for idleness or a place; `None` when nothing does.
#[must_use]
pub fn unwatched(plan: &Plan, controller: &str) -> Option<String> {
    let kinds = |wanted: Kind| {
        let entries = plan.entries.iter().filter(|entry| {
            Kind::of(&entry.verdict) == wanted
                || entry.deferred.as_ref().is_some_and(|hold| Kind::of_hold(&hold.reason) == wanted)
        });
        entries.count()
    };
    let told: Vec<String> = [Kind::Deferred, Kind::Queued]
        .into_iter()
        .filter(|kind| kinds(*kind) > 0)
        .map(|kind| format!("{} {}", kinds(kind), kind.counted()))
        .collect();
    let what = (!told.is_empty()).then(|| told.join(" and "))?;
    Some(format!("{what}: nobody keeps watch; run: {controller}"))
}

/// The sessions that wait for idleness, a place or another session.
#[must_use]
pub fn waiting(plan: &Plan) -> Vec<&str> {
    let waits = |kind: Kind| matches!(kind, Kind::Deferred | Kind::Queued | Kind::Pending);
    let entries = plan.entries.iter().filter(|entry| {
        waits(Kind::of(&entry.verdict))
            || entry.deferred.as_ref().is_some_and(|hold| waits(Kind::of_hold(&hold.reason)))
    });
    entries.map(|entry| entry.name.as_str()).collect()
}
