//! The trash and the way back, byte for byte, also after a kill; rebuilding, letting go, emptying.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use crate::repo::{Repo, contents, write};
use fleetctl::git::GitError;
use fleetctl::record::BranchAt;
use fleetctl::snapshot::{Head, Lock, Risk};
use fleetctl::world::WorktreeOf;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// All that is a user's: files, index, and what operations left; not HEAD and its log.
fn bytes(repo: &Repo, of: &WorktreeOf, at: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = contents(at);
    let admin = repo.top().join(".git/worktrees").join(of.path.file_name().unwrap());
    for (path, text) in contents(&admin) {
        let changes = ["HEAD", "logs/HEAD", "gitdir", "fleetctl-trash.json"];
        if !changes.iter().any(|name| path == Path::new(name)) {
            all.insert(Path::new("entry").join(path), text);
        }
    }
    all
}

fn dirty(repo: &Repo, of: &WorktreeOf) {
    write(&of.path.join("README"), "staged\n");
    repo.run(&of.path, &["add", "README"]);
    write(&of.path.join("README"), "edited after\n");
    write(&of.path.join("new/file"), "untracked\n");
    write(&of.path.join(".env"), "SECRET=1\n");
    write(&of.path.join("ignored/bulk"), "bulk\n");
    std::os::unix::fs::symlink("../nowhere", of.path.join("dangling")).unwrap();
}

#[test]
fn a_dirty_worktree_comes_back_byte_for_byte() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    dirty(&repo, &of);
    let (before, head) = (bytes(&repo, &of, &of.path), repo.head(&of.path));
    let status = repo.run(&of.path, &["status", "--porcelain=v2", "--branch"]);
    let salvage = repo.git.salvage(&of).unwrap();
    let to = repo.trash_path("api-1");

    let branch = repo.git.trash(&of, &to).unwrap();
    let expected = BranchAt { name: "shop/api".to_owned(), at: head.clone() };
    assert_eq!(branch, Some(expected));
    assert!(!of.path.exists());
    assert_eq!(bytes(&repo, &of, &to), before, "in the trash too");
    let lying = WorktreeOf { path: to.clone(), ..of.clone() };
    let seen = repo.worktree(&lying);
    assert_eq!(seen.head, Head::Detached(head));
    assert!(matches!(seen.lock, Lock::Fleet { uid, .. } if uid == of.uid), "still locked");
    repo.run(&to, &["status"]);
    assert_eq!(repo.ground("api", Some("shop/api"), None).checked_out, None, "the branch is free");
    assert_eq!(repo.git.trash(&of, &to).unwrap(), branch, "done already");

    assert!(repo.git.untrash(&of, &to, branch.as_ref(), &salvage).unwrap());
    assert!(!to.exists());
    assert_eq!(bytes(&repo, &of, &of.path), before);
    assert_eq!(repo.run(&of.path, &["status", "--porcelain=v2", "--branch"]), status);
    assert!(repo.git.untrash(&of, &to, branch.as_ref(), &salvage).unwrap(), "done already");
    assert!(!repo.admin(&of).join("fleetctl-trash.json").exists());
}

#[test]
fn head_stays_detached_when_the_branch_moved_or_is_taken() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    dirty(&repo, &of);
    let before = bytes(&repo, &of, &of.path);
    let to = repo.trash_path("api-1");
    let branch = repo.git.trash(&of, &to).unwrap();

    let again = WorktreeOf { path: repo.worktrees().join("other"), ..repo.of("api", 2) };
    let mut add = repo.adding("api", 2);
    add.worktree = again.clone();
    repo.git.add_worktree(&add).unwrap();
    assert!(!repo.git.untrash(&of, &to, branch.as_ref(), &[]).unwrap(), "checked out elsewhere");
    assert_eq!(bytes(&repo, &of, &of.path), before);

    assert_eq!(repo.git.trash(&of, &to).unwrap(), None, "it was on no branch");
    repo.commit_file(&again.path, "more", "more\n");
    repo.git.trash(&again, &repo.trash_path("api-2")).unwrap();
    assert!(!repo.git.untrash(&of, &to, branch.as_ref(), &[]).unwrap(), "the branch moved");
    assert_eq!(bytes(&repo, &of, &of.path), before);
    assert!(matches!(repo.worktree(&of).head, Head::Detached(_)));
}

