//! The store's tables and how an older format becomes the newest. Invariant: migrations only go forward, each
//! in one transaction with the number that says it happened.

use rusqlite::Connection;

/// The newest format.
pub const FORMAT: i64 = 1;

/// What each format adds to the one before.
const MIGRATIONS: [&str; FORMAT as usize] = ["
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE records (uid TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE journal (seq INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, json TEXT NOT NULL);
    CREATE TABLE tombstones (uid TEXT PRIMARY KEY, at TEXT NOT NULL, json TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE revisions (number INTEGER PRIMARY KEY, digest TEXT NOT NULL, at TEXT NOT NULL);
    CREATE TABLE ends (at TEXT NOT NULL);
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, session TEXT NOT NULL,
        verb TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE INDEX events_by_session ON events (session, id);
"];

/// The format that a store has; 0 for an empty file.
///
/// # Errors
/// What SQLite says.
pub fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a store to the newest format. Does nothing to one that has it.
///
/// # Errors
/// What SQLite says; then the store has the format that it had.
pub fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let found = format(connection)?;
    for (number, sql) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
