//! What outlives a run: intent, history, conversations. Owns the SQLite file of a fleet; knows neither
//! manifest nor plan. Invariant: a change is on disk, whole, before `write` returns; reading changes no file.

pub mod lock;
pub mod schema;

use crate::name::{Installation, Uid};
use crate::record::{Intent, Record, Records, Tombstone};
use crate::snapshot::ServerId;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use lock::{Lock, LockError};

/// One change of what is remembered.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A record as it is from now on.
    Put(Box<Record>),
    /// A record is no longer live.
    Remove(Uid),
    /// A tombstone.
    Bury(Box<Tombstone>),
    /// A tombstone goes.
    Unbury(Uid),
    /// A step begins.
    Begin(Intent),
    /// An act of the step under way is done.
    Done {
        /// Whose step.
        uid: Uid,
        /// Which act.
        act: String,
    },
    /// A step has its outcome.
    Finish(Uid),
    /// The manifest differs from the last revision.
    Revision {
        /// The digest of its text.
        digest: String,
        /// Since when it is in force.
        at: Timestamp,
    },
    /// The tmux server that was seen.
    Server(ServerId),
    /// The socket that the fleet lives on.
    Socket(PathBuf),
    /// The manifest that the fleet is applied from.
    Manifest(PathBuf),
    /// A session was decommissioned or recreated at this time.
    Ended(Timestamp),
    /// Something worth remembering of a session.
    Event(Event),
}

/// A line of a session's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The session's name.
    pub session: String,
    /// The verb: `create`, `restart`, `decommission`.
    pub verb: String,
    /// What became of it.
    pub text: String,
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A directory or file could not be made or opened.
    #[error("{} cannot be opened", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The disk is full.
    #[error("{}: the disk is full", path.display())]
    Full {
        /// The store.
        path: PathBuf,
    },
    /// The file is no store, or is damaged.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// A row could not be understood.
    #[error("{}: a row of {table} cannot be read", path.display())]
    Row {
        /// The store.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A newer fleetctl wrote it.
    #[error("{} has format {found}; this fleetctl knows up to {known}", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// It was written on another machine.
    #[error("{} belongs to another machine", path.display())]
    OtherMachine {
        /// The store.
        path: PathBuf,
    },
    /// SQLite failed otherwise.
    #[error("{} cannot be used", path.display())]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
}

/// The store of one fleet.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

/// The events that are kept.
const EVENTS: i64 = 10_000;

/// How far back ends count for the mass guard, with room to spare.
const ENDS_KEPT: Duration = Duration::from_secs(3600);

