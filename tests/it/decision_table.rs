//! The policy as a table: every cell of what the file wants, what the store remembers and what was seen is
//! planned, and cells that differ in nothing are one line. The golden file is the policy.

use crate::fleets::{
    Kind, ago, end, fleet, installation, name, now, on, pane, record, records, session, snapshot,
    uid, wish, worktree,
};
use fleetctl::manifest::fleet::{
    AtRisk, Desired, Fleet, Need, Port, Probe, Ready, Restart, Session, Until,
};
use fleetctl::plan::{
    Conflict, HoldReason, Lag, LaunchMode, Pace, Plan, Policy, Removals, Request, StepKind,
    Verdict, plan,
};
use fleetctl::record::{Crashes, EndKind, Expiry, Finished, Record, Records, StopReason, WishKind};
use fleetctl::snapshot::{
    Blind, BranchSource, Commit, Company, Evidence, Ground, LaunchFailure, LaunchFailureReason,
    Lock, Marked, Merge, Observed, PaneState, PortsSeen, Question, Risk, Snapshot, Work,
};
use std::fmt::Write as _;
use std::path::Path;

const GOLDEN: &str = include_str!("golden/decision_table.txt");

/// One cell's world, changed by the values of its axes one after the other.
struct Cell {
    fleet: Fleet,
    records: Records,
    snapshot: Snapshot,
    policy: Policy,
    /// What a second look would find.
    work: Work,
    working: bool,
    others: Vec<String>,
    ground: Option<Ground>,
    transcript: bool,
    merged: bool,
    ready: bool,
    unseen_answers: bool,
}

