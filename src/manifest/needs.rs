//! What sessions wait for of each other. Owns that every dependency is on a session of the fleet, and on
//! something of it that can come. Reads no text.

use super::check::{Sessions, unknown_session};
use super::ends::Awaited;
use super::fleet::{Dependency, Need, Program, Restart, Session, Worktree};
use super::problem::{Code, Problem};
use super::read::Reader;
use crate::name::Name;

/// Resolves the names of all dependencies, and refuses those that would wait for ever.
pub(super) fn resolve(sessions: &mut Sessions, reader: &mut Reader) {
    for at in 0..sessions.len() {
        let written = std::mem::take(&mut sessions[at].depends_on);
        let mut needed: Vec<Dependency> = Vec::with_capacity(written.len());
        for awaited in &written {
            let name = &awaited.name;
            match name.value.parse::<Name>().ok().filter(|name| sessions.contains_key(name)) {
                None => reader.problem(unknown_session(&name.value, name.at, sessions)),
                Some(on) if on == sessions[at].session.name => {
                    let message = format!("`{on}` depends on itself");
                    reader.problem(Problem::new(Code::DependencyCycle, message).at(name.at));
                }
                Some(on) if needed.iter().any(|other| other.on == on) => {}
                Some(on) => {
                    refuse_what_never_comes(&sessions[&on].session, awaited, reader);
                    needed.push(Dependency { on, need: awaited.need });
                }
            }
        }
        let placed = &mut sessions[at];
        placed.session.depends_on = needed;
        placed.depends_on = written;
    }
}

fn refuse_what_never_comes(on: &Session, awaited: &Awaited, reader: &mut Reader) {
    let name = &on.name;
    let (message, help) = match awaited.need {
        Need::Ready if on.ready.is_none() => (
            format!("`{name}` has no `ready`, so it never says that it is"),
            "give it one, or wait for `started`",
        ),
        Need::Idle if matches!(on.program, Program::ShellCommand(_) | Program::Argv(_)) => (
            format!("`{name}` runs a command, which is never idle"),
            "wait for `started`, `ready` or `completed`",
        ),
        Need::Completed if on.restart == Restart::Always => (
            format!("`{name}` has `restart: always`, so it never completes"),
            "wait for `started` or `ready`",
        ),
        Need::Merged if !matches!(on.worktree, Worktree::Own { .. }) => (
            format!("`{name}` has no worktree of its own, so nothing of it is ever merged"),
            "wait for `completed`",
        ),
        _ => return,
    };
    reader.problem(Problem::new(Code::NeverComes, message).at(awaited.name.at).help(help));
}
