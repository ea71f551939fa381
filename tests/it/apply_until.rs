//! `until: merged`, `stop_after`, `ready` and `depends_on` on the real tmux and git.

use super::sandbox::{SOON, eventually};
use super::stage::Stage;
use fleetctl::snapshot::PaneState;

const UNTIL: &str = "sessions:\n  a: {command: [sleep, '1000'], until: merged}\n  \
                     b: {command: [sleep, '1000'], worktree: a}\n  \
                     c: {command: [sleep, '1000'], worktree: false, depends_on: {a: merged}}\n";

fn commit(stage: &Stage, name: &str) {
    stage.write(&format!("shop.worktrees/a/{name}"), "done\n");
    stage.git(stage.worktree("a"), &["add", name]);
    stage.git(stage.worktree("a"), &["commit", "--quiet", "-m", name]);
}

#[test]
fn a_session_whose_work_is_merged_is_taken_down_and_remembered() {
    let stage = Stage::applied(UNTIL);
    assert!(stage.runs("a") && stage.runs("b") && !stage.runs("c"));
    stage.diff().code(1).says("is created when the work of a is merged");
    commit(&stage, "work");
    stage.apply(&["--yes"]).ok();
    assert!(stage.runs("a"), "not merged");
    stage.git(stage.top(), &["merge", "--quiet", "--squash", "shop/a"]);
    stage.git(stage.top(), &["commit", "--quiet", "-m", "work (#1)"]);
    stage.diff().code(1).says("decommission").says("merged in ");
    stage.apply(&["--yes"]).ok();
    eventually(SOON, "a and its sharer are gone", || {
        stage.apply(&["--yes"]);
        stage.panes_of("shop", "a").is_empty() && !stage.runs("b") && stage.runs("c")
    });
    assert!(!stage.worktree("a").exists());
    stage.diff().code(1).says("finished").says("again: fleetctl start a --again");
    // Emptying the trash and another server change nothing about it.
    stage.verb(&["trash", "empty", "--yes"]).ok();
    stage.end_server();
    stage.apply(&["--yes"]).says("finished");
    assert!(stage.panes_of("shop", "a").is_empty());
    stage.verb(&["start", "a"]).code(3).complains("a is finished").complains("start a --again");
    stage.verb(&["start", "a", "--again"]).ok();
    assert!(stage.runs("a"));
    stage.apply(&["--yes"]).ok();
    assert!(stage.runs("a"), "what was merged before is not its work");
    commit(&stage, "second");
    stage.git(stage.top(), &["merge", "--quiet", "--no-ff", "-m", "merge", "shop/a"]);
    stage.apply(&["--yes"]);
    stage.apply(&["--yes"]);
    assert!(stage.panes_of("shop", "a").is_empty());
}

#[test]
fn merged_work_with_something_unsaved_beside_it_stays() {
    let stage = Stage::applied("sessions: {a: {command: [sleep, '1000'], until: merged}}");
    commit(&stage, "work");
    stage.git(stage.top(), &["merge", "--quiet", "--ff-only", "shop/a"]);
    stage.write("shop.worktrees/a/notes", "not yet\n");
    stage.apply(&["--yes"]).code(4).says("at risk: 1 untracked");
    assert!(stage.runs("a"));
    std::fs::remove_file(stage.worktree("a").join("notes")).unwrap();
    stage.apply(&["--yes"]).ok();
    assert!(stage.panes_of("shop", "a").is_empty());
    // Back from the trash it is kept until somebody wants it.
    stage.verb(&["restore", "a"]).ok().says("its work is merged");
    stage.apply(&["--yes"]).ok();
    assert!(stage.worktree("a").join("work").exists() && !stage.runs("a"));
    stage.verb(&["start", "a"]).ok();
    stage.apply(&["--yes"]).ok();
    assert!(stage.runs("a"), "what was merged before it was restored counts no more");
}

#[test]
fn a_run_that_is_old_enough_is_ended_and_stays_so() {
    let stage = Stage::applied(
        "sessions:\n  a: {command: [sleep, '1000'], stop_after: {age: 1s}}\n  \
         b: {command: [sleep, '1000'], worktree: false}\n",
    );
    eventually(SOON, "its time is over", || stage.diff().stdout.contains("stop_after"));
    stage.apply(&[]).ok();
    assert!(!stage.runs("a"));
    stage.converged();
    stage.verb(&["get"]).ok().says("expired");
    assert!(stage.worktree("a").exists());
    stage.end_server();
    stage.apply(&[]).ok();
    assert!(!stage.runs("a"));
    stage.verb(&["start", "a"]).ok();
    assert!(stage.runs("a"));
}

