//! When the next pass of the controller begins, and for whose sake. Pure: times are counted from the
//! controller's start and handed in. Owns debounce, pacing and resync. Invariant: hints carry nothing that
//! is believed, so any number of them is one pass, and the earliest time at which one is due wins.

use std::collections::BTreeSet;
use std::time::Duration;

/// A manifest that is being written is read when it was quiet for so long …
pub const QUIET: Duration = Duration::from_millis(300);
/// … but not later than this after the first change.
pub const QUIET_AT_MOST: Duration = Duration::from_secs(5);
/// Sessions that are made or ended together are one pass.
const TOGETHER: Duration = Duration::from_millis(15);
/// Everything is looked at that often, whatever was missed; a fifth more or less.
pub const RESYNC: Duration = Duration::from_secs(60);
/// Passes that follow each other without a rest take no more than a quarter of a core: after so many of them …
const BURST: u32 = 10;
/// … the next begins only after so many times the last one's length.
const SHARE: u32 = 3;
/// After so many passes without a rest, or [`BURST`] that were each made for the sake of the one before …
const STORM: u32 = 1_000;
/// … the next begins only this long after the last.
const GAP: Duration = Duration::from_secs(1);
/// A rest of this length ends a burst.
const REST: Duration = Duration::from_secs(2);
/// A pass that failed is tried again after this, then after twice that, up to [`RESYNC`].
const FAILED: Duration = Duration::from_secs(1);

/// Why a pass is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The controller begins.
    Start,
    /// The manifest, or what it brings in, may have changed.
    Manifest,
    /// tmux sessions were made or ended.
    Tmux,
    /// A process of ours has ended.
    Ended,
    /// Something is due by itself: a backoff is over, `prune` has passed.
    Due,
    /// A verb wrote to the store.
    Verb,
    /// SIGHUP.
    Hup,
    /// Nothing is known to have happened.
    Resync,
    /// The pass before did something, or failed.
    Again,
}

impl Cause {
    /// The word in logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Manifest => "manifest",
            Self::Tmux => "tmux",
            Self::Ended => "ended",
            Self::Due => "due",
            Self::Verb => "verb",
            Self::Hup => "hup",
            Self::Resync => "resync",
            Self::Again => "again",
        }
    }

    /// True when the manifest is read again for it.
    #[must_use]
    pub fn reads_manifest(self) -> bool {
        matches!(self, Self::Start | Self::Manifest | Self::Hup | Self::Resync)
    }
}

/// How a pass ended, as far as the next one is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Steps were done, and what they make possible comes next.
    Again,
    /// Nothing more is to be done before that much time has passed.
    Until(Option<Duration>),
    /// It could not be made.
    Failed,
}

/// What wakes the controller next. All times are since its start.
#[derive(Debug, Clone)]
pub struct Agenda {
    wanted: BTreeSet<(Duration, Cause)>,
    /// The first and the last change of the manifest that no pass has seen.
    writing: Option<(Duration, Duration)>,
    /// When the last pass began and ended.
    last: Option<(Duration, Duration)>,
    /// How many passes followed each other without a rest.
    burst: u32,
    /// How many of them were made for the sake of the one before alone.
    again: u32,
    failures: u32,
}

