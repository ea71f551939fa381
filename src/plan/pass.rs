//! One planning pass under way: the inputs, their indices, the questions that came up and the places that
//! are taken. Owns how a question becomes an answer, a refusal, or a question still open. Invariant: an
//! answer that could not be had refuses the step that needs it.

use super::names::Names;
use super::needs::Standing;
use super::ports::Ports;
use super::sight::Sight;
use super::{HoldReason, Pace, Policy, Request};
use crate::manifest::fleet::{Fleet, Session};
use crate::name::{Name, Uid};
use crate::record::{Books, EndKind, IntentKind, Place, Record, Records, StopReason};
use crate::snapshot::{
    Blind, BranchSource, Company, Ground, GroundAt, Observed, PaneId, PaneState, PortsAt, Process,
    Question, Repository, RuntimeAt, Snapshot, TranscriptAt, Work, WorkAt,
};
use jiff::{SignedDuration, Timestamp};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// So long an agent counts as one that is starting.
const STARTING: SignedDuration = SignedDuration::from_secs(3);
/// Up to so many milliseconds more are waited.
const SPREAD: i64 = 1_000;

/// Why a step is not planned.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// It is held.
    Held(HoldReason),
    /// A question is open; what it is about.
    Open(String),
}

impl From<HoldReason> for Refusal {
    fn from(reason: HoldReason) -> Self {
        Self::Held(reason)
    }
}

impl Refusal {
    /// The reason of the hold that stands until the question is answered.
    pub(super) fn reason(self) -> HoldReason {
        match self {
            Self::Held(reason) => reason,
            Self::Open(what) => {
                HoldReason::Unseen(Blind { what, cause: "it was not looked at yet".into() })
            }
        }
    }
}