/// The value of an axis: its name and what it does to a cell.
type Value = (&'static str, fn(&mut Cell));

/// An axis of the table.
struct Axis {
    title: &'static str,
    values: Vec<Value>,
}

fn axis(title: &'static str, values: &[Value]) -> Axis {
    Axis { title, values: values.to_vec() }
}

impl Cell {
    /// A session `api` that runs as the file has it.
    fn converged(kind: Kind) -> Self {
        let session = session("api", kind);
        let record = record(&session, 1);
        Self {
            snapshot: snapshot(vec![pane(&record, PaneState::Alive)], vec![worktree(&record)]),
            records: records([record]),
            fleet: fleet([session]),
            policy: Policy::new(installation()),
            work: Work { branch: Some("shop/api".into()), ..Work::default() },
            working: false,
            others: Vec::new(),
            ground: None,
            transcript: true,
            merged: false,
            ready: false,
            unseen_answers: false,
        }
    }

    fn session(&mut self) -> &mut Session {
        self.fleet.sessions.values_mut().next().expect("a fixture")
    }

    fn record(&mut self) -> &mut Record {
        self.records.sessions.get_mut(&uid(1)).expect("a fixture")
    }

    fn restart_policy(&mut self, policy: Restart) {
        self.session().restart = policy;
    }

    fn pane_is(&mut self, state: PaneState) {
        if let Observed::Known(server) = &mut self.snapshot.tmux {
            server.panes[0].state = state;
        }
    }

    fn no_pane(&mut self) {
        if let Observed::Known(server) = &mut self.snapshot.tmux {
            server.panes.clear();
        }
    }

    fn ended(&mut self, kind: EndKind) {
        self.no_pane();
        self.record().end = Some(end(kind));
    }

    fn attach(&mut self) {
        if let Observed::Known(server) = &mut self.snapshot.tmux {
            for pane in &mut server.panes {
                pane.attached = true;
            }
        }
    }

    fn repository(&mut self) -> &mut fleetctl::snapshot::Repository {
        match self.snapshot.repos.values_mut().next().expect("a fixture") {
            Observed::Known(repository) => repository,
            Observed::Absent(_) | Observed::Unknown(_) => unreachable!("it is seen here"),
        }
    }

    fn leave_file(&mut self) {
        // Another session stays, so that the file is not empty.
        let other = session("other", Kind::Command);
        let kept = record(&other, 2);
        let repository = self.repository();
        repository.worktrees.push(worktree(&kept));
        if let Observed::Known(server) = &mut self.snapshot.tmux {
            server.panes.push(pane(&kept, PaneState::Alive));
        }
        self.records.sessions.insert(kept.uid, kept);
        self.fleet = fleet([other]);
    }

    fn lose_record(&mut self) {
        self.no_pane();
        self.repository().worktrees.clear();
        self.records = records([]);
    }

    /// Plans until nothing is asked.
    fn plan(&mut self) -> Plan {
        for _ in 0..8 {
            let made = plan(&self.fleet, &self.snapshot, &self.records, &self.policy);
            if made.questions.is_empty() {
                return made;
            }
            for question in made.questions {
                self.answer(question);
            }
        }
        panic!("it asks for ever");
    }

    fn answer(&mut self, question: Question) {
        let unseen = self.unseen_answers;
        let answers = &mut self.snapshot.answers;
        match question {
            Question::Work(at) => {
                answers.work.insert(at.uid, seen(unseen, self.work.clone()));
            }
            Question::Ground(at) => {
                let new = BranchSource::New {
                    base: "origin/main".into(),
                    at: Commit { id: "9ab12f0".into(), time: ago(120) },
                };
                let plain = Ground { branch: new, path_taken: false, checked_out: None };
                let ground = self.ground.clone().unwrap_or(plain);
                answers.ground.insert(at, seen(unseen, ground));
            }
            Question::Company(at) => {
                let company = Company {
                    working: self.working,
                    window: self.others.clone(),
                    ..Company::default()
                };
                answers.company.insert(at, seen(unseen, company));
            }
            Question::Transcript(at) => {
                answers.transcripts.insert(at.uid, seen(unseen, self.transcript));
            }
            Question::Survivors(at) => {
                answers.survivors.insert(at.uid, seen(unseen, Vec::new()));
            }
            Question::Ports(at) => {
                answers.ports.insert(at.clone(), seen(unseen, PortsSeen::default()));
            }
            Question::Merged(at) => {
                let merge = || Merge { tip: "c2".into(), commit: "c3".into() };
                answers.merged.insert(at.uid, seen(unseen, self.merged.then(merge)));
            }
            Question::Ready(at) => {
                answers.ready.insert(at.uid, seen(unseen, self.ready));
            }
        }
    }
}

fn seen<T>(unseen: bool, value: T) -> Observed<T> {
    let blind = || Blind { what: "the second look".into(), cause: "it timed out".into() };
    if unseen { Observed::Unknown(blind()) } else { Observed::Known(value) }
}

fn blind(what: &str) -> Blind {
    Blind { what: what.into(), cause: "permission denied".into() }
}

/// The verdict on `api` in a few words.
fn outcome(cell: &mut Cell) -> String {
    let made = cell.plan();
    let Some(entry) = made.entries.iter().find(|entry| entry.name.as_str() == "api") else {
        return "left out".into();
    };
    let mut text = match &entry.verdict {
        Verdict::Synced => "nothing".to_owned(),
        Verdict::Do(step) => step_words(&step.kind),
        Verdict::Hold(hold) => hold_words(&hold.reason),
    };
    if let Some(hold) = &entry.deferred {
        write!(text, ", then {}", hold_words(&hold.reason)).expect("a fixture");
    }
    for note in &entry.notes {
        if *note == fleetctl::plan::Note::AtNextStart {
            text.push_str(", the change waits for the next start");
        }
    }
    text
}

fn step_words(kind: &StepKind) -> String {
    let how = |launch: &LaunchMode| match launch {
        LaunchMode::Fresh { lost: None } => "afresh",
        LaunchMode::Fresh { lost: Some(_) } => "afresh, the conversation is lost",
        LaunchMode::Resume(_) => "in its conversation",
        LaunchMode::Plain => "plainly",
    };
    match kind {
        StepKind::Create(_) => "CREATE".into(),
        StepKind::Start { launch, over, setup, rebuild } => {
            let window = if over.is_some() { " in its window" } else { "" };
            let setup = if *setup { ", setup again" } else { "" };
            let rebuild = if *rebuild { ", in the worktree made anew" } else { "" };
            format!("START {}{window}{setup}{rebuild}", how(launch))
        }
        StepKind::Restart { launch, setup, rebuild, .. } => {
            let setup = if *setup { ", setup again" } else { "" };
            let rebuild = if *rebuild { ", in the worktree made anew" } else { "" };
            format!("RESTART {}{setup}{rebuild}", how(launch))
        }
        StepKind::Recreate { retire, .. } => {
            let old = if retire.work.is_some() { "" } else { ", no old worktree" };
            format!("RECREATE{old}")
        }
        StepKind::Update { .. } => "UPDATE".into(),
        StepKind::Stop { reason, .. } => format!("STOP ({reason:?})"),
        StepKind::Decommission(retire) => {
            let archive = if retire.archive { " and archive" } else { "" };
            let tree = if retire.work.is_some() { "" } else { " (no worktree)" };
            format!("DECOMMISSION{archive}{tree}")
        }
        StepKind::Forget => "FORGET".into(),
        StepKind::Settle(kind) => format!("record the end: {}", end_words(kind)),
    }
}

fn end_words(kind: &EndKind) -> &'static str {
    match kind {
        EndKind::Completed => "completed",
        EndKind::Stopped(_) => "stopped",
        EndKind::ByHand => "ended by hand",
        EndKind::Expired(_) => "expired",
        EndKind::Finished(_) => "finished",
        EndKind::GivenUp => "given up",
        EndKind::Failed(_) => "failed",
    }
}

