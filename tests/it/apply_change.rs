//! Every class of field, changed in the file: what it restarts, what it leaves alone, and that it converges.

use super::sandbox::Output;
use super::stage::Stage;
use std::fs;

/// A session `a` with further fields, and one that it may depend on or share with.
fn with(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(
        "sessions:
  other: {{command: [sleep, '2000'], worktree: false}}
  a: {{command: [sleep, '1000']{comma}{fields}}}"
    )
}

/// What became of `a` when the manifest changed.
struct After {
    same_process: bool,
    same_incarnation: bool,
    output: Output,
}

/// Changes the file, applies, and checks that this converged and touched no other session.
#[track_caller]
fn change(stage: &Stage, text: &str) -> After {
    let (pid, uid, other) = (stage.pid("a"), stage.uid("a"), stage.pid("other"));
    stage.fleet(text);
    stage.diff().code(1).says("a");
    let output = stage.apply(&["--yes"]).ok();
    stage.converged();
    assert_eq!(stage.pid("other"), other, "another session was restarted");
    After { same_process: stage.pid("a") == pid, same_incarnation: stage.uid("a") == uid, output }
}

/// Adds a field and takes it out again: both times the process is another, the incarnation the same.
#[track_caller]
fn restarts(fields: &str) {
    let stage = Stage::applied(&with(""));
    for text in [with(fields), with("")] {
        let after = change(&stage, &text);
        assert!(!after.same_process, "{fields} restarted nothing");
        assert!(after.same_incarnation, "{fields} recreated the session");
    }
}

/// Adds a field and takes it out again: both times nothing is restarted.
#[track_caller]
fn updates(fields: &str) {
    let stage = Stage::applied(&with(""));
    for text in [with(fields), with("")] {
        let after = change(&stage, &text);
        assert!(after.same_process, "{fields} restarted the session");
    }
}

/// Adds a field and takes it out again: both times it is another incarnation.
#[track_caller]
fn recreates(fields: &str) -> Stage {
    let stage = Stage::applied(&with(""));
    for text in [with(fields), with("")] {
        let after = change(&stage, &text);
        assert!(!after.same_incarnation, "{fields} kept the incarnation");
        after.output.says("fleetctl restore a");
    }
    stage
}

#[test]
fn env_restarts_and_a_removed_variable_is_gone() {
    let stage = Stage::applied(&with(""));
    let line = "command: 'echo \"[$KEY]\" >> ../seen; exec sleep 1000'";
    let text = |env: &str| {
        format!(
            "sessions:
  other: {{command: [sleep, '2000'], worktree: false}}
  a: {{{line}{env}}}"
        )
    };
    change(&stage, &text(", env: {KEY: one}"));
    let after = change(&stage, &text(", env: {KEY: two}"));
    assert!(!after.same_process && after.same_incarnation);
    after.output.says("env.KEY").says_not("→ two").says_not("one →");
    change(&stage, &text(""));
    let seen = stage.path("shop.worktrees/seen");
    super::sandbox::eventually(super::sandbox::SOON, "three runs", || {
        fs::read_to_string(&seen).unwrap_or_default() == "[one]\n[two]\n[]\n"
    });
}

#[test]
fn an_env_file_restarts() {
    restarts("env_file: /dev/null");
}

#[test]
fn an_env_file_that_is_missing_fails_the_start_and_says_so() {
    let stage = Stage::applied(&with(""));
    stage.becomes(&with("env_file: .env.agent")).ok();
    stage.ends("a");
    stage.diff().code(1).says(".env.agent");
    stage.write("shop/.env.agent", "KEY=value\n");
    stage.verb(&["start", "a"]).ok();
    stage.converged();
    assert!(stage.runs("a"));
}

#[test]
fn a_wrap_restarts() {
    restarts("wrap: [env, A=b]");
}

#[test]
fn another_directory_restarts_in_that_directory() {
    let stage = Stage::applied(&with(""));
    for directory in ["docs", "."] {
        fs::create_dir_all(stage.worktree("a").join("docs")).unwrap();
        let after =
            change(&stage, &with(&format!("cwd: {directory}, labels: {{at: {directory}}}")));
        assert!(!after.same_process && after.same_incarnation);
        let cwd = fs::read_link(format!("/proc/{}/cwd", stage.pid("a"))).unwrap();
        assert_eq!(cwd, fs::canonicalize(stage.worktree("a").join(directory)).unwrap());
    }
}

#[test]
fn another_command_restarts() {
    let stage = Stage::applied(&with(""));
    let text = with("").replace("'1000'", "'1001'");
    let after = change(&stage, &text);
    assert!(!after.same_process && after.same_incarnation);
    after.output.says("1 to restart").says("1 done");
}

#[test]
fn labels_update_and_restart_nothing() {
    updates("labels: {team: red}");
}

#[test]
fn on_change_updates_and_restarts_nothing() {
    updates("on_change: manual");
}

#[test]
fn a_restart_policy_updates_and_restarts_nothing() {
    updates("restart: always");
}

