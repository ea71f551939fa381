//! The verbs that change: `apply`, `start`, `stop`, `restart`, `hold`, `release`, `rm`. Each only says what it
//! asks for; `converge` does it.

use super::args::{Apply, Hold, Release, Restart, Rm, Start, Stop, Target};
use super::converge::{self, Ask, converge};
use super::desk::Desk;
use super::{output, verdict};
use crate::error::{Exit, Failure, Trouble};
use crate::name::Name;
use crate::plan::{Policy, Removals, Request};
use crate::record::{Finished, Wish, WishKind};
use crate::render::words::short;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// `apply`.
///
/// # Errors
/// A refusal, or what stopped the pass.
pub fn apply(mut desk: Desk, args: &Apply) -> Result<Exit, Failure> {
    let only = selected(&desk, args)?;
    let removals = match (&only, args.prune) {
        (Some(_), _) => Removals::Leave,
        (None, true) => Removals::Prune,
        (None, false) => Removals::Confirmed,
    };
    let policy = Policy {
        only,
        removals,
        now: names(&desk, &args.now)?,
        max_decommission: args.max_decommission,
        ..desk.policy()
    };
    if args.dry_run {
        return dry_run(desk, &policy);
    }
    let ask = Ask {
        yes: args.yes,
        strict: args.strict,
        fetch: args.fetch,
        take_over: args.take_over,
        wait: args.wait.then_some(args.timeout.0),
        ..Ask::new(policy)
    };
    converge(&mut desk, &ask)
}

fn dry_run(mut desk: Desk, policy: &Policy) -> Result<Exit, Failure> {
    super::guard::refuse_other_socket(&desk)?;
    let (_, plan) = desk.survey(policy);
    output::out(&crate::render::plan::plan_text(&plan, &desk.view()))?;
    Ok(if verdict::cannot_see(&plan) { Exit::CannotObserve } else { Exit::Done })
}

/// The sessions that were named or selected; `None` for all.
fn selected(desk: &Desk, args: &Apply) -> Result<Option<BTreeSet<Name>>, Failure> {
    if args.names.is_empty() && args.selectors.is_empty() {
        return Ok(None);
    }
    let mut only = names(desk, &args.names)?;
    let matching = desk.fleet.sessions.values().filter(|session| {
        !args.selectors.is_empty()
            && args
                .selectors
                .iter()
                .all(|label| session.labels.get(&label.key) == Some(&label.value))
    });
    only.extend(matching.map(|session| session.name.clone()));
    if only.is_empty() {
        return Err(Failure::new(Exit::Usage, "no session has these labels")
            .with_help("the labels of each session: fleetctl get sessions -o json"));
    }
    Ok(Some(only))
}

fn names(desk: &Desk, targets: &[Target]) -> Result<BTreeSet<Name>, Failure> {
    targets.iter().map(|target| desk.name(target.name.as_str())).collect()
}

/// A pass about named sessions.
fn about(desk: &Desk, names: &BTreeSet<Name>) -> Policy {
    Policy { only: Some(names.clone()), removals: Removals::Leave, ..desk.policy() }
}

fn requests(names: &BTreeSet<Name>, request: Request) -> BTreeMap<Name, Request> {
    names.iter().map(|name| (name.clone(), request)).collect()
}

fn wish(desk: &Desk, kind: WishKind, why: Option<&String>, period: Option<Duration>) -> Wish {
    let since = desk.live.now();
    let until = period.and_then(|period| since.checked_add(period).ok());
    Wish { kind, why: why.cloned(), by: desk.context.user.clone(), since, until }
}

/// `start`: lifts `stop` and every end that stands.
///
/// # Errors
/// A refusal, or what stopped the pass.
pub fn start(mut desk: Desk, args: &Start) -> Result<Exit, Failure> {
    let names = names(&desk, &args.names)?;
    refuse_gone(&desk, &names)?;
    if !args.again {
        refuse_finished(&desk, &names)?;
    }
    let request = Request::Start { new_worktree: args.new_worktree, again: args.again };
    let policy = Policy { requests: requests(&names, request), ..about(&desk, &names) };
    let wishes = names.into_iter().map(|name| (name, None)).collect();
    converge(&mut desk, &Ask { wishes, ..Ask::new(policy) })
}

fn refuse_gone(desk: &Desk, names: &BTreeSet<Name>) -> Result<(), Failure> {
    let Some(gone) = names.iter().find(|name| !desk.fleet.sessions.contains_key(*name)) else {
        return Ok(());
    };
    Err(Failure::new(
        Exit::Refused,
        format!("{gone} is not in the file, which says how to start it"),
    )
    .with_help("put its entry back into the file and apply it"))
}

