//! Names: renames with and without `moved`, and things of others that stand where ours would.

use super::stage::Stage;
use fleetctl::snapshot::{PaneId, PaneState};
use std::fs;

const A: &str = "sessions: {a: {command: [sleep, '1000']}}";
const B: &str = "sessions: {b: {command: [sleep, '1000']}}";

fn moved(list: &str, sessions: &str) -> String {
    format!("moved: [{list}]\n{sessions}")
}

#[test]
fn a_rename_without_moved_is_a_removal_and_a_creation_with_a_hint() {
    let stage = Stage::applied(A);
    stage.fleet(B);
    stage.diff().code(1).says("decommission").says("create").says("moved").says("from: a, to: b");
    stage.apply(&["--yes"]).ok();
    assert!(!stage.runs("a") && stage.runs("b"));
    assert!(stage.worktree("b").is_dir() && !stage.worktree("a").exists());
    stage.converged();
}

#[test]
fn a_rename_with_moved_keeps_process_worktree_and_branch() {
    let stage = Stage::applied(A);
    let (pid, uid) = (stage.pid("a"), stage.uid("a"));
    stage.fleet(&moved("{from: a, to: b}", B));

    stage.diff().code(1).says("called a until now").says_not("decommission");
    stage.apply(&[]).ok();

    assert_eq!((stage.pid("b"), stage.uid("b")), (pid, uid.clone()));
    assert!(stage.worktree("a").join("README").is_file());
    assert!(!stage.worktree("b").exists());
    stage.git(stage.worktree("a"), &["branch", "--show-current"]).says("shop/a");
    stage.converged();
    // The text of the move may go: it was made. Its branch and path stay what they were.
    stage.becomes(B).ok();
    assert_eq!((stage.pid("b"), stage.uid("b")), (pid, uid));
    stage.converged();
    // And the old name is free for another, beside what the first one kept.
    stage.becomes("sessions: {b: {command: [sleep, '1000']}, a: {command: [sleep, '3000']}}").ok();
    assert_eq!(stage.pid("b"), pid);
    assert!(stage.runs("a"));
    stage.git(stage.worktree("a-2"), &["branch", "--show-current"]).says("shop/a-2");
    stage.converged();
}

#[test]
fn two_names_are_swapped_with_moved_and_nothing_restarts() {
    let both = "sessions: {a: {command: [sleep, '1000']}, b: {command: [sleep, '2000']}}";
    let swapped = "sessions: {b: {command: [sleep, '1000']}, a: {command: [sleep, '2000']}}";
    let stage = Stage::applied(both);
    let (a, b) = (stage.pid("a"), stage.pid("b"));
    let text = moved("{from: a, to: b}, {from: b, to: a}", swapped);
    stage.becomes(&text).ok();
    assert_eq!((stage.pid("b"), stage.pid("a")), (a, b));
    stage.converged();
    stage.apply(&[]).ok();
    assert_eq!((stage.pid("b"), stage.pid("a")), (a, b), "swapped back again");
    stage.becomes(swapped).ok();
    assert_eq!((stage.pid("b"), stage.pid("a")), (a, b));
    stage.converged();
}

#[test]
fn a_shared_worktree_s_owner_may_be_renamed() {
    let text = |owner: &str| {
        format!(
            "sessions: {{{owner}: {{command: [sleep, '1000']}}, s: {{command: [sleep, '1000'], worktree: {owner}}}}}"
        )
    };
    let stage = Stage::applied(&text("a"));
    let (a, s) = (stage.pid("a"), stage.pid("s"));
    stage.becomes(&moved("{from: a, to: b}", &text("b"))).ok();
    assert_eq!((stage.pid("b"), stage.pid("s")), (a, s));
    stage.converged();
}

#[test]
fn a_foreign_tmux_session_on_our_name_is_a_conflict_and_is_not_touched() {
    let stage = Stage::new(A);
    stage.tmux(&["new-session", "-d", "-s", "shop/a", "--", "sleep", "1000"]).ok();
    let before = stage.tmux(&["list-panes", "-a", "-F", "#{pane_id} #{pane_pid}"]).stdout;

    stage.diff().code(1).says("shop/a");
    stage.apply(&["--yes"]).code(4);

    assert_eq!(before, stage.tmux(&["list-panes", "-a", "-F", "#{pane_id} #{pane_pid}"]).stdout);
    assert!(!stage.worktree("a").exists(), "half of it was made");
    // When it is gone, nothing is in the way any more.
    stage.tmux(&["kill-session", "-t", "=shop/a"]).ok();
    stage.apply(&[]).ok();
    stage.converged();
}

