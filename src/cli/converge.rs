//! The one way in which verbs change anything: take a turn, recover, look, plan, ask, act, report. Owns the order of
//! these; decides nothing about sessions. Invariant: what is refused was refused before the first act.

use super::desk::Desk;
use super::writing::{Writing, open};
use super::{output, verdict};
use crate::error::{Exit, Failure, Trouble};
use crate::name::Name;
use crate::plan::{Hold, HoldReason, Plan, Policy, StepKind, Verdict, Wants};
use crate::reconcile::execute::approved;
use crate::reconcile::{Event, Outcome, StepResult, execute, fetch, recover, survey};
use crate::record::{EndKind, Record, Records, StopReason, Wish};
use crate::render::progress::Progress;
use crate::render::report::{self, Became};
use crate::render::words::Kind;
use crate::render::words::hold::{lift, why as hold_text};
use crate::render::{View, plan::plan_text};
use crate::snapshot::Snapshot;
use crate::store::{Change, Store};
use crate::world::World;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// More agents than this are not started without asking.
const MANY_STARTS: usize = 10;
/// How often a waiting apply looks again.
const AGAIN: Duration = Duration::from_secs(1);

/// What a verb asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What the plan may do.
    pub policy: Policy,
    /// Wishes to be recorded before the plan is made; `None` releases.
    pub wishes: BTreeMap<Name, Option<Wish>>,
    /// Do not ask on the terminal.
    pub yes: bool,
    /// A named session that is busy, attached or at risk refuses the whole verb.
    pub strict_names: bool,
    /// Exit 4 also for what is deferred or queued.
    pub strict: bool,
    /// Fetch however young the bases are.
    pub fetch: bool,
    /// Take the fleet over from a manifest at another path.
    pub take_over: bool,
    /// Wait that long until nothing is deferred.
    pub wait: Option<Duration>,
}

impl Ask {
    /// A pass under a policy, with nothing beyond it.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            wishes: BTreeMap::new(),
            yes: false,
            strict_names: false,
            strict: false,
            fetch: false,
            take_over: false,
            wait: None,
        }
    }
}

/// Does what is asked, under the fleet's lock, and reports it.
///
/// # Errors
/// A refusal before the first act, or what stopped the pass.
pub fn converge(desk: &mut Desk, ask: &Ask) -> Result<Exit, Failure> {
    let mut writing = open(desk, ask.take_over)?;
    // What an earlier run left half done is not what the verb is about.
    finish_journal(desk, &mut writing.store, &ask.policy)?;
    if ask.strict_names {
        refuse_what_would_be_cut_off(desk, ask)?;
    }
    let begun = Instant::now();
    let before = sharers_at_rest(desk);
    let mut exit = pass(desk, &mut writing, ask)?;
    if sharers_at_rest(desk) > before {
        // They stopped for an owner that has its new worktree by now.
        exit = pass_if_due(desk, &mut writing, ask)?.unwrap_or(exit);
    }
    let Some(limit) = ask.wait else { return Ok(exit) };
    loop {
        // A pass without steps has its books to keep too, and they are kept once.
        writing.resume(desk)?;
        let (_, plan) = desk.survey(&ask.policy);
        let waits = verdict::waiting(&plan);
        if waits.is_empty() && plan.order.is_empty() {
            return Ok(exit);
        }
        if begun.elapsed() >= limit {
            return Err(Failure::from(Trouble::WaitedInVain { what: waits.join(", ") }));
        }
        if !plan.order.is_empty() {
            exit = pass(desk, &mut writing, ask)?;
        }
        writing.pause();
        crate::process::pause(AGAIN.min(limit.saturating_sub(begun.elapsed())));
    }
}

/// How many sessions of the file stand still because the owner of their worktree was taken down.
fn sharers_at_rest(desk: &Desk) -> usize {
    let rests = |record: &&Record| {
        let end = record.end.as_ref().filter(|end| end.run == record.run);
        end.is_some_and(|end| matches!(end.kind, EndKind::Stopped(StopReason::Owner)))
            && desk.fleet.sessions.contains_key(&record.name)
    };
    desk.records.sessions.values().filter(rests).count()
}

