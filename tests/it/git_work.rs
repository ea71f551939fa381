//! The assessment of the work in a worktree: every kind of risk, also where settings would hide it.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use crate::repo::{Repo, contents, write};
use fleetctl::git::{Git, Occupant, Occupants};
use fleetctl::snapshot::{Blind, Evidence, Observed, Risk, Work, WorkAt};
use fleetctl::world::WorktreeOf;

/// Settings of a user that hide work, one way or another.
const HOSTILE: &str = "[status]\n\tshowUntrackedFiles = no\n\tshowStash = true\n\tbranch = true\n\
    \trelativePaths = true\n\trenames = copies\n\
    [core]\n\tfsmonitor = true\n\tuntrackedCache = true\n\ttrustctime = false\n\tcheckStat = minimal\n\
    \tquotePath = true\n\tpager = false\n\tabbrev = 5\n[diff]\n\tignoreSubmodules = all\n\texternal = false\n\
    \tnoprefix = true\n[log]\n\tshowSignature = true\n\tdate = relative\n\tdecorate = full\n\
    [color]\n\tui = always\n[column]\n\tui = always\n[alias]\n\tstatus = !true\n[submodule]\n\trecurse = true\n";

/// The assessment must be the same with the user's plain git and under hostile settings, in the repository's own
/// configuration too; and must change nothing.
fn risks(repo: &Repo, of: &WorktreeOf) -> Vec<Risk> {
    work(repo, of).risks
}

fn work(repo: &Repo, of: &WorktreeOf) -> Work {
    let before = contents(&repo.root());
    let plain = repo.work(of);
    assert_eq!(contents(&repo.root()), before, "a look changes nothing");
    let hostile = repo.with_global(HOSTILE);
    assert_eq!(repo.work_by(&hostile, of), plain, "hostile global settings");
    let config = repo.top().join(".git/config");
    let own = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{own}\n{HOSTILE}")).unwrap();
    assert_eq!(repo.work(of), plain, "hostile settings of the repository");
    std::fs::write(&config, own).unwrap();
    plain
}

#[test]
fn a_fresh_worktree_is_clean() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    let work = work(&repo, &of);
    assert_eq!(work.risks, []);
    assert_eq!(work.branch.as_deref(), Some("shop/api"));
    assert_eq!(work.head, Some(repo.head(&of.path)));
    assert_eq!((work.commits, work.ignored), (0, 0));
}

#[test]
fn modified_staged_and_untracked_files_are_at_risk() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    write(&of.path.join("README"), "changed\n");
    assert_eq!(risks(&repo, &of), [Risk::Modified(1)]);
    repo.run(&of.path, &["add", "README"]);
    assert_eq!(risks(&repo, &of), [Risk::Staged(1)]);
    write(&of.path.join("README"), "edited after staging\n");
    std::fs::remove_file(of.path.join("src/one.txt")).unwrap();
    write(&of.path.join("new/deep/file name\nwith a line"), "new\n");
    write(&of.path.join("new/other"), "new\n");
    assert_eq!(risks(&repo, &of), [Risk::Modified(2), Risk::Staged(1), Risk::Untracked(2)]);
}

#[test]
fn commits_on_a_branch_and_ignored_files_are_named_not_held() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    repo.commit_file(&of.path, "one", "1\n");
    repo.commit_file(&of.path, "two", "2\n");
    write(&of.path.join("ignored/a/b"), "x");
    write(&of.path.join("ignored/c"), "x");
    write(&of.path.join(".env"), "SECRET=1\n");
    let work = work(&repo, &of);
    assert_eq!(work.risks, []);
    assert_eq!((work.commits, work.ignored), (2, 3));
}

