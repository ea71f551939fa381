//! `diff --base`: the manifest at a revision, or another file, against the one of the working tree.

use crate::sandbox::Output;
use crate::shop::{SLEEP, Shop, json};
use std::fs;

/// A shop whose manifest is committed.
pub fn committed(sessions: &str) -> Shop {
    let shop = Shop::new(sessions);
    commit(&shop, "fleet");
    shop
}

pub fn commit(shop: &Shop, message: &str) {
    shop.sandbox.git(shop.top(), &["add", "-A"]);
    shop.sandbox.git(shop.top(), &["commit", "-q", "-m", message]);
}

/// What differs since the last commit.
pub fn since(shop: &Shop, args: &[&str]) -> Output {
    shop.run(&[&["diff", "--base", "HEAD"], args].concat())
}

#[test]
fn what_a_merge_would_change_is_told_without_a_look_at_the_machine() {
    let shop = committed(&format!(
        "api: {{{SLEEP}}}\nweb: {{{SLEEP}, labels: {{a: b}}}}\nold: {{{SLEEP}}}\nsame: {{{SLEEP}}}"
    ));
    shop.edit(&format!(
        "api: {{{SLEEP}, env: {{PORT: '1'}}}}\nweb: {{{SLEEP}, labels: {{a: c}}}}\nsame: {{{SLEEP}}}\n\
         new: {{command: npm run dev, state: stopped}}"
    ));
    let before = shop.files();
    // Nothing of tmux or git is on this PATH.
    let said = shop.run_with(&[("PATH", "/nonexistent")], &["diff", "--base", "HEAD"]).code(1);
    let day = shop.sandbox.git(shop.top(), &["show", "-s", "--format=%h %cs"]).ok();
    let (id, day) = day.text().split_once(' ').unwrap();
    let told = said.stdout.replace(&id[..7], "COMMIT").replace(day, "DAY");
    insta::assert_snapshot!(told, @r"
    shop   fleet.yaml at HEAD (COMMIT of DAY) → fleet.yaml here   files only: no machine was looked at
    ~ api       restart
        env.PORT  (unset) → ***
    ~ web       update
        labels.a  b → c
    + new       create
        command  (default) → npm run dev
    - old       decommission  gone from the file
    1 to decommission, 1 to restart, 1 to create, 1 to update
    ");
    assert_eq!(shop.files(), before);
    assert!(!shop.state().exists() && said.stderr.is_empty(), "{said:?}");
}

#[test]
fn prompt_files_and_lists_are_those_of_the_revision() {
    let shop = committed("");
    let sessions = "fix-${each}: {each: {lines: list.txt}, agent: claude, prompt_file: p.md}\n\
                    doc-${each.slug}: {each: {files: 'docs/*.md'}, command: x}";
    shop.edit(sessions);
    shop.sandbox.write("shop/list.txt", "a\nb\n");
    shop.sandbox.write("shop/p.md", "Do it.\nAll of it.\n");
    shop.sandbox.write("shop/docs/one.md", "1");
    commit(&shop, "more");
    since(&shop, &[]).ok().says("nothing differs: 3 sessions as before");
    shop.sandbox.write("shop/list.txt", "a\nc\n");
    shop.sandbox.write("shop/p.md", "Do it.\nMost of it.\n");
    shop.sandbox.git(shop.top(), &["mv", "docs/one.md", "docs/two.md"]);
    let said = since(&shop, &["-o", "json"]).code(1);
    let told = json(&said);
    let names: Vec<String> = told["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["change"].as_str().unwrap(), one["name"]))
        .collect();
    assert_eq!(
        names,
        [
            "changed \"fix-a\"",
            "added \"fix-c\"",
            "added \"doc-docs-two\"",
            "removed \"fix-b\"",
            "removed \"doc-docs-one\""
        ]
    );
    assert_eq!(told["sessions"][0]["changes"][0]["to"], "Do it.\nMost of it.");
    since(&shop, &[]).code(1).says("-All of it.").says("+Most of it.");
}

#[test]
fn what_fails_is_chosen_by_how_grave_it_is() {
    let shop = committed(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}, protect: true}}"));
    let exits = |shop: &Shop| {
        ["never", "changes", "destructive"].map(|what| since(shop, &["--fail-on", what]).code)
    };
    assert_eq!(exits(&shop), [0, 0, 0]);
    shop.edit(&format!("a: {{{SLEEP}, env: {{A: b}}}}\nb: {{{SLEEP}, protect: true}}"));
    assert_eq!(exits(&shop), [0, 1, 0]);
    for destructive in [
        format!("b: {{{SLEEP}, protect: true}}"),
        format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"),
        format!("a: {{{SLEEP}, branch: other}}\nb: {{{SLEEP}, protect: true}}"),
    ] {
        shop.edit(&destructive);
        assert_eq!(exits(&shop), [0, 1, 1], "{destructive}");
    }
}

#[test]
fn a_rename_and_what_is_let_go_of_are_no_removal() {
    let shop = committed(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}\nc: {{worktree: a, {SLEEP}}}"));
    let moved = "moved: [{from: a, to: z}]\nremoved: [{session: b, keep: true}]\n";
    let text = shop.text(&format!("z: {{{SLEEP}}}\nc: {{worktree: z, {SLEEP}}}"));
    fs::write(shop.manifest(), format!("{text}{moved}")).unwrap();
    since(&shop, &["--fail-on", "destructive"])
        .ok()
        .says("called a until now")
        .says("let go of")
        .says("1 to forget, 1 to update")
        .says_not("recreate");
    shop.edit(&format!("z: {{{SLEEP}}}\nb: {{{SLEEP}}}\nc: {{worktree: z, {SLEEP}}}"));
    since(&shop, &[]).code(1).says("hint: if z is a under a new name");
}

