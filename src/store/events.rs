//! What happened, for people: one line each. Owns their table. Invariant: the oldest go when there are more
//! than [`MOST`], and nothing is ever decided by an event.

use super::error::StoreError;
use super::parsed;
use jiff::Timestamp;
use rusqlite::{Connection, Row};

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
    /// What became of it, in one line and without values of `env`.
    pub text: String,
}

pub(super) fn add(connection: &Connection, event: &Event) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO events (at, session, verb, text) VALUES (?1, ?2, ?3, ?4)")?
        .execute((event.at.to_string(), &event.session, &event.verb, &event.text))?;
    let last = connection.last_insert_rowid();
    connection.prepare_cached("DELETE FROM events WHERE id <= ?1")?.execute([last - MOST])?;
    Ok(())
}

/// The latest events, newest first.
pub(super) fn latest(
    connection: &Connection,
    session: Option<&str>,
    most: u32,
) -> Result<Vec<Event>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT at, session, verb, text FROM events \
         WHERE ?1 IS NULL OR session = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = query.query_map((session, most), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event { at: parsed(row, 0)?, session: row.get(1)?, verb: row.get(2)?, text: row.get(3)? })
}
