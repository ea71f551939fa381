//! Properties of the planner alone, over random pairs of a file and a machine, and what concerns more than one
//! session.

use crate::fleets::{
    Kind, ago, apply, fleet, installation, name, now, on, pane, record, records, session, snapshot,
    uid, wish, worktree,
};
use crate::worlds::{Pair, draft};
use fleetctl::manifest::fleet::{Fleet, Moved, Need, Worktree as Where};
use fleetctl::name::{Name, Uid};
use fleetctl::plan::{
    Conflict, Entry, Hint, HoldReason, Plan, Policy, Removals, Request, Step, StepKind, Verdict,
    plan,
};
use fleetctl::reconcile::{survey, wanted};
use fleetctl::record::{EndKind, Expiry, Place, Record, Records, StopReason, WishKind};
use fleetctl::snapshot::{
    BranchSource, Commit, Company, Ground, Marked, Observed, PaneState, PortsSeen, Question,
    Snapshot, Work,
};
use fleetctl::world::World;
use proptest::prelude::*;

fn step(entry: &Entry) -> Option<&Step> {
    match &entry.verdict {
        Verdict::Do(step) => Some(step),
        Verdict::Synced | Verdict::Hold(_) => None,
    }
}

fn destroys(entry: &Entry) -> bool {
    step(entry).is_some_and(|step| step.kind.destroys())
}

