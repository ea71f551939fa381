//! How soon a run that nobody ended is followed by the next. Owns the count of such ends and the waits that
//! follow from it. Invariant: waits grow until their most, and no clock that jumps makes one longer than that.

use super::Pace;
use super::pass::Pass;
use super::runtime::{Judged, Over};
use crate::manifest::fleet::Backoff;
use crate::name::Uid;
use crate::record::{Crashes, Record};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// An end that nobody wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwanted {
    /// The program failed.
    Crash,
    /// It was cut off from outside, or completed where it is to run always: the first time costs no wait.
    Cut,
}

/// A start that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    /// Until when.
    pub(super) until: Timestamp,
    /// After how many ends in a row.
    pub(super) after: u32,
}

impl Pass<'_> {
    /// How long a start waits that nobody asked for.
    pub(super) fn wait(&self, record: &Record, backoff: &Backoff, judged: &Judged) -> Option<Wait> {
        let (Over::Again(_), Some(how), Pace::Kept) = (&judged.over, judged.how, self.policy.pace)
        else {
            return None;
        };
        let crashes = counted(record, backoff, how, self.snapshot.taken);
        let ends = match how {
            Unwanted::Crash => crashes.count,
            Unwanted::Cut => crashes.count.saturating_sub(1),
        };
        let last = crashes.last?;
        let until = last.checked_add(delay(record.uid, backoff, ends)).ok()?;
        (until > self.snapshot.taken).then_some(Wait { until, after: crashes.count })
    }
}

/// The count with the end of the last run in it. One that was counted already is not counted again.
pub(super) fn counted(
    record: &Record,
    backoff: &Backoff,
    how: Unwanted,
    now: Timestamp,
) -> Crashes {
    let old = &record.books.crashes;
    // A clock that was set back must not keep anybody waiting for the time that it showed before.
    let known = |at: Timestamp| at.min(now);
    if old.count > 0 && old.run == record.run {
        let recent = old.recent.iter().copied().map(known).collect();
        return Crashes { last: old.last.map(known), recent, ..old.clone() };
    }
    let lasted = has_lasted(record, backoff.reset, now);
    let within = signed(backoff.within);
    let recent = old.recent.iter().copied().map(known);
    let recent = recent.filter(|at| !lasted && now.duration_since(*at) < within);
    Crashes {
        count: if lasted { 1 } else { old.count.saturating_add(1) },
        run: record.run,
        last: Some(now),
        recent: recent.chain((how == Unwanted::Crash).then_some(now)).collect(),
    }
}

/// True when the last run went on for so long.
fn has_lasted(record: &Record, reset: Duration, now: Timestamp) -> bool {
    record.runtime.as_ref().is_some_and(|runtime| {
        runtime.run == record.run && now.duration_since(runtime.started) >= signed(reset)
    })
}

/// How many crashes count still.
pub(super) fn crashes(record: &Record, backoff: &Backoff, now: Timestamp) -> usize {
    let known = &record.books.crashes;
    if record.run > known.run && has_lasted(record, backoff.reset, now) {
        return 0;
    }
    let within = signed(backoff.within);
    known.recent.iter().filter(|at| now.duration_since(**at) < within).count()
}

/// The wait after so many ends in a row: doubled each time, a quarter more or less, and never above the most.
/// What is drawn hangs on the session and the count alone, so that a plan is the same however often it is made.
fn delay(uid: Uid, backoff: &Backoff, ends: u32) -> SignedDuration {
    let Some(doublings) = ends.checked_sub(1) else { return SignedDuration::ZERO };
    let digest = Sha256::digest(format!("{uid} {ends}"));
    let drawn = u32::from(u16::from_be_bytes([digest[0], digest[1]]));
    // 750 to 1,250 thousandths.
    let thousandths = 750 + drawn * 500 / u32::from(u16::MAX);
    let doubled = 1_u32.checked_shl(doublings).and_then(|times| backoff.first.checked_mul(times));
    let doubled = doubled.filter(|wait| *wait < backoff.max).unwrap_or(backoff.max * 2);
    signed((doubled * thousandths / 1_000).min(backoff.max))
}

/// A duration of the file as one that may be added to a time.
pub(super) fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_most_and_stay_there() {
        let backoff = Backoff::default();
        for random in 0..200 {
            let uid = Uid::from_parts(1_700_000_000_000, random);
            let waits: Vec<_> =
                (0..40).map(|ends| delay(uid, &backoff, ends).as_millis()).collect();
            assert_eq!(waits[0], 0);
            assert!((7_500..=12_500).contains(&waits[1]), "{}", waits[1]);
            assert!((15_000..=25_000).contains(&waits[2]), "{}", waits[2]);
            assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
            assert_eq!(waits[39], 300_000);
        }
    }

    #[test]
    fn sessions_that_crash_together_do_not_start_together() {
        let uid = |random| Uid::from_parts(1_700_000_000_000, random);
        let of = |random| delay(uid(random), &Backoff::default(), 1);
        assert!((1..20).any(|random| of(random) != of(0)));
        assert_eq!(of(3), of(3));
    }
}
