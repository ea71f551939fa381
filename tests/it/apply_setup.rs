//! What comes before the first instruction: setup, hooks, programs, directories, dependencies; and what a
//! failure of one stops.

use super::stage::Stage;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_setup_that_works_runs_once_in_the_session_s_own_worktree() {
    let stage = Stage::applied(
        "sessions: {a: {command: 'echo ran >> runs; exec sleep 1000', setup: ['pwd >> ../setups', 'true']}}",
    );
    stage.writes(stage.worktree("a").join("runs"));
    let setups = || fs::read_to_string(stage.path("shop.worktrees/setups")).unwrap();
    assert_eq!(setups().trim(), stage.worktree("a").canonicalize().unwrap().to_str().unwrap());
    stage.tmux(&["kill-session", "-t", "=shop/a"]).ok();
    stage.apply(&[]).ok();
    stage.verb(&["restart", "a"]).ok();
    assert_eq!(setups().lines().count(), 1);

    stage.verb(&["restart", "a", "--setup"]).ok();
    super::sandbox::eventually(super::sandbox::SOON, "setup again", || {
        setups().lines().count() == 2
    });
    stage.converged();
}

#[test]
fn a_failing_setup_fails_the_session_keeps_its_screen_and_runs_whole_at_the_next_start() {
    let stage = Stage::applied(
        "sessions:
  a: {command: [sleep, '1000'], setup: ['echo first >> ../log', 'echo the reason; test -e ../ok']}
  b: {command: [sleep, '1000']}",
    );
    stage.ends("a");
    let pane = stage.pane_of("a");
    stage.tmux(&["capture-pane", "-p", "-t", &pane.id.0]).says("the reason");
    stage.diff().code(1).says("failed").says("setup");
    stage.apply(&[]).ok();
    stage.converged();
    stage.verb(&["get"]).ok().says("failed");
    stage.verb(&["describe", "a"]).ok().says("setup");
    // It stands: neither apply nor another apply starts it again.
    stage.apply(&[]).ok();
    assert!(!stage.runs("a") && stage.runs("b"));

    stage.write("shop.worktrees/ok", "");
    stage.verb(&["start", "a"]).ok();
    assert!(stage.runs("a"));
    super::sandbox::eventually(super::sandbox::SOON, "all of it again", || {
        fs::read_to_string(stage.path("shop.worktrees/log")).unwrap() == "first\nfirst\n"
    });
    stage.converged();
}

#[test]
fn a_changed_setup_starts_a_failed_session_again() {
    let text =
        |setup: &str| format!("sessions: {{a: {{command: [sleep, '1000'], setup: '{setup}'}}}}");
    let stage = Stage::applied(&text("false"));
    stage.ends("a");
    stage.apply(&[]).ok();
    stage.becomes(&text("true")).ok();
    super::sandbox::eventually(super::sandbox::SOON, "it runs", || stage.runs("a"));
    stage.converged();
}

#[test]
fn a_failing_post_checkout_hook_fails_its_session_once_and_its_whole_worktree_is_used_then() {
    let stage = Stage::new(
        "sessions: {a: {command: [sleep, '1000']}, b: {command: [sleep, '1000'], worktree: false}}",
    );
    let hook =
        stage.write("shop/.git/hooks/post-checkout", "#!/bin/sh\necho no luck >&2; exit 1\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();

    stage.apply(&[]).code(4).says("no luck");
    assert!(!stage.runs("a") && stage.runs("b"));

    // The checkout itself is whole, and git runs its hook no second time.
    stage.apply(&[]).ok();
    assert!(stage.runs("a"));
    assert!(stage.worktree("a").join("README").is_file());
    stage.converged();
    let listed = stage.git(stage.top(), &["worktree", "list"]).stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

#[test]
fn a_failing_dependency_stops_its_dependents_only() {
    let stage = Stage::new(
        "sessions:
  a: {command: [sleep, '1000']}
  b: {command: [sleep, '1000'], worktree: false, depends_on: [a]}
  c: {command: [sleep, '1000'], worktree: false, depends_on: [b]}
  d: {command: [sleep, '1000'], worktree: false}
  e: {command: [sleep, '1000'], worktree: a}",
    );
    let hook = stage.write("shop/.git/hooks/post-checkout", "#!/bin/sh\nexit 1\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();

    stage.apply(&[]).code(4).says("it depends on a").says("it depends on b");
    for name in ["a", "b", "c", "e"] {
        assert!(!stage.runs(name), "{name}");
    }
    assert!(stage.runs("d"));
    fs::remove_file(hook).unwrap();
    stage.apply(&[]).ok();
    for name in ["a", "b", "c", "d", "e"] {
        assert!(stage.runs(name), "{name}");
    }
    stage.converged();
}

#[test]
fn dependencies_start_first_whatever_their_order_in_the_file() {
    let stage = Stage::applied(
        "sessions:
  c: {command: [sleep, '1000'], worktree: false, depends_on: [b]}
  b: {command: [sleep, '1000'], worktree: a, depends_on: [a]}
  a: {command: [sleep, '1000']}",
    );
    assert!(stage.pid("a") < stage.pid("b") && stage.pid("b") < stage.pid("c"));
    stage.converged();
}

#[test]
fn a_missing_program_fails_at_once_and_names_it() {
    let stage = Stage::applied("sessions: {a: {command: [no-such-program]}}");
    stage.ends("a");
    stage.diff().code(1).says("no-such-program");
    stage.apply(&[]).ok();
    stage.converged();
    stage.program("no-such-program", "#!/bin/sh\nexec sleep 1000\n");
    stage.verb(&["start", "a"]).ok();
    super::sandbox::eventually(super::sandbox::SOON, "it runs", || stage.runs("a"));
    stage.converged();
}

#[test]
fn a_missing_directory_fails_at_once_and_names_it() {
    let stage = Stage::applied("sessions: {a: {command: [sleep, '1000'], cwd: no/such}}");
    stage.ends("a");
    stage.diff().code(1).says("no/such");
    stage.apply(&[]).ok();
    stage.converged();
    fs::create_dir_all(stage.worktree("a").join("no/such")).unwrap();
    stage.verb(&["start", "a"]).ok();
    super::sandbox::eventually(super::sandbox::SOON, "it runs", || stage.runs("a"));
    stage.converged();
}

#[test]
fn a_base_that_is_not_there_is_named_and_holds_only_its_session() {
    let stage = Stage::new(
        "sessions: {a: {command: [sleep, '1000'], base: no-such-ref}, b: {command: [sleep, '1000']}}",
    );
    stage.apply(&[]).code(4).says("no-such-ref");
    assert!(!stage.runs("a") && stage.runs("b"));
    stage.git(stage.top(), &["branch", "no-such-ref"]);
    stage.apply(&[]).ok();
    stage.converged();
}

#[test]
fn a_session_s_environment_knows_its_fleet_and_not_its_tmux() {
    let stage =
        Stage::applied("sessions: {a: {command: 'env > ../env; echo >> ../env; exec sleep 1000'}}");
    let env = stage.writes(stage.path("shop.worktrees/env"));
    let worktree = stage.worktree("a").canonicalize().unwrap();
    for line in
        ["FLEET_NAME=shop", "FLEET_SESSION=a", &format!("FLEET_WORKTREE={}", worktree.display())]
    {
        assert!(env.lines().any(|seen| seen == line), "{line} is not in {env}");
    }
    assert!(!env.contains("TMUX="), "{env}");
    assert!(env.contains("FLEET_FILE="));
}
