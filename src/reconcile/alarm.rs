//! Waits on the clock that counts while the machine sleeps. Owns one kernel timer. Invariant: a wait that
//! was due while the machine slept ends when it wakes.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// A wait for a time on some clock.
pub type Alarm = Box<dyn FnMut(Duration) -> Pin<Box<dyn Future<Output = ()>>>>;

/// Waits on the boot clock. A later wait ends the one before it. Needs a tokio runtime around it.
///
/// # Errors
/// The kernel gives no timer.
pub fn on_boot_clock() -> std::io::Result<Alarm> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = Rc::new(awaited(timerfd_create(TimerfdClockId::Boottime, flags)?)?);
    Ok(Box::new(move |after| {
        let timer = Rc::clone(&timer);
        Box::pin(async move {
            if let Err(error) = ring(&timer, after).await {
                tracing::warn!(%error, "the boot clock's timer failed");
                tokio::time::sleep(after).await;
            }
        })
    }))
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for handles that do not own what they name"
)]
fn awaited(timer: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(timer)
}

async fn ring(timer: &AsyncFd<OwnedFd>, after: Duration) -> std::io::Result<()> {
    // Zero would disarm it.
    let after = after.max(Duration::from_nanos(1));
    let value = Timespec {
        tv_sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(after.subsec_nanos()),
    };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
    timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
    loop {
        let mut ready = timer.readable().await?;
        let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0; 8])?));
        match read {
            Ok(rung) => return rung.map(drop),
            // Of a wait before this one: arming it anew took its ring away.
            Err(_would_block) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_wait_ends_after_its_time_and_a_later_one_replaces_it() {
        let begun = tokio::time::Instant::now();
        let mut alarm = on_boot_clock().unwrap();
        let long = alarm(Duration::from_secs(3600));
        let replaced = tokio::time::timeout(Duration::from_millis(5), long).await;
        assert!(replaced.is_err());
        alarm(Duration::from_millis(20)).await;
        alarm(Duration::ZERO).await;
        assert!((20..2_000).contains(&begun.elapsed().as_millis()));
    }
}
