//! What holds of a session now, for those who watch it: where it stands between file and machine, and the
//! conditions of it with what made them so and since when. Owns what of a condition is remembered. Invariant:
//! what is remembered changes only when a condition does, so that a fleet at rest writes nothing.

use super::{Entry, Health, HoldReason, Verdict};
use crate::record::{ConditionKind, EndKind, Record, Transition, Truth, WishKind};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Where a session stands between file and machine: the first of its two axes, beside its [`Health`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sync {
    /// It is as the file says.
    Synced,
    /// A step is to be done, or waits for something that comes by itself.
    Pending,
    /// A step is not done until somebody lifts what holds it.
    Held,
    /// It could not be seen.
    Unknown,
}

impl Sync {
    /// Where a verdict puts a session.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Synced => Self::Synced,
            Verdict::Do(_) => Self::Pending,
            Verdict::Hold(hold) => Self::of_hold(&hold.reason),
        }
    }

    /// Where what holds its step puts a session.
    #[must_use]
    pub fn of_hold(reason: &HoldReason) -> Self {
        match reason {
            HoldReason::Busy
            | HoldReason::Attached
            | HoldReason::Manual
            | HoldReason::Queued { .. }
            | HoldReason::Dependency { .. }
            | HoldReason::Backoff { .. }
            | HoldReason::Starting { .. }
            | HoldReason::After(_)
            | HoldReason::Prune { .. }
            | HoldReason::Failed { .. } => Self::Pending,
            HoldReason::Finished { .. } => Self::Synced,
            HoldReason::Unseen(_) => Self::Unknown,
            HoldReason::Wish { .. }
            | HoldReason::AtRisk(_)
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
}

/// One fact about a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Which.
    pub kind: ConditionKind,
    /// Whether it holds.
    pub truth: Truth,
    /// What made it so.
    pub because: Because,
    /// Since when; `None`: it was otherwise when it was last recorded, and this look is the first to see it.
    pub since: Option<Timestamp>,
}

/// What made a condition so.
#[derive(Debug, Clone, PartialEq)]
pub enum Because {
    /// The entry's verdict, or the step that it defers.
    Verdict,
    /// Its process runs.
    Runs,
    /// Its run ended, and that end stands.
    Ended(EndKind),
    /// Its run crashed, and it will be started again.
    Crashed,
    /// It has not been made.
    NotCreated,
    /// It does not run; a step or a wish says why.
    NotStarted,
    /// It could not be seen.
    Unseen,
    /// What `ready` asks for was seen, or not yet.
    Probed,
}

/// The conditions of a session, always in the same order.
#[must_use]
pub fn conditions(entry: &Entry, record: Option<&Record>) -> Vec<Condition> {
    let mut facts = vec![synced(entry), running(entry)];
    facts.extend(ready(entry));
    facts
        .into_iter()
        .map(|(kind, truth, because)| {
            let since = record.and_then(|record| since(record, (kind, truth), entry));
            Condition { kind, truth, because, since }
        })
        .collect()
}

type Fact = (ConditionKind, Truth, Because);

fn synced(entry: &Entry) -> Fact {
    let sync = match &entry.deferred {
        Some(hold) => Sync::of_hold(&hold.reason),
        None => Sync::of(&entry.verdict),
    };
    let truth = match sync {
        Sync::Synced => Truth::True,
        Sync::Pending | Sync::Held => Truth::False,
        Sync::Unknown => Truth::Unknown,
    };
    (ConditionKind::Synced, truth, Because::Verdict)
}

fn running(entry: &Entry) -> Fact {
    let status = &entry.status;
    let (truth, because) = match (&status.end, status.health) {
        _ if status.running => (Truth::True, Because::Runs),
        (_, Health::Unknown) => (Truth::Unknown, Because::Unseen),
        (Some(end), _) => (Truth::False, Because::Ended(end.clone())),
        (None, Health::Degraded) => (Truth::False, Because::Crashed),
        (None, _) if entry.uid.is_none() => (Truth::False, Because::NotCreated),
        (None, _) => (Truth::False, Because::NotStarted),
    };
    (ConditionKind::Running, truth, because)
}

