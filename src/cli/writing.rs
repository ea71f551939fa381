//! What a verb that changes something opens: its turn and the store. Invariant: nothing is written without the
//! turn, and what may have been written while it was not ours is read again.

use super::desk::Desk;
use super::turn::Turn;
use crate::error::Failure;
use crate::store::{Change, Lock, Store};

/// The right to write, and what is written to.
pub struct Writing {
    turn: Option<Turn>,
    /// The fleet's store.
    pub store: Store,
}

impl Writing {
    /// True when a controller waits for the turn to be given back.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.turn.as_ref().is_some_and(Turn::is_lent)
    }

    /// False while the turn is given back.
    #[must_use]
    pub fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Store and lock, for whoever lends the lock.
    #[must_use]
    pub fn apart(self) -> (Store, Option<Lock>) {
        (self.store, self.turn.map(Turn::into_lock))
    }

    /// Gives the turn back to a controller that waits for it, while nothing is written.
    pub fn pause(&mut self) {
        if self.is_lent() {
            self.turn = None;
        }
    }

    /// Has the turn again, and knows what was written meanwhile.
    ///
    /// # Errors
    /// Locked, or what the store says.
    pub fn resume(&mut self, desk: &mut Desk) -> Result<(), Failure> {
        if self.turn.is_none() {
            self.turn = Some(Turn::take(desk)?);
        }
        desk.records = self.store.records()?;
        Ok(())
    }
}

/// Takes a turn and opens the store for writing; refuses what must not be written to.
///
/// # Errors
/// Locked, refused, or what the store says.
pub fn open(desk: &mut Desk, take_over: bool) -> Result<Writing, Failure> {
    super::guard::refuse_agents(desk)?;
    super::guard::refuse_other_manifest(desk, take_over)?;
    super::guard::refuse_other_socket(desk)?;
    if let Some(lock) = desk.lock.take() {
        // Nobody else has written since the store was read, nor since the look began.
        return write_to(desk, Turn::with(lock));
    }
    desk.live.early = None;
    let turn = Turn::take(desk)?;
    refresh(desk)?;
    super::guard::refuse_other_manifest(desk, take_over)?;
    super::guard::refuse_other_socket(desk)?;
    write_to(desk, turn)
}

/// Opens the store under a lock that was taken already.
///
/// # Errors
/// Refused, or what the store says.
pub fn open_with(desk: &mut Desk, lock: Lock) -> Result<Writing, Failure> {
    super::guard::refuse_agents(desk)?;
    refresh(desk)?;
    super::guard::refuse_other_manifest(desk, false)?;
    super::guard::refuse_other_socket(desk)?;
    write_to(desk, Turn::with(lock))
}

fn refresh(desk: &mut Desk) -> Result<(), Failure> {
    // What was read before the lock may be old by now.
    if let Some(store) = Store::open_to_read(desk.paths.directory())? {
        desk.records = store.records()?;
        desk.applied_from = store.manifest()?;
        desk.recorded_socket = store.socket()?;
        desk.live.last = desk.records.server.clone();
    }
    Ok(())
}

fn write_to(desk: &Desk, turn: Turn) -> Result<Writing, Failure> {
    let directory = desk.paths.directory();
    let mut store = Store::open_to_write(directory, turn.lock(), &desk.context.machine)?;
    let mut changes = Vec::new();
    // One that another manifest has is taken over only when the plan was agreed to.
    if store.manifest()?.is_none() {
        changes.push(Change::Manifest(desk.manifest.clone()));
    }
    if store.socket()?.as_ref() != Some(&desk.socket) {
        changes.push(Change::Socket(desk.socket.clone()));
    }
    store.write(&changes)?;
    Ok(Writing { turn: Some(turn), store })
}
