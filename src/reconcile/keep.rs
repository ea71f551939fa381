//! One pass of the controller: read the file if it may have changed, look, plan, act. Owns what is kept from
//! one pass to the next: the last good fleet, and what is remembered. Never prints. Invariant: a file that
//! cannot be read changes nothing; the last good one is kept.

use super::execute::{Site, approved};
use super::wake::{Cause, Rest};
use super::{Event, House, Outcome, PassError, StepResult, execute, fetch, recover, survey};
use crate::manifest::fleet::{Fleet, Reads};
use crate::name::Name;
use crate::plan::{Failed, Plan, Policy};
use crate::record::Records;
use crate::snapshot::{Marked, Observed, Pane, PaneState, ServerId, Snapshot};
use crate::store::{self, Change, Store};
use crate::world::World;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A step that failed is tried again after this …
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// … and after no more than this.
const TRY_AGAIN_LAST: Duration = Duration::from_secs(300);

/// Reads the desired state.
pub type Load = Box<dyn FnMut() -> Result<Fleet, Unfit> + Send>;

/// A desired state that cannot be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// What is wrong, for people.
    pub why: String,
    /// Where a change may mend it.
    pub reads: Reads,
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self { why, reads: Reads::default() }
    }
}

/// What the controller keeps.
pub struct Keeper<W> {
    /// The machine.
    pub world: W,
    /// The store, open for writing.
    pub store: Store,
    /// The surroundings.
    pub house: House,
    /// What a pass may do.
    pub policy: Policy,
    /// The last good desired state.
    pub fleet: Fleet,
    /// Reads the desired state again.
    pub load: Load,
    /// Since when the source gives nothing good, and why.
    pub failing: Option<Failing>,
    /// The sessions whose last step failed.
    pub failed: BTreeMap<Name, Failed>,
    /// What is remembered; `None` when somebody else may have written since.
    pub records: Option<Records>,
}

/// A source that gives nothing good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// What is wrong with it.
    pub why: String,
    /// Where a change may mend it.
    pub reads: Reads,
}

/// What one pass gave.
#[derive(Debug)]
pub struct Passed {
    /// When the next one is due.
    pub rest: Rest,
    /// What it planned; `None` when it did not come so far.
    pub plan: Option<Plan>,
    /// What it did.
    pub outcome: Outcome,
    /// What is to be watched until the next one.
    pub seen: Seen,
    /// A number from 0 to 1 that differs from pass to pass.
    pub jitter: f64,
    /// How long it took.
    pub took: Duration,
    /// What went wrong with the pass as a whole.
    pub error: Option<PassError>,
}

/// What the next change would be a change of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the fleet was made of.
    pub reads: Reads,
    /// The tmux server and the processes of our live panes in it; `None` where that could not be seen.
    pub tmux: Option<SeenTmux>,
}

/// What there is to watch of tmux.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenTmux {
    /// The server, if there is one.
    pub server: Option<ServerId>,
    /// The processes of our live panes.
    pub processes: BTreeSet<u32>,
}

impl<W: World> Keeper<W> {
    /// Makes one pass.
    pub fn pass(&mut self, causes: &BTreeSet<Cause>, on: &mut dyn FnMut(Event)) -> Passed {
        let begun = Instant::now();
        let jitter = (self.world.random() >> 64) as u64 as f64 / u64::MAX as f64;
        let passed = |seen| Passed {
            rest: Rest::Failed,
            plan: None,
            outcome: Outcome::default(),
            seen,
            jitter,
            took: begun.elapsed(),
            error: None,
        };
        match self.try_pass(causes, on) {
            Ok((plan, outcome, seen)) => {
                let rest = self.rest(&plan, &outcome, &seen);
                Passed { rest, plan: Some(plan), outcome, ..passed(seen) }
            }
            Err(error) => {
                self.records = None;
                let reads = self.reads();
                Passed { error: Some(error), ..passed(Seen { reads, ..Seen::default() }) }
            }
        }
    }

    fn try_pass(
        &mut self,
        causes: &BTreeSet<Cause>,
        on: &mut dyn FnMut(Event),
    ) -> Result<(Plan, Outcome, Seen), PassError> {
        if causes.iter().any(|cause| cause.reads_manifest()) {
            self.read_manifest(on)?;
        }
        let mut records = self.remembered()?;
        if !records.intents.is_empty() {
            recover(&mut self.site(&self.policy.clone()), records, on)?;
            records = self.store.records()?;
        }
        let mut policy = Policy { failed: self.failed.clone(), ..self.policy.clone() };
        let (mut snapshot, mut plan) = survey(&mut self.world, &self.fleet, &records, &policy);
        let fetches = fetch::of_plan(&self.fleet, &plan, false);
        let fetched = self.world.perform(&fetches);
        for error in fetched.iter().filter_map(|result| result.as_ref().err()) {
            on(Event::Note(format!("{error}; going on with what is there")));
        }
        if fetch::is_news(&fetched) {
            (snapshot, plan) = survey(&mut self.world, &self.fleet, &records, &policy);
        }
        policy.approved = approved(&plan);
        let written = self.store.written();
        let kept = records.clone();
        let outcome = execute(&mut self.site(&policy), (&snapshot, &plan), records, on)?;
        self.world.rest();
        self.mind_failures(&outcome);
        self.records = (self.store.written() == written).then_some(kept);
        let seen = Seen { reads: self.reads(), tmux: seen_tmux(&self.fleet, &snapshot) };
        Ok((plan, outcome, seen))
    }

