//! The ways back from the trash, the ways out of it, and letting go of a session without touching it.

use crate::retire_yard::{IDLE, Yard};
use std::fs;

/// `old` with a modified file, then in the trash.
fn archived() -> Yard {
    let yard = Yard::with_old();
    yard.write("old", "README", "first life\n");
    yard.without_old("");
    yard.run(&["rm", "old", "--archive"]).ok();
    yard
}

#[test]
fn a_session_removed_and_added_again_is_another_one_and_both_can_be_had_back() {
    let yard = archived();
    let first = yard.trash()[0].clone();
    yard.both("");
    yard.apply().ok();
    assert_eq!(yard.git("old", &["symbolic-ref", "--short", "HEAD"]), "shop/old\n");
    assert_eq!(fs::read_to_string(yard.tree("old").join("README")).unwrap_or_default(), "hello\n");
    // Its name is taken.
    yard.run(&["restore", &first]).code(3).complains("old lives already");
    assert_eq!(yard.trash().len(), 1);
    yard.write("old", "README", "second life\n");
    yard.without_old("");
    yard.run(&["rm", "old", "--archive"]).ok();
    let trash = yard.trash();
    assert_eq!((trash.len(), &trash[1]), (2, &first));
    // The branch moves on meanwhile: the older one comes back, beside its branch.
    yard.sandbox.git(&yard.repo, &["checkout", "-q", "shop/old"]);
    yard.sandbox.write("repo/more.txt", "more\n");
    yard.sandbox.git(&yard.repo, &["add", "more.txt"]);
    yard.sandbox.git(&yard.repo, &["commit", "-q", "-m", "more"]);
    yard.sandbox.git(&yard.repo, &["checkout", "-q", "main"]);
    yard.run(&["restore", &first]).ok().says("HEAD stays detached");
    let tree = yard.tree("old");
    assert_eq!(fs::read_to_string(tree.join("README")).unwrap_or_default(), "first life\n");
    assert_eq!(yard.git("old", &["status", "--porcelain"]), " M README\n");
    assert_eq!(yard.trash().len(), 1);
    yard.run(&["restore", "old"]).code(3);
}

#[test]
fn a_restore_refuses_a_path_that_is_taken_and_moves_nothing() {
    let yard = archived();
    yard.write("old", "someone.txt", "else\n");
    let refused = yard.run(&["restore", "old"]).code(1);
    assert!(format!("{refused:?}").contains("old"), "{refused:#?}");
    assert_eq!(yard.trash().len(), 1);
    assert!(yard.tree("old").join("someone.txt").exists());
    yard.lose("old");
    yard.run(&["restore", "old"]).ok();
    assert_eq!(yard.git("old", &["status", "--porcelain"]), " M README\n");
}

#[test]
fn a_restored_session_is_kept_until_it_is_started_or_released() {
    let yard = archived();
    yard.run(&["restore", "old"]).ok();
    yard.git("old", &["checkout", "-q", "README"]);
    for _ in 0..2 {
        let applied = yard.apply();
        assert!(applied.stdout.contains("restored"), "{applied:#?}");
        assert!(yard.tree("old").exists(), "{applied:#?}");
    }
    yard.both("");
    yard.apply().ok().says("restored").says("release old");
    yard.sandbox.tmux(&["has-session", "-t", "=shop/old"]).code(1);
    yard.run(&["start", "old"]).ok();
    yard.sandbox.tmux(&["has-session", "-t", "=shop/old"]).ok();
    yard.converged();
    yard.without_old("");
    yard.apply().ok();
    yard.run(&["restore", "old"]).ok();
    yard.run(&["release", "old"]).ok();
    // Three within ten minutes are many.
    yard.run(&["apply", "--yes", "--max-decommission", "3"]).ok();
    assert!(!yard.tree("old").exists());
}

#[test]
fn a_restore_of_a_session_in_the_file_is_started_by_the_next_apply() {
    let yard = archived();
    yard.both("");
    yard.run(&["restore", "old"]).ok();
    yard.apply().ok().says("old");
    yard.sandbox.tmux(&["has-session", "-t", "=shop/old"]).ok();
    assert_eq!(yard.git("old", &["status", "--porcelain"]), " M README\n");
    yard.converged();
}

