//! `events`: what happened is told by name, and what happens as it comes, also before there is a store.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use crate::sandbox::{SOON, Sandbox, eventually};
use crate::shop::{FLEETCTL, SLEEP, Shop, json};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};

/// A program that goes on, and the file that it writes to.
pub struct Watching {
    child: Child,
    said: PathBuf,
}

impl Watching {
    /// Begins; `name` tells two of one test apart.
    pub fn begin(shop: &Shop, name: &str, args: &[&str]) -> Self {
        Self::of(&mut shop.command(FLEETCTL), &shop.sandbox, (name, args))
    }

    /// Begins with a command of another fixture's.
    pub fn of(command: &mut Command, sandbox: &Sandbox, (name, args): (&str, &[&str])) -> Self {
        let said = sandbox.path(name);
        let errors = File::create(sandbox.path(&format!("{name}.err"))).unwrap();
        command.args(args).stdout(File::create(&said).unwrap()).stderr(errors);
        Self { child: command.spawn().unwrap(), said }
    }

    /// What it has written.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Waits until it has written this.
    #[track_caller]
    pub fn says(&self, text: &str) {
        eventually(SOON, text, || self.text().contains(text));
    }

    /// Interrupts it as a terminal would; gives the signal that it ended by.
    pub fn interrupted(mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.child.wait().unwrap().signal()
    }

    /// Waits for its end, and gives its exit code.
    pub fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_happened_is_told_oldest_first_and_of_one_session() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    shop.run(&["stop", "a"]).ok();
    let before = shop.files();
    let all = json(&shop.run(&["events", "-o", "json"]).ok());
    let events = all["events"].as_array().unwrap();
    assert_eq!(events.len(), 3, "{all}");
    assert!(events.windows(2).all(|two| two[0]["id"].as_i64() < two[1]["id"].as_i64()), "{all}");
    let last = &events[2];
    assert_eq!((&last["session"], &last["kind"]), (&"a".into(), &"stop".into()));
    assert_eq!((&last["outcome"], &all["fleet"]), (&"done".into(), &"shop".into()));
    let of_b = shop.run(&["events", "--for", "shop/b"]).ok();
    assert_eq!(of_b.stdout.lines().count(), 1, "{of_b:#?}");
    assert!(of_b.stdout.ends_with("  b  create: done\n"), "{of_b:#?}");
    let one = shop.run(&["events", "-n", "1"]).ok();
    assert!(one.stdout.contains("  a  stop: done"), "{one:#?}");
    shop.run(&["events", "--for", "bb"]).code(2).complains("did you mean b?");
    assert_eq!(shop.files(), before);
}

#[test]
fn what_happened_is_told_although_the_manifest_is_broken() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    shop.edit("a: {comand: x}");
    shop.run(&["events"]).ok().says("a  create: done");
    shop.run(&["events", "--for", "a"]).ok().says("a  create: done");
}

#[test]
fn what_happens_is_told_as_it_comes_from_before_there_is_a_store() {
    let shop = Shop::new(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    let all = Watching::begin(&shop, "all", &["events", "-w"]);
    let of_b = Watching::begin(&shop, "of-b", &["events", "-w", "--for", "b", "-o", "json"]);
    shop.run(&["apply"]).ok();
    all.says("  b  create: done\n");
    of_b.says("\n");
    shop.run(&["stop", "a"]).ok();
    all.says("  a  stop: done");
    shop.run(&["stop", "b"]).ok();
    of_b.says("\"kind\":\"stop\"");
    for line in of_b.text().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&event["session"], &event["format_version"]), (&"b".into(), &1.into()));
    }
    assert_eq!(of_b.text().lines().count(), 2, "{}", of_b.text());
    let late = Watching::begin(&shop, "late", &["events", "-w", "-n", "1"]);
    late.says("  b  stop: done");
    assert_eq!(late.text().lines().count(), 1, "{}", late.text());
    assert_eq!(all.interrupted(), Some(2));
    let names: Vec<_> =
        fs::read_dir(shop.state()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("-wal")), "{names:?}");
}

#[test]
fn a_reader_that_went_away_ends_it() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let mut first = shop.command("sh");
    let script = format!("{FLEETCTL} events -w | head -n 1");
    let said = first.args(["-c", &script]).stdin(std::process::Stdio::null()).spawn();
    let mut said = said.unwrap();
    eventually(SOON, "an end after the next event", || {
        let _ = shop.run(&["restart", "a"]);
        said.try_wait().unwrap().is_some()
    });
}