#[test]
fn a_removed_session_can_be_added_again_and_the_old_one_be_brought_back() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    dirty(&repo, &of);
    let to = repo.trash_path("api-1");
    let branch = repo.git.trash(&of, &to).unwrap();
    let new = repo.add("api", 2);
    assert_eq!(repo.worktree(&new).head, Head::Branch("shop/api".to_owned()));
    let taken = repo.git.untrash(&of, &to, branch.as_ref(), &[]);
    assert!(matches!(taken, Err(GitError::Taken { .. })));
    assert!(to.join("README").exists());
    repo.git.trash(&new, &repo.trash_path("api-2")).unwrap();
    assert!(repo.git.untrash(&of, &to, branch.as_ref(), &[]).unwrap());
}

#[test]
fn an_operation_under_way_frees_its_branch_and_comes_back() {
    for rebase in [&["rebase", "main"][..], &["rebase", "--apply", "main"], &["bisect", "start"]] {
        let repo = Repo::new();
        let of = repo.add("api", 1);
        repo.commit_file(&of.path, "README", "theirs\n");
        repo.commit_file(&repo.top(), "README", "ours\n");
        repo.try_run(&of.path, rebase);
        if rebase[0] == "bisect" {
            repo.run(&of.path, &["checkout", "--quiet", "--detach"]);
        }
        let (before, head) = (bytes(&repo, &of, &of.path), repo.head(&of.path));
        let to = repo.trash_path("api-1");
        assert_eq!(repo.git.trash(&of, &to).unwrap(), None);
        let new = repo.add("api", 2);
        assert_eq!(repo.worktree(&new).head, Head::Branch("shop/api".to_owned()));

        let moved = repo.worktrees().join("moved");
        repo.run(&repo.top(), &["worktree", "unlock", new.path.to_str().unwrap()]);
        repo.run(
            &repo.top(),
            &["worktree", "move", new.path.to_str().unwrap(), moved.to_str().unwrap()],
        );
        let busy = repo.git.untrash(&of, &to, None, &[]).unwrap_err();
        assert!(matches!(busy, GitError::BranchBusy { .. }), "{busy:?}");
        repo.run(&moved, &["checkout", "--quiet", "--detach"]);
        assert!(!repo.git.untrash(&of, &to, None, &[]).unwrap());
        assert_eq!(bytes(&repo, &of, &of.path), before, "{rebase:?}");
        assert_eq!(repo.head(&of.path), head);
        if rebase[0] == "rebase" {
            repo.run(&of.path, &["rebase", "--abort"]);
            assert_eq!(repo.worktree(&of).head, Head::Branch("shop/api".to_owned()));
        }
    }
}

#[test]
fn a_move_that_was_cut_off_anywhere_is_finished() {
    // After the note; after the rename; after the link; after the detaching.
    for cut in 0..4 {
        let repo = Repo::new();
        let of = repo.add("api", 1);
        dirty(&repo, &of);
        let (before, head) = (bytes(&repo, &of, &of.path), repo.head(&of.path));
        let admin = repo.admin(&of);
        let to = repo.trash_path("api-1");
        let note = format!(r#"{{"branch":{{"name":"shop/api","at":"{head}"}}}}"#);
        write(&admin.join("fleetctl-trash.json"), &note);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        if cut > 0 {
            std::fs::rename(&of.path, &to).unwrap();
        }
        if cut > 1 {
            write(&admin.join("gitdir"), &format!("{}/.git\n", to.display()));
        }
        if cut > 2 {
            repo.run(&to, &["update-ref", "--no-deref", "HEAD", &head]);
        }
        let branch = repo.git.trash(&of, &to).unwrap().unwrap();
        assert_eq!((branch.name.as_str(), &branch.at), ("shop/api", &head), "cut {cut}");
        assert_eq!(bytes(&repo, &of, &to), before);

        if cut > 0 {
            std::fs::rename(&to, &of.path).unwrap();
        }
        if cut > 1 {
            write(&admin.join("gitdir"), &format!("{}/.git\n", of.path.display()));
        }
        if cut > 2 {
            repo.run(&of.path, &["symbolic-ref", "HEAD", "refs/heads/shop/api"]);
        }
        assert!(repo.git.untrash(&of, &to, Some(&branch), &[]).unwrap(), "cut {cut}");
        assert_eq!(bytes(&repo, &of, &of.path), before);
        assert_eq!(repo.worktree(&of).head, Head::Branch("shop/api".to_owned()));
    }
}

#[test]
fn an_old_note_of_a_move_that_never_happened_is_not_believed() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    let note = r#"{"branch":{"name":"shop/old","at":"0000"}}"#;
    write(&repo.admin(&of).join("fleetctl-trash.json"), note);
    let branch = repo.git.trash(&of, &repo.trash_path("api-1")).unwrap().unwrap();
    assert_eq!(branch.name, "shop/api");
}