fn made(pair: &mut Pair) -> Plan {
    survey(&mut pair.sim, &pair.fleet, &pair.records, &pair.policy).1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_inputs_give_the_same_plan(draft in draft()) {
        let (mut first, mut second) = (draft.pair(), draft.pair());
        prop_assert_eq!(format!("{:?}", made(&mut first)), format!("{:?}", made(&mut second)));
    }

    #[test]
    fn a_plan_asks_no_question_twice_and_orders_each_step_once(draft in draft()) {
        let mut pair = draft.pair();
        let made = made(&mut pair);
        prop_assert!(made.questions.is_empty());
        let mut steps: Vec<usize> =
            (0..made.entries.len()).filter(|i| step(&made.entries[*i]).is_some()).collect();
        let mut order = made.order.clone();
        order.sort_unstable();
        steps.sort_unstable();
        prop_assert_eq!(order, steps);
    }

    #[test]
    fn only_what_is_marked_and_recorded_is_in_a_step(draft in draft()) {
        let mut pair = draft.pair();
        let made = made(&mut pair);
        let ours: Vec<_> = pair.sim.terminal.panes.iter().filter(|pane| {
            matches!(&pane.mark, Marked::Yes(mark) if pair.records.sessions.contains_key(&mark.uid))
        }).map(|pane| pane.id.clone()).collect();
        for entry in &made.entries {
            let Some(step) = step(entry) else { continue };
            let target = match &step.kind {
                StepKind::Restart { pane, .. } => Some(pane),
                StepKind::Start { over, .. } => over.as_ref(),
                StepKind::Stop { pane, .. } => pane.as_ref(),
                StepKind::Decommission(retire) | StepKind::Recreate { retire, .. } => {
                    retire.pane.as_ref()
                }
                _ => None,
            };
            prop_assert!(target.is_none_or(|pane| ours.contains(pane)), "{:?}", entry);
            let creates = matches!(step.kind, StepKind::Create(_));
            prop_assert!(creates || entry.uid.is_some_and(|uid| pair.records.sessions.contains_key(&uid)));
        }
    }

    #[test]
    fn what_was_not_seen_destroys_nothing(draft in draft(), tmux in any::<bool>()) {
        let mut pair = draft.pair();
        if tmux {
            pair.sim.faults.tmux_unseen = true;
        } else {
            pair.sim.faults.repos_unseen.insert(crate::fleets::REPO.into());
        }
        let looks = tmux || !wanted(&pair.fleet, &pair.records).repos.is_empty();
        let made = made(&mut pair);
        prop_assert!(!looks || !made.blind.is_empty());
        for entry in &made.entries {
            // A stop ends the runtime and leaves the worktree: an unseen repository does not concern it.
            let stops = !tmux && step(entry).is_some_and(|step| matches!(step.kind, StepKind::Stop { .. }));
            prop_assert!(stops || !destroys(entry), "{:?}", entry);
            let starts = step(entry).is_some_and(|step| {
                matches!(step.kind, StepKind::Create(_) | StepKind::Start { .. })
            });
            prop_assert!(!starts, "{:?}", entry);
        }
    }

    #[test]
    fn an_unseen_answer_destroys_nothing_that_hangs_on_it(draft in draft()) {
        let mut pair = draft.pair();
        pair.sim.faults.answers_unseen = true;
        for entry in &made(&mut pair).entries {
            let hangs = matches!(step(entry).map(|step| &step.kind),
                Some(StepKind::Decommission(retire) | StepKind::Recreate { retire, .. })
                    if retire.work.is_some());
            prop_assert!(!hangs, "{:?}", entry);
        }
    }

    #[test]
    fn a_protected_session_is_never_decommissioned(draft in draft()) {
        let mut pair = draft.pair();
        for entry in &made(&mut pair).entries {
            let record = entry.uid.and_then(|uid| pair.records.sessions.get(&uid));
            if record.is_some_and(|record| record.protected_since.is_some()) {
                let ends = matches!(step(entry).map(|step| &step.kind),
                    Some(StepKind::Decommission(_) | StepKind::Recreate { .. }));
                prop_assert!(!ends, "{:?}", entry);
            }
        }
    }

    #[test]
    fn a_session_that_a_human_holds_is_not_acted_on(draft in draft()) {
        let mut pair = draft.pair();
        for entry in &made(&mut pair).entries {
            let record = entry.uid.and_then(|uid| pair.records.sessions.get(&uid));
            let wish = record.and_then(|record| record.wish.as_ref()).map(|wish| wish.kind);
            if wish == Some(WishKind::Hold) {
                prop_assert!(step(entry).is_none(), "{:?}", entry);
            }
        }
    }

    #[test]
    fn never_more_agents_are_started_than_may_run(draft in draft()) {
        let mut pair = draft.pair();
        let made = made(&mut pair);
        let agent = |name: &Name| pair.fleet.sessions.get(name).is_some_and(|s| !s.is_shell());
        // A restart that was cut off between two runs goes on in the place that it had.
        let between = |uid: Option<Uid>| {
            let end = uid.and_then(|uid| pair.records.sessions.get(&uid)?.end.as_ref());
            end.is_some_and(|end| {
                matches!(end.kind, EndKind::Stopped(StopReason::Restart | StopReason::Owner))
            })
        };
        let starts = made.entries.iter().filter(|entry| {
            agent(&entry.name) && !between(entry.uid) && step(entry).is_some_and(|step| match &step.kind {
                StepKind::Create(_) | StepKind::Start { .. } => true,
                StepKind::Recreate { .. } => !entry.status.running,
                _ => false,
            })
        }).count();
        let running = pair.records.sessions.values().filter(|record| {
            !record.applied.parting.shell && pair.sim.terminal.panes.iter().any(|pane| {
                pane.state == PaneState::Alive
                    && matches!(&pane.mark, Marked::Yes(mark) if mark.uid == record.uid)
            })
        }).count();
        let max = pair.fleet.settings.max_running;
        prop_assert!(starts == 0 || starts + running <= max, "{starts} + {running} > {max}");
    }

    #[test]
    fn a_busy_or_watched_session_is_not_ended_without_now(draft in draft()) {
        let mut pair = draft.pair();
        pair.policy.now.clear();
        for entry in &made(&mut pair).entries {
            let record = entry.uid.and_then(|uid| pair.records.sessions.get(&uid));
            let agent = record.is_some_and(|record| !record.applied.parting.shell);
            let kept = entry.status.running && (entry.status.attached || agent);
            let lets_go = step(entry).is_some_and(|step| match step.kind {
                StepKind::Forget => true,
                // An age is a limit on what works, too.
                StepKind::Stop { reason: StopReason::Expired(Expiry::Age), .. } => {
                    !entry.status.attached
                }
                _ => false,
            });
            prop_assert!(!kept || !destroys(entry) || lets_go, "{:?}", entry);
        }
    }

    #[test]
    fn a_plan_over_named_sessions_touches_no_other(draft in draft(), index in 0usize..6) {
        let mut pair = draft.pair();
        let only = name(&format!("s{index}"));
        pair.policy.only = Some([only.clone()].into());
        for entry in &made(&mut pair).entries {
            prop_assert_eq!(&entry.name, &only);
        }
    }
}

