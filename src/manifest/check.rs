//! What concerns several sessions at once: dependencies, shared worktrees, writers of one repository,
//! branches, renames. Owns these rules; reads no text. Invariant: after it, every name that a session
//! mentions is a session of the fleet.

use super::fleet::{Moved, Program, Removed, Worktree};
use super::problem::{Code, Problem};
use super::read::{Reader, Written};
use super::session::Placed;
use super::source::At;
use super::template::Part;
use crate::agent::profile::Mode;
use crate::name::Name;
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// The sessions of a fleet, in file order.
pub type Sessions = IndexMap<Name, Placed>;

/// The problem of a session that does not exist.
pub(super) fn unknown_session(name: &str, at: At, sessions: &Sessions) -> Problem {
    Problem::new(Code::UnknownSession, format!("there is no session `{name}`"))
        .at(at)
        .nearest(name, sessions.keys().map(Name::as_str))
}

/// Resolves names and checks all rules.
pub fn check(sessions: &mut Sessions, reader: &mut Reader) {
    super::needs::resolve(sessions, reader);
    check_sharers(sessions, reader);
    check_cycles(sessions, reader);
    check_writers(sessions, reader);
    check_branches(sessions, reader);
    check_references(sessions, reader);
}

/// A sharer names a session with a worktree of its own, works in its repository, and does not write as an
/// agent.
fn check_sharers(sessions: &mut Sessions, reader: &mut Reader) {
    for at in 0..sessions.len() {
        let placed = &sessions[at];
        let Worktree::Shared(owner) = &placed.session.worktree else { continue };
        let place = placed.worktree.unwrap_or(placed.key);
        let Some(other) = sessions.get(owner) else {
            reader.problem(unknown_session(owner.as_str(), place, sessions));
            continue;
        };
        let wrong = |message: String| Problem::new(Code::BadSharer, message).at(place);
        match &other.session.worktree {
            Worktree::Own { .. } => {}
            Worktree::Repository => {
                let message = format!("`{owner}` has no worktree to share");
                reader.problem(
                    wrong(message).help("`worktree: false` works in the repository itself"),
                );
            }
            Worktree::Shared(first) => {
                let message = format!("`{owner}` has no worktree of its own, it shares one");
                reader.problem(wrong(message).help(format!("name the owner: `worktree: {first}`")));
            }
        }
        if writes(placed) {
            let message = format!("an agent that writes cannot share the worktree of `{owner}`");
            reader.problem(wrong(message).help("give it `mode: plan`, or a worktree of its own"));
        }
        if let Some(repo) = placed.repo.filter(|_| other.session.repo != placed.session.repo) {
            let message = format!("`{owner}` works in another repository");
            reader.problem(Problem::new(Code::BadSharer, message).at(repo).help("take `repo` out"));
        }
        let (repo, written) = (other.session.repo.clone(), other.beside.repo.clone());
        sessions[at].session.repo = repo;
        sessions[at].beside.repo = written;
    }
}

/// True for an agent that may change files.
fn writes(placed: &Placed) -> bool {
    match &placed.session.program {
        Program::Agent(profile) => placed.session.mode.or(profile.default_mode) != Some(Mode::Plan),
        _ => false,
    }
}

/// Follows dependencies, and from a sharer to its owner.
fn check_cycles(sessions: &Sessions, reader: &mut Reader) {
    let mut done: HashSet<usize> = HashSet::new();
    for start in 0..sessions.len() {
        // A walk without recursion: thousands of sessions may depend on each other in a row.
        let mut path = vec![(start, next_of(sessions, start))];
        let mut on_path: HashSet<usize> = HashSet::from([start]);
        while let Some((at, nexts)) = path.last_mut() {
            let at = *at;
            let Some(next) = nexts.pop() else {
                done.insert(at);
                on_path.remove(&at);
                path.pop();
                continue;
            };
            if on_path.contains(&next) {
                let from = path.iter().position(|(at, _)| *at == next).unwrap_or(0);
                let circle: Vec<usize> = path[from..].iter().map(|(at, _)| *at).collect();
                reader.problem(cycle(sessions, &circle));
            } else if !done.contains(&next) {
                on_path.insert(next);
                path.push((next, next_of(sessions, next)));
            }
        }
    }
}

fn next_of(sessions: &Sessions, at: usize) -> Vec<usize> {
    let session = &sessions[at].session;
    let owner = match &session.worktree {
        Worktree::Shared(owner) => Some(owner),
        _ => None,
    };
    let needed = session.depends_on.iter().map(|needed| &needed.on);
    let names = needed.chain(owner).filter(|name| **name != session.name);
    names.filter_map(|name| sessions.get_index_of(name)).collect()
}

fn cycle(sessions: &Sessions, circle: &[usize]) -> Problem {
    // The same circle is met from several sides: it is told from its first session in the file.
    let first = circle.iter().enumerate().min_by_key(|(_, at)| **at).map_or(0, |(at, _)| at);
    let names: Vec<&str> = (0..=circle.len())
        .map(|step| sessions[circle[(first + step) % circle.len()]].session.name.as_str())
        .collect();
    let placed = &sessions[circle[first]];
    let at = placed.depends_on.first().map_or(placed.worktree.unwrap_or(placed.key), |d| d.name.at);
    Problem::new(Code::DependencyCycle, format!("dependencies in a circle: {}", names.join(" → ")))
        .at(at)
        .help("take one of them out (a session depends on the owner of the worktree it shares)")
}

