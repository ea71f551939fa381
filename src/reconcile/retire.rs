//! Stops, decommissions, recreates, updates and letting go. Owns the order in which a session is taken
//! apart. Invariant: its reason is on disk before the first key, and its work is assessed after the last
//! process that could change it, before anything moves.

use super::StepResult;
use super::execute::{Ended, Executor, failed};
use super::launching::variable_of;
use super::start::{description, own_worktree, runtime_at};
use crate::manifest::fleet::Session;
use crate::plan::{Creation, Entry, HoldReason, Retirement, StepReason};
use crate::record::{End, EndKind, Finished, Intent, IntentKind, Record, StopReason, Tombstone};
use crate::snapshot::{Blind, Mark, Merge, Observed, PaneId, Question, Risk, WorkAt};
use crate::store::Change;
use crate::world::{Act, ActError, Done, EndRun, WorktreeOf, World};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What may follow when a session was taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Another start, which has to find the tmux session again: where the user's own panes keep it alive,
    /// our dead pane stays in it.
    Start,
    /// Nothing.
    Nothing,
}

/// Where a worktree goes when its session is decommissioned: beside it, so on the same file system.
#[must_use]
pub fn trash_path(worktree: &Path, record: &Record) -> PathBuf {
    let parent = worktree.parent().unwrap_or(worktree);
    parent.join(".trash").join(format!("{}-{}", record.name, record.uid))
}

impl<W: World + ?Sized> Executor<'_, '_, W> {
    pub(super) fn end_of(&self, record: &Record, kind: EndKind) -> End {
        End { run: record.run, kind, at: self.now() }
    }

    fn intend(
        &mut self,
        record: &Record,
        (kind, end): (IntentKind, EndKind),
    ) -> Result<Record, super::PassError> {
        let end = Some(self.end_of(record, end));
        let record = Record { end, ..self.taken_over(record.clone()) };
        self.queue(Change::Put(Box::new(record.clone())));
        self.queue(Change::Begin(Intent { uid: record.uid, kind, done: Vec::new() }));
        self.commit()?;
        Ok(record)
    }

