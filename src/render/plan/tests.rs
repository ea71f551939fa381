//! Signs, words and widths of plans: one fleet in which everything happens, on every kind of terminal.

use super::*;
use crate::plan::{
    Activity, Change, ChangeClass, Conflict, Creation, Hold, LaunchMode, Note, Retirement, Status,
    Step, StepKind, StepReason, Wants,
};
use crate::record::{EndKind, Place, StopReason, WishKind};
use crate::render::style::Style;
use crate::snapshot::{Blind, BranchSource, Commit, PaneId, Risk, WorkAt};
use jiff::{SignedDuration, Timestamp};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn ago(seconds: i64) -> Timestamp {
    NOW - SignedDuration::from_secs(seconds)
}

fn view(width: usize) -> View {
    View {
        style: Style { width, color: false },
        directory: Some("/home/ana/shop".into()),
        home: Some("/home/ana".into()),
        ..View::plain(NOW)
    }
}

fn entry(name: &str, verdict: Verdict) -> Entry {
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

fn doing(kind: StepKind, reason: StepReason) -> Verdict {
    Verdict::Do(Step { kind, reason })
}

fn held(wants: Wants, reason: HoldReason) -> Verdict {
    Verdict::Hold(Hold { wants, reason })
}

fn creation(name: &str) -> Creation {
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

fn retirement(risks: Vec<Risk>) -> Retirement {
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

fn change(field: &str, from: Option<&str>, to: Option<&str>, class: ChangeClass) -> Change {
    Change { field: field.to_owned(), from: from.map(Into::into), to: to.map(Into::into), class }
}

fn plan(entries: Vec<Entry>) -> Plan {
    Plan {
        fleet: "shop".parse().expect("a name"),
        revision: 14,
        new_revision: true,
        sources: vec!["/home/ana/shop/fleet.yaml".into(), "/home/ana/shop/fleet.local.yaml".into()],
        seen: NOW - SignedDuration::from_millis(400),
        entries,
        questions: std::collections::BTreeSet::new(),
        hints: Vec::new(),
        blind: Vec::new(),
        order: Vec::new(),
        renames: BTreeMap::new(),
    }
}

fn restart(conversation: &str) -> StepKind {
    StepKind::Restart {
        launch: LaunchMode::Resume(conversation.to_owned()),
        pane: PaneId("%1".to_owned()),
        setup: false,
    }
}

/// The plan that the design shows.
fn usual() -> Plan {
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

#[test]
fn a_plan_on_a_wide_terminal_is_one_line_a_session() {
    insta::assert_snapshot!(plan_text(&usual(), &view(120)));
}

#[test]
fn a_plan_on_a_usual_terminal_wraps_beside_its_columns() {
    insta::assert_snapshot!(plan_text(&usual(), &view(80)));
}

#[test]
fn a_plan_on_a_narrow_terminal_puts_sentences_under_their_lines() {
    insta::assert_snapshot!(plan_text(&usual(), &view(40)));
}

/// A verdict of every kind, under names of every length.
fn everything() -> Plan {
    let mut entries: Vec<Entry> = steps().into_iter().chain(holds()).collect();
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.name = format!("s{at:02}").parse().expect("a name");
    }
    plan(entries)
}

fn steps() -> Vec<Entry> {
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
    ]
}

fn holds() -> Vec<Entry> {
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
        HoldReason::Dependency { on: name("api") },
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
        HoldReason::StillRunning { pid: 77, command: "node".to_owned() },
        HoldReason::YourPanes(vec!["vim".to_owned()]),
        HoldReason::ConversationLost { id: "5c1e8f0a-1111-4222".to_owned() },
        HoldReason::After(["a", "b", "c", "d"].map(name).to_vec()),
        HoldReason::Backoff { due: NOW + SignedDuration::from_secs(40) },
        HoldReason::NoBase { base: "origin/main".to_owned() },
        HoldReason::Inside,
        HoldReason::OtherSocket { recorded: "/tmp/tmux-1000/default".into() },
    ];
    reasons.into_iter().map(|reason| entry("x", held(Wants::Start, reason))).collect()
}

#[test]
fn every_step_and_hold_names_its_reason_and_what_lifts_it() {
    insta::assert_snapshot!(plan_text(&everything(), &view(usize::MAX)));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for plan in [usual(), everything()] {
        for width in [20, 33, 40, 60, 80, 81, 120, 200] {
            for line in plan_text(&plan, &view(width)).lines() {
                assert!(width_of(line) <= width, "{} > {width}: {line}", width_of(line));
                assert_eq!(line.trim_end(), line, "a space at the end");
            }
        }
    }
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    for plan in [usual(), everything()] {
        for width in [40, 80, 120] {
            let plain = view(width);
            let colored = View { style: Style { color: true, width }, ..view(width) };
            let colored = plan_text(&plan, &colored);
            assert!(colored.contains('\u{1b}'));
            let stripped = anstream::adapter::strip_str(&colored).to_string();
            assert_eq!(stripped, plan_text(&plan, &plain));
        }
    }
}

#[test]
fn a_converged_fleet_is_counted_and_not_listed() {
    let mut converged = plan(vec![entry("a", Verdict::Synced), entry("b", Verdict::Synced)]);
    converged.new_revision = false;
    insta::assert_snapshot!(plan_text(&converged, &view(120)), @"
    shop   revision 14 (fleet.yaml + fleet.local.yaml)   seen 0.4 s ago
    nothing to do: 2 sessions are as the file says
    ");
}

#[test]
fn no_value_of_the_environment_is_ever_told() {
    let mut api = entry("api", doing(restart("x"), StepReason::Changed));
    api.changes = vec![
        change("env.A", Some("sesame-1"), Some("sesame-2"), ChangeClass::Restart),
        change("env.B", None, Some("sesame\n3"), ChangeClass::Restart),
        change("env.C", Some("sesame-4"), None, ChangeClass::Restart),
    ];
    let text = plan_text(&plan(vec![api.clone()]), &view(80));
    assert!(!text.contains("sesame"), "{text}");
    assert!(
        text.contains("env.A  *** (changed)") && text.contains("env.B  (unset) → ***"),
        "{text}"
    );
    assert!(!crate::render::json::plan_json(&plan(vec![api]), &view(80)).contains("sesame"));
}

#[test]
fn notes_and_a_deferred_step_are_told_beside_the_verdict() {
    let mut api = entry("api", doing(StepKind::Update { rename: None }, StepReason::Changed));
    api.changes = vec![change("labels.team", None, Some("red"), ChangeClass::InPlace)];
    api.notes = vec![Note::OnBranch("fix".to_owned()), Note::CrashedTimes(2)];
    api.deferred = Some(Hold { wants: Wants::Restart, reason: HoldReason::Attached });
    api.renamed_from = Some("apis".parse().expect("a name"));
    let mut two = plan(vec![api]);
    two.hints = vec![Hint::PerhapsMoved {
        from: "old".parse().expect("a name"),
        to: "new".parse().expect("a name"),
    }];
    two.blind = vec![Blind { what: "repository /srv/x".to_owned(), cause: "not there".to_owned() }];
    insta::assert_snapshot!(plan_text(&two, &view(80)));
}
