//! A session that left the file, and the work in its worktree: what holds it, what goes, and what comes back
//! from the trash, byte for byte.

use crate::retire_yard::{Portrait, Yard};
use std::fs;

/// Something that a user did in the worktree of `old`, and what the hold calls it.
struct Deed {
    name: &'static str,
    does: fn(&Yard),
    /// `None`: it is no risk.
    risk: Option<&'static str>,
}

const DEEDS: [Deed; 16] = [
    Deed { name: "nothing", does: |_| {}, risk: None },
    Deed { name: "local commits", does: |yard| yard.commit("old", "new.txt", "n\n"), risk: None },
    Deed {
        name: "modified",
        does: |yard| yard.write("old", "README", "m\n"),
        risk: Some("1 modified"),
    },
    Deed {
        name: "staged then edited",
        does: staged_then_edited,
        risk: Some("1 modified, 1 staged"),
    },
    Deed { name: "untracked and ignored", does: untracked_and_ignored, risk: Some("2 untracked") },
    Deed { name: "ignored alone", does: |yard| yard.write("old", ".env", "secret\n"), risk: None },
    Deed { name: "detached commits", does: detached, risk: Some("2 commits on no branch") },
    Deed {
        name: "a commit that was reset away",
        does: reset_away,
        risk: Some("1 commit on no branch"),
    },
    Deed { name: "a stash", does: stash, risk: Some("1 stash") },
    Deed { name: "rebase", does: |yard| conflict(yard, "rebase"), risk: Some("rebase under way") },
    Deed { name: "merge", does: |yard| conflict(yard, "merge"), risk: Some("merge under way") },
    Deed {
        name: "cherry-pick",
        does: |yard| conflict(yard, "cherry-pick"),
        risk: Some("cherry-pick under way"),
    },
    Deed { name: "bisect", does: bisect, risk: Some("bisect under way") },
    Deed {
        name: "embedded",
        does: embedded,
        risk: Some("repositories inside: inner, target/hidden"),
    },
    Deed {
        name: "assume-unchanged",
        does: assumed,
        risk: Some("1 modified but hidden from git status"),
    },
    Deed { name: "deleted and renamed", does: renamed, risk: Some("1 modified") },
];

fn staged_then_edited(yard: &Yard) {
    yard.write("old", "README", "staged\n");
    yard.git("old", &["add", "README"]);
    yard.write("old", "README", "edited after\n");
}

fn untracked_and_ignored(yard: &Yard) {
    yard.write("old", "notes.md", "notes\n");
    yard.write("old", "deep/er/more.txt", "more\n");
    yard.write("old", ".env", "secret\n");
    yard.write("old", "target/bulk", "bulk\n");
}

fn detached(yard: &Yard) {
    yard.git("old", &["checkout", "-q", "--detach"]);
    yard.commit("old", "one.txt", "1\n");
    yard.commit("old", "two.txt", "2\n");
}

fn reset_away(yard: &Yard) {
    yard.commit("old", "gone.txt", "1\n");
    yard.git("old", &["reset", "-q", "--hard", "HEAD~1"]);
}

fn stash(yard: &Yard) {
    yard.write("old", "README", "stashed\n");
    yard.git("old", &["stash", "push", "-q", "-m", "later"]);
}

/// Leaves an operation in the middle of a conflict.
fn conflict(yard: &Yard, operation: &str) {
    yard.git("old", &["branch", "other"]);
    yard.commit("old", "README", "ours\n");
    yard.git("old", &["checkout", "-q", "other"]);
    yard.commit("old", "README", "theirs\n");
    yard.git("old", &["checkout", "-q", "shop/old"]);
    let mut git = yard.sandbox.command("git");
    let ended =
        crate::sandbox::Sandbox::run(git.args([operation, "other"]).current_dir(yard.tree("old")));
    assert_ne!(ended.code, 0, "{ended:#?}");
}

fn bisect(yard: &Yard) {
    for number in 1..6 {
        yard.commit("old", "README", &format!("{number}\n"));
    }
    yard.git("old", &["bisect", "start", "HEAD", "HEAD~5"]);
}

fn embedded(yard: &Yard) {
    for path in ["inner", "target/hidden"] {
        let path = format!("repo.worktrees/old/{path}");
        yard.sandbox.repo(&path);
    }
}

fn assumed(yard: &Yard) {
    yard.git("old", &["update-index", "--assume-unchanged", "README"]);
    yard.write("old", "README", "hidden edit\n");
}

fn renamed(yard: &Yard) {
    yard.git("old", &["mv", "README", "LIESMICH"]);
    fs::remove_file(yard.tree("old").join(".gitignore")).expect("it is there");
}

/// Rarer deeds, by which a careful user might lose something.
const RARE: [Deed; 9] = [
    Deed { name: "orphan branch", does: orphan, risk: Some("2 staged") },
    Deed { name: "odd names", does: odd_names, risk: Some("4 untracked") },
    Deed { name: "modes and links", does: modes, risk: Some("2 modified, 1 untracked") },
    Deed { name: "intent to add", does: intent_to_add, risk: Some("1 modified") },
    Deed { name: "skip-worktree", does: skipped, risk: Some("hidden from git status") },
    Deed { name: "a submodule with work in it", does: submodule, risk: Some("sub") },
    Deed { name: "a stash on no branch", does: loose_stash, risk: Some("1 stash") },
    Deed { name: "an amended commit", does: amended, risk: Some("1 commit on no branch") },
    Deed { name: "a worktree inside", does: nested, risk: Some("repositories inside: nested") },
];

