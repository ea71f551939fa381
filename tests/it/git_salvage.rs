//! What salvage pins, read back as a user would.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use crate::repo::{Repo, contents, write};
use fleetctl::git::GitError;
use fleetctl::snapshot::Risk;
use fleetctl::world::WorktreeOf;
use std::path::Path;

fn names(repo: &Repo, of: &WorktreeOf) -> Vec<String> {
    let prefix = format!("refs/fleet/salvage/{}/", of.uid);
    let refs = repo.git.salvage(of).unwrap();
    refs.iter().map(|name| name.strip_prefix(&prefix).unwrap().to_owned()).collect()
}

fn show(repo: &Repo, of: &WorktreeOf, name: &str, path: &str) -> String {
    let spec = format!("refs/fleet/salvage/{}/{name}:{path}", of.uid);
    repo.run(&repo.top(), &["cat-file", "blob", &spec])
}

fn has(repo: &Repo, of: &WorktreeOf, name: &str, path: &str) -> bool {
    let spec = format!("refs/fleet/salvage/{}/{name}:{path}", of.uid);
    repo.try_run(&repo.top(), &["cat-file", "-e", &spec]).0
}

/// The worktree's own bytes, its index included.
fn bytes(repo: &Repo, of: &WorktreeOf) -> impl PartialEq + std::fmt::Debug {
    (contents(&of.path), std::fs::read(repo.admin(of).join("index")).unwrap())
}

#[test]
fn a_clean_worktree_needs_its_head_alone() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    assert_eq!(names(&repo, &of), ["head"]);
    let head = format!("refs/fleet/salvage/{}/head", of.uid);
    assert_eq!(repo.run(&repo.top(), &["rev-parse", &head]).trim(), repo.head(&of.path));
}

#[test]
fn index_and_files_are_kept_apart_and_nothing_of_the_worktree_changes() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    write(&of.path.join("README"), "staged\n");
    write(&of.path.join("staged-then-deleted"), "staged only\n");
    write(&of.path.join("forced/.env"), "staged although ignored\n");
    repo.run(&of.path, &["add", "README", "staged-then-deleted"]);
    repo.run(&of.path, &["add", "--force", "forced/.env"]);
    write(&of.path.join("README"), "edited after\n");
    std::fs::remove_file(of.path.join("staged-then-deleted")).unwrap();
    write(&of.path.join("forced/.env"), "and edited\n");
    repo.run(&of.path, &["update-index", "--assume-unchanged", "src/one.txt"]);
    write(&of.path.join("src/one.txt"), "hidden edit\n");
    write(&of.path.join("new file"), "untracked\n");
    write(&of.path.join(".env"), "SECRET=1\n");
    write(&of.path.join("ignored/bulk"), "bulk\n");
    let before = bytes(&repo, &of);

    assert_eq!(names(&repo, &of), ["files", "head", "index"]);
    assert_eq!(bytes(&repo, &of), before);
    assert_eq!(show(&repo, &of, "index", "README"), "staged\n");
    assert_eq!(show(&repo, &of, "index", "staged-then-deleted"), "staged only\n");
    assert_eq!(show(&repo, &of, "files", "README"), "edited after\n");
    assert_eq!(show(&repo, &of, "files", "src/one.txt"), "hidden edit\n");
    assert_eq!(show(&repo, &of, "files", "new file"), "untracked\n");
    assert_eq!(show(&repo, &of, "files", "forced/.env"), "and edited\n");
    for name in ["index", "files"] {
        assert!(!has(&repo, &of, name, ".env"), "secrets stay out");
        assert!(!has(&repo, &of, name, "ignored/bulk"), "bulk stays out");
    }
    let refs = repo.run(&repo.top(), &["for-each-ref"]);
    assert_eq!(names(&repo, &of), ["files", "head", "index"]);
    assert_eq!(repo.run(&repo.top(), &["for-each-ref"]), refs, "again makes nothing new");
    let left = std::fs::read_dir(repo.admin(&of)).unwrap();
    assert!(left.flatten().all(|item| !item.file_name().to_string_lossy().contains("scratch")));
}

#[test]
fn commits_without_a_name_and_stashes_are_pinned() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    write(&of.path.join("README"), "stashed\n");
    repo.run(&of.path, &["stash"]);
    let stash = repo.run(&of.path, &["rev-parse", "refs/stash"]).trim().to_owned();
    let amended = repo.commit_file(&of.path, "one", "1\n");
    repo.run(&of.path, &["commit", "--quiet", "--amend", "-m", "other"]);
    repo.run(&of.path, &["checkout", "--quiet", "--detach"]);
    let detached = repo.commit_file(&of.path, "two", "2\n");
    let mut expected = vec!["head".to_owned()];
    expected.extend([format!("log/{amended}"), format!("log/{detached}")]);
    expected.sort();
    assert_eq!(names(&repo, &of), expected, "a stash of another branch is not this worktree's");
    repo.run(&of.path, &["checkout", "--quiet", "shop/api"]);
    assert!(names(&repo, &of).contains(&format!("stash/{stash}")));
    // Even when everything else forgets them.
    repo.run(&repo.top(), &["stash", "drop"]);
    std::fs::remove_file(repo.admin(&of).join("logs/HEAD")).unwrap();
    repo.run(&repo.top(), &["gc", "--quiet", "--prune=now"]);
    for id in [&stash, &amended, &detached] {
        repo.run(&repo.top(), &["cat-file", "-e", &format!("{id}^{{tree}}")]);
    }
}