/// The installation that marks name: a hash of machine id, user id and the state directory's path.
#[must_use]
pub fn installation(machine: &str, user: u32, state: &Path) -> Installation {
    let text = format!("{machine}\0{user}\0{}", state.display());
    let digest = Sha256::digest(text.as_bytes());
    Installation(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Store {
    /// Opens the store of a fleet for reading; `None` when the fleet has none yet. Leaves no file behind.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn open_to_read(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.join("fleet.db");
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(source) => return Err(StoreError::Open { path, source }),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = Self::connect(path, flags)?;
        store.pragma("query_only", "on")?;
        store.refuse_newer()?;
        Ok(Some(store))
    }

    /// Opens the store of a fleet for writing, makes it if there is none, and brings its format up to date.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn open_to_write(
        directory: &Path,
        _holder: &Lock,
        machine: &str,
    ) -> Result<Self, StoreError> {
        let path = directory.join("fleet.db");
        make_private(directory, &path)
            .map_err(|source| StoreError::Open { path: path.clone(), source })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut store = Self::connect(path, flags)?;
        store.pragma("journal_mode", "wal")?;
        store.pragma("synchronous", "full")?;
        store.prepare(machine)?;
        Ok(store)
    }

    /// A store that nothing outlives, for simulated worlds.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = PathBuf::from(":memory:");
        let connection = Connection::open_in_memory()
            .map_err(|source| StoreError::Sqlite { path: path.clone(), source })?;
        let mut store = Self { connection, path };
        store.prepare("memory")?;
        Ok(store)
    }

    fn connect(path: PathBuf, flags: OpenFlags) -> Result<Self, StoreError> {
        let connection =
            Connection::open_with_flags(&path, flags).map_err(|source| classify(&path, source))?;
        let store = Self { connection, path };
        let limit = store.connection.busy_timeout(Duration::from_secs(5));
        limit.map_err(|source| classify(&store.path, source))?;
        Ok(store)
    }

    fn pragma(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let set = self.connection.pragma_update_and_check(None, name, value, |_| Ok(()));
        match set {
            Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
            Err(source) => Err(classify(&self.path, source)),
        }
    }

    fn prepare(&mut self, machine: &str) -> Result<(), StoreError> {
        self.refuse_newer()?;
        schema::migrate(&mut self.connection).map_err(|source| classify(&self.path, source))?;
        match self.meta("machine")? {
            None => self.set_meta("machine", machine),
            Some(known) if known == machine => Ok(()),
            Some(_) => Err(StoreError::OtherMachine { path: self.path.clone() }),
        }
    }

    fn refuse_newer(&self) -> Result<(), StoreError> {
        let found = schema::format(&self.connection).map_err(|e| classify(&self.path, e))?;
        if found > schema::FORMAT {
            let path = self.path.clone();
            return Err(StoreError::Newer { path, found, known: schema::FORMAT });
        }
        Ok(())
    }

    fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        let found = self.connection.query_row(sql, [key], |row| row.get(0)).optional();
        found.map_err(|source| classify(&self.path, source))
    }

    fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
        let set = self.connection.execute(sql, [key, value]);
        set.map(|_| ()).map_err(|source| classify(&self.path, source))
    }

    /// The manifest that the fleet was last applied from.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn manifest(&self) -> Result<Option<PathBuf>, StoreError> {
        Ok(self.meta("manifest")?.map(PathBuf::from))
    }

    /// The socket of the tmux server that the fleet lives on.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn socket(&self) -> Result<Option<PathBuf>, StoreError> {
        Ok(self.meta("socket")?.map(PathBuf::from))
    }

    /// All that is remembered, but for the history.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn records(&self) -> Result<Records, StoreError> {
        let sessions: Vec<Record> = self.rows("records", "SELECT json FROM records")?;
        let sql = "SELECT number, digest FROM revisions ORDER BY number DESC LIMIT 1";
        let last = self
            .connection
            .query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
            .optional()
            .map_err(|source| classify(&self.path, source))?;
        let (revision, digest) = last.unwrap_or((0, String::new()));
        Ok(Records {
            sessions: sessions.into_iter().map(|record| (record.uid, record)).collect(),
            revision: u64::try_from(revision).unwrap_or_default(),
            digest,
            server: self.server()?,
            recent_ends: self.rows("ends", "SELECT json_quote(at) FROM ends ORDER BY at")?,
            tombstones: self.rows("tombstones", "SELECT json FROM tombstones ORDER BY at DESC")?,
            intents: self.rows("journal", "SELECT json FROM journal ORDER BY seq")?,
        })
    }

    fn server(&self) -> Result<Option<ServerId>, StoreError> {
        let Some(text) = self.meta("server")? else { return Ok(None) };
        self.parse("meta", &text).map(Some)
    }

    /// The newest events, newest first; of one session when it is named.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn events(&self, session: Option<&str>, most: u32) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT at, session, verb, text FROM events
                   WHERE ?1 IS NULL OR session = ?1 ORDER BY id DESC LIMIT ?2";
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map(params![session, most], |row| {
                let at: String = row.get(0)?;
                Ok(Event {
                    at: at.parse().unwrap_or_default(),
                    session: row.get(1)?,
                    verb: row.get(2)?,
                    text: row.get(3)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<Event>>>()
        };
        read().map_err(|source| classify(&self.path, source))
    }

    fn rows<T: DeserializeOwned>(
        &self,
        table: &'static str,
        sql: &str,
    ) -> Result<Vec<T>, StoreError> {
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<Result<Vec<String>, _>>()
        };
        let texts = read().map_err(|source| classify(&self.path, source))?;
        texts.iter().map(|text| self.parse(table, text)).collect()
    }

    fn parse<T: DeserializeOwned>(&self, table: &'static str, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|source| StoreError::Row {
            path: self.path.clone(),
            table,
            source,
        })
    }

    /// Writes changes in one transaction; none when there is nothing to write.
    ///
    /// # Errors
    /// Any [`StoreError`]; then nothing of it was written.
    pub fn write(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let path = self.path.clone();
        let mut transact = || {
            let transaction = self.connection.transaction()?;
            for change in changes {
                apply(&transaction, change)?;
            }
            transaction.commit()
        };
        transact().map_err(|source| classify(&path, source))
    }
}

fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql)?.execute(values).map(|_| ())
    };
    match change {
        Change::Put(record) => {
            let sql = "INSERT OR REPLACE INTO records (uid, json) VALUES (?1, ?2)";
            run(sql, &[&record.uid.to_string(), &json(record)?])
        }
        Change::Remove(uid) => run("DELETE FROM records WHERE uid = ?1", &[&uid.to_string()]),
        Change::Bury(tombstone) => {
            let sql = "INSERT OR REPLACE INTO tombstones (uid, at, json) VALUES (?1, ?2, ?3)";
            let (uid, at) = (tombstone.record.uid.to_string(), tombstone.at.to_string());
            run(sql, &[&uid, &at, &json(tombstone)?])
        }
        Change::Unbury(uid) => run("DELETE FROM tombstones WHERE uid = ?1", &[&uid.to_string()]),
        Change::Begin(intent) => {
            let sql = "INSERT OR REPLACE INTO journal (uid, json) VALUES (?1, ?2)";
            run(sql, &[&intent.uid.to_string(), &json(intent)?])
        }
        Change::Done { uid, act } => {
            let sql = "UPDATE journal SET json = json_insert(json, '$.done[#]', ?2) WHERE uid = ?1";
            run(sql, &[&uid.to_string(), act])
        }
        Change::Finish(uid) => run("DELETE FROM journal WHERE uid = ?1", &[&uid.to_string()]),
        Change::Revision { digest, at } => {
            let sql = "INSERT INTO revisions (digest, at) VALUES (?1, ?2)";
            run(sql, &[digest, &at.to_string()])
        }
        Change::Server(server) => set(connection, "server", &json(server)?),
        Change::Socket(path) => set(connection, "socket", &path.to_string_lossy()),
        Change::Manifest(path) => set(connection, "manifest", &path.to_string_lossy()),
        Change::Ended(at) => {
            let oldest =
                at.checked_sub(jiff::SignedDuration::try_from(ENDS_KEPT).unwrap_or_default());
            run("INSERT INTO ends (at) VALUES (?1)", &[&at.to_string()])?;
            let oldest = oldest.unwrap_or(*at).to_string();
            run("DELETE FROM ends WHERE at < ?1", &[&oldest])
        }
        Change::Event(event) => {
            let sql = "INSERT INTO events (at, session, verb, text) VALUES (?1, ?2, ?3, ?4)";
            run(sql, &[&event.at.to_string(), &event.session, &event.verb, &event.text])?;
            run("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?1", &[&EVENTS])
        }
    }
}

fn set(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute([key, value]).map(|_| ())
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn make_private(directory: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn classify(path: &Path, source: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { path },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged { path, source }
        }
        _ => StoreError::Sqlite { path, source },
    }
}

impl Records {
    /// What is remembered after a change, without asking the store again.
    pub fn take(&mut self, change: &Change) {
        match change {
            Change::Put(record) => {
                self.sessions.insert(record.uid, (**record).clone());
            }
            Change::Remove(uid) => {
                self.sessions.remove(uid);
            }
            Change::Bury(tombstone) => self.tombstones.insert(0, (**tombstone).clone()),
            Change::Unbury(uid) => self.tombstones.retain(|stone| stone.record.uid != *uid),
            Change::Begin(intent) => self.intents.push(intent.clone()),
            Change::Done { uid, act } => {
                for intent in self.intents.iter_mut().filter(|intent| intent.uid == *uid) {
                    intent.done.push(act.clone());
                }
            }
            Change::Finish(uid) => self.intents.retain(|intent| intent.uid != *uid),
            Change::Revision { digest, .. } => {
                self.revision += 1;
                self.digest.clone_from(digest);
            }
            Change::Server(server) => self.server = Some(server.clone()),
            Change::Ended(at) => self.recent_ends.push(*at),
            Change::Socket(_) | Change::Manifest(_) | Change::Event(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_a_missing_store_is_none_and_makes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Store::open_to_read(directory.path()).unwrap().is_none());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_was_written_is_read_back_and_reading_leaves_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(directory.path()).unwrap();
        let mut store = Store::open_to_write(directory.path(), &lock, "m").unwrap();
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let revision = Change::Revision { digest: "d".into(), at };
        store.write(&[revision, Change::Ended(at), Change::Socket("/s".into())]).unwrap();
        drop(store);
        let names = || {
            let entries = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
            let mut names: Vec<_> = entries
                .map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap()))
                .collect();
            names.sort();
            names
        };
        let before = names();
        let store = Store::open_to_read(directory.path()).unwrap().unwrap();
        let records = store.records().unwrap();
        assert_eq!((records.revision, records.digest.as_str()), (1, "d"));
        assert_eq!(records.recent_ends, [at]);
        assert_eq!(store.socket().unwrap(), Some(PathBuf::from("/s")));
        drop(store);
        assert_eq!(before, names());
    }

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let directory = tempfile::tempdir().unwrap();
        let _held = Lock::acquire(directory.path()).unwrap();
        match Lock::acquire(directory.path()) {
            Err(LockError::Held { pid }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_newer_format_and_another_machine_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(directory.path()).unwrap();
        drop(Store::open_to_write(directory.path(), &lock, "m").unwrap());
        let other = Store::open_to_write(directory.path(), &lock, "n");
        assert!(matches!(other, Err(StoreError::OtherMachine { .. })));
        let connection = Connection::open(directory.path().join("fleet.db")).unwrap();
        connection.pragma_update(None, "user_version", schema::FORMAT + 1).unwrap();
        let newer = Store::open_to_read(directory.path());
        assert!(matches!(newer, Err(StoreError::Newer { .. })));
    }
}