#[test]
fn only_a_linked_worktree_with_our_mark_is_moved() {
    let repo = Repo::new();
    let to = repo.trash_path("x");
    let foreign = repo.of("foreign", 1);
    let path = foreign.path.to_str().unwrap();
    repo.run(&repo.top(), &["worktree", "add", "--quiet", "--lock", "--reason", "usb", path]);
    assert!(matches!(repo.git.trash(&foreign, &to), Err(GitError::NotOurs { .. })));

    let main = WorktreeOf { path: repo.top(), ..repo.of("api", 2) };
    assert!(matches!(repo.git.trash(&main, &to), Err(GitError::NotOurs { .. })));

    // Our mark, but something else stands at the path.
    let of = repo.add("api", 3);
    std::fs::rename(&of.path, repo.root().join("away")).unwrap();
    write(&of.path.join("theirs"), "theirs\n");
    assert!(matches!(repo.git.trash(&of, &to), Err(GitError::Elsewhere { .. })));
    repo.run(&repo.root(), &["init", "--quiet", of.path.to_str().unwrap()]);
    assert!(matches!(repo.git.trash(&of, &to), Err(GitError::Elsewhere { .. })));
    assert!(of.path.join("theirs").exists() && !to.exists());

    // The place in the trash is taken.
    let web = repo.add("web", 4);
    write(&to.join("file"), "x");
    assert!(matches!(repo.git.trash(&web, &to), Err(GitError::Taken { .. })));
    assert!(web.path.join("README").exists());
}

#[test]
fn what_was_salvaged_must_be_readable_before_anything_moves() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    let to = repo.trash_path("api-1");
    let branch = repo.git.trash(&of, &to).unwrap();
    let missing = [format!("refs/fleet/salvage/{}/head", of.uid)];
    let error = repo.git.untrash(&of, &to, branch.as_ref(), &missing).unwrap_err();
    assert!(matches!(error, GitError::NotReadBack { .. }));
    assert!(to.join("README").exists() && !of.path.exists());
}

#[test]
fn submodules_and_repositories_inside_come_back_working() {
    let repo = Repo::new();
    repo.run(&repo.root(), &["clone", "--quiet", "--bare", "shop", "library.git"]);
    let url = repo.root().join("library.git");
    repo.run(&repo.top(), &["submodule", "add", "--quiet", url.to_str().unwrap(), "lib"]);
    repo.run(&repo.top(), &["commit", "--quiet", "-m", "submodule"]);
    let of = repo.add("api", 1);
    repo.run(&of.path, &["submodule", "update", "--quiet", "--init"]);
    repo.run(&of.path, &["init", "--quiet", "ignored/inner"]);
    repo.commit_file(&of.path.join("ignored/inner"), "file", "x\n");
    write(&of.path.join("lib/new"), "x\n");
    let (before, risks) = (bytes(&repo, &of, &of.path), repo.risks(&of));
    let salvage = repo.git.salvage(&of).unwrap();
    let to = repo.trash_path("api-1");
    let branch = repo.git.trash(&of, &to).unwrap();
    assert_eq!(bytes(&repo, &of, &to), before);
    assert!(repo.git.untrash(&of, &to, branch.as_ref(), &salvage).unwrap());
    assert_eq!(bytes(&repo, &of, &of.path), before);
    assert_eq!(repo.risks(&of), risks);
    assert!(risks.iter().any(|risk| matches!(risk, Risk::Embedded(inside) if inside.len() == 2)));
    repo.run(&of.path.join("lib"), &["status"]);
}