#[test]
fn a_conflict_is_kept_with_all_its_versions() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    repo.commit_file(&of.path, "README", "theirs\n");
    repo.commit_file(&repo.top(), "README", "ours\n");
    assert!(!repo.try_run(&of.path, &["merge", "main"]).0);
    let before = bytes(&repo, &of);
    assert_eq!(names(&repo, &of), ["files", "head", "index"]);
    assert_eq!(bytes(&repo, &of), before);
    assert_eq!(show(&repo, &of, "index", ".unmerged/1/README"), "shop\n");
    assert_eq!(show(&repo, &of, "index", ".unmerged/2/README"), "theirs\n");
    assert_eq!(show(&repo, &of, "index", ".unmerged/3/README"), "ours\n");
    assert!(show(&repo, &of, "files", "README").contains("<<<<<<<"));
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_deleted() {
    let repo = Repo::new();
    repo.commit_file(&repo.top(), "other/file", "other\n");
    let of = repo.add("api", 1);
    repo.run(&of.path, &["sparse-checkout", "set", "--cone", "src"]);
    write(&of.path.join("src/one.txt"), "edited\n");
    write(&of.path.join("other/new"), "outside\n");
    assert_eq!(names(&repo, &of), ["files", "head"]);
    assert_eq!(show(&repo, &of, "files", "other/file"), "other\n");
    assert_eq!(show(&repo, &of, "files", "src/one.txt"), "edited\n");
    assert_eq!(show(&repo, &of, "files", "other/new"), "outside\n");
}

#[test]
fn brought_files_stay_out_and_hooks_have_no_say() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    for hook in ["reference-transaction", "post-index-change", "pre-commit", "commit-msg"] {
        repo.hook(hook, "echo called >>\"$HOME/called\"; exit 1");
    }
    write(&of.path.join("brought"), "hello\n");
    write(&of.path.join("own"), "own\n");
    let list =
        r#"{"brought":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"}"#;
    write(&repo.admin(&of).join("fleetctl-files.json"), list);
    assert_eq!(names(&repo, &of), ["files", "head"]);
    assert!(has(&repo, &of, "files", "own") && !has(&repo, &of, "files", "brought"));
    assert!(!repo.root().join("home/called").exists());
}

#[test]
fn settings_that_refuse_or_sign_do_not_stop_it() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    let git = repo.with_global(
        "[core]\n\tsafecrlf = true\n\tautocrlf = input\n[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = false\n\
         [user]\n\tuseConfigOnly = true\n[add]\n\tignoreErrors = true\n[status]\n\tshowUntrackedFiles = no\n",
    );
    write(&of.path.join("dos"), "one\r\ntwo\r\n");
    assert_eq!(git.salvage(&of).unwrap().len(), 2);
    assert!(has(&repo, &of, "files", "dos"));
}

#[test]
fn an_older_salvage_is_not_overwritten() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    write(&of.path.join("new"), "first\n");
    repo.git.salvage(&of).unwrap();
    write(&of.path.join("new"), "second\n");
    let all = names(&repo, &of);
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(show(&repo, &of, "files", "new"), "second\n");
    let before = all.iter().find(|name| name.starts_with("files-before-")).unwrap();
    assert_eq!(show(&repo, &of, before, "new"), "first\n");
    assert_eq!(names(&repo, &of), all);
}

#[test]
fn what_cannot_be_read_fails_the_whole_of_it() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    write(&of.path.join("new"), "x\n");
    write(&repo.admin(&of).join("index"), "garbage");
    assert!(repo.git.salvage(&of).is_err());
    let stranger = repo.of("api", 9);
    assert!(matches!(repo.git.salvage(&stranger), Err(GitError::NotOurs { .. })));
}

#[test]
fn a_repository_inside_becomes_a_bare_link_and_stays_at_risk() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    repo.run(&of.path, &["init", "--quiet", "inner"]);
    repo.commit_file(&of.path.join("inner"), "file", "x\n");
    assert!(repo.risks(&of).contains(&Risk::Embedded(vec!["inner".to_owned()])));
    assert_eq!(names(&repo, &of), ["files", "head"]);
    assert!(Path::new(&of.path.join("inner/.git/HEAD")).exists());
}