    /// Ends the agent in a pane of ours; the dead pane stays.
    pub(super) fn end_run(
        &mut self,
        record: &Record,
        pane: &PaneId,
    ) -> Result<Vec<String>, ActError> {
        let screen = self.site.house.paths.screen(record.uid);
        let kept = self.act(Act::KeepScreen { pane: pane.clone(), uid: record.uid, to: screen });
        if let Err(error) = kept {
            self.note(format!("{}: its screen could not be kept: {error}", record.name));
        }
        let parting = &record.applied.parting;
        let ended = self.act(Act::EndRun(EndRun {
            pane: pane.clone(),
            uid: record.uid,
            interrupt: parting.interrupt.clone(),
            quit: parting.quit.clone(),
            grace: self.site.house.grace,
        }))?;
        match ended {
            Done::Left(processes) if !processes.is_empty() => {
                Ok(vec![format!("left running by itself: {}", processes.join(", "))])
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Ends the agent and takes our pane away; what an agent left behind without a pane is ended too.
    fn take_down(
        &mut self,
        record: &Record,
        pane: Option<&PaneId>,
        after: After,
    ) -> Result<Vec<String>, ActError> {
        let told = match pane {
            Some(pane) => {
                let told = self.end_run(record, pane)?;
                if after == After::Nothing || self.is_alone(pane) {
                    self.act(Act::RemovePane { pane: pane.clone(), uid: record.uid })?;
                }
                told
            }
            None => Vec::new(),
        };
        if let Some(runtime) = &record.runtime {
            self.act(Act::EndSurvivors(runtime_at(record.uid, runtime)))?;
        }
        Ok(told)
    }

    /// Nothing of the user's runs beside a pane of ours, as far as that can be seen.
    pub(super) fn is_alone(&mut self, pane: &PaneId) -> bool {
        let answers = self.site.world.answer(&BTreeSet::from([Question::Company(pane.clone())]));
        match answers.company.get(pane) {
            Some(Observed::Known(company)) => {
                company.window.is_empty() && company.session.is_empty()
            }
            Some(Observed::Absent(_)) => true,
            Some(Observed::Unknown(_)) | None => false,
        }
    }

    pub(super) fn stop(
        &mut self,
        entry: &Entry,
        reason: StopReason,
        pane: Option<&PaneId>,
    ) -> Ended {
        let Some(record) = entry.uid.and_then(|uid| self.record(uid)) else {
            return Ok(no_record());
        };
        let end = match reason {
            StopReason::Expired(expiry) => EndKind::Expired(expiry),
            reason => EndKind::Stopped(reason),
        };
        let record = self.intend(&record, (IntentKind::Stop { reason }, end))?;
        let result = match self.take_down(&record, pane, After::Start) {
            Ok(told) => StepResult::Done(told),
            Err(error) => failed(&error),
        };
        self.queue(Change::Finish(record.uid));
        Ok(result)
    }

    /// Takes a session apart; with a merge it is remembered as finished.
    pub(super) fn decommission(
        &mut self,
        entry: &Entry,
        retirement: &Retirement,
        merge: Option<&Merge>,
    ) -> Ended {
        let Some(record) = entry.uid.and_then(|uid| self.record(uid)) else {
            return Ok(no_record());
        };
        let end = merge.map_or(EndKind::Stopped(StopReason::Decommission), |merge| {
            EndKind::Finished(merge.clone())
        });
        let record = self.intend(&record, (IntentKind::Decommission, end))?;
        let result = self.retire(&record, retirement)?;
        if !matches!(result, StepResult::Done(_)) {
            self.queue(Change::Finish(record.uid));
        }
        Ok(result)
    }

    fn retire(&mut self, record: &Record, retirement: &Retirement) -> Ended {
        let told = match self.take_down(record, retirement.pane.as_ref(), After::Nothing) {
            Ok(told) => told,
            Err(error) => return Ok(failed(&error)),
        };
        if let Err(error) = self.teardown(record) {
            return Ok(failed(&error));
        }
        let mut salvage = Vec::new();
        if let (Some(at), Some(worktree)) = (&retirement.work, own_worktree(record)) {
            if let Some(held) = self.new_risks(at, retirement) {
                return Ok(StepResult::Held(held));
            }
            match self.act(Act::Salvage(worktree)) {
                Ok(Done::Salvaged(refs)) => salvage = refs,
                Ok(_) => {}
                Err(error) => return Ok(failed(&error)),
            }
            let pinned = format!("salvaged {}", salvage.join(" "));
            self.queue(Change::Done { uid: record.uid, act: pinned });
            self.commit()?;
        }
        match self.bury(record, (retirement.work.is_some(), false), salvage) {
            Ok(()) => Ok(StepResult::Done(told)),
            Err(error) => Ok(failed(&error)),
        }
    }

    fn teardown(&mut self, record: &Record) -> Result<(), ActError> {
        let parting = &record.applied.parting;
        if parting.teardown.is_empty() {
            return Ok(());
        }
        let directory = record.place.directory().clone();
        let run = self.late_for(record, &parting.teardown);
        self.act(Act::Teardown {
            directory,
            run,
            timeout: Duration::from_secs(parting.teardown_timeout),
            fleet: self.site.fleet.name.clone(),
            session: record.name.clone(),
            uid: record.uid,
        })?;
        Ok(())
    }

    fn late_for(&self, record: &Record, texts: &[String]) -> Vec<String> {
        let known = |variable: &str| variable_of(&self.records, record, variable);
        texts.iter().map(|text| crate::manifest::template::late(text, &known)).collect()
    }

    /// Assesses the work again, now that nothing of ours can change it.
    fn new_risks(&mut self, at: &WorkAt, retirement: &Retirement) -> Option<HoldReason> {
        let question = Question::Work(at.clone());
        let answers = self.site.world.answer(&BTreeSet::from([question]));
        match answers.work.get(&at.uid) {
            Some(Observed::Known(work)) => {
                let undetermined = |risk: &&Risk| matches!(risk, Risk::Undetermined(_));
                let risks = &work.risks;
                // What could not be seen is accepted only by who was told of that very thing.
                let new = |risk: &&Risk| !retirement.risks.contains(risk);
                if let Some(unclear) = risks.iter().filter(undetermined).find(new) {
                    return Some(HoldReason::AtRisk(vec![unclear.clone()]));
                }
                let holds = !risks.is_empty() && !retirement.archive;
                holds.then(|| HoldReason::AtRisk(risks.clone()))
            }
            Some(Observed::Unknown(blind)) => Some(HoldReason::Unseen(blind.clone())),
            Some(Observed::Absent(_)) | None => Some(HoldReason::Unseen(Blind {
                what: format!("the work in {}", at.path.display()),
                cause: "it was not there when it was looked at again".into(),
            })),
        }
    }

    /// Moves a worktree to the trash and leaves a tombstone.
    pub(super) fn bury(
        &mut self,
        record: &Record,
        (has_worktree, finish_only): (bool, bool),
        salvage: Vec<String>,
    ) -> Result<(), ActError> {
        let mut tombstone = Tombstone {
            record: record.clone(),
            at: self.now(),
            trash: None,
            branch: None,
            salvage,
            screen: Some(self.site.house.paths.screen(record.uid)),
        };
        if let Some(worktree) = own_worktree(record).filter(|_| has_worktree) {
            let to = trash_path(&worktree.path, record);
            let act = Act::Trash { worktree, to: to.clone(), finish_only };
            if let Done::Trashed { branch } = self.act(act)? {
                tombstone.branch = branch;
            }
            tombstone.trash = Some(to);
        }
        self.tidy(record, false);
        self.queue(Change::Bury(Box::new(tombstone)));
        self.queue(Change::Remove(record.uid));
        match finished(record, self.now()) {
            Some(finished) => self.queue(Change::Finished(Box::new(finished))),
            None => self.queue(Change::Ended(self.now())),
        }
        self.queue(Change::Finish(record.uid));
        Ok(())
    }

    pub(super) fn recreate(
        &mut self,
        entry: &Entry,
        (retire, create): (&Retirement, &Creation),
    ) -> Ended {
        let told = match self.decommission(entry, retire, None)? {
            StepResult::Done(told) => told,
            other => return Ok(other),
        };
        Ok(match self.create_now(&entry.name, create)? {
            StepResult::Done(more) => StepResult::Done([told, more].concat()),
            other => other,
        })
    }

    pub(super) fn update(&mut self, entry: &Entry) -> Ended {
        let Some(record) = entry.uid.and_then(|uid| self.record(uid)) else {
            return Ok(no_record());
        };
        let record = self.taken_over(record);
        // The store first: a mark that lags behind is written again by the next update.
        self.queue(Change::Put(Box::new(record.clone())));
        self.commit()?;
        Ok(match self.rewrite_marks(entry, &record) {
            Ok(()) => StepResult::Done(Vec::new()),
            Err(error) => failed(&error),
        })
    }

    /// Since when a session is protected, as the file has it from now on.
    pub(super) fn protection(&self, session: &Session, record: &Record) -> Option<u64> {
        let since = record.protected_since.unwrap_or(self.records.revision);
        session.protect.then_some(since)
    }

    /// A record with the file's values in force, as far as they need no start.
    fn taken_over(&self, mut record: Record) -> Record {
        if let Some(session) = self.site.fleet.sessions.get(&record.name) {
            record.applied = record.applied.after_update(&session.applied);
            if let Some(ports) = self.ports.get(&record.name) {
                record.ports.clone_from(ports);
            }
            record.protected_since = self.protection(session, &record);
        }
        record
    }

    fn rewrite_marks(&mut self, entry: &Entry, record: &Record) -> Result<(), ActError> {
        let fleet = self.site.fleet.name.clone();
        if let Some(worktree) = own_worktree(record) {
            self.act(Act::Describe { worktree, json: description(&fleet, record) })?;
        }
        // The pane comes last: a look shows whether its mark lags behind, and then all is written again.
        if let Some(pane) = &entry.status.pane {
            let run = record.runtime.as_ref().map_or(record.run, |runtime| runtime.run);
            let spec = record.applied.spec.clone();
            let mark = self.mark(record);
            let mark = Mark { run, spec: spec.unwrap_or(mark.spec.clone()), ..mark };
            self.act(Act::Remark { pane: pane.clone(), mark })?;
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, entry: &Entry, kind: &EndKind) -> Ended {
        let Some(record) = entry.uid.and_then(|uid| self.record(uid)) else {
            return Ok(no_record());
        };
        let end = End { run: record.run, kind: kind.clone(), at: self.now() };
        let record = Record { end: Some(end), ..self.taken_over(record) };
        self.queue(Change::Put(Box::new(record)));
        Ok(StepResult::Done(Vec::new()))
    }

    /// Lets go of a session: its marks go, everything else stays.
    pub(super) fn forget(&mut self, entry: &Entry, reason: &StepReason) -> Ended {
        let Some(record) = entry.uid.and_then(|uid| self.record(uid)) else {
            return Ok(no_record());
        };
        if !matches!(reason, StepReason::NothingLeft)
            && let Err(error) = self.unmark(entry, own_worktree(&record))
        {
            return Ok(failed(&error));
        }
        // What its agent keeps in the state directory stays: nothing went to the trash that could be emptied.
        self.tidy(&record, false);
        self.queue(Change::Remove(record.uid));
        Ok(StepResult::Done(Vec::new()))
    }

    /// Removes a session's files in the state directory; what cannot be removed is said, and harms nothing.
    pub(super) fn tidy(&mut self, record: &Record, all: bool) {
        if let Err(error) = self.act(Act::Tidy { uid: record.uid, all }) {
            self.note(format!("{}: {error}", record.name));
        }
    }

    fn unmark(&mut self, entry: &Entry, worktree: Option<WorktreeOf>) -> Result<(), ActError> {
        let Some(uid) = entry.uid else { return Ok(()) };
        if let Some(pane) = &entry.status.pane {
            self.act(Act::Unmark { pane: pane.clone(), uid })?;
        }
        if let Some(worktree) = worktree {
            self.act(Act::LetGo(worktree))?;
        }
        Ok(())
    }
}

/// What is remembered of a session that was taken down because its work is in the base.
fn finished(record: &Record, at: jiff::Timestamp) -> Option<Finished> {
    let EndKind::Finished(merge) = &record.end.as_ref()?.kind else { return None };
    let (name, uid) = (record.name.clone(), record.uid);
    Some(Finished { name, uid, at, merge: merge.clone() })
}

fn no_record() -> StepResult {
    StepResult::Failed("its record is not there any more".into())
}
