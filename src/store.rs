//! What fleetctl remembers of a fleet: one SQLite file in the fleet's state directory. Owns the file and its
//! lock; decides nothing. Invariant: what is remembered can be lost without losing work,
//! since the marks on the live objects say whose they are.
//!
//! Guarantees: a batch of changes is one transaction, synced when `write` returns. Reading changes no file and
//! leaves none behind. A store of a later format or of another machine is refused as it is.

pub mod change;
pub mod error;
pub mod events;
pub mod lock;
mod schema;

pub use change::Change;
pub use error::StoreError;
pub use events::{Event, Kept};
pub use lock::{Lock, LockError};

use crate::name::Installation;
use crate::record::{Finished, Record, Records};
use crate::snapshot::ServerId;
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The store's file in the fleet's directory.
const FILE: &str = "fleet.db";

/// What SQLite keeps beside it while a writer is at work, and after one was killed.
const WAL: &str = "fleet.db-wal";

/// How long another program's hold on the file is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose marks are ours: 16 hex digits of machine, user and the state directory's path.
#[must_use]
pub fn installation(machine: &str, user: u32, state: &Path) -> Installation {
    let mut hash = Sha256::new();
    hash.update(machine.trim().as_bytes());
    hash.update([0]);
    hash.update(user.to_be_bytes());
    hash.update(state.as_os_str().as_bytes());
    let mut hex = format!("{:x}", hash.finalize());
    hex.truncate(16);
    Installation(hex)
}

/// A fleet's store, open.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// How many batches were written.
    written: u64,
}