/// At most one writing agent works in a repository itself.
fn check_writers(sessions: &Sessions, reader: &mut Reader) {
    let mut seen: HashMap<&PathBuf, &Placed> = HashMap::new();
    for placed in sessions.values() {
        if placed.session.worktree != Worktree::Repository || !writes(placed) {
            continue;
        }
        let Some(first) = seen.get(&placed.session.repo.path) else {
            seen.insert(&placed.session.repo.path, placed);
            continue;
        };
        let message = format!(
            "`{}` and `{}` are both agents that write in the repository itself",
            first.session.name, placed.session.name
        );
        let problem = Problem::new(Code::TwoWriters, message)
            .at(placed.worktree.unwrap_or(placed.key))
            .also(first.worktree.unwrap_or(first.key), "the first")
            .help("give one of them a worktree, or `mode: plan`");
        reader.problem(problem);
    }
}

/// git has a branch checked out in one worktree only.
fn check_branches(sessions: &Sessions, reader: &mut Reader) {
    let mut seen: HashMap<(&PathBuf, &str), &Placed> = HashMap::new();
    for placed in sessions.values() {
        let Worktree::Own { branch: Some(branch), .. } = &placed.session.worktree else { continue };
        let Some(first) = seen.insert((&placed.session.repo.path, branch), placed) else {
            continue;
        };
        let message = format!(
            "`{}` and `{}` have the same branch `{branch}`",
            first.session.name, placed.session.name
        );
        let problem = Problem::new(Code::SameBranch, message)
            .at(placed.branch.unwrap_or(placed.key))
            .also(first.branch.unwrap_or(first.key), "the first")
            .help("git has a branch in one worktree at a time; to share it use `worktree: NAME`");
        reader.problem(problem);
    }
}

/// The sessions that variables name.
fn check_references(sessions: &Sessions, reader: &mut Reader) {
    for reference in std::mem::take(&mut reader.references) {
        let name = reference.session.parse::<Name>().ok();
        let Some(placed) = name.and_then(|name| sessions.get(&name)) else {
            reader.problem(unknown_session(&reference.session, reference.at, sessions));
            continue;
        };
        match &reference.part {
            Part::Worktree => {}
            Part::Branch => {
                let has_none = matches!(
                    placed.session.worktree,
                    Worktree::Repository | Worktree::Own { branch: None, .. }
                );
                if has_none {
                    let message = format!("`{}` has no branch of its own", reference.session);
                    reader.problem(Problem::new(Code::VariableNotHere, message).at(reference.at));
                }
            }
            Part::Port(port) => {
                let ports = &placed.session.ports;
                if !ports.contains(port) {
                    reader.problem(unknown_port(port, ports, placed).at(reference.at));
                }
            }
        }
    }
}

fn unknown_port(port: &str, known: &[String], placed: &Placed) -> Problem {
    let message = format!("`{}` has no port `{port}`", placed.session.name);
    let near = Problem::new(Code::UnknownVariable, message)
        .nearest(port, known.iter().map(String::as_str));
    match near.help {
        Some(_) => near,
        None => near.help(format!("name it there: `ports: [{port}]`")),
    }
}

/// A rename as written.
#[derive(Debug)]
pub struct Rename {
    /// The old name.
    pub from: Written,
    /// The new name.
    pub to: Written,
}

/// A removal as written.
#[derive(Debug)]
pub struct Removal {
    /// The session.
    pub session: Written,
    /// `keep`.
    pub keep: bool,
}

/// Checks `moved` and `removed` against the sessions and each other.
pub fn check_moves(
    renames: &[Rename],
    removals: &[Removal],
    sessions: &Sessions,
    reader: &mut Reader,
) -> (Vec<Moved>, Vec<Removed>) {
    let known = |name: &str| name.parse::<Name>().is_ok_and(|name| sessions.contains_key(&name));
    let wrong = |at, message: String| Problem::new(Code::Contradiction, message).at(at);
    let targets: HashSet<&str> = renames.iter().map(|rename| rename.to.value.as_str()).collect();
    let (mut from, mut to) = (HashSet::new(), HashSet::new());
    for rename in renames {
        let (old, new) = (&rename.from, &rename.to);
        if old.value == new.value {
            reader.problem(wrong(new.at, format!("`{}` is moved to itself", old.value)));
        }
        if !known(&new.value) {
            reader.problem(unknown_session(&new.value, new.at, sessions));
        }
        if known(&old.value) && !targets.contains(old.value.as_str()) {
            let problem =
                wrong(old.at, format!("`{}` is moved away and still a session", old.value));
            reader.problem(problem.help("take the session out, or the entry in `moved`"));
        }
        if !from.insert(old.value.as_str()) {
            reader.problem(wrong(old.at, format!("`{}` is moved twice", old.value)));
        }
        if !to.insert(new.value.as_str()) {
            reader.problem(wrong(new.at, format!("two sessions are moved to `{}`", new.value)));
        }
    }
    let mut gone = HashSet::new();
    for Removal { session, .. } in removals {
        let name = session.value.as_str();
        let message = match () {
            () if known(name) => format!("`{name}` is removed and still a session"),
            () if from.contains(name) => format!("`{name}` is both moved and removed"),
            () if !gone.insert(name) => format!("`{name}` is removed twice"),
            () => continue,
        };
        reader.problem(wrong(session.at, message));
    }
    let name = |text: &Written| text.value.parse().ok();
    let moved =
        renames.iter().filter_map(|r| Some(Moved { from: name(&r.from)?, to: name(&r.to)? }));
    let removed =
        removals.iter().filter_map(|r| Some(Removed { session: name(&r.session)?, keep: r.keep }));
    (moved.collect(), removed.collect())
}
