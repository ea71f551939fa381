//! What ends a session by itself, and what looks at it have taught: readiness, idleness, `stop_after`,
//! `until`. Invariant: what could not be seen makes nobody ready, idle or merged.

use super::backoff::{counted, signed};
use super::guard::Patience;
use super::pass::{Pass, Refusal};
use super::runtime::Judged;
use super::sight::PaneOf;
use super::start::Footing;
use super::{HoldReason, Note, Retirement, StepKind};
use crate::manifest::fleet::{Port, Probe as Wanted, Session, Until};
use crate::manifest::template;
use crate::record::{Books, Expiry, Place, Record, Truth};
use crate::snapshot::{Merge, MergedAt, Observed, Pane, PaneState, Probe, Question, ReadyAt};
use jiff::{SignedDuration, Timestamp};
use std::path::Path;

/// How soon a session that is not ready yet is asked again.
const NOT_READY: SignedDuration = SignedDuration::from_secs(1);
/// The same, when it has had its time.
const LATE: SignedDuration = SignedDuration::from_secs(10);
/// Idleness gives no sign.
const NOT_IDLE: SignedDuration = SignedDuration::from_secs(5);

impl<'a> Pass<'a> {
    /// What is to be remembered of a session after this look.
    pub(super) fn learn(
        &mut self,
        session: &'a Session,
        record: &'a Record,
        (pane, judged): (Option<&'a Pane>, Option<&Judged>),
    ) {
        let mut books = record.books.clone();
        let now = self.snapshot.taken;
        if let Some(how) = judged.and_then(|judged| judged.how) {
            books.crashes = counted(record, &session.backoff, how, now);
        }
        let alive = pane.is_some_and(|pane| pane.state == PaneState::Alive);
        if alive && session.ready.is_some() && matches!(self.is_ready(session, record), Ok(true)) {
            books.ready = Some(record.run);
        }
        books.idle_since = match session.stop_after.idle {
            Some(_) if alive => match self.is_idle(record) {
                Ok(true) => Some(record.books.idle_since.map_or(now, |since| since.min(now))),
                Ok(false) => None,
                Err(_) => record.books.idle_since,
            },
            _ => None,
        };
        if books != record.books {
            self.books.insert(record.uid, books);
        }
    }

    /// What is known of a session when this look is in the books.
    pub(super) fn books<'b>(&'b self, record: &'b Record) -> &'b Books {
        self.books.get(&record.uid).unwrap_or(&record.books)
    }

    /// True when the run that lives was seen to be ready.
    pub(super) fn is_ready(
        &mut self,
        session: &'a Session,
        record: &'a Record,
    ) -> Result<bool, Refusal> {
        if self.books(record).ready == Some(record.run) {
            return Ok(true);
        }
        let PaneOf::One(pane) = self.sight.pane(record.uid) else { return Ok(false) };
        let Some(probe) = self.probe(session, record).filter(|_| is_in_force(session, record))
        else {
            return Ok(false);
        };
        let ready = match self.snapshot.answers.ready.get(&record.uid) {
            Some(answer) => answer.known() == Some(&true),
            None => {
                let worktree = record.place.directory().clone();
                let plain = session.cwd == Path::new(".");
                let directory = if plain { worktree.clone() } else { worktree.join(&session.cwd) };
                self.questions.insert(Question::Ready(ReadyAt {
                    uid: record.uid,
                    fleet: self.fleet.name.clone(),
                    session: session.name.clone(),
                    pane: pane.id.clone(),
                    worktree,
                    directory,
                    probe,
                }));
                return Err(Refusal::Open(format!("whether {} is ready", session.name)));
            }
        };
        if !ready {
            self.wake_in(if self.is_late(session, record) { LATE } else { NOT_READY });
        }
        Ok(ready)
    }

    /// What is asked to learn whether a session is ready.
    fn probe(&self, session: &Session, record: &Record) -> Option<Probe> {
        match &session.ready.as_ref()?.probe {
            Wanted::Screen(regex) => Some(Probe::Screen(regex.clone())),
            Wanted::Command(text) => {
                let value = |variable: &str| self.late_value(record, variable);
                Some(Probe::Command(template::late(text, &value)))
            }
            Wanted::Port(Port::Number(port)) => Some(Probe::Port(*port)),
            Wanted::Port(Port::Named(name)) => record.ports.get(name).copied().map(Probe::Port),
        }
    }

    /// What only memory knows of the variables in a text.
    fn late_value(&self, record: &Record, variable: &str) -> Option<String> {
        if let Some(rest) = variable.strip_prefix("sessions.") {
            let (name, field) = rest.split_once('.')?;
            return self.late_value(self.names.record(&name.parse().ok()?)?, field);
        }
        match variable {
            "worktree" => Some(record.place.directory().to_string_lossy().into_owned()),
            "branch" => record.place.branch().map(str::to_owned),
            _ => Some(record.ports.get(variable.strip_prefix("port.")?)?.to_string()),
        }
    }

    /// Whether it is ready, as far as this look tells.
    pub(super) fn truth_of_readiness(&self, record: &Record) -> Truth {
        match self.snapshot.answers.ready.get(&record.uid) {
            _ if !self.is_alive(record.uid) => Truth::False,
            _ if self.books(record).ready == Some(record.run) => Truth::True,
            Some(Observed::Unknown(_)) => Truth::Unknown,
            Some(Observed::Known(_) | Observed::Absent(_)) | None => Truth::False,
        }
    }

    /// True when a run that is not ready should have been by now.
    pub(super) fn is_late(&self, session: &Session, record: &Record) -> bool {
        let (Some(ready), Some(runtime)) = (&session.ready, &record.runtime) else { return false };
        self.snapshot.taken.duration_since(runtime.started) >= signed(ready.timeout)
    }

    /// True when nothing runs in the foreground of a shell. What an agent does is not known.
    pub(super) fn is_idle(&mut self, record: &Record) -> Result<bool, Refusal> {
        let PaneOf::One(pane) = self.sight.pane(record.uid) else { return Ok(false) };
        if !record.applied.parting.interactive {
            return Ok(false);
        }
        Ok(self.company(&pane.id)?.is_some_and(|company| !company.working))
    }

    /// Which time of `stop_after` has passed for a session that runs; says when the next one will.
    pub(super) fn expiry(&mut self, session: &Session, record: &Record) -> Option<Expiry> {
        let now = self.snapshot.taken;
        let started = record.runtime.as_ref().map(|runtime| runtime.started.min(now));
        let since = self.books(record).idle_since;
        let times = [
            (Expiry::Idle, session.stop_after.idle, since),
            (Expiry::Age, session.stop_after.age, started),
        ];
        for (expiry, limit, since) in times {
            match (limit, since) {
                (Some(limit), Some(since)) => match since.checked_add(signed(limit)) {
                    Ok(due) if due <= now => return Some(expiry),
                    due => self.wakes.extend(due.ok()),
                },
                (Some(_), None) if record.applied.parting.interactive => self.look_again(),
                (Some(_) | None, _) => {}
            }
        }
        None
    }

    /// How a session's work came into the base, if it did. Unknown is not merged.
    pub(super) fn merge(
        &mut self,
        session: &'a Session,
        record: &'a Record,
    ) -> Result<Option<&'a Merge>, Refusal> {
        let Place::Own { repo, path, base: Some(since), .. } = &record.place else {
            return Ok(None);
        };
        let crate::manifest::fleet::Worktree::Own { base, .. } = &session.worktree else {
            return Ok(None);
        };
        if !matches!(self.footing(record), Ok(Footing::Firm)) {
            return Ok(None);
        }
        if let Some(fetch) = session.repo.fetch {
            self.wake_in(signed(fetch).max(NOT_IDLE));
        }
        match self.snapshot.answers.merged.get(&record.uid) {
            Some(answer) => Ok(answer.known().and_then(Option::as_ref)),
            None => {
                let base = base.clone().or_else(|| session.repo.base.clone());
                let at = MergedAt {
                    uid: record.uid,
                    repo: repo.clone(),
                    path: path.clone(),
                    since: since.clone(),
                    base,
                };
                self.questions.insert(Question::Merged(at));
                Err(Refusal::Open(format!("whether {} is merged", session.name)))
            }
        }
    }