fn hold_words(reason: &HoldReason) -> String {
    let words = match reason {
        HoldReason::Busy => "busy",
        HoldReason::Attached => "attached",
        HoldReason::Manual => "manual",
        HoldReason::Queued { .. } => "queued",
        HoldReason::Dependency { lag: Lag::Late, .. } => "dependency, late",
        HoldReason::Dependency { lag: Lag::Unknown, .. } => "dependency, which cannot be told",
        HoldReason::Dependency { lag: Lag::NotYet, .. } => "dependency",
        HoldReason::Backoff { .. } => "backoff",
        HoldReason::Starting { .. } => "others are starting",
        HoldReason::Finished { .. } => "finished",
        HoldReason::Wish { kind: WishKind::Stop, .. } => "stopped by a human",
        HoldReason::Wish { kind: WishKind::Hold, .. } => "on hold by a human",
        HoldReason::Wish { kind: WishKind::Restored, .. } => "restored",
        HoldReason::AtRisk(_) => "at risk",
        HoldReason::Protected { .. } => "protected",
        HoldReason::Mass { .. } => "too many at once",
        HoldReason::Prune { .. } => "prune",
        HoldReason::Conflict(Conflict::Session { .. }) => "conflict: tmux name",
        HoldReason::Conflict(Conflict::Path { .. }) => "conflict: path",
        HoldReason::Conflict(Conflict::Branch { .. }) => "conflict: branch",
        HoldReason::Lost { .. } => "lost worktree",
        HoldReason::Strayed { .. } => "worktree moved",
        HoldReason::Frozen { .. } => "include invalid",
        HoldReason::Doubled => "doubled",
        HoldReason::Orphaned => "orphaned",
        HoldReason::YourPanes(_) => "your panes",
        HoldReason::ConversationLost { .. } => "conversation lost",
        HoldReason::After(_) => "after others",
        HoldReason::Unseen(_) => "UNSEEN",
        HoldReason::NoBase { .. } => "no base",
        HoldReason::NoPort { .. } => "no port",
        HoldReason::Inside => "inside",
        HoldReason::Elsewhere { .. } => "other branch",
        HoldReason::Failed { .. } => "failed",
    };
    format!("hold: {words}")
}

/// The lines of a section: values of an axis under which all that follows is alike share a line.
fn section(title: &str, base: fn() -> Cell, axes: &[Axis]) -> String {
    let titles: Vec<&str> = axes.iter().map(|axis| axis.title).collect();
    let mut text = format!("## {title}\n   {}\n", titles.join(" · "));
    for (path, outcome) in grouped(&base, axes, &mut Vec::new()) {
        writeln!(text, "{} -> {outcome}", path.join(" · ")).expect("a fixture");
    }
    text.push('\n');
    text
}

type Lines = Vec<(Vec<String>, String)>;

fn grouped(base: &dyn Fn() -> Cell, axes: &[Axis], chosen: &mut Vec<fn(&mut Cell)>) -> Lines {
    let Some((axis, rest)) = axes.split_first() else {
        let mut cell = base();
        for change in chosen.iter() {
            change(&mut cell);
        }
        return vec![(Vec::new(), outcome(&mut cell))];
    };
    let mut groups: Vec<(Vec<&str>, Lines)> = Vec::new();
    for (value, change) in &axis.values {
        chosen.push(*change);
        let lines = grouped(base, rest, chosen);
        chosen.pop();
        match groups.iter_mut().find(|(_, known)| *known == lines) {
            Some((values, _)) => values.push(value),
            None => groups.push((vec![value], lines)),
        }
    }
    let all = groups.len() == 1;
    let mut lines = Vec::new();
    for (values, under) in groups {
        let label = if all { "any".to_owned() } else { values.join(" | ") };
        for (path, outcome) in under {
            lines.push(([vec![label.clone()], path].concat(), outcome));
        }
    }
    lines
}

fn failure(cell: &mut Cell, reason: LaunchFailureReason) {
    let run = fleetctl::name::Run(1);
    cell.pane_is(PaneState::Exited(127));
    let failure = LaunchFailure { run, reason, message: "it failed".into() };
    cell.snapshot.launches.insert(uid(1), failure);
}

fn runtime() -> Axis {
    axis(
        "runtime",
        &[
            ("alive", |_| {}),
            ("pane gone", Cell::no_pane),
            ("server died", |cell| {
                cell.snapshot.tmux = Observed::Absent(Evidence::ServerDied);
            }),
            ("exit 0", |cell| cell.pane_is(PaneState::Exited(0))),
            ("exit 1", |cell| cell.pane_is(PaneState::Exited(1))),
            ("killed by TERM", |cell| cell.pane_is(PaneState::Killed(15))),
            ("killed by SEGV", |cell| cell.pane_is(PaneState::Killed(11))),
            ("end unknown", |cell| cell.pane_is(PaneState::Lost)),
            ("being reaped", |cell| cell.pane_is(PaneState::Ending)),
            ("setup failed", |cell| failure(cell, LaunchFailureReason::Setup)),
            ("program missing", |cell| failure(cell, LaunchFailureReason::Program)),
            ("tmux unseen", |cell| cell.snapshot.tmux = Observed::Unknown(blind("tmux"))),
        ],
    )
}

