//! `start`, `stop`, `restart`, `hold` and `release`: what a human wants stands, and nobody is cut off unasked.

use crate::sandbox::{SOON, Sandbox, eventually};
use crate::shop::{FLEETCTL, SLEEP, Shop};
use std::fs;

/// A program under the name of an agent that fleetctl knows: it never tells that it is idle.
fn agent(shop: &Shop) {
    shop.sandbox.program("claude", "#!/bin/sh\necho \"claude $*\"\nexec sleep 100000\n");
}

const AGENT: &str = "boss: {agent: claude, prompt: Do it., worktree: false}";

#[test]
fn a_stopped_session_stays_stopped_until_it_is_started() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    shop.run(&["stop", "a", "-m", "too loud"]).ok().says("stop");
    assert_eq!(shop.tmux_sessions(), ["shop/b"]);
    assert!(shop.worktree("a").is_dir());
    shop.run(&["apply"]).ok();
    assert_eq!(shop.tmux_sessions(), ["shop/b"]);
    shop.run(&["diff"]).ok().says("too loud").says("fleetctl start a");
    shop.run(&["get", "holds"]).ok().says("too loud").says("tester");
    shop.run(&["stop", "a"]).ok();
    shop.run(&["start", "a"]).ok();
    assert_eq!(shop.tmux_sessions().len(), 2);
    shop.run(&["diff"]).ok();
    let told = shop.run(&["describe", "a"]).ok();
    for event in ["create: done", "stop: done", "start: done"] {
        assert!(told.stdout.contains(event), "no {event:?}: {told:#?}");
    }
}

#[test]
fn names_that_are_not_there_are_usage_errors_with_the_nearest_one() {
    let shop = Shop::applied(&format!("checkout: {{{SLEEP}}}"));
    for verb in ["start", "stop", "restart", "hold", "release", "describe", "attach", "rm"] {
        let said = shop.run(&[verb, "chekout"]).code(2);
        assert!(said.stderr.contains("did you mean checkout?"), "{said:#?}");
    }
    shop.run(&["apply", "chekout"]).code(2).complains("checkout");
    shop.run(&["restore", "checkout"]).code(2).complains("trash");
    shop.run(&["stop"]).code(2);
    shop.run(&["stop", "Not_a_name"]).code(2);
    shop.run(&["fly"]).code(2);
}

#[test]
fn an_agent_that_may_be_busy_is_not_stopped_unless_it_is_said_so() {
    let shop = Shop::new(AGENT);
    agent(&shop);
    shop.run(&["apply"]).ok();
    let pid = shop.pid("boss");
    for verb in [&["stop", "boss"][..], &["restart", "boss"], &["restart", "boss", "--fresh"]] {
        shop.run(verb).code(3).complains("boss").complains("busy").complains("--now");
        assert_eq!(shop.pid("boss"), pid);
    }
    shop.run(&["diff"]).ok();
    shop.run(&["restart", "boss", "--now"]).ok();
    assert_ne!(shop.pid("boss"), pid);
    shop.run(&["stop", "boss", "--now"]).ok();
    assert!(shop.tmux_sessions().is_empty());
    shop.run(&["start", "boss"]).ok();
    shop.run(&["diff"]).ok();
}

#[test]
fn a_changed_agent_that_may_be_busy_is_deferred_and_said() {
    let shop = Shop::new(AGENT);
    agent(&shop);
    shop.run(&["apply"]).ok();
    let pid = shop.pid("boss");
    shop.edit(&AGENT.replace("}", ", model: opus}"));
    shop.run(&["diff"]).code(1).says("deferred").says("opus").says("apply --now boss");
    shop.run(&["apply"]).ok();
    shop.run(&["apply", "--strict"]).code(4);
    shop.run(&["apply", "--wait", "--timeout", "1s"]).code(7).complains("boss");
    assert_eq!(shop.pid("boss"), pid);
    shop.run(&["apply", "--now", "boss"]).ok();
    assert_ne!(shop.pid("boss"), pid);
    shop.run(&["apply", "--wait"]).ok();
}

#[test]
fn an_apply_that_waits_records_a_revision_once() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let human = shop.terminal(100);
    human.fleetctl("attach a");
    eventually(SOON, "a client is attached", || shop.pane("a", "#{session_attached}") == "1");
    shop.edit(&format!("a: {{{SLEEP}, env: {{A: x}}}}"));
    let mut waiting = shop.command(FLEETCTL);
    let mut waiting = waiting.args(["apply", "--wait", "--timeout", "30s"]).spawn().unwrap();
    eventually(SOON, "it waits", || shop.run(&["diff"]).stdout.contains("revision 2 ("));
    let socket = shop.sandbox.socket();
    let mut detach = shop.command("tmux");
    detach.arg("-S").arg(socket).args(["detach-client", "-s", "=shop/a"]);
    Sandbox::run(&mut detach).ok();
    assert!(waiting.wait().unwrap().success());
    shop.run(&["diff"]).ok().says("revision 2 (");
}

