//! Several fleets, repositories and selections; shared worktrees; and the guards over many sessions at once.

use super::stage::Stage;
use fleetctl::snapshot::PaneState;

const TWO: &str = "sessions:
  a: {command: [sleep, '1000'], labels: {team: red}}
  b: {command: [sleep, '1000'], worktree: false, labels: {team: blue}}";

#[test]
fn two_fleets_on_one_server_and_in_one_repository_do_not_see_each_other() {
    let stage = Stage::applied(TWO);
    stage.fleet_at("shop/other/fleet.yaml", "other", "sessions: {a: {command: [sleep, '1000']}}");
    let other = |args: &[&str]| stage.fleetctl_in(stage.path("shop/other"), args);
    // Both want the directory `a` beside the repository: the second one is told, and nothing is touched.
    let output = other(&["apply"]);
    if output.code != 0 {
        output.code(4).says("shop.worktrees/a");
        stage.fleet_at(
            "shop/other/fleet.yaml",
            "other",
            "repos: {shop: {path: .., worktrees: ../../other.worktrees}}\nsessions: {a: {command: [sleep, '1000']}}",
        );
        other(&["apply"]).ok();
    }
    let pid = stage.panes_of("other", "a")[0].pid;
    stage.converged();
    other(&["diff"]).ok();

    stage.becomes("sessions: {b: {command: [sleep, '1000'], worktree: false}}").ok();

    assert!(!stage.runs("a"));
    assert_eq!(stage.panes_of("other", "a")[0].pid, pid);
    other(&["diff"]).ok();
}

#[test]
fn sessions_of_two_repositories_live_in_one_fleet() {
    let stage = Stage::new(
        "repos: {shop: {path: .}, docs: {path: ../docs}}
sessions:
  a: {command: [sleep, '1000'], repo: shop}
  b: {command: [sleep, '1000'], repo: docs}",
    );
    stage.repo("docs");
    stage.apply(&[]).ok();
    assert!(stage.worktree("a").join("README").is_file());
    assert!(stage.path("docs.worktrees/b/README").is_file());
    stage.converged();
    // One repository out of sight holds its own session only.
    std::fs::rename(stage.path("docs/.git"), stage.path("docs/.git-away")).unwrap();
    stage.diff().code(8).says("docs");
    stage.tmux(&["kill-session", "-t", "=shop/a"]).ok();
    stage.apply(&[]).code(8);
    assert!(stage.runs("a") && stage.runs("b"));
    std::fs::rename(stage.path("docs/.git-away"), stage.path("docs/.git")).unwrap();
    stage.converged();
}

#[test]
fn named_and_selected_sessions_are_all_that_is_touched_and_nothing_is_removed() {
    let stage = Stage::new(TWO);
    stage.apply(&["a"]).ok();
    assert!(stage.runs("a") && !stage.runs("b"));
    stage.apply(&["-l", "team=blue"]).ok();
    assert!(stage.runs("b"));
    stage.converged();
    stage.fleet("sessions: {b: {command: [sleep, '1001'], worktree: false, labels: {team: blue}}}");
    stage.apply(&["b"]).ok();
    assert!(stage.runs("a"), "a selection removed something");
    stage.apply(&["nosuch"]).code(2).complains("nosuch");
    stage.apply(&["--prune", "b"]).code(2);
}

#[test]
fn a_sharer_stops_before_its_owner_is_decommissioned() {
    let stage = Stage::applied(
        "sessions:
  z: {command: [sleep, '1000'], worktree: false}
  a: {command: [sleep, '1000']}
  s: {command: [sleep, '1000'], worktree: a}",
    );
    let cwd = std::fs::read_link(format!("/proc/{}/cwd", stage.pid("s"))).unwrap();
    assert_eq!(cwd, stage.worktree("a").canonicalize().unwrap());
    stage.becomes("sessions: {z: {command: [sleep, '1000'], worktree: false}}").ok();
    assert!(!stage.runs("a") && !stage.runs("s"));
    assert!(!stage.worktree("a").exists());
    stage.converged();
}

#[test]
fn a_sharer_that_leaves_alone_takes_no_worktree_with_it() {
    let stage = Stage::applied(
        "sessions: {a: {command: [sleep, '1000']}, s: {command: [sleep, '1000'], worktree: a}}",
    );
    let pid = stage.pid("a");
    stage.becomes("sessions: {a: {command: [sleep, '1000']}}").ok();
    assert_eq!(stage.pid("a"), pid);
    assert!(!stage.runs("s"));
    assert!(stage.worktree("a").join("README").is_file());
    stage.converged();
}

