//! Walks the steps of a plan in its order. Owns the journal around every step and what a failure stops;
//! takes no decision that the plan could have taken. Invariant: what is queued is on disk before the next
//! effect that relies on it.

use super::start::Starting;
use super::{Event, House, Line, Outcome, PassError, StepResult, Verb, survey};
use crate::failpoint::boundary;
use crate::manifest::fleet::Fleet;
use crate::name::{Name, Uid};
use crate::plan::{
    Entry, LaunchMode, Plan, Policy, Ports, Retirement, Step, StepKind, StepReason, Verdict,
};
use crate::record::{Place, Record, Records};
use crate::snapshot::Snapshot;
use crate::store::{self, Change, Store};
use crate::world::{Act, ActError, Done, World};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a pass works on and with.
pub struct Site<'a, W: World + ?Sized> {
    /// The machine.
    pub world: &'a mut W,
    /// The store, open for writing.
    pub store: &'a mut Store,
    /// The surroundings.
    pub house: &'a House,
    /// The desired state.
    pub fleet: &'a Fleet,
    /// What the caller allows and asks.
    pub policy: &'a Policy,
}

/// The steps of one pass under way.
pub(super) struct Executor<'a, 'b, W: World + ?Sized> {
    pub(super) site: &'b mut Site<'a, W>,
    pub(super) records: Records,
    /// The look that the plan was made of.
    pub(super) snapshot: &'b Snapshot,
    /// Store changes that the next commit writes.
    pending: Vec<Change>,
    /// The ports that sessions have once their steps are done.
    pub(super) ports: BTreeMap<Name, Ports>,
    /// Sessions whose step was not done: their dependents are not attempted.
    unfinished: BTreeSet<Name>,
    outcome: Outcome,
    on: &'b mut dyn FnMut(Event),
}

/// How the executor's own steps end: the step's result, or an end of the whole pass.
pub(super) type Ended = Result<StepResult, PassError>;

/// Performs the steps of a plan.
///
/// # Errors
/// [`PassError::Store`]: what could not be journaled was not begun.
pub fn execute<W: World + ?Sized>(
    site: &mut Site<'_, W>,
    (snapshot, plan): (&Snapshot, &Plan),
    records: Records,
    on: &mut dyn FnMut(Event),
) -> Result<Outcome, PassError> {
    let mut executor = Executor::new(site, snapshot, records, on);
    executor.ports.clone_from(&plan.ports);
    executor.keep_books(plan)?;
    let mut order = plan.order.as_slice();
    while let Some((&index, rest)) = order.split_first() {
        if !executor.site.world.may_go_on() {
            break;
        }
        let starts = order.iter().take_while(|&&i| is_start(&plan.entries[i])).count();
        if starts > 0 {
            executor.start_all(plan, &order[..starts])?;
            order = &order[starts..];
        } else {
            executor.single(plan, index)?;
            order = rest;
        }
    }
    executor.commit()?;
    Ok(executor.outcome)
}

fn is_start(entry: &Entry) -> bool {
    step_of(entry)
        .is_some_and(|step| matches!(step.kind, StepKind::Create(_) | StepKind::Start { .. }))
}

/// The step of an entry, if it has one.
pub(super) fn step_of(entry: &Entry) -> Option<&Step> {
    match &entry.verdict {
        Verdict::Do(step) => Some(step),
        Verdict::Synced | Verdict::Hold(_) => None,
    }
}

/// The verb of a step.
#[must_use]
pub fn verb_of(step: &Step) -> Verb {
    match &step.kind {
        StepKind::Create(_) => Verb::Create,
        StepKind::Start { launch: LaunchMode::Resume(_), .. } => Verb::Resume,
        StepKind::Start { .. } => Verb::Start,
        StepKind::Restart { .. } => Verb::Restart,
        StepKind::Recreate { .. } => Verb::Recreate,
        StepKind::Update { .. } => Verb::Update,
        StepKind::Stop { .. } => Verb::Stop,
        StepKind::Decommission(_) => Verb::Decommission,
        StepKind::Forget => Verb::Forget,
        StepKind::Settle(_) => Verb::Settle,
    }
}

impl<'a, 'b, W: World + ?Sized> Executor<'a, 'b, W> {
    pub(super) fn new(
        site: &'b mut Site<'a, W>,
        snapshot: &'b Snapshot,
        records: Records,
        on: &'b mut dyn FnMut(Event),
    ) -> Self {
        Self {
            site,
            records,
            snapshot,
            pending: Vec::new(),
            ports: BTreeMap::new(),
            unfinished: BTreeSet::new(),
            outcome: Outcome::default(),
            on,
        }
    }

    pub(super) fn finish(mut self) -> Result<Outcome, PassError> {
        self.commit()?;
        Ok(self.outcome)
    }

