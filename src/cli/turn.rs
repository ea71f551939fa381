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
        let locked = |pid| Failure::from(Trouble::Locked { fleet: desk.fleet.name.clone(), pid });
        let called = Line::call(desk.paths.directory());
        let Some(mut line) = called.map_err(|error| mute(holder, &error))? else {
            return Err(locked(holder));
        };
        refuse_other_manifest(desk, &line.hello)?;
        tell_other_version(&line.hello);
        let pid = line.hello.pid;
        line.turn(|| output::say(&format!("the controller (pid {pid}) ends its pass first")))
            .map_err(|error| mute(Some(pid), &error))?;
        let begun = Instant::now();
        loop {
            match Lock::acquire(desk.paths.directory()) {
                Ok(lock) => return Ok(Self { lock, lent: Some(line) }),
                Err(LockError::Held { .. }) if begun.elapsed() < PATIENCE => {
                    crate::process::pause(Duration::from_millis(20));
                }
                Err(LockError::Held { pid }) => return Err(locked(pid)),
                Err(error @ LockError::Open { .. }) => {
                    return Err(Failure::because(Exit::Failed, &error));
                }
            }
        }
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
