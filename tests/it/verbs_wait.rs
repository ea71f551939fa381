//! `wait` and `get -w`: they only look, and tell what came of what others do.

use crate::controller::Controller;
use crate::sandbox::{SOON, eventually};
use crate::shop::{SLEEP, Shop};
use crate::stage::Stage;
use crate::verbs_events::Watching;
use fleetctl::process;
use std::time::Duration;

#[test]
fn a_wait_ends_when_all_of_its_sessions_have_come_to_it() {
    let shop = Shop::new(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}, labels: {{team: red}}}}"));
    let all = Watching::begin(&shop, "all", &["wait", "--for", "running"]);
    let any = Watching::begin(&shop, "any", &["wait", "a", "b", "--any", "--for", "gone,running"]);
    let red = Watching::begin(&shop, "red", &["wait", "-l", "team=red", "--for", "synced"]);
    shop.run(&["apply", "b"]).ok();
    any.says("b: running\n");
    red.says("b: synced\n");
    all.says("b: running\n");
    assert_eq!((any.ended(), red.ended()), (Some(0), Some(0)));
    shop.run(&["apply"]).ok();
    all.says("a: running\n");
    assert_eq!(all.ended(), Some(0));
    let before = shop.files();
    shop.run(&["wait", "--for", "synced", "--timeout", "0s"]).ok().says("a: synced\nb: synced\n");
    shop.run(&["wait", "a", "--for", "stopped", "--timeout", "1s"])
        .code(7)
        .complains("a to be stopped");
    assert_eq!(shop.files(), before);
}

#[test]
fn a_wait_for_what_cannot_be_ends_at_once_and_says_what_helps() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}\nb: {{command: 'exit 0'}}"));
    shop.run(&["stop", "a"]).ok();
    let said = shop.run(&["wait", "a", "--for", "running"]).code(1).complains("stopped by tester");
    said.complains("fleetctl start a");
    shop.run(&["wait", "a", "--for", "stopped", "--timeout", "0s"]).ok().says("a: stopped");
    shop.run(&["wait", "b", "--for", "completed"]).ok().says("b: completed");
    shop.run(&["wait", "b", "--for", "ready"]).code(1).complains("exited with 0");
    // One that cannot is no end while another one may.
    let any = ["wait", "a", "b", "--any", "--for", "running,completed"];
    shop.run(&any).ok().says("b: completed");
}

#[test]
fn names_are_checked_but_for_gone() {
    let shop = Shop::applied(&format!("checkout: {{{SLEEP}}}"));
    shop.run(&["wait", "chekout", "--for", "running"]).code(2).complains("did you mean checkout?");
    shop.run(&["wait", "chekout", "--for", "gone"]).ok().says("chekout: gone");
    shop.run(&["wait", "-l", "a=b", "--for", "running"]).code(2).complains("labels");
    shop.run(&["wait", "checkout"]).code(2).complains("--for");
    shop.run(&["wait", "--for", "flying"]).code(2);
    let gone = Watching::begin(&shop, "gone", &["wait", "checkout", "--for", "gone"]);
    shop.edit("");
    shop.run(&["apply", "--yes", "--max-decommission", "1"]).ok();
    gone.says("checkout: gone\n");
    assert_eq!(gone.ended(), Some(0));
}

#[test]
fn what_an_agent_does_is_not_seen_and_never_taken_for_idle() {
    let shop = Shop::new("boss: {agent: claude, prompt: Do it., worktree: false}");
    shop.sandbox.program("claude", "#!/bin/sh\nexec sleep 100000\n");
    shop.run(&["apply"]).ok();
    shop.run(&["wait", "boss", "--for", "running", "--timeout", "0s"]).ok();
    let idle = ["wait", "boss", "--for", "idle", "--timeout", "1s"];
    shop.run(&idle).code(8).complains("could not be seen");
}

#[test]
fn a_list_goes_on_with_what_changes_and_nothing_else() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    let table = Watching::begin(&shop, "table", &["get", "-w"]);
    let lines = Watching::begin(&shop, "lines", &["get", "-w", "-o", "json"]);
    table.says("\nb ");
    lines.says("\"name\":\"b\"");
    let names = |text: &str| -> Vec<String> {
        let objects = text.lines().map(serde_json::from_str::<serde_json::Value>);
        objects.map(|object| object.expect("a whole object")["name"].to_string()).collect()
    };
    assert_eq!(table.text().lines().count(), 3, "{}", table.text());
    shop.run(&["stop", "b"]).ok();
    eventually(SOON, "b is stopped", || table.text().contains("stopped"));
    eventually(SOON, "b is stopped", || lines.text().contains("\"health\":\"stopped\""));
    // Two more looks at a fleet at rest.
    process::pause(Duration::from_millis(2_200));
    let rows: Vec<String> = table.text().lines().skip(3).map(str::to_owned).collect();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.starts_with("b ")), "{rows:?}");
    assert_eq!(names(&lines.text())[..2], ["\"a\"", "\"b\""]);
    assert!(names(&lines.text())[2..].iter().all(|name| name == "\"b\""), "{}", lines.text());
    let count = lines.text().lines().count();
    shop.edit(&format!("a: {{{SLEEP}}}"));
    shop.run(&["apply", "--yes"]).ok();
    lines.says("\"name\":\"b\",\"gone\":true}");
    assert!(lines.text().lines().count() > count);
    assert_eq!(table.interrupted(), Some(2));
    shop.run(&["get", "trash", "-w"]).code(2).complains("watches sessions");
    shop.run(&["get", "-w", "-o", "name"]).code(2).complains("as a table or as JSON");
}

