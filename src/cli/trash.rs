//! `restore` and `trash`: the way back, and the one verb that deletes.

use super::args::{ListOutput, Period, Restorable};
use super::converge::{finish_journal, lines, tell};
use super::desk::Desk;
use super::output;
use super::writing::open;
use crate::error::{Exit, Failure, Trouble};
use crate::name::Uid;
use crate::plan::Plan;
use crate::reconcile::Outcome;
use crate::reconcile::restore::{self as undo};
use crate::record::Tombstone;
use crate::render::{json, lists, report};
use crate::world::World;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What `trash empty` is asked.
pub struct Emptying {
    /// Only this one.
    pub what: Option<Restorable>,
    /// Only what is older.
    pub older_than: Option<Period>,
    /// Do not ask.
    pub yes: bool,
}

/// `trash list` and `get trash`.
///
/// # Errors
/// When nothing can be written.
pub fn list(desk: Desk, form: ListOutput) -> Result<Exit, Failure> {
    let stones = &desk.records.tombstones;
    let text = match form {
        ListOutput::Table | ListOutput::Wide => {
            let wide = form == ListOutput::Wide;
            lists::trash(stones, &sizes(stones), wide, &desk.view())
        }
        ListOutput::Json => json::trash_json(stones),
        ListOutput::Name => {
            stones.iter().map(|s| format!("{}@{}\n", s.record.name, s.record.uid)).collect()
        }
        ListOutput::Path => {
            let paths = stones.iter().filter_map(|stone| stone.trash.as_ref());
            paths.map(|path| format!("{}\n", path.display())).collect()
        }
    };
    output::out(&text)?;
    Ok(Exit::Done)
}

fn sizes(stones: &[Tombstone]) -> BTreeMap<Uid, u64> {
    stones
        .iter()
        .filter_map(|stone| Some((stone.record.uid, size(stone.trash.as_deref()?))))
        .collect()
}

fn size(path: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(path).into_iter().filter_map(Result::ok);
    entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}

/// `restore`.
///
/// # Errors
/// Usage for what is not in the trash, refused when its name is taken.
pub fn restore(mut desk: Desk, what: &Restorable) -> Result<Exit, Failure> {
    let mut writing = open(&mut desk, false)?;
    let store = &mut writing.store;
    let policy = desk.policy();
    finish_journal(&mut desk, store, &policy)?;
    let stone = found(&desk, what)?;
    if let Some(taken) = desk.records.by_name(&stone.record.name) {
        return Err(Failure::new(
            Exit::Refused,
            format!("{} lives already, as {}", taken.name, taken.uid),
        )
        .with_help("decommission or rename that one first"));
    }
    let (snapshot, plan) = desk.survey(&policy);
    let records = desk.records.clone();
    let progress = output::progress(&desk.context);
    let begun = desk.live.now();
    let mut site = desk.site(store, &policy);
    let outcome = undo::restore(&mut site, (&snapshot, records), &stone, &mut |event| {
        tell(&progress, event)
    })?;
    progress.clear();
    finish(&desk, (&plan, &outcome), begun)
}

/// `trash empty`.
///
/// # Errors
/// Usage for what is not in the trash, refused without a confirmation.
pub fn empty(mut desk: Desk, asked: &Emptying) -> Result<Exit, Failure> {
    let mut writing = open(&mut desk, false)?;
    let store = &mut writing.store;
    let policy = desk.policy();
    finish_journal(&mut desk, store, &policy)?;
    let stones = chosen(&desk, asked)?;
    if stones.is_empty() {
        output::say("the trash is empty");
        return Ok(Exit::Done);
    }
    confirm(&desk, asked, &stones)?;
    let (snapshot, plan) = desk.survey(&policy);
    let records = desk.records.clone();
    let progress = output::progress(&desk.context);
    let begun = desk.live.now();
    let mut site = desk.site(store, &policy);
    let outcome =
        undo::empty(&mut site, (&snapshot, records), &stones, &mut |event| tell(&progress, event))?;
    progress.clear();
    finish(&desk, (&plan, &outcome), begun)
}

fn finish(
    desk: &Desk,
    (plan, outcome): (&Plan, &Outcome),
    begun: jiff::Timestamp,
) -> Result<Exit, Failure> {
    let took = Duration::try_from(desk.live.now().duration_since(begun)).unwrap_or_default();
    let view = desk.view();
    output::out(&report::report_text(&lines(outcome, plan, &view), took, &view))?;
    Ok(if outcome.is_whole() { Exit::Done } else { Exit::Failed })
}

/// The newest tombstone of a name, or the one of a uid.
fn found(desk: &Desk, what: &Restorable) -> Result<Tombstone, Failure> {
    let name = &what.target.name;
    let fits = |stone: &&Tombstone| {
        stone.record.name == *name && what.uid.is_none_or(|uid| stone.record.uid == uid)
    };
    desk.records.tombstones.iter().find(fits).cloned().ok_or_else(|| {
        Failure::new(Exit::Usage, format!("there is no {name} in the trash"))
            .with_help("what is in it: fleetctl trash list")
    })
}

fn chosen(desk: &Desk, asked: &Emptying) -> Result<Vec<Tombstone>, Failure> {
    let now = desk.live.now();
    let old_enough = |stone: &Tombstone| {
        let age = Duration::try_from(now.duration_since(stone.at)).unwrap_or_default();
        asked.older_than.is_none_or(|period| age >= period.0)
    };
    let stones = match &asked.what {
        Some(what) => vec![found(desk, what)?],
        None => desk.records.tombstones.clone(),
    };
    Ok(stones.into_iter().filter(old_enough).collect())
}

fn confirm(desk: &Desk, asked: &Emptying, stones: &[Tombstone]) -> Result<(), Failure> {
    if asked.yes {
        return Ok(());
    }
    let names: Vec<&str> = stones.iter().map(|stone| stone.record.name.as_str()).collect();
    let names = names.join(", ");
    if !(desk.context.terminals.input && desk.context.terminals.error) {
        return Err(Failure::from(Trouble::NobodyToAsk));
    }
    if output::confirm(&format!("Delete {names} for good?"))? {
        return Ok(());
    }
    Err(Failure::from(Trouble::Declined))
}
