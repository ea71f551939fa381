//! What comes before what. Pure order, no decisions. Invariant: an order names each item once, whatever
//! the prerequisites say, and is the given order wherever they say nothing.

use super::{Entry, Plan, StepKind, StopReason, Verdict};
use crate::manifest::fleet::{Fleet, Worktree};
use crate::name::{Name, Uid};
use crate::record::Record;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// The items 0 to `n`, each after its prerequisites. Items on a cycle come last.
pub(super) fn after_prerequisites(prerequisites: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = prerequisites.iter().map(Vec::len).collect();
    let mut waiters: Vec<Vec<usize>> = vec![Vec::new(); prerequisites.len()];
    for (item, before) in prerequisites.iter().enumerate() {
        for &first in before {
            waiters[first].push(item);
        }
    }
    let none_left = |(item, left): (usize, &usize)| (*left == 0).then_some(Reverse(item));
    let mut ready: BinaryHeap<Reverse<usize>> =
        waiting.iter().enumerate().filter_map(none_left).collect();
    let mut order = Vec::with_capacity(prerequisites.len());
    while let Some(Reverse(item)) = ready.pop() {
        order.push(item);
        for &waiter in &waiters[item] {
            waiting[waiter] -= 1;
            if waiting[waiter] == 0 {
                ready.push(Reverse(waiter));
            }
        }
    }
    order.extend((0..prerequisites.len()).filter(|item| waiting[*item] > 0));
    order
}

/// The file's sessions, each after those that it depends on and whose worktree it shares; `host` names the
/// session in whose worktree one works now, which a rename may have made another than the file's.
pub(super) fn of_fleet<'a>(fleet: &Fleet, host: impl Fn(&Name) -> Option<&'a Name>) -> Vec<usize> {
    let before = fleet.sessions.values().map(|session| {
        let owner = match &session.worktree {
            Worktree::Shared(owner) => Some(owner),
            Worktree::Own { .. } | Worktree::Repository => None,
        };
        let needed = session.depends_on.iter().map(|needed| &needed.on);
        let names = needed.chain(owner).chain(host(&session.name));
        names.filter_map(|name| fleet.sessions.get_index_of(name)).collect()
    });
    after_prerequisites(&before.collect::<Vec<_>>())
}

/// Sessions that are gone from the file: those that share a worktree or depend on another come before it.
pub(super) fn of_gone(gone: &[&Record]) -> Vec<usize> {
    let index: HashMap<&Name, usize> =
        gone.iter().enumerate().map(|(index, record)| (&record.name, index)).collect();
    let paths: HashMap<_, usize> = gone
        .iter()
        .enumerate()
        .filter(|(_, record)| matches!(record.place, crate::record::Place::Own { .. }))
        .map(|(index, record)| (record.place.directory(), index))
        .collect();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); gone.len()];
    for (item, record) in gone.iter().enumerate() {
        let on = record.applied.parting.depends_on.iter().filter_map(|name| index.get(name));
        let owner = paths.get(record.place.directory());
        for &first in on.chain(owner).filter(|first| **first != item) {
            before[first].push(item);
        }
    }
    after_prerequisites(&before)
}

/// The order of acting. `files` and `gone` are the orders of the file's sessions and of the others, as
/// indices into the entries.
pub(super) fn of_acting(
    plan: &Plan,
    sequence: &[usize],
    stops: &BTreeMap<Uid, Name>,
) -> Vec<usize> {
    let phase = |entry: &Entry| match &entry.verdict {
        Verdict::Do(step) => Some(match &step.kind {
            StepKind::Create(_) | StepKind::Start { .. } => 0,
            StepKind::Update { .. } | StepKind::Settle(_) => 1,
            StepKind::Restart { .. } | StepKind::Recreate { .. } => 2,
            StepKind::Stop { reason: StopReason::Owner, .. } => 3,
            StepKind::Stop { .. } => 4,
            StepKind::Decommission(_) | StepKind::Forget => 5,
        }),
        Verdict::Synced | Verdict::Hold(_) => None,
    };
    let mut phases: [Vec<usize>; 6] = Default::default();
    for &index in sequence {
        if let Some(phase) = phase(&plan.entries[index]) {
            phases[phase].push(index);
        }
    }
    let [starts, updates, restarts, sharers, stops_, ends] = phases;
    let mut order = starts;
    order.extend(updates);
    let owner_of = |index: usize| plan.entries[index].uid.and_then(|uid| stops.get(&uid));
    let mut sharers = sharers;
    for index in restarts {
        let name = &plan.entries[index].name;
        order.extend(sharers.extract_if(.., |sharer| owner_of(*sharer) == Some(name)));
        order.push(index);
    }
    order.extend(sharers);
    order.extend(stops_);
    order.extend(ends);
    order
}