    /// What failed is tried again after a while, and after twice that the next time.
    fn mind_failures(&mut self, outcome: &Outcome) {
        let now = self.world.now();
        for line in &outcome.lines {
            match line.result {
                StepResult::Done(_) => drop(self.failed.remove(&line.name)),
                StepResult::Failed(_) => {
                    let times = self.failed.get(&line.name).map_or(1, |failed| failed.times + 1);
                    let wait =
                        TRY_AGAIN.saturating_mul(1 << (times - 1).min(6)).min(TRY_AGAIN_LAST);
                    let again = now.checked_add(wait).unwrap_or(now);
                    self.failed.insert(line.name.clone(), Failed { times, again });
                }
                StepResult::Held(_) | StepResult::NotAttempted(_) => {}
            }
        }
    }

    fn remembered(&mut self) -> Result<Records, PassError> {
        match self.records.take() {
            Some(records) => Ok(records),
            None => Ok(self.store.records()?),
        }
    }

    fn site<'a>(&'a mut self, policy: &'a Policy) -> Site<'a, W> {
        Site {
            world: &mut self.world,
            store: &mut self.store,
            house: &self.house,
            fleet: &self.fleet,
            policy,
        }
    }

    /// Takes the file's fleet over, or says once what is wrong with it.
    fn read_manifest(&mut self, on: &mut dyn FnMut(Event)) -> Result<(), PassError> {
        match (self.load)() {
            Ok(fleet) => {
                if fleet.digest != self.fleet.digest {
                    self.failed.clear();
                }
                self.fleet = fleet;
                if let Some(failing) = self.failing.take() {
                    let text =
                        format!("the manifest is good again; it was not since {}", failing.since);
                    self.tell("valid", text, on)?;
                }
            }
            Err(Unfit { why, reads }) => {
                let known = self.failing.as_ref();
                let news = known.is_none_or(|failing| failing.why != why);
                let since = known.map_or_else(|| self.world.now(), |failing| failing.since);
                self.failing = Some(Failing { since, why: why.clone(), reads });
                if news {
                    let text = format!("the last good manifest is kept: {why}");
                    self.tell("invalid", text, on)?;
                }
            }
        }
        Ok(())
    }

    fn tell(
        &mut self,
        verb: &str,
        text: String,
        on: &mut dyn FnMut(Event),
    ) -> Result<(), PassError> {
        let at = self.world.now();
        let line = text.lines().next().unwrap_or_default().to_owned();
        let outcome = store::events::Outcome::Noted;
        let event =
            store::Event { at, session: String::new(), verb: verb.to_owned(), outcome, text: line };
        self.store.write(&[Change::Event(event)])?;
        on(Event::Note(text));
        Ok(())
    }

    /// Where the next change of the desired state would be.
    fn reads(&self) -> Reads {
        let mut reads = self.fleet.reads.clone();
        if let Some(failing) = &self.failing {
            reads.files.extend(failing.reads.files.iter().cloned());
            reads.directories.extend(failing.reads.directories.iter().cloned());
        }
        reads
    }

    fn rest(&self, plan: &Plan, outcome: &Outcome, seen: &Seen) -> Rest {
        if outcome.did_something() {
            return Rest::Again;
        }
        if seen.tmux.is_none() {
            return Rest::Failed;
        }
        let left = |due: Timestamp| {
            let left = due.duration_since(self.world.now());
            Duration::try_from(left).unwrap_or_default()
        };
        let again = self.failed.values().map(|failed| failed.again).min();
        Rest::Until(plan.due.into_iter().chain(again).min().map(left))
    }
}

fn seen_tmux(fleet: &Fleet, snapshot: &Snapshot) -> Option<SeenTmux> {
    let ours = |pane: &&Pane| {
        pane.state == PaneState::Alive
            && matches!(&pane.mark, Marked::Yes(mark) if mark.fleet == fleet.name)
    };
    match &snapshot.tmux {
        Observed::Known(server) => Some(SeenTmux {
            server: Some(server.id.clone()),
            processes: server.panes.iter().filter(ours).map(|pane| pane.pid).collect(),
        }),
        Observed::Absent(_) => Some(SeenTmux::default()),
        Observed::Unknown(_) => None,
    }
}
