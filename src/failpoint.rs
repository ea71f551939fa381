//! Ends the process at the n-th journaled boundary, so that a test can prove that a killed run is finished
//! by the next one. Compiled to nothing without the feature `failpoints`.

#[cfg(feature = "failpoints")]
use std::sync::atomic::{AtomicI64, Ordering};

/// Boundaries left until the end; negative: never.
#[cfg(feature = "failpoints")]
static LEFT: AtomicI64 = AtomicI64::new(-1);

/// Arms the failpoint: the process is killed at boundary number `at`, counted from 1.
#[cfg(feature = "failpoints")]
pub fn arm(at: i64) {
    LEFT.store(at, Ordering::SeqCst);
}

/// A place between two effects. With the feature, and armed, the process may die here of SIGKILL.
pub fn boundary() {
    #[cfg(feature = "failpoints")]
    if LEFT.load(Ordering::SeqCst) > 0 && LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
        let killed =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        tracing::error!(?killed, "the failpoint did not end the process");
    }
}
