//! The loop: passes for ever, one at a time, woken by hints. Owns the order of waiting, passing and lending
//! the turn; decides nothing about sessions and never prints. Invariant: between two passes, and only then,
//! the lock may be lent; whatever was missed is seen by the pass after a resync.

use super::Event;
use super::alarm::Alarm;
use super::keep::{Failing, Keeper, Passed, Seen};
use super::turn::{Asking, Hello};
use super::wake::{Agenda, Cause};
use crate::store::{Lock, LockError};
use crate::world::World;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often a lock that somebody else got hold of is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// What reaches the loop from outside.
pub struct Inlets {
    /// What may have happened.
    pub hints: mpsc::UnboundedReceiver<Cause>,
    /// Verbs that want to write.
    pub asking: mpsc::Receiver<Asking>,
    /// True when the loop is to end.
    pub halt: watch::Receiver<bool>,
    /// Waits.
    pub alarm: Alarm,
}

/// What the loop tells.
pub trait Outlets {
    /// Something of a pass, while it works. Called on the pass's thread.
    fn event(&self) -> Box<dyn FnMut(Event) + Send>;

    /// A pass is over. Gives how soon to look again for the sake of what cannot be watched.
    fn passed(&mut self, causes: &BTreeSet<Cause>, passed: &Passed) -> Option<Duration>;

    /// What is to be watched from now on.
    fn follow(&mut self, seen: &Seen);
}

/// The right to write, and where it is taken.
pub struct Place {
    /// The fleet's directory; `None` for a fleet that nobody else knows of.
    pub directory: Option<PathBuf>,
    /// The lock, while it is not lent.
    pub lock: Option<Lock>,
    /// What verbs are told.
    pub hello: watch::Sender<Hello>,
}

/// Keeps a fleet until it is told to end.
///
/// # Errors
/// A pass panicked, or the lock cannot be had again.
pub async fn keep<W: World + Send + 'static>(
    mut keeper: Keeper<W>,
    place: &mut Place,
    inlets: &mut Inlets,
    outlets: &mut dyn Outlets,
) -> Result<Keeper<W>, KeepError> {
    let begun = tokio::time::Instant::now();
    let mut halt = inlets.halt.clone();
    let mut agenda = Agenda::new(Duration::ZERO);
    outlets.follow(&Seen { reads: keeper.fleet.reads.clone(), ..Seen::default() });
    loop {
        let wait = agenda.next().map(|at| at.saturating_sub(begun.elapsed()));
        let alarm = (inlets.alarm)(wait.unwrap_or(super::wake::RESYNC));
        tokio::select! {
            biased;
            _ = halt.wait_for(|halt| *halt) => return Ok(keeper),
            Some(asking) = inlets.asking.recv() => {
                keeper.records = None;
                lend(place, asking, inlets.halt.clone()).await?;
                agenda.hint(Cause::Verb, begun.elapsed());
            }
            Some(cause) = inlets.hints.recv() => agenda.hint(cause, begun.elapsed()),
            () = alarm => {
                while let Ok(cause) = inlets.hints.try_recv() {
                    agenda.hint(cause, begun.elapsed());
                }
                let causes = agenda.begin(begun.elapsed());
                let passed;
                (keeper, passed) = pass(keeper, causes.clone(), outlets.event()).await?;
                let polling = outlets.passed(&causes, &passed);
                agenda.end(passed.rest, passed.jitter, begun.elapsed());
                if let Some(polling) = polling {
                    agenda.look_within(polling, begun.elapsed());
                }
                outlets.follow(&passed.seen);
                tell(place, &keeper);
            }
        }
    }
}

async fn pass<W: World + Send + 'static>(
    mut keeper: Keeper<W>,
    causes: BTreeSet<Cause>,
    mut on: Box<dyn FnMut(Event) + Send>,
) -> Result<(Keeper<W>, Passed), KeepError> {
    let words: Vec<&str> = causes.iter().map(|cause| cause.word()).collect();
    let span = tracing::info_span!("pass", cause = words.join("+"));
    let work = move || {
        let _span = span.entered();
        let passed = keeper.pass(&causes, &mut *on);
        (keeper, passed)
    };
    tokio::task::spawn_blocking(work).await.map_err(KeepError::Panicked)
}

/// Gives the lock to a verb until it is done or dead.
async fn lend(
    place: &mut Place,
    asking: Asking,
    mut halt: watch::Receiver<bool>,
) -> Result<(), KeepError> {
    let Asking { pid, grant, over } = asking;
    tracing::debug!(pid, "lends its turn");
    place.lock = None;
    place.hello.send_modify(|hello| hello.lent = Some(pid));
    if grant.send(()).is_ok() {
        tokio::select! {
            _ = over => {}
            _ = halt.wait_for(|halt| *halt) => return Ok(()),
        }
    }
    place.hello.send_modify(|hello| hello.lent = None);
    let Some(directory) = &place.directory else { return Ok(()) };
    loop {
        match Lock::acquire(directory) {
            Ok(lock) => {
                place.lock = Some(lock);
                return Ok(());
            }
            // Another verb saw it free; it is done before long.
            Err(LockError::Held { .. }) => {}
            Err(error @ LockError::Open { .. }) => return Err(KeepError::Lock(error)),
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = halt.wait_for(|halt| *halt) => return Ok(()),
        }
    }
}

fn tell<W: World>(place: &Place, keeper: &Keeper<W>) {
    let now = keeper.world.now();
    place.hello.send_modify(|hello| {
        hello.passes += 1;
        hello.last_pass = Some(now);
        let failing = keeper.failing.clone();
        hello.failing = failing.map(|Failing { since, why, .. }| (since, why));
    });
}

/// Why the loop ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// A pass panicked.
    #[error("a pass did not come to its end")]
    Panicked(#[source] tokio::task::JoinError),
    /// The lock could not be taken back.
    #[error("the fleet's lock cannot be taken back")]
    Lock(#[source] LockError),
}