impl Store {
    /// Opens the store in a fleet's state directory for reading; `None` when there is none.
    ///
    /// # Errors
    /// Any [`StoreError`]: a store that cannot be read is not an absent one.
    pub fn open_to_read(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.join(FILE);
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Place { path, source }),
            Ok(_) => {}
        }
        // A read-only connection would leave its -shm and -wal behind; a writing one removes them.
        let connection = Connection::open_with_flags(&path, flags())?;
        connection.busy_timeout(PATIENCE)?;
        if directory.join(WAL).symlink_metadata().is_ok() {
            // A writer's, alive or killed: to bring its pages home is not a reader's business.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        }
        connection.pragma_update(None, "query_only", true)?;
        match schema::format(&connection)? {
            // Of a writer that was killed between the file and its tables.
            0 => Ok(None),
            found if found > schema::FORMAT => {
                Err(StoreError::Newer { found, known: schema::FORMAT })
            }
            found if found < schema::FORMAT => {
                Err(StoreError::Older { found, known: schema::FORMAT })
            }
            _ => Ok(Some(Self { connection, written: 0 })),
        }
    }

    /// Opens the store of the fleet whose lock is held, makes it when there is none, and brings it to the
    /// present format. Nothing is written when it is there in that format.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn open_to_write(
        directory: &Path,
        _held: &Lock,
        machine: &str,
    ) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        make_private(directory, &path)
            .map_err(|source| StoreError::Place { path: path.clone(), source })?;
        Self::prepared(Connection::open_with_flags(&path, flags())?, machine)
    }

    /// A store that nothing outlives, for simulated worlds.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::prepared(Connection::open_in_memory()?, "memory")
    }

    fn prepared(mut connection: Connection, machine: &str) -> Result<Self, StoreError> {
        connection.busy_timeout(PATIENCE)?;
        let _mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::migrate(&mut connection, machine)?;
        Ok(Self { connection, written: 0 })
    }

    /// Refuses a store that came from another machine, where its sessions live. One that was opened for
    /// writing has been asked already.
    ///
    /// # Errors
    /// [`StoreError::OtherMachine`], or what else keeps it from being read.
    pub fn refuse_other_machine(&self, machine: &str) -> Result<(), StoreError> {
        schema::check_machine(&self.connection, machine)
    }

    /// The manifest that the fleet was last applied from.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn manifest(&self) -> Result<Option<PathBuf>, StoreError> {
        Ok(schema::meta(&self.connection, "manifest")?.map(PathBuf::from))
    }

    /// The socket of the tmux server that the fleet lives on.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn socket(&self) -> Result<Option<PathBuf>, StoreError> {
        Ok(schema::meta(&self.connection, "socket")?.map(PathBuf::from))
    }

    /// The tmux server last seen.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn server(&self) -> Result<Option<ServerId>, StoreError> {
        let text = schema::meta(&self.connection, "server")?;
        text.map(|text| from_json("meta", &text)).transpose()
    }

    /// All that a pass needs to know, as it is at one moment.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn records(&self) -> Result<Records, StoreError> {
        let view = self.connection.unchecked_transaction()?;
        let live: Vec<Record> = rows(&view, "records", "SELECT json FROM records")?;
        let finished: Vec<Finished> = rows(&view, "finished", "SELECT json FROM finished")?;
        let server = schema::meta(&view, "server")?;
        let mut records = Records {
            sessions: live.into_iter().map(|record| (record.uid, record)).collect(),
            server: server.map(|text| from_json("meta", &text)).transpose()?,
            branch: schema::meta(&view, "branch")?,
            tombstones: rows(&view, "tombstones", "SELECT json FROM tombstones")?,
            intents: rows(&view, "journal", "SELECT json FROM journal ORDER BY seq")?,
            recent_ends: ends(&view)?,
            finished: finished
                .into_iter()
                .map(|finished| (finished.name.clone(), finished))
                .collect(),
            ..Records::default()
        };
        change::sort_newest_first(&mut records.tombstones);
        let last = "SELECT number, digest FROM revisions ORDER BY number DESC LIMIT 1";
        if let Some(row) = view.prepare_cached(last)?.query([])?.next()? {
            records.revision = u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
            records.digest = row.get(1)?;
        }
        Ok(records)
    }

    /// The latest events, of one session or of all, newest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn events(&self, session: Option<&str>, most: u32) -> Result<Vec<Kept>, StoreError> {
        events::latest(&self.connection, session, most)
    }

    /// The events after the one of this number, of one session or of all, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn events_after(&self, session: Option<&str>, id: i64) -> Result<Vec<Kept>, StoreError> {
        events::after(&self.connection, session, id)
    }

    /// The number of the last event; 0 when there was none.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn last_event(&self) -> Result<i64, StoreError> {
        events::last(&self.connection)
    }

    /// Writes a batch: all of it, on disk when this returns, or nothing. An empty one touches nothing.
    ///
    /// # Errors
    /// Any [`StoreError`]; nothing of the batch is written then.
    pub fn write(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        // One that failed half-way counts too: what is on disk is asked again then.
        self.written += 1;
        let transaction = self.connection.transaction()?;
        changes.iter().try_for_each(|change| change::write(&transaction, change))?;
        Ok(transaction.commit()?)
    }

    /// How many batches were written through this store: while it stays, so do the records.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }
}

/// A file that only its owner reads: SQLite would make it for all, and gives its other files this one's mode.
fn make_private(directory: &Path, path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Never creating: a store is made in one place, with its mode.
fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn from_json<T: DeserializeOwned>(table: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Content { table, source })
}

/// The first column of all rows, each a JSON text.
fn rows<T: DeserializeOwned>(
    connection: &Connection,
    table: &'static str,
    query: &str,
) -> Result<Vec<T>, StoreError> {
    let mut query = connection.prepare_cached(query)?;
    let mut found = query.query([])?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        all.push(from_json(table, text)?);
    }
    Ok(all)
}

fn ends(connection: &Connection) -> Result<Vec<Timestamp>, StoreError> {
    let mut query = connection.prepare_cached("SELECT at FROM ends ORDER BY rowid")?;
    let found = query.query_map([], |row| parsed(row, 0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A column that holds a text of some other type.
fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
    })
}

#[cfg(test)]
mod tests;
