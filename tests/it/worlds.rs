//! Random pairs of a manifest and a machine, with the memory that belongs to them: sessions that run, died,
//! were stopped, changed or left the file, beside things of the user's.

use crate::fleets::{
    Kind, ago, apply, end, fleet, installation, name, now, pane, record, session, wish,
};
use fleetctl::manifest::fleet::{
    AtRisk, Dependency, Desired, Fleet, Moved, Need, Port, PortPool, Probe, Ready, Restart, Resume,
    Session, StopAfter, Until, Worktree as Where,
};
use fleetctl::name::Name;
use fleetctl::plan::Policy;
use fleetctl::record::{EndKind, Place, Record, Records, StopReason, WishKind};
use fleetctl::snapshot::{LaunchFailureReason, Lock, PaneState, PortHolder, Risk};
use fleetctl::world::sim::{Fate, Forest, Sim, Tree};
use proptest::prelude::*;
use std::time::Duration;

/// What a pair is made of.
#[derive(Debug, Clone)]
pub struct Draft {
    pub slots: Vec<Slot>,
    pub max_running: usize,
    pub archive: bool,
    pub server_died: bool,
    /// The slot of the first number has its record under the name of the second.
    pub moved: Option<(usize, usize)>,
    pub orphan: bool,
    /// Cut off whoever is busy.
    pub now: bool,
}

/// One session of a pair.
#[derive(Debug, Clone)]
pub struct Slot {
    pub in_file: bool,
    pub recorded: bool,
    pub kind: Kind,
    pub place: Site,
    pub stopped: bool,
    pub restart: Restart,
    pub resume: Resume,
    pub depends_on_last: bool,
    pub drift: Drift,
    pub protect: (bool, bool),
    pub state: Option<PaneState>,
    pub attached: bool,
    pub working: bool,
    pub neighbour: bool,
    pub tree: Ground,
    pub risky: bool,
    pub transcript: bool,
    pub wish: Option<WishKind>,
    pub end: Option<EndKind>,
    pub obstacle: Option<Obstacle>,
    pub fate: Option<Fate>,
    pub ends: Ends,
}

/// What begins and ends it by itself.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    pub need: Need,
    /// It has a `ready`, and whether that is so.
    pub ready: Option<bool>,
    /// It ran for longer than it may.
    pub old: bool,
    /// It was idle for so many minutes of the ten that it may be.
    pub idle: Option<i64>,
    /// It has an `until`, and whether its work is merged.
    pub until: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    Own,
    Repository,
    OfLast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    No,
    InPlace,
    Noted,
    Restart,
    Recreate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    Ours,
    Lost,
    Missing,
    Unlocked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    TmuxName,
    Path,
    Branch,
}

/// A pair, ready to be planned.
#[derive(Debug, Clone)]
pub struct Pair {
    pub fleet: Fleet,
    pub sim: Sim,
    pub records: Records,
    pub policy: Policy,
}

pub fn draft() -> impl Strategy<Value = Draft> {
    let slots = prop::collection::vec(slot(), 1..7);
    let moved = prop::option::weighted(0.2, (0usize..6, 0usize..6));
    (slots, 1usize..5, any::<bool>(), prop::bool::weighted(0.15), moved, any::<(bool, bool)>())
        .prop_map(|(slots, max_running, archive, server_died, moved, (orphan, now))| Draft {
            slots,
            max_running,
            archive,
            server_died,
            moved,
            orphan,
            now,
        })
}

/// What the file says of a slot, and what memory has against it.
type Wanted = (bool, bool, Kind, Site, bool, Restart, Resume, bool, Drift, (bool, bool));

/// What the machine and a human made of it.
type Seen = (
    Option<PaneState>,
    bool,
    bool,
    bool,
    Ground,
    bool,
    bool,
    Option<WishKind>,
    Option<EndKind>,
    (Option<Obstacle>, Option<Fate>),
);

