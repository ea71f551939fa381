//! The cheap look at a repository, and what a new worktree would stand on.

use crate::repo::{Repo, known};
use fleetctl::snapshot::{BranchSource, Head, Lock, Observed};
use std::path::Path;
use std::time::Instant;

#[test]
fn a_repository_is_seen_with_its_worktrees_locks_and_heads() {
    let repo = Repo::new();
    let ours = repo.add("api", 1);
    let theirs = repo.root().join("theirs");
    let path = theirs.to_str().unwrap();
    repo.run(
        &repo.top(),
        &["worktree", "add", "--quiet", "--detach", "--lock", "--reason", "usb", path],
    );
    let free = repo.root().join("free");
    repo.run(&repo.top(), &["worktree", "add", "--quiet", free.to_str().unwrap()]);

    let seen = repo.listed();
    assert_eq!(seen.common, repo.top().join(".git"));
    assert_eq!(seen.top, repo.top());
    let by_path = |path: &Path| seen.worktrees.iter().find(|w| w.path == path).unwrap().clone();
    let api = by_path(&ours.path);
    assert_eq!(api.head, Head::Branch("shop/api".to_owned()));
    assert!(
        matches!(api.lock, Lock::Fleet { ref fleet, uid } if fleet.as_str() == "shop" && uid == ours.uid)
    );
    assert!(api.present);
    let other = by_path(&theirs);
    assert_eq!(other.lock, Lock::Other("usb".to_owned()));
    assert_eq!(other.head, Head::Detached(repo.head(&repo.top())));
    assert_eq!(by_path(&free).lock, Lock::No);

    // The same from below, and from a linked worktree.
    assert_eq!(known(repo.git.repository(&repo.top().join("src"))), seen);
    assert_eq!(known(repo.git.repository(&ours.path)), seen);
}

#[test]
fn a_worktree_whose_directory_is_gone_is_listed_as_lost() {
    let repo = Repo::new();
    let ours = repo.add("api", 1);
    std::fs::rename(&ours.path, repo.root().join("elsewhere")).unwrap();
    let lost = repo.worktree(&ours);
    assert!(!lost.present);
    assert!(matches!(lost.lock, Lock::Fleet { uid, .. } if uid == ours.uid));
}

#[test]
fn what_cannot_be_opened_is_unknown_never_absent() {
    let repo = Repo::new();
    for path in [repo.root(), repo.root().join("nothing"), "/proc/1".into()] {
        let Observed::Unknown(blind) = repo.git.repository(&path) else {
            panic!("{} is not unknown", path.display());
        };
        assert_eq!(blind.what, format!("repository {}", path.display()));
        assert!(!blind.cause.is_empty());
    }
    std::fs::write(repo.top().join(".git/config"), "[core").unwrap();
    assert!(repo.git.repository(&repo.top()).blind().is_some());
}

#[test]
fn a_bare_repository_has_worktrees_too() {
    let repo = Repo::new();
    let bare = repo.root().join("bare.git");
    repo.run(&repo.root(), &["clone", "--quiet", "--bare", "shop", "bare.git"]);
    let linked = repo.root().join("linked");
    repo.run(&bare, &["worktree", "add", "--quiet", linked.to_str().unwrap(), "main"]);
    let seen = known(repo.git.repository(&bare));
    assert_eq!(seen.top, bare);
    assert_eq!(seen.worktrees.len(), 1);
    assert_eq!(seen.worktrees[0].path, linked);
}

