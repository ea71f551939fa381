//! Plan, perform, plan again: over random pairs of a file and a machine, with acts that fail and runs that are
//! cut off at any act.

use crate::fleets::house;
use crate::worlds::{Draft, Drift, Ground, Pair, Slot, draft};
use fleetctl::manifest::fleet::Fleet;
use fleetctl::manifest::fleet::Need;
use fleetctl::name::Name;
use fleetctl::plan::{Plan, Verdict};
use fleetctl::reconcile::execute::{Site, approved};
use fleetctl::reconcile::{PassError, execute, recover, survey};
use fleetctl::record::Records;
use fleetctl::snapshot::{Lock, Marked, PaneState};
use fleetctl::store::{Change, Store};
use fleetctl::world::sim::{CutOff, Sim};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// More passes than any fleet of these needs: five starts until a session is given up, and what waits for
/// that.
const PASSES: usize = 12;

/// A store that remembers what a pair begins with.
fn remembering(records: &Records) -> Store {
    let mut store = Store::in_memory().expect("a store in memory");
    let mut changes =
        vec![Change::Revision { digest: records.digest.clone(), at: crate::fleets::now() }];
    changes.extend(records.server.clone().map(Change::Server));
    changes.extend(records.sessions.values().cloned().map(|record| Change::Put(Box::new(record))));
    store.write(&changes).expect("they can be written");
    store
}

/// One apply: recover, look, plan, act. Gives the plan that it acted on.
fn apply(pair: &mut Pair, store: &mut Store) -> Result<Plan, PassError> {
    let house = house();
    let records = store.records()?;
    let mut policy = pair.policy.clone();
    let mut site =
        Site { world: &mut pair.sim, store, house: &house, fleet: &pair.fleet, policy: &policy };
    recover(&mut site, records, &mut |_| {})?;
    let records = site.store.records()?;
    let (snapshot, plan) = survey(site.world, site.fleet, &records, site.policy);
    policy.approved = approved(&plan);
    let mut site =
        Site { world: &mut pair.sim, store, house: &house, fleet: &pair.fleet, policy: &policy };
    execute(&mut site, (&snapshot, &plan), records, &mut |_| {})?;
    Ok(plan)
}

/// Applies until nothing is planned; the last plan.
fn settle(pair: &mut Pair, store: &mut Store) -> Result<Plan, TestCaseError> {
    let mut last = None;
    for _ in 0..PASSES {
        let plan = apply(pair, store).map_err(|error| TestCaseError::fail(error.to_string()))?;
        if plan.order.is_empty() && plan.renames.is_empty() {
            return Ok(plan);
        }
        last = Some(plan);
    }
    let steps = last.map(|plan| {
        plan.order.iter().map(|index| format!("{:?}", plan.entries[*index])).collect::<Vec<_>>()
    });
    Err(TestCaseError::fail(format!("it does not come to rest: {steps:#?}")))
}

/// What remains of a session, apart from ids and times.
#[derive(Debug, PartialEq)]
struct Remains {
    name: Name,
    verdict: String,
    running: bool,
    directory: Option<String>,
}

fn remains(plan: &Plan) -> Vec<Remains> {
    plan.entries
        .iter()
        .map(|entry| Remains {
            name: entry.name.clone(),
            verdict: match &entry.verdict {
                Verdict::Synced => "synced".into(),
                Verdict::Do(step) => format!("{:?}", step.kind.wants()),
                Verdict::Hold(hold) => format!("{:?}", std::mem::discriminant(&hold.reason)),
            },
            running: entry.status.running,
            directory: entry.status.directory.as_ref().map(|path| path.display().to_string()),
        })
        .collect()
}

/// How many things of ours there are: live panes, worktrees outside the trash, worktrees in it.
fn counted(sim: &Sim) -> (usize, usize, usize) {
    let ours = sim
        .terminal
        .panes
        .iter()
        .filter(|pane| pane.state == PaneState::Alive && matches!(pane.mark, Marked::Yes(_)));
    let trees = || {
        let all = sim.repos.values().flat_map(|forest| &forest.trees);
        all.filter(|tree| matches!(tree.entry.lock, Lock::Fleet { .. }))
    };
    let trashed = trees().filter(|tree| tree.entry.path.to_string_lossy().contains("/.trash/"));
    (ours.count(), trees().count() - trashed.clone().count(), trashed.count())
}