#[test]
fn relative_links_survive_the_move() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    let admin = repo.admin(&of);
    write(&of.path.join(".git"), "gitdir: ../../shop/.git/worktrees/api\n");
    write(&admin.join("gitdir"), "../../../../shop.worktrees/api/.git\n");
    assert_eq!(repo.worktree(&of).path, of.path);
    let to = repo.trash_path("api-1");
    let branch = repo.git.trash(&of, &to).unwrap();
    repo.run(&to, &["status"]);
    assert!(repo.git.untrash(&of, &to, branch.as_ref(), &[]).unwrap());
    repo.run(&of.path, &["status"]);
}

#[test]
fn the_work_in_the_trash_is_still_assessed() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    dirty(&repo, &of);
    let risks = repo.risks(&of);
    let to = repo.trash_path("api-1");
    repo.git.trash(&of, &to).unwrap();
    assert_eq!(repo.risks(&WorktreeOf { path: to, ..of }), risks);
}

#[test]
fn emptying_deletes_directory_entry_and_refs_and_nothing_else() {
    let repo = Repo::new();
    let (api, web) = (repo.add("api", 1), repo.add("web", 2));
    dirty(&repo, &api);
    write(&api.path.join("ignored/read-only/file"), "x\n");
    let locked: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o500);
    std::fs::set_permissions(api.path.join("ignored/read-only"), locked).unwrap();
    let refs = repo.git.salvage(&api).unwrap();
    let kept = repo.git.salvage(&web).unwrap();
    let to = repo.trash_path("api-1");

    let live = repo.git.empty_trash(&to, &api, &refs);
    assert!(matches!(live, Err(GitError::Elsewhere { .. })), "it is not in the trash");
    repo.git.trash(&api, &to).unwrap();
    let foreign = repo.git.empty_trash(&to, &api, &kept);
    assert!(matches!(foreign, Err(GitError::ForeignRef { .. })));
    assert!(to.join("README").exists());

    let others = contents(&web.path);
    repo.git.empty_trash(&to, &api, &refs).unwrap();
    repo.git.empty_trash(&to, &api, &refs).unwrap();
    assert_eq!(std::fs::read_dir(repo.worktrees().join(".trash")).unwrap().count(), 0);
    assert_eq!(repo.listed().worktrees.len(), 1);
    let left = repo.run(&repo.top(), &["for-each-ref", "--format=%(refname)", "refs/fleet"]);
    assert_eq!(left.lines().collect::<Vec<_>>(), kept);
    repo.run(&repo.top(), &["rev-parse", "--verify", "refs/heads/shop/api"]);
    assert_eq!(contents(&web.path), others);
    assert!(!repo.top().join(".git/fleetctl-deleting").exists());
}

#[test]
fn emptying_that_was_cut_off_is_finished() {
    for cut in 0..3 {
        let repo = Repo::new();
        let of = repo.add("api", 1);
        let refs = repo.git.salvage(&of).unwrap();
        let to = repo.trash_path("api-1");
        repo.git.trash(&of, &to).unwrap();
        std::fs::rename(&to, to.with_file_name(format!(".deleting-{}", of.uid))).unwrap();
        let admin = repo.top().join(".git/worktrees/api");
        if cut > 0 {
            let doomed = repo.top().join(format!(".git/fleetctl-deleting-{}", of.uid));
            std::fs::rename(&admin, doomed).unwrap();
        }
        repo.git.empty_trash(&to, &of, &refs).unwrap();
        assert_eq!(std::fs::read_dir(to.parent().unwrap()).unwrap().count(), 0);
        assert!(repo.listed().worktrees.is_empty() && !admin.exists());
        assert_eq!(repo.run(&repo.top(), &["for-each-ref", "refs/fleet"]), "");
        let left = std::fs::read_dir(repo.top().join(".git")).unwrap();
        assert!(
            left.flatten().all(|item| !item.file_name().to_string_lossy().contains("fleetctl"))
        );
    }
}