/// The pass.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) snapshot: &'a Snapshot,
    pub(super) records: &'a Records,
    pub(super) policy: &'a Policy,
    pub(super) sight: Sight<'a>,
    pub(super) names: Names<'a>,
    pub(super) questions: BTreeSet<Question>,
    pub(super) blind: BTreeSet<Blind>,
    /// How the file's sessions stand when this pass is done, as far as that is decided.
    pub(super) standing: HashMap<&'a Name, Standing>,
    /// What looks have taught and is not recorded yet.
    pub(super) books: BTreeMap<Uid, Books>,
    /// Times at which something is due.
    pub(super) wakes: Vec<Timestamp>,
    /// Sharers that stop before the worktree under them is replaced.
    pub(super) must_stop: BTreeMap<Uid, Name>,
    /// Owners whose worktree goes in this pass, for good or for another one.
    pub(super) replaced: HashSet<&'a Name>,
    /// Where the worktrees that this pass makes will be.
    pub(super) planned: HashMap<&'a Name, Place>,
    /// Paths, branches (after their repository) and tmux names that this pass will take.
    pub(super) claimed_paths: HashSet<PathBuf>,
    pub(super) claimed_branches: HashMap<(PathBuf, String), PathBuf>,
    pub(super) claimed_tmux: HashSet<String>,
    pub(super) claimed_ports: HashSet<u16>,
    /// The ports of sessions once their steps are done.
    pub(super) allotted: BTreeMap<Name, Ports>,
    /// The one question about ports, once it is needed.
    pub(super) ports_at: OnceCell<PortsAt>,
    sharers: HashMap<&'a Path, Vec<&'a Record>>,
    tmux_names: HashMap<&'a str, Uid>,
    own_paths: HashMap<&'a Path, Uid>,
    /// By repository and branch.
    own_branches: HashMap<(&'a Path, &'a str), Vec<&'a Record>>,
    /// Agents that run or are going to.
    agents: usize,
    /// Agents that were started a moment ago, or are going to be.
    starting: usize,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        fleet: &'a Fleet,
        snapshot: &'a Snapshot,
        records: &'a Records,
        policy: &'a Policy,
    ) -> Self {
        let mut pass = Self {
            fleet,
            snapshot,
            records,
            policy,
            sight: Sight::new(snapshot, &policy.installation, &fleet.name),
            names: Names::new(fleet, records),
            questions: BTreeSet::new(),
            blind: BTreeSet::new(),
            standing: HashMap::new(),
            books: BTreeMap::new(),
            wakes: Vec::new(),
            must_stop: BTreeMap::new(),
            replaced: HashSet::new(),
            planned: HashMap::new(),
            claimed_paths: HashSet::new(),
            claimed_branches: HashMap::new(),
            claimed_tmux: HashSet::new(),
            claimed_ports: HashSet::new(),
            allotted: BTreeMap::new(),
            ports_at: OnceCell::new(),
            sharers: HashMap::new(),
            tmux_names: HashMap::new(),
            own_paths: HashMap::new(),
            own_branches: HashMap::new(),
            agents: 0,
            starting: 0,
        };
        for record in records.sessions.values() {
            pass.tmux_names.insert(&record.tmux_name, record.uid);
            if let Some(branch) = record.place.branch() {
                let key = (record.place.repo().as_path(), branch);
                pass.own_branches.entry(key).or_default().push(record);
            }
            match &record.place {
                Place::Own { path, .. } => drop(pass.own_paths.insert(path, record.uid)),
                Place::Shared { path, .. } => pass.sharers.entry(path).or_default().push(record),
                Place::Repository { .. } => {}
            }
            let has_place = pass.is_alive(record.uid) || is_between_runs(record);
            let agent = !record.applied.parting.shell;
            pass.agents += usize::from(agent && has_place);
            pass.starting += usize::from(agent && has_place && pass.is_starting(record));
        }
        pass.mind_approved_owners();
        pass
    }

    /// In a pass over a sharer, an owner whose recreate was approved is as good as planned: it waits for this
    /// sharer, and for others that the pass is not about.
    fn mind_approved_owners(&mut self) {
        if self.policy.only.is_none() {
            return;
        }
        let approved = self.policy.approved.iter().filter_map(|uid| self.records.sessions.get(uid));
        for owner in approved {
            let name = self.names.renames.get(&owner.uid).unwrap_or(&owner.name);
            if self.fleet.sessions.contains_key(name) {
                let name = name.clone();
                for sharer in self.sharers(owner) {
                    self.must_stop.insert(sharer.uid, name.clone());
                }
            }
        }
    }

    /// True when the pass is about this session.
    pub(super) fn selects(&self, name: &Name) -> bool {
        self.policy.only.as_ref().is_none_or(|only| only.contains(name))
    }

    /// What a verb asks of this session.
    pub(super) fn request(&self, name: &Name) -> Option<Request> {
        self.policy.requests.get(name).copied()
    }

    /// The create that was cut off while it made this incarnation: where its branch comes from.
    pub(super) fn begun(&self, uid: Uid) -> Option<&'a Option<BranchSource>> {
        self.records.intents.iter().find_map(|intent| match &intent.kind {
            IntentKind::Create { branch } if intent.uid == uid => Some(branch),
            _ => None,
        })
    }

    /// The worktree that is a record's own, to be assessed, and the runs that end before it goes.
    pub(super) fn own_work(&self, record: &Record) -> Option<WorkAt> {
        let Place::Own { repo, path, .. } = &record.place else { return None };
        let sharers = self.sharers(record);
        let ending = sharers.iter().copied().chain([record]);
        let mut sids: Vec<u32> = ending.flat_map(|record| self.sids(record)).collect();
        sids.sort_unstable();
        sids.dedup();
        Some(WorkAt { uid: record.uid, repo: repo.clone(), path: path.clone(), sids })
    }

    fn sids(&self, record: &Record) -> impl Iterator<Item = u32> {
        let pane = match self.sight.pane(record.uid) {
            super::sight::PaneOf::One(pane) => Some(pane.pid),
            super::sight::PaneOf::None | super::sight::PaneOf::Doubled => None,
        };
        let recorded = record.runtime.as_ref().map(|runtime| runtime.pid);
        pane.into_iter().chain(recorded)
    }

    /// Proof that tmux was seen, or the refusal of all that needs it.
    pub(super) fn tmux(&self) -> Result<(), Refusal> {
        match self.snapshot.tmux.blind() {
            None => Ok(()),
            Some(blind) => Err(HoldReason::Unseen(blind.clone()).into()),
        }
    }

    /// A repository as seen, or the refusal of all that needs it.
    pub(super) fn repository(&self, path: &Path) -> Result<&'a Repository, Refusal> {
        let missing = || {
            let what = format!("repository {}", path.display());
            Blind { what, cause: "there is no repository".into() }
        };
        match self.snapshot.repos.get(path) {
            Some(Observed::Known(repository)) => Ok(repository),
            Some(Observed::Unknown(blind)) => Err(HoldReason::Unseen(blind.clone()).into()),
            Some(Observed::Absent(_)) | None => Err(HoldReason::Unseen(missing()).into()),
        }
    }

    pub(super) fn is_alive(&self, uid: Uid) -> bool {
        match self.sight.pane(uid) {
            super::sight::PaneOf::One(pane) => pane.state == PaneState::Alive,
            super::sight::PaneOf::Doubled => true,
            super::sight::PaneOf::None => false,
        }
    }

    /// The records of the sessions that share an incarnation's own worktree.
    pub(super) fn sharers(&self, record: &Record) -> Vec<&'a Record> {
        match &record.place {
            Place::Own { path, .. } => {
                self.sharers.get(path.as_path()).cloned().unwrap_or_default()
            }
            Place::Repository { .. } | Place::Shared { .. } => Vec::new(),
        }
    }

    /// The session in whose worktree another one works now, by the name that it has in the file.
    pub(super) fn host(&self, sharer: &Name) -> Option<&Name> {
        let Place::Shared { path, .. } = &self.names.record(sharer)?.place else { return None };
        let host = self.records.sessions.get(self.own_paths.get(path.as_path())?)?;
        Some(self.names.renames.get(&host.uid).unwrap_or(&host.name))
    }

    /// True when another incarnation of ours has recorded this tmux name.
    pub(super) fn is_tmux_name_of_another(&self, name: &str, but: Option<Uid>) -> bool {
        self.tmux_names.get(name).is_some_and(|uid| Some(*uid) != but)
            || self.claimed_tmux.contains(name)
    }

    /// True when a session of another name has recorded this branch of the session's repository.
    pub(super) fn is_branch_of_another(
        &self,
        session: &Session,
        branch: &str,
        but: Option<Uid>,
    ) -> bool {
        let known = self.own_branches.get(&(session.repo.path.as_path(), branch));
        known.into_iter().flatten().any(|other| {
            let name = self.names.renames.get(&other.uid).unwrap_or(&other.name);
            Some(other.uid) != but && *name != session.name
        })
    }

    /// True when another incarnation of ours has recorded this path.
    pub(super) fn is_path_of_another(&self, path: &Path, but: Option<Uid>) -> bool {
        self.own_paths.get(path).is_some_and(|uid| Some(*uid) != but)
            || self.claimed_paths.contains(path)
    }

    /// Refuses a start for which an agent would have to wait. One that was cut off between two runs kept its
    /// place.
    pub(super) fn room(&self, session: &Session, old: Option<&Record>) -> Result<(), Refusal> {
        let max = self.fleet.settings.max_running;
        if session.is_shell() || old.is_some_and(has_kept_its_place) {
            return Ok(());
        }
        if self.agents < max {
            return self.calm(session);
        }
        // The places are counted when all are known.
        Err(HoldReason::Queued { place: 0, of: 0, max }.into())
    }

    /// Refuses a start while as many agents as may be starting at once were started a moment ago: after a
    /// reboot the machine is not asked for all of them together. A single pass starts all that it may.
    fn calm(&self, session: &Session) -> Result<(), Refusal> {
        let max = self.fleet.settings.max_starting;
        if self.policy.pace == Pace::Once || self.starting < max {
            return Ok(());
        }
        // Spread by name, so that fleets on one machine do not start theirs in step.
        let name = session.name.as_str().bytes();
        let spread = name.fold(0_i64, |sum, byte| (sum * 31 + i64::from(byte)) % SPREAD);
        let wait = STARTING + SignedDuration::from_millis(spread);
        let until = self.snapshot.taken.checked_add(wait).unwrap_or(self.snapshot.taken);
        Err(HoldReason::Starting { max, until }.into())
    }

    fn is_starting(&self, record: &Record) -> bool {
        let began = record.runtime.as_ref().filter(|runtime| runtime.run == record.run);
        began.is_some_and(|runtime| {
            let age = self.snapshot.taken.duration_since(runtime.started);
            !age.is_negative() && age < STARTING
        })
    }

    /// Takes a place under `max_running`.
    pub(super) fn take_place(&mut self, session: &Session, old: Option<&Record>) {
        let new = !session.is_shell() && !old.is_some_and(has_kept_its_place);
        self.agents += usize::from(new);
        self.starting += usize::from(new);
    }

    /// What an answer comes to: a value, none, or a refusal; without one the question is asked.
    pub(super) fn answered<T>(
        &mut self,
        question: Question,
        answer: Option<&'a Observed<T>>,
        what: impl FnOnce() -> String,
    ) -> Result<Option<&'a T>, Refusal> {
        match answer {
            None => {
                self.questions.insert(question);
                Err(Refusal::Open(what()))
            }
            Some(Observed::Known(value)) => Ok(Some(value)),
            Some(Observed::Absent(_)) => Ok(None),
            Some(Observed::Unknown(blind)) => {
                self.blind.insert(blind.clone());
                Err(HoldReason::Unseen(blind.clone()).into())
            }
        }
    }

    /// The work in a worktree; a clean one when the worktree is proven not to be there.
    pub(super) fn work(&mut self, at: &WorkAt) -> Result<Option<&'a Work>, Refusal> {
        let answer = self.snapshot.answers.work.get(&at.uid);
        let what = || format!("worktree {}", at.path.display());
        self.answered(Question::Work(at.clone()), answer, what)
    }

    /// What a new worktree would stand on.
    pub(super) fn ground(&mut self, at: &GroundAt) -> Result<&'a Ground, Refusal> {
        let answer = self.snapshot.answers.ground.get(at);
        let what = || format!("repository {}", at.repo.display());
        self.answered(Question::Ground(at.clone()), answer, what)?.ok_or_else(|| {
            let cause = "nothing for a new worktree to stand on".into();
            HoldReason::Unseen(Blind { what: what(), cause }).into()
        })
    }

    /// What runs beside a pane of ours; `None` when the pane is gone.
    pub(super) fn company(&mut self, pane: &PaneId) -> Result<Option<&'a Company>, Refusal> {
        let answer = self.snapshot.answers.company.get(pane);
        self.answered(Question::Company(pane.clone()), answer, || format!("tmux pane {}", pane.0))
    }

    /// Whether a conversation is on disk.
    pub(super) fn transcript(&mut self, at: TranscriptAt) -> Result<bool, Refusal> {
        let answer = self.snapshot.answers.transcripts.get(&at.uid);
        let found = self.answered(Question::Transcript(at), answer, || "the transcript".into())?;
        Ok(found.copied().unwrap_or(false))
    }

    /// What is left of an incarnation's last run.
    pub(super) fn survivors(&mut self, record: &Record) -> Result<Option<&'a [Process]>, Refusal> {
        let Some(runtime) = &record.runtime else { return Ok(None) };
        let boot = runtime.server.boot.clone();
        let at = RuntimeAt { uid: record.uid, sid: runtime.pid, boot };
        let answer = self.snapshot.answers.survivors.get(&at.uid);
        let what = || format!("processes of session {}", runtime.pid);
        let found = self.answered(Question::Survivors(at), answer, what)?;
        Ok(found.map(Vec::as_slice))
    }
}

/// True when its run was ended for the next one to begin.
pub(super) fn is_between_runs(record: &Record) -> bool {
    record.end.as_ref().is_some_and(|end| {
        matches!(end.kind, EndKind::Stopped(StopReason::Restart | StopReason::Owner))
    })
}

fn has_kept_its_place(record: &Record) -> bool {
    !record.applied.parting.shell && is_between_runs(record)
}
