//! Manifests in git repositories elsewhere: what is fetched, what is taken, what waits for a human's word.

use crate::sandbox::Output;
use crate::shop::{SLEEP, Shop};
use std::fs;

/// A shop whose manifest lies in another repository, `up`.
struct Elsewhere {
    shop: Shop,
    source: String,
}

impl Elsewhere {
    fn new(sessions: &str) -> Self {
        let shop = Shop::new("");
        fs::remove_file(shop.manifest()).expect("it is there");
        shop.sandbox.repo("up");
        let source = format!("{}#main:ci/fleet.yaml", shop.sandbox.path("up").display());
        let elsewhere = Self { shop, source };
        elsewhere.commit(sessions);
        elsewhere
    }

    /// Commits a manifest; gives the id.
    fn commit(&self, sessions: &str) -> String {
        let text = self
            .shop
            .text(sessions)
            .replace("sessions:", "repos: {x: {path: ..}}\ndefaults: {repo: x}\nsessions:");
        self.shop.sandbox.write("up/ci/fleet.yaml", &text);
        let up = self.shop.sandbox.path("up");
        self.shop.sandbox.git(&up, &["add", "-A"]);
        self.shop.sandbox.git(&up, &["commit", "-q", "--allow-empty", "-m", "x"]);
        self.shop.sandbox.git(&up, &["rev-parse", "HEAD"]).text().to_owned()
    }

    /// Runs a verb on the source, with the shop as its working copy.
    fn run(&self, args: &[&str]) -> Output {
        let top = self.shop.top();
        let source = ["--source", &self.source, "--root", top.to_str().expect("a text")];
        self.shop.run(&[args, &source].concat())
    }

    /// Trusts what there is, and applies it.
    #[track_caller]
    fn applied(sessions: &str) -> Self {
        let elsewhere = Self::new(sessions);
        let id = elsewhere.commit(sessions);
        elsewhere.run(&["trust", &id]).ok();
        elsewhere.run(&["apply"]).ok();
        elsewhere
    }
}

#[test]
fn nothing_runs_before_a_human_agreed_to_it() {
    let elsewhere = Elsewhere::new(&format!("a: {{{SLEEP}, setup: curl evil}}"));
    for verb in [&["apply"][..], &["diff"]] {
        let said = elsewhere.run(verb).code(3);
        said.complains("is not trusted").complains("curl evil").complains("fleetctl trust");
    }
    assert!(elsewhere.shop.tmux_sessions().is_empty());
    elsewhere.run(&["trust"]).ok().says("setup").says("curl evil").says("agree: fleetctl trust");
    elsewhere.run(&["apply"]).code(3);
    elsewhere.run(&["trust", "0123456"]).code(2).complains("no revision 0123456");
    let env = [("FLEET_UID", "01JCY8Q4M2ZK7W1B6T5R3N9XHD")];
    let inside = ["trust", "refs/fleet/head", "--source", &elsewhere.source];
    elsewhere.shop.run_with(&env, &inside).code(3).complains("inside a session");
    elsewhere.run(&["apply"]).code(3);
}

#[test]
fn a_commit_of_a_remote_becomes_the_fleet_without_a_checkout() {
    let sessions =
        format!("a: {{agent: claude, prompt_file: p.md, env_file: ../.env}}\nb: {{{SLEEP}}}");
    let elsewhere = Elsewhere::new("");
    elsewhere
        .shop
        .sandbox
        .program("claude", "#!/bin/sh\necho \"$@ $FROM\" > said; exec sleep 100000\n");
    elsewhere.shop.sandbox.write("up/ci/p.md", "From the commit.\n");
    elsewhere.shop.sandbox.write("shop/.env", "FROM=root\n");
    let id = elsewhere.commit(&sessions);
    elsewhere.shop.sandbox.write("up/ci/p.md", "From the working tree.\n");
    let before = elsewhere.shop.files();
    elsewhere.run(&["trust", &id[..9]]).ok().says(&format!("trusted {}", &id[..7]));
    elsewhere.run(&["apply"]).ok().says("2 to create").says(&id[..7]);
    let worktree = elsewhere.shop.worktree("a");
    let said = || fs::read_to_string(worktree.join("said")).unwrap_or_default();
    crate::sandbox::eventually(crate::sandbox::SOON, "the agent runs", || !said().is_empty());
    assert!(said().contains("From the commit.") && said().contains("root"), "{}", said());
    assert!(
        before
            .keys()
            .filter(|path| path.starts_with(elsewhere.shop.top()))
            .all(|path| path.exists())
    );
    assert!(!elsewhere.shop.top().join("ci").exists());
    // It is the only fleet: verbs know it, and read it from what was fetched.
    elsewhere.shop.sandbox.fleetctl(&["get"]).ok().says("synced");
    elsewhere.shop.sandbox.fleetctl(&["stop", "b"]).ok();
    elsewhere.run(&["apply"]).ok();
    assert_eq!(elsewhere.shop.tmux_sessions(), ["shop/a"]);
}

