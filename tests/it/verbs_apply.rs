//! `apply`, the lock, what a dry run and a reading verb leave behind, and what is told of secrets.

use crate::sandbox::{SOON, eventually};
use crate::shop::{SLEEP, Shop, json};
use crate::stage::Stage;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn three() -> String {
    format!("a: {{{SLEEP}, labels: {{team: red}}}}\nb: {{{SLEEP}}}\nc: {{{SLEEP}}}")
}

#[test]
fn another_writer_is_named_and_nothing_is_done() {
    let shop = Shop::applied(&three());
    let lock = File::open(shop.state().join("lock")).unwrap();
    lock.try_lock().unwrap();
    shop.edit(&format!("a: {{{SLEEP}}}"));
    let pid = std::process::id().to_string();
    for verb in [
        &["apply", "--yes"][..],
        &["stop", "a"],
        &["start", "a"],
        &["restart", "a"],
        &["hold", "a"],
        &["release", "a"],
        &["rm", "b"],
        &["trash", "empty", "--yes"],
    ] {
        shop.run(verb).code(5).complains(&pid);
    }
    shop.run(&["diff"]).code(1);
    shop.run(&["get"]).ok();
    drop(lock);
    shop.run(&["apply", "--yes", "--max-decommission", "2"]).ok();
}

#[test]
fn a_converged_apply_and_every_reading_verb_write_nothing() {
    let shop = Shop::applied(&three());
    fs::write(shop.worktree("a").join("README"), "touched").unwrap();
    let before = shop.files();
    for verb in [
        &["apply"][..],
        &["apply", "--yes", "--wait"],
        &["diff"],
        &["diff", "-o", "json"],
        &[],
        &["get", "worktrees"],
        &["get", "holds"],
        &["trash", "list"],
        &["describe", "a"],
        &["validate"],
    ] {
        shop.run(verb).ok();
        assert_same(&shop, &before, verb);
    }
    shop.edit(&format!("a: {{{SLEEP}, env: {{A: x}}}}\nd: {{{SLEEP}}}"));
    let before = shop.files();
    for verb in [&["diff"][..], &["apply", "--dry-run", "--max-decommission", "3"], &["get"]] {
        shop.run(verb);
        assert_same(&shop, &before, verb);
    }
    shop.run(&["apply"]).code(3).complains("--yes");
    assert_eq!(shop.tmux_sessions().len(), 3);
}

#[track_caller]
fn assert_same(
    shop: &Shop,
    before: &std::collections::BTreeMap<std::path::PathBuf, (Vec<u8>, std::time::SystemTime)>,
    verb: &[&str],
) {
    let after = shop.files();
    let changed: Vec<&Path> = after
        .iter()
        .filter(|(path, seen)| before.get(*path) != Some(seen))
        .map(|(path, _)| path.as_path())
        .chain(before.keys().filter(|path| !after.contains_key(*path)).map(AsRef::as_ref))
        .collect();
    assert!(changed.is_empty(), "{verb:?} changed {changed:?}");
}

#[test]
fn nothing_is_made_by_looking_at_a_fleet_that_was_never_applied() {
    let shop = Shop::new(&three());
    let before = shop.files();
    for verb in [&["diff"][..], &["get"], &["apply", "--dry-run"], &["describe", "a"]] {
        shop.run(verb);
        assert_same(&shop, &before, verb);
    }
    assert!(!shop.sandbox.socket().exists());
}

#[test]
fn named_and_selected_sessions_are_applied_and_no_others() {
    let shop = Shop::new(&three());
    shop.run(&["apply", "b"]).ok();
    assert_eq!(shop.tmux_sessions(), ["shop/b"]);
    shop.run(&["apply", "-l", "team=red"]).ok();
    assert_eq!(shop.tmux_sessions(), ["shop/a", "shop/b"]);
    shop.run(&["apply", "-l", "team=blue"]).code(2).complains("labels");
    shop.edit(&format!("c: {{{SLEEP}}}"));
    shop.run(&["apply", "shop/c", "--yes"]).ok();
    assert_eq!(shop.tmux_sessions().len(), 3);
    shop.run(&["apply", "c", "--prune"]).code(2);
}

