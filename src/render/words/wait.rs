//! The words of `wait`: the states that it waits for, and why one is out of reach.

use crate::plan::wait::{Awaited, Obstacle};
use crate::record::WishKind;

/// A state in one word.
#[must_use]
pub fn awaited(state: Awaited) -> &'static str {
    match state {
        Awaited::Synced => "synced",
        Awaited::Running => "running",
        Awaited::Ready => "ready",
        Awaited::Idle => "idle",
        Awaited::Waiting => "waiting",
        Awaited::Stopped => "stopped",
        Awaited::Completed => "completed",
        Awaited::Finished => "finished",
        Awaited::Gone => "gone",
    }
}

/// Several states: `running or ready`.
#[must_use]
pub fn any_of(states: &[Awaited]) -> String {
    let words: Vec<&str> = states.iter().map(|state| awaited(*state)).collect();
    words.join(" or ")
}

/// Why a state is out of reach.
#[must_use]
pub fn obstacle(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Ended(end) => super::end_clause(end),
        Obstacle::Wish { kind: WishKind::Stop, by } => format!("stopped by {by}"),
        Obstacle::Wish { kind: WishKind::Hold, by } => format!("held by {by}"),
        Obstacle::Wish { kind: WishKind::Restored, by } => format!("restored by {by}, and kept so"),
        Obstacle::StoppedInFile => "the file says `state: stopped`".to_owned(),
        Obstacle::LeftFile => "it is not in the file any more".to_owned(),
        Obstacle::NoAgent => "it is no agent, and waits for nobody".to_owned(),
    }
}

/// The verb that may bring it within reach, for a session of this name.
#[must_use]
pub fn way_out(obstacle: &Obstacle) -> Option<&'static str> {
    match obstacle {
        Obstacle::Ended(_) | Obstacle::Wish { kind: WishKind::Stop, .. } => Some("start"),
        Obstacle::Wish { kind: WishKind::Hold | WishKind::Restored, .. } => Some("release"),
        Obstacle::StoppedInFile | Obstacle::LeftFile | Obstacle::NoAgent => None,
    }
}
