//! What happened, for people: one line each. Owns their table. Invariant: the oldest go when there are more
//! than [`MOST`], a number is never given twice, and nothing is ever decided by an event.

use super::error::StoreError;
use super::parsed;
use jiff::Timestamp;
use rusqlite::{Connection, Row};
use std::fmt;
use std::str::FromStr;

/// How many are kept.
pub const MOST: i64 = 10_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// To which session, by its name then; empty for the fleet.
    pub session: String,
    /// What was done: `create`, `restart`, `decommission`.
    pub verb: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What became of it, in one line and without values of `env`.
    pub text: String,
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number: a later event has a higher one.
    pub id: i64,
    /// The event.
    pub event: Event,
}

/// How what an event tells of ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// It was done.
    #[default]
    Done,
    /// It failed.
    Failed,
    /// Something held it in the last moment.
    Held,
    /// It was not attempted, because of something else.
    NotAttempted,
    /// Nothing was to be done; it is only said.
    Noted,
}

const OUTCOMES: [(Outcome, &str); 5] = [
    (Outcome::Done, "done"),
    (Outcome::Failed, "failed"),
    (Outcome::Held, "held"),
    (Outcome::NotAttempted, "not-attempted"),
    (Outcome::Noted, "noted"),
];

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = OUTCOMES.iter().find(|(outcome, _)| outcome == self).map(|(_, word)| *word);
        f.write_str(word.unwrap_or_default())
    }
}

/// An outcome that no fleetctl of this format writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no outcome of an event")]
pub struct OutcomeError(String);

impl FromStr for Outcome {
    type Err = OutcomeError;

    fn from_str(text: &str) -> Result<Self, OutcomeError> {
        let found = OUTCOMES.iter().find(|(_, word)| *word == text);
        found.map(|(outcome, _)| *outcome).ok_or_else(|| OutcomeError(text.to_owned()))
    }
}

pub(super) fn add(connection: &Connection, event: &Event) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO events (at, session, verb, outcome, text) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            event.at.to_string(),
            &event.session,
            &event.verb,
            event.outcome.to_string(),
            &event.text,
        ))?;
    let last = connection.last_insert_rowid();
    connection.prepare_cached("DELETE FROM events WHERE id <= ?1")?.execute([last - MOST])?;
    Ok(())
}

/// The latest events, newest first.
pub(super) fn latest(
    connection: &Connection,
    session: Option<&str>,
    most: u32,
) -> Result<Vec<Kept>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT id, at, session, verb, outcome, text FROM events \
         WHERE ?1 IS NULL OR session = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = query.query_map((session, most), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The events after one, oldest first.
pub(super) fn after(
    connection: &Connection,
    session: Option<&str>,
    id: i64,
) -> Result<Vec<Kept>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT id, at, session, verb, outcome, text FROM events \
         WHERE id > ?2 AND (?1 IS NULL OR session = ?1) ORDER BY id",
    )?;
    let rows = query.query_map((session, id), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The number of the last event; 0 when there was none.
pub(super) fn last(connection: &Connection) -> Result<i64, StoreError> {
    let mut query = connection.prepare_cached("SELECT COALESCE(MAX(id), 0) FROM events")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let event = Event {
        at: parsed(row, 1)?,
        session: row.get(2)?,
        verb: row.get(3)?,
        outcome: parsed(row, 4)?,
        text: row.get(5)?,
    };
    Ok(Kept { id: row.get(0)?, event })
}
