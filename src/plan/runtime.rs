//! How a session's run is now, and what its end means. Invariant: an end that a human or the program itself
//! meant stands; only what was cut off from outside is started again by itself.

use super::StepReason;
use super::sight::run_of;
use crate::manifest::fleet::Restart;
use crate::record::{Crashes, EndKind, Record, StopReason};
use crate::snapshot::{Pane, PaneState, Snapshot};
use jiff::{SignedDuration, Timestamp};

/// The most starts within [`CRASH_WINDOW`] before a session is given up.
const MOST_STARTS: u32 = 5;
const CRASH_WINDOW: SignedDuration = SignedDuration::from_mins(30);
/// A run that lasted so long begins the count anew.
const LONG_RUN: SignedDuration = SignedDuration::from_mins(10);

/// What ended runs are judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) record: &'a Record,
    pub(super) policy: Restart,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Over {
    /// Its end stands in the record.
    Stands(EndKind),
    /// Its end stands, and is not recorded yet.
    Seen(EndKind),
    /// It is to be started again.
    Again(StepReason),
    /// How it ended is not known yet.
    Ending,
}

impl Judge<'_> {
    /// Judges a session without a live pane.
    pub(super) fn judge(&self, pane: Option<&Pane>) -> Over {
        let record = self.record;
        if let Some(end) = record.end.as_ref().filter(|end| end.run == record.run) {
            return match &end.kind {
                EndKind::Stopped(StopReason::File) => Over::Again(StepReason::Wanted),
                EndKind::Stopped(
                    StopReason::Restart | StopReason::Owner | StopReason::Decommission,
                ) => Over::Again(StepReason::Gone),
                EndKind::Completed if self.policy == Restart::Always => {
                    Over::Again(StepReason::Ended)
                }
                kind => Over::Stands(kind.clone()),
            };
        }
        let failure = self.snapshot.launches.get(&record.uid);
        if let Some(failure) = failure.filter(|failure| failure.run == record.run) {
            return Over::Seen(EndKind::Failed(failure.clone()));
        }
        match pane.filter(|pane| run_of(pane) == record.run) {
            Some(pane) => self.of_pane(pane),
            None => self.without_pane(),
        }
    }

    fn of_pane(&self, pane: &Pane) -> Over {
        if pane.state == PaneState::Ending {
            return Over::Ending;
        }
        let interactive = self.record.applied.parting.interactive;
        if interactive || pane.state == PaneState::Exited(0) && !pane.attached {
            return match self.policy {
                Restart::Always => Over::Again(StepReason::Ended),
                Restart::OnFailure | Restart::Never => Over::Seen(EndKind::Completed),
            };
        }
        if pane.attached && by_hand(pane.state) {
            return Over::Seen(EndKind::ByHand);
        }
        let (status, signal) = match pane.state {
            PaneState::Exited(status) => (Some(status), None),
            PaneState::Killed(signal) => (None, Some(signal)),
            PaneState::Alive | PaneState::Ending | PaneState::Lost => (None, None),
        };
        let given_up = crashes(self.record, self.snapshot.taken) + 1 >= MOST_STARTS;
        match self.policy {
            Restart::Never => Over::Seen(EndKind::GivenUp),
            Restart::OnFailure | Restart::Always if given_up => Over::Seen(EndKind::GivenUp),
            Restart::OnFailure | Restart::Always => {
                Over::Again(StepReason::Crashed { status, signal })
            }
        }
    }

    /// The pane is gone. With its server: nobody meant it. Alone: someone ended it, and `never` leaves it so.
    fn without_pane(&self) -> Over {
        let Some(runtime) = self.record.runtime.as_ref() else {
            return Over::Again(StepReason::New);
        };
        let same_server = self.snapshot.tmux.known().is_some_and(|s| s.id == runtime.server);
        if self.policy == Restart::Never && same_server && runtime.run == self.record.run {
            return Over::Seen(EndKind::GivenUp);
        }
        Over::Again(StepReason::Gone)
    }
}

/// Whether a human at the pane may have ended it so: by leaving, or by HUP, INT or TERM, which `sh -c`
/// passes on as 128 and the signal.
fn by_hand(state: PaneState) -> bool {
    matches!(state, PaneState::Exited(0 | 129 | 130 | 143) | PaneState::Killed(1 | 2 | 15))
}

/// How many crashes count still: those of the last half hour, until a run has lasted.
#[must_use]
pub fn crashes(record: &Record, now: Timestamp) -> u32 {
    let Crashes { count, run, last } = &record.crashes;
    let recent = last.is_some_and(|last| now.duration_since(last) < CRASH_WINDOW);
    let lasted = record.runtime.as_ref().is_some_and(|runtime| {
        runtime.run > *run && now.duration_since(runtime.started) >= LONG_RUN
    });
    if recent && !lasted { *count } else { 0 }
}
