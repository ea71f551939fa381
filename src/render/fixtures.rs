//! One fleet in which everything happens, for the tests of what is rendered.

use super::View;
use super::style::Style;
use crate::manifest::fleet::Need;
use crate::name::Run;
use crate::name::Uid;
use crate::plan::{
    Activity, Change, ChangeClass, Conflict, Creation, Entry, Health, Hold, HoldReason, Lag,
    LaunchMode, Plan, Retirement, Status, Step, StepKind, StepReason, Verdict, Wants,
};
use crate::record::{
    Applied, Books, BranchAt, Conversation, EndKind, Expiry, Place, Record, Records, Runtime,
    StopReason, Tombstone, WishKind,
};
use crate::snapshot::{Blind, BranchSource, Commit, Merge, PaneId, Risk, ServerId, WorkAt};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

pub const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

pub fn ago(seconds: i64) -> Timestamp {
    NOW - SignedDuration::from_secs(seconds)
}

pub fn view(width: usize) -> View {
    View {
        style: Style { width, color: false },
        directory: Some("/home/ana/shop".into()),
        home: Some("/home/ana".into()),
        ..View::plain(NOW)
    }
}

pub fn entry(name: &str, verdict: Verdict) -> Entry {
    Entry {
        name: name.parse().expect("a name"),
        uid: None,
        renamed_from: None,
        verdict,
        deferred: None,
        changes: Vec::new(),
        notes: Vec::new(),
        status: Status::default(),
    }
}

pub fn doing(kind: StepKind, reason: StepReason) -> Verdict {
    Verdict::Do(Step { kind, reason })
}

pub fn held(wants: Wants, reason: HoldReason) -> Verdict {
    Verdict::Hold(Hold { wants, reason })
}

pub fn creation(name: &str) -> Creation {
    Creation {
        place: Place::Own {
            repo: "/home/ana/shop".into(),
            path: format!("/home/ana/shop.worktrees/{name}").into(),
            branch: Some(format!("shop/{name}")),
            base: None,
        },
        branch: Some(BranchSource::New {
            base: "origin/main".to_owned(),
            at: Commit { id: "9ab12f0c0ffee".to_owned(), time: ago(7_300) },
        }),
        ground: None,
        tmux_name: format!("shop/{name}"),
    }
}

pub fn retirement(risks: Vec<Risk>) -> Retirement {
    Retirement {
        pane: None,
        work: Some(WorkAt {
            uid: crate::name::Uid::from_parts(1, 2),
            repo: "/home/ana/shop".into(),
            path: "/home/ana/shop.worktrees/x".into(),
            sids: Vec::new(),
        }),
        archive: !risks.is_empty(),
        risks,
        commits: Some((3, "shop/old-spike".to_owned())),
    }
}

pub fn change(field: &str, from: Option<&str>, to: Option<&str>, class: ChangeClass) -> Change {
    Change { field: field.to_owned(), from: from.map(Into::into), to: to.map(Into::into), class }
}

pub fn plan(entries: Vec<Entry>) -> Plan {
    Plan {
        ports: BTreeMap::new(),
        fleet: "shop".parse().expect("a name"),
        revision: 14,
        new_revision: true,
        branch: None,
        sources: vec!["/home/ana/shop/fleet.yaml".into(), "/home/ana/shop/fleet.local.yaml".into()],
        seen: NOW - SignedDuration::from_millis(400),
        entries,
        questions: std::collections::BTreeSet::new(),
        hints: Vec::new(),
        blind: Vec::new(),
        order: Vec::new(),
        renames: BTreeMap::new(),
        books: BTreeMap::new(),
        due: None,
    }
}

pub fn restart(conversation: &str) -> StepKind {
    StepKind::Restart {
        launch: LaunchMode::Resume(conversation.to_owned()),
        pane: PaneId("%1".to_owned()),
        setup: false,
        rebuild: false,
    }
}