fn standing() -> Axis {
    axis(
        "end",
        &[
            ("completed", |cell| cell.ended(EndKind::Completed)),
            ("ended by hand", |cell| cell.ended(EndKind::ByHand)),
            ("given up", |cell| cell.ended(EndKind::GivenUp)),
            ("setup failed", |cell| cell.ended(failed_for_good(LaunchFailureReason::Setup))),
            ("program missing", |cell| cell.ended(failed_for_good(LaunchFailureReason::Program))),
            ("expired", |cell| cell.ended(EndKind::Expired(Expiry::Idle))),
            ("stopped by a human", |cell| cell.ended(EndKind::Stopped(StopReason::Human))),
            ("stopped by the file", |cell| cell.ended(EndKind::Stopped(StopReason::File))),
            ("cut off in a restart", |cell| cell.ended(EndKind::Stopped(StopReason::Restart))),
        ],
    )
}

fn failed_for_good(reason: LaunchFailureReason) -> EndKind {
    let run = fleetctl::name::Run(1);
    EndKind::Failed(LaunchFailure { run, reason, message: "it failed".into() })
}

fn drift() -> Axis {
    axis(
        "change",
        &[
            ("none", |_| {}),
            ("in place", |cell| {
                drop(cell.session().applied.in_place.insert("labels.a".into(), "b".into()));
            }),
            ("noted", |cell| {
                drop(cell.session().applied.noted.insert("prompt".into(), "more".into()));
            }),
            ("restart", |cell| {
                drop(cell.session().applied.restart.insert("env.PORT".into(), "…".into()));
            }),
            ("recreate", |cell| {
                drop(cell.session().applied.recreate.insert("branch".into(), "x".into()));
            }),
        ],
    )
}

fn presence() -> Axis {
    axis(
        "presence",
        &[
            ("detached", |_| {}),
            ("attached", Cell::attach),
            ("attached, --now", |cell| {
                cell.attach();
                cell.policy.now.insert("api".parse().expect("a fixture"));
            }),
        ],
    )
}

fn desired() -> Axis {
    axis(
        "state",
        &[("running", |_| {}), ("stopped", |cell| cell.session().state = Desired::Stopped)],
    )
}

fn ground() -> Axis {
    axis(
        "worktree",
        &[
            ("ours", |_| {}),
            ("lost", |cell| cell.repository().worktrees[0].present = false),
            ("not listed", |cell| cell.repository().worktrees.clear()),
            ("moved", |cell| cell.repository().worktrees[0].path = "/elsewhere".into()),
            ("lock gone", |cell| cell.repository().worktrees[0].lock = Lock::No),
            ("listed twice", |cell| {
                let mut copy = cell.repository().worktrees[0].clone();
                copy.path = "/copy".into();
                cell.repository().worktrees.push(copy);
            }),
            ("repository unseen", |cell| {
                let unseen = Observed::Unknown(blind("repository /srv/shop"));
                cell.snapshot.repos.insert("/srv/shop".into(), unseen);
            }),
        ],
    )
}

fn wishes() -> Axis {
    axis(
        "wish",
        &[
            ("none", |_| {}),
            ("stop", |cell| cell.record().wish = Some(wish(WishKind::Stop))),
            ("hold", |cell| cell.record().wish = Some(wish(WishKind::Hold))),
            ("restored", |cell| cell.record().wish = Some(wish(WishKind::Restored))),
            ("hold, expired", |cell| {
                let mut expired = wish(WishKind::Hold);
                expired.until = Some(now());
                cell.record().wish = Some(expired);
            }),
        ],
    )
}

fn verbs() -> Axis {
    axis(
        "verb",
        &[
            ("apply", |_| {}),
            ("start", |cell| ask(cell, start(false, false))),
            ("start --new-worktree", |cell| ask(cell, start(true, false))),
            ("restart", |cell| ask(cell, restart(false, false, false))),
            ("restart --fresh", |cell| ask(cell, restart(true, false, false))),
            ("restart --recreate", |cell| ask(cell, restart(false, true, false))),
            ("restart --setup", |cell| ask(cell, restart(false, false, true))),
        ],
    )
}

fn start(new_worktree: bool, again: bool) -> Request {
    Request::Start { new_worktree, again }
}

fn restart(fresh: bool, recreate: bool, setup: bool) -> Request {
    Request::Restart { fresh, recreate, setup }
}

fn ask(cell: &mut Cell, request: Request) {
    cell.policy.requests.insert("api".parse().expect("a fixture"), request);
}

fn now_axis() -> Axis {
    axis(
        "--now",
        &[
            ("without", |_| {}),
            ("--now", |cell| {
                cell.policy.now.insert("api".parse().expect("a fixture"));
            }),
        ],
    )
}

fn policies() -> Axis {
    axis(
        "restart",
        &[
            ("on-failure", |_| {}),
            ("always", |cell| cell.restart_policy(Restart::Always)),
            ("never", |cell| cell.restart_policy(Restart::Never)),
        ],
    )
}

