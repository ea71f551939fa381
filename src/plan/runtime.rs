//! How a session's run is now, and what its end means. Invariant: an end that a human or the program itself
//! meant stands; only what was cut off from outside is started again by itself.

use super::StepReason;
use super::backoff::{Unwanted, counted};
use super::sight::run_of;
use crate::manifest::fleet::{Restart, Session};
use crate::record::{EndKind, Record, StopReason};
use crate::snapshot::{Pane, PaneState, Snapshot};

/// What ended runs are judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) record: &'a Record,
    pub(super) session: &'a Session,
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

/// What was found of a run that is over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    /// What its end means.
    pub(super) over: Over,
    /// It counts as an end that nobody wanted.
    pub(super) how: Option<Unwanted>,
}

impl Over {
    fn counted(self, how: Unwanted) -> Judged {
        Judged { over: self, how: Some(how) }
    }

    fn uncounted(self) -> Judged {
        Judged { over: self, how: None }
    }
}

impl Judge<'_> {
    /// Judges a session without a live pane.
    pub(super) fn judge(&self, pane: Option<&Pane>) -> Judged {
        let record = self.record;
        if let Some(end) = record.end.as_ref().filter(|end| end.run == record.run) {
            return match &end.kind {
                EndKind::Stopped(StopReason::File) => Over::Again(StepReason::Wanted).uncounted(),
                // What was to be taken down and was not runs on.
                EndKind::Stopped(
                    StopReason::Restart | StopReason::Owner | StopReason::Decommission,
                )
                | EndKind::Finished(_) => Over::Again(StepReason::Gone).uncounted(),
                EndKind::Completed if self.session.restart == Restart::Always => {
                    Over::Again(StepReason::Ended).counted(Unwanted::Cut)
                }
                kind => Over::Stands(kind.clone()).uncounted(),
            };
        }
        let failure = self.snapshot.launches.get(&record.uid);
        if let Some(failure) = failure.filter(|failure| failure.run == record.run) {
            return Over::Seen(EndKind::Failed(failure.clone())).uncounted();
        }
        match pane.filter(|pane| run_of(pane) == record.run) {
            Some(pane) => self.of_pane(pane),
            None => self.without_pane(),
        }
    }

    fn of_pane(&self, pane: &Pane) -> Judged {
        if pane.state == PaneState::Ending {
            return Over::Ending.uncounted();
        }
        let interactive = self.record.applied.parting.interactive;
        if interactive || pane.state == PaneState::Exited(0) && !pane.attached {
            return match self.session.restart {
                Restart::Always => Over::Again(StepReason::Ended).counted(Unwanted::Cut),
                Restart::OnFailure | Restart::Never => Over::Seen(EndKind::Completed).uncounted(),
            };
        }
        if pane.attached && by_hand(pane.state) {
            return Over::Seen(EndKind::ByHand).uncounted();
        }
        let (status, signal) = match pane.state {
            PaneState::Exited(status) => (Some(status), None),
            PaneState::Killed(signal) => (None, Some(signal)),
            PaneState::Alive | PaneState::Ending | PaneState::Lost => (None, None),
        };
        let over = match self.session.restart {
            Restart::Never => Over::Seen(EndKind::GivenUp),
            Restart::OnFailure | Restart::Always if self.is_too_often() => {
                Over::Seen(EndKind::GivenUp)
            }
            Restart::OnFailure | Restart::Always => {
                Over::Again(StepReason::Crashed { status, signal })
            }
        };
        over.counted(Unwanted::Crash)
    }

    fn is_too_often(&self) -> bool {
        let (backoff, now) = (&self.session.backoff, self.snapshot.taken);
        let crashes = counted(self.record, backoff, Unwanted::Crash, now).recent.len();
        crashes >= usize::try_from(backoff.starts).unwrap_or(usize::MAX)
    }

    /// The pane is gone. With its server: nobody meant it. Alone: someone ended it, and `never` leaves it so.
    fn without_pane(&self) -> Judged {
        let Some(runtime) = self.record.runtime.as_ref() else {
            return Over::Again(StepReason::New).uncounted();
        };
        let same_server = self.snapshot.tmux.known().is_some_and(|s| s.id == runtime.server);
        if !same_server || runtime.run != self.record.run {
            return Over::Again(StepReason::Gone).uncounted();
        }
        match self.session.restart {
            Restart::Never => Over::Seen(EndKind::GivenUp).counted(Unwanted::Cut),
            Restart::OnFailure | Restart::Always => {
                Over::Again(StepReason::Gone).counted(Unwanted::Cut)
            }
        }
    }
}

/// Whether a human at the pane may have ended it so: by leaving, or by HUP, INT or TERM, which `sh -c`
/// passes on as 128 and the signal.
fn by_hand(state: PaneState) -> bool {
    matches!(state, PaneState::Exited(0 | 129 | 130 | 143) | PaneState::Killed(1 | 2 | 15))
}