fn take_over_if_needed(desk: &Desk, store: &mut Store) -> Result<(), Failure> {
    if store.manifest()?.as_ref() != Some(&desk.manifest) {
        store.write(&[Change::Manifest(desk.manifest.clone())])?;
    }
    Ok(())
}

/// Records wishes and does nothing else.
///
/// # Errors
/// Locked, refused, or what the store says.
pub fn wishes_only(desk: &mut Desk, wishes: &BTreeMap<Name, Option<Wish>>) -> Result<(), Failure> {
    let mut writing = open(desk, false)?;
    let changes = take_wishes(desk, wishes);
    Ok(writing.store.write(&changes)?)
}

/// Takes wishes into the records at hand, and gives what is to be written of them. Of a session that is not
/// there yet there is nothing.
fn take_wishes(desk: &mut Desk, wishes: &BTreeMap<Name, Option<Wish>>) -> Vec<Change> {
    let changes = wished(&desk.records, wishes);
    for change in &changes {
        desk.records.take(change);
    }
    changes
}

fn wished(records: &Records, wishes: &BTreeMap<Name, Option<Wish>>) -> Vec<Change> {
    wishes
        .iter()
        .filter_map(|(name, wish)| Some((records.by_name(name)?, wish)))
        .filter(|(record, wish)| record.wish != **wish)
        .map(|(record, wish)| Record { wish: wish.clone(), ..record.clone() })
        .map(|record| Change::Put(Box::new(record)))
        .collect()
}

/// Plans as if the wishes stood, and refuses when a named session must not be touched now.
fn refuse_what_would_be_cut_off(desk: &mut Desk, ask: &Ask) -> Result<(), Failure> {
    let mut records = desk.records.clone();
    for change in wished(&records, &ask.wishes) {
        records.take(&change);
    }
    let (_, plan) = survey(&mut desk.live, &desk.fleet, &records, &ask.policy);
    let view = desk.view();
    let named = |name: &Name| ask.policy.only.as_ref().is_none_or(|only| only.contains(name));
    for entry in plan.entries.iter().filter(|entry| named(&entry.name)) {
        let hold = match &entry.verdict {
            Verdict::Hold(hold) => Some(hold),
            Verdict::Do(_) | Verdict::Synced => entry.deferred.as_ref(),
        };
        let Some(hold) = hold else { continue };
        let refused = match Kind::of_hold(&hold.reason) {
            Kind::Unknown => Exit::CannotObserve,
            Kind::Deferred | Kind::Held => Exit::Refused,
            // Without a wish of its own the verb goes against the one that stands.
            Kind::Wished if !ask.wishes.contains_key(&entry.name) => Exit::Refused,
            _ => continue,
        };
        let why = hold_text(entry, hold, &view);
        return Err(match hold.reason {
            // It is refused, so nothing happens by itself later on.
            HoldReason::Busy | HoldReason::Attached => {
                Failure::new(refused, format!("{}: {}", entry.name, why[0]))
                    .with_help("to end it all the same, add --now")
            }
            _ => {
                let failure = Failure::new(refused, format!("{}: {}", entry.name, why.join("; ")));
                match lift(entry, hold, &view) {
                    Some(lift) => failure.with_help(format!("{}: {}", lift.what, lift.by)),
                    None => failure,
                }
            }
        });
    }
    Ok(())
}