#[test]
fn a_dependency_updates_and_restarts_nothing() {
    updates("depends_on: [other]");
}

#[test]
fn a_setup_is_noted_and_restarts_nothing() {
    updates("setup: 'touch set-up'");
}

#[test]
fn a_teardown_is_noted_and_restarts_nothing() {
    updates("teardown: 'touch torn-down'");
}

#[test]
fn a_base_is_noted_and_restarts_nothing() {
    updates("base: main");
}

#[test]
fn files_are_brought_at_the_next_start() {
    let stage = Stage::applied(&with(""));
    stage.write("shop/.env", "SECRET=1\n");
    let pid = stage.pid("a");
    stage.fleet(&with("files: {copy: [.env]}"));
    stage.apply(&[]).ok();
    assert_eq!(stage.pid("a"), pid);
    stage.verb(&["restart", "a"]).ok();
    assert_eq!(stage.writes(stage.worktree("a").join(".env")), "SECRET=1\n");
    stage.converged();
}

#[test]
fn protection_updates_at_once_and_is_lowered_by_one_apply_more() {
    let stage = Stage::applied(&with(""));
    let after = change(&stage, &with("protect: true"));
    assert!(after.same_process);
    // Gone from the file altogether: its protection stays.
    let only_other = "sessions: {other: {command: [sleep, '2000'], worktree: false}}";
    stage.becomes(only_other).code(4).says("protected");
    assert!(stage.runs("a"));
    // Lowered first, then removed.
    stage.becomes(&with("")).ok();
    stage.becomes(only_other).ok();
    assert!(!stage.runs("a"));
    stage.converged();
}

#[test]
fn another_branch_recreates_and_the_old_one_keeps_its_commits() {
    let stage = recreates("branch: topic");
    let branches = stage.git(stage.top(), &["branch", "--format=%(refname:short)"]);
    assert!(branches.stdout.contains("topic") && branches.stdout.contains("shop/a"));
}

#[test]
fn no_branch_recreates_with_a_detached_head() {
    recreates("branch: none");
}

#[test]
fn the_repository_itself_as_a_worktree_recreates() {
    recreates_quietly("worktree: false");
}

/// `worktree: false` leaves no worktree to restore from its second incarnation.
#[track_caller]
fn recreates_quietly(fields: &str) {
    let stage = Stage::applied(&with(""));
    for text in [with(fields), with("")] {
        let after = change(&stage, &text);
        assert!(!after.same_incarnation, "{fields} kept the incarnation");
    }
    assert!(stage.worktree("a").join("README").is_file());
}

#[test]
fn another_repository_recreates_there() {
    let stage = Stage::applied(&with(""));
    stage.repo("docs");
    let repos = "repos: {shop: {path: .}, docs: {path: ../docs}}\n";
    let text = repos.to_owned() + &with("repo: docs");
    // With two repositories, each session says which.
    let text = text.replace("worktree: false}", "worktree: false, repo: shop}");
    let after = change(&stage, &text);
    assert!(!after.same_incarnation);
    assert!(stage.path("docs.worktrees/a/README").is_file());
    assert!(!stage.worktree("a").exists());
}

#[test]
fn stopped_in_the_file_stops_and_running_starts_in_the_same_worktree() {
    let stage = Stage::applied(&with(""));
    let uid = stage.uid("a");
    fs::write(stage.worktree("a").join("work"), "mine\n").unwrap();

    stage.becomes(&with("state: stopped")).ok().says("stop");
    assert!(!stage.runs("a"));
    stage.converged();
    assert!(stage.worktree("a").join("work").exists());

    stage.becomes(&with("")).ok();
    assert_eq!(stage.uid("a"), uid);
    stage.converged();
}

#[test]
fn a_session_that_is_stopped_in_the_file_from_the_beginning_is_not_started() {
    let stage = Stage::new(&with("state: stopped"));
    stage.apply(&[]).ok();
    assert!(!stage.runs("a"));
    stage.converged();
    stage.becomes(&with("")).ok();
    assert!(stage.runs("a"));
    stage.converged();
}

#[test]
fn a_restart_class_change_waits_for_its_human_under_on_change_manual() {
    let stage = Stage::applied(&with("on_change: manual"));
    let pid = stage.pid("a");
    stage.fleet(&with("on_change: manual, env: {KEY: one}"));
    stage.diff().code(1).says("fleetctl restart a");
    stage.apply(&[]).says("fleetctl restart a");
    assert_eq!(stage.pid("a"), pid);
    stage.verb(&["restart", "a"]).ok();
    assert_ne!(stage.pid("a"), pid);
    stage.converged();
}

#[test]
fn changes_of_several_classes_at_once_converge_in_one_apply() {
    let stage = Stage::applied(&with(""));
    let after =
        change(&stage, &with("env: {K: v}, labels: {a: b}, restart: always, setup: 'true'"));
    assert!(!after.same_process && after.same_incarnation);
    let after = change(&stage, &with("branch: topic, labels: {a: c}, wrap: [env]"));
    assert!(!after.same_incarnation);
}
