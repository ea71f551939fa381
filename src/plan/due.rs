//! When to plan again although nothing was heard of: what time alone decides, and what changes without a
//! sign. Invariant: what is due lies after the look, so that a plan never asks for the next one at once.

use super::guard::MASS_WINDOW;
use super::pass::Pass;
use super::{Entry, Hold, HoldReason, Plan, Verdict};
use crate::record::Record;
use crate::snapshot::PaneState;
use jiff::{SignedDuration, Timestamp};

/// Idleness, and a client that goes, give no sign.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// Nor does a process that tmux is about to reap.
const SOON: SignedDuration = SignedDuration::from_secs(1);

impl Pass<'_> {
    /// The earliest time at which the plan may come out differently by itself.
    pub(super) fn due_of(&self, plan: &Plan) -> Option<Timestamp> {
        let holds = plan.entries.iter().filter_map(hold_of);
        let held = holds.filter_map(|hold| self.due_of_hold(&hold.reason));
        let wishes = self.records.sessions.values().filter_map(until_of_wish);
        let ending = self.is_one_ending().then(|| self.after(SOON)).flatten();
        let now = self.snapshot.taken;
        held.chain(wishes).chain(ending).chain(self.wakes()).filter(|due| *due > now).min()
    }

    fn due_of_hold(&self, reason: &HoldReason) -> Option<Timestamp> {
        match reason {
            HoldReason::Busy | HoldReason::Attached => self.after(PATIENCE),
            HoldReason::Prune { due } => *due,
            HoldReason::Failed { again, .. } => Some(*again),
            HoldReason::Backoff { until, .. } | HoldReason::Starting { until, .. } => Some(*until),
            HoldReason::Mass { .. } => {
                let oldest = self.records.recent_ends.iter().min()?;
                oldest.checked_add(MASS_WINDOW).ok()
            }
            HoldReason::Wish { until, .. } => *until,
            HoldReason::Manual
            | HoldReason::Queued { .. }
            | HoldReason::Dependency { .. }
            | HoldReason::Finished { .. }
            | HoldReason::AtRisk(_)
            | HoldReason::Protected { .. }
            | HoldReason::Conflict(_)
            | HoldReason::Lost { .. }
            | HoldReason::Doubled
            | HoldReason::Orphaned
            | HoldReason::Strayed { .. }
            | HoldReason::Frozen { .. }
            | HoldReason::YourPanes(_)
            | HoldReason::ConversationLost { .. }
            | HoldReason::After(_)
            | HoldReason::Unseen(_)
            | HoldReason::NoBase { .. }
            | HoldReason::NoPort { .. }
            | HoldReason::Elsewhere { .. }
            | HoldReason::Inside => None,
        }
    }

    fn is_one_ending(&self) -> bool {
        let panes = self.snapshot.tmux.known().into_iter().flat_map(|server| &server.panes);
        panes.into_iter().any(|pane| pane.state == PaneState::Ending)
    }

    fn after(&self, wait: SignedDuration) -> Option<Timestamp> {
        self.snapshot.taken.checked_add(wait).ok()
    }
}

/// The hold of an entry, whether or not something else is done meanwhile.
fn hold_of(entry: &Entry) -> Option<&Hold> {
    match &entry.verdict {
        Verdict::Hold(hold) => Some(hold),
        Verdict::Do(_) | Verdict::Synced => entry.deferred.as_ref(),
    }
}

fn until_of_wish(record: &Record) -> Option<Timestamp> {
    record.wish.as_ref()?.until
}
