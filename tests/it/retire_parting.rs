//! The last moments of a session: its agent's end, its children, its teardown, and who else stands in its
//! worktree.

use crate::retire_yard::{IDLE, Yard};
use crate::sandbox::{SOON, eventually};
use std::fs;

#[track_caller]
fn held(yard: &Yard, words: &[&str]) {
    let applied = yard.apply().code(4);
    for word in words {
        assert!(applied.stdout.contains(word), "no {word:?} in {applied:#?}");
    }
    assert!(yard.tree("old").join("README").exists(), "{applied:#?}");
    assert!(yard.trash().is_empty());
}

/// `stays`, and `old` as it is given; then `old` leaves the file.
fn gone(body: &str) -> Yard {
    let yard = Yard::new();
    yard.file("", &[("stays", IDLE), ("old", body)]);
    yard.apply().ok();
    yard
}

#[test]
fn a_process_of_the_users_in_the_worktree_holds_it() {
    let yard = Yard::with_old();
    let mut visitor = yard
        .sandbox
        .command("sleep")
        .arg("1000")
        .current_dir(yard.tree("old"))
        .spawn()
        .expect("it starts");
    yard.without_old("");
    held(&yard, &["at risk", &format!("pid {} sleep", visitor.id()), "rm old --archive"]);
    visitor.kill().and_then(|()| visitor.wait()).expect("it ends");
    yard.apply().ok();
    assert_eq!(yard.trash().len(), 1);
}

#[test]
fn what_files_brought_is_a_risk_only_once_it_is_edited() {
    let body = "{command: sleep 100000, files: {copy: [.env, notes.txt], link: [target]}}";
    for edited in [false, true] {
        let yard = Yard::new();
        yard.sandbox.write("repo/.env", "secret\n");
        yard.sandbox.write("repo/notes.txt", "for all\n");
        yard.sandbox.write("repo/listed.cfg", "listed\n");
        yard.sandbox.write("repo/.worktreeinclude", "listed.cfg\n");
        yard.file("", &[("stays", IDLE), ("old", body)]);
        yard.apply().ok();
        let brought = yard.tree("old").join("notes.txt");
        eventually(SOON, "the files are there", || {
            brought.exists() && yard.tree("old").join("listed.cfg").exists()
        });
        eventually(SOON, "they are listed", || {
            yard.repo.join(".git/worktrees/old/fleetctl-files.json").exists()
        });
        if edited {
            yard.write("old", "notes.txt", "for all, and mine\n");
        }
        yard.without_old("");
        if edited {
            held(&yard, &["1 untracked"]);
            continue;
        }
        let before = yard.portrait("old");
        yard.apply().ok();
        yard.run(&["restore", "old"]).ok();
        assert_eq!(before, yard.portrait("old"));
    }
}

#[test]
fn teardown_runs_in_the_worktree_after_the_end_and_before_the_trash() {
    let teardown = "pwd >> $HOME/order; echo $FLEET_SESSION >> $HOME/order; touch late.txt";
    let yard = Yard::new();
    yard.sandbox.program(
        "patient",
        "#!/bin/sh\ntrap 'echo ended >> $HOME/order; exit 0' HUP INT TERM\ntouch $HOME/ready\nwhile :; do sleep 0.05; done\n",
    );
    let body = format!("{{command: patient, teardown: \"{teardown}\"}}");
    yard.file("", &[("stays", IDLE), ("old", &body)]);
    yard.apply().ok();
    eventually(SOON, "it minds signals", || yard.sandbox.path("home/ready").exists());
    yard.without_old("");
    // What it leaves behind is work like any other.
    held(&yard, &["1 untracked"]);
    let order = fs::read_to_string(yard.sandbox.path("home/order")).expect("it was written");
    let tree = yard.tree("old");
    assert_eq!(order, format!("ended\n{}\nold\n", tree.display()));
    fs::remove_file(tree.join("late.txt")).expect("it is there");
}

