//! The changes that a store takes. Owns how each is written, and what it makes of the records at hand.
//! Invariant: records that took the changes of a batch are equal to those read after it was written.

use super::error::StoreError;
use super::events::{self, Event};
use super::schema::set_meta;
use crate::name::{Name, Uid};
use crate::record::{Finished, Intent, Record, Records, Tombstone};
use crate::snapshot::ServerId;
use jiff::{Timestamp, ToSpan};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// How many revisions are kept.
const REVISIONS: i64 = 1_000;

/// One change of what is remembered.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A live record, new or as it is from now on.
    Put(Box<Record>),
    /// A record is no longer live.
    Remove(Uid),
    /// A session has gone to the trash.
    Bury(Box<Tombstone>),
    /// It is back, or gone for good.
    Unbury(Uid),
    /// A step begins; one that the incarnation had is replaced.
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
    /// The branch of the manifest's own repository.
    Branch(String),
    /// The socket that the fleet lives on.
    Socket(PathBuf),
    /// The manifest that the fleet is applied from: at the first apply and by `--take-over`.
    Manifest(PathBuf),
    /// A session was decommissioned or recreated at this time.
    Ended(Timestamp),
    /// A session has reached what it was there for.
    Finished(Box<Finished>),
    /// It is wanted again.
    Reopen(Name),
    /// Something to tell people.
    Event(Event),
}

/// Writes one change; the caller has a transaction open.
pub(super) fn write(connection: &Connection, change: &Change) -> Result<(), StoreError> {
    let run = |text: &str, parameters: &[&str]| -> Result<(), StoreError> {
        let parameters = rusqlite::params_from_iter(parameters);
        connection.prepare_cached(text)?.execute(parameters)?;
        Ok(())
    };
    let by_uid = |text: &str, uid: &Uid| run(text, &[&uid.to_string()]);
    match change {
        Change::Put(record) => {
            let text = "INSERT OR REPLACE INTO records (uid, json) VALUES (?1, ?2)";
            run(text, &[&record.uid.to_string(), &json("records", record)?])
        }
        Change::Remove(uid) => by_uid("DELETE FROM records WHERE uid = ?1", uid),
        Change::Bury(tombstone) => {
            let text = "INSERT OR REPLACE INTO tombstones (uid, at, json) VALUES (?1, ?2, ?3)";
            let uid = tombstone.record.uid.to_string();
            run(text, &[&uid, &tombstone.at.to_string(), &json("tombstones", tombstone)?])
        }
        Change::Unbury(uid) => by_uid("DELETE FROM tombstones WHERE uid = ?1", uid),
        Change::Begin(intent) => {
            let text = "INSERT OR REPLACE INTO journal (uid, json) VALUES (?1, ?2)";
            run(text, &[&intent.uid.to_string(), &json("journal", intent)?])
        }
        Change::Done { uid, act } => {
            let text =
                "UPDATE journal SET json = json_insert(json, '$.done[#]', ?2) WHERE uid = ?1";
            run(text, &[&uid.to_string(), act])
        }
        Change::Finish(uid) => by_uid("DELETE FROM journal WHERE uid = ?1", uid),
        Change::Revision { digest, at } => add_revision(connection, digest, *at),
        Change::Server(server) => set_meta(connection, "server", &json("meta", server)?),
        Change::Branch(branch) => set_meta(connection, "branch", branch),
        Change::Socket(path) => set_meta(connection, "socket", text(path)?),
        Change::Manifest(path) => set_meta(connection, "manifest", text(path)?),
        Change::Ended(at) => {
            run("INSERT INTO ends (at) VALUES (?1)", &[&at.to_string()])?;
            run("DELETE FROM ends WHERE at < ?1", &[&ends_kept_from(*at).to_string()])
        }
        Change::Finished(finished) => {
            let text = "INSERT OR REPLACE INTO finished (name, json) VALUES (?1, ?2)";
            run(text, &[finished.name.as_str(), &json("finished", finished)?])
        }
        Change::Reopen(name) => run("DELETE FROM finished WHERE name = ?1", &[name.as_str()]),
        Change::Event(event) => events::add(connection, event),
    }
}

fn json(table: &'static str, value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Content { table, source })
}

/// A path that would be another one when it is read again is refused.
fn text(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| StoreError::Text { path: path.to_owned() })
}

fn add_revision(connection: &Connection, digest: &str, at: Timestamp) -> Result<(), StoreError> {
    let text = "INSERT INTO revisions (digest, at) VALUES (?1, ?2)";
    connection.prepare_cached(text)?.execute((digest, at.to_string()))?;
    let last = connection.last_insert_rowid();
    connection.execute("DELETE FROM revisions WHERE number <= ?1", [last - REVISIONS])?;
    Ok(())
}

/// Ends before this count no longer for the mass guard, with room to spare. In whole seconds: among those, the
/// comparison of texts is one of times.
fn ends_kept_from(at: Timestamp) -> Timestamp {
    let kept = at.checked_sub(1.hours()).unwrap_or(at);
    Timestamp::from_second(kept.as_second()).unwrap_or(kept)
}

impl Records {
    /// Takes a change over, without asking the store again.
    pub fn take(&mut self, change: &Change) {
        match change {
            Change::Put(record) => {
                self.sessions.insert(record.uid, (**record).clone());
            }
            Change::Remove(uid) => {
                self.sessions.remove(uid);
            }
            Change::Bury(tombstone) => {
                self.tombstones.retain(|other| other.record.uid != tombstone.record.uid);
                self.tombstones.push((**tombstone).clone());
                sort_newest_first(&mut self.tombstones);
            }
            Change::Unbury(uid) => self.tombstones.retain(|stone| stone.record.uid != *uid),
            Change::Begin(intent) => {
                self.intents.retain(|other| other.uid != intent.uid);
                self.intents.push(intent.clone());
            }
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
            Change::Branch(branch) => self.branch = Some(branch.clone()),
            Change::Ended(at) => {
                self.recent_ends.push(*at);
                self.recent_ends.retain(|end| *end >= ends_kept_from(*at));
            }
            Change::Finished(finished) => {
                self.finished.insert(finished.name.clone(), (**finished).clone());
            }
            Change::Reopen(name) => {
                self.finished.remove(name);
            }
            Change::Socket(_) | Change::Manifest(_) | Change::Event(_) => {}
        }
    }
}

pub(super) fn sort_newest_first(tombstones: &mut [Tombstone]) {
    tombstones.sort_by_key(|stone| std::cmp::Reverse((stone.at, stone.record.uid)));
}
