//! How a session is now, whatever is to be done: its health, and facts worth saying. Invariant: nothing here
//! changes a verdict.

use super::pass::Pass;
use super::session::Decided;
use super::sight::PaneOf;
use super::{Activity, Health, HoldReason, Note, Status, StepReason, Verdict};
use crate::manifest::fleet::{Desired, Session};
use crate::name::Uid;
use crate::record::{EndKind, Place, Record, WishKind};
use crate::snapshot::{Head, Observed, PaneState};

impl Pass<'_> {
    /// How a session is now.
    pub(super) fn status(
        &self,
        record: &Record,
        session: Option<&Session>,
        decided: &Decided,
    ) -> Status {
        let mut status = Status { end: decided.end.clone(), ..Status::default() };
        self.look_at_pane(record.uid, &mut status);
        status.directory = Some(record.place.directory().clone());
        status.branch = self.sight.any_tree(record.uid).and_then(|tree| match &tree.head {
            Head::Branch(branch) => Some(branch.clone()),
            Head::Detached(_) | Head::Unreadable => None,
        });
        if status.running && record.applied.parting.shell {
            let pane = status.pane.as_ref();
            let company = pane.and_then(|pane| self.snapshot.answers.company.get(pane));
            let working = company.and_then(Observed::known).is_some_and(|company| company.working);
            let busy = record.applied.parting.interactive && working;
            status.activity = if busy { Activity::Busy } else { Activity::Shell };
        }
        let stopped = session.is_some_and(|session| session.state == Desired::Stopped);
        let wished = record
            .wish
            .as_ref()
            .is_some_and(|wish| wish.kind != WishKind::Hold && wish.stands_at(self.snapshot.taken));
        let crashed = match &decided.verdict {
            Verdict::Do(step) => matches!(step.reason, StepReason::Crashed { .. }),
            Verdict::Hold(hold) => matches!(hold.reason, HoldReason::Backoff { .. }),
            Verdict::Synced => false,
        };
        status.health = match &decided.end {
            _ if self.snapshot.tmux.blind().is_some() => Health::Unknown,
            _ if status.running => self.health_of_run(record, session),
            Some(EndKind::Failed(_) | EndKind::GivenUp) => Health::Failed,
            Some(_) => Health::Stopped,
            None if stopped || wished => Health::Stopped,
            None if crashed => Health::Degraded,
            None => Health::Progressing,
        };
        let asked = session.is_some_and(|session| session.ready.is_some());
        status.ready = asked.then(|| self.truth_of_readiness(record));
        status
    }

    fn health_of_run(&self, record: &Record, session: Option<&Session>) -> Health {
        match session.filter(|session| session.ready.is_some()) {
            Some(_) if self.books(record).ready == Some(record.run) => Health::Healthy,
            Some(session) if self.is_late(session, record) => Health::Degraded,
            Some(_) => Health::Progressing,
            None => Health::Healthy,
        }
    }

    pub(super) fn look_at_pane(&self, uid: Uid, status: &mut Status) {
        let PaneOf::One(pane) = self.sight.pane(uid) else { return };
        status.running = pane.state == PaneState::Alive;
        status.attached = pane.attached;
        status.tmux_session = Some(pane.session_name.clone());
        status.pane = Some(pane.id.clone());
        status.activity = if status.running { Activity::Unknown } else { Activity::Exited };
    }

    /// Facts worth saying beside the verdict.
    pub(super) fn notes(
        &self,
        record: &Record,
        session: Option<&Session>,
        decided: &Decided,
    ) -> Vec<Note> {
        let mut notes = Vec::new();
        if let (Place::Own { branch: Some(made), .. }, Some(tree)) =
            (&record.place, self.sight.any_tree(record.uid))
        {
            match &tree.head {
                Head::Branch(now) if now != made => notes.push(Note::OnBranch(now.clone())),
                Head::Detached(at) => notes.push(Note::Detached(at.clone())),
                Head::Branch(_) | Head::Unreadable => {}
            }
        }
        let pane = match self.sight.pane(record.uid) {
            PaneOf::One(pane) => Some(pane),
            PaneOf::None | PaneOf::Doubled => None,
        };
        if let Some(pane) = pane.filter(|pane| pane.session_name != record.tmux_name) {
            notes.push(Note::Renamed(pane.session_name.clone()));
        }
        let said = matches!(&decided.verdict, Verdict::Hold(hold)
            if matches!(hold.reason, HoldReason::Wish { .. }));
        if let Some(wish) = record.wish.as_ref().filter(|wish| wish.kind == WishKind::Hold)
            && wish.stands_at(self.snapshot.taken)
            && !said
        {
            notes.push(Note::OnHold { by: wish.by.clone(), why: wish.why.clone() });
        }
        notes.extend(session.into_iter().flat_map(|s| self.notes_of_ends(s, record)));
        let backoff = session.map(|session| session.backoff.clone()).unwrap_or_default();
        let crashes = super::backoff::crashes(record, &backoff, self.snapshot.taken);
        if crashes > 0 {
            notes.push(Note::CrashedTimes(crashes));
        }
        if decided.at_next_start {
            notes.push(Note::AtNextStart);
        }
        notes
    }
}
