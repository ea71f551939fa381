//! A verb's right to write to its fleet: the lock, taken where it is free, lent by the controller where one
//! keeps the fleet. Invariant: whoever has a turn has the lock, and gives it back by ending.

use super::desk::Desk;
use super::output;
use crate::error::{Exit, Failure, Trouble};
use crate::reconcile::turn::{Hello, Line};
use crate::store::{Lock, LockError};
use std::time::{Duration, Instant};

/// How long a lock that was lent may be somebody else's.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a lock that nobody lends is waited for.
const GLIMPSE: Duration = Duration::from_millis(100);

/// The right to write. The lock goes before the line to the controller, which takes it back then.
#[derive(Debug)]
pub struct Turn {
    lock: Lock,
    lent: Option<Line>,
}

impl Turn {
    /// With a lock that is held already.
    #[must_use]
    pub fn with(lock: Lock) -> Self {
        Self { lock, lent: None }
    }

    /// Takes the lock, or asks the controller for it.
    ///
    /// # Errors
    /// Locked: another verb is at work. Refused: the controller keeps the fleet by another manifest.
    pub fn take(desk: &Desk) -> Result<Self, Failure> {
        match Lock::acquire(desk.paths.directory()) {
            Ok(lock) => Ok(Self::with(lock)),
            Err(LockError::Held { pid }) => Self::borrow(desk, pid),
            Err(error @ LockError::Open { .. }) => Err(Failure::because(Exit::Failed, &error)),
        }
    }

    fn borrow(desk: &Desk, holder: Option<u32>) -> Result<Self, Failure> {
        let called = Line::call(desk.paths.directory());
        let Some(mut line) = called.map_err(|error| mute(holder, &error))? else {
            // A child that a killed writer was about to start holds its lock until it has become a program.
            return Ok(Self { lock: acquire(desk, GLIMPSE)?, lent: None });
        };
        refuse_other_manifest(desk, &line.hello)?;
        tell_other_version(&line.hello);
        let pid = line.hello.pid;
        line.turn(|| output::say(&format!("the controller (pid {pid}) ends its pass first")))
            .map_err(|error| mute(Some(pid), &error))?;
        Ok(Self { lock: acquire(desk, PATIENCE)?, lent: Some(line) })
    }

    /// The lock alone: a turn that was lent is over.
    #[must_use]
    pub fn into_lock(self) -> Lock {
        self.lock
    }

    /// The lock.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// True when a controller waits for it to be given back.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.lent.is_some()
    }
}

/// Takes the lock as soon as it is free.
fn acquire(desk: &Desk, patience: Duration) -> Result<Lock, Failure> {
    let begun = Instant::now();
    loop {
        match Lock::acquire(desk.paths.directory()) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held { .. }) if begun.elapsed() < patience => {
                crate::process::pause(Duration::from_millis(10));
            }
            Err(LockError::Held { pid }) => {
                return Err(Failure::from(Trouble::Locked { fleet: desk.fleet.name.clone(), pid }));
            }
            Err(error @ LockError::Open { .. }) => {
                return Err(Failure::because(Exit::Failed, &error));
            }
        }
    }
}

/// A controller keeps one manifest, and a fleet has one.
fn refuse_other_manifest(desk: &Desk, hello: &Hello) -> Result<(), Failure> {
    if hello.manifest == desk.manifest {
        return Ok(());
    }
    let kept = hello.manifest.display();
    let message = format!(
        "fleet {} is kept by a controller, pid {}, from {kept}",
        desk.fleet.name, hello.pid
    );
    Err(Failure::new(Exit::Refused, message)
        .with_help(format!("use that file: fleetctl -f {kept} …; or end the controller first")))
}

fn tell_other_version(hello: &Hello) {
    let own = env!("CARGO_PKG_VERSION");
    if hello.version != own {
        output::warn(&format!(
            "the controller (pid {}) is fleetctl {}, this is {own}; start it again to have the fleet kept by it",
            hello.pid, hello.version
        ));
    }
}

fn mute(pid: Option<u32>, error: &std::io::Error) -> Failure {
    let who = pid.map(|pid| format!(", pid {pid},")).unwrap_or_default();
    Failure::new(Exit::Locked, format!("the controller{who} does not answer: {error}"))
        .with_help("see what it does: fleetctl controller status; if it hangs, end it")
}