#[test]
fn repositories_that_git2_cannot_open_are_seen_through_git() {
    for options in [["--object-format=sha256"], ["--ref-format=reftable"]] {
        let repo = Repo::init(&options);
        let ours = repo.add("api", 1);
        assert_eq!(repo.add("api", 1), ours, "adding again is done already");
        let seen = repo.worktree(&ours);
        assert_eq!(seen.head, Head::Branch("shop/api".to_owned()), "{options:?}");
        assert_eq!(repo.listed().top, repo.top());
        let ground = repo.ground("web", Some("shop/api"), None);
        assert_eq!(ground.checked_out.as_deref(), Some(&*ours.path));
        assert!(matches!(ground.branch, BranchSource::Local(c) if c.id == repo.head(&repo.top())));
        assert_eq!(repo.ground("web", Some("main"), None).checked_out, Some(repo.top()));
        assert!(repo.risks(&ours).is_empty(), "{options:?}: {:?}", repo.risks(&ours));

        crate::repo::write(&ours.path.join("new"), "new\n");
        assert_eq!(repo.risks(&ours), [fleetctl::snapshot::Risk::Untracked(1)]);
        let refs = repo.git.salvage(&ours).unwrap();
        assert_eq!(refs.len(), 2, "{refs:?}");
        let branch = repo.git.trash(&ours, &repo.trash_path("api")).unwrap();
        assert_eq!(branch.as_ref().map(|b| b.name.as_str()), Some("shop/api"));
        assert_eq!(repo.ground("api", Some("shop/api"), None).checked_out, None);
        let from = repo.trash_path("api");
        assert!(repo.git.untrash(&ours, &from, branch.as_ref(), &refs).unwrap());
    }
}

#[test]
fn two_hundred_worktrees_are_seen_in_ten_milliseconds() {
    let repo = Repo::new();
    let add = |number: usize| {
        let path = repo.worktrees().join(format!("w{number}"));
        let args = ["worktree", "add", "--quiet", "--no-checkout", "--detach"];
        let more = ["--lock", "--reason", "fleetctl shop 01JD3M1QF0000000000000000A"];
        let args: Vec<&str> =
            args.into_iter().chain(more).chain([path.to_str().unwrap()]).collect();
        repo.run(&repo.top(), &args);
    };
    (0..200).for_each(add);
    let best = (0..5)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(repo.listed().worktrees.len(), 200);
            begun.elapsed()
        })
        .min()
        .unwrap();
    // Five times the target, for a busy machine.
    assert!(best.as_millis() < 50, "{best:?}");
}

#[test]
fn a_branch_is_the_local_one_else_origins_else_new() {
    let repo = Repo::new();
    repo.run(&repo.top(), &["branch", "here"]);
    repo.run(&repo.root(), &["clone", "--quiet", "shop", "clone"]);
    let at = |branch: Option<&str>, base: Option<&str>| {
        let asked = fleetctl::snapshot::GroundAt {
            repo: repo.root().join("clone"),
            path: repo.root().join("w"),
            branch: branch.map(str::to_owned),
            base: base.map(str::to_owned),
        };
        known(repo.git.ground(&asked)).branch
    };
    let head = repo.head(&repo.top());
    assert!(matches!(at(Some("main"), None), BranchSource::Local(c) if c.id == head));
    assert!(matches!(at(Some("here"), None), BranchSource::Remote(c) if c.id == head));
    let new = at(Some("shop/x"), None);
    assert!(
        matches!(new, BranchSource::New { base, at } if base == "origin/main" && at.id == head)
    );
    let detached = at(None, Some("here"));
    assert!(matches!(detached, BranchSource::Detached { base, .. } if base == "origin/here"));
    let missing = at(Some("shop/x"), Some("nowhere"));
    assert_eq!(missing, BranchSource::NoBase { base: "nowhere".to_owned() });
    let by_id = at(Some("shop/x"), Some(&head[..10]));
    assert!(matches!(by_id, BranchSource::New { at, .. } if at.id == head));
}

#[test]
fn the_default_base_is_main_then_master_then_the_current_branch() {
    let repo = Repo::new();
    let base = || match repo.source("w", Some("new")) {
        BranchSource::New { base, .. } => base,
        other => panic!("{other:?}"),
    };
    repo.run(&repo.top(), &["checkout", "--quiet", "-b", "dev"]);
    assert_eq!(base(), "main");
    repo.run(&repo.top(), &["branch", "-m", "main", "master"]);
    assert_eq!(base(), "master");
    repo.run(&repo.top(), &["branch", "-m", "master", "other"]);
    assert_eq!(base(), "dev");
    repo.run(&repo.top(), &["checkout", "--quiet", "--detach"]);
    assert_eq!(base(), "HEAD");
}