fn work() -> Axis {
    axis(
        "work",
        &[
            ("clean", |_| {}),
            ("modified", |cell| cell.work.risks = vec![Risk::Modified(3)]),
            ("partly unseen", |cell| {
                cell.work.risks = vec![Risk::Undetermined("stashes".into())];
            }),
            ("unseen", |cell| cell.unseen_answers = true),
        ],
    )
}

fn removal() -> Axis {
    axis(
        "asked by",
        &[
            ("apply", |_| {}),
            ("at_risk: archive", |cell| cell.fleet.settings.at_risk = AtRisk::Archive),
            ("rm", |cell| ask(cell, Request::Remove { archive: false, keep: false })),
            ("rm --archive", |cell| ask(cell, Request::Remove { archive: true, keep: false })),
            ("rm --keep", |cell| ask(cell, Request::Remove { archive: false, keep: true })),
            ("controller, prune not passed", |cell| {
                cell.policy.removals = Removals::WhenDue;
                cell.record().gone_since = Some(ago(9));
            }),
            ("controller, prune passed", |cell| {
                cell.policy.removals = Removals::WhenDue;
                cell.record().gone_since = Some(ago(10));
            }),
            ("pass over named sessions", |cell| cell.policy.removals = Removals::Leave),
        ],
    )
}

fn kinds(title: &str, agent: fn() -> Cell, axes: fn() -> Vec<Axis>) -> String {
    section(title, agent, &axes())
}

fn gone(kind: Kind) -> Cell {
    let mut cell = Cell::converged(kind);
    cell.leave_file();
    cell
}

fn gone_and_stopped() -> Cell {
    let mut cell = gone(Kind::Agent);
    if let Observed::Known(server) = &mut cell.snapshot.tmux {
        server.panes.remove(0);
    }
    cell
}

fn table() -> String {
    let mut text = String::from(
        "# What the planner decides. Every cell of the axes is planned; values under which nothing differs\n\
         # share a line. `any` stands for all values of its axis.\n\n",
    );
    let runtimes = || vec![runtime(), drift(), presence()];
    text += &kinds("An agent in the file", || Cell::converged(Kind::Agent), runtimes);
    text += &kinds("A command in the file", || Cell::converged(Kind::Command), runtimes);
    text += &kinds("A shell in the file", || Cell::converged(Kind::Shell), runtimes);
    text += &kinds(
        "`restart`, for a command",
        || Cell::converged(Kind::Command),
        || vec![policies(), runtime(), presence()],
    );
    text += &kinds(
        "`state: stopped`, for an agent",
        || Cell::converged(Kind::Agent),
        || vec![desired(), runtime(), presence()],
    );
    text += &kinds(
        "Ends that stand",
        || Cell::converged(Kind::Command),
        || vec![standing(), verbs_of_ends(), drift()],
    );
    text += &kinds(
        "The worktree",
        || Cell::converged(Kind::Command),
        || vec![ground(), short_runtime(), verbs_of_ends(), short_drift()],
    );
    text += &kinds(
        "A human's wish, for a command",
        || Cell::converged(Kind::Command),
        || vec![wishes(), short_runtime(), verbs_of_ends(), short_drift()],
    );
    text += &ends_of_themselves();
    text += &kinds(
        "Verbs, for an agent",
        || Cell::converged(Kind::Agent),
        || vec![short_runtime(), verbs(), now_axis()],
    );
    text += &kinds(
        "Beside a live session",
        || Cell::converged(Kind::Shell),
        || vec![company(), short_drift(), now_axis()],
    );
    text += &kinds("The conversation of a dead agent", dead_agent, || vec![resume(), transcript()]);
    text += &kinds("New in the file", new, || vec![program(), obstacles(), desired()]);
    text += &kinds(
        "Gone from the file, live",
        || gone(Kind::Agent),
        || vec![gone_program(), short_gone_runtime(), presence()],
    );
    text += &kinds("Gone from the file, not running", gone_and_stopped, || vec![removal(), work()]);
    text += &kinds("Gone from the file: the worktree", gone_and_stopped, || {
        vec![ground(), protection(), wishes()]
    });
    text
}

/// What begins and ends without a human.
fn ends_of_themselves() -> String {
    let mut text = String::new();
    text += &kinds("What ended, and how soon it is started again", paced, || {
        vec![policies(), unwanted(), paces()]
    });
    text += &kinds("`stop_after`, for an agent", aging, || vec![ages(), presence(), short_drift()]);
    text += &kinds("`stop_after`, for a shell", idling, || vec![idleness(), presence()]);
    text += &kinds("`until: merged`, for a command", until_merged, || {
        vec![merges(), short_runtime(), work(), wishes(), protection_in_file()]
    });
    text += &kinds("`until: merged`, for an agent", until_merged_agent, || {
        vec![merges(), presence(), verbs_of_ends()]
    });
    text += &kinds("What is finished", finished, || vec![verbs_of_finished(), desired()]);
    text += &kinds("`depends_on`", dependent, || vec![needs(), others()]);
    text
}