    /// The merge that ends a session, where `until` says so.
    pub(super) fn finish(
        &mut self,
        session: &'a Session,
        record: &'a Record,
    ) -> Result<Option<&'a Merge>, Refusal> {
        match session.until {
            Some(Until::Merged) => self.merge(session, record),
            None => Ok(None),
        }
    }

    /// Takes down a session of the file that has reached what it was there for.
    pub(super) fn retire_finished(
        &mut self,
        session: &'a Session,
        record: &'a Record,
    ) -> Result<StepKind, Refusal> {
        let wanted = session.protect.then_some(self.records.revision);
        if let Some(since) = record.protected_since.or(wanted) {
            return Err(HoldReason::Protected { since }.into());
        }
        if self.policy.inside == Some(record.uid) {
            return Err(HoldReason::Inside.into());
        }
        let pane = match self.sight.pane(record.uid) {
            PaneOf::One(pane) => Some(pane),
            PaneOf::None | PaneOf::Doubled => None,
        };
        if let Some(pane) = pane.filter(|pane| pane.state == PaneState::Alive) {
            self.may_end(&session.name, record, pane, Patience::Idle)?;
        }
        let work = self.own_work(record);
        let pane = pane.map(|pane| pane.id.clone());
        let retirement: Retirement = self.weighed(pane, work, self.archive_by_file())?;
        self.stop_sharers(&session.name, record)?;
        self.replaced.insert(&session.name);
        Ok(StepKind::Decommission(retirement))
    }

    /// What is worth saying of a session's readiness and of its merge.
    pub(super) fn notes_of_ends(&self, session: &Session, record: &Record) -> Vec<Note> {
        let mut notes = Vec::new();
        if session.until.is_some()
            && let Some(Observed::Unknown(blind)) = self.snapshot.answers.merged.get(&record.uid)
        {
            notes.push(Note::MergeUnseen(blind.cause.clone()));
        }
        if let (Some(ready), true) = (&session.ready, self.is_alive(record.uid))
            && self.books(record).ready != Some(record.run)
            && self.is_late(session, record)
        {
            notes.push(Note::NotReady(ready.timeout));
        }
        notes
    }

    /// Looks again when something may have become idle.
    pub(super) fn look_again(&mut self) {
        self.wake_in(NOT_IDLE);
    }

    /// Looks again after so long.
    pub(super) fn wake_in(&mut self, wait: SignedDuration) {
        self.wakes.extend(self.snapshot.taken.checked_add(wait).ok());
    }

    /// The times that this pass found at which something is due.
    pub(super) fn wakes(&self) -> impl Iterator<Item = Timestamp> {
        self.wakes.iter().copied()
    }
}

/// True when the file's `ready` was taken over: a look at a file that was never applied runs no command of it.
fn is_in_force(session: &Session, record: &Record) -> bool {
    let (wanted, known) = (&session.applied.in_place, &record.applied.in_place);
    let same = |field: &&str| wanted.get(*field) == known.get(*field);
    ["ready.screen", "ready.command", "ready.port"].iter().all(same)
}