/// Answers every question as if the machine were well.
fn well(fleet: &Fleet, mut snapshot: Snapshot, records: &Records, policy: &Policy) -> Plan {
    loop {
        let made = plan(fleet, &snapshot, records, policy);
        if made.questions.is_empty() {
            return made;
        }
        for question in made.questions {
            let answers = &mut snapshot.answers;
            match question {
                Question::Work(at) => {
                    let work = Work { branch: Some("b".into()), ..Work::default() };
                    drop(answers.work.insert(at.uid, Observed::Known(work)));
                }
                Question::Ground(at) => {
                    let commit = Commit { id: "c1".into(), time: ago(60) };
                    let branch = BranchSource::New { base: "main".into(), at: commit };
                    let ground = Ground { branch, path_taken: false, checked_out: None };
                    drop(answers.ground.insert(at, Observed::Known(ground)));
                }
                Question::Company(id) => {
                    drop(answers.company.insert(id, Observed::Known(Company::default())));
                }
                Question::Transcript(at) => {
                    drop(answers.transcripts.insert(at.uid, Observed::Known(true)));
                }
                Question::Survivors(at) => {
                    drop(answers.survivors.insert(at.uid, Observed::Known(Vec::new())));
                }
                Question::Ports(at) => {
                    let seen = Observed::Known(PortsSeen::default());
                    drop(answers.ports.insert(at.clone(), seen));
                }
                Question::Merged(at) => {
                    drop(answers.merged.insert(at.uid, Observed::Known(None)));
                }
                Question::Ready(at) => {
                    drop(answers.ready.insert(at.uid, Observed::Known(true)));
                }
            }
        }
    }
}

/// A machine on which these records' sessions run.
fn running(list: &[Record]) -> Snapshot {
    let panes = list.iter().map(|record| pane(record, PaneState::Alive)).collect();
    let own = list.iter().filter(|record| matches!(record.place, Place::Own { .. }));
    snapshot(panes, own.map(worktree).collect())
}

fn policy() -> Policy {
    Policy::new(installation())
}

fn verdict<'p>(plan: &'p Plan, of: &str) -> &'p Verdict {
    let entry = plan.entries.iter().find(|entry| entry.name.as_str() == of);
    &entry.expect("it is in the plan").verdict
}

fn reason<'p>(plan: &'p Plan, of: &str) -> &'p HoldReason {
    match verdict(plan, of) {
        Verdict::Hold(hold) => &hold.reason,
        other => panic!("{of} is not held: {other:?}"),
    }
}

fn kind<'p>(plan: &'p Plan, of: &str) -> &'p StepKind {
    match verdict(plan, of) {
        Verdict::Do(step) => &step.kind,
        other => panic!("{of} has no step: {other:?}"),
    }
}

fn acting(plan: &Plan) -> Vec<&str> {
    plan.order.iter().map(|index| plan.entries[*index].name.as_str()).collect()
}

