//! What people and machines see: colours, widths, pipes, prompts, help, JSON.

use crate::sandbox::{SOON, Sandbox, eventually};
use crate::shop::{FLEETCTL, SLEEP, Shop, json};
use std::fs;

fn two() -> String {
    format!("a: {{{SLEEP}}}\nwith-a-rather-long-name: {{{SLEEP}}}")
}

#[test]
fn colours_are_for_terminals_unless_it_is_said_otherwise() {
    let shop = Shop::applied(&two());
    let coloured = |env: &[(&str, &str)], args: &[&str]| {
        let said = shop.run_with(env, args);
        format!("{}{}", said.stdout, said.stderr).contains('\x1b')
    };
    fs::write(shop.worktree("a").join("x"), "").unwrap();
    for verb in ["get", "diff", "describe", "nonsense"] {
        let args = if verb == "describe" { vec![verb, "a"] } else { vec![verb] };
        assert!(!coloured(&[], &args), "{verb}");
        assert!(!coloured(&[("NO_COLOR", "1")], &args), "{verb}");
        let never = [&["--color", "never"], args.as_slice()].concat();
        assert!(!coloured(&[("CLICOLOR_FORCE", "1")], &never), "{verb}");
    }
    assert!(coloured(&[], &["--color", "always", "get"]));
    assert!(coloured(&[("NO_COLOR", "1")], &["--color", "always", "diff"]));
    fs::write(shop.manifest(), "version: 2\n").unwrap();
    assert!(!coloured(&[], &["validate"]));
    assert!(coloured(&[], &["--color", "always", "validate"]));
}

#[test]
fn every_screen_fits_a_narrow_terminal() {
    let shop = Shop::applied(&two());
    shop.run(&[
        "hold",
        "a",
        "-m",
        "a reason that is long enough to need more than one line of forty",
    ])
    .ok();
    shop.edit(&format!("a: {{{SLEEP}, env: {{A: x}}}}\nnew: {{{SLEEP}, base: nowhere}}"));
    let human = shop.terminal(40);
    for verb in [
        "diff",
        "get",
        "describe a",
        "get holds",
        "get worktrees",
        "stop zzz",
        "trash list",
        "apply --dry-run",
    ] {
        human.fleetctl(verb);
        eventually(SOON, "it has ended", || {
            human.screen().lines().any(|line| line.starts_with('[') && line.ends_with(']'))
        });
        let joined = human.joined();
        assert!(
            joined.lines().all(|line| line.trim_end().chars().count() <= 40
                || line.starts_with('$')
                || line.contains(" fleetctl ")),
            "{verb}:\n{joined}"
        );
    }
}

#[test]
fn what_is_not_read_to_its_end_is_no_error() {
    let shop = Shop::applied(&two());
    for verb in ["get -o json", "diff -o json", "describe a", "completion bash", "--help"] {
        let script = format!(
            "set -o pipefail; {FLEETCTL} {verb} | head -n 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
        );
        let said = Sandbox::run(shop.command("bash").args(["-c", &script]));
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{verb}");
        let script = format!("{FLEETCTL} {verb} | true; exit ${{PIPESTATUS[0]}}");
        let said = Sandbox::run(shop.command("bash").args(["-c", &script]));
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{verb}");
    }
    let full =
        Sandbox::run(shop.command("sh").args(["-c", &format!("{FLEETCTL} get > /dev/full")]));
    assert_eq!(full.code, 1, "{full:#?}");
}

#[test]
fn every_form_of_every_list_is_what_it_says() {
    let shop = Shop::applied(&two());
    shop.run(&["hold", "a"]).ok();
    shop.edit(&format!("a: {{{SLEEP}}}"));
    shop.run(&["rm", "with-a-rather-long-name"]).ok();
    for kind in ["sessions", "worktrees", "holds", "trash"] {
        json(&shop.run(&["get", kind, "-o", "json"]).ok());
        for form in ["table", "wide", "name", "path"] {
            let said = shop.run(&["get", kind, "-o", form]).ok();
            assert!(!said.stdout.contains('\x1b') && said.stderr.is_empty(), "{said:#?}");
        }
    }
    shop.run(&["get", "sessions", "-o", "name"]).ok();
    let names = shop.run(&["get", "-o", "name"]).ok();
    assert_eq!(names.text(), "a");
    let path = shop.run(&["get", "worktrees", "-o", "path"]).ok();
    assert_eq!(path.text(), shop.worktree("a").to_str().unwrap());
    let trash = shop.run(&["get", "trash", "-o", "path"]).ok();
    assert!(fs::metadata(trash.text()).unwrap().is_dir());
    json(&shop.run(&["diff", "-o", "json"]));
    json(&shop.run(&["trash", "list", "-o", "json"]));
    json(&shop.run(&["validate", "-o", "json"]).ok());
    fs::write(shop.manifest(), "version: 1\nfleet: shop\nsessions: {x: {agnt: claude}}\n").unwrap();
    let problems = json(&shop.run(&["validate", "-o", "json"]).code(2));
    assert!(problems.to_string().contains("agnt"), "{problems}");
}