impl Agenda {
    /// An agenda on which the first pass stands.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        let wanted = BTreeSet::from([(now, Cause::Start)]);
        Self { wanted, writing: None, last: None, burst: 0, again: 0, failures: 0 }
    }

    /// Something may have happened.
    pub fn hint(&mut self, cause: Cause, now: Duration) {
        let at = match cause {
            Cause::Manifest => {
                let first = self.writing.map_or(now, |(first, _)| first);
                self.writing = Some((first, now));
                return;
            }
            Cause::Tmux | Cause::Ended => now + TOGETHER,
            Cause::Start | Cause::Verb | Cause::Hup => now,
            Cause::Due | Cause::Resync | Cause::Again => now,
        };
        // One that waits already comes first.
        if !self.wanted.iter().any(|(known, other)| *other == cause && *known <= at) {
            self.wanted.insert((at, cause));
        }
    }

    /// Something cannot be watched: everything is looked at within this time.
    pub fn look_within(&mut self, time: Duration, now: Duration) {
        self.wanted.insert((now + time, Cause::Resync));
    }

    /// When the next pass begins.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        let written = self.writing.map(|(first, last)| (last + QUIET).min(first + QUIET_AT_MOST));
        let wanted = self.wanted.first().map(|(at, _)| *at);
        let at = written.into_iter().chain(wanted).min()?;
        let Some((begun, ended)) = self.last else { return Some(at) };
        let gap = if self.burst >= STORM || self.again >= BURST {
            GAP
        } else if self.burst >= BURST {
            (ended.saturating_sub(begun) * SHARE).min(GAP)
        } else {
            Duration::ZERO
        };
        Some(at.max(ended + gap))
    }

    /// A pass begins: all that is due is seen by it.
    pub fn begin(&mut self, now: Duration) -> BTreeSet<Cause> {
        let mut causes = BTreeSet::new();
        self.wanted.retain(|(at, cause)| {
            let later = *at > now && matches!(cause, Cause::Due | Cause::Resync | Cause::Again);
            if !later {
                causes.insert(*cause);
            }
            later
        });
        let quiet = |(first, last): &(Duration, Duration)| {
            *last + QUIET <= now || *first + QUIET_AT_MOST <= now
        };
        if self.writing.take_if(|writing| quiet(writing)).is_some() {
            causes.insert(Cause::Manifest);
        }
        let rested = self.last.is_none_or(|(_, ended)| now.saturating_sub(ended) >= REST);
        self.burst = if rested { 1 } else { self.burst.saturating_add(1) };
        let for_itself = causes.iter().all(|cause| *cause == Cause::Again);
        self.again = if for_itself { self.again.saturating_add(1) } else { 0 };
        self.last = Some((now, now));
        causes
    }

    /// A pass has ended. `jitter`, from 0 to 1, spreads resyncs.
    pub fn end(&mut self, rest: Rest, jitter: f64, now: Duration) {
        self.last = self.last.map(|(begun, _)| (begun, now));
        self.wanted
            .retain(|(_, cause)| !matches!(cause, Cause::Due | Cause::Resync | Cause::Again));
        self.wanted
            .insert((now + RESYNC.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)), Cause::Resync));
        self.failures = if rest == Rest::Failed { self.failures.saturating_add(1) } else { 0 };
        match rest {
            Rest::Again => drop(self.wanted.insert((now, Cause::Again))),
            Rest::Until(Some(time)) => drop(self.wanted.insert((now + time, Cause::Due))),
            Rest::Until(None) => {}
            Rest::Failed => {
                let wait = FAILED.saturating_mul(1 << self.failures.saturating_sub(1).min(6));
                self.wanted.insert((now + wait.min(RESYNC), Cause::Again));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn rested() -> Agenda {
        let mut agenda = Agenda::new(ms(0));
        assert_eq!(agenda.begin(ms(0)), BTreeSet::from([Cause::Start]));
        agenda.end(Rest::Until(None), 0.5, ms(10));
        agenda
    }

    #[test]
    fn nothing_that_happens_means_a_resync_after_a_minute_more_or_less() {
        let mut agenda = rested();
        assert_eq!(agenda.next(), Some(ms(60_010)));
        for (jitter, after) in [(0.0, 48_000), (1.0, 72_000), (7.0, 72_000)] {
            agenda.end(Rest::Until(None), jitter, ms(0));
            assert_eq!(agenda.next(), Some(ms(after)));
        }
        assert_eq!(agenda.begin(ms(72_000)), BTreeSet::from([Cause::Resync]));
    }

    #[test]
    fn a_manifest_is_read_when_its_writer_is_done_and_after_five_seconds_at_most() {
        let mut agenda = rested();
        agenda.hint(Cause::Manifest, ms(1_000));
        assert_eq!(agenda.next(), Some(ms(1_300)));
        agenda.hint(Cause::Manifest, ms(1_200));
        assert_eq!(agenda.next(), Some(ms(1_500)));
        for at in (1_300..7_000).step_by(100) {
            agenda.hint(Cause::Manifest, ms(at));
        }
        assert_eq!(agenda.next(), Some(ms(6_000)));
        assert_eq!(agenda.begin(ms(6_000)), BTreeSet::from([Cause::Manifest]));
    }

    #[test]
    fn a_pass_for_another_reason_leaves_a_manifest_that_is_being_written_alone() {
        let mut agenda = rested();
        agenda.hint(Cause::Manifest, ms(1_000));
        agenda.hint(Cause::Verb, ms(1_100));
        assert_eq!(agenda.begin(ms(1_100)), BTreeSet::from([Cause::Verb]));
        agenda.end(Rest::Until(None), 0.5, ms(1_110));
        assert_eq!(agenda.next(), Some(ms(1_300)));
    }

    #[test]
    fn many_deaths_are_one_pass() {
        let mut agenda = rested();
        for at in 0..10 {
            agenda.hint(Cause::Ended, ms(1_000 + at));
            agenda.hint(Cause::Tmux, ms(1_001 + at));
        }
        assert_eq!(agenda.next(), Some(ms(1_015)));
        assert_eq!(agenda.begin(ms(1_015)), BTreeSet::from([Cause::Tmux, Cause::Ended]));
        agenda.end(Rest::Until(None), 0.5, ms(1_020));
        assert_eq!(agenda.next(), Some(ms(61_020)));
    }

    #[test]
    fn the_earliest_due_time_wins_and_is_not_forgotten_by_an_earlier_pass() {
        let mut agenda = rested();
        agenda.end(Rest::Until(Some(ms(30_000))), 0.5, ms(100));
        assert_eq!(agenda.next(), Some(ms(30_100)));
        agenda.hint(Cause::Hup, ms(200));
        assert_eq!(agenda.begin(ms(200)), BTreeSet::from([Cause::Hup]));
        assert_eq!(agenda.next(), Some(ms(30_100)));
    }

    #[test]
    fn passes_without_a_rest_are_paced() {
        let mut agenda = rested();
        let mut now = ms(10);
        let mut passes = 0;
        agenda.hint(Cause::Verb, now);
        while now < ms(20_000) {
            now = agenda.next().unwrap().max(now);
            agenda.begin(now);
            agenda.end(Rest::Again, 0.5, now + ms(5));
            now += ms(5);
            passes += 1;
        }
        assert!((15..35).contains(&passes), "{passes}");
        let mut agenda = rested();
        let (mut busy, mut passes) = (ms(0), 0);
        now = ms(10_000);
        while now < ms(40_000) {
            agenda.hint(Cause::Tmux, now);
            now = agenda.next().unwrap().max(now);
            agenda.begin(now);
            agenda.end(Rest::Until(None), 0.5, now + ms(20));
            now += ms(20);
            busy += ms(20);
            passes += 1;
        }
        assert!(passes < 400 && busy <= ms(7_800), "{passes} {busy:?}");
        agenda.begin(now + ms(1_000));
        agenda.end(Rest::Until(None), 0.5, now + ms(5_000));
        agenda.hint(Cause::Verb, now + ms(8_000));
        agenda.begin(now + ms(8_000));
        agenda.end(Rest::Again, 0.5, now + ms(8_001));
        assert_eq!(agenda.next(), Some(now + ms(8_001)));
    }

    #[test]
    fn a_pass_that_fails_is_tried_again_more_and_more_seldom() {
        let mut agenda = rested();
        let mut waits = Vec::new();
        let mut now = ms(10_000);
        for _ in 0..9 {
            agenda.end(Rest::Failed, 0.5, now);
            let next = agenda.next().unwrap();
            waits.push((next - now).as_secs());
            now = next;
            agenda.begin(now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        agenda.end(Rest::Until(None), 0.5, now);
        agenda.begin(now + ms(60_000));
        agenda.end(Rest::Failed, 0.5, now);
        assert_eq!(agenda.next(), Some(now + ms(1_000)));
    }
}
