//! Kills a run at each of its boundaries in turn, finishes what it left, and compares the end with that of a
//! run that was not killed. Invariant: every round begins in a world of its own, made in the same way.
#![expect(clippy::unwrap_used, reason = "a helper fails its test where it fails")]

use crate::retire_yard::Yard;
use crate::sandbox::{Output, SOON, Sandbox, eventually};
use fleetctl::snapshot::{Marked, Observed, PaneState};
use fleetctl::store::Store;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// More boundaries than any of the commands here has.
const MOST: u32 = 400;

/// What is killed.
pub struct Killed<'a> {
    /// Makes the world in which the command is run.
    pub prepare: &'a dyn Fn() -> Yard,
    /// The command.
    pub command: &'a [&'a str],
    /// What a user runs after the kill; the command itself may be refused by then, having succeeded.
    pub then: &'a [&'a str],
    /// Only every so many boundaries, for commands with very many of them.
    pub stride: u32,
}

impl Killed<'_> {
    /// Kills it at each boundary, until it survives.
    #[track_caller]
    pub fn at_every_boundary(&self) {
        let yard = (self.prepare)();
        let whole = yard.run(self.command);
        assert!([0, 4].contains(&whole.code), "{whole:#?}");
        let expected = End::of(&yard);
        assert!([0, 1].contains(&expected.diff), "{whole:#?}");
        drop(yard);
        let mut at = 1;
        loop {
            assert!(at < MOST, "it never survives");
            let yard = (self.prepare)();
            let killed = run_until(&yard, self.command, at);
            if killed.code != -1 {
                assert_eq!(killed.code, whole.code, "at {at}: {killed:#?}");
                assert!(at > 2, "nothing was ever killed: {killed:#?}");
                return;
            }
            let finished = yard.run(self.then);
            self.ended_alike(at, (&yard, &expected), &finished);
            at += self.stride;
        }
    }

    #[track_caller]
    fn ended_alike(&self, at: u32, (yard, expected): (&Yard, &End), finished: &Output) {
        // The session that a killed run's control client sat in ends a second after that run.
        let anchored = || {
            yard.sandbox.tmux(&["ls", "-F", "#{session_name}"]).stdout.contains("fleetctl-control-")
        };
        eventually(SOON, "nothing of the killed run is left in tmux", || !anchored());
        let command = self.command;
        let settled = || End::of(yard) == *expected;
        if !within_a_moment(settled) {
            let left: BTreeMap<_, _> = End::of(yard).differences(expected);
            panic!("{command:?} killed at {at}: {left:#?}\nfinished by {finished:#?}");
        }
    }
}

fn within_a_moment(condition: impl Fn() -> bool) -> bool {
    let tries = std::cell::Cell::new(0);
    let held = std::cell::Cell::new(false);
    eventually(SOON, "three looks", || {
        held.set(condition());
        tries.set(tries.get() + 1);
        held.get() || tries.get() > 20
    });
    held.get()
}

/// Runs the binary until its n-th boundary.
pub fn run_until(yard: &Yard, args: &[&str], at: u32) -> Output {
    let mut command = yard.sandbox.command(env!("CARGO_BIN_EXE_fleetctl"));
    command.env("FLEETCTL_FAILPOINT", at.to_string());
    Sandbox::run(command.args(args).current_dir(yard.sandbox.path("conf")))
}

/// What a world has come to: nothing in it depends on when, by which process or under which uid.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    parts: BTreeMap<&'static str, Vec<String>>,
    diff: i32,
}

impl End {
    pub fn of(yard: &Yard) -> Self {
        let parts = [
            ("panes", panes(yard)),
            ("tmux sessions", lines(&yard.sandbox.tmux(&["ls", "-F", "#{session_name}"]))),
            ("refs", refs(yard)),
            ("worktrees", worktrees(yard)),
            ("directories", names(&yard.sandbox.path("repo.worktrees"))),
            ("records", records(yard)),
            ("processes", processes(yard)),
            ("git's leavings", leavings(yard)),
        ];
        let diff = yard.run(&["diff"]).code;
        Self { parts: parts.into(), diff }
    }

    fn differences(&self, other: &Self) -> BTreeMap<&'static str, (Vec<String>, Vec<String>)> {
        let pairs = self
            .parts
            .iter()
            .map(|(part, found)| (*part, (found.clone(), other.parts[part].clone())));
        let diff = (vec![self.diff.to_string()], vec![other.diff.to_string()]);
        pairs.chain([("diff", diff)]).filter(|(_, (found, expected))| found != expected).collect()
    }
}