#[test]
fn a_session_that_somebody_looks_at_is_not_stopped_unless_it_is_said_so() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let human = shop.terminal(100);
    human.fleetctl("attach a");
    eventually(SOON, "a client is attached", || shop.pane("a", "#{session_attached}") == "1");
    for verb in ["stop", "restart"] {
        shop.run(&[verb, "a"]).code(3).complains("attached").complains("--now");
    }
    shop.edit("");
    shop.run(&["rm", "a"]).code(3).complains("attached");
    shop.edit(&format!("a: {{{SLEEP}}}"));
    shop.run(&["restart", "a", "--now"]).ok();
    shop.run(&["stop", "a", "--now"]).ok();
    assert!(shop.tmux_sessions().is_empty());
}

#[test]
fn a_restart_keeps_the_worktree_and_a_recreate_makes_another() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}, setup: echo x >> ../setups}}"));
    let (pid, uid) = (shop.pid("a"), shop.uid("a"));
    let setups = || fs::read_to_string(shop.worktree("setups")).unwrap().lines().count();
    eventually(SOON, "setup ran", || shop.worktree("setups").exists());
    fs::write(shop.worktree("a").join(".env"), "kept").unwrap();
    shop.run(&["restart", "a"]).ok();
    assert_ne!(shop.pid("a"), pid);
    assert_eq!((shop.uid("a"), setups()), (uid.clone(), 1));
    shop.run(&["restart", "a", "--setup"]).ok();
    eventually(SOON, "setup ran again", || setups() == 2);
    assert!(shop.worktree("a").join(".env").exists());
    shop.run(&["restart", "a", "--recreate"]).code(3).complains("--yes");
    assert_eq!(shop.uid("a"), uid);
    shop.run(&["restart", "a", "--recreate", "--yes"]).ok().says("undo: fleetctl restore a");
    assert_ne!(shop.uid("a"), uid);
    assert!(!shop.worktree("a").join(".env").exists());
    shop.run(&["get", "trash"]).ok().says("a");
    shop.run(&["restart", "a", "--fresh", "--recreate"]).code(2);
}

#[test]
fn what_is_held_is_not_touched_until_it_is_released() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    let pid = shop.pid("a");
    shop.run(&["hold", "a", "-m", "demo at four", "--for", "2h"]).ok().complains("release a");
    let changed = format!("a: {{{SLEEP}, env: {{A: x}}}}\nb: {{{SLEEP}}}");
    shop.edit(&changed);
    shop.run(&["diff"]).ok().says("demo at four").says("tester").says("release a");
    shop.run(&["apply", "--now", "a"]).ok();
    shop.run(&["restart", "a"]).code(3).complains("demo at four").complains("release a");
    assert_eq!(shop.pid("a"), pid);
    let holds = crate::shop::json(&shop.run(&["get", "holds", "-o", "json"]).ok());
    assert!(holds.to_string().contains("demo at four"), "{holds}");
    shop.run(&["release", "a"]).ok().complains("apply");
    shop.run(&["apply"]).ok();
    assert_ne!(shop.pid("a"), pid);
    shop.run(&["hold", "--all", "-m", "freeze"]).ok();
    shop.edit(&format!("b: {{{SLEEP}}}"));
    shop.run(&["apply", "--yes"]).ok().says("freeze");
    assert_eq!(shop.tmux_sessions().len(), 2);
    shop.run(&["release", "--all"]).ok();
    shop.run(&["apply", "--yes"]).ok();
    assert_eq!(shop.tmux_sessions(), ["shop/b"]);
    shop.run(&["hold"]).code(2);
    shop.run(&["hold", "b", "--all"]).code(2);
    shop.run(&["hold", "b", "--for", "soon"]).code(2);
}

#[test]
fn a_session_that_was_not_created_yet_has_nothing_to_hold_or_stop() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    shop.edit(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    shop.run(&["hold", "b"]).code(3).complains("not been created");
    let said = shop.run(&["stop", "b"]);
    assert_eq!(said.code, 3, "{said:#?}");
    assert_eq!(shop.tmux_sessions(), ["shop/a"]);
    shop.run(&["start", "b"]).ok();
    assert_eq!(shop.tmux_sessions(), ["shop/a", "shop/b"]);
}

#[test]
fn an_end_of_its_own_stands_until_it_is_started_again() {
    let shop = Shop::applied(
        "once: {command: [sh, -c, 'exit 0']}\nbad: {command: [sh, -c, 'exit 3'], restart: never}",
    );
    eventually(SOON, "it has ended", || shop.pane("once", "#{pane_dead}") == "1");
    eventually(SOON, "it has ended", || shop.pane("bad", "#{pane_dead}") == "1");
    shop.run(&["apply"]);
    shop.run(&["apply"]).ok();
    shop.run(&["diff"]).ok();
    shop.run(&["get"]).ok().says("completed");
    let run = shop.session("once")["record"]["run"].clone();
    shop.run(&["start", "once"]).ok();
    assert_ne!(shop.session("once")["record"]["run"], run);
}

#[test]
fn a_lost_worktree_is_made_anew_only_when_asked() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    shop.run(&["stop", "a"]).ok();
    fs::rename(shop.worktree("a"), shop.sandbox.path("elsewhere")).unwrap();
    let said = shop.run(&["start", "a"]);
    assert_eq!(said.code, 4, "{said:#?}");
    shop.run(&["start", "a", "--new-worktree"]).ok();
    assert!(shop.worktree("a").join("README").is_file());
    shop.run(&["diff"]).ok();
    shop.run(&["start", "a", "--again", "--new-worktree"]).code(2);
}
