//! The store's tables and how an older format becomes the newest. Invariant: formats only go forward, and one
//! that was not reached as a whole was not reached.

use super::error::StoreError;
use rusqlite::{Connection, OptionalExtension};

/// What each format adds to the one before; a new store takes all of them.
///
/// Records, intents and tombstones are one JSON text each: they are read and written whole, and a field more
/// needs no other format. Their tables have a rowid: without one, SQLite puts a text of more than a quarter of a
/// page on pages of its own.
const STEPS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE records (uid TEXT PRIMARY KEY, json TEXT NOT NULL);
    CREATE TABLE journal (seq INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, json TEXT NOT NULL);
    CREATE TABLE tombstones (uid TEXT PRIMARY KEY, at TEXT NOT NULL, json TEXT NOT NULL);
    CREATE TABLE revisions (number INTEGER PRIMARY KEY, digest TEXT NOT NULL, at TEXT NOT NULL);
    CREATE TABLE ends (at TEXT NOT NULL);
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, session TEXT NOT NULL,
        verb TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE INDEX events_by_session ON events (session, id);
",
    "
    ALTER TABLE events ADD COLUMN outcome TEXT NOT NULL DEFAULT 'done';
",
    "
    CREATE TABLE finished (name TEXT PRIMARY KEY, json TEXT NOT NULL);
",
];

/// The format that this program reads and writes.
pub(super) const FORMAT: i64 = STEPS.len() as i64;

/// The format that a store has; 0 for an empty file.
pub(super) fn format(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Brings a store of this machine to the newest format. Does nothing to one that has it.
pub(super) fn migrate(connection: &mut Connection, machine: &str) -> Result<(), StoreError> {
    migrate_along(connection, STEPS, machine)
}

fn migrate_along(
    connection: &mut Connection,
    steps: &[&str],
    machine: &str,
) -> Result<(), StoreError> {
    let found = format(connection)?;
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found > 0 {
        // Before anything is changed: another machine's store stays as it is.
        check_machine(connection, machine)?;
    }
    if found == known {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for (_, step) in (1..).zip(steps).filter(|(format, _)| *format > found) {
        transaction.execute_batch(step)?;
    }
    if found == 0 {
        set_meta(&transaction, "machine", machine)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

/// Refuses a store in which another machine's sessions are.
pub(super) fn check_machine(connection: &Connection, machine: &str) -> Result<(), StoreError> {
    if meta(connection, "machine")?.as_deref() == Some(machine) {
        return Ok(());
    }
    Err(StoreError::OtherMachine { path: connection.path().unwrap_or_default().into() })
}

/// A value of `meta`.
pub(super) fn meta(connection: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    let mut query = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(query.query_row([key], |row| row.get(0)).optional()?)
}

/// Sets a value of `meta`.
pub(super) fn set_meta(connection: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    let text = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    connection.prepare_cached(text)?.execute((key, value))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: [&str; 2] = [STEPS[0], "ALTER TABLE events ADD COLUMN level TEXT"];

    fn first() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_along(&mut connection, &STEPS[..1], "m").unwrap();
        set_meta(&connection, "socket", "/s").unwrap();
        connection
    }

    #[test]
    fn a_store_of_the_first_format_goes_forward_with_what_it_holds() {
        let mut connection = first();
        migrate_along(&mut connection, &NEXT, "m").unwrap();
        assert_eq!(format(&connection).unwrap(), 2);
        assert_eq!(meta(&connection, "socket").unwrap().as_deref(), Some("/s"));
        connection.execute("UPDATE events SET level = 'x'", []).unwrap();
        migrate_along(&mut connection, &NEXT, "m").unwrap();
        let back = migrate_along(&mut connection, &STEPS[..1], "m");
        assert!(matches!(back, Err(StoreError::Newer { found: 2, known: 1 })));
    }

    #[test]
    fn a_step_that_fails_leaves_the_format_as_it_was() {
        let mut connection = first();
        let steps = [STEPS[0], "CREATE TABLE more (x TEXT); no statement"];
        assert!(migrate_along(&mut connection, &steps, "m").is_err());
        assert_eq!(format(&connection).unwrap(), 1);
        assert!(connection.prepare("SELECT x FROM more").is_err());
    }

    #[test]
    fn another_machines_store_does_not_go_forward() {
        let mut connection = first();
        let refused = migrate_along(&mut connection, &NEXT, "n");
        assert!(matches!(refused, Err(StoreError::OtherMachine { .. })));
        assert_eq!(format(&connection).unwrap(), 1);
    }
}