#[test]
fn a_directory_without_our_entry_is_not_deleted() {
    let repo = Repo::new();
    let of = repo.of("api", 1);
    let to = repo.trash_path("api-1");
    write(&to.join("file"), "x\n");
    assert!(matches!(repo.git.empty_trash(&to, &of, &[]), Err(GitError::NotOurs { .. })));
    assert!(to.join("file").exists());
}

#[test]
fn letting_go_removes_the_mark_and_nothing_else() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    dirty(&repo, &of);
    let before = contents(&of.path);
    repo.git.let_go(&of).unwrap();
    repo.git.let_go(&of).unwrap();
    assert_eq!(repo.worktree(&of).lock, Lock::No);
    assert_eq!(contents(&of.path), before);
    assert!(matches!(repo.git.describe(&of, "{}"), Err(GitError::NotOurs { .. })));

    let web = repo.add("web", 2);
    repo.git.describe(&web, r#"{"a":1}"#).unwrap();
    let text = std::fs::read_to_string(repo.admin(&web).join("fleetctl.json")).unwrap();
    assert_eq!(text, r#"{"a":1}"#);
    let stranger = WorktreeOf { uid: of.uid, ..web };
    assert!(matches!(repo.git.let_go(&stranger), Err(GitError::NotOurs { .. })));
}

#[test]
fn a_lost_worktree_is_made_anew_and_its_index_and_log_are_kept() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    repo.commit_file(&of.path, "one", "1\n");
    write(&of.path.join("README"), "staged\n");
    repo.run(&of.path, &["add", "README"]);
    let admin = repo.admin(&of);
    let index = std::fs::read(admin.join("index")).unwrap();
    let log = std::fs::read(admin.join("logs/HEAD")).unwrap();
    std::fs::rename(&of.path, repo.root().join("away")).unwrap();
    repo.hook("post-checkout", "echo \"$@\" >>\"$HOME/hook\"");
    let keep = repo.trash_path("api-lost");

    write(&of.path.join("theirs"), "theirs\n");
    assert!(matches!(repo.git.rebuild(&of, &keep), Err(GitError::Taken { .. })));
    std::fs::remove_file(of.path.join("theirs")).unwrap();

    repo.git.rebuild(&of, &keep).unwrap();
    assert_eq!(std::fs::read(keep.join("index")).unwrap(), index);
    assert_eq!(std::fs::read(keep.join("logs/HEAD")).unwrap(), log);
    assert_eq!(repo.risks(&of), []);
    assert_eq!(repo.worktree(&of).head, Head::Branch("shop/api".to_owned()));
    assert_eq!(std::fs::read_to_string(of.path.join("one")).unwrap(), "1\n");
    assert!(repo.worktree(&of).present);
    let hook = std::fs::read_to_string(repo.root().join("home/hook")).unwrap();
    assert_eq!(hook.lines().count(), 1);
    let before = contents(&repo.root());
    repo.git.rebuild(&of, &keep).unwrap();
    assert_eq!(contents(&repo.root()), before, "done already");
}

#[test]
fn a_rebuild_that_was_cut_off_is_finished() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    repo.commit_file(&of.path, "README", "theirs\n");
    repo.commit_file(&repo.top(), "README", "ours\n");
    assert!(!repo.try_run(&of.path, &["merge", "main"]).0);
    std::fs::rename(&of.path, repo.root().join("away")).unwrap();
    let admin = repo.top().join(".git/worktrees/api");
    let keep = repo.trash_path("api-lost");
    // Cut off in the middle of the checkout.
    write(&keep.join("index"), "kept");
    write(&admin.join("fleetctl-rebuild"), keep.to_str().unwrap());
    write(&admin.join("index.lock"), "");
    write(&of.path.join(".git"), &format!("gitdir: {}\n", admin.display()));
    write(&of.path.join("src/one.txt"), "half");
    repo.git.rebuild(&of, &keep).unwrap();
    assert_eq!(repo.risks(&of), [], "no merge is under way any more");
    assert_eq!(std::fs::read_to_string(keep.join("half-made/src/one.txt")).unwrap(), "half");
    assert_eq!(std::fs::read_to_string(keep.join("index")).unwrap(), "kept");
    assert!(!admin.join("fleetctl-rebuild").exists());
}
