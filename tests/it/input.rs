//! Manifests that are damaged, odd or elsewhere: what cannot be read or is invalid changes nothing, and what
//! was cut off destroys nothing beyond the mass guard.
#![expect(clippy::unwrap_used, reason = "what a test relies on fails it where it is missing")]

use crate::manifest::{Memory, load_with};
use crate::sandbox::{Output, Sandbox};
use crate::shop::{FLEETCTL, SLEEP, Shop, json};
use std::fs;
use std::io::Write;
use std::process::Stdio;

/// As people write them, with comments at the end of lines and blocks.
const EIGHT: &str = "\
api: {command: [sleep, '100000'], labels: {team: red}}
web: {command: [sleep, '100000'], env: {PORT: '3000'}}
docs: {command: [sleep, '100000'], protect: true}
etl: {command: [sleep, '100000'], worktree: false}
lint: {command: [sleep, '100000'], state: stopped}
logs: {command: [sleep, '100000'], worktree: api, depends_on: [api]}
bench: {command: [sleep, '100000'], cwd: .}
last: {command: [sleep, '100000']}";

#[test]
fn a_manifest_cut_off_at_any_byte_ends_no_more_than_the_mass_guard_allows() {
    let shop = Shop::applied(EIGHT);
    let whole = fs::read_to_string(shop.manifest()).unwrap();
    let mut tried = 0;
    let mut last = None;
    for length in 0..whole.len() {
        let Some(text) = whole.get(..length) else { continue };
        let files = Memory::default().with("fleet.yaml", text);
        let Ok(fleet) = load_with(&files, false) else { continue };
        let says = format!("{} {:?}", fleet.name, fleet.sessions);
        if last.as_ref() == Some(&says) {
            continue;
        }
        tried += 1;
        fs::write(shop.manifest(), text).unwrap();
        let plan = json(&shop.run(&["diff", "-o", "json"]));
        let ends = ending(&plan);
        assert!(ends.len() * 2 <= 8 || ends.len() < 3, "cut at {length}: {ends:?}");
        assert!(!ends.contains(&"docs".to_owned()), "protected, cut at {length}");
        last = Some(says);
    }
    let first = whole.lines().take(6).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(shop.manifest(), first).unwrap();
    shop.run(&["apply", "--yes"]).code(4).says("--max-decommission");
    assert_eq!(shop.tmux_sessions().len(), 7);
    assert!(tried >= 5, "only {tried} cuts are manifests");
    fs::write(shop.manifest(), &whole).unwrap();
    shop.run(&["diff"]).ok();
}

/// The sessions that a plan ends for good.
fn ending(plan: &serde_json::Value) -> Vec<String> {
    let sessions = plan["sessions"].as_array().unwrap().iter();
    let ends = sessions
        .filter(|session| session["verdict"] == "decommission" || session["verdict"] == "recreate");
    ends.map(|session| session["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_empty_list_of_sessions_is_held_until_it_is_approved() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    shop.edit("");
    shop.run(&["apply", "--yes"]).code(4).says("--max-decommission 1");
    assert_eq!(shop.tmux_sessions(), ["shop/a"]);
    shop.run(&["apply", "--yes", "--max-decommission", "1"]).ok().says("restore a");
    assert!(!shop.worktree("a").exists());
}

#[test]
fn what_is_no_manifest_changes_nothing() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let good = fs::read(shop.manifest()).unwrap();
    let mut long = good.clone();
    long.extend(std::iter::repeat_n(b'#', (4 << 20) + 1));
    let bad: [&[u8]; 7] =
        [b"", b"\n\n", b"# nothing\n", b"\xff\xfe\0\0", b"\x1b[31m", b"[]", &long];
    for text in bad {
        fs::write(shop.manifest(), text).unwrap();
        let before = shop.files();
        for verb in ["diff", "apply", "get", "validate"] {
            let said = shop.run(&[verb]).code(2);
            assert!(!said.stderr.is_empty() && said.stdout.is_empty(), "{said:#?}");
            assert!(!said.stderr.contains('\x1b'), "{said:#?}");
        }
        assert!(shop.files() == before, "something was written");
    }
    fs::remove_file(shop.manifest()).unwrap();
    fs::create_dir(shop.manifest()).unwrap();
    shop.run(&["diff", "-f", "fleet.yaml"]).code(2);
    fs::remove_dir(shop.manifest()).unwrap();
    std::os::unix::fs::symlink("nowhere", shop.manifest()).unwrap();
    shop.run(&["diff", "-f", "fleet.yaml"]).code(2);
    assert_eq!(shop.tmux_sessions(), ["shop/a"]);
}

#[test]
fn a_directory_stands_for_the_manifest_in_it_and_a_missing_one_is_named() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let top = shop.top();
    shop.sandbox.fleetctl(&["diff", "-f", top.to_str().unwrap()]).ok();
    shop.sandbox.fleetctl(&["diff", "-f", "nowhere"]).code(2).complains("nowhere");
    let state = shop.sandbox.path("state");
    shop.sandbox.fleetctl(&["diff", "-f", state.to_str().unwrap()]).code(2).complains("fleet.yaml");
}

fn piped(shop: &Shop, args: &[&str], text: &str) -> Output {
    let mut command = shop.command(FLEETCTL);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that takes no standard input does not wait for it.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let ended = child.wait_with_output().unwrap();
    Output {
        code: ended.status.code().unwrap(),
        stdout: String::from_utf8(ended.stdout).unwrap(),
        stderr: String::from_utf8(ended.stderr).unwrap(),
    }
}