fn verbs_of_ends() -> Axis {
    let mut all = verbs();
    all.values.retain(|(name, _)| {
        matches!(*name, "apply" | "start" | "start --new-worktree" | "restart")
    });
    all
}

fn short_runtime() -> Axis {
    let mut all = runtime();
    all.values.retain(|(name, _)| matches!(*name, "alive" | "pane gone" | "tmux unseen"));
    all
}

fn short_gone_runtime() -> Axis {
    let mut all = runtime();
    all.values.retain(|(name, _)| {
        matches!(*name, "alive" | "exit 1" | "being reaped" | "server died" | "tmux unseen")
    });
    all
}

fn short_drift() -> Axis {
    let mut all = drift();
    all.values.retain(|(name, _)| matches!(*name, "none" | "in place" | "restart" | "recreate"));
    all
}

fn company() -> Axis {
    axis(
        "company",
        &[
            ("idle shell", |_| {}),
            ("a program in the foreground", |cell| cell.working = true),
            ("a pane of yours in its window", |cell| cell.others = vec!["vim".into()]),
            ("unseen", |cell| cell.unseen_answers = true),
            ("fleetctl runs in it", |cell| cell.policy.inside = Some(uid(1))),
        ],
    )
}

fn paced() -> Cell {
    let mut cell = Cell::converged(Kind::Command);
    if let Some(runtime) = &mut cell.record().runtime {
        runtime.started = ago(1);
    }
    cell
}

fn paces() -> Axis {
    axis(
        "pace",
        &[
            ("one pass", |_| {}),
            ("passes for ever", |cell| cell.policy.pace = Pace::Kept),
            ("passes for ever, start", |cell| {
                cell.policy.pace = Pace::Kept;
                ask(cell, start(false, false));
            }),
            ("passes for ever, the file changed", |cell| {
                cell.policy.pace = Pace::Kept;
                drop(cell.session().applied.restart.insert("env.PORT".into(), "…".into()));
            }),
        ],
    )
}

/// So many ends in a row, the last of them then; the run that ended now is not among them.
fn before(cell: &mut Cell, count: u32) {
    let recent = vec![ago(2); count as usize];
    cell.record().run = fleetctl::name::Run(2);
    cell.record().runtime.as_mut().expect("it ran").run = fleetctl::name::Run(2);
    let run = fleetctl::name::Run(1);
    cell.record().books.crashes = Crashes { count, run, last: Some(ago(2)), recent };
    if let Observed::Known(server) = &mut cell.snapshot.tmux
        && let Marked::Yes(mark) = &mut server.panes[0].mark
    {
        mark.run = fleetctl::name::Run(2);
    }
}

/// The same end was seen by a pass so many seconds ago.
fn seen_before(cell: &mut Cell, seconds: i64) {
    let last = Some(now() - jiff::SignedDuration::from_secs(seconds));
    let run = fleetctl::name::Run(1);
    let recent = last.into_iter().collect();
    cell.record().books.crashes = Crashes { count: 1, run, last, recent };
}

fn unwanted() -> Axis {
    axis(
        "what ended",
        &[
            ("crashed for the first time", |cell| cell.pane_is(PaneState::Exited(1))),
            ("crashed 5 s ago", |cell| {
                cell.pane_is(PaneState::Exited(1));
                seen_before(cell, 5);
            }),
            ("crashed 13 s ago", |cell| {
                cell.pane_is(PaneState::Exited(1));
                seen_before(cell, 13);
            }),
            ("crashed at a time to come", |cell| {
                cell.pane_is(PaneState::Exited(1));
                seen_before(cell, -86_400);
            }),
            ("crashed after 10 min", |cell| {
                cell.pane_is(PaneState::Exited(1));
                before(cell, 4);
                cell.record().runtime.as_mut().expect("it ran").started = ago(10);
            }),
            ("crashed for the fifth time", |cell| {
                cell.pane_is(PaneState::Exited(1));
                before(cell, 4);
            }),
            ("pane gone for the first time", Cell::no_pane),
            ("pane gone again", |cell| {
                before(cell, 1);
                cell.no_pane();
            }),
            ("pane gone again, after 10 min", |cell| {
                before(cell, 1);
                cell.no_pane();
                cell.record().runtime.as_mut().expect("it ran").started = ago(10);
            }),
            ("server died again", |cell| {
                before(cell, 4);
                cell.snapshot.tmux = Observed::Absent(Evidence::ServerDied);
            }),
            ("exit 0 for the first time", |cell| cell.pane_is(PaneState::Exited(0))),
            ("exit 0 again", |cell| {
                cell.pane_is(PaneState::Exited(0));
                before(cell, 1);
            }),
        ],
    )
}