fn wanted() -> impl Strategy<Value = Wanted> {
    (
        prop::bool::weighted(0.75),
        prop::bool::weighted(0.7),
        prop_oneof![Just(Kind::Agent), Just(Kind::Command), Just(Kind::Shell)],
        prop_oneof![3 => Just(Site::Own), 1 => Just(Site::Repository), 1 => Just(Site::OfLast)],
        prop::bool::weighted(0.15),
        prop_oneof![Just(Restart::OnFailure), Just(Restart::Always), Just(Restart::Never)],
        prop_oneof![Just(Resume::Preferred), Just(Resume::Required), Just(Resume::Never)],
        prop::bool::weighted(0.3),
        prop_oneof![
            4 => Just(Drift::No),
            1 => Just(Drift::InPlace),
            1 => Just(Drift::Noted),
            1 => Just(Drift::Restart),
            1 => Just(Drift::Recreate),
        ],
        (prop::bool::weighted(0.1), prop::bool::weighted(0.1)),
    )
}

fn seen() -> impl Strategy<Value = Seen> {
    (
        prop_oneof![
            4 => Just(Some(PaneState::Alive)),
            2 => Just(None),
            1 => Just(Some(PaneState::Exited(0))),
            1 => Just(Some(PaneState::Exited(1))),
            1 => Just(Some(PaneState::Killed(15))),
            1 => Just(Some(PaneState::Lost)),
        ],
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.15),
        prop_oneof![
            6 => Just(Ground::Ours),
            1 => Just(Ground::Lost),
            1 => Just(Ground::Missing),
            1 => Just(Ground::Unlocked),
        ],
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.8),
        prop::option::weighted(
            0.15,
            prop_oneof![Just(WishKind::Stop), Just(WishKind::Hold), Just(WishKind::Restored)],
        ),
        prop::option::weighted(
            0.15,
            prop_oneof![
                Just(EndKind::Completed),
                Just(EndKind::ByHand),
                Just(EndKind::GivenUp),
                Just(EndKind::Stopped(StopReason::File)),
                Just(EndKind::Stopped(StopReason::Restart)),
            ],
        ),
        (obstacle(), fate()),
    )
}

fn slot() -> impl Strategy<Value = Slot> {
    (wanted(), seen(), ends()).prop_map(|(wanted, seen, ends)| {
        let (in_file, recorded, kind, place, stopped, restart, resume, waits, drift, protect) =
            wanted;
        let (state, attached, working, neighbour, tree, risky, transcript, wish, end, other) = seen;
        let (obstacle, fate) = other;
        Slot {
            in_file,
            recorded,
            kind,
            place,
            stopped,
            restart,
            resume,
            depends_on_last: waits,
            drift,
            protect,
            state,
            attached,
            working,
            neighbour,
            tree,
            risky,
            transcript,
            wish,
            end,
            obstacle,
            // Under `always` what exits at once is started by every pass: that is what it asks for.
            fate: fate.filter(|_| restart != Restart::Always),
            ends,
        }
    })
}

fn ends() -> impl Strategy<Value = Ends> {
    let needs = prop_oneof![
        4 => Just(Need::Started),
        1 => Just(Need::Ready),
        1 => Just(Need::Idle),
        1 => Just(Need::Completed),
        1 => Just(Need::Merged),
    ];
    let idle = prop_oneof![Just(5), Just(15)];
    (
        needs,
        prop::option::weighted(0.2, any::<bool>()),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.2, idle),
        prop::option::weighted(0.25, any::<bool>()),
    )
        .prop_map(|(need, ready, old, idle, until)| Ends { need, ready, old, idle, until })
}

fn obstacle() -> impl Strategy<Value = Option<Obstacle>> {
    let kinds = prop_oneof![Just(Obstacle::TmuxName), Just(Obstacle::Path), Just(Obstacle::Branch)];
    prop::option::weighted(0.1, kinds)
}

fn fate() -> impl Strategy<Value = Option<Fate>> {
    let kinds = prop_oneof![
        Just(Fate::Exits(0)),
        Just(Fate::Exits(1)),
        Just(Fate::Fails(LaunchFailureReason::Setup)),
        Just(Fate::Fails(LaunchFailureReason::Program)),
    ];
    prop::option::weighted(0.1, kinds)
}