#[test]
fn a_failing_teardown_holds_everything_until_it_succeeds() {
    let teardown = "test -e $HOME/may-go || { echo not yet >&2; exit 7; }";
    let yard = gone(&format!("{{command: sleep 100000, teardown: \"{teardown}\"}}"));
    yard.commit("old", "new.txt", "n\n");
    let before = yard.portrait("old");
    yard.without_old("");
    held(&yard, &["teardown", "not yet"]);
    held(&yard, &["teardown", "not yet"]);
    assert_eq!(before, yard.portrait("old"));
    yard.sandbox.write("home/may-go", "");
    yard.apply().ok();
    assert_eq!(yard.trash().len(), 1);
    yard.converged();
}

#[test]
fn an_agent_that_ignores_every_signal_but_kill_is_ended_with_its_children() {
    let yard = Yard::new();
    yard.sandbox.program(
        "stubborn",
        "#!/bin/sh\ntrap '' HUP INT TERM\nsleep 12345 &\nwhile :; do sleep 0.1; done\n",
    );
    yard.file("", &[("stays", IDLE), ("old", "{command: stubborn}")]);
    yard.apply().ok();
    let stubborn = || {
        let left = yard.sandbox.leftovers();
        left.iter().filter(|process| process.command == "stubborn").count()
    };
    eventually(SOON, "it runs", || stubborn() == 1);
    yard.without_old("");
    yard.apply().ok();
    assert_eq!(stubborn(), 0);
    assert_eq!(yard.trash().len(), 1);
    eventually(SOON, "only the other session's processes are left", || {
        yard.sandbox.leftovers().iter().filter(|process| process.command == "sleep").count() == 1
    });
}

#[test]
fn a_child_that_left_the_session_is_named_and_left() {
    let yard = Yard::new();
    yard.sandbox.program(
        "leaver",
        "#!/bin/sh\ncd /\nsetsid sleep 12345 >/dev/null 2>&1 </dev/null &\nexec sleep 100000\n",
    );
    yard.file("", &[("stays", IDLE), ("old", "{command: leaver}")]);
    yard.apply().ok();
    let sleeping =
        || yard.sandbox.leftovers().iter().filter(|process| process.command == "sleep").count();
    eventually(SOON, "all three sleep", || sleeping() == 3);
    yard.without_old("");
    yard.apply().ok().says("left running by itself").says("sleep");
    assert_eq!(sleeping(), 2);
}

#[test]
fn a_session_in_the_repository_itself_only_ends() {
    let yard = gone("{command: sleep 100000, worktree: false}");
    yard.sandbox.write("repo/mine.txt", "mine\n");
    yard.without_old("");
    yard.apply().ok();
    assert!(yard.repo.join("mine.txt").exists() && yard.repo.join("README").exists());
    yard.sandbox.tmux(&["has-session", "-t", "=shop/old"]).code(1);
    yard.converged();
    yard.run(&["restore", "old"]).ok();
}

#[test]
fn a_sharer_goes_without_its_owners_worktree_and_before_its_owner() {
    let yard = Yard::new();
    let sharer = "{command: sleep 100000, worktree: old}";
    yard.file("", &[("stays", IDLE), ("old", IDLE), ("guest", sharer)]);
    yard.apply().ok();
    yard.both("");
    yard.apply().ok();
    assert!(yard.tree("old").join("README").exists());
    yard.sandbox.tmux(&["has-session", "-t", "=shop/guest"]).code(1);
    yard.file("", &[("stays", IDLE), ("old", IDLE), ("guest", sharer)]);
    yard.apply().ok();
    yard.write("old", "README", "work\n");
    yard.without_old("");
    let applied = yard.apply().code(4).says("at risk: 1 modified");
    assert!(yard.tree("old").join("README").exists(), "{applied:#?}");
    yard.git("old", &["checkout", "README"]);
    // Three within ten minutes are many.
    yard.run(&["apply", "--yes", "--max-decommission", "3"]).ok();
    assert!(!yard.tree("old").exists());
    yard.sandbox.tmux(&["has-session", "-t", "=shop/old"]).code(1);
    yard.converged();
}