fn orphan(yard: &Yard) {
    yard.git("old", &["checkout", "-q", "--orphan", "fresh"]);
}

fn odd_names(yard: &Yard) {
    for name in ["with space", "new\nline", "-rf", "\u{e9}t\u{e9} \"quoted\" # $HOME"] {
        yard.write("old", name, "odd\n");
    }
}

fn modes(yard: &Yard) {
    let tree = yard.tree("old");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(tree.join("README"), executable).expect("it is there");
    fs::remove_file(tree.join(".gitignore")).expect("it is there");
    std::os::unix::fs::symlink("/nowhere", tree.join(".gitignore")).expect("it is free");
    std::os::unix::fs::symlink("README", tree.join("link")).expect("it is free");
}

fn intent_to_add(yard: &Yard) {
    yard.write("old", "later.txt", "later\n");
    yard.git("old", &["add", "-N", "later.txt"]);
}

fn skipped(yard: &Yard) {
    yard.git("old", &["update-index", "--skip-worktree", "README"]);
    yard.write("old", "README", "hidden edit\n");
}

fn submodule(yard: &Yard) {
    let library = yard.sandbox.repo("library").display().to_string();
    let allow = "protocol.file.allow=always";
    yard.git("old", &["-c", allow, "submodule", "--quiet", "add", &library, "sub"]);
    yard.git("old", &["commit", "-q", "-m", "sub"]);
    yard.write("old", "sub/README", "work in it\n");
}

fn loose_stash(yard: &Yard) {
    yard.git("old", &["checkout", "-q", "--detach"]);
    stash(yard);
}

fn amended(yard: &Yard) {
    yard.commit("old", "a.txt", "1\n");
    yard.git("old", &["commit", "-q", "--amend", "-m", "better"]);
}

fn nested(yard: &Yard) {
    yard.git("old", &["worktree", "add", "-q", "--detach", "nested"]);
}

/// Settings in a user's repository that make git hide or rewrite what it tells.
const HOSTILE: [(&str, &str); 12] = [
    ("status.showUntrackedFiles", "no"),
    ("status.relativePaths", "true"),
    ("status.short", "true"),
    ("status.branch", "true"),
    ("core.fsmonitor", "true"),
    ("core.untrackedCache", "true"),
    ("core.quotePath", "false"),
    ("color.ui", "always"),
    ("log.showSignature", "true"),
    ("log.decorate", "full"),
    ("diff.noprefix", "true"),
    ("advice.detachedHead", "false"),
];

/// Does the deed, takes the session out of the file, and follows it into the trash and back.
#[track_caller]
fn follow(deed: &Deed, hostile: bool) {
    let what = deed.name;
    let yard = Yard::with_old();
    if hostile {
        for (key, value) in HOSTILE {
            yard.sandbox.git(&yard.repo, &["config", key, value]);
        }
    }
    (deed.does)(&yard);
    let before = yard.portrait("old");
    yard.without_old("");
    let applied = yard.apply();
    match deed.risk {
        None => assert_eq!(applied.code, 0, "{what}: {applied:#?}"),
        Some(risk) => {
            assert_eq!(applied.code, 4, "{what}: {applied:#?}");
            for words in ["at risk", risk, "rm old --archive"] {
                assert!(applied.stdout.contains(words), "{what}: no {words:?} in {applied:#?}");
            }
            let held = yard.portrait("old");
            same(what, &before, &held);
            let lifted = yard.run(&["rm", "old", "--archive"]);
            assert_eq!(lifted.code, 0, "{what}: {lifted:#?}");
        }
    }
    assert!(!yard.tree("old").exists(), "{what}");
    assert_eq!(yard.trash().len(), 1, "{what}");
    yard.converged();
    let restored = yard.run(&["restore", "old"]);
    assert_eq!(restored.code, 0, "{what}: {restored:#?}");
    same(what, &before, &yard.portrait("old"));
    assert!(yard.trash().is_empty(), "{what}");
    // It is not in the file: it is kept, and an apply says so and does nothing to it.
    let again = yard.apply();
    assert!([0, 4].contains(&again.code), "{what}: {again:#?}");
    same(what, &before, &yard.portrait("old"));
}

#[track_caller]
fn same(what: &str, before: &Portrait, after: &Portrait) {
    let names = |portrait: &Portrait| portrait.files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after), "{what}");
    assert_eq!(before.files, after.files, "{what}");
    assert_eq!(before.asked, after.asked, "{what}");
    let names = |portrait: &Portrait| portrait.admin.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after), "{what}");
    assert_eq!(before.admin, after.admin, "{what}");
}

#[test]
fn work_goes_or_is_held_and_comes_back_as_it_was() {
    DEEDS.iter().take(8).for_each(|deed| follow(deed, false));
}

#[test]
fn operations_under_way_are_held_and_come_back_as_they_were() {
    DEEDS.iter().skip(8).for_each(|deed| follow(deed, false));
}

#[test]
fn work_is_seen_whatever_the_repository_tells_git_to_hide() {
    DEEDS.iter().take(8).for_each(|deed| follow(deed, true));
}

#[test]
fn operations_are_seen_whatever_the_repository_tells_git_to_hide() {
    DEEDS.iter().skip(8).for_each(|deed| follow(deed, true));
}

#[test]
fn what_a_careful_user_might_lose_is_held_and_comes_back() {
    RARE.iter().for_each(|deed| follow(deed, false));
}
