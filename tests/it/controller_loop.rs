//! The controller on a simulated machine, in paused time: which passes it makes, why, and what they do.

use crate::fleets::{Kind, fleet, name, session, wish};
use crate::keeping::{Keeping, machine, paused};
use fleetctl::manifest::fleet::{Fleet, Prune};
use fleetctl::reconcile::wake::Cause;
use fleetctl::record::{Wish, WishKind};
use fleetctl::snapshot::{Checkout, Head, Observed, PaneState};
use fleetctl::store::{Change, Store};
use fleetctl::world::World;
use fleetctl::world::sim::Fate;
use jiff::SignedDuration;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn commands(names: &[&str]) -> Fleet {
    fleet(names.iter().map(|name| session(name, Kind::Command)))
}

#[test]
fn a_fleet_is_made_and_then_left_alone_but_for_a_resync_a_minute() {
    paused(async {
        let keeping = Keeping::of(commands(&["a", "b"]));
        keeping.rest(MINUTE * 5).await;
        assert_eq!(
            keeping.log(),
            [
                "0.0 start: create a, create b",
                "0.0 again: nothing",
                "60.0 resync: nothing",
                "120.0 resync: nothing",
                "180.0 resync: nothing",
                "240.0 resync: nothing",
            ]
        );
        assert_eq!(keeping.hello().passes, 6);
        keeping.end().await;
    });
}

#[test]
fn a_killed_session_is_there_again_at_once_and_many_of_them_are_one_pass() {
    paused(async {
        let keeping = Keeping::of(commands(&["a", "b", "c"]));
        keeping.rest(SECOND).await;
        keeping.log();
        keeping.machine(|sim| sim.terminal.panes.retain(|pane| pane.session_name == "shop/c"));
        for cause in [Cause::Ended, Cause::Tmux, Cause::Ended, Cause::Tmux] {
            keeping.hint(cause);
        }
        keeping.rest(SECOND).await;
        assert_eq!(keeping.log(), ["1.0 tmux+ended: start a, start b", "1.0 again: nothing"]);
        assert_eq!(keeping.running(), ["a", "b", "c"]);
        keeping.end().await;
    });
}

#[test]
fn what_nobody_saw_heals_within_one_resync() {
    paused(async {
        let keeping = Keeping::of(commands(&["a"]));
        keeping.rest(SECOND).await;
        keeping.machine(|sim| sim.terminal.die());
        keeping.rest(MINUTE + SECOND).await;
        assert_eq!(keeping.running(), ["a"]);
        *keeping.file.lock().expect("a fixture") = Ok(commands(&["a", "b"]));
        keeping.rest(MINUTE + SECOND).await;
        assert_eq!(keeping.running(), ["a", "b"]);
        keeping.end().await;
    });
}

#[test]
fn a_file_that_is_written_all_the_time_is_read_every_five_seconds() {
    paused(async {
        let keeping = Keeping::of(commands(&["a"]));
        keeping.rest(SECOND).await;
        keeping.log();
        for _ in 0..200 {
            keeping.hint(Cause::Manifest);
            keeping.rest(Duration::from_millis(100)).await;
        }
        let log = keeping.log();
        assert_eq!(
            log,
            ["6.0 manifest: nothing", "11.1 manifest: nothing", "16.2 manifest: nothing"]
        );
        keeping.end().await;
    });
}

#[test]
fn a_bad_manifest_changes_nothing_is_said_once_and_heals_by_itself() {
    paused(async {
        let keeping = Keeping::of(commands(&["a"]));
        keeping.rest(SECOND).await;
        keeping.log();
        for _ in 0..3 {
            keeping.file(Err("fleet.yaml:3:1: unknown field".into()));
            keeping.rest(SECOND).await;
        }
        assert_eq!(
            keeping.log(),
            [
                "! the last good manifest is kept: fleet.yaml:3:1: unknown field",
                "1.3 manifest: nothing",
                "2.3 manifest: nothing",
                "3.3 manifest: nothing",
            ]
        );
        assert!(keeping.hello().failing.is_some());
        // The last good one is kept, not only remembered.
        keeping.machine(|sim| sim.terminal.die());
        keeping.hint(Cause::Tmux);
        keeping.rest(SECOND).await;
        assert_eq!(keeping.running(), ["a"]);
        keeping.file(Ok(commands(&["a", "b"])));
        keeping.rest(SECOND).await;
        assert_eq!(keeping.running(), ["a", "b"]);
        assert_eq!(keeping.hello().failing, None);
        keeping.end().await;
    });
}