#[test]
fn dependencies_and_owners_are_created_first() {
    let mut web = session("web", Kind::Command);
    web.depends_on = vec![on("api", Need::Started)];
    let mut api = session("api", Kind::Command);
    api.worktree = Where::Shared(name("tree"));
    let fleet = fleet([web, api, session("tree", Kind::Command)]);
    let made = well(&fleet, snapshot(vec![], vec![]), &records([]), &policy());
    assert_eq!(acting(&made), ["tree", "api", "web"]);
    match kind(&made, "api") {
        StepKind::Create(creation) => {
            assert_eq!(creation.place.directory(), &crate::fleets::path_of(&name("tree")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_depends_on_a_queued_session_waits_for_it() {
    let first = session("first", Kind::Agent);
    let second = session("second", Kind::Agent);
    let mut third = session("third", Kind::Command);
    third.depends_on = vec![on("second", Need::Started)];
    let mut fleet = fleet([first, second, third, session("fourth", Kind::Agent)]);
    fleet.settings.max_running = 1;
    let made = well(&fleet, snapshot(vec![], vec![]), &records([]), &policy());
    assert_eq!(acting(&made), ["first"]);
    assert_eq!(reason(&made, "second"), &HoldReason::Queued { place: 1, of: 2, max: 1 });
    assert_eq!(reason(&made, "third"), &HoldReason::waits_for(&name("second")));
    assert_eq!(reason(&made, "fourth"), &HoldReason::Queued { place: 2, of: 2, max: 1 });
}

#[test]
fn a_queued_session_leaves_its_place_to_the_next_when_its_dependency_waits() {
    let mut first = session("first", Kind::Agent);
    first.depends_on = vec![on("stopped", Need::Started)];
    let mut stopped = session("stopped", Kind::Command);
    stopped.state = fleetctl::manifest::fleet::Desired::Stopped;
    let mut fleet = fleet([first, stopped, session("second", Kind::Agent)]);
    fleet.settings.max_running = 1;
    let made = well(&fleet, snapshot(vec![], vec![]), &records([]), &policy());
    assert_eq!(acting(&made), ["second"]);
    assert_eq!(reason(&made, "first"), &HoldReason::waits_for(&name("stopped")));
}

fn all_of(known: &Records) -> Vec<Record> {
    known.sessions.values().cloned().collect()
}

#[test]
fn a_move_keeps_the_incarnation_and_is_made_once() {
    let old = record(&session("old", Kind::Command), 1);
    let mut fleet = fleet([session("new", Kind::Command)]);
    fleet.moved = vec![Moved { from: name("old"), to: name("new") }];
    let mut known = records([old.clone()]);
    let made = well(&fleet, running(std::slice::from_ref(&old)), &known, &policy());
    assert_eq!(made.renames.get(&uid(1)), Some(&name("new")));
    assert_eq!(kind(&made, "new"), &StepKind::Update { rename: Some(name("new")) });
    assert_eq!(made.entries.len(), 1);
    known.sessions.get_mut(&uid(1)).expect("its record").rename(name("new"));
    // Cut off before the pane's mark was written: that is made up for.
    let lagging = well(&fleet, running(&[old]), &known, &policy());
    assert!(lagging.renames.is_empty());
    assert_eq!(kind(&lagging, "new"), &StepKind::Update { rename: Some(name("new")) });
    let again = well(&fleet, running(&all_of(&known)), &known, &policy());
    assert!(again.renames.is_empty());
    assert!(again.order.is_empty());
}

#[test]
fn two_sessions_swap_their_names_once() {
    let (a, b) = (session("a", Kind::Command), session("b", Kind::Command));
    let (first, second) = (record(&a, 1), record(&b, 2));
    let mut fleet = fleet([a, b]);
    fleet.moved =
        vec![Moved { from: name("a"), to: name("b") }, Moved { from: name("b"), to: name("a") }];
    let mut known = records([first.clone(), second.clone()]);
    let seen = running(&[first, second]);
    let made = well(&fleet, seen.clone(), &known, &policy());
    assert_eq!(made.renames, [(uid(1), name("b")), (uid(2), name("a"))].into());
    // Cut off between the two: the other half is still done, and only that.
    known.sessions.get_mut(&uid(1)).expect("its record").rename(name("b"));
    let half = well(&fleet, seen, &known, &policy());
    assert_eq!(half.renames, [(uid(2), name("a"))].into());
    known.sessions.get_mut(&uid(2)).expect("its record").rename(name("a"));
    let again = well(&fleet, running(&all_of(&known)), &known, &policy());
    assert!(again.renames.is_empty());
    assert!(again.order.is_empty());
}

#[test]
fn a_new_session_under_the_old_name_of_a_move_is_not_moved_again() {
    let fresh = record(&session("old", Kind::Command), 2);
    let mut fleet = fleet([session("old", Kind::Command), session("new", Kind::Command)]);
    fleet.moved = vec![Moved { from: name("old"), to: name("new") }];
    let mut known = records([fresh.clone()]);
    known.digest.clone_from(&fleet.digest);
    let made = well(&fleet, running(&[fresh]), &known, &policy());
    assert!(made.renames.is_empty());
    assert!(matches!(kind(&made, "new"), StepKind::Create(_)));
}

#[test]
fn a_session_that_takes_over_a_moved_ones_name_gets_a_path_of_its_own() {
    let old = record(&session("api", Kind::Command), 1);
    let mut fresh = session("api", Kind::Command);
    fresh.worktree = Where::Own { branch: Some("other".into()), base: None };
    let mut fleet = fleet([session("renamed", Kind::Command), fresh]);
    fleet.moved = vec![Moved { from: name("api"), to: name("renamed") }];
    let made = well(&fleet, running(std::slice::from_ref(&old)), &records([old]), &policy());
    match kind(&made, "api") {
        StepKind::Create(creation) => {
            assert_eq!(creation.tmux_name, "shop/api-2");
            assert!(creation.place.directory().ends_with("api-2"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_gone_and_one_new_of_the_same_kind_are_perhaps_one() {
    let old = record(&session("old", Kind::Command), 1);
    let fleet = fleet([session("new", Kind::Command)]);
    let made = well(&fleet, running(std::slice::from_ref(&old)), &records([old]), &policy());
    let hint = Hint::PerhapsMoved { from: name("old"), to: name("new") };
    assert_eq!(made.hints, [hint]);
}

fn crowd(n: u128) -> Vec<Record> {
    (1..=n).map(|i| record(&session(&format!("s{i}"), Kind::Command), i)).collect()
}

#[test]
fn more_than_half_and_at_least_three_at_once_are_held() {
    let all = crowd(5);
    let fleet = fleet([session("s4", Kind::Command), session("s5", Kind::Command)]);
    let made = well(&fleet, running(&all), &records(all.clone()), &policy());
    for gone in ["s1", "s2", "s3"] {
        assert_eq!(reason(&made, gone), &HoldReason::Mass { would: 3, of: 5 });
    }
    let enough = Policy { max_decommission: Some(3), ..policy() };
    let made = well(&fleet, running(&all), &records(all), &enough);
    assert_eq!(acting(&made), ["s1", "s2", "s3"]);
}

#[test]
fn ends_of_the_last_ten_minutes_count_with_those_of_now() {
    let all = crowd(4);
    let fleet = fleet(["s2", "s3", "s4"].map(|n| session(n, Kind::Command)));
    let mut known = records(all.clone());
    known.recent_ends = vec![ago(9), ago(8), ago(11)];
    let made = well(&fleet, running(&all), &known, &policy());
    assert!(matches!(kind(&made, "s1"), StepKind::Decommission(_)), "3 of 6 is not more than half");
    known.recent_ends = vec![ago(9), ago(8), ago(7), ago(6)];
    let made = well(&fleet, running(&all), &known, &policy());
    assert_eq!(reason(&made, "s1"), &HoldReason::Mass { would: 5, of: 8 });
}

#[test]
fn an_empty_file_decommissions_nothing() {
    let all = crowd(1);
    let made = well(&fleet([]), running(&all), &records(all), &policy());
    assert!(matches!(reason(&made, "s1"), HoldReason::Mass { .. }));
}

#[test]
fn a_sharer_goes_before_its_owner_and_a_dependent_before_what_it_rests_on() {
    let owner = record(&session("owner", Kind::Command), 1);
    let mut sharing = session("a-sharer", Kind::Command);
    sharing.worktree = Where::Shared(name("owner"));
    let mut dependent = session("zz", Kind::Command);
    dependent.depends_on = vec![on("a-sharer", Need::Started)];
    apply(&mut sharing);
    apply(&mut dependent);
    let all = [owner, record(&sharing, 2), record(&dependent, 3)];
    let more = crowd(9).split_off(3);
    let fleet = fleet((4..10).map(|i| session(&format!("s{i}"), Kind::Command)));
    let everything = [all.to_vec(), more].concat();
    let made = well(&fleet, running(&everything), &records(everything.clone()), &policy());
    assert_eq!(acting(&made), ["zz", "a-sharer", "owner"]);
    let mut watched = running(&everything);
    if let Observed::Known(server) = &mut watched.tmux {
        server.panes[1].attached = true;
    }
    let made = well(&fleet, watched, &records(everything), &policy());
    assert_eq!(reason(&made, "a-sharer"), &HoldReason::Attached);
    assert_eq!(reason(&made, "owner"), &HoldReason::After(vec![name("a-sharer")]));
}

#[test]
fn a_sharer_stops_before_the_worktree_under_it_is_replaced() {
    let mut owner = session("owner", Kind::Command);
    let mut sharer = session("sharer", Kind::Command);
    sharer.worktree = Where::Shared(name("owner"));
    apply(&mut sharer);
    let all = [record(&owner, 1), record(&sharer, 2)];
    owner.worktree = Where::Own { branch: Some("other".into()), base: None };
    apply(&mut owner);
    let fleet = fleet([owner, sharer]);
    let made = well(&fleet, running(&all), &records(all.clone()), &policy());
    assert!(matches!(kind(&made, "sharer"), StepKind::Stop { reason: StopReason::Owner, .. }));
    assert_eq!(acting(&made), ["sharer", "owner"]);
    let mut watched = running(&all);
    if let Observed::Known(server) = &mut watched.tmux {
        server.panes[1].attached = true;
    }
    let made = well(&fleet, watched, &records(all), &policy());
    assert_eq!(reason(&made, "owner"), &HoldReason::After(vec![name("sharer")]));
    assert!(made.order.is_empty());
}

#[test]
fn nothing_starts_in_a_worktree_whose_owner_is_finished() {
    let mut owner = session("owner", Kind::Command);
    owner.until = Some(fleetctl::manifest::fleet::Until::Merged);
    let sharer = |text: &str| {
        let mut sharer = session(text, Kind::Command);
        sharer.worktree = Where::Shared(name("owner"));
        apply(&mut sharer);
        sharer
    };
    let all = [record(&owner, 1), record(&sharer("runs"), 2), record(&sharer("died"), 3)];
    let mut seen = running(&all);
    if let Observed::Known(server) = &mut seen.tmux {
        server.panes.pop();
    }
    let merge = fleetctl::snapshot::Merge { tip: "c1".into(), commit: "c2".into() };
    seen.answers.merged.insert(uid(1), Observed::Known(Some(merge)));
    let fleet = fleet([owner, sharer("runs"), sharer("died"), sharer("new")]);
    let made = well(&fleet, seen, &records(all), &policy());
    assert_eq!(acting(&made), ["runs", "owner"]);
    assert!(matches!(kind(&made, "runs"), StepKind::Stop { reason: StopReason::Owner, .. }));
    assert!(matches!(kind(&made, "owner"), StepKind::Decommission(_)));
    for waits in ["died", "new"] {
        assert_eq!(reason(&made, waits), &HoldReason::After(vec![name("owner")]));
    }
}

#[test]
fn a_removal_waits_while_a_create_in_its_repository_cannot_be_made() {
    let gone = record(&session("gone", Kind::Command), 1);
    let fleet = fleet([session("new", Kind::Command), session("kept", Kind::Command)]);
    let kept = record(&session("kept", Kind::Command), 2);
    let all = [gone, kept];
    let mut seen = running(&all);
    if let Observed::Known(server) = &mut seen.tmux {
        let mut stranger = server.panes[0].clone();
        stranger.mark = Marked::No;
        stranger.session_name = "shop/new".into();
        server.panes.push(stranger);
    }
    let made = well(&fleet, seen, &records(all), &policy());
    let conflict = Conflict::Session { name: "shop/new".into() };
    assert_eq!(reason(&made, "new"), &HoldReason::Conflict(conflict));
    assert_eq!(reason(&made, "gone"), &HoldReason::After(vec![name("new")]));
}

#[test]
fn a_create_that_waits_for_a_removal_to_make_room_does_not_hold_it() {
    let gone = record(&session("gone", Kind::Command), 1);
    let kept = record(&session("kept", Kind::Command), 2);
    let mut new = session("new", Kind::Command);
    new.worktree = Where::Own { branch: Some("shop/gone".into()), base: None };
    apply(&mut new);
    let fleet = fleet([new, session("kept", Kind::Command)]);
    let all = [gone, kept];
    let made = well(&fleet, running(&all), &records(all.clone()), &policy());
    assert!(matches!(reason(&made, "new"), HoldReason::Conflict(Conflict::Branch { .. })));
    assert!(matches!(kind(&made, "gone"), StepKind::Decommission(_)));
}

#[test]
fn two_creates_of_one_branch_are_not_both_made() {
    let branch = |text: &str| {
        let mut session = session(text, Kind::Command);
        session.worktree = Where::Own { branch: Some("same".into()), base: None };
        session
    };
    let fleet = fleet([branch("one"), branch("two")]);
    let made = well(&fleet, snapshot(vec![], vec![]), &records([]), &policy());
    assert_eq!(acting(&made), ["one"]);
    assert!(matches!(reason(&made, "two"), HoldReason::Conflict(Conflict::Branch { .. })));
}

#[test]
fn one_uid_on_two_live_panes_holds_both() {
    let api = record(&session("api", Kind::Command), 1);
    let mut seen = running(std::slice::from_ref(&api));
    if let Observed::Known(server) = &mut seen.tmux {
        let mut copy = server.panes[0].clone();
        copy.id = fleetctl::snapshot::PaneId("%77".into());
        server.panes.push(copy);
    }
    let made = well(&fleet([session("api", Kind::Command)]), seen, &records([api]), &policy());
    assert_eq!(reason(&made, "api"), &HoldReason::Doubled);
}

#[test]
fn a_lowered_protection_is_taken_over_before_the_session_may_go() {
    let mut shielded = session("api", Kind::Command);
    shielded.protect = true;
    apply(&mut shielded);
    let api = record(&shielded, 1);
    let plain = fleet([session("api", Kind::Command)]);
    let made =
        well(&plain, running(std::slice::from_ref(&api)), &records([api.clone()]), &policy());
    assert!(matches!(kind(&made, "api"), StepKind::Update { .. }));
    let gone = fleet([session("other", Kind::Command)]);
    let made = well(&gone, running(std::slice::from_ref(&api)), &records([api]), &policy());
    assert_eq!(reason(&made, "api"), &HoldReason::Protected { since: 1 });
}

#[test]
fn a_session_that_crashes_again_and_again_is_given_up() {
    let mut api = record(&session("api", Kind::Command), 1);
    let fleet = fleet([session("api", Kind::Command)]);
    let mut crashed = running(std::slice::from_ref(&api));
    if let Observed::Known(server) = &mut crashed.tmux {
        server.panes[0].state = PaneState::Exited(1);
    }
    // The run is a short one: it began after the crash before it.
    api.runtime.as_mut().expect("it ran").started = ago(1);
    for crashes in 0..4 {
        api.books.crashes.count = crashes;
        api.books.crashes.recent = vec![ago(29); crashes as usize];
        let made = well(&fleet, crashed.clone(), &records([api.clone()]), &policy());
        assert!(matches!(kind(&made, "api"), StepKind::Start { .. }), "after {crashes}");
    }
    api.books.crashes.recent = vec![ago(29); 4];
    let made = well(&fleet, crashed.clone(), &records([api.clone()]), &policy());
    assert!(matches!(kind(&made, "api"), StepKind::Settle(fleetctl::record::EndKind::GivenUp)));
    api.books.crashes.recent = vec![ago(31); 4];
    let made = well(&fleet, crashed, &records([api]), &policy());
    assert!(matches!(kind(&made, "api"), StepKind::Start { .. }));
}

#[test]
fn a_plan_says_when_time_alone_would_change_it() {
    let mut all = crowd(4);
    let rest = ["s2", "s3", "s4"].map(|n| session(n, Kind::Command));
    all[0].gone_since = Some(ago(4));
    let waits = Policy { removals: Removals::WhenDue, ..policy() };
    let made = well(&fleet(rest.clone()), running(&all), &records(all.clone()), &waits);
    assert_eq!(made.due, Some(ago(-6)), "prune: ten minutes after it left the file");
    let mut held = wish(WishKind::Hold);
    held.until = Some(ago(-2));
    all[1].wish = Some(held);
    let made = well(&fleet(rest.clone()), running(&all), &records(all.clone()), &waits);
    assert_eq!(made.due, Some(ago(-2)), "the hold ends earlier");
    let still = well(&fleet(rest), running(&all[1..]), &records([all[2].clone()]), &policy());
    assert_eq!(still.due, None);
}

#[test]
fn what_waits_for_idleness_or_a_client_to_leave_is_looked_at_again() {
    let mut api = session("api", Kind::Agent);
    let known = record(&api, 1);
    api.model = Some("opus".into());
    apply(&mut api);
    let seen = running(std::slice::from_ref(&known));
    let made = well(&fleet([api]), seen, &records([known]), &policy());
    assert_eq!(reason(&made, "api"), &HoldReason::Busy);
    assert_eq!(made.due, Some(now() + jiff::SignedDuration::from_secs(5)));
}

#[test]
fn a_removal_that_a_verb_asks_for_passes_the_mass_guard() {
    let all = crowd(3);
    let fleet = fleet([session("other", Kind::Command)]);
    let remove = Request::Remove { archive: false, keep: false };
    let requests = ["s1", "s2", "s3"].map(|n| (name(n), remove)).into();
    let asked = Policy { requests, ..policy() };
    let made = well(&fleet, running(&all), &records(all), &asked);
    assert_eq!(acting(&made)[1..], ["s1", "s2", "s3"]);
}

#[test]
fn a_look_wants_every_repository_that_file_or_memory_names() {
    let mut pair_records = crowd(1);
    pair_records[0].place = Place::Repository { repo: "/srv/old".into() };
    let fleet = fleet([session("s1", Kind::Command)]);
    let wanted = wanted(&fleet, &records(pair_records));
    assert_eq!(wanted.repos, ["/srv/old".into(), "/srv/shop".into()].into());
    let mut empty = fleetctl::world::sim::Sim::new(now());
    assert!(empty.observe(&wanted).tmux.known().is_none());
}
