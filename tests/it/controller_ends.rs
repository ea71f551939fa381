//! What begins and ends by itself under a controller, in paused time: backoff, give up, readiness, idleness,
//! age, merges.

use crate::fleets::{Kind, REPO, fleet, name, on, session};
use crate::keeping::{Keeping, paused};
use fleetctl::manifest::fleet::{Need, Port, Probe, Ready, Restart, Session, Until};
use fleetctl::reconcile::wake::Cause;
use fleetctl::snapshot::PaneState;
use fleetctl::world::sim::Fate;
use jiff::SignedDuration;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// When the lines say that a session was started, in seconds.
fn starts(log: &[String], of: &str) -> Vec<f64> {
    let started = log.iter().filter(|line| {
        line.contains(&format!("start {of}")) || line.contains(&format!("create {of}"))
    });
    started.filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn command(text: &str) -> Session {
    session(text, Kind::Command)
}

#[test]
fn a_crash_loop_is_slowed_down_and_given_up() {
    paused(async {
        let keeping = Keeping::of(fleet([command("a"), command("b")]));
        keeping.machine(|sim| sim.terminal.fates.insert(name("a"), Fate::Exits(1)));
        keeping.rest(MINUTE * 30).await;
        let log = keeping.log();
        let waits = gaps(&starts(&log, "a"));
        assert_eq!(waits.len(), 4, "five starts: {log:#?}");
        for (wait, doubled) in waits.iter().zip([10.0, 20.0, 40.0, 80.0]) {
            assert!((doubled * 0.75..=doubled * 1.25 + 1.0).contains(wait), "{waits:?}");
        }
        assert_eq!(log.iter().filter(|line| line.contains("record a")).count(), 1);
        assert_eq!(keeping.running(), ["b"]);
        keeping.end().await;
    });
}

#[test]
fn a_backoff_outlives_its_controller_and_no_clock_makes_it_longer() {
    paused(async {
        let mut only = command("a");
        only.backoff.starts = 100;
        let keeping = Keeping::of(fleet([only.clone()]));
        keeping.machine(|sim| sim.terminal.fates.insert(name("a"), Fate::Exits(1)));
        keeping.rest(MINUTE * 2).await;
        let before = starts(&keeping.log(), "a").len();
        assert_eq!(before, 4, "at 0, 10, 30, 70 s");
        let (mut sim, store) = keeping.end().await;
        // The clock was a day ahead, and is right again.
        sim.wait(SignedDuration::from_hours(-24));
        let keeping = Keeping::on(sim, store, fleet([only]));
        keeping.rest(MINUTE).await;
        assert_eq!(starts(&keeping.log(), "a").len(), 0, "the wait goes on");
        keeping.rest(MINUTE * 6).await;
        let waits = starts(&keeping.log(), "a");
        assert!(!waits.is_empty(), "the wait ends");
        keeping.rest(MINUTE * 60).await;
        let waits = gaps(&starts(&keeping.log(), "a"));
        assert!(waits.iter().all(|wait| *wait < 302.0), "{waits:?}");
        assert!(waits.len() >= 11, "never given up: {waits:?}");
        keeping.end().await;
    });
}

#[test]
fn a_long_run_begins_the_count_anew() {
    paused(async {
        let keeping = Keeping::of(fleet([command("a")]));
        keeping.rest(SECOND).await;
        for _ in 0..8 {
            keeping.rest(MINUTE * 11).await;
            keeping.log();
            keeping.machine(|sim| sim.terminal.panes[0].state = PaneState::Exited(1));
            keeping.hint(Cause::Ended);
            keeping.rest(SECOND * 14).await;
            assert_eq!(starts(&keeping.log(), "a").len(), 1, "after the first wait, every time");
        }
        keeping.end().await;
    });
}

#[test]
fn a_session_that_is_killed_again_and_again_is_slowed_down_but_not_given_up() {
    paused(async {
        let keeping = Keeping::of(fleet([command("a")]));
        keeping.rest(SECOND).await;
        keeping.log();
        // Whoever kills it does so as soon as it is there.
        for _ in 0..60 * 60 {
            let killed = keeping.machine(|sim| {
                let alive = !sim.terminal.panes.is_empty();
                sim.terminal.panes.clear();
                alive
            });
            if killed {
                keeping.hint(Cause::Tmux);
            }
            keeping.rest(SECOND).await;
        }
        let log = keeping.log();
        let waits = gaps(&starts(&log, "a"));
        assert!(waits[0] < 13.6, "the second one waits: {waits:?}");
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1] + 2.0), "{waits:?}");
        assert!(waits.len() > 10 && *waits.last().expect("many") < 303.0, "{waits:?}");
        assert!(log.len() < 200, "no hot loop: {}", log.len());
        keeping.end().await;
    });
}