fn refuse_finished(desk: &Desk, names: &BTreeSet<Name>) -> Result<(), Failure> {
    let finished = names.iter().find_map(|name| desk.records.finished.get(name));
    let Some(Finished { name, merge, .. }) = finished else { return Ok(()) };
    let commit = short(&merge.commit);
    let again = desk.view().command(&format!("start {name} --again"));
    Err(Failure::new(Exit::Refused, format!("{name} is finished: its work was merged in {commit}"))
        .with_help(format!("to begin anew: {again}")))
}

/// `stop`: ends the run and keeps it so.
///
/// # Errors
/// Refused when it would cut somebody off.
pub fn stop(mut desk: Desk, args: &Stop) -> Result<Exit, Failure> {
    let names = names(&desk, &args.names)?;
    refuse_missing(&desk, &names, "stop")?;
    let stop = wish(&desk, WishKind::Stop, args.why.as_ref(), None);
    let now = if args.now { names.clone() } else { BTreeSet::new() };
    let policy = Policy { now, ..about(&desk, &names) };
    let wishes = names.into_iter().map(|name| (name, Some(stop.clone()))).collect();
    converge(&mut desk, &Ask { wishes, strict_names: true, ..Ask::new(policy) })
}

/// `restart`.
///
/// # Errors
/// Refused when it would cut somebody off.
pub fn restart(mut desk: Desk, args: &Restart) -> Result<Exit, Failure> {
    let names = names(&desk, &args.names)?;
    refuse_gone(&desk, &names)?;
    refuse_finished(&desk, &names)?;
    let request =
        Request::Restart { fresh: args.fresh, recreate: args.recreate, setup: args.setup };
    let now = if args.now { names.clone() } else { BTreeSet::new() };
    let policy = Policy { now, requests: requests(&names, request), ..about(&desk, &names) };
    converge(&mut desk, &Ask { strict_names: true, yes: args.yes, ..Ask::new(policy) })
}

/// `hold`: changes nothing until it is released.
///
/// # Errors
/// What keeps the store from being written.
pub fn hold(mut desk: Desk, args: &Hold) -> Result<Exit, Failure> {
    let names = which(&desk, &args.which.names)?;
    let hold = wish(&desk, WishKind::Hold, args.why.as_ref(), args.period.map(|p| p.0));
    let wishes = names.iter().map(|name| (name.clone(), Some(hold.clone()))).collect();
    converge::wishes_only(&mut desk, &wishes)?;
    let view = desk.view();
    for name in &names {
        let lift = view.command(&format!("release {name}"));
        output::say(&format!("{name}: held; lift it with: {lift}"));
    }
    Ok(Exit::Done)
}

/// `release`: lifts holds; what they held is done by the next apply.
///
/// # Errors
/// What keeps the store from being written.
pub fn release(mut desk: Desk, args: &Release) -> Result<Exit, Failure> {
    let names = which(&desk, &args.which.names)?;
    let wishes = names.iter().map(|name| (name.clone(), None)).collect();
    converge::wishes_only(&mut desk, &wishes)?;
    for name in &names {
        output::say(&format!("{name}: released; the next apply does what was held"));
    }
    Ok(Exit::Done)
}

fn which(desk: &Desk, targets: &[Target]) -> Result<BTreeSet<Name>, Failure> {
    if targets.is_empty() {
        return Ok(desk.records.sessions.values().map(|record| record.name.clone()).collect());
    }
    let names = names(desk, targets)?;
    refuse_missing(desk, &names, "hold or release")?;
    Ok(names)
}

fn refuse_missing(desk: &Desk, names: &BTreeSet<Name>, what: &str) -> Result<(), Failure> {
    match names.iter().find(|name| desk.records.by_name(name).is_none()) {
        Some(missing) => Err(Failure::new(
            Exit::Refused,
            format!("{missing} has not been created yet: there is nothing to {what}"),
        )
        .with_help("state: stopped in the file keeps it from being started")),
        None => Ok(()),
    }
}

/// `rm`: of sessions that are no longer in the file.
///
/// # Errors
/// Refused for one that is; refused when it would cut somebody off.
pub fn rm(mut desk: Desk, args: &Rm) -> Result<Exit, Failure> {
    let name = desk.name(args.name.name.as_str())?;
    if desk.fleet.sessions.contains_key(&name) {
        let (file, line) = (desk.manifest.clone(), desk.line_of(&name));
        return Err(Failure::from(Trouble::StillInFile { name, file, line }));
    }
    let only = BTreeSet::from([name.clone()]);
    let request = Request::Remove { archive: args.archive, keep: args.keep };
    let now = if args.now { only.clone() } else { BTreeSet::new() };
    let policy = Policy {
        now,
        requests: requests(&only, request),
        removals: Removals::Prune,
        ..about(&desk, &only)
    };
    // The name on the command line is the confirmation; `restore` undoes it.
    converge(&mut desk, &Ask { strict_names: true, yes: true, ..Ask::new(policy) })
}