#[test]
fn what_left_the_file_goes_when_prune_has_passed_and_not_if_it_comes_back() {
    paused(async {
        let keeping = Keeping::of(commands(&["a", "b"]));
        keeping.rest(SECOND).await;
        keeping.file(Ok(commands(&["a"])));
        keeping.rest(MINUTE * 9).await;
        keeping.file(Ok(commands(&["a", "b"])));
        keeping.rest(MINUTE).await;
        keeping.file(Ok(commands(&["a"])));
        keeping.rest(MINUTE * 9).await;
        assert_eq!(keeping.running(), ["a", "b"]);
        keeping.log();
        keeping.rest(MINUTE * 2).await;
        assert_eq!(keeping.running(), ["a"]);
        let steps: Vec<String> = keeping.log();
        let went: Vec<&String> = steps.iter().filter(|line| !line.contains("nothing")).collect();
        assert_eq!(went.len(), 1, "{steps:?}");
        assert!(went[0].contains("due: decommission b"), "{went:?}");
        keeping.end().await;
    });
}

#[test]
fn a_machine_that_slept_makes_one_pass_and_not_all_that_it_missed() {
    paused(async {
        let keeping = Keeping::of(commands(&["a"]));
        keeping.rest(SECOND).await;
        keeping.log();
        tokio::time::advance(Duration::from_secs(8 * 3600)).await;
        keeping.rest(SECOND).await;
        assert_eq!(keeping.log().len(), 1);
        keeping.end().await;
    });
}

#[test]
fn a_clock_that_is_set_back_or_forth_does_not_stop_the_loop() {
    paused(async {
        let mut fleet = commands(&["a", "b"]);
        fleet.settings.prune = Prune::After(MINUTE);
        let keeping = Keeping::of(fleet.clone());
        keeping.rest(SECOND).await;
        fleet.sessions.shift_remove(&name("b"));
        keeping.file(Ok(fleet));
        keeping.rest(SECOND).await;
        keeping.machine(|sim| sim.wait(SignedDuration::from_hours(-3)));
        keeping.rest(MINUTE * 2).await;
        assert_eq!(keeping.running(), ["a", "b"], "it has not been gone for a minute by the clock");
        keeping.machine(|sim| sim.wait(SignedDuration::from_hours(3)));
        keeping.rest(MINUTE * 2).await;
        assert_eq!(keeping.running(), ["a"]);
        assert!(keeping.log().len() < 12);
        keeping.end().await;
    });
}

#[test]
fn a_verb_has_its_turn_between_two_passes_and_its_work_is_seen_after_it() {
    paused(async {
        let keeping = Keeping::of(commands(&["a"]));
        keeping.rest(SECOND).await;
        keeping.log();
        let turn = keeping.turn().await;
        assert_eq!(keeping.hello().lent, Some(77));
        keeping.machine(|sim| sim.terminal.die());
        keeping.hint(Cause::Tmux);
        keeping.rest(MINUTE * 10).await;
        assert_eq!(keeping.log(), [""; 0], "no pass while it is lent");
        drop(turn);
        keeping.rest(SECOND).await;
        assert_eq!(keeping.running(), ["a"]);
        assert_eq!(keeping.hello().lent, None);
        assert!(keeping.log()[0].contains("verb"));
        keeping.end().await;
    });
}

#[test]
fn a_controller_that_was_ended_goes_on_where_it_was() {
    paused(async {
        let keeping = Keeping::of(commands(&["a", "b"]));
        keeping.rest(SECOND).await;
        let (sim, store) = keeping.end().await;
        let again = Keeping::on(sim, store, commands(&["a", "b"]));
        again.rest(SECOND).await;
        assert_eq!(again.log(), ["0.0 start: nothing"]);
        again.end().await;
    });
}