    /// Remembers what the look itself taught: the revision, the server, who left the file and when.
    fn keep_books(&mut self, plan: &Plan) -> Result<(), PassError> {
        if plan.new_revision {
            self.queue(Change::Revision { digest: self.site.fleet.digest.clone(), at: self.now() });
        }
        if let Some(branch) = &plan.branch {
            self.queue(Change::Branch(branch.clone()));
        }
        if let Some(server) = self.snapshot.tmux.known()
            && self.records.server.as_ref() != Some(&server.id)
        {
            self.queue(Change::Server(server.id.clone()));
        }
        for (uid, name) in &plan.renames {
            if let Some(mut record) = self.record(*uid) {
                record.rename(name.clone());
                self.queue(Change::Put(Box::new(record)));
            }
        }
        let now = self.now();
        let moved: Vec<Record> = self
            .records
            .sessions
            .values()
            .filter(|record| self.is_gone(record) != record.gone_since.is_some())
            .map(|record| Record {
                gone_since: self.is_gone(record).then_some(now),
                ..record.clone()
            })
            .collect();
        for record in moved {
            self.queue(Change::Put(Box::new(record)));
        }
        for (uid, books) in &plan.books {
            if let Some(record) = self.record(*uid) {
                let books = books.clone();
                self.queue(Change::Put(Box::new(Record { books, ..record })));
            }
        }
        self.remember_conditions(plan);
        // Those that are waited for are written now; a plan without steps and news writes nothing.
        self.commit()
    }

    fn is_gone(&self, record: &Record) -> bool {
        !self.site.fleet.sessions.contains_key(&record.name)
    }

    fn single(&mut self, plan: &Plan, index: usize) -> Result<(), PassError> {
        let entry = &plan.entries[index];
        let Some(step) = step_of(entry) else { return Ok(()) };
        let verb = verb_of(step);
        let begun = self.now();
        self.began(&entry.name, verb);
        let result = match &step.kind {
            StepKind::Create(_) | StepKind::Start { .. } => return Ok(()),
            StepKind::Update { .. } => self.update(entry)?,
            StepKind::Settle(kind) => self.settle(entry, kind)?,
            StepKind::Forget => self.forget(entry, &step.reason)?,
            StepKind::Restart { .. }
            | StepKind::Recreate { .. }
            | StepKind::Stop { .. }
            | StepKind::Decommission(_) => self.after_another_look(plan, index)?,
        };
        self.ended(&entry.name, verb, (begun, result));
        Ok(())
    }

    /// Looks again, and goes on only if the same step is still planned.
    fn after_another_look(&mut self, plan: &Plan, index: usize) -> Ended {
        let entry = &plan.entries[index];
        if let Some(because) = self.must_wait_for(plan, entry) {
            return Ok(StepResult::NotAttempted(because));
        }
        self.commit()?;
        let policy = Policy {
            only: Some(self.about(entry)),
            approved: approved(plan),
            ..self.site.policy.clone()
        };
        let (snapshot, again) = survey(self.site.world, self.site.fleet, &self.records, &policy);
        self.ports.extend(again.ports);
        let Some(now) =
            again.entries.iter().find(|now| now.name == entry.name && now.uid == entry.uid)
        else {
            return Ok(StepResult::Failed("it changed meanwhile: it is not there any more".into()));
        };
        match (&now.verdict, &entry.verdict) {
            (Verdict::Hold(hold), _) => Ok(StepResult::Held(hold.reason.clone())),
            (Verdict::Do(now_step), Verdict::Do(step)) if is_same(&now_step.kind, &step.kind) => {
                self.perform_step(now, now_step, &snapshot)
            }
            _ => Ok(StepResult::Failed("it changed meanwhile; run apply again".into())),
        }
    }

    /// The sessions that a step hangs on: itself, and the owner for whose sake a sharer stops.
    fn about(&self, entry: &Entry) -> BTreeSet<Name> {
        let mut names = BTreeSet::from([entry.name.clone()]);
        let record = entry.uid.and_then(|uid| self.records.sessions.get(&uid));
        if let Some(Place::Shared { owner, .. }) = record.map(|record| &record.place) {
            names.insert(owner.clone());
        }
        names
    }

    fn perform_step(&mut self, entry: &Entry, step: &Step, snapshot: &Snapshot) -> Ended {
        match &step.kind {
            StepKind::Restart { launch, pane, setup, rebuild } => {
                let restarting = Starting::restart(entry, (launch, pane), (*setup, *rebuild));
                self.restart(restarting, snapshot)
            }
            StepKind::Recreate { retire, create } => self.recreate(entry, (retire, create)),
            StepKind::Stop { reason, pane } => self.stop(entry, *reason, pane.as_ref()),
            StepKind::Decommission(retirement) => {
                let merge = match &step.reason {
                    StepReason::Merged(merge) => Some(merge),
                    _ => None,
                };
                self.decommission(entry, retirement, merge)
            }
            StepKind::Create(_)
            | StepKind::Start { .. }
            | StepKind::Update { .. }
            | StepKind::Forget
            | StepKind::Settle(_) => {
                Ok(StepResult::Failed("it is not a step that ends anything".into()))
            }
        }
    }