#[test]
fn what_changes_what_runs_waits_and_all_else_does_not() {
    let elsewhere = Elsewhere::applied(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    elsewhere.commit(&format!("a: {{{SLEEP}, labels: {{team: red}}}}\nb: {{{SLEEP}}}"));
    let said = elsewhere.run(&["apply"]).ok().says("labels.team");
    assert!(said.stderr.is_empty(), "{said:#?}");
    let id = elsewhere
        .commit(&format!("a: {{command: curl evil, labels: {{team: blue}}}}\nb: {{{SLEEP}}}"));
    let said = elsewhere.run(&["diff"]).ok().says_not("evil").says_not("blue");
    said.complains(&format!("{} is held: it changes what runs (a: command)", &id[..7]));
    elsewhere.run(&["apply"]).ok().says_not("blue");
    let told = elsewhere.shop.sandbox.fleetctl(&["get", "fleet"]).ok();
    told.says(&format!("manifest  {}", elsewhere.source)).says("held      ").says("trusted   ");
    let told = crate::shop::json(&elsewhere.shop.sandbox.fleetctl(&["get", "fleet", "-o", "json"]));
    assert_eq!((&told["source"]["head"], &told["live"]), (&id.as_str().into(), &2.into()));
    assert!(told["source"]["commit"] != id && told["source"]["held"].is_string(), "{told}");
    elsewhere.run(&["trust"]).ok().says("curl evil");
    elsewhere.run(&["trust", &id]).ok().says("curl evil");
    elsewhere.run(&["diff"]).code(1).says("curl evil").says("blue");
    // What only goes runs nothing.
    elsewhere.commit("a: {command: curl evil}");
    elsewhere.run(&["diff"]).code(1).says("b ").says("decommission");
    let id = elsewhere.commit(&format!("a: {{command: curl evil}}\nc: {{{SLEEP}}}"));
    elsewhere.run(&["diff"]).code(1).complains("c: command");
    elsewhere.run(&["trust", "--always", &id]).ok().says("whatever comes after it");
    elsewhere.commit(&format!("a: {{command: curl evil}}\nd: {{{SLEEP}}}"));
    let said = elsewhere.run(&["diff"]).code(1).says("+ d");
    assert!(said.stderr.is_empty(), "{said:#?}");
}

#[test]
fn a_failing_source_leaves_the_last_good_revision_in_force() {
    let elsewhere = Elsewhere::applied(&format!("a: {{{SLEEP}}}"));
    let id = elsewhere.commit("a: {comand: x}");
    let said = elsewhere.run(&["apply"]).ok().says("nothing to do");
    said.complains(&format!(
        "{} is held: its manifest is invalid: {}:ci/fleet.yaml:",
        &id[..7],
        &id[..7]
    ));
    elsewhere.run(&["trust", &id]).code(2).complains("comand");
    let up = elsewhere.shop.sandbox.path("up");
    fs::rename(&up, up.with_file_name("away")).expect("it can be moved");
    elsewhere
        .run(&["diff"])
        .ok()
        .complains("not reached since")
        .complains("going on with what was there");
    assert_eq!(elsewhere.shop.tmux_sessions(), ["shop/a"]);
    let source = format!("{}#main:fleet.yaml", up.display());
    elsewhere.shop.run(&["diff", "--source", &source]).code(8).complains("git fetch");
    elsewhere.shop.run(&["diff", "--source", "nothing"]).code(2).complains("URL#REF:FILE");
    let remote = "https://example.invalid/x#main:fleet.yaml";
    elsewhere.shop.run(&["diff", "--source", remote]).code(2).complains("--root DIR");
}

#[test]
fn a_commit_reads_nothing_outside_of_itself() {
    let elsewhere = Elsewhere::new("");
    elsewhere.shop.sandbox.write("shop/secret", "hunter2");
    for path in ["../secret", "/etc/passwd", "../../secret"] {
        let id = elsewhere.commit(&format!("a: {{agent: claude, prompt_file: {path}}}"));
        let said = elsewhere.run(&["trust", &id]).code(2);
        assert!(!said.stderr.contains("hunter2"), "{said:#?}");
    }
}

/// A controller that keeps the source's fleet, ended when it is dropped.
struct Kept(std::process::Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        assert!(ended.is_ok(), "{ended:?}");
    }
}

#[test]
fn a_controller_takes_what_comes_and_holds_what_changes_what_runs() {
    let elsewhere = Elsewhere::applied(&format!("a: {{{SLEEP}}}"));
    let shop = &elsewhere.shop;
    let log = fs::File::create(shop.sandbox.path("log")).unwrap();
    let mut command = shop.command(crate::shop::FLEETCTL);
    command.args(["controller", "--source", &elsewhere.source, "--interval", "1s"]);
    let _kept = Kept(command.stdout(std::process::Stdio::null()).stderr(log).spawn().unwrap());
    let logged = |text: &str| {
        crate::sandbox::eventually(crate::sandbox::SOON, text, || {
            fs::read_to_string(shop.sandbox.path("log")).unwrap_or_default().contains(text)
        });
    };
    let session = |field: &str| {
        let all = crate::shop::json(&shop.sandbox.fleetctl(&["get", "-o", "json"]));
        all["sessions"][0][field].clone()
    };
    elsewhere.commit(&format!("a: {{{SLEEP}, state: stopped}}"));
    let stopped = || session("status")["running"] == false;
    crate::sandbox::eventually(crate::sandbox::SOON, "a is stopped", stopped);
    let id = elsewhere.commit("a: {command: [sleep, '99999']}");
    logged(&format!("{} is held: it changes what runs", &id[..7]));
    assert!(stopped());
    elsewhere.run(&["trust", &id]).ok();
    crate::sandbox::eventually(crate::sandbox::SOON, "a runs again", || !stopped());
    logged("the source is as it should be again");
}