fn name_of(index: usize) -> Name {
    name(&format!("s{index}"))
}

impl Ends {
    /// What the file says of it.
    fn say(self, session: &mut Session) {
        let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
        let probe = Probe::Port(Port::Number(80));
        session.ready = self.ready.map(|_| Ready { probe, timeout: Duration::from_secs(60) });
        session.stop_after = StopAfter {
            idle: self.idle.and_then(|_| minutes(10)),
            age: if self.old { minutes(30) } else { None },
        };
        session.until = self.until.map(|_| Until::Merged);
    }
}

impl Draft {
    /// The last session before this one that has a worktree of its own and is in the file when it must be.
    fn owner(&self, index: usize, in_file: bool) -> Option<usize> {
        (0..index).rev().find(|before| {
            let slot = &self.slots[*before];
            slot.place == Site::Own && (slot.in_file || !in_file)
        })
    }

    fn session(&self, index: usize) -> Session {
        let slot = &self.slots[index];
        let mut session = session(name_of(index).as_str(), slot.kind);
        session.worktree = match (slot.place, self.owner(index, slot.in_file)) {
            (Site::OfLast, Some(owner)) => Where::Shared(name_of(owner)),
            (Site::Repository, _) => Where::Repository,
            (Site::Own | Site::OfLast, _) => session.worktree,
        };
        session.ports = match slot.kind {
            Kind::Agent => Vec::new(),
            Kind::Command => vec!["web".into()],
            Kind::Shell => vec!["web".into(), "db".into()],
        };
        session.state = if slot.stopped { Desired::Stopped } else { Desired::Running };
        session.restart = slot.restart;
        session.resume = slot.resume;
        session.protect = slot.protect.0;
        let last = (0..index).rev().find(|before| self.slots[*before].in_file);
        let waits = last.filter(|_| slot.depends_on_last);
        let on = |last| Dependency { on: name_of(last), need: slot.ends.need };
        session.depends_on = waits.map(on).into_iter().collect();
        slot.ends.say(&mut session);
        apply(&mut session);
        session
    }

    fn fleet(&self) -> Fleet {
        let listed = (0..self.slots.len()).filter(|index| self.slots[*index].in_file);
        let mut fleet = fleet(listed.map(|index| self.session(index)));
        fleet.settings.max_running = self.max_running;
        fleet.settings.ports = Some(PortPool { first: 41_000, last: 41_039 });
        if self.archive {
            fleet.settings.at_risk = AtRisk::Archive;
        }
        if let Some((from, to)) = self.moved {
            fleet.moved = vec![Moved { from: name_of(from), to: name_of(to) }];
        }
        fleet
    }

    fn record(&self, index: usize) -> Record {
        let slot = &self.slots[index];
        let mut record = record(&self.session(index), index as u128 + 1);
        record.protected_since = slot.protect.1.then_some(1);
        record.wish = slot.wish.map(wish);
        record.end = slot.end.clone().map(end).filter(|_| slot.state != Some(PaneState::Alive));
        record.books.idle_since = slot.ends.idle.map(ago);
        let applied = &mut record.applied;
        match slot.drift {
            Drift::No => None,
            Drift::InPlace => applied.in_place.insert("ports".into(), "old".into()),
            Drift::Noted => applied.noted.insert("prompt".into(), "before".into()),
            Drift::Restart => applied.restart.insert("env.OLD".into(), "digest".into()),
            Drift::Recreate => applied.recreate.insert("branch".into(), "old".into()),
        };
        let names = self.session(index).ports;
        let names = if slot.drift == Drift::InPlace { vec!["old".to_owned()] } else { names };
        let first = 41_000 + 2 * u16::try_from(index).expect("a small number");
        record.ports = names.into_iter().zip(first..).collect();
        record
    }