#[test]
fn a_repository_without_a_commit_has_no_base() {
    let repo = Repo::new();
    repo.run(&repo.root(), &["init", "--quiet", "empty"]);
    let asked = fleetctl::snapshot::GroundAt {
        repo: repo.root().join("empty"),
        path: repo.root().join("w"),
        branch: Some("x".to_owned()),
        base: None,
    };
    let ground = known(repo.git.ground(&asked));
    assert_eq!(ground.branch, BranchSource::NoBase { base: "HEAD".to_owned() });
}

#[test]
fn a_path_without_a_repository_says_what_is_wrong_with_it() {
    let repo = Repo::new();
    let cause = |path: &Path| match repo.git.repository(path) {
        Observed::Unknown(blind) => blind.cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(cause(&repo.root().join("nowhere")), "there is no such directory");
    let plain = repo.root().join("plain");
    std::fs::create_dir(&plain).unwrap();
    let said = cause(&plain);
    assert!(said.starts_with("not a git repository") && said.contains("git init"), "{said}");
}

#[test]
fn what_stands_in_the_way_is_told() {
    let repo = Repo::new();
    let ours = repo.add("api", 1);
    let main = repo.ground("free", Some("main"), None);
    assert_eq!(main.checked_out, Some(repo.top()));
    assert!(!main.path_taken);
    assert_eq!(repo.ground("free", Some("shop/api"), None).checked_out, Some(ours.path.clone()));
    assert!(!repo.ground("api", None, None).path_taken, "ours is not in the way");

    std::fs::create_dir_all(repo.worktrees().join("empty")).unwrap();
    assert!(!repo.ground("empty", None, None).path_taken);
    crate::repo::write(&repo.worktrees().join("full/file"), "");
    assert!(repo.ground("full", None, None).path_taken);
    let foreign = repo.worktrees().join("foreign");
    repo.run(&repo.top(), &["worktree", "add", "--quiet", foreign.to_str().unwrap()]);
    assert!(repo.ground("foreign", None, None).path_taken);
    std::fs::rename(&foreign, repo.root().join("moved")).unwrap();
    assert!(repo.ground("foreign", None, None).path_taken, "git refuses a lost worktree's path");
}

#[test]
fn a_branch_that_is_being_rebased_counts_as_checked_out() {
    let repo = Repo::new();
    let ours = repo.add("api", 1);
    repo.commit_file(&ours.path, "README", "theirs\n");
    repo.commit_file(&repo.top(), "README", "ours\n");
    assert!(!repo.try_run(&ours.path, &["rebase", "main"]).0);
    assert!(matches!(repo.worktree(&ours).head, Head::Detached(_)));
    assert_eq!(repo.ground("x", Some("shop/api"), None).checked_out, Some(ours.path));
}

#[test]
fn a_fetch_brings_the_base_up_to_date_and_changes_no_branch() {
    let repo = Repo::new();
    repo.run(&repo.root(), &["clone", "--quiet", "shop", "clone"]);
    let clone = repo.root().join("clone");
    let old = repo.head(&clone);
    let new = repo.commit_file(&repo.top(), "more", "more\n");
    repo.git.fetch(&clone, Some("local-branch")).unwrap();
    assert_eq!(repo.run(&clone, &["rev-parse", "origin/main"]).trim(), old);
    repo.git.fetch(&clone, None).unwrap();
    assert_eq!(repo.run(&clone, &["rev-parse", "origin/main"]).trim(), new);
    assert_eq!(repo.head(&clone), old);
    repo.run(&clone, &["remote", "set-url", "origin", "/nowhere"]);
    assert!(repo.git.fetch(&clone, Some("origin/main")).is_err());
}