/// Of a session without `ready` there is nothing to say.
fn ready(entry: &Entry) -> Option<Fact> {
    let ready = entry.status.ready?;
    let (_, running, because) = running(entry);
    Some(match running {
        Truth::True => (ConditionKind::Ready, ready, Because::Probed),
        Truth::False | Truth::Unknown => (ConditionKind::Ready, running, because),
    })
}

/// Since when a condition is as it is: what its record tells by itself comes before what was remembered.
fn since(
    record: &Record,
    (kind, truth): (ConditionKind, Truth),
    entry: &Entry,
) -> Option<Timestamp> {
    let started = record.runtime.as_ref().map(|runtime| runtime.started);
    let kept = record.conditions.get(&kind);
    let remembered = kept.filter(|kept| kept.truth == truth).map(|kept| kept.since);
    match (kind, truth) {
        (ConditionKind::Synced, Truth::True) => match kept {
            Some(_) => remembered,
            None => Some(record.created),
        },
        (ConditionKind::Synced, _) => remembered.or_else(|| of_hold(record, entry)),
        (ConditionKind::Running, Truth::True) => started,
        (_, Truth::False) => {
            let end = record.end.as_ref().filter(|end| end.run == record.run).map(|end| end.at);
            end.or(remembered.filter(|since| started.is_none_or(|started| *since >= started)))
        }
        (_, Truth::True | Truth::Unknown) => remembered,
    }
}

/// Since when a human wants it otherwise, or the file is without it.
fn of_hold(record: &Record, entry: &Entry) -> Option<Timestamp> {
    let Verdict::Hold(hold) = &entry.verdict else { return None };
    match &hold.reason {
        HoldReason::Wish {
            kind: WishKind::Stop | WishKind::Hold | WishKind::Restored,
            since,
            ..
        } => Some(*since),
        HoldReason::Prune { .. } => record.gone_since,
        _ => None,
    }
}

/// What is to be remembered of a session's conditions after a look at this time; `None` when that is what is
/// remembered already. A session with a step is told of when the step is over.
#[must_use]
pub fn news(
    entry: &Entry,
    record: &Record,
    now: Timestamp,
) -> Option<BTreeMap<ConditionKind, Transition>> {
    if matches!(entry.verdict, Verdict::Do(_)) && entry.deferred.is_none() {
        return None;
    }
    let mut kept = record.conditions.clone();
    for condition in conditions(entry, Some(record)) {
        let Condition { kind, truth, since, .. } = condition;
        let known = match kind {
            ConditionKind::Synced => is_remembered(&kept, kind, truth),
            ConditionKind::Running | ConditionKind::Ready => since.is_some(),
        };
        if !known {
            kept.insert(kind, Transition { truth, since: since.unwrap_or(now) });
        }
    }
    (kept != record.conditions).then_some(kept)
}

/// What is to be remembered when a step of a session is over; `None` when that is remembered already.
#[must_use]
pub fn after_step(
    record: &Record,
    synced: Truth,
    now: Timestamp,
) -> Option<BTreeMap<ConditionKind, Transition>> {
    if is_remembered(&record.conditions, ConditionKind::Synced, synced) {
        return None;
    }
    let mut kept = record.conditions.clone();
    kept.insert(ConditionKind::Synced, Transition { truth: synced, since: now });
    Some(kept)
}

/// Nothing is remembered of a session that has been synced since it was made.
fn is_remembered(
    kept: &BTreeMap<ConditionKind, Transition>,
    kind: ConditionKind,
    truth: Truth,
) -> bool {
    kept.get(&kind).map_or(truth == Truth::True, |kept| kept.truth == truth)
}