/// One pass: recover, fetch, look, plan, ask, act, report.
fn pass(desk: &mut Desk, writing: &mut Writing, ask: &Ask) -> Result<Exit, Failure> {
    let progress = output::progress(&desk.context);
    let mut agreed = None;
    let (snapshot, plan, wishes) = loop {
        finish_journal(desk, &mut writing.store, &ask.policy)?;
        let wishes = take_wishes(desk, &ask.wishes);
        let (mut snapshot, mut plan) = desk.survey(&ask.policy);
        if fetch_bases(desk, ask, &plan) {
            (snapshot, plan) = desk.survey(&ask.policy);
        }
        if agreed == Some(approved(&plan)) {
            break (snapshot, plan, wishes);
        }
        if !plan.order.is_empty() || !plan.hints.is_empty() || has_news(&plan) {
            output::out(&plan_text(&plan, &desk.view()))?;
        }
        let Some(question) = question(desk, ask, &plan)? else { break (snapshot, plan, wishes) };
        writing.pause();
        if !output::confirm(&question)? {
            return Err(Failure::from(Trouble::Declined));
        }
        agreed = Some(approved(&plan));
        if writing.has_turn() {
            break (snapshot, plan, wishes);
        }
        // The controller went on meanwhile: what was agreed to must still be what is planned.
        writing.resume(desk)?;
    };
    let store = &mut writing.store;
    take_over_if_needed(desk, store)?;
    store.write(&wishes)?;
    let begun = desk.live.now();
    let outcome = act(desk, store, ask, (&snapshot, &plan), &progress)?;
    progress.clear();
    let took = Duration::try_from(desk.live.now().duration_since(begun)).unwrap_or_default();
    report(desk, &plan, &outcome, took)?;
    if !writing.is_lent() {
        tell_that_nobody_watches(desk, ask, &plan);
    }
    Ok(if ask.strict_names {
        verdict::of_verb(&plan, &outcome)
    } else {
        verdict::of_pass(&plan, &outcome, ask.strict)
    })
}

/// What an `apply` leaves for later is done by a controller, or by nobody.
fn tell_that_nobody_watches(desk: &Desk, ask: &Ask, plan: &Plan) {
    let about_one = ask.strict_names || !ask.policy.requests.is_empty();
    if about_one || ask.wait.is_some() {
        return;
    }
    if let Some(line) = verdict::unwatched(plan, &desk.view().command("controller")) {
        output::say(&line);
    }
}

fn has_news(plan: &Plan) -> bool {
    plan.entries.iter().any(|entry| Kind::of(&entry.verdict) != Kind::Synced)
        || !plan.blind.is_empty()
}

/// Finishes what the journal of a killed run tells, before anything else is planned.
///
/// # Errors
/// What the store says.
pub fn finish_journal(desk: &mut Desk, store: &mut Store, policy: &Policy) -> Result<(), Failure> {
    if desk.records.intents.is_empty() {
        return Ok(());
    }
    let progress = output::progress(&desk.context);
    progress.say("finishing what an earlier run began");
    let records = desk.records.clone();
    recover(&mut desk.site(store, policy), records, &mut |event| tell(&progress, event))?;
    desk.records = store.records()?;
    Ok(())
}

fn fetch_bases(desk: &mut Desk, ask: &Ask, plan: &Plan) -> bool {
    let acts = fetch::of_plan(&desk.fleet, plan, ask.fetch);
    let results = desk.live.perform(&acts);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        output::warn(&format!("{error}; going on with what is there"));
    }
    fetch::is_news(&results)
}

fn act(
    desk: &mut Desk,
    store: &mut Store,
    ask: &Ask,
    (snapshot, plan): (&Snapshot, &Plan),
    progress: &Progress,
) -> Result<Outcome, Failure> {
    let policy = Policy { approved: approved(plan), ..ask.policy.clone() };
    let records = desk.records.clone();
    let mut site = desk.site(store, &policy);
    let outcome = execute(&mut site, (snapshot, plan), records, &mut |event| tell(progress, event));
    desk.live.rest();
    let outcome = outcome?;
    if !outcome.lines.is_empty() {
        desk.records = store.records()?;
    }
    Ok(outcome)
}