    /// The file, the machine and the memory.
    pub fn pair(&self) -> Pair {
        let mut sim = Sim::new(now());
        let mut forest = Forest::new(crate::fleets::REPO);
        let server = sim.terminal.wake();
        let mut kept = Vec::new();
        for (index, slot) in self.slots.iter().enumerate() {
            self.put_obstacle(index, &mut sim, &mut forest);
            if let Some(fate) = slot.fate {
                sim.terminal.fates.insert(name_of(index), fate);
            }
            if slot.ends.ready == Some(false) {
                sim.unready.insert(name_of(index));
            }
            if !slot.recorded {
                continue;
            }
            let mut record = self.record(index);
            if let Some(runtime) = &mut record.runtime {
                runtime.server = server.clone();
            }
            self.put_tree(index, &record, &mut forest);
            self.put_panes(index, &record, &mut sim);
            if slot.transcript {
                sim.transcripts.insert(record.uid);
            }
            kept.push(record);
        }
        if self.orphan {
            let lost = record(&session("stray", Kind::Shell), 99);
            sim.terminal.panes.push(pane(&lost, PaneState::Alive));
        }
        if self.server_died {
            sim.terminal.die();
        }
        sim.repos.insert(crate::fleets::REPO.into(), forest);
        sim.ports = (41_000..41_030).step_by(3).map(|port| (port, PortHolder::Somebody)).collect();
        let fleet = self.fleet();
        let mut policy = Policy::new(installation());
        policy.max_decommission = Some(100);
        if self.now {
            policy.now = (0..self.slots.len()).map(name_of).collect();
        }
        Pair { fleet, sim, records: crate::fleets::records(kept), policy }
    }

    fn put_tree(&self, index: usize, record: &Record, forest: &mut Forest) {
        let slot = &self.slots[index];
        if !matches!(record.place, Place::Own { .. }) || slot.tree == Ground::Missing {
            return;
        }
        let mut entry = crate::fleets::worktree(record);
        entry.present = slot.tree != Ground::Lost;
        if slot.tree == Ground::Unlocked {
            entry.lock = Lock::No;
        }
        if let Some(branch) = record.place.branch() {
            forest.branches.insert(branch.into(), format!("c{index}"));
        }
        let risks = if slot.risky { vec![Risk::Modified(1)] } else { Vec::new() };
        let merged = slot.ends.until == Some(true);
        forest.trees.push(Tree { entry, risks, merged });
    }

    fn put_panes(&self, index: usize, record: &Record, sim: &mut Sim) {
        let slot = &self.slots[index];
        let Some(state) = slot.state else { return };
        let ours = fleetctl::snapshot::Pane { attached: slot.attached, ..pane(record, state) };
        let window = ours.window.clone();
        if slot.working && slot.kind == Kind::Shell {
            sim.terminal.commands.insert(ours.id.clone(), "make".into());
        }
        sim.terminal.panes.push(ours);
        if slot.neighbour {
            let id = sim.terminal.open(&record.tmux_name, Some("vim"));
            if let Some(beside) = sim.terminal.panes.iter_mut().find(|pane| pane.id == id) {
                beside.window = window;
            }
        }
    }

    fn put_obstacle(&self, index: usize, sim: &mut Sim, forest: &mut Forest) {
        let slot = &self.slots[index];
        if slot.recorded {
            return;
        }
        match slot.obstacle {
            Some(Obstacle::TmuxName) => {
                drop(sim.terminal.open(&format!("shop/s{index}"), Some("vim")));
            }
            Some(Obstacle::Path) => forest.taken.push(crate::fleets::path_of(&name_of(index))),
            Some(Obstacle::Branch) => {
                let mut stranger = record(&session("stranger", Kind::Shell), 50 + index as u128);
                stranger.place = Place::Own {
                    repo: crate::fleets::REPO.into(),
                    path: format!("/home/ann/tree-{index}").into(),
                    branch: Some(format!("shop/s{index}")),
                    base: None,
                };
                forest.branches.insert(format!("shop/s{index}"), "c9".into());
                let mut entry = crate::fleets::worktree(&stranger);
                entry.lock = Lock::No;
                forest.trees.push(Tree { entry, risks: vec![Risk::Untracked(1)], merged: false });
            }
            None => {}
        }
    }
}