#[test]
fn a_name_that_only_begins_like_ours_is_no_conflict() {
    let stage = Stage::new(A);
    stage.tmux(&["new-session", "-d", "-s", "shop/ab", "--", "sleep", "1000"]).ok();
    stage.apply(&[]).ok();
    stage.becomes("sessions: {c: {command: [sleep, '1000']}}").ok();
    stage.tmux(&["has-session", "-t", "=shop/ab"]).ok();
    stage.converged();
}

#[test]
fn an_unmarked_worktree_on_our_path_is_a_conflict_and_is_not_touched() {
    let stage = Stage::new(A);
    let path = stage.worktree("a");
    stage.git(stage.top(), &["worktree", "add", "-q", "-b", "mine", path.to_str().unwrap()]);
    fs::write(path.join("work"), "mine").unwrap();

    stage.diff().code(1).says("shop.worktrees/a");
    stage.apply(&["--yes"]).code(4);

    assert_eq!(fs::read_to_string(path.join("work")).unwrap(), "mine");
    stage.git(&path, &["branch", "--show-current"]).says("mine");
    assert!(!stage.runs("a"));
}

#[test]
fn a_plain_directory_on_our_path_is_a_conflict_and_is_not_touched() {
    let stage = Stage::new(A);
    let mine = stage.write("shop.worktrees/a/notes", "mine");
    stage.diff().code(1).says("shop.worktrees/a");
    stage.apply(&["--yes"]).code(4);
    assert_eq!(fs::read_to_string(mine).unwrap(), "mine");
    assert!(!stage.runs("a"));
}

#[test]
fn an_empty_directory_on_our_path_is_in_nobody_s_way() {
    let stage = Stage::new(A);
    fs::create_dir_all(stage.worktree("a")).unwrap();
    let first = stage.apply(&[]);
    if first.code == 0 {
        stage.converged();
    } else {
        first.code(4).says("shop.worktrees/a");
    }
}

#[test]
fn a_branch_that_is_checked_out_elsewhere_is_a_conflict_that_names_the_place() {
    let stage = Stage::new(
        "sessions: {a: {command: [sleep, '1000'], branch: topic}, b: {command: [sleep, '1000']}}",
    );
    let elsewhere = stage.path("elsewhere");
    stage.git(stage.top(), &["worktree", "add", "-q", "-b", "topic", elsewhere.to_str().unwrap()]);
    stage.apply(&[]).code(4).says("topic").says("elsewhere");
    assert!(!stage.runs("a") && stage.runs("b"));
    stage.git(stage.top(), &["worktree", "remove", elsewhere.to_str().unwrap()]);
    stage.apply(&[]).ok();
    stage.converged();
}

#[test]
fn the_branch_of_the_main_worktree_is_a_conflict_too() {
    let stage = Stage::new("sessions: {a: {command: [sleep, '1000'], branch: main}}");
    stage.apply(&[]).code(4).says("main");
    assert!(!stage.runs("a"));
}

#[test]
fn a_branch_that_an_agent_switched_to_is_shown_and_not_corrected() {
    let stage = Stage::applied(A);
    let pid = stage.pid("a");
    stage.git(stage.worktree("a"), &["switch", "-q", "-c", "experiment"]);

    stage.diff().ok();
    stage.verb(&["get", "-o", "wide"]).ok().says("experiment");
    stage.verb(&["describe", "a"]).ok().says("experiment");
    stage.apply(&[]).ok();

    assert_eq!(stage.pid("a"), pid);
    stage.git(stage.worktree("a"), &["branch", "--show-current"]).says("experiment");
    // A restart keeps it, too.
    stage.verb(&["restart", "a"]).ok();
    stage.git(stage.worktree("a"), &["branch", "--show-current"]).says("experiment");
    stage.converged();
}

#[test]
fn a_tmux_session_that_its_user_renamed_is_found_by_its_mark() {
    let stage = Stage::applied(A);
    let (pid, uid) = (stage.pid("a"), stage.uid("a"));
    stage.tmux(&["rename-session", "-t", "=shop/a", "mine"]).ok();

    stage.diff().ok();
    stage.verb(&["describe", "a"]).ok().says("mine");
    stage.apply(&[]).ok();
    assert_eq!(stage.pid("a"), pid);

    stage.verb(&["restart", "a"]).ok();
    assert_eq!(stage.uid("a"), uid);
    assert_eq!(stage.pane_of("a").session_name, "mine");
    stage.converged();
    stage.verb(&["stop", "a"]).ok();
    assert!(!stage.runs("a"));
    stage.verb(&["start", "a"]).ok();
    stage.converged();
}

