//! Fleets, records and snapshots made by hand, for tests of what needs no tmux and no git.

use fleetctl::agent::profile::{Profile, builtin};
use fleetctl::manifest::fleet::{
    AtRisk, Backoff, Dependency, Desired, Files, Fleet, Need, OnChange, OnPromptChange, Program,
    Prune, Reads, Repo, Restart, Resume, Session, Settings, Socket, StopAfter, Worktree as Where,
};
use fleetctl::name::{Installation, Name, Run, Spec, Uid};
use fleetctl::paths::Paths;
use fleetctl::reconcile::House;
use fleetctl::record::{
    Applied, Books, Conversation, End, EndKind, Parting, Place, Record, Records, Runtime, Wish,
    WishKind,
};
use fleetctl::snapshot::{
    Answers, Head, Lock, Mark, Marked, Observed, Pane, PaneId, PaneState, Repository, Server,
    ServerId, Snapshot, Worktree,
};
use indexmap::IndexMap;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub const REPO: &str = "/srv/shop";

/// The moment of every look that these tests take.
pub fn now() -> Timestamp {
    "2026-11-20T09:00:00Z".parse().expect("a fixture")
}

pub fn ago(minutes: i64) -> Timestamp {
    now().checked_sub(minutes.minutes()).expect("a fixture")
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a fixture")
}

pub fn uid(number: u128) -> Uid {
    Uid::from_parts(1_700_000_000_000, number)
}

pub fn installation() -> Installation {
    Installation("0123456789abcdef".into())
}

/// The surroundings of a pass on a simulated machine.
pub fn house() -> House {
    House {
        installation: installation(),
        manifest: "/srv/shop/fleet.yaml".into(),
        shell: "/bin/sh".into(),
        paths: Paths::new("/state/shop".into()),
        user: "ann".into(),
        grace: Duration::from_secs(1),
    }
}

pub fn claude() -> Box<Profile> {
    Box::new(builtin("claude").expect("a fixture").clone())
}

/// What runs in a session of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Agent,
    Command,
    Shell,
}

/// A running session of this kind in a worktree of its own.
pub fn session(text: &str, kind: Kind) -> Session {
    let agent = kind == Kind::Agent;
    let program = match kind {
        Kind::Agent => Program::Agent(claude()),
        Kind::Command => Program::ShellCommand("npm run dev".into()),
        Kind::Shell => Program::Shell,
    };
    let mut session = Session {
        name: name(text),
        program,
        wrap: Vec::new(),
        prompt: None,
        on_prompt_change: OnPromptChange::Ignore,
        model: None,
        mode: None,
        args: Vec::new(),
        env: BTreeMap::new(),
        env_file: None,
        repo: Repo { path: REPO.into(), base: None, worktrees: None, fetch: None },
        worktree: Where::Own { branch: Some(format!("shop/{text}")), base: None },
        cwd: ".".into(),
        ports: Vec::new(),
        files: Files::default(),
        setup: None,
        teardown: None,
        state: Desired::Running,
        restart: Restart::OnFailure,
        backoff: Backoff::default(),
        depends_on: Vec::new(),
        ready: None,
        stop_after: StopAfter::default(),
        until: None,
        on_change: if agent { OnChange::Idle } else { OnChange::Now },
        protect: false,
        resume: Resume::Preferred,
        labels: BTreeMap::new(),
        applied: Applied::default(),
    };
    apply(&mut session);
    session
}

/// Fills in the values by class, as the manifest would.
pub fn apply(session: &mut Session) {
    let mut applied = Applied::default();
    let mut restart = |field: &str, value: String| applied.restart.insert(field.into(), value);
    match &session.program {
        Program::Agent(profile) => restart("agent", profile.name.clone()),
        Program::ShellCommand(text) => restart("command", text.clone()),
        Program::Argv(words) => restart("command", words.join(" ")),
        Program::Shell => restart("agent", "shell".into()),
    };
    if let Some(model) = &session.model {
        restart("model", model.clone());
    }
    if session.cwd != Path::new(".") {
        restart("cwd", session.cwd.display().to_string());
    }
    if !session.ports.is_empty() {
        applied.in_place.insert("ports".into(), session.ports.join(","));
    }
    match &session.worktree {
        Where::Own { branch, .. } if *branch != Some(format!("shop/{}", session.name)) => {
            let branch = branch.clone().unwrap_or_else(|| "none".into());
            applied.recreate.insert("branch".into(), branch);
        }
        Where::Own { .. } => {}
        Where::Repository => drop(applied.recreate.insert("worktree".into(), "false".into())),
        Where::Shared(owner) => {
            drop(applied.recreate.insert("worktree".into(), owner.to_string()));
        }
    }
    if session.repo.path != Path::new(REPO) {
        applied.recreate.insert("repo".into(), session.repo.path.display().to_string());
    }
    let labels = session.labels.iter().map(|(key, value)| (format!("labels.{key}"), value.clone()));
    applied.in_place.extend(labels);
    if session.protect {
        applied.in_place.insert("protect".into(), "true".into());
    }
    if !session.depends_on.is_empty() {
        let names: Vec<&str> = session.depends_on.iter().map(|needed| needed.on.as_str()).collect();
        applied.in_place.insert("depends_on".into(), names.join(" "));
    }
    if let Some(prompt) = &session.prompt {
        applied.noted.insert("prompt".into(), prompt.clone());
    }
    applied.builtin = match &session.program {
        Program::Agent(profile) => Some(profile.builtin.clone()),
        _ => None,
    };
    applied.spec = Some(Spec(format!("1:{:?}", applied.restart)));
    applied.parting = Parting {
        depends_on: session.depends_on.iter().map(|needed| needed.on.clone()).collect(),
        shell: session.is_shell(),
        interactive: matches!(session.program, Program::Shell),
        ..Parting::default()
    };
    session.applied = applied;
}