#[test]
fn standard_input_is_a_manifest_for_diff_and_validate_only() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let text = shop.text(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    piped(&shop, &["validate", "-f", "-"], &text).ok().says("2 shells");
    piped(&shop, &["validate", "-f", "-"], "version: 1").code(2);
    let told = piped(&shop, &["diff", "-f", "-"], &text).code(1).says("+ b");
    assert!(!told.stdout.contains("\n+ a"), "{told:#?}");
    for verb in [&["apply", "--yes"][..], &["stop", "a"], &["get"], &["hold", "--all"]] {
        let args = [verb, &["-f", "-"]].concat();
        piped(&shop, &args, &text).code(2).complains("standard input");
    }
    assert_eq!(shop.tmux_sessions(), ["shop/a"]);
}

#[test]
fn a_local_file_is_laid_over_and_every_header_says_so() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let local = format!("sessions:\n  mine: {{{SLEEP}}}\n");
    shop.sandbox.write("shop/fleet.local.yaml", &local);
    shop.run(&["diff"]).code(1).says("fleet.yaml + fleet.local.yaml").says("+ mine");
    shop.run(&["validate"]).ok().says("fleet.local.yaml");
    shop.run(&["apply"]).ok();
    shop.sandbox.write("shop/fleet.local.yaml", "sessions: [");
    shop.run(&["apply", "--yes"]).code(2).complains("fleet.local.yaml");
    assert_eq!(shop.tmux_sessions(), ["shop/a", "shop/mine"]);
}

#[test]
fn the_file_is_found_from_below_by_variable_and_by_the_fleets_name() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let below = shop.top().join("src/deep");
    fs::create_dir_all(&below).unwrap();
    shop.sandbox.fleetctl_in(&below, &["diff"]).ok();
    // The only fleet that is known, from anywhere.
    shop.sandbox.fleetctl(&["get", "-o", "name"]).ok().says("a");
    shop.sandbox.fleetctl(&["describe", "shop/a"]).ok();
    shop.sandbox.fleetctl(&["describe", "other/a"]).code(2).complains("other");
    let second = shop.sandbox.repo("second");
    let text = shop.text(&format!("z: {{{SLEEP}}}")).replace("fleet: shop", "fleet: second");
    fs::write(second.join("fleet.yaml"), text).unwrap();
    shop.sandbox.fleetctl_in(&second, &["apply"]).ok();
    shop.sandbox.fleetctl(&["get"]).code(2).complains("second, shop");
    shop.sandbox.fleetctl(&["stop", "second/z"]).ok();
    let manifest = shop.manifest();
    let mut command = shop.sandbox.command(FLEETCTL);
    command.env("FLEETCTL_FILE", &manifest).args(["get", "-o", "name"]);
    Sandbox::run(&mut command).ok().says("a");
    command.env("FLEETCTL_FILE", "/nowhere");
    Sandbox::run(&mut command).code(2).complains("FLEETCTL_FILE");
    shop.run(&["describe", "second/z"]).ok();
    shop.run(&["describe", "-f", "fleet.yaml", "second/z"]).code(2);
}

#[test]
fn the_same_fleet_from_elsewhere_is_refused_until_it_is_taken_over() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let copy = shop.top().join("copy.yaml");
    fs::copy(shop.manifest(), &copy).unwrap();
    let pid = shop.pid("a");
    for verb in [&["apply"][..], &["stop", "a"], &["hold", "a"]] {
        let args = [&["-f", "copy.yaml"], verb].concat();
        shop.run(&args).code(3).complains("--take-over").complains("fleet.yaml");
    }
    shop.run(&["-f", "copy.yaml", "apply", "--take-over"]).ok();
    shop.run(&["apply"]).code(3).complains("copy.yaml");
    shop.run(&["apply", "--take-over"]).ok();
    assert_eq!(shop.pid("a"), pid);
}

#[test]
fn a_take_over_that_was_refused_took_nothing_over() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    let text = fs::read_to_string(shop.manifest()).unwrap();
    let without_b: Vec<&str> = text.lines().filter(|line| !line.contains("b: {")).collect();
    fs::write(shop.top().join("copy.yaml"), without_b.join("\n")).unwrap();
    let pid = shop.pid("b");
    shop.run(&["-f", "copy.yaml", "apply", "--take-over"]).code(3).complains("--yes");
    shop.run(&["-f", "copy.yaml", "apply", "--yes"]).code(3).complains("--take-over");
    shop.run(&["apply"]).ok();
    assert_eq!(shop.pid("b"), pid);
}

#[test]
fn another_socket_is_refused_while_sessions_live_on_the_old_one() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    let old = fs::read_to_string(shop.manifest()).unwrap();
    let socket = shop.sandbox.socket().display().to_string();
    let new = old.replace(&format!("socket: {socket}}}"), &format!("socket: {socket}2}}"));
    assert_ne!(old, new);
    fs::write(shop.manifest(), &new).unwrap();
    for verb in [&["diff"][..], &["apply", "--yes"], &["get"], &["apply", "--dry-run"]] {
        shop.run(verb).code(3).complains("another tmux socket");
    }
    fs::write(shop.manifest(), &old).unwrap();
    shop.run(&["stop", "a"]).ok();
    fs::write(shop.manifest(), &new).unwrap();
    shop.run(&["start", "a"]).ok();
    assert!(shop.tmux_sessions().is_empty());
    let mut other = shop.command("tmux");
    other.args(["-S", &format!("{socket}2"), "list-sessions", "-F", "#{session_name}"]);
    Sandbox::run(&mut other).ok().says("shop/a");
}

#[test]
fn a_command_to_be_typed_names_the_file_as_a_shell_takes_it() {
    let shop = Shop::applied(&format!("a: {{{SLEEP}}}"));
    std::os::unix::fs::symlink(".", shop.top().join("a place")).unwrap();
    shop.run(&["-f", "a place", "hold", "a"]).ok().complains("fleetctl -f 'a place' release a");
}
