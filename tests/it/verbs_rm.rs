//! `rm`, `restore` and `trash`: what leaves can come back, and only one verb deletes.

use crate::repo::contents;
use crate::shop::{SLEEP, Shop, json};
use std::fs;

fn two() -> String {
    format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}")
}

#[test]
fn a_session_that_is_in_the_file_is_not_removed_and_its_line_is_named() {
    let shop = Shop::applied(&two());
    let said = shop.run(&["rm", "b"]).code(3);
    assert!(said.stderr.contains("fleet.yaml:6"), "{said:#?}");
    assert_eq!(shop.tmux_sessions().len(), 2);
    shop.run(&["rm", "b", "--archive", "--keep"]).code(2);
}

#[test]
fn a_session_that_left_the_file_goes_to_the_trash_and_comes_back_as_it_was() {
    let shop = Shop::applied(&two());
    fs::write(shop.worktree("b").join(".env"), "SECRET=1").unwrap();
    let before = contents(&shop.worktree("b"));
    shop.edit(&format!("a: {{{SLEEP}}}"));
    shop.run(&["rm", "b"]).ok().says("undo: fleetctl restore b");
    assert!(!shop.worktree("b").exists());
    shop.run(&["describe", "b"]).code(2).complains("fleetctl restore b");
    let listed = json(&shop.run(&["trash", "list", "-o", "json"]).ok());
    assert!(listed.to_string().contains("shop/b"), "{listed}");
    shop.run(&["get", "trash", "-o", "name"]).ok().says("b@");
    shop.run(&["restore", "b"]).ok().says("not in the file");
    assert_eq!(contents(&shop.worktree("b")), before);
    shop.run(&["diff"]).ok().says("release b");
    shop.run(&["apply", "--yes"]).ok();
    assert!(shop.worktree("b").is_dir());
    shop.run(&["restore", "b"]).code(2).complains("trash");
    shop.edit(&two());
    shop.run(&["release", "b"]).ok();
    shop.run(&["apply"]).ok();
    assert_eq!(shop.tmux_sessions().len(), 2);
    shop.run(&["diff"]).ok();
}

#[test]
fn work_at_risk_is_held_and_archived_when_asked() {
    let shop = Shop::applied(&two());
    fs::write(shop.worktree("b").join("new"), "of a day").unwrap();
    fs::write(shop.worktree("b").join("README"), "changed").unwrap();
    let before = contents(&shop.worktree("b"));
    shop.edit(&format!("a: {{{SLEEP}}}"));
    let pid = shop.pid("b");
    shop.run(&["apply", "--yes"]).code(4).says("1 modified, 1 untracked").says("rm b --archive");
    shop.run(&["rm", "b"]).code(3).complains("1 untracked").complains("--archive");
    assert_eq!(shop.pid("b"), pid);
    shop.run(&["rm", "b", "--archive"]).ok();
    assert!(!shop.worktree("b").exists());
    shop.run(&["restore", "b"]).ok();
    assert_eq!(contents(&shop.worktree("b")), before);
}

#[test]
fn letting_go_leaves_pane_and_worktree_to_their_user() {
    let shop = Shop::applied(&two());
    fs::write(shop.worktree("b").join("new"), "of a day").unwrap();
    let pid = shop.pid("b");
    shop.edit(&format!("a: {{{SLEEP}}}"));
    shop.run(&["rm", "b", "--keep"]).ok().says_not("undo");
    assert_eq!(shop.pid("b"), pid);
    assert!(shop.worktree("b").join("new").is_file());
    shop.run(&["diff"]).ok().says_not("b ");
    shop.run(&["get", "trash"]).ok().says("empty");
}

#[test]
fn the_older_of_two_of_a_name_is_restored_by_its_uid() {
    let shop = Shop::applied(&two());
    let first = shop.uid("b");
    let without = format!("a: {{{SLEEP}}}");
    fs::write(shop.worktree("b").join(".env"), "first").unwrap();
    shop.edit(&without);
    shop.run(&["rm", "b"]).ok();
    shop.edit(&two());
    shop.run(&["apply"]).ok();
    shop.edit(&without);
    shop.run(&["rm", "b"]).ok();
    shop.run(&["restore", &format!("b@{first}")]).ok();
    assert_eq!(fs::read_to_string(shop.worktree("b").join(".env")).unwrap(), "first");
    shop.run(&["restore", "b"]).code(3).complains("lives already");
    shop.run(&["restore", "b@nonsense"]).code(2);
}

#[test]
fn only_emptying_the_trash_deletes_and_only_when_it_is_confirmed() {
    let shop = Shop::applied(&two());
    shop.edit(&format!("a: {{{SLEEP}}}"));
    shop.run(&["rm", "b"]).ok();
    let trash = shop.run(&["get", "trash", "-o", "path"]).ok().text().to_owned();
    assert!(fs::metadata(&trash).unwrap().is_dir());
    shop.run(&["trash", "empty"]).code(3).complains("--yes");
    shop.run(&["trash", "empty", "--older-than", "1d", "--yes"]).ok();
    shop.run(&["trash", "empty", "zzz", "--yes"]).code(2);
    assert!(fs::metadata(&trash).is_ok());
    shop.run(&["trash", "empty", "b", "--yes"]).ok();
    assert!(fs::metadata(&trash).is_err());
    shop.run(&["trash", "list"]).ok().says("empty");
    shop.run(&["trash", "empty", "--yes"]).ok();
    shop.run(&["diff"]).ok();
    shop.sandbox.git(shop.top(), &["rev-parse", "--verify", "shop/b"]).ok();
}
