//! A run that is killed between any two of its effects, and finished by the next one: the same end as without
//! the kill.

use crate::killed_yard::{Killed, run_until};
use crate::retire_yard::{IDLE, Yard};
use crate::sandbox::{SOON, eventually};

const APPLY: [&str; 2] = ["apply", "--yes"];

fn killed(prepare: &dyn Fn() -> Yard, command: &[&str]) {
    Killed { prepare, command, then: &APPLY, stride: 1 }.at_every_boundary();
}

fn idle() -> Yard {
    let yard = Yard::new();
    yard.both("");
    yard
}

/// `old` has left the file.
fn left() -> Yard {
    let yard = Yard::with_old();
    yard.without_old("");
    yard
}

fn dirty() -> Yard {
    let yard = left();
    yard.commit("old", "new.txt", "n\n");
    yard.write("old", "README", "staged\n");
    yard.git("old", &["add", "README"]);
    yard.write("old", "README", "edited\n");
    yard.write("old", "notes.md", "notes\n");
    yard
}

#[test]
fn creating_survives_a_kill_anywhere() {
    killed(&idle, &APPLY);
}

#[test]
fn creating_nine_survives_a_kill_in_either_batch() {
    let nine = || {
        let yard = Yard::new();
        let names: Vec<String> = (1..10).map(|number| format!("s{number}")).collect();
        let sessions: Vec<(&str, &str)> = names.iter().map(|name| (&**name, IDLE)).collect();
        yard.file("", &sessions);
        yard
    };
    Killed { prepare: &nine, command: &APPLY, then: &APPLY, stride: 5 }.at_every_boundary();
}

#[test]
fn starting_after_the_servers_end_survives_a_kill_anywhere() {
    let ended = || {
        let yard = Yard::with_old();
        yard.sandbox.tmux(&["kill-server"]).ok();
        let is_server = |process: &fleetctl::snapshot::Process| process.command.starts_with("tmux");
        eventually(SOON, "it is gone", || !yard.sandbox.leftovers().iter().any(is_server));
        yard
    };
    killed(&ended, &APPLY);
}

#[test]
fn a_restart_survives_a_kill_anywhere() {
    let verb = ["restart", "old"];
    Killed { prepare: &Yard::with_old, command: &verb, then: &APPLY, stride: 1 }
        .at_every_boundary();
}

#[test]
fn a_restart_for_the_file_survives_a_kill_anywhere() {
    let changed = || {
        let yard = Yard::with_old();
        yard.file("", &[("stays", IDLE), ("old", "{command: sleep 200000}")]);
        yard
    };
    killed(&changed, &APPLY);
}

#[test]
fn a_recreate_survives_a_kill_anywhere() {
    let changed = || {
        let yard = Yard::with_old();
        yard.file("", &[("stays", IDLE), ("old", "{command: sleep 100000, branch: elsewhere}")]);
        yard
    };
    killed(&changed, &APPLY);
}

#[test]
fn making_a_lost_worktree_anew_survives_a_kill_anywhere() {
    let lost = || {
        let yard = Yard::with_old();
        yard.lose("old");
        yard
    };
    let verb = ["start", "old", "--new-worktree"];
    Killed { prepare: &lost, command: &verb, then: &verb, stride: 1 }.at_every_boundary();
}

#[test]
fn a_stop_survives_a_kill_anywhere() {
    let verb = ["stop", "old"];
    Killed { prepare: &Yard::with_old, command: &verb, then: &verb, stride: 1 }.at_every_boundary();
}

#[test]
fn a_decommission_survives_a_kill_anywhere() {
    killed(&left, &APPLY);
}

#[test]
fn a_decommission_of_unfinished_work_survives_a_kill_anywhere() {
    let verb = ["rm", "old", "--archive"];
    let then: &[&str] = &["rm", "old", "--archive"];
    Killed { prepare: &dirty, command: &verb, then, stride: 1 }.at_every_boundary();
}

#[test]
fn a_restore_survives_a_kill_anywhere() {
    let in_the_trash = || {
        let yard = dirty();
        yard.run(&["rm", "old", "--archive"]).ok();
        yard
    };
    let verb = ["restore", "old"];
    Killed { prepare: &in_the_trash, command: &verb, then: &verb, stride: 1 }.at_every_boundary();
}

#[test]
fn emptying_the_trash_survives_a_kill_anywhere() {
    let in_the_trash = || {
        let yard = dirty();
        yard.run(&["rm", "old", "--archive"]).ok();
        yard
    };
    let verb = ["trash", "empty", "--yes"];
    Killed { prepare: &in_the_trash, command: &verb, then: &verb, stride: 1 }.at_every_boundary();
}

#[test]
fn a_rename_survives_a_kill_anywhere() {
    let renamed = || {
        let yard = Yard::with_old();
        yard.file("moved: [{from: old, to: new}]", &[("stays", IDLE), ("new", IDLE)]);
        yard
    };
    killed(&renamed, &APPLY);
}

#[test]
fn an_update_survives_a_kill_anywhere() {
    let changed = || {
        let yard = Yard::with_old();
        let labelled = "{command: sleep 100000, labels: {team: blue}}";
        yard.file("", &[("stays", IDLE), ("old", labelled)]);
        yard
    };
    killed(&changed, &APPLY);
}

#[test]
fn a_create_that_was_killed_goes_with_its_session_when_that_leaves_the_file() {
    for at in 1.. {
        let yard = Yard::new();
        yard.without_old("");
        yard.apply().ok();
        yard.both("");
        if run_until(&yard, &APPLY, at).code != -1 {
            return;
        }
        yard.without_old("");
        let applied = yard.apply();
        assert_eq!(applied.code, 0, "at {at}: {applied:#?}");
        assert!(!yard.tree("old").exists(), "at {at}: {applied:#?}");
        yard.sandbox.tmux(&["has-session", "-t", "=shop/old"]).code(1);
        yard.converged();
    }
}

#[test]
fn a_decommission_that_was_killed_is_undone_by_putting_the_session_back() {
    for at in 1.. {
        let yard = dirty();
        let killed = run_until(&yard, &["rm", "old", "--archive"], at).code == -1;
        yard.both("");
        let applied = yard.apply();
        assert_eq!(applied.code, 0, "at {at}: {applied:#?}");
        yard.sandbox.tmux(&["has-session", "-t", "=shop/old"]).ok();
        yard.converged();
        // Its work is either still there or can be had back.
        if yard.git("old", &["status", "--porcelain"]).is_empty() {
            yard.without_old("");
            yard.apply().ok();
            let trash = yard.trash();
            yard.run(&["restore", &trash[1]]).ok();
        }
        let status = yard.git("old", &["status", "--porcelain"]);
        assert_eq!(status, "MM README\n?? notes.md\n", "at {at}");
        if !killed {
            return;
        }
    }
}