/// The plan that the design shows.
pub fn usual() -> Plan {
    let mut api =
        entry("api", doing(restart("5c1e8f0a-1111-4222-8333-444455556666"), StepReason::Changed));
    api.changes = vec![
        change("model", Some("sonnet"), Some("opus"), ChangeClass::Restart),
        change("env.PORT", Some("digest-1"), Some("digest-2"), ChangeClass::Restart),
        change(
            "prompt",
            Some("Fix it.\nSay why.\nPush.\n"),
            Some("Fix it.\nSay how.\nPush.\n"),
            ChangeClass::Noted,
        ),
    ];
    let mut web = entry("web", held(Wants::Restart, HoldReason::Busy));
    web.status.activity = Activity::Busy;
    let risks = vec![Risk::Modified(3), Risk::Untracked(1)];
    let unseen =
        Blind { what: "tmux".to_owned(), cause: "permission denied on the socket".to_owned() };
    let mut plan = plan(vec![
        entry("docs-bot", doing(StepKind::Create(creation("docs-bot")), StepReason::New)),
        api,
        web,
        entry("fix-421", held(Wants::Create, HoldReason::Queued { place: 9, of: 22, max: 8 })),
        entry(
            "old-spike",
            doing(
                StepKind::Decommission(retirement(Vec::new())),
                StepReason::LeftFile(Some(ago(660))),
            ),
        ),
        entry("etl", held(Wants::Decommission, HoldReason::AtRisk(risks))),
        entry("infra", held(Wants::Decommission, HoldReason::Protected { since: 9 })),
        entry("parser", doing(StepKind::Settle(EndKind::Completed), StepReason::EndSeen)),
        entry("gpu", held(Wants::Nothing, HoldReason::Unseen(unseen.clone()))),
        entry("quiet", Verdict::Synced),
    ]);
    plan.blind = vec![unseen];
    plan
}

/// A verdict of every kind, under names of every length.
pub fn everything() -> Plan {
    let mut entries: Vec<Entry> = steps().into_iter().chain(holds()).collect();
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.name = format!("s{at:02}").parse().expect("a name");
    }
    plan(entries)
}

pub fn steps() -> Vec<Entry> {
    let pane = Some(PaneId("%1".to_owned()));
    let start = |launch, setup, rebuild| StepKind::Start { launch, over: None, setup, rebuild };
    let lost = LaunchMode::Fresh { lost: Some("name-of-it".to_owned()) };
    let shared = Creation {
        place: Place::Shared {
            owner: "api".parse().expect("a name"),
            repo: "/home/ana/shop".into(),
            path: "/home/ana/shop.worktrees/api".into(),
        },
        branch: None,
        ..creation("x")
    };
    let in_repo = Creation {
        place: Place::Repository { repo: "/srv/docs".into() },
        branch: None,
        ..creation("x")
    };
    let recreate =
        StepKind::Recreate { retire: retirement(vec![Risk::Stashes(2)]), create: creation("y") };
    let crashed = StepReason::Crashed { status: Some(3), signal: None };
    let from = "old".parse().expect("a name");
    let merged = StepReason::Merged(Merge {
        tip: "0ddba11c0ffee".to_owned(),
        commit: "4f1c2aac0ffee".to_owned(),
    });
    vec![
        entry("x", doing(StepKind::Create(shared), StepReason::New)),
        entry("x", doing(StepKind::Create(in_repo), StepReason::New)),
        entry("x", doing(start(LaunchMode::Plain, false, true), StepReason::Gone)),
        entry("x", doing(start(lost, true, false), crashed)),
        entry(
            "x",
            doing(start(LaunchMode::Resume("5c1e".into()), false, false), StepReason::Wanted),
        ),
        entry("x", doing(recreate, StepReason::Changed)),
        entry("x", doing(StepKind::Update { rename: None }, StepReason::Changed)),
        entry("x", doing(StepKind::Update { rename: None }, StepReason::Moved { from })),
        entry(
            "x",
            doing(StepKind::Stop { reason: StopReason::File, pane }, StepReason::StoppedInFile),
        ),
        entry("x", doing(StepKind::Forget, StepReason::NothingLeft)),
        entry(
            "x",
            doing(
                StepKind::Stop {
                    reason: StopReason::Expired(Expiry::Age),
                    pane: Some(PaneId("%1".to_owned())),
                },
                StepReason::Expired,
            ),
        ),
        entry("x", doing(StepKind::Decommission(retirement(Vec::new())), merged)),
    ]
}

