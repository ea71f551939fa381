//! Finishes what a killed run began. Owns the reading of the journal. Invariant: a step whose effect is
//! proven is recorded, one that never began is dropped and planned afresh, and nothing that runs is ended
//! on the strength of an old intent.

use super::execute::{Executor, Site};
use super::{Event, Outcome, PassError, StepResult, Verb, wanted};
use crate::record::{EndKind, Intent, IntentKind, Record, Records, Runtime, StopReason};
use crate::snapshot::{BranchSource, Marked, Observed, Pane, PaneState, Server, Snapshot};
use crate::store::Change;
use crate::world::{Act, ActError, World};

/// Finishes or drops every intent of the journal.
///
/// # Errors
/// [`PassError::Store`].
pub fn recover<W: World + ?Sized>(
    site: &mut Site<'_, W>,
    records: Records,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, PassError> {
    if records.intents.is_empty() {
        return Ok(Outcome::default());
    }
    let snapshot = site.world.observe(&wanted(site.fleet, &records));
    let intents = records.intents.clone();
    let mut executor = Executor::new(site, &snapshot, records, on);
    for intent in &intents {
        executor.resolve(intent, &snapshot)?;
        executor.commit()?;
    }
    executor.finish()
}

impl<W: World + ?Sized> Executor<'_, '_, W> {
    fn resolve(&mut self, intent: &Intent, snapshot: &Snapshot) -> Result<(), PassError> {
        match &intent.kind {
            IntentKind::Create { branch } => self.resolve_create(intent, branch.clone(), snapshot),
            IntentKind::Start { .. } => {
                self.take_over_pane(intent, snapshot);
                Ok(())
            }
            IntentKind::Stop { .. } => {
                self.finish_stop(intent, snapshot);
                Ok(())
            }
            IntentKind::Decommission => {
                self.resolve_decommission(intent);
                Ok(())
            }
            IntentKind::Restore { tombstone } => {
                let begun = self.now();
                self.began(&tombstone.record.name, Verb::Restore);
                let result = self.bring_back(tombstone)?;
                self.ended(&tombstone.record.name, Verb::Restore, (begun, result));
                Ok(())
            }
            IntentKind::EmptyTrash { tombstone } => {
                let begun = self.now();
                self.began(&tombstone.record.name, Verb::Empty);
                let result = self.delete(tombstone)?;
                self.ended(&tombstone.record.name, Verb::Empty, (begun, result));
                Ok(())
            }
        }
    }

    fn resolve_create(
        &mut self,
        intent: &Intent,
        branch: Option<BranchSource>,
        snapshot: &Snapshot,
    ) -> Result<(), PassError> {
        let Some(record) = self.record(intent.uid) else {
            self.queue(Change::Finish(intent.uid));
            return Ok(());
        };
        match &snapshot.tmux {
            Observed::Known(server) if pane_of(server, &record).is_some() => {
                self.take_over_pane(intent, snapshot);
                return Ok(());
            }
            Observed::Known(_) | Observed::Absent(_) => {}
            // Whether its pane was made cannot be seen: the intent stays for a run that can.
            Observed::Unknown(_) => return Ok(()),
        }
        if !self.site.fleet.sessions.contains_key(&record.name) {
            self.queue(Change::Finish(intent.uid));
            return Ok(());
        }
        let begun = self.now();
        self.began(&record.name, Verb::Create);
        let name = record.name.clone();
        let result = self.redo(record, branch)?;
        self.ended(&name, Verb::Create, (begun, result));
        Ok(())
    }

    /// Records a pane that was made before the kill; without one the start is planned afresh.
    fn take_over_pane(&mut self, intent: &Intent, snapshot: &Snapshot) {
        let server = match &snapshot.tmux {
            Observed::Known(server) => Some(server),
            Observed::Absent(_) => None,
            Observed::Unknown(_) => return,
        };
        let record = self.record(intent.uid);
        if let Some((server, record)) = server.zip(record)
            && let Some(pane) = pane_of(server, &record)
        {
            let applied = match self.site.fleet.sessions.get(&record.name) {
                Some(session) if marked_with(pane, &session.applied.spec) => {
                    record.applied.after_start(&session.applied)
                }
                _ => record.applied.clone(),
            };
            let runtime = Runtime {
                run: record.run,
                pid: pane.pid,
                server: server.id.clone(),
                started: self.now(),
            };
            let mut record = Record { runtime: Some(runtime), applied, end: None, ..record };
            if let Some(conversation) = &mut record.conversation {
                conversation.begun = true;
            }
            self.queue(Change::Put(Box::new(record)));
        } else {
            self.run_on(intent, server);
        }
        self.queue(Change::Finish(intent.uid));
    }

    /// The run that was to be followed by another one lives: it was not ended after all.
    fn run_on(&mut self, intent: &Intent, server: Option<&Server>) {
        let restarts = |record: &Record| {
            let end = record.end.as_ref().map(|end| &end.kind);
            matches!(end, Some(EndKind::Stopped(StopReason::Restart)))
        };
        let Some(record) = self.record(intent.uid).filter(restarts) else { return };
        let lives = server.is_some_and(|server| {
            panes_of(server, &record).any(|pane| pane.state == PaneState::Alive)
        });
        if lives {
            self.queue(Change::Put(Box::new(Record { end: None, ..record })));
        }
    }

    /// What was to be stopped is dead already: its pane goes too. What still lives is planned afresh.
    fn finish_stop(&mut self, intent: &Intent, snapshot: &Snapshot) {
        let server = match &snapshot.tmux {
            Observed::Known(server) => Some(server),
            Observed::Absent(_) => None,
            Observed::Unknown(_) => return,
        };
        if let Some((server, record)) = server.zip(self.record(intent.uid)) {
            let panes: Vec<&Pane> = panes_of(server, &record).collect();
            let over = panes.iter().all(|pane| pane.state != PaneState::Alive);
            for pane in panes.into_iter().filter(|_| over) {
                // Where the user's own panes keep the session alive, ours stays, as after a whole stop.
                if !self.is_alone(&pane.id) {
                    continue;
                }
                let remove = Act::RemovePane { pane: pane.id.clone(), uid: record.uid };
                if let Err(error) = self.act(remove) {
                    self.note(format!("{}: {error}", record.name));
                }
            }
        }
        self.queue(Change::Finish(intent.uid));
    }

    fn resolve_decommission(&mut self, intent: &Intent) {
        let salvage = intent.done.iter().find_map(|act| act.strip_prefix("salvaged"));
        let finished = match (self.record(intent.uid), salvage) {
            (Some(record), Some(refs)) => {
                let refs = refs.split_whitespace().map(str::to_owned).collect();
                let begun = self.now();
                match self.bury(&record, (true, true), refs) {
                    Ok(()) => {
                        self.began(&record.name, Verb::Decommission);
                        let result = StepResult::Done(Vec::new());
                        self.ended(&record.name, Verb::Decommission, (begun, result));
                        true
                    }
                    Err(ActError::Changed(_)) => false,
                    // It lies half way to the trash: the intent stays for a run that can finish it.
                    Err(error) => {
                        self.note(format!("{}: {error}", record.name));
                        true
                    }
                }
            }
            _ => false,
        };
        if !finished {
            self.queue(Change::Finish(intent.uid));
        }
    }
}

fn panes_of<'s>(server: &'s Server, record: &Record) -> impl Iterator<Item = &'s Pane> {
    let uid = record.uid;
    let is_of = move |pane: &&Pane| matches!(&pane.mark, Marked::Yes(mark) if mark.uid == uid);
    server.panes.iter().filter(is_of)
}

fn pane_of<'s>(server: &'s Server, record: &Record) -> Option<&'s Pane> {
    panes_of(server, record)
        .find(|pane| matches!(&pane.mark, Marked::Yes(mark) if mark.run == record.run))
}

fn marked_with(pane: &Pane, spec: &Option<crate::name::Spec>) -> bool {
    matches!(&pane.mark, Marked::Yes(mark) if Some(&mark.spec) == spec.as_ref())
}
