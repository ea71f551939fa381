//! From within a session: an agent only reads, a shell's human does all but end his own session, and a pane
//! that a human opened beside an agent is his.
#![expect(clippy::unwrap_used, reason = "what a test relies on fails it where it is missing")]

use crate::sandbox::{SOON, eventually};
use crate::shop::{FLEETCTL, SLEEP, Shop};
use std::fs;

/// Runs fleetctl in the session's own pane, and gives what it said and its exit code.
fn from_within(shop: &Shop, name: &str, args: &str) -> String {
    ask(shop, name, &format!("{FLEETCTL} {args}"))
}

fn ask(shop: &Shop, name: &str, command: &str) -> String {
    let out = shop.sandbox.path("said");
    let _ = fs::remove_file(&out);
    let text = format!("{command} >{0} 2>&1; echo \"[$?]\" >>{0}\n", out.display());
    let asked = shop.sandbox.path("asking");
    fs::write(&asked, text).unwrap();
    fs::rename(&asked, shop.sandbox.path(&format!("ask-{name}"))).unwrap();
    let mut said = String::new();
    eventually(SOON, "it has answered", || {
        said = fs::read_to_string(&out).unwrap_or_default();
        said.ends_with("]\n")
    });
    said
}

/// A program that runs whatever is asked of it, one file at a time.
const ASKED: &str =
    "while :; do if [ -e ask-x ]; then mv ask-x now-x; sh now-x; fi; sleep 0.05; done";

fn obedient(shop: &Shop, name: &str) -> String {
    ASKED
        .replace("ask-x", &shop.sandbox.path(&format!("ask-{name}")).display().to_string())
        .replace("now-x", &shop.sandbox.path(&format!("now-{name}")).display().to_string())
}

#[test]
fn an_agent_reads_and_changes_nothing() {
    let shop = Shop::new("");
    shop.sandbox.program("claude", &format!("#!/bin/sh\n{}\n", obedient(&shop, "boss")));
    let sessions = format!("boss: {{agent: claude, prompt: x}}\nb: {{{SLEEP}}}");
    shop.edit(&sessions);
    fs::write(shop.top().join("stale.yaml"), "").unwrap();
    shop.run(&["apply"]).ok();
    for verb in ["get", "diff", "describe b", "validate", "get holds"] {
        let said = from_within(&shop, "boss", verb);
        assert!(said.ends_with("[0]\n"), "{verb}: {said}");
    }
    for verb in [
        "apply --yes",
        "stop b",
        "hold --all",
        "release --all",
        "restart b",
        "start b",
        "stop boss --now",
        "trash empty --yes",
    ] {
        let said = from_within(&shop, "boss", verb);
        assert!(
            said.ends_with("[3]\n") && said.contains("inside the session boss"),
            "{verb}: {said}"
        );
    }
    // A worktree holds a copy of the file that may be stale: the fleet's own is meant.
    fs::write(shop.worktree("boss").join("fleet.yaml"), "version: 1\nfleet: other\nsessions: {}\n")
        .unwrap();
    assert!(from_within(&shop, "boss", "get -o name").contains("boss"));
    // What leaves the agent's kernel session is the agent's all the same.
    let said = ask(&shop, "boss", &format!("setsid -w {FLEETCTL} stop b"));
    assert!(said.ends_with("[3]\n"), "{said}");
    assert_eq!(shop.tmux_sessions().len(), 2);
}

#[test]
fn a_pane_that_a_human_opens_beside_an_agent_is_his() {
    let shop = Shop::new("");
    shop.sandbox.program("claude", "#!/bin/sh\nexec sleep 100000\n");
    shop.edit(&format!("boss: {{agent: claude, prompt: x}}\nb: {{{SLEEP}}}"));
    shop.run(&["apply"]).ok();
    fs::write(shop.worktree("boss").join("fleet.yaml"), "version: 1\nfleet: other\nsessions: {}\n")
        .unwrap();
    let out = shop.sandbox.path("human");
    let worktree = shop.worktree("boss");
    let script =
        format!("{FLEETCTL} stop b >{0} 2>&1; echo \"[$?]\" >>{0}; exec sleep 1000", out.display());
    shop.sandbox
        .tmux(&[
            "split-window",
            "-d",
            "-t",
            "=shop/boss:",
            "-c",
            worktree.to_str().unwrap(),
            "--",
            "sh",
            "-c",
            &script,
        ])
        .ok();
    eventually(SOON, "it has answered", || {
        fs::read_to_string(&out).is_ok_and(|said| said.contains('['))
    });
    let said = fs::read_to_string(&out).unwrap();
    assert!(said.ends_with("[0]\n"), "{said}");
    assert_eq!(shop.tmux_sessions(), ["shop/boss"]);
}

#[test]
fn a_shell_does_all_but_end_the_session_it_is_in() {
    let shop = Shop::new("");
    let script = obedient(&shop, "me");
    shop.edit(&format!("me: {{command: [sh, -c, '{script}']}}\nb: {{{SLEEP}}}"));
    shop.run(&["apply"]).ok();
    let pid = shop.pid("me");
    let said = from_within(&shop, "me", "stop b");
    assert!(said.ends_with("[0]\n"), "{said}");
    for verb in
        ["stop me", "stop me --now", "restart me --now", "restart me --recreate --yes --now"]
    {
        let said = from_within(&shop, "me", verb);
        assert!(said.ends_with("[3]\n") && said.contains("me"), "{verb}: {said}");
    }
    shop.edit(&format!("b: {{{SLEEP}}}"));
    for verb in ["rm me", "rm me --now"] {
        let said = from_within(&shop, "me", verb);
        assert!(said.ends_with("[3]\n"), "{verb}: {said}");
    }
    let said = from_within(&shop, "me", "apply --yes");
    assert!(said.ends_with("[4]\n"), "{said}");
    assert_eq!(shop.pid("me"), pid);
    shop.run(&["rm", "me"]).ok();
}