/// No two live agents of one incarnation, no two of ours on one conversation.
fn no_doubles(sim: &Sim) -> Result<(), TestCaseError> {
    let mut seen = BTreeMap::new();
    for pane in sim.terminal.panes.iter().filter(|pane| pane.state == PaneState::Alive) {
        if let Marked::Yes(mark) = &pane.mark {
            prop_assert!(seen.insert(mark.uid, &pane.id).is_none(), "two panes of {}", mark.uid);
        }
    }
    Ok(())
}

/// No port is two sessions', and who runs as the file says has all that it names.
fn ports_are_right(fleet: &Fleet, plan: &Plan, records: &Records) -> Result<(), TestCaseError> {
    let mut given = BTreeMap::new();
    for record in records.sessions.values() {
        for port in record.ports.values() {
            let before = given.insert(*port, &record.name);
            prop_assert!(before.is_none(), "{} is {:?}'s and {}'s", port, before, record.name);
        }
    }
    for entry in plan.entries.iter().filter(|entry| entry.verdict == Verdict::Synced) {
        let record = entry.uid.and_then(|uid| records.sessions.get(&uid));
        let session = fleet.sessions.get(&entry.name);
        if let (Some(record), Some(session), true) = (record, session, entry.status.running) {
            let mut wanted: Vec<&String> = session.ports.iter().collect();
            wanted.sort_unstable();
            prop_assert_eq!(record.ports.keys().collect::<Vec<_>>(), wanted);
        }
    }
    Ok(())
}

/// Everything of the user's, which must look the same whatever was done: panes in which something of his
/// runs, and worktrees that do not carry our lock.
fn theirs(sim: &Sim) -> Vec<String> {
    let marked = |mark: &Marked| match mark {
        Marked::Yes(mark) => mark.uid == crate::fleets::uid(99),
        Marked::No | Marked::Garbled => true,
    };
    let panes = sim.terminal.panes.iter().filter(|pane| marked(&pane.mark));
    let busy = panes
        .filter(|pane| sim.terminal.commands.contains_key(&pane.id) || pane.mark != Marked::No);
    let mut all: Vec<String> = busy.map(|pane| format!("{pane:?}")).collect();
    for forest in sim.repos.values() {
        let trees = forest.trees.iter().filter(|tree| tree.entry.lock == Lock::No);
        all.extend(trees.map(|tree| format!("{tree:?}")));
    }
    all
}

/// The work that has no name of its own, wherever it lies.
fn work(sim: &Sim) -> usize {
    let trees = sim.repos.values().flat_map(|forest| &forest.trees);
    trees.map(|tree| tree.risks.len()).sum()
}

fn converge(draft: &Draft) -> Result<(), TestCaseError> {
    let mut pair = draft.pair();
    let mut store = remembering(&pair.records);
    let (before, kept) = (theirs(&pair.sim), work(&pair.sim));
    let plan = settle(&mut pair, &mut store)?;
    no_doubles(&pair.sim)?;
    ports_are_right(&pair.fleet, &plan, &store.records().map_err(failed)?)?;
    let after = theirs(&pair.sim);
    let gone: Vec<_> = before.iter().filter(|thing| !after.contains(thing)).collect();
    prop_assert!(gone.is_empty(), "the user's own: {:?}", gone);
    prop_assert_eq!(work(&pair.sim), kept);
    let (acts, records) = (pair.sim.acts, store.records().map_err(failed)?);
    apply(&mut pair, &mut store).map_err(failed)?;
    prop_assert_eq!(pair.sim.acts, acts, "the second apply acted");
    let again = store.records().map_err(failed)?;
    prop_assert_eq!(format!("{:?}", records), format!("{:?}", again), "the second apply wrote");
    Ok(())
}

