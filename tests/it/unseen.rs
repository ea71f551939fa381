//! What could not be seen is never taken for absent: `diff` exits 8 and names the cause in one line, nothing
//! that hangs on it is destroyed, and the rest converges.
#![expect(clippy::unwrap_used, reason = "what a test relies on fails it where it is missing")]

use crate::sandbox::{SOON, Sandbox, eventually};
use crate::shop::{FLEETCTL, SLEEP, Shop};
use fleetctl::process::{alive, ending};
use std::fs;
use std::path::{Path, PathBuf};

/// Two sessions with worktrees of their own.
fn two() -> String {
    format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}")
}

/// A `tmux` that is found before the real one and does this with the real one's path in `$real`.
fn wrapper(shop: &Shop, script: &str) {
    let path = std::env::join_paths(["/usr/local/bin", "/usr/bin", "/bin"]).unwrap();
    let real = fleetctl::process::find_program("tmux", &path).unwrap();
    let text = format!("#!/bin/sh\nreal={}\n{script}\n", real.display());
    shop.sandbox.program("tmux", &text);
}

/// `diff` exits 8 and says this of the cause, on one line; `apply` of a manifest without `b` ends nothing.
#[track_caller]
fn is_blind(shop: &Shop, cause: &str) {
    let told = shop.run(&["diff"]).code(8);
    let line = told.stdout.lines().find(|line| line.contains(cause));
    assert!(line.is_some(), "no line with {cause:?}: {told:#?}");
    shop.edit(&format!("a: {{{SLEEP}}}"));
    let applied = shop.run(&["apply", "--yes", "--max-decommission", "9"]).code(8);
    assert!(!applied.stdout.contains("done"), "{applied:#?}");
    assert!(shop.worktree("b").is_dir());
    shop.run(&["get"]).code(8);
    shop.edit(&two());
}

#[test]
fn garbage_from_tmux_is_not_an_empty_server() {
    let shop = Shop::applied(&two());
    let pids = (shop.pid("a"), shop.pid("b"));
    for garbage in [
        "exec echo garbage",
        "exec true",
        "echo oops >&2; exit 1",
        "\"$real\" \"$@\" | head -c 100",
    ] {
        wrapper(&shop, garbage);
        is_blind(&shop, "tmux");
    }
    fs::remove_file(shop.sandbox.path("home/bin/tmux")).unwrap();
    assert_eq!((shop.pid("a"), shop.pid("b")), pids);
    shop.run(&["diff"]).ok();
}

#[test]
fn a_socket_that_may_not_be_opened_is_unseen() {
    let shop = Shop::applied(&two());
    wrapper(&shop, "echo \"error connecting to $3 (Permission denied)\" >&2; exit 1");
    is_blind(&shop, "Permission denied");
}

#[test]
fn a_socket_below_a_file_is_unseen_and_no_server_is_begun() {
    let shop = Shop::new(&two());
    let text = fs::read_to_string(shop.manifest()).unwrap();
    let below = shop.sandbox.write("file", "").join("s");
    let socket = shop.sandbox.socket();
    let text = text.replace(socket.to_str().unwrap(), below.to_str().unwrap());
    fs::write(shop.manifest(), text).unwrap();
    shop.run(&["diff"]).code(8).says("Not a directory");
    shop.run(&["apply"]).code(8);
}

#[test]
fn a_stopped_server_is_unseen_until_it_goes_on() {
    let shop = Shop::applied(&two());
    let pid = shop.sandbox.tmux(&["display-message", "-p", "#{pid}"]).ok().text().parse().unwrap();
    let server = alive::process(pid, &alive::boot_id().unwrap()).unwrap().unwrap();
    ending::signal(&server, rustix::process::Signal::STOP).unwrap();
    is_blind(&shop, "did not answer");
    ending::signal(&server, rustix::process::Signal::CONT).unwrap();
    shop.run(&["diff"]).ok();
}

#[test]
fn a_server_whose_socket_is_gone_is_not_a_dead_one() {
    let shop = Shop::applied(&two());
    let pid = shop.sandbox.tmux(&["display-message", "-p", "#{pid}"]).ok().text().to_owned();
    fs::remove_file(shop.sandbox.socket()).unwrap();
    is_blind(&shop, &format!("kill -USR1 {pid}"));
    Sandbox::run(shop.command("kill").args(["-USR1", &pid])).ok();
    eventually(SOON, "the socket is back", || shop.sandbox.socket().exists());
    shop.run(&["diff"]).ok();
}