pub fn holds() -> Vec<Entry> {
    let name = |text: &str| text.parse().expect("a name");
    let wish = |kind, why: Option<&str>| HoldReason::Wish {
        kind,
        why: why.map(Into::into),
        by: "ana".to_owned(),
        since: ago(3_600),
        until: None,
    };
    let reasons = vec![
        HoldReason::Attached,
        HoldReason::Manual,
        HoldReason::waits_for(&name("api")),
        HoldReason::Dependency { on: name("api"), need: Need::Ready, lag: Lag::Late },
        HoldReason::Dependency { on: name("api"), need: Need::Idle, lag: Lag::Unknown },
        HoldReason::Dependency { on: name("api"), need: Need::Completed, lag: Lag::NotYet },
        HoldReason::Dependency { on: name("api"), need: Need::Merged, lag: Lag::NotYet },
        HoldReason::Backoff {
            until: NOW + SignedDuration::from_secs(40),
            after: 3,
            ended: Box::new(StepReason::Crashed { status: Some(1), signal: None }),
        },
        HoldReason::Starting { max: 4, until: NOW + SignedDuration::from_secs(3) },
        HoldReason::Finished { commit: "4f1c2aac0ffee".to_owned(), at: ago(7_200) },
        wish(WishKind::Stop, Some("too loud")),
        wish(WishKind::Hold, None),
        wish(WishKind::Restored, None),
        HoldReason::Mass { would: 12, of: 20 },
        HoldReason::Prune { due: Some(NOW + SignedDuration::from_secs(240)) },
        HoldReason::Prune { due: None },
        HoldReason::Conflict(Conflict::Session { name: "shop/api".to_owned() }),
        HoldReason::Conflict(Conflict::Path { path: "/home/ana/shop.worktrees/api".into() }),
        HoldReason::Conflict(Conflict::Branch {
            branch: "shop/api".to_owned(),
            at: "/home/ana/shop".into(),
        }),
        HoldReason::Lost { path: "/home/ana/shop.worktrees/api".into() },
        HoldReason::Doubled,
        HoldReason::Orphaned,
        HoldReason::Strayed { recorded: "/srv/a".into(), found: "/srv/b".into() },
        HoldReason::Frozen { file: "team/red.yaml".to_owned(), why: "line 3: x".to_owned() },
        HoldReason::YourPanes(vec!["vim".to_owned()]),
        HoldReason::ConversationLost { id: "5c1e8f0a-1111-4222".to_owned() },
        HoldReason::After(["a", "b", "c", "d"].map(name).to_vec()),
        HoldReason::NoBase { base: "origin/main".to_owned() },
        HoldReason::Inside,
        HoldReason::Elsewhere {
            was: Some("main".to_owned()),
            now: "spike".to_owned(),
            under_way: None,
        },
        HoldReason::Elsewhere {
            was: None,
            now: "main".to_owned(),
            under_way: Some("rebase".to_owned()),
        },
        HoldReason::Failed { times: 2, again: NOW + SignedDuration::from_secs(10) },
    ];
    reasons.into_iter().map(|reason| entry("x", held(Wants::Start, reason))).collect()
}

/// What the store remembers of two sessions of [`usual`], and one in the trash twice.
pub fn records() -> Records {
    let mut records = Records::default();
    for (at, name) in ["api", "quiet"].into_iter().enumerate() {
        let record = record(name, at as u128 + 1);
        records.sessions.insert(record.uid, record);
    }
    for (at, seconds) in [(8, 3_600), (9, 90_000)] {
        records.tombstones.push(Tombstone {
            record: record("old-spike", at),
            at: ago(seconds),
            trash: Some("/home/ana/shop.worktrees/.trash/old-spike-x".into()),
            branch: Some(BranchAt {
                name: "shop/old-spike".to_owned(),
                at: "9ab12f0c0ffee".to_owned(),
            }),
            salvage: vec!["refs/fleet/salvage/x/index".to_owned()],
            screen: None,
        });
    }
    records
}

pub fn record(name: &str, random: u128) -> Record {
    Record {
        uid: Uid::from_parts(1_700_000_000_000, random),
        name: name.parse().expect("a name"),
        tmux_name: format!("shop/{name}"),
        place: creation(name).place,
        run: Run(3),
        runtime: Some(Runtime {
            run: Run(3),
            pid: 4_711,
            server: ServerId { pid: 99, started: 1, boot: "boot".to_owned() },
            started: ago(7_200),
        }),
        ports: BTreeMap::new(),
        conversation: Some(Conversation {
            id: "5c1e8f0a-1111-4222-8333-444455556666".to_owned(),
            begun: true,
        }),
        old_conversations: vec!["0ld".to_owned()],
        applied: Applied::default(),
        protected_since: Some(9),
        end: None,
        wish: None,
        books: Books::default(),
        conditions: BTreeMap::new(),
        created: ago(200_000),
        gone_since: None,
        former: Vec::new(),
    }
}

/// [`usual`] with statuses, as a table shows them.
pub fn seen() -> Plan {
    let mut plan = usual();
    for entry in &mut plan.entries {
        let runs = matches!(entry.name.as_str(), "api" | "web" | "etl" | "infra" | "quiet");
        entry.status = Status {
            ready: None,
            health: if runs { Health::Healthy } else { Health::Missing },
            running: runs,
            attached: entry.name.as_str() == "web",
            branch: runs.then(|| format!("shop/{}", entry.name)),
            directory: runs.then(|| format!("/home/ana/shop.worktrees/{}", entry.name).into()),
            tmux_session: runs.then(|| format!("shop/{}", entry.name)),
            pane: runs.then(|| PaneId("%4".to_owned())),
            activity: entry.status.activity,
            end: None,
        };
        if entry.name.as_str() == "gpu" {
            entry.status.health = Health::Unknown;
        }
    }
    plan
}
