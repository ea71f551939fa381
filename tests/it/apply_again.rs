//! Apply after apply: nothing where nothing changed, and back again what died.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use super::sandbox::{SOON, eventually};
use super::stage::Stage;
use rustix::process::Signal;
use std::fs;
use std::process::Stdio;

const TWO: &str = "sessions:
  api: {command: [sleep, '1000']}
  web: {command: [sleep, '1000'], worktree: api, depends_on: [api]}";

#[test]
fn a_second_apply_plans_nothing_and_writes_nothing() {
    let stage = Stage::applied(TWO);
    let (before, api, web) = (stage.listing(), stage.pid("api"), stage.pid("web"));

    stage.apply(&[]).ok().says("nothing");
    stage.diff().ok();
    stage.apply(&["--dry-run"]).ok();
    stage.apply(&["--yes", "--prune"]).ok();

    stage.is_unchanged_since(&before);
    assert_eq!((api, web), (stage.pid("api"), stage.pid("web")));
}

#[test]
fn a_killed_tmux_session_comes_back_in_its_worktree_as_the_same_incarnation() {
    let stage = Stage::applied(TWO);
    let (uid, pid, web) = (stage.uid("api"), stage.pid("api"), stage.pid("web"));
    fs::write(stage.worktree("api").join("work"), "half done\n").unwrap();
    stage.tmux(&["kill-session", "-t", "=shop/api"]).ok();

    stage.diff().code(1).says("api");
    stage.apply(&[]).ok();

    assert_eq!(stage.uid("api"), uid);
    assert_ne!(stage.pid("api"), pid);
    assert_eq!(stage.pid("web"), web);
    assert_eq!(fs::read_to_string(stage.worktree("api").join("work")).unwrap(), "half done\n");
    stage.converged();
}

#[test]
fn a_killed_server_comes_back_with_all_its_sessions() {
    let stage = Stage::applied(TWO);
    let uids = (stage.uid("api"), stage.uid("web"));
    stage.end_server();

    stage.diff().code(1).says("api").says("web");
    stage.apply(&[]).ok();

    assert_eq!(uids, (stage.uid("api"), stage.uid("web")));
    assert!(stage.runs("api") && stage.runs("web"));
    stage.converged();
}

#[test]
fn a_killed_agent_is_started_again_in_its_own_pane_s_session() {
    let stage = Stage::applied(TWO);
    let (uid, pid) = (stage.uid("api"), stage.pid("api"));
    stage.kill(pid, Signal::KILL);
    stage.ends("api");

    stage.diff().code(1).says("signal 9");
    stage.apply(&[]).ok();

    assert_eq!(stage.uid("api"), uid);
    assert_ne!(stage.pid("api"), pid);
    assert_eq!(stage.pane_of("api").session_name, "shop/api");
    stage.converged();
}

/// It ignores what a server's end sends, and tells its pid.
const DEAF: &str = "sessions:
  deaf: {command: \"trap '' HUP; echo $$ > pid; while :; do sleep 0.05; done\"}";

#[test]
fn an_agent_that_outlived_its_server_is_ended_before_the_next_one_starts() {
    let stage = Stage::applied(DEAF);
    stage.writes(stage.worktree("deaf").join("pid"));
    let first = stage.pid("deaf");
    stage.end_server();
    assert!(stage.process(first).is_some());

    stage.apply(&[]).ok();

    assert!(stage.process(first).is_none(), "two agents in one worktree");
    assert_ne!(stage.pid("deaf"), first);
    stage.converged();
}

#[test]
fn a_helper_that_a_killed_agent_left_behind_is_ended_before_the_next_one_starts() {
    let stage = Stage::applied(
        "sessions: {a: {command: \"sh -c 'echo $$ > helper; exec sleep 1000' & exec sleep 1000\"}}",
    );
    let helper: u32 = stage.writes(stage.worktree("a").join("helper")).trim().parse().unwrap();
    stage.kill(stage.pid("a"), Signal::KILL);
    stage.ends("a");
    if stage.process(helper).is_none() {
        return;
    }

    stage.apply(&[]).ok();

    assert!(stage.process(helper).is_none());
    stage.converged();
}

#[test]
fn a_worktree_of_which_git_knows_nothing_any_more_is_made_anew() {
    let stage = Stage::applied("sessions: {a: {command: [sleep, '1000']}}");
    stage.tmux(&["kill-session", "-t", "=shop/a"]).ok();
    let path = stage.worktree("a");
    stage.git(stage.top(), &["worktree", "unlock", path.to_str().unwrap()]);
    stage.git(stage.top(), &["worktree", "remove", path.to_str().unwrap()]);

    stage.apply(&["--yes"]).ok();

    assert!(path.join("README").is_file());
    stage.converged();
}

#[test]
fn a_worktree_whose_directory_is_gone_is_held_until_its_human_asks_for_a_new_one() {
    let stage = Stage::applied("sessions: {a: {command: [sleep, '1000']}}");
    stage.tmux(&["kill-session", "-t", "=shop/a"]).ok();
    fs::rename(stage.worktree("a"), stage.path("elsewhere")).unwrap();

    stage.diff().code(1).says("fleetctl start a --new-worktree");
    stage.apply(&[]).code(4);
    assert!(!stage.runs("a"));
    stage.verb(&["start", "a", "--new-worktree"]).ok();

    assert!(stage.worktree("a").join("README").is_file());
    stage.converged();
}

#[test]
fn the_same_fleet_from_a_copy_of_its_manifest_is_refused_until_it_is_taken_over() {
    let stage = Stage::applied(TWO);
    let pid = stage.pid("api");
    let text = fs::read_to_string(stage.top().join("fleet.yaml")).unwrap();
    let copy = stage.write("shop/copy/fleet.yaml", &text);

    stage.apply(&["-f", copy.to_str().unwrap()]).code(3).complains("--take-over");
    stage.apply(&["-f", copy.to_str().unwrap(), "--take-over"]).ok();

    assert_eq!(stage.pid("api"), pid);
}

#[test]
fn a_second_writer_is_told_who_holds_the_lock() {
    let stage =
        Stage::new("sessions: {a: {command: [sleep, '1000'], setup: 'touch started; sleep 0.01'}}");
    let hook = stage.write(
        "shop/.git/hooks/post-checkout",
        "#!/bin/sh\ntouch \"$0.in\"\nwhile ! test -e \"$0.go\"; do sleep 0.02; done\n",
    );
    make_executable(&hook);
    let mut first = stage.command(env!("CARGO_BIN_EXE_fleetctl"));
    let quiet = first.stdout(Stdio::null()).stderr(Stdio::null());
    let mut first = quiet.arg("apply").current_dir(stage.top()).spawn().unwrap();
    eventually(SOON, "the hook runs", || stage.top().join(".git/hooks/post-checkout.in").exists());

    stage.apply(&[]).code(5).complains(&first.id().to_string());
    stage.diff().code(1);

    fs::write(stage.top().join(".git/hooks/post-checkout.go"), "").unwrap();
    assert!(first.wait().unwrap().success());
    stage.converged();
}

fn make_executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
