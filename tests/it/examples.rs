//! The manifests that we hand out: each of them is one.

use fleetctl::manifest::files::Disk;
use fleetctl::manifest::fleet::{Fleet, Program, Worktree};
use fleetctl::manifest::{Input, Style, load};
use std::path::{Path, PathBuf};

fn loaded(path: PathBuf) -> Fleet {
    let input = Input { path: path.clone(), home: "/home/someone".into(), local: false };
    load(&input, &Disk).unwrap_or_else(|problems| {
        let style = Style { width: 100, color: false, unicode: true };
        panic!("{}\n{}", path.display(), problems.render(style))
    })
}

fn example(name: &str) -> Fleet {
    loaded(crate::house::top().join("examples").join(name))
}

#[test]
fn every_example_is_a_fleet() {
    let mut seen = Vec::new();
    for entry in walkdir::WalkDir::new(crate::house::top().join("examples")) {
        let path = entry.expect("examples can be listed").into_path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            assert!(!loaded(path.clone()).sessions.is_empty(), "{}", path.display());
            seen.push(path);
        }
    }
    assert!(seen.len() >= 4, "{seen:?}");
}

#[test]
fn the_demo_runs_on_a_machine_without_agents() {
    let fleet = loaded(crate::house::top().join("fleet.yaml"));
    let kinds: Vec<(&str, bool, &Worktree)> = fleet
        .sessions
        .values()
        .map(|s| (s.name.as_str(), matches!(s.program, Program::Agent(_)), &s.worktree))
        .collect();
    assert!(kinds.iter().all(|(_, agent, _)| !agent), "{kinds:?}");
    assert!((3..=4).contains(&kinds.len()), "{kinds:?}");
    assert!(kinds.iter().any(|(.., place)| matches!(place, Worktree::Own { .. })));
    assert!(kinds.iter().any(|(.., place)| matches!(place, Worktree::Shared(_))));
    assert!(fleet.sessions.values().any(|session| session.program == Program::Shell));
}

#[test]
fn the_fan_out_has_a_session_for_each_line() {
    let fleet = example("fan-out.yaml");
    let names: Vec<&str> = fleet.sessions.keys().map(fleetctl::name::Name::as_str).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    let labels = &fleet.sessions[2].labels;
    assert_eq!(labels["test"], "tests/test_login.py::test_cookie_is_renewed");
}

#[test]
fn the_team_has_profiles_of_its_own() {
    let fleet = example("team.yaml");
    let review =
        fleet.sessions.values().find(|s| s.name.as_str() == "api-review").expect("it is there");
    assert_eq!(review.applied.builtin.as_deref(), Some("claude"));
    assert_eq!(review.applied.restart["agents.reviewer.model"], "opus");
    let parser =
        fleet.sessions.values().find(|s| s.name.as_str() == "parser").expect("it is there");
    let Program::Agent(profile) = &parser.program else { panic!("{:?}", parser.program) };
    assert_eq!((parser.mode, profile.builtin.as_str()), (None, "codex"));
    assert_eq!(profile.args, ["--search"]);
}

#[test]
fn the_repositories_are_found_beside_the_manifest() {
    let fleet = example("repositories.yaml");
    let directory = crate::house::top().join("examples");
    let repo = |name: &str| {
        let session = fleet.sessions.values().find(|s| s.name.as_str() == name);
        &session.expect("it is there").repo
    };
    assert_eq!(repo("checkout").path, directory);
    assert_eq!(repo("checkout").base.as_deref(), Some("origin/main"));
    assert_eq!(repo("handbook").path, crate::house::top().join("docs"));
    assert_eq!(repo("handbook").worktrees.as_deref(), Some(Path::new("/home/someone/trees/docs")));
}
