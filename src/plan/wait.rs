//! What `wait` waits for, judged of one session at one look. Pure. Invariant: a state is called out of reach
//! only when nothing but a human's act or another file would bring it about.

use super::condition::Sync;
use super::{Activity, Entry, Health, HoldReason, StepKind, StepReason, Verdict};
use crate::record::{EndKind, StopReason, Truth, WishKind};

/// A state to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaited {
    /// It is as the file says.
    Synced,
    /// Its process runs.
    Running,
    /// What its `ready` asks for was seen; without one: it runs.
    Ready,
    /// Its agent has nothing to do, or its shell runs no program.
    Idle,
    /// Its agent waits for its human.
    Waiting,
    /// It does not run, and should not.
    Stopped,
    /// Its program ended by itself, with 0.
    Completed,
    /// Its work is done, as `until` has it.
    Finished,
    /// There is no such session any more.
    Gone,
}

/// What a look says of a session and the states that are waited for.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// It is in this state.
    Reached(Awaited),
    /// It may come to it.
    NotYet,
    /// It cannot be said: what it takes was not seen.
    Unseen,
    /// It cannot come to it by itself.
    Never(Obstacle),
}

/// Why a state is out of reach.
#[derive(Debug, Clone, PartialEq)]
pub enum Obstacle {
    /// An end stands.
    Ended(EndKind),
    /// A human stopped or holds it.
    Wish {
        /// What he wants.
        kind: WishKind,
        /// Who.
        by: String,
    },
    /// The file says `state: stopped`.
    StoppedInFile,
    /// It is not in the file any more.
    LeftFile,
    /// It is no agent, which alone waits for a human.
    NoAgent,
}

/// Judges a session by any of several states; `entry` is `None` when it is neither in the file nor live.
#[must_use]
pub fn judge(entry: Option<&Entry>, awaited: &[Awaited]) -> Judgement {
    let mut judged = Judgement::NotYet;
    let mut first = true;
    for state in awaited {
        let next = judge_one(entry, *state);
        judged = match (judged, next) {
            (_, reached @ Judgement::Reached(_)) => return reached,
            (_, next) if first => next,
            (Judgement::Unseen, _) | (_, Judgement::Unseen) => Judgement::Unseen,
            (Judgement::Never(why), Judgement::Never(_)) => Judgement::Never(why),
            _ => Judgement::NotYet,
        };
        first = false;
    }
    judged
}

fn judge_one(entry: Option<&Entry>, state: Awaited) -> Judgement {
    let Some(entry) = entry else {
        return match state {
            Awaited::Gone => Judgement::Reached(state),
            _ => Judgement::Never(Obstacle::LeftFile),
        };
    };
    match state {
        Awaited::Gone => Judgement::NotYet,
        Awaited::Synced => synced(entry),
        _ if entry.status.health == Health::Unknown => Judgement::Unseen,
        Awaited::Running | Awaited::Ready | Awaited::Idle | Awaited::Waiting
            if !entry.status.running =>
        {
            rising(entry)
        }
        Awaited::Running => Judgement::Reached(state),
        Awaited::Ready => match entry.status.ready {
            None | Some(Truth::True) => Judgement::Reached(state),
            Some(Truth::False) => Judgement::NotYet,
            Some(Truth::Unknown) => Judgement::Unseen,
        },
        Awaited::Idle | Awaited::Waiting => active(entry, state),
        Awaited::Stopped => stopped(entry),
        Awaited::Completed | Awaited::Finished => ended(entry, state),
    }
}

fn synced(entry: &Entry) -> Judgement {
    let hold = match (&entry.verdict, &entry.deferred) {
        (Verdict::Hold(hold), _) | (_, Some(hold)) => hold,
        (Verdict::Synced, None) => return Judgement::Reached(Awaited::Synced),
        (Verdict::Do(_), None) => return Judgement::NotYet,
    };
    match (Sync::of_hold(&hold.reason), &hold.reason) {
        (Sync::Unknown, _) => Judgement::Unseen,
        (Sync::Synced, _) => Judgement::Reached(Awaited::Synced),
        // A hold for some time ends by itself.
        (_, HoldReason::Wish { kind, by, until: None, .. }) => {
            Judgement::Never(Obstacle::Wish { kind: *kind, by: by.clone() })
        }
        _ => Judgement::NotYet,
    }
}

/// A session that does not run, and is waited for to do so.
fn rising(entry: &Entry) -> Judgement {
    match &entry.verdict {
        Verdict::Do(step) => match &step.kind {
            StepKind::Create(_)
            | StepKind::Start { .. }
            | StepKind::Restart { .. }
            | StepKind::Recreate { .. }
            | StepKind::Update { .. } => Judgement::NotYet,
            StepKind::Settle(end) => Judgement::Never(Obstacle::Ended(end.clone())),
            StepKind::Stop { .. } => Judgement::Never(Obstacle::StoppedInFile),
            StepKind::Decommission(_) | StepKind::Forget => Judgement::Never(Obstacle::LeftFile),
        },
        Verdict::Hold(hold) => match &hold.reason {
            HoldReason::Wish { kind, by, until: None, .. } => {
                Judgement::Never(Obstacle::Wish { kind: *kind, by: by.clone() })
            }
            HoldReason::Prune { .. } => Judgement::Never(Obstacle::LeftFile),
            _ => standing(entry),
        },
        Verdict::Synced if entry.status.end.is_none() => Judgement::Never(Obstacle::StoppedInFile),
        Verdict::Synced => standing(entry),
    }
}

/// An end that stands is not left without a human; one that another start follows is.
fn standing(entry: &Entry) -> Judgement {
    match &entry.status.end {
        None => Judgement::NotYet,
        Some(EndKind::Stopped(
            StopReason::Restart | StopReason::Owner | StopReason::Decommission,
        )) => Judgement::NotYet,
        Some(EndKind::Stopped(StopReason::File)) => Judgement::Never(Obstacle::StoppedInFile),
        Some(end) => Judgement::Never(Obstacle::Ended(end.clone())),
    }
}

/// What a running session does.
fn active(entry: &Entry, state: Awaited) -> Judgement {
    match (entry.status.activity, state) {
        (Activity::Shell, Awaited::Idle) => Judgement::Reached(state),
        (Activity::Shell | Activity::Busy, Awaited::Waiting) => Judgement::Never(Obstacle::NoAgent),
        (Activity::Shell | Activity::Busy, _) | (Activity::Exited, _) => Judgement::NotYet,
        (Activity::Unknown, _) => Judgement::Unseen,
    }
}

fn stopped(entry: &Entry) -> Judgement {
    match (&entry.status.end, entry.status.health) {
        _ if entry.status.running => Judgement::NotYet,
        (_, Health::Stopped) => Judgement::Reached(Awaited::Stopped),
        (Some(end), Health::Failed) => Judgement::Never(Obstacle::Ended(end.clone())),
        _ => Judgement::NotYet,
    }
}

fn ended(entry: &Entry, state: Awaited) -> Judgement {
    match (&entry.status.end, state) {
        _ if entry.status.running => Judgement::NotYet,
        (Some(EndKind::Completed), Awaited::Completed)
        | (Some(EndKind::Finished(_)), Awaited::Finished) => Judgement::Reached(state),
        (_, Awaited::Finished) if is_finishing(entry) => Judgement::NotYet,
        _ => rising(entry),
    }
}

/// True when it is taken down because its work is done.
fn is_finishing(entry: &Entry) -> bool {
    matches!(&entry.verdict, Verdict::Do(step) if matches!(step.reason, StepReason::Merged(_)))
}