#[test]
fn what_files_brought_is_no_risk_until_it_is_changed() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    write(&of.path.join("brought"), "hello\n");
    write(&of.path.join("own"), "own\n");
    std::os::unix::fs::symlink("/usr/share", of.path.join("link")).unwrap();
    let list = r#"{"brought":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        "link":"link:/usr/share","gone":"sha256:00"}"#;
    write(&repo.admin(&of).join("fleetctl-files.json"), list);
    assert_eq!(risks(&repo, &of), [Risk::Untracked(1)]);
    write(&of.path.join("brought"), "changed\n");
    std::fs::remove_file(of.path.join("link")).unwrap();
    std::os::unix::fs::symlink("/usr/lib", of.path.join("link")).unwrap();
    assert_eq!(risks(&repo, &of), [Risk::Untracked(3)]);
    write(&repo.admin(&of).join("fleetctl-files.json"), "garbage");
    assert!(matches!(risks(&repo, &of)[..], [Risk::Untracked(3), Risk::Undetermined(_)]));
}

#[test]
fn edits_hidden_by_flags_are_found() {
    let repo = Repo::new();
    repo.commit_file(&repo.top(), "run.sh", "true\n");
    std::os::unix::fs::symlink("README", repo.top().join("link")).unwrap();
    repo.run(&repo.top(), &["add", "link"]);
    repo.run(&repo.top(), &["commit", "--quiet", "-m", "link"]);
    let of = repo.add("api", 1);
    repo.run(&of.path, &["update-index", "--assume-unchanged", "README", "link", "run.sh"]);
    repo.run(&of.path, &["update-index", "--skip-worktree", "src/one.txt"]);
    assert_eq!(risks(&repo, &of), [], "a flag alone hides nothing");
    write(&of.path.join("README"), "SHOP\n");
    assert_eq!(risks(&repo, &of), [Risk::Hidden(1)]);
    write(&of.path.join("src/one.txt"), "ONE\n");
    assert_eq!(risks(&repo, &of), [Risk::Hidden(2)]);
    std::fs::remove_file(of.path.join("link")).unwrap();
    std::os::unix::fs::symlink("run.sh", of.path.join("link")).unwrap();
    assert_eq!(risks(&repo, &of), [Risk::Hidden(3)]);
    std::fs::set_permissions(
        of.path.join("run.sh"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    assert_eq!(risks(&repo, &of), [Risk::Hidden(4)]);
}

#[test]
fn a_sparse_checkout_is_clean_and_its_edits_are_seen() {
    let repo = Repo::new();
    repo.commit_file(&repo.top(), "other/file", "other\n");
    let of = repo.add("api", 1);
    for index in ["--no-sparse-index", "--sparse-index"] {
        repo.run(&of.path, &["sparse-checkout", "set", "--cone", index, "src"]);
        assert!(!of.path.join("other").exists());
        assert_eq!(risks(&repo, &of), [], "{index}");
    }
    write(&of.path.join("src/one.txt"), "ONE\n");
    assert_eq!(risks(&repo, &of), [Risk::Modified(1)]);
    write(&of.path.join("other/file"), "edited\n");
    let edits: usize = risks(&repo, &of)
        .iter()
        .map(|risk| match risk {
            Risk::Modified(n) | Risk::Hidden(n) => *n,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(edits, 2);
}

#[test]
fn operations_under_way_are_at_risk() {
    let conflict = |run: &dyn Fn(&Repo, &WorktreeOf), expected: &str| {
        let repo = Repo::new();
        let of = repo.add("api", 1);
        repo.commit_file(&of.path, "README", "theirs\n");
        repo.commit_file(&repo.top(), "README", "ours\n");
        run(&repo, &of);
        let risks = risks(&repo, &of);
        assert!(risks.contains(&Risk::UnderWay(expected.to_owned())), "{expected}: {risks:?}");
        let ways = risks.iter().filter(|risk| matches!(risk, Risk::UnderWay(_))).count();
        assert_eq!(ways, 1, "{risks:?}");
    };
    let git = |args: &'static [&'static str]| {
        move |repo: &Repo, of: &WorktreeOf| assert!(!repo.try_run(&of.path, args).0)
    };
    conflict(&git(&["merge", "main"]), "merge");
    conflict(&git(&["rebase", "main"]), "rebase");
    conflict(&git(&["rebase", "--apply", "main"]), "rebase");
    conflict(&git(&["cherry-pick", "main"]), "cherry-pick");
    conflict(&git(&["revert", "main"]), "revert");
    conflict(&|repo, of| drop(repo.run(&of.path, &["bisect", "start"])), "bisect");
    let am = |repo: &Repo, of: &WorktreeOf| {
        let patch = repo.run(&repo.top(), &["format-patch", "-1", "--stdout"]);
        let file = repo.write("patch", &patch);
        assert!(!repo.try_run(&of.path, &["am", file.to_str().unwrap()]).0);
    };
    conflict(&am, "am");
}

#[test]
fn commits_that_nothing_names_are_at_risk() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    repo.run(&of.path, &["checkout", "--quiet", "--detach"]);
    assert_eq!(risks(&repo, &of), []);
    let lost = repo.commit_file(&of.path, "one", "1\n");
    repo.commit_file(&of.path, "two", "2\n");
    assert_eq!(risks(&repo, &of), [Risk::Unnamed(2)]);
    // Only the log of HEAD has them now.
    repo.run(&of.path, &["checkout", "--quiet", "shop/api"]);
    assert_eq!(risks(&repo, &of), [Risk::Unnamed(2)]);
    repo.run(&repo.top(), &["tag", "kept", &lost]);
    assert_eq!(risks(&repo, &of), [Risk::Unnamed(1)]);
    repo.run(&repo.top(), &["update-ref", "refs/fleet/salvage/x", &repo.head(&of.path)]);
    assert_eq!(risks(&repo, &of), [Risk::Unnamed(1)]);
}

#[test]
fn an_amended_commit_is_named_by_the_log_only() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    repo.commit_file(&of.path, "one", "1\n");
    repo.run(&of.path, &["commit", "--quiet", "--amend", "-m", "other"]);
    let work = work(&repo, &of);
    assert_eq!((work.risks, work.commits), (vec![Risk::Unnamed(1)], 1));
}

#[test]
fn stashes_of_this_branch_are_at_risk_and_those_of_others_are_not() {
    let repo = Repo::new();
    let api = repo.add("api", 1);
    let web = repo.add("web", 2);
    write(&api.path.join("README"), "1\n");
    repo.run(&api.path, &["stash"]);
    write(&api.path.join("README"), "2\n");
    repo.run(&api.path, &["stash", "push", "-m", "mine: now"]);
    assert_eq!(risks(&repo, &api), [Risk::Stashes(2)]);
    assert_eq!(risks(&repo, &web), []);
}

#[test]
fn repositories_inside_are_at_risk_even_in_ignored_directories() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    repo.run(&of.path, &["init", "--quiet", "ignored/deep/inner"]);
    repo.run(&of.path, &["init", "--quiet", "plain"]);
    repo.run(&of.path, &["init", "--quiet", "--bare", "ignored/bare"]);
    let nested = of.path.join("ignored/nested");
    repo.run(&of.path, &["worktree", "add", "--quiet", nested.to_str().unwrap()]);
    write(&of.path.join("plain/file"), "x");
    let inside = ["ignored/bare", "ignored/deep/inner", "ignored/nested", "plain"];
    assert_eq!(risks(&repo, &of), [Risk::Embedded(inside.map(str::to_owned).to_vec())]);
}