fn aging() -> Cell {
    let mut cell = Cell::converged(Kind::Agent);
    cell.session().stop_after.age = Some(std::time::Duration::from_secs(3_600));
    cell
}

fn ages() -> Axis {
    axis(
        "age",
        &[
            ("passed", |_| {}),
            ("not passed", |cell| {
                cell.record().runtime.as_mut().expect("it runs").started = ago(59);
            }),
            ("passed, start", |cell| ask(cell, start(false, false))),
            ("passed, state: stopped", |cell| cell.session().state = Desired::Stopped),
        ],
    )
}

fn idling() -> Cell {
    let mut cell = Cell::converged(Kind::Shell);
    cell.session().stop_after.idle = Some(std::time::Duration::from_secs(600));
    cell
}

fn idleness() -> Axis {
    axis(
        "idle",
        &[
            ("as of now", |_| {}),
            ("for 9 min", |cell| cell.record().books.idle_since = Some(ago(9))),
            ("for 10 min", |cell| cell.record().books.idle_since = Some(ago(10))),
            ("for 10 min, now busy", |cell| {
                cell.record().books.idle_since = Some(ago(10));
                cell.working = true;
            }),
        ],
    )
}

fn until_merged() -> Cell {
    let mut cell = Cell::converged(Kind::Command);
    cell.session().until = Some(Until::Merged);
    cell
}

fn until_merged_agent() -> Cell {
    let mut cell = Cell::converged(Kind::Agent);
    cell.session().until = Some(Until::Merged);
    cell
}

fn protection_in_file() -> Axis {
    axis("protect", &[("no", |_| {}), ("yes", |cell| cell.session().protect = true)])
}

fn merges() -> Axis {
    axis("its work", &[("merged", |cell| cell.merged = true), ("not merged", |_| {})])
}

fn finished() -> Cell {
    let mut cell = new();
    cell.session().until = Some(Until::Merged);
    let merge = Merge { tip: "c2".into(), commit: "c3".into() };
    let finished = Finished { name: name("api"), uid: uid(1), at: ago(5), merge };
    cell.records.finished.insert(name("api"), finished);
    cell
}

fn verbs_of_finished() -> Axis {
    let mut all = verbs_of_ends();
    all.values.push(("start --again", |cell| ask(cell, start(false, true))));
    all
}

/// `api` is not started yet and depends on `db`.
fn dependent() -> Cell {
    let mut cell = Cell::converged(Kind::Command);
    let mut db = session("db", Kind::Shell);
    let probe = Probe::Port(Port::Number(5_432));
    db.ready = Some(Ready { probe, timeout: std::time::Duration::from_secs(300) });
    let known = record(&db, 2);
    if let Observed::Known(server) = &mut cell.snapshot.tmux {
        server.panes = vec![pane(&known, PaneState::Alive)];
    }
    cell.repository().worktrees = vec![worktree(&known)];
    cell.records = records([known]);
    cell.fleet = fleet([session("api", Kind::Command), db]);
    cell
}

fn needs() -> Axis {
    axis(
        "on `db` to be",
        &[
            ("started", |cell| cell.session().depends_on = vec![on("db", Need::Started)]),
            ("ready", |cell| cell.session().depends_on = vec![on("db", Need::Ready)]),
            ("idle", |cell| cell.session().depends_on = vec![on("db", Need::Idle)]),
            ("completed", |cell| cell.session().depends_on = vec![on("db", Need::Completed)]),
            ("merged", |cell| cell.session().depends_on = vec![on("db", Need::Merged)]),
        ],
    )
}

fn db(cell: &mut Cell) -> &mut Record {
    cell.records.sessions.get_mut(&uid(2)).expect("a fixture")
}

/// A run that has not had its time to become ready.
fn young(cell: &mut Cell) {
    db(cell).runtime.as_mut().expect("it runs").started = ago(1);
}

fn others() -> Axis {
    axis(
        "`db`",
        &[
            ("runs, idle and not ready", young),
            ("runs, and should be ready by now", |_| {}),
            ("runs, and was ready", |cell| {
                db(cell).books.ready = Some(fleetctl::name::Run(1));
                cell.unseen_answers = false;
            }),
            ("runs, ready and busy", |cell| (cell.ready, cell.working) = (true, true)),
            ("runs, merged", |cell| (cell.merged, cell.ready) = (true, true)),
            ("is an agent", |cell| {
                let restarted = session("db", Kind::Agent);
                let known = record(&restarted, 2);
                cell.fleet.sessions.insert(name("db"), restarted);
                cell.records.sessions.insert(known.uid, known);
            }),
            ("is started by this pass", Cell::no_pane),
            ("completed", |cell| {
                cell.no_pane();
                db(cell).end = Some(end(EndKind::Completed));
            }),
            ("expired, idle", |cell| {
                cell.no_pane();
                db(cell).end = Some(end(EndKind::Expired(Expiry::Idle)));
            }),
            ("given up", |cell| {
                cell.no_pane();
                db(cell).end = Some(end(EndKind::GivenUp));
            }),
            ("is finished", |cell| {
                cell.lose_record();
                let merge = Merge { tip: "c2".into(), commit: "c3".into() };
                let finished = Finished { name: name("db"), uid: uid(2), at: ago(5), merge };
                cell.records.finished.insert(name("db"), finished);
            }),
            ("cannot be asked", |cell| {
                young(cell);
                cell.unseen_answers = true;
            }),
        ],
    )
}

