//! What the caller of a plan allows and asks, beside the file. Plain data.

use crate::name::{Installation, Name, Uid};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What the caller allows and asks, beside the file.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whose marks are ours.
    pub installation: Installation,
    /// Which sessions the pass is about; `None` for all.
    pub only: Option<BTreeSet<Name>>,
    /// What to do with sessions that are gone from the file.
    pub removals: Removals,
    /// Sessions that may be cut off although they are busy, waiting or attached.
    pub now: BTreeSet<Name>,
    /// The number of decommissions and recreates that was approved.
    pub max_decommission: Option<usize>,
    /// The incarnations whose end was approved already: the mass guard lets them pass.
    pub approved: BTreeSet<Uid>,
    /// What a verb asks of single sessions.
    pub requests: BTreeMap<Name, Request>,
    /// How soon what crashed is started again.
    pub pace: Pace,
    /// The sessions whose last step failed, and was not asked for by a human.
    pub failed: BTreeMap<Name, Failed>,
    /// The incarnation in whose pane the program runs.
    pub inside: Option<Uid>,
    /// Where agents keep files of their own, each in a directory named by its uid.
    pub agent_state: PathBuf,
}

impl Policy {
    /// A pass over the whole fleet, for which nothing beyond the file was asked or approved.
    #[must_use]
    pub fn new(installation: Installation) -> Self {
        Self {
            installation,
            only: None,
            removals: Removals::Confirmed,
            now: BTreeSet::new(),
            max_decommission: None,
            approved: BTreeSet::new(),
            requests: BTreeMap::new(),
            pace: Pace::Once,
            failed: BTreeMap::new(),
            inside: None,
            agent_state: PathBuf::new(),
        }
    }
}

/// A step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// How many times in a row.
    pub times: u32,
    /// When it is tried again.
    pub again: Timestamp,
}

/// How soon what crashed is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once: somebody asked for one pass.
    Once,
    /// After its backoff: passes go on for ever.
    Kept,
}

/// What to do with sessions that are gone from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removals {
    /// Decommission them, unless `prune: manual`.
    Confirmed,
    /// Decommission them, with `prune: manual` too.
    Prune,
    /// Decommission them when `prune` has passed.
    WhenDue,
    /// Leave them: the pass is about named sessions.
    Leave,
}

/// What a verb asks of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// `start`
    Start {
        /// `--new-worktree`: make a lost worktree anew.
        new_worktree: bool,
        /// `--again`: although it is finished.
        again: bool,
    },
    /// `restart`
    Restart {
        /// `--fresh`: leave the conversation.
        fresh: bool,
        /// `--recreate`: another worktree.
        recreate: bool,
        /// `--setup`: run `setup` again.
        setup: bool,
    },
    /// `rm`
    Remove {
        /// `--archive`: although work is at risk.
        archive: bool,
        /// `--keep`: let go of it without touching it.
        keep: bool,
    },
}