#[test]
fn a_submodule_is_at_risk_only_while_it_holds_something_of_its_own() {
    let repo = Repo::new();
    repo.run(&repo.root(), &["clone", "--quiet", "--bare", "shop", "library.git"]);
    let url = repo.root().join("library.git");
    repo.run(&repo.top(), &["submodule", "add", "--quiet", url.to_str().unwrap(), "lib"]);
    repo.run(&repo.top(), &["commit", "--quiet", "-m", "submodule"]);
    let of = repo.add("api", 1);
    assert_eq!(risks(&repo, &of), [], "not initialised");
    repo.run(&of.path, &["submodule", "update", "--quiet", "--init"]);
    assert_eq!(risks(&repo, &of), [], "clean");
    let lib = of.path.join("lib");
    let embedded = Risk::Embedded(vec!["lib".to_owned()]);
    write(&lib.join("new"), "x");
    assert!(risks(&repo, &of).contains(&embedded), "untracked inside");
    std::fs::remove_file(lib.join("new")).unwrap();
    assert_eq!(risks(&repo, &of), []);
    repo.run(&lib, &["update-index", "--assume-unchanged", "README"]);
    write(&lib.join("README"), "SHOP\n");
    assert_eq!(risks(&repo, &of), std::slice::from_ref(&embedded), "hidden inside");
    write(&lib.join("README"), "shop\n");
    assert_eq!(risks(&repo, &of), []);
    repo.run(&lib, &["checkout", "--quiet", "-b", "own"]);
    repo.commit_file(&lib, "own", "own\n");
    repo.run(&lib, &["checkout", "--quiet", "--detach", "main"]);
    assert_eq!(risks(&repo, &of), [embedded], "a commit that was not pushed");
}