#[test]
fn a_list_goes_on_past_what_cannot_be_looked_at() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let lines = Watching::begin(&shop, "lines", &["get", "-w", "-o", "json"]);
    lines.says("\"health\":\"healthy\"");
    shop.edit("a: {comand: x}");
    let socket = shop.sandbox.socket();
    let aside = shop.sandbox.path("aside");
    std::fs::rename(&socket, &aside).expect("the socket moves");
    lines.says("\"health\":\"unknown\"");
    std::fs::rename(&aside, &socket).expect("the socket moves back");
    eventually(SOON, "it is seen again", || {
        lines.text().lines().last().is_some_and(|line| line.contains("\"health\":\"healthy\""))
    });
}

#[test]
fn conditions_tell_since_when_and_stay_as_long_as_nothing_changes() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    let condition = |name: &str, kind: &str| {
        let session = shop.session(name);
        let all = session["conditions"].as_array().expect("conditions").clone();
        all.into_iter().find(|condition| condition["type"] == kind).expect("the condition")
    };
    let made = condition("a", "synced");
    assert_eq!((&made["status"], &made["reason"]), (&"true".into(), &"as-the-file-says".into()));
    assert_eq!(made["since"], shop.session("a")["record"]["created"]);
    let runs = condition("a", "running");
    assert_eq!(runs["since"], shop.session("a")["record"]["started"]);
    assert_eq!(runs["observed_revision"], 1);
    shop.run(&["stop", "a", "-m", "too loud"]).ok();
    let stopped = condition("a", "synced");
    assert_eq!(
        (&stopped["status"], &stopped["reason"]),
        (&"false".into(), &"stopped-by-human".into())
    );
    assert!(stopped["since"].is_string() && stopped["since"] != made["since"], "{stopped}");
    assert_eq!(condition("a", "running")["reason"], "stopped-by-human");
    shop.run(&["apply"]).ok();
    assert_eq!(condition("a", "synced")["since"], stopped["since"]);
    let before = shop.files();
    shop.run(&["apply"]).ok();
    assert_eq!(shop.files(), before, "a pass that changes nothing writes nothing");
    shop.run(&["start", "a"]).ok();
    let again = condition("a", "synced");
    assert_eq!(again["status"], "true");
    assert!(again["since"].as_str() > stopped["since"].as_str(), "{again} after {stopped}");
    assert_eq!(condition("b", "synced")["since"], shop.session("b")["record"]["created"]);
    shop.run(&["describe", "a"]).ok().says("synced        true for").says("running       true for");
}

const CROWD: &str = "\
max_running: 1
defaults: {agent: claude, worktree: false, mode: plan, prompt: Look.}
sessions: {one: {}, two: {}}
";

#[test]
fn an_apply_says_when_nobody_is_there_to_go_on() {
    let stage = Stage::new(CROWD);
    stage.program("claude", "#!/bin/sh\nexec sleep 100000\n");
    let alone = stage.apply(&[]).ok();
    let line = "1 queued: nobody keeps watch; run: fleetctl controller\n";
    assert!(alone.stderr.ends_with(line), "{alone:#?}");
    stage.fleet(&CROWD.replace("Look.}", "Look., model: opus}"));
    let alone = stage.apply(&[]).ok();
    let both = "1 deferred and 1 queued: nobody keeps watch; run: fleetctl controller\n";
    assert!(alone.stderr.ends_with(both), "{alone:#?}");
    assert!(!stage.apply(&["--wait", "--timeout", "1s"]).stderr.contains("nobody"));
    let controller = Controller::of(&stage);
    let kept = stage.apply(&[]).ok();
    assert!(!kept.stderr.contains("nobody"), "{kept:#?}");
    assert_eq!(controller.end(), 0);
}

#[test]
fn what_a_controller_does_is_waited_for_and_watched() {
    let stage = Stage::new("sessions: {a: {command: sleep 1000}, b: {command: sleep 1000}}");
    let begin = |name: &str, args: &[&str]| {
        let mut command = stage.command(env!("CARGO_BIN_EXE_fleetctl"));
        Watching::of(command.current_dir(stage.top()), &stage, (name, args))
    };
    let wait = begin("wait", &["wait", "--for", "synced", "--timeout", "60s"]);
    let list = begin("list", &["get", "-w"]);
    let events = begin("events", &["events", "-w"]);
    let controller = Controller::of(&stage);
    events.says("  b  create: done");
    assert_eq!(wait.ended(), Some(0));
    let made = |text: &str| text.lines().filter(|line| line.contains("healthy")).count() >= 2;
    eventually(SOON, "both are listed as healthy", || made(&list.text()));
    stage.tmux(&["kill-session", "-t", "=shop/a"]).ok();
    events.says("  a  start: done");
    stage.verb(&["wait", "a", "--for", "running", "--timeout", "10s"]).ok();
    stage.fleet("sessions: {b: {command: sleep 1000}}\nprune: 0s");
    stage.verb(&["wait", "a", "--for", "gone", "--timeout", "20s"]).ok().says("a: gone");
    assert_eq!(controller.end(), 0);
}

#[test]
fn a_look_that_is_under_way_in_a_worktree_is_no_work_at_risk() {
    let stage = Stage::applied("sessions: {a: {command: sleep 1000}}");
    let mut looking = stage.command("sleep");
    let looking = looking.arg("1000").env("FLEETCTL_LOOKS", "1").current_dir(stage.worktree("a"));
    let mut looking = looking.spawn().expect("it begins");
    let gone = stage.becomes("sessions: {}\nprune: 0s");
    assert!(gone.stdout.contains("max-decommission"), "{gone:#?}");
    let gone = stage.apply(&["--yes", "--max-decommission", "1"]).ok();
    assert!(gone.stdout.contains("restore a") && !stage.worktree("a").exists(), "{gone:#?}");
    looking.kill().and_then(|()| looking.wait()).expect("it ends");
}
