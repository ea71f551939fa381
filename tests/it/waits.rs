//! What `wait` makes of a session, as a table: every kind of session by every state to wait for.

use crate::fleets::{Kind, ago, now, record, session};
use fleetctl::plan::condition::{after_step, news};
use fleetctl::plan::conditions;
use fleetctl::plan::wait::{Awaited, Judgement, judge};
use fleetctl::plan::{
    Activity, Entry, Health, Hold, HoldReason, LaunchMode, Status, Step, StepKind, StepReason,
    Verdict, Wants,
};
use fleetctl::record::{ConditionKind, EndKind, Record, StopReason, Transition, Truth, WishKind};
use fleetctl::snapshot::Blind;
use jiff::Timestamp;

const STATES: [Awaited; 9] = [
    Awaited::Synced,
    Awaited::Running,
    Awaited::Ready,
    Awaited::Idle,
    Awaited::Waiting,
    Awaited::Stopped,
    Awaited::Completed,
    Awaited::Finished,
    Awaited::Gone,
];

fn entry(verdict: Verdict, status: Status) -> Entry {
    Entry {
        name: "api".parse().expect("a name"),
        uid: None,
        renamed_from: None,
        verdict,
        deferred: None,
        changes: Vec::new(),
        notes: Vec::new(),
        status,
    }
}

fn held(reason: HoldReason) -> Verdict {
    Verdict::Hold(Hold { wants: Wants::Start, reason })
}

fn wish(kind: WishKind, until: Option<Timestamp>) -> Verdict {
    let (by, since) = ("ana".to_owned(), Timestamp::UNIX_EPOCH);
    held(HoldReason::Wish { kind, why: None, by, since, until })
}

fn unseen() -> Verdict {
    held(HoldReason::Unseen(Blind { what: "tmux".into(), cause: "no answer".into() }))
}

fn start() -> Verdict {
    let launch = LaunchMode::Plain;
    let kind = StepKind::Start { launch, over: None, setup: false, rebuild: false };
    Verdict::Do(Step { kind, reason: StepReason::Gone })
}

fn runs(activity: Activity, ready: Option<Truth>) -> Status {
    Status { health: Health::Healthy, running: true, activity, ready, ..Status::default() }
}

fn rests(health: Health, end: Option<EndKind>) -> Status {
    Status { health, end, ..Status::default() }
}

/// Sessions of every kind.
fn sessions() -> Vec<(&'static str, Option<Entry>)> {
    let some = |verdict, status| Some(entry(verdict, status));
    let human = Some(EndKind::Stopped(StopReason::Human));
    let file = Some(EndKind::Stopped(StopReason::File));
    let stopped = Health::Stopped;
    let settle = |end: EndKind| {
        Verdict::Do(Step { kind: StepKind::Settle(end), reason: StepReason::EndSeen })
    };
    let forget = Verdict::Do(Step { kind: StepKind::Forget, reason: StepReason::LetGo });
    let later = Some(Timestamp::MAX);
    vec![
        ("agent runs", some(Verdict::Synced, runs(Activity::Unknown, None))),
        ("shell runs", some(Verdict::Synced, runs(Activity::Shell, None))),
        ("shell is busy", some(Verdict::Synced, runs(Activity::Busy, None))),
        ("not ready", some(Verdict::Synced, runs(Activity::Shell, Some(Truth::False)))),
        ("ready", some(Verdict::Synced, runs(Activity::Shell, Some(Truth::True)))),
        ("ready unseen", some(Verdict::Synced, runs(Activity::Shell, Some(Truth::Unknown)))),
        ("deferred", some(held(HoldReason::Busy), runs(Activity::Unknown, None))),
        ("held running", some(wish(WishKind::Hold, None), runs(Activity::Shell, None))),
        ("held a while", some(wish(WishKind::Hold, later), rests(Health::Progressing, None))),
        ("to be made", some(start(), rests(Health::Missing, None))),
        (
            "queued",
            some(
                held(HoldReason::Queued { place: 1, of: 1, max: 1 }),
                rests(Health::Missing, None),
            ),
        ),
        ("crashed", some(start(), rests(Health::Degraded, None))),
        ("given up", some(Verdict::Synced, rests(Health::Failed, Some(EndKind::GivenUp)))),
        (
            "given up now",
            some(settle(EndKind::GivenUp), rests(Health::Failed, Some(EndKind::GivenUp))),
        ),
        ("mended", some(start(), rests(Health::Failed, Some(EndKind::GivenUp)))),
        ("completed", some(Verdict::Synced, rests(stopped, Some(EndKind::Completed)))),
        ("by hand", some(Verdict::Synced, rests(stopped, Some(EndKind::ByHand)))),
        ("stopped by ana", some(wish(WishKind::Stop, None), rests(stopped, human))),
        ("stopped in file", some(Verdict::Synced, rests(stopped, file))),
        ("never started", some(Verdict::Synced, rests(stopped, None))),
        (
            "left the file",
            some(held(HoldReason::Prune { due: None }), rests(Health::Progressing, None)),
        ),
        ("let go", some(forget, rests(Health::Progressing, None))),
        ("not seen", some(unseen(), rests(Health::Unknown, None))),
        ("not there", None),
    ]
}

