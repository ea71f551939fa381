//! Ends that stand and ends that do not: restart policies, commands that complete, crashes, stops.

use super::stage::Stage;
use fleetctl::snapshot::PaneState;
use rustix::process::Signal;

fn one(fields: &str) -> String {
    format!("sessions: {{a: {{{fields}}}}}")
}

#[test]
fn a_command_that_completed_stands_as_completed() {
    let stage = Stage::applied(&one("command: 'exit 0'"));
    assert_eq!(stage.ends("a"), PaneState::Exited(0));
    stage.apply(&[]).ok();
    stage.converged();
    stage.verb(&["get"]).ok().says("completed");
    stage.apply(&[]).ok();
    assert!(!stage.runs("a"));
    // Across a server's death, too.
    stage.end_server();
    stage.apply(&[]).ok();
    assert!(stage.panes_of("shop", "a").is_empty());
    stage.converged();
    // Until its human wants it again.
    stage.verb(&["start", "a"]).ok();
    assert_eq!(stage.ends("a"), PaneState::Exited(0));
}

#[test]
fn restart_always_starts_again_what_completed() {
    let stage = Stage::applied(&one(
        "command: 'test -e again && exec sleep 1000; touch again', restart: always",
    ));
    assert_eq!(stage.ends("a"), PaneState::Exited(0));
    stage.diff().code(1);
    stage.apply(&[]).ok();
    assert!(stage.runs("a"));
    stage.converged();
}

#[test]
fn restart_never_lets_a_crash_stand() {
    let stage = Stage::applied(&one("command: 'exit 3', restart: never"));
    assert_eq!(stage.ends("a"), PaneState::Exited(3));
    stage.apply(&[]).ok();
    stage.converged();
    stage.apply(&[]).ok();
    assert!(!stage.runs("a"));
}

#[test]
fn a_crash_is_started_once_by_each_apply_and_given_up_in_the_end() {
    let stage = Stage::applied(&one("command: 'echo run >> ../runs; exit 3'"));
    for _ in 0..8 {
        if stage.ends("a") != PaneState::Exited(3) || stage.diff().code == 0 {
            break;
        }
        stage.apply(&[]).ok();
    }
    stage.converged();
    let runs = stage.writes(stage.path("shop.worktrees/runs")).lines().count();
    assert_eq!(runs, 5, "five starts in thirty minutes");
    stage.verb(&["get"]).ok().says("given up");
    stage.verb(&["start", "a"]).ok();
    stage.ends("a");
    super::sandbox::eventually(super::sandbox::SOON, "a sixth run", || {
        stage.writes(stage.path("shop.worktrees/runs")).lines().count() == 6
    });
}

#[test]
fn a_crash_by_a_signal_is_a_crash() {
    let stage = Stage::applied(&one("command: [sleep, '1000']"));
    stage.kill(stage.pid("a"), Signal::SEGV);
    stage.ends("a");
    stage.diff().code(1).says("crashed");
    stage.apply(&[]).ok();
    assert!(stage.runs("a"));
    stage.converged();
}

#[test]
fn what_a_human_stopped_stays_stopped_across_applies_and_servers() {
    let stage = Stage::applied(
        "sessions: {a: {command: [sleep, '1000']}, b: {command: [sleep, '1000'], worktree: false}}",
    );
    stage.verb(&["stop", "a", "-m", "lunch"]).ok();
    assert!(!stage.runs("a"));
    stage.diff().ok();
    stage.apply(&[]).ok();
    stage.end_server();
    stage.apply(&[]).ok();
    assert!(!stage.runs("a") && stage.runs("b"));
    stage.verb(&["get", "holds"]).ok().says("lunch").says("fleetctl start a");
    stage.verb(&["start", "a"]).ok();
    assert!(stage.runs("a"));
    stage.converged();
}

#[test]
fn what_a_human_holds_is_not_changed_until_it_is_released() {
    let stage = Stage::applied(&one("command: [sleep, '1000']"));
    let pid = stage.pid("a");
    stage.verb(&["hold", "a", "-m", "demo"]).ok();
    stage.verb(&["get"]).ok().says("on hold by tester: demo");
    stage.diff().ok();
    stage.fleet(&one("command: [sleep, '1001']"));
    stage.apply(&[]).ok().says("demo");
    assert_eq!(stage.pid("a"), pid);
    stage.verb(&["release", "a"]).ok();
    stage.apply(&[]).ok();
    assert_ne!(stage.pid("a"), pid);
    stage.converged();
}

#[test]
fn a_change_to_a_completed_command_waits_for_its_next_start() {
    let stage = Stage::applied(&one("command: 'exit 0'"));
    stage.ends("a");
    stage.apply(&[]).ok();
    stage.becomes(&one("command: 'sleep 1000'")).ok();
    stage.converged();
    assert!(!stage.runs("a"));
    stage.verb(&["start", "a"]).ok();
    assert!(stage.runs("a"));
    stage.converged();
}

#[test]
fn a_shell_that_its_human_left_is_completed_however_it_ended() {
    let stage = Stage::applied(&one("agent: shell"));
    stage.kill(stage.pid("a"), Signal::KILL);
    stage.ends("a");
    stage.apply(&[]).ok();
    stage.converged();
    assert!(!stage.runs("a"));
}

#[test]
fn an_end_that_is_only_recorded_says_so_in_the_report() {
    let stage = Stage::applied(&one("command: 'exit 0'"));
    stage.ends("a");
    stage.apply(&[]).ok().says("completed").says("record").says("1 done");
    stage.verb(&["validate"]).ok().says("0 agents, 1 shell\n");
}
