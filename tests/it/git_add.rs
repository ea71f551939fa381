//! Making worktrees, alone and side by side, and after a kill.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use crate::repo::{Repo, contents, write};
use fleetctl::git::GitError;
use fleetctl::name::Uid;
use fleetctl::snapshot::{BranchSource, Head};
use fleetctl::world::AddWorktree;
use std::path::Path;

fn uid_text(uid: Uid) -> String {
    uid.to_string()
}

#[test]
fn a_worktree_is_made_with_its_mark_and_description() {
    let repo = Repo::new();
    let add = repo.adding("api", 1);
    let head = repo.git.add_worktree(&add).unwrap();
    assert_eq!(head, repo.head(&add.worktree.path));
    let admin = repo.admin(&add.worktree);
    let reason = std::fs::read_to_string(admin.join("locked")).unwrap();
    assert_eq!(reason.trim_end(), format!("fleetctl shop {}", uid_text(add.worktree.uid)));
    assert_eq!(std::fs::read_to_string(admin.join("fleetctl.json")).unwrap(), "{}");
    assert!(
        !repo.try_run(&add.worktree.path, &["rev-parse", "@{upstream}"]).0,
        "it tracks nothing"
    );

    let before = contents(&repo.root());
    assert_eq!(repo.git.add_worktree(&add).unwrap(), head);
    assert_eq!(contents(&repo.root()), before, "adding again changes nothing");
}

#[test]
fn a_branch_of_origin_is_tracked_and_a_local_one_used_as_it_is() {
    let repo = Repo::new();
    repo.run(&repo.top(), &["branch", "there"]);
    repo.run(&repo.root(), &["clone", "--quiet", "shop", "clone"]);
    let clone = repo.root().join("clone");
    repo.run(&clone, &["branch", "--no-track", "local"]);
    let add = |name: &str, branch: Option<&str>, number: u64| {
        let mut add = repo.adding(name, number);
        add.worktree.repo = clone.clone();
        add.branch = branch.map(str::to_owned);
        add.source = crate::repo::known(repo.git.ground(&fleetctl::snapshot::GroundAt {
            repo: clone.clone(),
            path: add.worktree.path.clone(),
            branch: add.branch.clone(),
            base: None,
        }))
        .branch;
        repo.git.add_worktree(&add).unwrap();
        add.worktree.path
    };
    let tracked = add("tracked", Some("there"), 1);
    assert_eq!(
        repo.run(&tracked, &["rev-parse", "--abbrev-ref", "@{upstream}"]).trim(),
        "origin/there"
    );
    let local = add("local", Some("local"), 2);
    assert_eq!(repo.run(&local, &["branch", "--show-current"]).trim(), "local");
    let detached = add("detached", None, 3);
    assert_eq!(repo.run(&detached, &["branch", "--show-current"]).trim(), "");
}

#[test]
fn worktrees_can_be_made_side_by_side() {
    let repo = Repo::new();
    for number in 0..12 {
        repo.run(&repo.top(), &["branch", &format!("b{number}")]);
    }
    repo.run(&repo.root(), &["clone", "--quiet", "shop", "clone"]);
    let clone = repo.root().join("clone");
    // Tracking writes the config, whose lock git does not wait for.
    let adds: Vec<AddWorktree> = (0..24)
        .map(|number| {
            let mut add = repo.adding(&format!("w{number}"), number);
            add.worktree.repo = clone.clone();
            add.branch = Some(format!("b{number}"));
            add.source = crate::repo::known(repo.git.ground(&fleetctl::snapshot::GroundAt {
                repo: clone.clone(),
                path: add.worktree.path.clone(),
                branch: add.branch.clone(),
                base: None,
            }))
            .branch;
            assert_eq!(matches!(add.source, BranchSource::Remote(_)), number < 12);
            add
        })
        .collect();
    std::thread::scope(|scope| {
        for four in adds.chunks(6) {
            let git = &repo.git;
            scope.spawn(move || four.iter().for_each(|add| drop(git.add_worktree(add).unwrap())));
        }
    });
    let seen = crate::repo::known(repo.git.repository(&clone));
    assert_eq!(seen.worktrees.len(), 24);
    for (number, add) in adds.iter().enumerate() {
        assert_eq!(repo.run(&add.worktree.path, &["status", "--porcelain"]), "");
        let upstream = ["rev-parse", "--abbrev-ref", "@{upstream}"];
        assert_eq!(repo.try_run(&add.worktree.path, &upstream).0, number < 12);
    }
}