#[test]
fn the_trash_is_emptied_by_name_and_by_age_and_only_on_a_word() {
    let yard = archived();
    let listed = yard.run(&["trash", "list"]).ok();
    assert!(listed.stdout.contains("old") && listed.stdout.contains('B'), "{listed:#?}");
    yard.run(&["trash", "empty", "old"]).code(3);
    yard.run(&["trash", "empty", "--older-than", "1d", "--yes"]).ok();
    yard.run(&["trash", "empty", "other", "--yes"]).code(2);
    assert_eq!(yard.trash().len(), 1);
    yard.run(&["trash", "empty", "old", "--yes"]).ok();
    assert!(yard.trash().is_empty());
    let refs = yard.sandbox.git(&yard.repo, &["for-each-ref", "refs/fleet"]).stdout;
    assert_eq!(refs, "");
    // A branch is never deleted.
    yard.sandbox.git(&yard.repo, &["rev-parse", "--verify", "shop/old"]);
    let left = fs::read_dir(yard.sandbox.path("repo.worktrees/.trash")).map(Iterator::count);
    assert_eq!(left.unwrap_or(0), 0);
    yard.converged();
}

#[test]
fn a_session_that_is_let_go_runs_on_and_belongs_to_nobody() {
    for listed in [false, true] {
        let yard = Yard::with_old();
        yard.write("old", "README", "mine\n");
        yard.without_old(if listed { "removed: [{session: old, keep: true}]" } else { "" });
        let out = if listed { yard.apply() } else { yard.run(&["rm", "old", "--keep"]) };
        out.ok();
        yard.sandbox.tmux(&["has-session", "-t", "=shop/old"]).ok();
        let worktrees = yard.sandbox.git(&yard.repo, &["worktree", "list", "--porcelain"]).stdout;
        assert_eq!(worktrees.matches("locked").count(), 1, "{worktrees}");
        assert_eq!(yard.git("old", &["status", "--porcelain"]), " M README\n");
        assert!(yard.trash().is_empty());
        yard.converged();
        // It is in the way of a new one of that name, which is said.
        yard.both("");
        let applied = yard.apply();
        assert!([3, 4].contains(&applied.code), "{applied:#?}");
        assert!(applied.stdout.contains("not ours"), "{applied:#?}");
        assert_eq!(yard.git("old", &["status", "--porcelain"]), " M README\n");
    }
}

#[test]
fn a_lost_worktree_is_held_and_made_anew_with_its_index_kept() {
    let yard = Yard::with_old();
    yard.write("old", "staged.txt", "staged\n");
    yard.git("old", &["add", "staged.txt"]);
    yard.lose("old");
    yard.without_old("");
    yard.apply().code(4).says("is gone while git still lists it").says("start old --new-worktree");
    yard.both("");
    let applied = yard.apply();
    assert!(applied.stdout.contains("is gone while git still lists it"), "{applied:#?}");
    let started = yard.run(&["start", "old", "--new-worktree"]);
    assert_eq!(started.code, 0, "{started:#?}");
    assert!(yard.tree("old").join("README").exists());
    assert_eq!(yard.git("old", &["status", "--porcelain"]), "");
    let trash = yard.sandbox.path("repo.worktrees/.trash");
    let kept: Vec<_> = fs::read_dir(&trash).expect("it is there").flatten().collect();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].path().join("index").exists());
    yard.converged();
}

#[test]
fn undetermined_work_is_held_and_goes_on_a_humans_word() {
    use std::os::unix::fs::PermissionsExt;
    let yard = Yard::with_old();
    yard.write("old", "locked/inside.txt", "x\n");
    let locked = yard.tree("old").join("locked");
    let mode = |bits| fs::set_permissions(&locked, fs::Permissions::from_mode(bits));
    mode(0o000).expect("it is ours");
    if fs::read_dir(&locked).is_ok() {
        // Nothing is hidden from root.
        return;
    }
    yard.without_old("at_risk: archive");
    yard.apply().code(4).says("cannot tell");
    yard.file("", &[("stays", IDLE)]);
    let asked = yard.run(&["rm", "old", "--archive"]);
    assert!(yard.tree("old").exists() == (asked.code != 0), "{asked:#?}");
}

#[test]
fn at_risk_archive_in_the_file_takes_work_to_the_trash_by_itself() {
    let yard = Yard::with_old();
    yard.write("old", "README", "work\n");
    yard.write("old", "notes.md", "notes\n");
    let before = yard.portrait("old");
    yard.without_old("at_risk: archive");
    yard.apply().ok();
    let refs = yard.sandbox.git(&yard.repo, &["for-each-ref", "refs/fleet/salvage"]).stdout;
    assert!(refs.contains("/files"), "{refs}");
    yard.run(&["restore", "old"]).ok();
    assert_eq!(before, yard.portrait("old"));
}
