//! Bringing sessions back from the trash, and emptying it. Invariant: a tombstone goes only after what it
//! stands for is back or deleted on the user's own word.

use super::execute::{Ended, Executor, Site, failed};
use super::start::own_worktree;
use super::{Event, Outcome, PassError, StepResult, Verb};
use crate::record::{
    EndKind, Intent, IntentKind, Record, Records, StopReason, Tombstone, Wish, WishKind,
};
use crate::snapshot::Snapshot;
use crate::store::Change;
use crate::world::{Act, Done, World};

/// Brings a session back: worktree, index, files, conversation. It is not started.
///
/// # Errors
/// [`PassError::Store`].
pub fn restore<W: World + ?Sized>(
    site: &mut Site<'_, W>,
    (snapshot, records): (&Snapshot, Records),
    tombstone: &Tombstone,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, PassError> {
    let mut executor = Executor::new(site, snapshot, records, on);
    let begun = executor.now();
    executor.began(&tombstone.record.name, Verb::Restore);
    let kind = IntentKind::Restore { tombstone: Box::new(tombstone.clone()) };
    executor.queue(Change::Begin(Intent { uid: tombstone.record.uid, kind, done: Vec::new() }));
    executor.commit()?;
    let result = executor.bring_back(tombstone)?;
    executor.ended(&tombstone.record.name, Verb::Restore, (begun, result));
    executor.finish()
}

/// Deletes tombstones and what they stand for.
///
/// # Errors
/// [`PassError::Store`].
pub fn empty<W: World + ?Sized>(
    site: &mut Site<'_, W>,
    (snapshot, records): (&Snapshot, Records),
    tombstones: &[Tombstone],
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, PassError> {
    let mut executor = Executor::new(site, snapshot, records, on);
    for tombstone in tombstones {
        let begun = executor.now();
        executor.began(&tombstone.record.name, Verb::Empty);
        let kind = IntentKind::EmptyTrash { tombstone: Box::new(tombstone.clone()) };
        executor.queue(Change::Begin(Intent { uid: tombstone.record.uid, kind, done: Vec::new() }));
        executor.commit()?;
        let result = executor.delete(tombstone)?;
        executor.ended(&tombstone.record.name, Verb::Empty, (begun, result));
        executor.commit()?;
    }
    executor.finish()
}

impl<W: World + ?Sized> Executor<'_, '_, W> {
    pub(super) fn bring_back(&mut self, tombstone: &Tombstone) -> Ended {
        let mut told = Vec::new();
        if let (Some(from), Some(worktree)) = (&tombstone.trash, own_worktree(&tombstone.record)) {
            let act = Act::Untrash {
                worktree,
                from: from.clone(),
                branch: tombstone.branch.clone(),
                salvage: tombstone.salvage.clone(),
            };
            match self.act(act) {
                Ok(Done::Restored { attached: false }) if tombstone.branch.is_some() => told.push(
                    "HEAD stays detached: its branch moved or is checked out elsewhere".into(),
                ),
                Ok(_) => {}
                Err(error) => {
                    self.queue(Change::Finish(tombstone.record.uid));
                    return Ok(failed(&error));
                }
            }
        }
        let wanted = self.site.fleet.sessions.contains_key(&tombstone.record.name);
        let record = self.revived(tombstone, wanted);
        let why = match is_finished(tombstone) {
            _ if !wanted => Some("it is not in the file"),
            true => Some("its work is merged"),
            false => None,
        };
        told.extend(
            why.map(|why| format!("{why}: it is kept, stopped, until you release or start it")),
        );
        self.reopen(&record.name);
        self.queue(Change::Put(Box::new(record)));
        self.queue(Change::Unbury(tombstone.record.uid));
        self.queue(Change::Finish(tombstone.record.uid));
        Ok(StepResult::Done(told))
    }

    fn revived(&self, tombstone: &Tombstone, wanted: bool) -> Record {
        let mut record = tombstone.record.clone();
        record.gone_since = (!wanted).then(|| self.now());
        // A port that was given back belongs to whoever got it since.
        let others = || self.records.sessions.values().flat_map(|other| other.ports.values());
        record.ports.retain(|_, port| !others().any(|other| other == port));
        let kept = !wanted || is_finished(tombstone);
        // An end that stood before the decommission was replaced by it; the run is simply over.
        if let Some(end) = record.end.as_mut().filter(|_| !is_finished(tombstone)) {
            end.kind = EndKind::Stopped(StopReason::Restart);
        }
        record.wish = kept.then(|| Wish {
            kind: WishKind::Restored,
            why: None,
            by: self.site.house.user.clone(),
            since: self.now(),
            until: None,
        });
        record
    }

    pub(super) fn delete(&mut self, tombstone: &Tombstone) -> Ended {
        if let (Some(path), Some(worktree)) = (&tombstone.trash, own_worktree(&tombstone.record)) {
            let act = Act::EmptyTrash {
                worktree,
                path: path.clone(),
                salvage: tombstone.salvage.clone(),
            };
            if let Err(error) = self.act(act) {
                self.queue(Change::Finish(tombstone.record.uid));
                return Ok(failed(&error));
            }
        }
        self.tidy(&tombstone.record, true);
        self.queue(Change::Unbury(tombstone.record.uid));
        self.queue(Change::Finish(tombstone.record.uid));
        Ok(StepResult::Done(Vec::new()))
    }
}

/// True when it was taken down because its work was merged.
fn is_finished(tombstone: &Tombstone) -> bool {
    matches!(tombstone.record.end.as_ref().map(|end| &end.kind), Some(EndKind::Finished(_)))
}