#[test]
fn a_manifest_that_is_not_at_the_revision_is_all_new() {
    let shop = Shop::new(&format!("a: {{{SLEEP}}}"));
    since(&shop, &[]).code(1).says("no fleet.yaml at HEAD").says("+ a").says("1 to create");
    let told = json(&since(&shop, &["-o", "json"]).code(1));
    assert_eq!((&told["base"]["present"], &told["base"]["fleet"]), (&false.into(), &().into()));
}

#[test]
fn two_files_are_compared_by_what_they_say_not_where_they_lie() {
    let shop = Shop::new(&format!("a: {{{SLEEP}}}"));
    let old = shop.text(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    let text = "repos: {x: {path: ., worktrees: ../trees}}\nsessions:";
    shop.sandbox.write("elsewhere/old.yaml", &old.replace("sessions:", text));
    fs::write(
        shop.manifest(),
        shop.text("a: {command: [sleep, '100000']}").replace("sessions:", text),
    )
    .unwrap();
    let said = shop.run(&["diff", "--base", "../elsewhere/old.yaml"]).code(1);
    said.says("../elsewhere/old.yaml → fleet.yaml here").says("- b").says_not("fleet setting");
    shop.run(&["diff", "--base", "./fleet.yaml"]).ok();
}

#[test]
fn what_has_no_answer_says_how_to_get_one() {
    let shop = committed(&format!("a: {{{SLEEP}}}"));
    let base = |shop: &Shop, rev: &str| shop.run(&["diff", "--base", rev]);
    base(&shop, "origin/main")
        .code(2)
        .complains("no revision origin/main")
        .complains("git fetch origin main");
    base(&shop, "gone.yaml").code(2).complains("no manifest at");
    commit_empty(&shop);
    let url = format!("file://{}", shop.top().display());
    shop.sandbox.git(shop.sandbox.path("."), &["clone", "-q", "--depth", "1", &url, "shallow"]);
    let shallow = shop.sandbox.path("shallow");
    let said = shop.sandbox.fleetctl_in(&shallow, &["diff", "--base", "HEAD^"]);
    said.code(8).complains("shallow clone").complains("fetch-depth: 0");
    shop.sandbox.fleetctl_in(&shallow, &["diff", "--base", "origin/main"]).ok();
    let outside = shop.sandbox.write("outside/fleet.yaml", &shop.text("a: {command: x}"));
    let outside = outside.parent().unwrap();
    let said = shop.sandbox.fleetctl_in(outside, &["diff", "--base", "HEAD"]);
    said.code(2).complains("is in no git repository").complains(".yaml");
    shop.run(&["diff", "--base", "HEAD", "-f", "-"]).code(2).complains("not standard input");
}

fn commit_empty(shop: &Shop) {
    shop.sandbox.git(shop.top(), &["commit", "-q", "--allow-empty", "-m", "more"]);
}

#[test]
fn a_repository_that_git2_cannot_read_is_said_not_guessed() {
    let shop = Shop::new("");
    let top = shop.sandbox.path("sha");
    shop.sandbox.git(
        shop.sandbox.path("."),
        &["init", "-q", "-b", "main", "--object-format=sha256", "sha"],
    );
    shop.sandbox.write("sha/fleet.yaml", &shop.text("a: {command: x}"));
    shop.sandbox.git(&top, &["add", "-A"]);
    shop.sandbox.git(&top, &["commit", "-q", "-m", "x"]);
    let said = shop.sandbox.fleetctl_in(&top, &["diff", "--base", "HEAD"]);
    said.code(8).complains("cannot be read").complains("git show REV:fleet.yaml");
}

#[test]
fn a_partial_clone_says_that_it_lacks_what_the_base_needs() {
    let shop = committed(&format!("a: {{{SLEEP}}}"));
    shop.edit(&format!("a: {{{SLEEP}}}\nb: {{{SLEEP}}}"));
    commit(&shop, "more");
    shop.sandbox.git(shop.top(), &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", shop.top().display());
    let here = shop.sandbox.path(".");
    shop.sandbox.git(here, &["clone", "-q", "--filter=blob:none", &url, "partial"]);
    let partial = shop.sandbox.path("partial");
    // What is checked out is there, what came before is not, and git is not run to bring it.
    shop.sandbox.fleetctl_in(&partial, &["diff", "--base", "HEAD"]).ok();
    let said = shop.sandbox.fleetctl_in(&partial, &["diff", "--base", "HEAD^"]);
    said.code(8).complains("at HEAD^ cannot be read").complains("clone without --filter");
}

#[test]
fn the_problems_of_either_side_are_told_with_their_places() {
    let shop = committed("a: {command: x, modle: y}");
    let said = since(&shop, &[]).code(2);
    said.complains("fleet.yaml:5:").complains("model");
    shop.edit("a: {command: x}");
    let said = since(&shop, &[]).code(2);
    said.complains("HEAD:fleet.yaml:5:").complains("the manifest at HEAD is invalid");
}

#[test]
fn a_local_overlay_is_passed_over_on_both_sides() {
    let shop = committed(&format!("a: {{{SLEEP}}}"));
    shop.sandbox.write("shop/fleet.local.yaml", "sessions: {b: {command: x}}\n");
    since(&shop, &[]).ok();
}