#[test]
fn tmux_that_cannot_be_seen_for_a_while_ends_and_doubles_nothing() {
    paused(async {
        let keeping = Keeping::of(commands(&["a", "b"]));
        keeping.rest(SECOND).await;
        keeping.log();
        keeping.machine(|sim| sim.faults.tmux_unseen = true);
        keeping.hint(Cause::Tmux);
        keeping.rest(MINUTE * 3).await;
        let blind = keeping.log();
        assert!(blind.iter().all(|line| line.ends_with("nothing")), "{blind:?}");
        assert!((8..=10).contains(&blind.len()), "more and more seldom: {blind:?}");
        keeping.machine(|sim| sim.faults.tmux_unseen = false);
        keeping.rest(MINUTE * 2).await;
        let seeing = keeping.log();
        assert!(seeing.iter().all(|line| line.ends_with("nothing")), "{seeing:?}");
        assert!((1..=3).contains(&seeing.len()), "as often as ever: {seeing:?}");
        assert_eq!(keeping.running(), ["a", "b"]);
        keeping.end().await;
    });
}

/// What is wrong with a machine from the first.
type Trouble = fn(&Keeping);

/// Steps and passes in any minute are bounded, whatever state the machine is in.
#[test]
fn no_state_makes_a_hot_loop() {
    let flapping: [(&str, Trouble); 4] = [
        ("crashing", |keeping| {
            keeping.machine(|sim| {
                sim.terminal.fates.insert(name("a"), Fate::Exits(1));
            });
        }),
        ("killed again and again", |_| {}),
        ("acts that fail", |keeping| {
            keeping.machine(|sim| sim.faults.failing = (0..100_000).collect());
        }),
        ("blind", |keeping| keeping.machine(|sim| sim.faults.tmux_unseen = true)),
    ];
    for (state, begin) in flapping {
        paused(async move {
            let keeping = Keeping::of(commands(&["a", "b"]));
            begin(&keeping);
            keeping.rest(SECOND).await;
            keeping.log();
            let before = keeping.machine(|sim| sim.acts);
            for _ in 0..240 {
                if state == "killed again and again" {
                    keeping.machine(|sim| {
                        sim.terminal.panes.retain(|pane| pane.session_name != "shop/a");
                    });
                }
                keeping.hint(Cause::Tmux);
                keeping.hint(Cause::Ended);
                keeping.rest(Duration::from_millis(250)).await;
            }
            let (passes, acts) = (keeping.log().len(), keeping.machine(|sim| sim.acts) - before);
            assert!(passes <= 500, "{state}: {passes} passes a minute");
            assert!(acts <= 130, "{state}: {acts} acts a minute");
            keeping.end().await;
        });
    }
}

#[test]
fn a_step_that_fails_is_tried_again_more_and_more_seldom_and_at_once_for_another_file() {
    paused(async {
        let keeping = Keeping::of(commands(&["a"]));
        keeping.machine(|sim| sim.faults.failing = (0..100_000).collect());
        keeping.rest(Duration::from_secs(40)).await;
        let tried: Vec<String> =
            keeping.log().into_iter().filter(|line| line.contains("create a failed")).collect();
        let times: Vec<&str> = tried.iter().map(|line| &line[..line.len().min(4)]).collect();
        assert_eq!(tried.len(), 4, "{times:?}");
        keeping.machine(|sim| sim.faults.failing.clear());
        let mut other = commands(&["a"]);
        other.digest = "d3".into();
        keeping.file(Ok(other));
        keeping.rest(SECOND).await;
        assert_eq!(keeping.running(), ["a"]);
        keeping.end().await;
    });
}

#[test]
fn an_ended_pass_is_followed_by_no_pass_that_does_the_same_again() {
    paused(async {
        let keeping = Keeping::of(commands(&["a"]));
        keeping.rest(SECOND).await;
        keeping.machine(|sim| {
            for pane in &mut sim.terminal.panes {
                pane.state = PaneState::Exited(0);
            }
        });
        keeping.log();
        keeping.hint(Cause::Ended);
        keeping.rest(MINUTE).await;
        assert_eq!(
            keeping.log(),
            ["1.0 ended: record a", "1.0 again: nothing"],
            "what completed stays so"
        );
        keeping.end().await;
    });
}

fn on(branch: &str, under_way: Option<&str>) -> Observed<Checkout> {
    let head = Head::Branch(branch.into());
    Observed::Known(Checkout { head, under_way: under_way.map(str::to_owned) })
}