#[test]
fn a_sharer_follows_its_owner_into_the_new_worktree_when_that_is_recreated() {
    let text = |branch: &str| {
        format!(
            "sessions:
  z: {{command: [sleep, '1000'], worktree: false}}
  y: {{command: [sleep, '1000'], worktree: false}}
  a: {{command: [sleep, '1000']{branch}}}
  s: {{command: [sleep, '1000'], worktree: a}}"
        )
    };
    let stage = Stage::applied(&text(""));
    stage.fleet(&text(", branch: topic"));
    stage.apply(&["--yes"]).ok();
    stage.converged();
    assert!(stage.runs("a") && stage.runs("s"));
    stage.git(stage.worktree("a"), &["branch", "--show-current"]).says("topic");
}

#[test]
fn a_session_in_the_repository_itself_ends_and_nothing_else_goes() {
    let stage = Stage::applied(TWO);
    stage.write("shop/untracked", "mine");
    stage.becomes("sessions: {a: {command: [sleep, '1000'], labels: {team: red}}}").ok();
    assert!(!stage.runs("b"));
    assert!(stage.top().join("untracked").exists());
    stage.converged();
}

fn many(names: &[&str]) -> String {
    let lines: Vec<String> =
        names.iter().map(|name| format!("  {name}: {{command: [sleep, '1000']}}")).collect();
    format!("sessions:\n{}", lines.join("\n"))
}

#[test]
fn more_than_half_at_once_is_held_until_the_number_is_said() {
    let stage = Stage::applied(&many(&["a", "b", "c", "d"]));
    stage.becomes(&many(&["a"])).code(4).says("--max-decommission 3");
    assert!(["b", "c", "d"].iter().all(|name| stage.runs(name)));
    stage.apply(&["--yes", "--max-decommission", "2"]).code(4);
    assert!(["b", "c", "d"].iter().all(|name| stage.runs(name)));
    stage.apply(&["--yes", "--max-decommission", "3"]).ok();
    assert!(!["b", "c", "d"].iter().any(|name| stage.runs(name)));
    stage.converged();
}

#[test]
fn an_empty_list_of_sessions_removes_nothing_by_itself() {
    let stage = Stage::applied(&many(&["a"]));
    stage.fleet("sessions: {}");
    let output = stage.apply(&["--yes"]);
    assert!(output.code == 4 || output.code == 2, "{output:#?}");
    assert!(stage.runs("a"));
}

#[test]
fn what_destroys_is_refused_whole_where_nobody_can_be_asked() {
    let stage = Stage::applied(&many(&["a", "b"]));
    stage.fleet(&many(&["a", "c"]));
    let before = stage.listing();
    stage.apply(&[]).code(3).complains("--yes");
    assert!(stage.runs("b") && !stage.runs("c"));
    stage.is_unchanged_since(&before);
    stage.apply(&["--yes"]).ok();
    stage.converged();
}

#[test]
fn prune_manual_keeps_what_left_the_file_until_it_is_pruned() {
    let stage = Stage::applied(&many(&["a", "b"]));
    stage.becomes(&("prune: manual\n".to_owned() + &many(&["a"]))).says("--prune");
    assert!(stage.runs("b"));
    stage.apply(&["--yes", "--prune"]).ok();
    assert!(!stage.runs("b"));
    stage.converged();
}

#[test]
fn a_removed_session_of_keep_true_is_let_go_and_lives_on() {
    let stage = Stage::applied(&many(&["a", "b"]));
    let pane = stage.pane_of("b");
    stage.becomes(&("removed: [{session: b, keep: true}]\n".to_owned() + &many(&["a"]))).ok();
    assert_eq!(stage.pane(&pane.id).state, PaneState::Alive);
    assert!(stage.panes_of("shop", "b").is_empty());
    assert!(stage.worktree("b").join("README").is_file());
    stage.converged();
}

#[test]
fn another_socket_is_refused_while_sessions_live_on_the_old_one() {
    let stage = Stage::applied(&many(&["a"]));
    let text = std::fs::read_to_string(stage.top().join("fleet.yaml")).unwrap();
    let old = stage.socket();
    let new = stage.path("s2");
    let text = text.replace(old.to_str().unwrap(), new.to_str().unwrap());
    stage.write("shop/fleet.yaml", &text);
    stage.apply(&[]).code(3).complains(old.to_str().unwrap());
    assert!(!new.exists());
}

#[test]
fn an_agent_s_session_may_look_and_not_change() {
    let stage = Stage::applied(&many(&["a"]));
    let uid = stage.uid("a");
    let run = |args: &[&str]| {
        let mut command = stage.command(env!("CARGO_BIN_EXE_fleetctl"));
        command.env("FLEET_UID", "01ARZ3NDEKTSV4RRFFQ69G5FAV").current_dir(stage.top()).args(args);
        super::sandbox::Sandbox::run(&mut command)
    };
    run(&["diff"]).ok();
    run(&["get"]).ok().says("a");
    run(&["apply", "--yes"]).code(3);
    run(&["stop", "a"]).code(3);
    assert_eq!(stage.uid("a"), uid);
}