#[test]
fn a_shell_that_does_nothing_for_long_enough_is_ended() {
    let stage = Stage::applied("sessions: {a: {agent: shell, stop_after: {idle: 1s}}}");
    eventually(SOON, "it is idle", || {
        stage.apply(&[]).ok();
        !stage.runs("a")
    });
    stage.verb(&["get"]).ok().says("expired");
    stage.converged();
}

#[test]
fn what_waits_for_a_ready_session_starts_when_its_screen_says_so() {
    let stage = Stage::applied(
        "sessions:\n  a: {command: 'until test -e go; do sleep 0.05; done; echo server is up; exec sleep 1000', ready: {screen: '^server is (up|down)$'}}\n  \
         b: {command: [sleep, '1000'], worktree: false, depends_on: {a: ready}}\n",
    );
    assert!(stage.runs("a") && !stage.runs("b"));
    stage.diff().code(1).says("is created when a is ready");
    stage.verb(&["get"]).ok().says("progressing");
    stage.write("shop.worktrees/a/go", "\n");
    eventually(SOON, "a is ready", || {
        stage.apply(&[]).ok();
        stage.runs("b")
    });
    stage.verb(&["get"]).ok().says("healthy");
    stage.converged();
}

#[test]
fn a_command_or_a_port_may_say_that_a_session_is_ready() {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let stage = Stage::applied(&format!(
        "sessions:\n  a: {{command: [sleep, '1000'], ready: {{command: 'test -e ready-$FLEET_SESSION'}}}}\n  \
         p: {{command: [sleep, '1000'], ready: {{port: {port}, timeout: 1s}}}}\n  \
         b: {{command: [sleep, '1000'], worktree: false, depends_on: {{a: ready}}}}\n  \
         q: {{command: [sleep, '1000'], worktree: false, depends_on: {{p: ready}}}}\n"
    ));
    assert!(!stage.runs("b") && !stage.runs("q"));
    stage.write("shop.worktrees/a/ready-a", "\n");
    stage.apply(&[]).ok();
    assert!(stage.runs("b") && !stage.runs("q"));
    eventually(SOON, "p should be ready by now", || {
        let seen = stage.verb(&["get"]).ok();
        seen.stdout.contains("degraded") && seen.stdout.contains("not ready after 1")
    });
    let _listening = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    stage.apply(&[]).ok();
    assert!(stage.runs("q"));
    stage.converged();
}

#[test]
fn a_probe_that_was_not_applied_is_not_run_by_a_look() {
    let stage = Stage::applied("sessions: {a: {command: [sleep, '1000']}}");
    stage.fleet("sessions: {a: {command: [sleep, '1000'], ready: {command: 'touch ../ran'}}}");
    stage.diff().code(1);
    stage.verb(&["get"]).ok();
    assert!(!stage.path("shop.worktrees/ran").exists());
    stage.apply(&[]).ok();
    stage.apply(&[]).ok();
    assert!(stage.path("shop.worktrees/ran").exists());
}

#[test]
fn what_waits_for_a_command_to_complete_starts_after_it() {
    let stage = Stage::applied(
        "sessions:\n  a: {command: 'exit 0'}\n  \
         b: {command: [sleep, '1000'], worktree: false, depends_on: {a: completed}}\n",
    );
    assert!(!stage.runs("b"));
    assert_eq!(stage.ends("a"), PaneState::Exited(0));
    stage.apply(&[]).ok();
    assert!(stage.runs("b"));
    stage.apply(&[]).ok();
    stage.converged();
}

#[test]
fn a_session_that_may_crash_twice_is_given_up_then() {
    let stage = Stage::applied(
        "sessions: {a: {command: 'exit 3', restart: {give_up: {starts: 2, within: 1h}}}}",
    );
    assert_eq!(stage.ends("a"), PaneState::Exited(3));
    stage.apply(&[]).ok();
    assert_eq!(stage.ends("a"), PaneState::Exited(3));
    stage.apply(&[]).ok().says("given up");
    stage.converged();
}