#[test]
fn what_stands_at_the_path_is_not_touched() {
    let repo = Repo::new();
    let add = repo.adding("api", 1);
    write(&add.worktree.path.join("mine"), "mine\n");
    assert!(matches!(repo.git.add_worktree(&add), Err(GitError::Taken { .. })));
    assert_eq!(contents(&add.worktree.path).len(), 1);
    assert!(
        !repo.try_run(&repo.top(), &["rev-parse", "--verify", "shop/api"]).0,
        "no branch is left"
    );
}

#[test]
fn a_branch_checked_out_elsewhere_is_refused() {
    let repo = Repo::new();
    let mut add = repo.adding("api", 1);
    add.branch = Some("main".to_owned());
    add.source = repo.source("api", Some("main"));
    let error = repo.git.add_worktree(&add).unwrap_err();
    assert!(error.line().contains("already"), "{}", error.line());
    assert!(!add.worktree.path.exists());
}

#[test]
fn a_failing_post_checkout_hook_is_told_and_run_again() {
    let repo = Repo::new();
    repo.hook("post-checkout", "echo \"$@\" >>\"$HOME/hook\"; echo no network >&2; exit 3");
    let add = repo.adding("api", 1);
    for _ in 0..2 {
        let error = repo.git.add_worktree(&add).unwrap_err();
        assert!(matches!(&error, GitError::Hook { said, .. } if said == "no network"), "{error:?}");
        assert!(add.worktree.path.join("README").exists());
    }
    repo.hook("post-checkout", "echo \"$@\" >>\"$HOME/hook\"");
    repo.git.add_worktree(&add).unwrap();
    repo.git.add_worktree(&add).unwrap();
    let calls = std::fs::read_to_string(repo.root().join("home/hook")).unwrap();
    let calls: Vec<&str> = calls.lines().collect();
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert!(calls.iter().all(|call| *call == calls[0]), "git's own arguments: {calls:?}");
}

/// Kills `git worktree add` and its child in the middle of the checkout, from a filter.
fn half_make(repo: &Repo, add: &AddWorktree) {
    repo.run(
        &repo.top(),
        &[
            "config",
            "filter.stuck.smudge",
            "read _ _ _ above _ </proc/$PPID/stat; kill -9 $above $PPID",
        ],
    );
    write(&repo.top().join(".git/info/attributes"), "src/one.txt filter=stuck\n");
    let error = repo.git.add_worktree(add).unwrap_err();
    assert!(matches!(error, GitError::HalfMade { .. }), "{error:?}");
    std::fs::remove_file(repo.top().join(".git/info/attributes")).unwrap();
}

#[test]
fn a_half_made_worktree_goes_to_the_trash_and_is_made_anew() {
    let repo = Repo::new();
    let add = repo.adding("api", 1);
    half_make(&repo, &add);
    assert!(matches!(repo.git.add_worktree(&add), Err(GitError::HalfMade { .. })));
    let to = repo.trash_path("half-made");
    let kept = repo.git.discard_half_made(&add.worktree, &to).unwrap();
    assert_eq!(kept, Some(to.clone()));
    assert_eq!(repo.git.discard_half_made(&add.worktree, &to).unwrap(), None);
    assert!(to.exists() && !add.worktree.path.exists());
    assert!(repo.listed().worktrees.is_empty(), "no entry leaks");
    repo.git.add_worktree(&add).unwrap();
    assert_eq!(repo.worktree(&add.worktree).head, Head::Branch("shop/api".to_owned()));
    assert!(repo.risks(&add.worktree).is_empty());
    let complete = contents(&add.worktree.path);
    assert_eq!(repo.git.discard_half_made(&add.worktree, &to).unwrap(), None);
    assert_eq!(contents(&add.worktree.path), complete);
}

