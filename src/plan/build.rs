//! Puts a plan together: each session of the file in the order of its dependencies, then what is gone from
//! the file, then what nobody remembers. Owns entries, notes and hints. Invariant: one entry a session, in
//! an order that depends on names alone.

use super::change::Changes;
use super::needs::Standing;
use super::pass::Pass;
use super::retire::Others;
use super::runtime::{Judge, Over};
use super::session::Decided;
use super::sight::PaneOf;
use super::{
    Entry, Health, Hint, Hold, HoldReason, Plan, Request, Status, StepKind, StepReason, Verdict,
    Wants, order,
};
use crate::manifest::fleet::{Desired, Session, Worktree};
use crate::name::Name;
use crate::record::{EndKind, Finished, Record, StopReason};
use crate::snapshot::Observed;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

impl<'a> Pass<'a> {
    /// The whole plan.
    pub(super) fn build(mut self) -> Plan {
        let fleet = self.fleet;
        let mut decided: Vec<Option<Entry>> = vec![None; fleet.sessions.len()];
        let sequence = order::of_fleet(fleet, |name| self.host(name));
        for &index in &sequence {
            if let Some((name, session)) = fleet.sessions.get_index(index) {
                decided[index] = self.entry(name, session);
            }
        }
        let mut places = vec![None; decided.len()];
        let mut entries = Vec::with_capacity(decided.len());
        for (index, entry) in decided.into_iter().enumerate() {
            if let Some(entry) = entry {
                places[index] = Some(entries.len());
                entries.push(entry);
            }
        }
        let mut acting: Vec<usize> = sequence.iter().filter_map(|index| places[*index]).collect();
        number_the_queue(&mut entries);
        let (gone, gone_order) = self.gone_entries(&entries);
        acting.extend(gone_order.iter().map(|index| entries.len() + index));
        entries.extend(gone);
        entries.extend(self.strays(&entries));
        self.tell_ports(&mut entries);
        let hints = self.hints();
        let mut plan = self.frame(entries, hints);
        self.hold_masses(&mut plan);
        self.release_sharers(&mut plan);
        plan.order = order::of_acting(&plan, &acting, &self.must_stop);
        plan.questions = std::mem::take(&mut self.questions);
        plan.ports = std::mem::take(&mut self.allotted);
        plan.due = self.due_of(&plan);
        plan.books = std::mem::take(&mut self.books);
        plan
    }

    fn frame(&self, entries: Vec<Entry>, hints: Vec<Hint>) -> Plan {
        let mut blind: BTreeSet<_> = self.blind.clone();
        blind.extend(self.snapshot.tmux.blind().cloned());
        let selected = |name: &Name| self.selects(name);
        let wanted = self.fleet.sessions.iter().filter(|(name, _)| selected(name));
        let recorded = self.records.sessions.values().filter(|record| selected(&record.name));
        let paths: HashSet<&Path> = wanted
            .map(|(_, session)| session.repo.path.as_path())
            .chain(recorded.map(|record| record.place.repo().as_path()))
            .collect();
        let seen = paths.iter().filter_map(|path| self.snapshot.repos.get(*path));
        blind.extend(seen.filter_map(Observed::blind).cloned());
        Plan {
            fleet: self.fleet.name.clone(),
            revision: self.records.revision,
            new_revision: self.fleet.digest != self.records.digest,
            branch: self.new_branch(),
            sources: self.fleet.sources.clone(),
            seen: self.snapshot.taken,
            entries,
            questions: BTreeSet::new(),
            hints,
            blind: blind.into_iter().collect(),
            order: Vec::new(),
            renames: self.names.renames.clone(),
            ports: BTreeMap::new(),
            books: BTreeMap::new(),
            due: None,
        }
    }