#[test]
fn a_process_or_pane_inside_is_at_risk() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    let at = WorkAt { uid: of.uid, repo: of.repo.clone(), path: of.path.clone(), sids: Vec::new() };
    let process = |directory: std::path::PathBuf| Occupant::Process {
        pid: 7,
        command: "vim".to_owned(),
        directory,
    };
    let beside = of.path.with_file_name("api-2");
    let pane = Occupant::Pane {
        pane: "%9".to_owned(),
        command: "zsh".to_owned(),
        directory: of.path.clone(),
    };
    let occupants: Occupants =
        Observed::Known(vec![process(beside), process(of.path.join("src")), pane]);
    let seen = crate::repo::known(repo.git.work(&at, &occupants));
    let expected = [
        Risk::Process { pid: 7, command: "vim".to_owned() },
        Risk::Pane { pane: "%9".to_owned(), command: "zsh".to_owned() },
    ];
    assert_eq!(seen.risks, expected);
    let blind: Occupants =
        Observed::Unknown(Blind { what: "tmux".to_owned(), cause: "no answer".to_owned() });
    let seen = crate::repo::known(repo.git.work(&at, &blind));
    assert_eq!(seen.risks, [Risk::Undetermined("tmux: no answer".to_owned())]);
}

#[test]
fn what_cannot_be_determined_is_a_risk_and_a_lost_worktree_is_unknown() {
    let repo = Repo::new();
    let of = repo.add("api", 1);
    std::fs::write(repo.admin(&of).join("index"), "garbage").unwrap();
    let risks = repo.risks(&of);
    assert!(risks.iter().any(|risk| matches!(risk, Risk::Undetermined(_))), "{risks:?}");

    let web = repo.add("web", 2);
    std::fs::rename(&web.path, repo.root().join("elsewhere")).unwrap();
    let look = |git: &Git, of: &WorktreeOf| {
        let nobody: Occupants = Observed::Known(Vec::new());
        let (uid, repo, path) = (of.uid, of.repo.clone(), of.path.clone());
        git.work(&WorkAt { uid, repo, path, sids: Vec::new() }, &nobody)
    };
    assert!(look(&repo.git, &web).blind().is_some());
    let mut stranger = repo.of("api", 9);
    assert_eq!(look(&repo.git, &stranger), Observed::Absent(Evidence::NotListed));
    stranger.repo = repo.root().join("nowhere");
    assert!(look(&repo.git, &stranger).blind().is_some());
}

#[test]
fn a_touched_file_under_a_filter_is_clean_by_gits_word() {
    let repo = Repo::new();
    repo.run(&repo.top(), &["config", "filter.upper.clean", "tr a-z A-Z"]);
    repo.run(&repo.top(), &["config", "filter.upper.smudge", "tr A-Z a-z"]);
    write(&repo.top().join(".gitattributes"), "*.up filter=upper\n");
    repo.commit_file(&repo.top(), "file.up", "text\n");
    repo.run(&repo.top(), &["add", "--all"]);
    repo.run(&repo.top(), &["commit", "--quiet", "-m", "attributes"]);
    let of = repo.add("api", 1);
    write(&of.path.join("file.up"), "text\n");
    repo.run(&of.path, &["update-index", "--assume-unchanged", "README"]);
    assert_eq!(risks(&repo, &of), []);
    repo.run(&of.path, &["update-index", "--assume-unchanged", "file.up"]);
    assert_eq!(risks(&repo, &of), []);
}