    /// A decommission waits for what its repository's creates and its own dependents became.
    fn must_wait_for(&self, plan: &Plan, entry: &Entry) -> Option<String> {
        let step = step_of(entry)?;
        if !matches!(step.kind, StepKind::Decommission(_)) {
            return None;
        }
        let record = self.records.sessions.get(&entry.uid?)?;
        let waits_for = |other: &Entry| {
            if other.name == entry.name || !self.unfinished.contains(&other.name) {
                return false;
            }
            let creates = match step_of(other).map(|step| &step.kind) {
                Some(StepKind::Create(creation) | StepKind::Recreate { create: creation, .. }) => {
                    creation.place.repo() == record.place.repo()
                }
                _ => false,
            };
            let depends = other
                .uid
                .and_then(|uid| self.records.sessions.get(&uid))
                .is_some_and(|other| other.applied.parting.depends_on.contains(&record.name));
            creates || depends
        };
        let names: Vec<String> = plan
            .entries
            .iter()
            .filter(|other| waits_for(other))
            .map(|other| other.name.to_string())
            .collect();
        (!names.is_empty()).then(|| format!("it waits for {}", names.join(", ")))
    }

    /// The first dependency of a session whose own step was not done.
    pub(super) fn failed_dependency(&self, name: &Name) -> Option<&Name> {
        let session = self.site.fleet.sessions.get(name)?;
        let owner = match &session.worktree {
            crate::manifest::fleet::Worktree::Shared(owner) => Some(owner),
            _ => None,
        };
        let needed = session.depends_on.iter().map(|needed| &needed.on);
        needed.chain(owner).find(|on| self.unfinished.contains(*on))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.site.world.now()
    }

    /// The record of an entry, as it is now.
    pub(super) fn record(&self, uid: Uid) -> Option<Record> {
        self.records.sessions.get(&uid).cloned()
    }

    /// Puts a store change into the next commit, and into the records in memory.
    pub(super) fn queue(&mut self, change: Change) {
        self.records.take(&change);
        self.pending.push(change);
    }

    /// Writes what is queued, in one transaction.
    pub(super) fn commit(&mut self) -> Result<(), PassError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        boundary();
        self.site.store.write(&self.pending)?;
        boundary();
        self.pending.clear();
        Ok(())
    }

    pub(super) fn perform(&mut self, acts: &[Act]) -> Vec<Result<Done, ActError>> {
        if acts.is_empty() {
            return Vec::new();
        }
        boundary();
        let done = self.site.world.perform(acts);
        boundary();
        done
    }

    pub(super) fn act(&mut self, act: Act) -> Result<Done, ActError> {
        self.perform(std::slice::from_ref(&act)).pop().unwrap_or(Err(ActError::NotAttempted))
    }

    pub(super) fn note(&mut self, text: String) {
        (self.on)(Event::Note(text));
    }

    pub(super) fn began(&mut self, name: &Name, verb: Verb) {
        (self.on)(Event::Began { name: name.clone(), verb });
    }

    pub(super) fn ended(
        &mut self,
        name: &Name,
        verb: Verb,
        (begun, result): (Timestamp, StepResult),
    ) {
        if !matches!(result, StepResult::Done(_)) {
            self.unfinished.insert(name.clone());
        }
        let at = self.now();
        let took = Duration::try_from(at.duration_since(begun)).unwrap_or_default();
        let text = result.in_a_line();
        let (session, word) = (name.to_string(), verb.word().to_owned());
        let outcome = result.outcome();
        self.queue(Change::Event(store::Event { at, session, verb: word, outcome, text }));
        self.remember_step(name, &result);
        let line = Line { name: name.clone(), verb, result, took };
        self.outcome.lines.push(line.clone());
        (self.on)(Event::Ended(line));
    }
}

/// The same step, as far as anybody agreed to it. Which runs end before the work is looked at changes with
/// every sharer that this very pass has stopped.
fn is_same(now: &StepKind, planned: &StepKind) -> bool {
    let retires = |now: &Retirement, planned: &Retirement| {
        let mut now = now.clone();
        if let (Some(now), Some(planned)) = (&mut now.work, &planned.work) {
            now.sids.clone_from(&planned.sids);
        }
        now == *planned
    };
    match (now, planned) {
        (StepKind::Decommission(now), StepKind::Decommission(planned)) => retires(now, planned),
        (
            StepKind::Recreate { retire: now, create: now_made },
            StepKind::Recreate { retire, create },
        ) => retires(now, retire) && now_made == create,
        _ => now == planned,
    }
}

/// The incarnations that a plan ends, once it is approved.
#[must_use]
pub fn approved(plan: &Plan) -> BTreeSet<Uid> {
    plan.entries
        .iter()
        .filter(|entry| {
            step_of(entry).is_some_and(|step| {
                matches!(step.kind, StepKind::Decommission(_) | StepKind::Recreate { .. })
            })
        })
        .filter_map(|entry| entry.uid)
        .collect()
}

/// A failed act as a step's result.
pub(super) fn failed(error: &ActError) -> StepResult {
    StepResult::Failed(error.to_string())
}