/// Puts the mark of `a` on a pane of somebody else's; with that pane's own id, or as it is.
fn steal_the_mark(stage: &Stage, with_id: bool) -> PaneId {
    let pane = stage.pane_of("a").id.0;
    let mark = stage.tmux(&["show-options", "-pqv", "-t", &pane, "@fleet"]).ok();
    stage.tmux(&["new-session", "-d", "-s", "thief", "--", "sleep", "1000"]).ok();
    let thief = stage.tmux(&["display-message", "-p", "-t", "=thief:", "#{pane_id}"]);
    let stolen = match mark.text().rsplit_once(' ') {
        Some((rest, _)) if with_id => format!("{rest} {}", thief.text()),
        _ => mark.text().to_owned(),
    };
    stage.tmux(&["set-option", "-p", "-t", "=thief:", "@fleet", &stolen]).ok();
    PaneId(thief.text().to_owned())
}

const GONE: &str = "sessions: {z: {command: [sleep, '1000'], worktree: false}}";

#[test]
fn a_mark_that_was_copied_from_our_pane_makes_nothing_ours() {
    let stage = Stage::applied(A);
    let pid = stage.pid("a");
    let thief = steal_the_mark(&stage, false);
    stage.diff().ok();
    stage.becomes(GONE).ok();
    assert!(stage.process(pid).is_none());
    assert_eq!(stage.pane(&thief).state, PaneState::Alive);
}

#[test]
fn a_mark_that_was_forged_for_another_live_pane_holds_both() {
    let stage = Stage::applied(A);
    let pid = stage.pid("a");
    let thief = steal_the_mark(&stage, true);

    stage.becomes(GONE).code(4);

    assert!(stage.process(pid).is_some());
    assert_eq!(stage.pane(&thief).state, PaneState::Alive);
    // With the copy gone, its session is removed as the file says.
    stage.tmux(&["kill-session", "-t", "=thief"]).ok();
    stage.apply(&["--yes"]).ok();
    assert!(stage.process(pid).is_none());
}

#[test]
fn our_mark_without_a_record_is_an_orphan_and_is_not_touched() {
    let stage = Stage::applied(A);
    let pid = stage.pid("a");
    fs::rename(stage.path("state"), stage.path("state.lost")).unwrap();
    // Another state directory would be another installation: only the fleet's own files are lost.
    fs::create_dir(stage.path("state")).unwrap();

    let output = stage.apply(&["--yes"]);
    assert_eq!(output.code, 4, "{output:#?}");

    assert_eq!(stage.pid("a"), pid);
    assert!(stage.worktree("a").join("README").is_file());
}

#[test]
fn an_orphan_is_let_go_by_its_human_and_its_work_stays() {
    let stage = Stage::applied(A);
    let pid = stage.pid("a");
    fs::rename(stage.path("state"), stage.path("state.lost")).unwrap();
    fs::create_dir(stage.path("state")).unwrap();
    stage.fleet(GONE);
    stage.apply(&["--yes"]);
    assert!(stage.process(pid).is_some());
    assert!(stage.worktree("a").join("README").is_file());
}

#[test]
fn a_session_that_is_renamed_twice_keeps_its_process() {
    let stage = Stage::applied(A);
    let pid = stage.pid("a");
    stage.becomes(&moved("{from: a, to: b}", B)).ok();
    let c = "sessions: {c: {command: [sleep, '1000']}}";
    stage.becomes(&moved("{from: b, to: c}", c)).ok();
    assert_eq!(stage.pid("c"), pid);
    stage.converged();
    stage.becomes(&moved("{from: c, to: a}", A)).ok();
    assert_eq!(stage.pid("a"), pid, "back to its first name");
    stage.converged();
}

#[test]
fn a_rename_and_a_change_at_once_are_one_restart_of_the_same_incarnation() {
    let stage = Stage::applied(A);
    let (pid, uid) = (stage.pid("a"), stage.uid("a"));
    stage.becomes(&moved("{from: a, to: b}", "sessions: {b: {command: [sleep, '1001']}}")).ok();
    assert_ne!(stage.pid("b"), pid);
    assert_eq!(stage.uid("b"), uid);
    stage.converged();
}