#[test]
fn every_verb_has_help_and_a_completion() {
    let shop = Shop::new("");
    let help = shop.run(&["--help"]).ok();
    for verb in [
        "validate",
        "diff",
        "apply",
        "get",
        "describe",
        "start",
        "stop",
        "restart",
        "hold",
        "release",
        "rm",
        "restore",
        "trash",
        "attach",
        "version",
        "completion",
    ] {
        assert!(help.stdout.contains(&format!("\n  {verb} ")), "{verb}");
        let said = shop.run(&[verb, "--help"]).ok();
        assert!(said.stdout.contains("Usage: fleetctl"), "{said:#?}");
        assert!(said.stdout.lines().all(|line| line.chars().count() <= 100), "{said:#?}");
    }
    assert!(!help.stdout.contains("__launch"));
    for shell in ["bash", "zsh", "fish"] {
        shop.run(&["completion", shell]).ok().says("restore");
    }
    shop.run(&["version"]).ok().says("tmux 3").says("git version");
    shop.run(&["--version"]).ok().says("fleetctl ");
}

#[test]
fn a_human_is_asked_before_anything_goes() {
    let shop = Shop::applied(&two());
    shop.edit(&format!("a: {{{SLEEP}}}"));
    let human = shop.terminal(110);
    human.fleetctl("apply");
    human.shows("Decommission with-a-rather-long-name? [y/N]");
    human.line("n");
    human.shows("[3]");
    assert_eq!(shop.tmux_sessions().len(), 2);
    human.fleetctl("apply");
    human.shows("[y/N]");
    human.key("C-c");
    human.shows("^C\n$");
    assert_eq!(shop.tmux_sessions().len(), 2);
    human.fleetctl("apply");
    human.shows("[y/N]");
    human.key("C-d");
    human.shows("[3]");
    human.fleetctl("apply");
    human.shows("[y/N]");
    human.line("y");
    let screen = human.shows("[0]");
    assert_eq!(screen.matches("undo:").count(), 2, "once planned, once done:\n{screen}");
    assert!(!screen.contains('✓'), "the report tells it already:\n{screen}");
    assert_eq!(shop.tmux_sessions(), ["shop/a"]);
    shop.run(&["diff"]).ok();
}

#[test]
fn attaching_shows_the_pane_and_inside_of_the_same_server_it_switches() {
    let shop = Shop::applied(
        "a: {command: [sh, -c, 'echo this is a; exec sleep 100000']}\nb: {command: [sh, -c, 'echo this is b; exec sleep 100000']}\nidle: {agent: shell}",
    );
    let human = shop.terminal(100);
    human.fleetctl("attach a");
    human.shows("this is a");
    // A window of his own in that session, where he asks for another one.
    shop.sandbox.tmux(&["new-window", "-t", "=shop/a:", "--", "sh"]).ok();
    shop.sandbox
        .tmux(&[
            "send-keys",
            "-t",
            "=shop/a:",
            "-l",
            &format!("cd {}; {FLEETCTL} attach b", shop.top().display()),
        ])
        .ok();
    shop.sandbox.tmux(&["send-keys", "-t", "=shop/a:", "Enter"]).ok();
    human.shows("this is b");
    assert_eq!(shop.pane("b", "#{session_attached}"), "1");
    assert_eq!(shop.pane("a", "#{session_attached}"), "0");
    human.key("C-b");
    human.key("d");
    human.shows("[0]");
    shop.sandbox.tmux(&["kill-window", "-t", "=shop/a:{end}"]).ok();
    shop.run(&["stop", "a"]).ok();
    human.fleetctl("attach a");
    human.shows("fleetctl start a");
    human.shows("[3]");
    let said = shop.run(&["attach", "b"]);
    assert_ne!(said.code, 0, "{said:#?}");
}

#[test]
fn those_who_need_a_human_come_first() {
    let shop = Shop::applied(&format!(
        "fine: {{{SLEEP}}}\nsad: {{command: [sh, -c, 'exit 3'], restart: never}}"
    ));
    eventually(SOON, "it has ended", || shop.pane("sad", "#{pane_dead}") == "1");
    let table = shop.run(&[]).ok();
    let rows: Vec<&str> = table.stdout.lines().collect();
    assert!(rows[1].starts_with("sad"), "{table:#?}");
    assert!(rows[2].starts_with("fine"), "{table:#?}");
}