fn resume() -> Axis {
    use fleetctl::manifest::fleet::Resume;
    axis(
        "resume",
        &[
            ("preferred", |_| {}),
            ("required", |cell| cell.session().resume = Resume::Required),
            ("never", |cell| cell.session().resume = Resume::Never),
        ],
    )
}

fn transcript() -> Axis {
    axis(
        "transcript",
        &[
            ("there", |_| {}),
            ("gone", |cell| cell.transcript = false),
            ("unseen", |cell| cell.unseen_answers = true),
            ("never begun", |cell| {
                cell.record().conversation.as_mut().expect("a fixture").begun = false
            }),
            ("of another agent", |cell| cell.record().applied.builtin = Some("codex".into())),
        ],
    )
}

fn dead_agent() -> Cell {
    let mut cell = Cell::converged(Kind::Agent);
    cell.no_pane();
    cell
}

fn new() -> Cell {
    let mut cell = Cell::converged(Kind::Agent);
    cell.lose_record();
    cell
}

fn program() -> Axis {
    axis(
        "program",
        &[
            ("agent", |_| {}),
            ("command", |cell| {
                let state = cell.session().state;
                *cell.session() = Session { state, ..session("api", Kind::Command) };
            }),
        ],
    )
}

fn gone_program() -> Axis {
    axis(
        "program",
        &[
            ("agent", |_| {}),
            ("command", |cell| cell.record().applied.parting.shell = true),
            ("shell with a program in the foreground", |cell| {
                cell.record().applied.parting.shell = true;
                cell.record().applied.parting.interactive = true;
                cell.working = true;
            }),
        ],
    )
}

fn obstacles() -> Axis {
    axis(
        "in the way",
        &[
            ("nothing", |_| {}),
            ("no tmux server yet", |cell| {
                cell.snapshot.tmux = Observed::Absent(Evidence::NoServer);
            }),
            ("tmux unseen", |cell| cell.snapshot.tmux = Observed::Unknown(blind("tmux"))),
            ("repository unseen", |cell| {
                let unseen = Observed::Unknown(blind("repository /srv/shop"));
                cell.snapshot.repos.insert("/srv/shop".into(), unseen);
            }),
            ("ground unseen", |cell| cell.unseen_answers = true),
            ("a tmux session of its name", |cell| {
                let stranger = pane(&record(&session("api", Kind::Shell), 9), PaneState::Alive);
                let stranger = fleetctl::snapshot::Pane { mark: Marked::No, ..stranger };
                if let Observed::Known(server) = &mut cell.snapshot.tmux {
                    server.panes.push(stranger);
                }
            }),
            ("our mark without a record", |cell| {
                let orphan = pane(&record(&session("api", Kind::Shell), 9), PaneState::Alive);
                if let Observed::Known(server) = &mut cell.snapshot.tmux {
                    server.panes.push(orphan);
                }
            }),
            ("something at its path", |cell| {
                cell.ground = Some(ground_with(|ground| ground.path_taken = true));
            }),
            ("another worktree at its path", |cell| {
                let mut tree = worktree(&record(&session("api", Kind::Shell), 9));
                tree.lock = Lock::No;
                tree.head = fleetctl::snapshot::Head::Unreadable;
                cell.repository().worktrees.push(tree);
            }),
            ("its branch checked out elsewhere", |cell| {
                cell.ground =
                    Some(ground_with(|ground| ground.checked_out = Some("/srv/shop".into())));
            }),
            ("no base", |cell| {
                cell.ground = Some(ground_with(|ground| {
                    ground.branch = BranchSource::NoBase { base: "origin/main".into() };
                }));
            }),
            ("max_running is reached", |cell| cell.fleet.settings.max_running = 0),
        ],
    )
}

fn ground_with(change: fn(&mut Ground)) -> Ground {
    let at = Commit { id: "9ab12f0".into(), time: ago(120) };
    let mut ground =
        Ground { branch: BranchSource::Local(at), path_taken: false, checked_out: None };
    change(&mut ground);
    ground
}

fn protection() -> Axis {
    axis("protect", &[("no", |_| {}), ("yes", |cell| cell.record().protected_since = Some(1))])
}

#[test]
fn the_decision_table_is_the_policy() {
    let table = table();
    if table != GOLDEN {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("decision_table.txt");
        std::fs::write(&made, &table).expect("a fixture");
        let golden = "tests/it/golden/decision_table.txt";
        panic!("the policy changed; if that is meant: cp {} {golden}", made.display());
    }
}