/// A fleet over two repositories, of which `other` is broken by `harm`.
fn harmed(harm: impl Fn(&Path)) -> Shop {
    let shop = Shop::new("");
    let other = shop.sandbox.repo("other");
    let both = format!(
        "repos: {{other: {{path: ../other}}}}\nsessions:\n  here: {{{SLEEP}}}\n  there: {{repo: other, {SLEEP}}}\n"
    );
    let text = shop.text("").replace("sessions: {}\n", &both);
    fs::write(shop.manifest(), &text).unwrap();
    shop.run(&["apply"]).ok();
    harm(&other);
    let without = text.replace(
        &format!("  there: {{repo: other, {SLEEP}}}\n"),
        &format!("  more: {{{SLEEP}}}\n"),
    );
    fs::write(shop.manifest(), without).unwrap();
    shop
}

#[track_caller]
fn the_rest_converges(shop: &Shop) {
    let pid = shop.pid("there");
    shop.run(&["diff"]).code(8).says("other");
    shop.run(&["apply", "--yes"]).code(8);
    assert_eq!(shop.pid("there"), pid);
    assert!(shop.sandbox.path("other.worktrees/there").is_dir());
    assert!(shop.tmux_sessions().contains(&"shop/more".to_owned()));
}

#[test]
fn a_repository_that_is_not_there_keeps_its_sessions() {
    let shop = harmed(|other| fs::rename(other, other.with_extension("gone")).unwrap());
    the_rest_converges(&shop);
}

#[test]
fn a_corrupt_repository_keeps_its_sessions() {
    let shop = harmed(|other| fs::write(other.join(".git/config"), "[garbage").unwrap());
    the_rest_converges(&shop);
}

#[test]
fn a_corrupt_index_holds_what_cannot_be_assessed() {
    let shop = harmed(|other| {
        let admin = other.join(".git/worktrees/there/index");
        fs::write(admin, "garbage").unwrap();
    });
    let pid = shop.pid("there");
    let told = shop.run(&["apply", "--yes"]);
    assert!([4, 8].contains(&told.code), "{told:#?}");
    assert_eq!(shop.pid("there"), pid);
    assert!(shop.sandbox.path("other.worktrees/there").is_dir());
}

#[test]
fn a_corrupt_store_stops_everything() {
    let shop = Shop::applied(&two());
    let store = shop.state().join("fleet.db");
    let whole = fs::read(&store).unwrap();
    let torn = [&whole[..4096], &vec![0xff; whole.len() - 4096]].concat();
    for text in [b"garbage".repeat(2_000), torn, whole[..whole.len() / 2].to_vec()] {
        fs::write(&store, text).unwrap();
        shop.edit(&format!("a: {{{SLEEP}}}"));
        for verb in
            [&["diff"][..], &["get"], &["describe", "a"], &["apply", "--yes"], &["stop", "a"]]
        {
            let said = shop.run(verb);
            assert_eq!(said.code, 8, "{verb:?} {said:#?}");
            assert!(said.stderr.lines().count() <= 2, "{said:#?}");
        }
        assert_eq!(shop.tmux_sessions(), ["shop/a", "shop/b"]);
        fs::write(&store, &whole).unwrap();
    }
    // A store that is lost is no reason to end anything: the marks say whose the sessions are.
    fs::write(&store, "").unwrap();
    shop.run(&["apply", "--yes"]).code(4).says("no record");
    assert_eq!(shop.tmux_sessions(), ["shop/a", "shop/b"]);
    fs::write(&store, &whole).unwrap();
    shop.edit(&two());
    shop.run(&["diff"]).ok();
}

#[test]
fn without_tmux_or_git_on_path_nothing_is_guessed() {
    let shop = Shop::applied(&two());
    let only = |names: &[&str]| -> String {
        let place = shop.sandbox.path(&format!("only-{}", names.concat()));
        fs::create_dir_all(&place).unwrap();
        for name in names {
            let path = std::env::join_paths(["/usr/local/bin", "/usr/bin", "/bin"]).unwrap();
            let real: PathBuf = fleetctl::process::find_program(name, &path).unwrap();
            std::os::unix::fs::symlink(real, place.join(name)).unwrap();
        }
        place.to_str().unwrap().to_owned()
    };
    let (neither, git, tmux) = (only(&[]), only(&["git"]), only(&["tmux"]));
    shop.run_with(&[("PATH", &git)], &["diff"]).code(8).complains("tmux is not installed");
    shop.run_with(&[("PATH", &neither)], &["validate"]).ok();
    shop.run_with(&[("PATH", &neither)], &["version"]).says("fleetctl ");
    fs::write(shop.worktree("b").join("work"), "of a day").unwrap();
    shop.edit(&format!("a: {{{SLEEP}}}\nc: {{{SLEEP}}}"));
    let said = shop.run_with(&[("PATH", &tmux)], &["apply", "--yes"]);
    assert!([4, 8].contains(&said.code), "{said:#?}");
    assert!(said.stdout.contains("git"), "{said:#?}");
    assert!(shop.worktree("b").join("work").is_file());
    assert!(shop.tmux_sessions().contains(&"shop/b".to_owned()));
    assert!(Path::new(FLEETCTL).is_file());
}