/// Shows one event of a pass while it works.
pub fn tell(progress: &Progress, event: Event) {
    match event {
        Event::Began { name, verb } => progress.begin(name.as_str(), verb.word()),
        Event::Note(text) => progress.say(&text),
        Event::Ended(line) => {
            let name = line.name.as_str();
            match &line.result {
                StepResult::Done(_) => progress.done(name, line.verb.word()),
                StepResult::Failed(why) => progress.failed(name, why),
                StepResult::Held(_) => progress.failed(name, "held"),
                StepResult::NotAttempted(because) => progress.failed(name, because),
            }
        }
    }
}

/// What must be agreed to on the terminal before this plan is done.
fn question(desk: &Desk, ask: &Ask, plan: &Plan) -> Result<Option<String>, Failure> {
    let ends: Vec<&str> =
        steps(plan, |kind| matches!(kind, StepKind::Decommission(_) | StepKind::Recreate { .. }));
    let agents = plan
        .entries
        .iter()
        .filter(|entry| starts(entry))
        .filter(|entry| desk.fleet.sessions.get(&entry.name).is_some_and(|s| !s.is_shell()))
        .count();
    if ask.yes || (ends.is_empty() && agents <= MANY_STARTS) {
        return Ok(None);
    }
    if desk.context.terminals.input && desk.context.terminals.error {
        return Ok(Some(match ends.as_slice() {
            [] => format!("Start {agents} agents?"),
            ends => format!("Decommission {}?", ends.join(", ")),
        }));
    }
    if ends.is_empty() { Ok(None) } else { Err(Failure::from(Trouble::NobodyToAsk)) }
}

fn starts(entry: &crate::plan::Entry) -> bool {
    matches!(&entry.verdict, Verdict::Do(step)
        if matches!(step.kind, StepKind::Create(_) | StepKind::Start { .. }))
}

fn steps(plan: &Plan, wanted: impl Fn(&StepKind) -> bool) -> Vec<&str> {
    plan.entries
        .iter()
        .filter(|entry| matches!(&entry.verdict, Verdict::Do(step) if wanted(&step.kind)))
        .map(|entry| entry.name.as_str())
        .collect()
}

fn report(desk: &Desk, plan: &Plan, outcome: &Outcome, took: Duration) -> Result<(), Failure> {
    let view = desk.view();
    if outcome.lines.is_empty() {
        if !has_news(plan) {
            output::out(&plan_text(plan, &view))?;
        }
        return Ok(());
    }
    output::out(&report::report_text(&lines(outcome, plan, &view), took, &view))
}

/// The lines of an outcome, as the report takes them.
#[must_use]
pub fn lines(outcome: &Outcome, plan: &Plan, view: &View) -> Vec<report::Line> {
    outcome
        .lines
        .iter()
        .map(|line| report::Line {
            name: line.name.clone(),
            verb: line.verb.word(),
            result: became(line, plan, view),
        })
        .collect()
}

fn became(line: &crate::reconcile::Line, plan: &Plan, view: &View) -> Became {
    match &line.result {
        StepResult::Done(told) => Became::Done {
            detail: told.join("; "),
            millis: u64::try_from(line.took.as_millis()).unwrap_or(u64::MAX),
        },
        StepResult::Failed(why) => Became::Failed { why: why.clone(), go_on: None },
        StepResult::Held(reason) => Became::Held { why: held(&line.name, reason, (plan, view)) },
        StepResult::NotAttempted(because) => Became::NotAttempted { because: because.clone() },
    }
}

fn held(name: &Name, reason: &HoldReason, (plan, view): (&Plan, &View)) -> String {
    let hold = Hold { wants: Wants::Nothing, reason: reason.clone() };
    let entry = plan.entries.iter().find(|entry| entry.name == *name);
    entry.map(|entry| hold_text(entry, &hold, view).join("; ")).unwrap_or_default()
}

fn pass_if_due(desk: &mut Desk, writing: &mut Writing, ask: &Ask) -> Result<Option<Exit>, Failure> {
    let (_, plan) = desk.survey(&ask.policy);
    if plan.order.is_empty() { Ok(None) } else { pass(desk, writing, ask).map(Some) }
}