fn lines(output: &Output) -> Vec<String> {
    let mut lines: Vec<String> = output.stdout.lines().map(anonymous).collect();
    lines.sort();
    lines
}

/// Ids of incarnations and commits differ from world to world.
fn anonymous(line: &str) -> String {
    let is_uid = |word: &str| {
        word.len() == 26 && word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    };
    let is_commit = |word: &str| word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut text = String::new();
    for piece in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let shown = if is_uid(word) || is_commit(word) { "ID" } else { word };
        text.push_str(shown);
        text.push_str(&piece[word.len()..]);
    }
    text
}

fn panes(yard: &Yard) -> Vec<String> {
    let server = match yard.sandbox.driver().look(None) {
        Observed::Known(server) => server,
        _ => return Vec::new(),
    };
    let mut told: Vec<String> = server
        .panes
        .iter()
        .map(|pane| {
            let state = match pane.state {
                PaneState::Alive => "alive",
                _ => "dead",
            };
            let mark = match &pane.mark {
                Marked::Yes(mark) => format!("{} {}", mark.session, mark.spec.0),
                Marked::No => "unmarked".into(),
                Marked::Garbled => "garbled".into(),
            };
            format!("{} {state} {mark}", pane.session_name)
        })
        .collect();
    told.sort();
    told
}

fn refs(yard: &Yard) -> Vec<String> {
    lines(&yard.sandbox.git(&yard.repo, &["for-each-ref", "--format=%(refname) %(subject)"]))
}

fn worktrees(yard: &Yard) -> Vec<String> {
    let root = yard.sandbox.path("");
    let listing = yard.sandbox.git(&yard.repo, &["worktree", "list", "--porcelain"]).stdout;
    let blocks = listing.split("\n\n").map(|block| {
        anonymous(&block.replace(&root.display().to_string(), "").replace('\n', " | "))
    });
    let mut told: Vec<String> = blocks.filter(|block| !block.is_empty()).collect();
    told.sort();
    told
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(items) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> =
        items.map(|item| anonymous(&item.unwrap().file_name().to_string_lossy())).collect();
    // What a killed run half made goes there; whether there is any is no difference.
    names.retain(|name| name != ".trash");
    names.sort();
    names
}

/// What the store knows, and that nothing in it is half done.
fn records(yard: &Yard) -> Vec<String> {
    let store = Store::open_to_read(&yard.sandbox.path("state/fleetctl/shop")).unwrap();
    let Some(store) = store else { return Vec::new() };
    let records = store.records().unwrap();
    let live = records.sessions.values().map(|record| {
        let end = record.end.as_ref().map(|end| &end.kind);
        let runs = record.runtime.is_some();
        let wish = record.wish.as_ref().map(|wish| wish.kind);
        format!("{} {end:?} {runs} {wish:?} {:?}", record.name, record.applied.in_place)
    });
    let gone = records.tombstones.iter().map(|stone| {
        let trash = stone.trash.as_ref().map(|path| path.join(".git").is_file());
        let branch = stone.branch.as_ref().map(|branch| &branch.name);
        format!("tombstone {} {trash:?} {branch:?} {}", stone.record.name, stone.salvage.len())
    });
    let open = records.intents.iter().map(|intent| format!("open: {:?}", intent.kind));
    let mut told: Vec<String> = live.chain(gone).chain(open).collect();
    told.sort();
    told
}

/// Who runs in this world, by command: no agent twice, no git left.
fn processes(yard: &Yard) -> Vec<String> {
    let commands = yard.sandbox.leftovers().into_iter().map(|process| process.command);
    let mut told: Vec<String> = commands.filter(|command| !command.starts_with("tmux")).collect();
    told.sort();
    told
}

/// Files that only a killed step leaves in the repository.
fn leavings(yard: &Yard) -> Vec<String> {
    let common = yard.repo.join(".git");
    let mut found = Vec::new();
    for directory in [common.clone(), common.join("worktrees")] {
        found.extend(names(&directory).into_iter().filter(|name| name.starts_with("fleetctl")));
    }
    for entry in names(&common.join("worktrees")) {
        let inside = names(&common.join("worktrees").join(entry));
        let leaving = |name: &String| {
            name.ends_with(".lock") || name.ends_with("-new") || name.contains("scratch")
        };
        found.extend(inside.into_iter().filter(leaving));
    }
    found
}