#[test]
fn what_prune_manual_keeps_goes_with_prune() {
    let shop = Shop::applied(&three());
    let text = shop.text(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    fs::write(shop.manifest(), text.replace("sessions:", "prune: manual\nsessions:")).unwrap();
    shop.run(&["apply", "--yes"]).ok();
    assert_eq!(shop.tmux_sessions().len(), 3);
    shop.run(&["apply", "--yes", "--prune"]).ok();
    assert_eq!(shop.tmux_sessions().len(), 2);
}

#[test]
fn a_failing_dependency_leaves_its_dependents_and_nothing_else() {
    let shop = Shop::new(&format!(
        "a: {{{SLEEP}, base: nowhere}}\nb: {{{SLEEP}, depends_on: [a]}}\nc: {{{SLEEP}}}"
    ));
    let said = shop.run(&["apply"]).code(4);
    assert!(said.stdout.contains("nowhere"), "{said:#?}");
    assert_eq!(shop.tmux_sessions(), ["shop/c"]);
}

#[test]
fn values_of_env_are_told_nowhere() {
    let secret = "hunter2-tr0ub4dor";
    let shop = Shop::new("");
    shop.sandbox.program("claude", "#!/bin/sh\nexec sleep 100000\n");
    shop.sandbox.write("shop/.env", &format!("FROM_FILE={secret}\n"));
    let manifest = |port: &str| {
        let sessions = format!(
            "a: {{{SLEEP}, env: {{TOKEN: {secret}{port}}}, env_file: .env}}\n\
             b: {{agent: mine, mode: yolo, prompt: x, worktree: false}}"
        );
        let agents = format!(
            "agents: {{mine: {{extends: claude, modes: {{yolo: {{args: [--go], env: {{KEY: {secret}{port}}}}}}}}}}}\n"
        );
        shop.text(&sessions).replace("sessions:", &format!("{agents}sessions:"))
    };
    fs::write(shop.manifest(), manifest("")).unwrap();
    let tells = |said: &crate::sandbox::Output| {
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(!text.contains(secret), "{text}");
    };
    tells(&shop.run(&["-vv", "apply"]).ok());
    fs::write(shop.manifest(), manifest("2")).unwrap();
    for verb in [
        &["-vv", "diff"][..],
        &["-vv", "diff", "-o", "json"],
        &["-vv", "get", "-o", "json"],
        &["-vv", "describe", "a"],
        &["-vv", "describe", "b"],
        &["-vv", "apply", "--now", "a", "--now", "b"],
        &["-vv", "get", "-o", "wide"],
        &["-vv", "stop", "a", "b", "--now"],
        &["-vv", "start", "a", "b"],
    ] {
        tells(&shop.run(verb));
    }
    let broken = manifest("2").replace("mode: yolo", "mode: yolow").replace("env_file", "env_fil");
    fs::write(shop.manifest(), broken).unwrap();
    tells(&shop.run(&["validate"]).code(2));
    tells(&shop.run(&["validate", "-o", "json"]).code(2));
    for (path, (text, _)) in shop.files() {
        if path.starts_with(shop.top()) {
            continue;
        }
        let has = text.windows(secret.len()).any(|part| part == secret.as_bytes());
        if path.starts_with(shop.state().join("launch")) {
            // The launch file is how a value reaches its program; only its owner reads it.
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert!(!has || mode & 0o077 == 0, "{}", path.display());
        } else {
            assert!(!has, "{} has the secret", path.display());
        }
    }
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let has = line.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!has, "{}", String::from_utf8_lossy(&line));
    }
    let at = format!("/proc/{}/environ", shop.pid("a"));
    eventually(SOON, "the program has it", || {
        String::from_utf8_lossy(&fs::read(&at).unwrap_or_default())
            .contains(&format!("TOKEN={secret}2"))
    });
}

#[test]
fn a_state_directory_that_cannot_be_written_stops_it_before_it_acts() {
    let shop = Shop::new(&three());
    fs::create_dir_all(shop.sandbox.path("state")).unwrap();
    fs::write(shop.sandbox.path("state/fleetctl"), "a file").unwrap();
    let said = shop.run(&["apply"]);
    assert!([1, 8].contains(&said.code), "{said:#?}");
    assert!(said.stderr.contains("state/fleetctl"), "{said:#?}");
    assert!(!shop.sandbox.socket().exists());
    assert!(!shop.worktree("a").exists());
}

#[test]
fn a_full_disk_stops_it_before_it_acts() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    shop.edit(&three());
    // No file may grow beyond what the store has: what a write would say on a full disk.
    let script = format!("ulimit -f 8; trap '' XFSZ; exec {} apply", crate::shop::FLEETCTL);
    let said = crate::sandbox::Sandbox::run(shop.command("bash").args(["-c", &script]));
    assert!([1, 8].contains(&said.code), "{said:#?}");
    assert!(said.stderr.contains("no space is left for the store"), "{said:#?}");
    assert!(said.stderr.contains("make room"), "{said:#?}");
    assert_eq!(shop.tmux_sessions(), ["shop/a"]);
    assert!(!shop.worktree("b").exists());
    shop.run(&["apply"]).ok();
    assert_eq!(shop.tmux_sessions().len(), 3);
}

#[test]
fn many_agents_are_started_unasked_only_without_a_terminal() {
    let shop = Shop::new("");
    shop.sandbox.program("claude", "#!/bin/sh\nexec sleep 100000\n");
    let agents: Vec<String> = (0..18)
        .map(|n| format!("n{n}: {{agent: claude, prompt: x, mode: plan, worktree: false}}"))
        .collect();
    shop.edit(&agents.join("\n"));
    shop.run(&["apply"]).ok().says("queued");
    assert_eq!(shop.tmux_sessions().len(), 16);
    let plan = json(&shop.run(&["diff", "-o", "json"]).code(1));
    assert_eq!(plan["summary"]["queued"], 2, "{plan}");
    shop.run(&["apply", "--strict"]).code(4);
}

#[test]
fn a_store_of_an_older_format_is_brought_up_to_date_by_verbs_that_write_alone() {
    let stage = Stage::applied("sessions: {a: {command: sleep 1000, worktree: false}}");
    let file = stage.path("state/fleetctl/shop/fleet.db");
    let older = || {
        let store = rusqlite::Connection::open(&file).expect("the store");
        let first =
            "ALTER TABLE events DROP COLUMN outcome; DROP TABLE finished; PRAGMA user_version = 1;";
        store.execute_batch(first).expect("it is taken back a format");
    };
    for verb in [&["apply"][..], &["hold", "a"], &["stop", "a"]] {
        older();
        let seen = stage.verb(&["get"]).code(8);
        assert!(seen.stderr.contains("fleetctl apply"), "{seen:?}");
        stage.verb(verb).ok();
        stage.verb(&["get"]).ok();
    }
}
