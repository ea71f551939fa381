//! `include`: further files with sessions, and what a bad one takes away.

use crate::diff_base::commit;
use crate::manifest::{Memory, load_with, shown, told};
use crate::shop::{SLEEP, Shop};
use fleetctl::manifest::{Input, load_without_bad};
use std::fs;

const MANIFEST: &str = "version: 1\nfleet: shop\ninclude: ['team/*.yaml']\ndefaults: {labels: {a: b}}\nsessions:\n  own: {command: x}\n";

fn files(red: &str) -> Memory {
    let blue = "sessions:\n  blue: {command: y, worktree: own}\n";
    let files = Memory::default().with("fleet.yaml", MANIFEST).with("team/blue.yaml", blue);
    files.with("team/red.yaml", red).with("team/red.txt", "no")
}

fn problems(red: &str) -> Vec<String> {
    match load_with(&files(red), false) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.reports().iter().map(told).collect(),
    }
}

#[test]
fn sessions_of_further_files_stand_beside_the_manifests_own() {
    let red = "version: 1\nx-a: &x {c: d}\nsessions:\n  red-${each}: {each: [one, two], command: z, labels: *x}\n";
    let fleet =
        load_with(&files(red), false).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
    let names: Vec<&str> = fleet.sessions.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["own", "blue", "red-one", "red-two"]);
    assert_eq!(fleet.sessions[1].labels["a"], "b");
    assert_eq!(fleet.sessions[1].applied.in_place["include"], "team/blue.yaml");
    assert!(!fleet.sessions[0].applied.in_place.contains_key("include"));
    assert_eq!(fleet.sources.len(), 3);
    let other = load_with(&files(&red.replace("two", "three")), false).unwrap();
    assert_ne!(fleet.digest, other.digest);
    // An overlay keeps its place before them.
    let overlaid = files(red).with("fleet.local.yaml", "sessions: {own: {command: w}}\n");
    let fleet = load_with(&overlaid, true).unwrap();
    assert_eq!(fleet.sessions[0].applied.restart["command"], "w");
    assert_eq!(fleet.sessions.len(), 4);
}

#[test]
fn what_is_wrong_in_a_further_file_is_told_in_its_place() {
    for (red, expected) in [
        ("sessions:\n  red: {comand: x}\n", "field::unknown 2:9"),
        ("fleet: other\nsessions: {}\n", "field::unknown 1:1"),
        ("sessions:\n  own: {command: x}\n", "session::same-name 2:3"),
        ("- a\n", "field::type 1:3"),
        ("sessions: [\n", "yaml::syntax"),
        ("sessions: {a: {command: \"\\x01\"}}\n", "file::control-character"),
        ("sessions:\n  red: {command: x, depends_on: [nobody]}\n", "session::unknown 2:34"),
    ] {
        let found = problems(red);
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{red}: {found:?}");
        let input = Input { path: "/m/fleet.yaml".into(), home: "/h".into(), local: false };
        let fleet =
            load_without_bad(&input, &files(red)).unwrap_or_else(|p| panic!("{}", shown(&p)));
        assert_eq!(fleet.sessions.len(), 2, "{red}");
        assert_eq!(fleet.frozen.len(), 1, "{red}");
        assert_eq!(fleet.frozen[0].file, "team/red.yaml");
    }
    let bad = Memory::default().with("fleet.yaml", MANIFEST.replace("command: x", "comand: x"));
    let input = Input { path: "/m/fleet.yaml".into(), home: "/h".into(), local: false };
    assert!(load_without_bad(&input, &bad).is_err());
    let outside = Memory::default().with("fleet.yaml", MANIFEST.replace("team/", "../"));
    let told: Vec<String> = load_without_bad(&input, &outside)
        .map(|_| Vec::new())
        .unwrap_or_else(|problems| problems.reports().iter().map(told).collect());
    assert!(told[0].contains("leads out of its directory"), "{told:?}");
}

/// A shop with an included file, applied: `own` stands in the manifest, `red` in the file.
fn applied() -> Shop {
    let shop = Shop::new("");
    own(&shop, &format!("own: {{{SLEEP}}}\ntwo: {{{SLEEP}}}"));
    red(&shop, &format!("sessions:\n  red: {{{SLEEP}}}\n"));
    shop.run(&["apply"]).ok();
    shop
}

fn own(shop: &Shop, sessions: &str) {
    let text = shop.text(sessions).replace("sessions:", "include: [team/*.yaml]\nsessions:");
    fs::write(shop.manifest(), text).expect("it can be written");
}

fn red(shop: &Shop, text: &str) {
    shop.sandbox.write("shop/team/red.yaml", text);
}

#[test]
fn a_bad_file_freezes_its_own_sessions_and_nothing_else() {
    let shop = applied();
    let pid = shop.pid("red");
    red(&shop, "sessions:\n  red: {comand: x}\n");
    shop.run(&["validate"]).code(2).complains("red.yaml:2:");
    own(&shop, &format!("own: {{{SLEEP}, labels: {{a: b}}}}"));
    let said = shop.run(&["apply", "--yes"]).code(4);
    let said = said.complains("include team/red.yaml is invalid: line 2: ");
    let said = said.says("! red").says("include team/red.yaml is invalid: line 2:");
    said.says("labels.a").says("- two").says_not("- red");
    assert_eq!(shop.pid("red"), pid);
    // Text that nobody can parse may hold anything: nothing goes.
    red(&shop, "sessions: [");
    own(&shop, "");
    let said = shop.run(&["apply", "--yes", "--max-decommission", "9"]).code(4);
    said.says("! red").says("! own");
    assert_eq!(shop.tmux_sessions(), ["shop/own", "shop/red"]);
    red(&shop, &format!("sessions:\n  red: {{{SLEEP}}}\n"));
    shop.run(&["diff"]).code(1).says("- own").says_not("- red").says_not("! red");
    // A human may take it down all the same.
    red(&shop, "sessions:\n  red: {comand: x}\n");
    shop.run(&["rm", "red", "--yes"]).ok();
    assert_eq!(shop.tmux_sessions(), ["shop/own"]);
}

#[test]
fn a_session_that_moved_into_a_bad_file_is_held_and_a_deleted_file_is_not_bad() {
    let shop = applied();
    own(&shop, &format!("own: {{{SLEEP}}}"));
    red(&shop, &format!("sessions:\n  red: {{{SLEEP}}}\n  two: {{{SLEEP}, comand: x}}\n"));
    shop.run(&["diff"]).code(1).says("! two").says("! red");
    fs::remove_file(shop.top().join("team/red.yaml")).unwrap();
    shop.run(&["diff"]).code(1).says("- two").says("- red");
}

#[test]
fn a_comparison_reads_further_files_of_both_sides() {
    let shop = applied();
    commit(&shop, "team");
    red(&shop, &format!("sessions:\n  red: {{{SLEEP}, env: {{A: b}}}}\n  more: {{{SLEEP}}}\n"));
    let said = shop.run(&["diff", "--base", "HEAD"]).code(1);
    said.says("~ red").says("+ more").says("1 to restart, 1 to create");
    red(&shop, "sessions: [");
    shop.run(&["diff", "--base", "HEAD"]).code(2).complains("red.yaml:1:");
}