    /// The entry of a session of the file; `None` when the pass is not about it.
    fn entry(&mut self, name: &'a Name, session: &'a Session) -> Option<Entry> {
        let record = self.names.record(name);
        if !self.selects(name) {
            let standing = match record {
                Some(record) => self.standing_of_other(session, record),
                None => self.finished(name).map_or(Standing::Down, over),
            };
            self.standing.insert(name, standing);
            return None;
        }
        let Some(record) = record else {
            let decided = self.decide_new(name, session);
            let decided = self.unless_it_failed(name, decided);
            self.standing.insert(name, Standing::of(&decided, false));
            return Some(self.assemble_new(name, session, decided));
        };
        let changes = self.changes(session, record);
        let decided = self.decide(session, record, &changes);
        let decided = self.unless_it_failed(name, decided);
        self.standing.insert(name, Standing::of(&decided, self.is_alive(record.uid)));
        let renamed_from =
            self.names.renames.contains_key(&record.uid).then(|| record.name.clone());
        let mut entry = Entry {
            name: name.clone(),
            uid: Some(record.uid),
            renamed_from,
            status: self.status(record, Some(session), &decided),
            notes: self.notes(record, Some(session), &decided),
            changes: changes.list,
            verdict: decided.verdict,
            deferred: decided.deferred,
        };
        if self.names.doubled.iter().any(|other| &other.name == name) {
            entry.verdict = held(Wants::Nothing, HoldReason::Doubled);
            entry.deferred = None;
        }
        Some(entry)
    }

    /// How a session stands that the pass is not about.
    fn standing_of_other(&self, session: &Session, record: &Record) -> Standing {
        let judge = Judge { snapshot: self.snapshot, record, session };
        let pane = match self.sight.pane(record.uid) {
            PaneOf::One(pane) => Some(pane),
            PaneOf::None | PaneOf::Doubled => None,
        };
        if self.is_alive(record.uid) {
            return Standing::Up;
        }
        match judge.judge(pane).over {
            Over::Stands(end) | Over::Seen(end) => Standing::Over(end),
            Over::Again(_) | Over::Ending => Standing::Down,
        }
    }