#[test]
fn another_branch_s_file_removes_nothing_until_it_is_applied_and_going_back_heals() {
    paused(async {
        let mut sim = machine();
        sim.checkout = on("main", None);
        let store = Store::in_memory().expect("a store");
        let keeping = Keeping::on(sim, store, commands(&["a", "b"]));
        keeping.rest(SECOND).await;
        keeping.machine(|sim| sim.checkout = on("spike", None));
        keeping.file(Ok(commands(&["a", "c"])));
        keeping.rest(MINUTE * 30).await;
        assert_eq!(keeping.running(), ["a", "b", "c"], "it is made, and nothing is removed");
        keeping.machine(|sim| sim.checkout = on("main", Some("rebase")));
        keeping.rest(MINUTE * 30).await;
        assert_eq!(keeping.running(), ["a", "b", "c"]);
        keeping.machine(|sim| sim.checkout = on("main", None));
        keeping.file(Ok(commands(&["a", "b"])));
        keeping.rest(MINUTE * 30).await;
        assert_eq!(
            keeping.running(),
            ["a", "b"],
            "what only the other branch had goes in its time"
        );
        keeping.end().await;
    });
}

#[test]
fn after_a_reboot_agents_are_resumed_a_few_at_a_time_and_none_is_forgotten() {
    paused(async {
        let names: Vec<String> = (0..10).map(|number| format!("a{number}")).collect();
        let agents = fleet(names.iter().map(|name| session(name, Kind::Agent)));
        let keeping = Keeping::of(agents);
        keeping.rest(MINUTE).await;
        assert_eq!(keeping.running().len(), 10);
        keeping.log();
        keeping.machine(|sim| sim.terminal.die());
        keeping.hint(Cause::Tmux);
        keeping.rest(MINUTE).await;
        assert_eq!(keeping.running().len(), 10);
        let log = keeping.log();
        let resumed: Vec<usize> = log.iter().map(|line| line.matches("resume").count()).collect();
        assert_eq!(resumed.iter().sum::<usize>(), 10, "{log:?}");
        assert!(resumed.iter().all(|many| *many <= 4), "{log:?}");
        keeping.end().await;
    });
}

#[test]
fn a_restart_that_was_deferred_is_done_by_itself_when_the_client_has_gone() {
    paused(async {
        let keeping = Keeping::of(commands(&["a"]));
        keeping.rest(SECOND).await;
        keeping.machine(|sim| sim.terminal.panes.iter_mut().for_each(|pane| pane.attached = true));
        let mut other = commands(&["a"]);
        let a = other.sessions.get_mut(&name("a")).expect("a fixture");
        a.cwd = "web".into();
        crate::fleets::apply(a);
        other.digest = "d3".into();
        keeping.file(Ok(other));
        keeping.rest(MINUTE).await;
        assert!(keeping.log().iter().all(|line| !line.contains("restart")), "somebody watches");
        keeping.machine(|sim| sim.terminal.panes.iter_mut().for_each(|pane| pane.attached = false));
        keeping.rest(SECOND * 6).await;
        let log = keeping.log();
        assert!(log.iter().any(|line| line.ends_with("due: restart a")), "{log:?}");
        keeping.end().await;
    });
}

/// A held session holds no other, and what lifts the hold lifts it, without anybody's help.
#[test]
fn a_hold_keeps_nobody_else_from_changing_and_ends_with_its_time() {
    paused(async {
        let mut sim = machine();
        let mut store = Store::in_memory().expect("a store");
        let first = Keeping::on(sim, store, commands(&["a", "b"]));
        first.rest(SECOND).await;
        (sim, store) = first.end().await;
        let records = store.records().expect("they can be read");
        let mut a = records.by_name(&name("a")).expect("it was made").clone();
        let until = sim.now().checked_add(MINUTE * 2).ok();
        a.wish = Some(Wish { until, ..wish(WishKind::Hold) });
        store.write(&[Change::Put(Box::new(a))]).expect("it can be written");
        let mut other = commands(&["a", "b"]);
        for session in other.sessions.values_mut() {
            session.cwd = "web".into();
            crate::fleets::apply(session);
        }
        other.digest = "d3".into();
        let keeping = Keeping::on(sim, store, other);
        keeping.rest(MINUTE).await;
        let log = keeping.log();
        assert_eq!(log[0], "0.0 start: restart b", "{log:?}");
        assert!(log.iter().all(|line| !line.contains("restart a")), "{log:?}");
        keeping.rest(MINUTE * 2).await;
        assert!(keeping.log().iter().any(|line| line.ends_with("due: restart a")));
        keeping.end().await;
    });
}