fn word(judged: &Judgement) -> &'static str {
    match judged {
        Judgement::Reached(_) => "yes",
        Judgement::NotYet => "-",
        Judgement::Unseen => "?",
        Judgement::Never(_) => "never",
    }
}

#[test]
fn every_session_is_judged_by_every_state() {
    let mut table = format!("{:<16}", "");
    STATES.iter().for_each(|state| table.push_str(&format!(" {:<9}", format!("{state:?}"))));
    for (name, entry) in sessions() {
        table.push_str(&format!("\n{name:<16}"));
        for state in STATES {
            table.push_str(&format!(" {:<9}", word(&judge(entry.as_ref(), &[state]))));
        }
    }
    let table: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    insta::assert_snapshot!(table);
}

#[test]
fn of_several_states_any_is_enough_and_only_all_are_out_of_reach() {
    let all = sessions();
    let of = |name: &str, states: &[Awaited]| {
        let entry = all.iter().find(|(known, _)| *known == name).expect(name).1.as_ref();
        word(&judge(entry, states))
    };
    assert_eq!(of("completed", &[Awaited::Running, Awaited::Completed]), "yes");
    assert_eq!(of("given up", &[Awaited::Running, Awaited::Completed]), "never");
    assert_eq!(of("given up", &[Awaited::Running, Awaited::Gone]), "-");
    assert_eq!(of("agent runs", &[Awaited::Idle, Awaited::Waiting]), "?");
    assert_eq!(of("agent runs", &[Awaited::Stopped, Awaited::Idle]), "?");
    assert_eq!(of("not there", &[Awaited::Running, Awaited::Gone]), "yes");
}

#[test]
fn a_condition_is_remembered_when_it_changes_and_only_then() {
    let made = record(&session("api", Kind::Agent), 1);
    let since = |entry: &Entry, record: &Record| {
        let all = conditions(entry, Some(record)).into_iter();
        all.map(|condition| (condition.kind, condition.truth, condition.since)).collect::<Vec<_>>()
    };
    let mut rests = entry(Verdict::Synced, runs(Activity::Unknown, None));
    rests.uid = Some(made.uid);
    let (synced, running) = (ConditionKind::Synced, ConditionKind::Running);
    let started = made.runtime.as_ref().map(|runtime| runtime.started);
    let fresh = vec![(synced, Truth::True, Some(made.created)), (running, Truth::True, started)];
    assert_eq!(since(&rests, &made), fresh);
    assert_eq!(news(&rests, &made, now()), None, "nothing is written of a session at rest");

    let waits = Entry { verdict: held(HoldReason::Busy), ..rests.clone() };
    assert_eq!(since(&waits, &made)[0], (synced, Truth::False, None));
    let changed = Record { conditions: news(&waits, &made, ago(9)).expect("news"), ..made.clone() };
    assert_eq!(since(&waits, &changed)[0], (synced, Truth::False, Some(ago(9))));
    assert_eq!(news(&waits, &changed, now()), None);

    assert_eq!(since(&rests, &changed)[0], (synced, Truth::True, None));
    let back = Record { conditions: news(&rests, &changed, ago(5)).expect("news"), ..made.clone() };
    assert_eq!(since(&rests, &back)[0], (synced, Truth::True, Some(ago(5))));
    assert_eq!(after_step(&back, Truth::True, now()), None);
    let failed = after_step(&back, Truth::False, ago(1)).expect("news");
    assert_eq!(failed[&synced], Transition { truth: Truth::False, since: ago(1) });

    let step = Entry { verdict: start(), ..rests.clone() };
    assert_eq!(news(&step, &made, now()), None, "a step tells when it is over");
    let down = Entry { status: Status { running: false, ..rests.status.clone() }, ..waits.clone() };
    let seen = Record { conditions: news(&down, &made, ago(3)).expect("news"), ..made.clone() };
    assert_eq!(since(&down, &seen)[1], (running, Truth::False, Some(ago(3))));
    assert_eq!(since(&rests, &seen)[1], (running, Truth::True, started));
}