/// A dependency on something of a session.
pub fn on(text: &str, need: Need) -> Dependency {
    Dependency { on: name(text), need }
}

pub fn fleet(sessions: impl IntoIterator<Item = Session>) -> Fleet {
    let sessions: IndexMap<Name, Session> =
        sessions.into_iter().map(|session| (session.name.clone(), session)).collect();
    Fleet {
        name: name("shop"),
        frozen: Vec::new(),
        sources: vec!["/srv/shop/fleet.yaml".into()],
        digest: "d2".into(),
        reads: Reads::default(),
        sessions,
        moved: Vec::new(),
        removed: Vec::new(),
        settings: Settings {
            prune: Prune::After(Duration::from_secs(600)),
            at_risk: AtRisk::Keep,
            max_starting: 4,
            max_running: 16,
            socket: Socket::Default,
            ports: None,
        },
    }
}

pub fn server_id() -> ServerId {
    ServerId { pid: 4000, started: 1_700_000_000, boot: "boot-1".into() }
}

pub fn path_of(session: &Name) -> PathBuf {
    format!("/srv/shop.worktrees/{session}").into()
}

/// The record of a session that runs as the file has it.
pub fn record(session: &Session, number: u128) -> Record {
    let place = match &session.worktree {
        Where::Own { branch, .. } => Place::Own {
            repo: session.repo.path.clone(),
            path: path_of(&session.name),
            branch: branch.clone(),
            base: Some("9ab12f0".into()),
        },
        Where::Repository => Place::Repository { repo: session.repo.path.clone() },
        Where::Shared(owner) => Place::Shared {
            owner: owner.clone(),
            repo: session.repo.path.clone(),
            path: path_of(owner),
        },
    };
    let conversation = matches!(session.program, Program::Agent(_))
        .then(|| Conversation { id: format!("c-{number}"), begun: true });
    let pid = 5000 + u32::try_from(number).expect("a fixture");
    Record {
        uid: uid(number),
        name: session.name.clone(),
        tmux_name: format!("shop/{}", session.name),
        place,
        run: Run(1),
        runtime: Some(Runtime { run: Run(1), pid, server: server_id(), started: ago(60) }),
        ports: BTreeMap::new(),
        conversation,
        old_conversations: Vec::new(),
        applied: session.applied.clone(),
        protected_since: session.protect.then_some(1),
        end: None,
        wish: None,
        books: Books::default(),
        conditions: BTreeMap::new(),
        created: ago(60),
        gone_since: None,
        former: Vec::new(),
    }
}

pub fn records(list: impl IntoIterator<Item = Record>) -> Records {
    Records {
        sessions: list.into_iter().map(|record| (record.uid, record)).collect(),
        revision: 1,
        digest: "d1".into(),
        server: Some(server_id()),
        ..Records::default()
    }
}

pub fn end(kind: EndKind) -> End {
    End { run: Run(1), kind, at: ago(5) }
}

pub fn wish(kind: WishKind) -> Wish {
    Wish { kind, why: None, by: "ann".into(), since: ago(30), until: None }
}

/// The pane of a record's run.
pub fn pane(record: &Record, state: PaneState) -> Pane {
    let number = record.runtime.as_ref().map_or(1, |runtime| runtime.pid);
    Pane {
        id: PaneId(format!("%{number}")),
        window: format!("@{number}"),
        session: format!("${number}"),
        session_name: record.tmux_name.clone(),
        pid: number,
        state,
        mark: Marked::Yes(Mark {
            uid: record.uid,
            installation: installation(),
            fleet: name("shop"),
            session: record.name.clone(),
            run: record.run,
            spec: record.applied.spec.clone().expect("a fixture"),
            conversation: None,
            protect: false,
        }),
        attached: false,
    }
}

/// The worktree of a record, locked with its uid.
pub fn worktree(record: &Record) -> Worktree {
    let path = record.place.directory().clone();
    Worktree {
        admin: Path::new(REPO).join(".git/worktrees").join(path.file_name().expect("a fixture")),
        head: match record.place.branch() {
            Some(branch) => Head::Branch(branch.into()),
            None => Head::Detached("9ab12f0".into()),
        },
        path,
        lock: Lock::Fleet { fleet: name("shop"), uid: record.uid },
        present: true,
    }
}

pub fn repository(worktrees: Vec<Worktree>) -> Repository {
    Repository { common: Path::new(REPO).join(".git"), top: REPO.into(), worktrees }
}

pub fn snapshot(panes: Vec<Pane>, worktrees: Vec<Worktree>) -> Snapshot {
    Snapshot {
        taken: now(),
        tmux: Observed::Known(Server { id: server_id(), panes }),
        repos: [(REPO.into(), Observed::Known(repository(worktrees)))].into(),
        launches: BTreeMap::new(),
        manifest: Observed::Absent(fleetctl::snapshot::Evidence::NotListed),
        answers: Answers::default(),
    }
}