#[test]
fn what_is_to_run_always_is_slowed_down_too() {
    paused(async {
        let mut always = command("a");
        always.restart = Restart::Always;
        let keeping = Keeping::of(fleet([always]));
        keeping.machine(|sim| sim.terminal.fates.insert(name("a"), Fate::Exits(0)));
        keeping.rest(MINUTE * 60).await;
        let waits = gaps(&starts(&keeping.log(), "a"));
        assert!(waits[0] < 2.0, "the first time costs nothing: {waits:?}");
        assert!((10..30).contains(&waits.len()), "{waits:?}");
        keeping.end().await;
    });
}

#[test]
fn after_the_death_of_the_server_nobody_waits_for_a_backoff() {
    paused(async {
        let keeping = Keeping::of(fleet([command("a"), command("b")]));
        keeping.rest(SECOND).await;
        for _ in 0..10 {
            keeping.machine(|sim| sim.terminal.die());
            keeping.hint(Cause::Tmux);
            keeping.rest(SECOND).await;
            assert_eq!(keeping.running(), ["a", "b"]);
        }
        keeping.end().await;
    });
}

#[test]
fn a_session_is_asked_each_second_until_it_is_ready_and_then_no_more() {
    paused(async {
        let mut db = command("db");
        let probe = Probe::Port(Port::Number(5_432));
        db.ready = Some(Ready { probe, timeout: MINUTE });
        db.applied.in_place.insert("ready.port".into(), "5432".into());
        let mut api = command("api");
        api.depends_on = vec![on("db", Need::Ready)];
        let keeping = Keeping::of(fleet([db, api]));
        keeping.machine(|sim| sim.unready.insert(name("db")));
        keeping.rest(SECOND * 10).await;
        assert_eq!(keeping.running(), ["db"]);
        keeping.machine(|sim| sim.unready.remove(&name("db")));
        keeping.rest(SECOND * 2).await;
        assert_eq!(keeping.running(), ["api", "db"]);
        let passes = keeping.hello().passes;
        assert!((10..18).contains(&passes), "{passes}");
        // Ready is ready, whatever the probe says later.
        keeping.machine(|sim| sim.unready.insert(name("db")));
        keeping.rest(MINUTE * 3).await;
        assert!(keeping.hello().passes < passes + 6, "{}", keeping.hello().passes);
        keeping.end().await;
    });
}

#[test]
fn a_shell_is_ended_when_it_was_idle_for_long_enough_in_one_stretch() {
    paused(async {
        let mut shell = session("a", Kind::Shell);
        shell.stop_after.idle = Some(MINUTE * 10);
        let keeping = Keeping::of(fleet([shell]));
        keeping.rest(MINUTE * 9).await;
        assert_eq!(keeping.running(), ["a"]);
        let pane = keeping.machine(|sim| {
            let pane = sim.terminal.panes[0].id.clone();
            sim.terminal.commands.insert(pane.clone(), "make".into());
            pane
        });
        keeping.rest(MINUTE * 20).await;
        assert_eq!(keeping.running(), ["a"], "it works");
        keeping.machine(|sim| sim.terminal.commands.remove(&pane));
        keeping.rest(MINUTE * 9).await;
        assert_eq!(keeping.running(), ["a"], "idle for nine minutes");
        keeping.rest(MINUTE * 2).await;
        assert!(keeping.running().is_empty());
        keeping.rest(MINUTE * 30).await;
        assert!(keeping.running().is_empty(), "its end stands");
        keeping.end().await;
    });
}

#[test]
fn an_age_is_over_to_the_second() {
    paused(async {
        let mut old = session("a", Kind::Agent);
        old.stop_after.age = Some(MINUTE * 7 / 2);
        let keeping = Keeping::of(fleet([old]));
        keeping.rest(MINUTE * 10).await;
        let log = keeping.log();
        let stop = log.iter().find(|line| line.contains("stop a")).expect("it is stopped");
        let at: f64 = stop.split(' ').next().and_then(|at| at.parse().ok()).expect("a time");
        // The look that the run began with took a moment of the machine's own time.
        assert!((209.0..211.0).contains(&at), "{log:#?}");
        keeping.end().await;
    });
}

#[test]
fn a_session_whose_work_is_merged_goes_once_and_for_all() {
    paused(async {
        let mut a = command("a");
        a.until = Some(Until::Merged);
        let mut b = command("b");
        b.depends_on = vec![on("a", Need::Merged)];
        let keeping = Keeping::of(fleet([a.clone(), b.clone()]));
        keeping.rest(MINUTE).await;
        assert_eq!(keeping.running(), ["a"]);
        keeping.machine(|sim| {
            let forest = sim.repos.get_mut(std::path::Path::new(REPO)).expect("a fixture");
            forest.trees[0].merged = true;
        });
        keeping.rest(MINUTE * 2).await;
        assert_eq!(keeping.running(), ["b"]);
        keeping.log();
        let (sim, store) = keeping.end().await;
        let again = Keeping::on(sim, store, fleet([a, b]));
        again.rest(MINUTE * 5).await;
        assert!(again.log().iter().all(|line| line.ends_with("nothing")));
        assert_eq!(again.running(), ["b"]);
        again.end().await;
    });
}