#[test]
fn what_a_kill_leaves_before_the_checkout_is_made_good() {
    let repo = Repo::new();
    // The branch alone.
    let add = repo.adding("one", 1);
    repo.run(&repo.top(), &["branch", "--no-track", "shop/one", "main"]);
    repo.git.add_worktree(&add).unwrap();
    // The entry with nothing but its lock.
    let add = repo.adding("two", 2);
    let admin = repo.top().join(".git/worktrees/two");
    write(&admin.join("locked"), &format!("fleetctl shop {}", add.worktree.uid));
    assert_eq!(repo.listed().worktrees.len(), 1, "it is no worktree yet");
    assert!(matches!(repo.git.add_worktree(&add), Err(GitError::HalfMade { .. })));
    repo.git.discard_half_made(&add.worktree, &repo.trash_path("half-made")).unwrap();
    repo.git.add_worktree(&add).unwrap();
    assert_eq!(repo.worktree(&add.worktree).admin, admin);
    // The `.git` file, still empty.
    let add = repo.adding("three", 3);
    let admin = repo.top().join(".git/worktrees/three");
    write(&admin.join("locked"), &format!("fleetctl shop {}", add.worktree.uid));
    write(&admin.join("gitdir"), &format!("{}/.git\n", add.worktree.path.display()));
    write(&add.worktree.path.join(".git"), "");
    assert!(matches!(repo.git.add_worktree(&add), Err(GitError::HalfMade { .. })));
    repo.git.discard_half_made(&add.worktree, &repo.trash_path("half-made")).unwrap();
    repo.git.add_worktree(&add).unwrap();
}

#[test]
fn a_branch_that_appeared_elsewhere_is_not_used() {
    let repo = Repo::new();
    let add = repo.adding("api", 1);
    repo.commit_file(&repo.top(), "more", "more\n");
    repo.run(&repo.top(), &["branch", "shop/api"]);
    assert!(matches!(repo.git.add_worktree(&add), Err(GitError::BranchAppeared { .. })));
    assert!(!add.worktree.path.exists());
}

#[test]
fn hostile_settings_and_odd_paths_make_the_same_worktree() {
    let repo = Repo::new();
    let git = repo.with_global(
        "[branch]\n\tautoSetupMerge = always\n\tautoSetupRebase = always\n[worktree]\n\tguessRemote = true\n\
         [core]\n\tfsmonitor = true\n[alias]\n\tworktree = !false\n[checkout]\n\tdefaultRemote = x\n",
    );
    let mut add = repo.adding("api", 1);
    add.worktree.path = repo.root().join("with space/ünï 'quoted'");
    git.add_worktree(&add).unwrap();
    let config = std::fs::read_to_string(repo.top().join(".git/config")).unwrap();
    assert!(!config.contains("[branch"), "{config}");
    assert_eq!(repo.worktree(&add.worktree).path, add.worktree.path);
    assert!(Path::new(&add.worktree.path).join("README").exists());
}

#[test]
fn a_kill_at_any_instant_ends_in_the_same_worktree() {
    use std::os::unix::process::ExitStatusExt;
    let repo = Repo::new();
    for number in 0..40 {
        repo.write(&format!("shop/many/{number}"), "x\n");
    }
    repo.run(&repo.top(), &["add", "--all"]);
    repo.run(&repo.top(), &["commit", "--quiet", "-m", "many"]);
    let mut killed = 0;
    for number in 0..12 {
        let name = format!("w{number}");
        let add = repo.adding(&name, number);
        let reason = format!("fleetctl shop {}", add.worktree.uid);
        let path = add.worktree.path.to_str().unwrap();
        let branch = format!("shop/{name}");
        let args = ["worktree", "add", "--lock", "--reason", &reason, "--no-track", "-b", &branch];
        let begun = repo.child(&repo.top()).args(args);
        let mut child = begun.args([path, "main"]).spawn().unwrap();
        fleetctl::process::pause(std::time::Duration::from_micros(number * 700));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().signal() == Some(9));

        let made = match repo.git.add_worktree(&add) {
            Err(GitError::HalfMade { .. }) => {
                let to = repo.trash_path(&format!("half-{name}"));
                repo.git.discard_half_made(&add.worktree, &to).unwrap();
                repo.git.add_worktree(&add)
            }
            made => made,
        };
        assert_eq!(made.unwrap(), repo.head(&repo.top()));
        assert_eq!(repo.risks(&add.worktree), []);
        assert_eq!(repo.listed().worktrees.len(), number as usize + 1, "nothing leaks");
    }
    assert!(killed > 0, "some were cut off");
}

#[test]
fn a_hook_that_leaves_a_process_behind_holds_nobody_up() {
    let repo = Repo::new();
    repo.hook("post-checkout", "echo begun >&2; sleep 20 &");
    let begun = std::time::Instant::now();
    repo.add("api", 1);
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
}