    /// What is remembered of a session that reached what it was there for, whatever it was called then.
    fn finished(&self, name: &Name) -> Option<&'a Finished> {
        let finished = &self.records.finished;
        let moved = || {
            let moved = self.fleet.moved.iter().find(|moved| &moved.to == name)?;
            let free = !self.fleet.sessions.contains_key(&moved.from);
            finished.get(&moved.from).filter(|_| free)
        };
        finished.get(name).or_else(moved)
    }

    fn changes(&self, session: &Session, record: &Record) -> Changes {
        Changes::of(session, record, |from, to| {
            // The owner of a shared worktree may only have another name than when this was recorded.
            let owner = match &session.worktree {
                Worktree::Shared(owner) if owner.as_str() == to => self.names.record(owner),
                _ => None,
            };
            owner.is_some_and(|owner| {
                owner.name.as_str() == from || owner.former.iter().any(|name| name.as_str() == from)
            })
        })
    }

    fn decide_new(&mut self, name: &'a Name, session: &'a Session) -> Decided {
        let again = matches!(self.request(name), Some(Request::Start { again: true, .. }));
        if let Some(finished) = self.finished(name).filter(|_| !again) {
            let Finished { merge, at, .. } = finished;
            let reason = HoldReason::Finished { commit: merge.commit.clone(), at: *at };
            let end = Some(EndKind::Finished(merge.clone()));
            return Decided { end, ..Decided::refused(Wants::Create, reason.into()) };
        }
        if session.state == Desired::Stopped {
            return Decided::synced();
        }
        if self.is_orphan_name(name) {
            return Decided::refused(Wants::Create, HoldReason::Orphaned.into());
        }
        match self.create(session) {
            Ok(kind) => Decided::step(kind, StepReason::New),
            Err(refusal) => Decided::refused(Wants::Create, refusal),
        }
    }

    fn assemble_new(&self, name: &Name, session: &Session, decided: Decided) -> Entry {
        let unseen = matches!(&decided.verdict,
            Verdict::Hold(hold) if matches!(hold.reason, HoldReason::Unseen(_)));
        let health = match session.state {
            _ if decided.end.is_some() => Health::Stopped,
            Desired::Stopped => Health::Stopped,
            Desired::Running if unseen => Health::Unknown,
            Desired::Running => Health::Missing,
        };
        Entry {
            name: name.clone(),
            uid: None,
            renamed_from: None,
            verdict: decided.verdict,
            deferred: None,
            changes: Vec::new(),
            notes: Vec::new(),
            status: Status { health, end: decided.end, ..Status::default() },
        }
    }

    fn gone_entries(&mut self, before: &[Entry]) -> (Vec<Entry>, Vec<usize>) {
        let mut others = Others::new(self, before);
        let gone = self.names.gone.clone();
        let sequence = order::of_gone(&gone);
        let mut entries: Vec<Option<Entry>> = vec![None; gone.len()];
        for &index in &sequence {
            let record = gone[index];
            if !self.selects(&record.name) {
                continue;
            }
            let decided = match self.retire(record, &others) {
                Ok((kind, reason)) => Decided::step(kind, reason),
                Err(refusal) => Decided::refused(Wants::Decommission, refusal),
            };
            let decided = self.unless_it_failed(&record.name, decided);
            let entry = Entry {
                name: record.name.clone(),
                uid: Some(record.uid),
                renamed_from: None,
                status: self.status(record, None, &decided),
                notes: self.notes(record, None, &decided),
                changes: Vec::new(),
                verdict: decided.verdict,
                deferred: None,
            };
            others.take(&entry);
            entries[index] = Some(entry);
        }
        let mut places = vec![None; gone.len()];
        let mut kept = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            if let Some(entry) = entry {
                places[index] = Some(kept.len());
                kept.push(entry);
            }
        }
        let acting = sequence.iter().filter_map(|index| places[*index]).collect();
        (kept, acting)
    }

    /// A sharer stops for its owner only as long as what takes the owner's worktree away stands.
    fn release_sharers(&self, plan: &mut Plan) {
        let recreated: HashSet<Name> = plan
            .entries
            .iter()
            .filter(|entry| {
                matches!(&entry.verdict, Verdict::Do(step) if matches!(
                    step.kind,
                    StepKind::Recreate { .. } | StepKind::Decommission(_)
                ))
            })
            .map(|entry| entry.name.clone())
            .collect();
        for entry in &mut plan.entries {
            let owner = entry.uid.and_then(|uid| self.must_stop.get(&uid));
            let approved = |owner: &Name| {
                let record = self.names.record(owner);
                let only = self.policy.only.is_some();
                only && record.is_some_and(|owner| self.policy.approved.contains(&owner.uid))
            };
            let stays = |owner: &&Name| !approved(owner) && !recreated.contains(*owner);
            let Some(owner) = owner.filter(stays) else { continue };
            let stops = matches!(&entry.verdict, Verdict::Do(step)
                if matches!(step.kind, StepKind::Stop { reason: StopReason::Owner, .. }));
            if stops {
                entry.verdict = held(Wants::Nothing, HoldReason::After(vec![owner.clone()]));
            }
        }
    }
}

/// A step that is not done.
pub(super) fn held(wants: Wants, reason: HoldReason) -> Verdict {
    Verdict::Hold(Hold { wants, reason })
}

fn over(finished: &Finished) -> Standing {
    Standing::Over(EndKind::Finished(finished.merge.clone()))
}

/// Counts those that wait for a place, in file order.
fn number_the_queue(entries: &mut [Entry]) {
    let is_queued = |entry: &Entry| {
        let hold = match (&entry.verdict, &entry.deferred) {
            (Verdict::Hold(hold), _) | (_, Some(hold)) => hold,
            _ => return false,
        };
        matches!(hold.reason, HoldReason::Queued { .. })
    };
    let total = entries.iter().filter(|entry| is_queued(entry)).count();
    for (number, entry) in entries.iter_mut().filter(|entry| is_queued(entry)).enumerate() {
        let hold = match (&mut entry.verdict, &mut entry.deferred) {
            (Verdict::Hold(hold), _) | (_, Some(hold)) => hold,
            _ => continue,
        };
        if let HoldReason::Queued { place, of, .. } = &mut hold.reason {
            (*place, *of) = (number + 1, total);
        }
    }
}