fn failed(error: impl std::error::Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn cut_off(draft: &Draft, at: usize, after: bool) -> Result<(), TestCaseError> {
    let mut whole = draft.pair();
    let mut store = remembering(&whole.records);
    let end = settle(&mut whole, &mut store)?;
    let mut cut = draft.pair();
    let mut store = remembering(&cut.records);
    let number = at % whole.sim.acts.max(1);
    if after {
        cut.sim.faults.cut_after = Some(number);
    } else {
        cut.sim.faults.cut_before = Some(number);
    }
    for _ in 0..PASSES {
        match catch_unwind(AssertUnwindSafe(|| apply(&mut cut, &mut store))) {
            Ok(applied) => drop(applied.map_err(failed)?),
            Err(cause) if cause.is::<CutOff>() => break,
            Err(cause) => std::panic::resume_unwind(cause),
        }
    }
    let same = settle(&mut cut, &mut store)?;
    no_doubles(&cut.sim)?;
    ports_are_right(&cut.fleet, &same, &store.records().map_err(failed)?)?;
    prop_assert_eq!(remains(&end), remains(&same));
    prop_assert_eq!(counted(&whole.sim), counted(&cut.sim));
    prop_assert_eq!(work(&whole.sim), work(&cut.sim));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_fleet_comes_to_rest_and_a_further_apply_does_nothing(draft in draft()) {
        converge(&draft)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_run_that_is_cut_off_at_any_act_ends_as_if_it_had_not_been(
        mut draft in draft(), at in any::<usize>(), after in any::<bool>()
    ) {
        // How often a session crashed before it was given up depends on how often it was started.
        for slot in &mut draft.slots {
            slot.fate = None;
            // What stands in the way of a create, and holds removals beside it, is seen only when what the
            // create waits for has come: that may be before or after the removal.
            if slot.obstacle.is_some() {
                slot.ends.need = Need::Started;
                slot.depends_on_last = false;
            }
        }
        // Between the halves of a recreate nobody remembers that it had a place; and a create that waits for one
        // shows what stands in its way only then.
        let recreates = |slot: &Slot| slot.drift == Drift::Recreate || slot.tree == Ground::Missing;
        if draft.slots.iter().any(|slot| recreates(slot) || slot.obstacle.is_some()) {
            draft.max_running = draft.slots.len();
        }
        cut_off(&draft, at, after)?;
    }

    #[test]
    fn after_acts_that_failed_a_fleet_comes_to_rest_all_the_same(
        draft in draft(), failing in prop::collection::btree_set(0usize..40, 1..6)
    ) {
        let mut pair = draft.pair();
        let mut store = remembering(&pair.records);
        let (before, kept) = (theirs(&pair.sim), work(&pair.sim));
        pair.sim.faults.failing = failing;
        for _ in 0..3 {
            apply(&mut pair, &mut store).map_err(failed)?;
        }
        pair.sim.faults.failing.clear();
        settle(&mut pair, &mut store)?;
        no_doubles(&pair.sim)?;
        let after = theirs(&pair.sim);
        prop_assert!(before.iter().all(|thing| after.contains(thing)));
        prop_assert_eq!(work(&pair.sim), kept);
    }

    #[test]
    fn a_fault_of_sight_that_passes_leaves_nothing_behind(draft in draft(), tmux in any::<bool>()) {
        let mut pair = draft.pair();
        let mut store = remembering(&pair.records);
        let before = counted(&pair.sim);
        pair.sim.faults.tmux_unseen = tmux;
        if !tmux {
            pair.sim.faults.repos_unseen.insert(crate::fleets::REPO.into());
        }
        apply(&mut pair, &mut store).map_err(failed)?;
        let seen = counted(&pair.sim);
        prop_assert_eq!((seen.1, seen.2), (before.1, before.2), "worktrees, unseen");
        prop_assert!(!tmux || seen.0 == before.0, "panes, unseen");
        pair.sim.faults = Default::default();
        settle(&mut pair, &mut store)?;
    }
}

/// `moved` gives the owner another name, and its old one to a new session: the sharer, which is to move over,
/// stops before the worktree under it is replaced.
#[test]
fn a_sharer_stops_before_the_worktree_that_was_renamed_away_from_it_is_replaced() {
    use crate::worlds::{Ends, Site as Place};
    use fleetctl::manifest::fleet::{Need, Restart, Resume};
    let ends = Ends { need: Need::Started, ready: None, old: false, idle: None, until: None };
    let slot = |recorded: bool, place: Place, drift: Drift| Slot {
        in_file: true,
        recorded,
        kind: crate::fleets::Kind::Agent,
        place,
        stopped: false,
        restart: Restart::OnFailure,
        resume: Resume::Preferred,
        depends_on_last: false,
        drift,
        protect: (false, false),
        state: Some(PaneState::Alive),
        attached: false,
        working: false,
        neighbour: false,
        tree: Ground::Ours,
        risky: false,
        transcript: false,
        wish: None,
        end: None,
        obstacle: None,
        fate: None,
        ends,
    };
    let draft = Draft {
        slots: vec![
            slot(true, Place::Own, Drift::Recreate),
            slot(true, Place::OfLast, Drift::No),
            slot(false, Place::Own, Drift::No),
        ],
        max_running: 1,
        archive: false,
        server_died: false,
        moved: Some((0, 2)),
        orphan: false,
        now: true,
    };
    converge(&draft).expect("it comes to rest");
}
