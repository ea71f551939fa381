//! What is to be done with a session of the file. Owns the choice of the step; whether it may be done is
//! asked of the guards. Invariant: a session that a human holds gets no step but the one that he asked for.

use super::backoff::Wait;
use super::change::Changes;
use super::guard::Patience;
use super::pass::{Pass, Refusal};
use super::runtime::{Judge, Over};
use super::sight::{PaneOf, TreeOf};
use super::start::{Begin, Footing};
use super::{
    ChangeClass, Creation, Hold, HoldReason, Request, Step, StepKind, StepReason, Verdict, Wants,
};
use crate::manifest::fleet::{Desired, OnChange, Session};
use crate::record::{EndKind, Expiry, Record, StopReason, Wish, WishKind};
use crate::snapshot::{Blind, LaunchFailureReason, Mark, Marked, Pane, PaneState};

/// What was decided of one session.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) verdict: Verdict,
    pub(super) deferred: Option<Hold>,
    /// A restart-class change waits for the next start.
    pub(super) at_next_start: bool,
    /// A question is open: the verdict is not the last word.
    pub(super) open: bool,
    /// The end that stands, recorded or seen now.
    pub(super) end: Option<EndKind>,
}

/// The step that file and machine call for, before any guard.
#[derive(Debug, Clone, PartialEq)]
enum Move {
    Rest,
    Stop(StopReason),
    Start(Begin),
    Restart(Begin),
    Recreate(Begin),
    Settle(EndKind),
    Finish,
}

/// A move and why.
#[derive(Debug)]
struct Choice {
    go: Move,
    reason: StepReason,
    end: Option<EndKind>,
    /// A start that nobody asked for is not made yet.
    wait: Option<Wait>,
}

impl Choice {
    fn new(go: Move, reason: StepReason) -> Self {
        Self { go, reason, end: None, wait: None }
    }

    fn rest(end: Option<EndKind>) -> Self {
        Self { end, ..Self::new(Move::Rest, StepReason::Changed) }
    }

    fn wants(&self, updates: bool) -> Wants {
        match self.go {
            Move::Rest if updates => Wants::Update,
            Move::Rest | Move::Settle(_) => Wants::Nothing,
            Move::Stop(_) => Wants::Stop,
            Move::Start(_) => Wants::Start,
            Move::Restart(_) => Wants::Restart,
            Move::Recreate(_) => Wants::Recreate,
            Move::Finish => Wants::Decommission,
        }
    }
}

/// One session of the file with all that is known of it.
#[derive(Clone, Copy)]
struct Case<'a, 'c> {
    session: &'a Session,
    record: &'a Record,
    pane: Option<&'a Pane>,
    changes: &'c Changes,
    request: Option<Request>,
}

impl<'a> Case<'a, '_> {
    fn alive(&self) -> Option<&'a Pane> {
        self.pane.filter(|pane| pane.state == PaneState::Alive)
    }

    /// What a start that a verb asks for begins with.
    fn begin(&self, setup: bool) -> Begin {
        let (fresh, again) = match self.request {
            Some(Request::Restart { fresh, setup, .. }) => (fresh, setup),
            _ => (false, false),
        };
        let fresh = fresh || self.changes.new_prompt;
        Begin { fresh, setup: setup || again, asked: self.asked() }
    }

    /// `start --new-worktree`
    fn new_worktree(&self) -> bool {
        matches!(self.request, Some(Request::Start { new_worktree: true, .. }))
    }

    fn asked(&self) -> bool {
        matches!(self.request, Some(Request::Start { .. } | Request::Restart { .. }))
    }

    fn recreates(&self) -> bool {
        self.changes.any(ChangeClass::Recreate)
            || matches!(self.request, Some(Request::Restart { recreate: true, .. }))
    }

    fn lower_or_raise_protection(&self) -> bool {
        self.record.protected_since.is_some() != self.session.protect
    }

    /// The living pane's mark, where it says something else than the record: an update was cut off.
    fn lagging_mark(&self) -> Option<&'a Mark> {
        let Marked::Yes(mark) = &self.alive()?.mark else { return None };
        let protected = self.record.protected_since.is_some();
        (mark.session != self.record.name || mark.protect != protected).then_some(mark)
    }
}

impl<'a> Pass<'a> {
    /// Decides for a session of the file that has a record.
    pub(super) fn decide(
        &mut self,
        session: &'a Session,
        record: &'a Record,
        changes: &Changes,
    ) -> Decided {
        let pane = match self.seen(record) {
            Ok(pane) => pane,
            Err(refusal) => return Decided::refused(Wants::Nothing, refusal),
        };
        if let Some(branch) = self.begun(record.uid) {
            let creation = Creation {
                place: record.place.clone(),
                branch: branch.clone(),
                ground: None,
                tmux_name: record.tmux_name.clone(),
            };
            return Decided::step(StepKind::Create(creation), StepReason::New);
        }
        let request = self.request(&session.name);
        let case = Case { session, record, pane, changes, request };
        let choice = self.choose(&case);
        let from = match case.lagging_mark() {
            _ if self.names.renames.contains_key(&record.uid) => Some(&record.name),
            lagging => lagging.map(|mark| &mark.session).filter(|name| **name != record.name),
        };
        let news = from.is_some()
            || changes.updates()
            || case.lower_or_raise_protection()
            || case.lagging_mark().is_some();
        // The marks on a worktree that is not there or not ours cannot be written.
        let firm = matches!(self.footing(record), Ok(Footing::Firm));
        let mut updates = news && firm;
        if updates && let Err(refusal) = self.allot(session, Some(record)) {
            if choice.go == Move::Rest {
                return Decided::refused(Wants::Update, refusal);
            }
            updates = false;
        }
        let classes = [ChangeClass::Restart, ChangeClass::Recreate];
        let rests = matches!(choice.go, Move::Rest | Move::Settle(_));
        let later = classes.iter().any(|class| changes.any(*class)) || news && !firm;
        let waits = case.alive().is_none() && rests && later;
        let wish = self.wish_of(&case);
        let stops = self.must_stop.contains_key(&record.uid);
        let idle = choice.go == Move::Rest && !updates && !stops;
        let held = wish.filter(|wish| wish.kind == WishKind::Hold && !idle);
        let decided = match held {
            Some(wish) => Decided::refused(choice.wants(updates), wished(wish).into()),
            None => {
                let kind = self.realize(&case, &choice, wish);
                let reason = match from {
                    Some(from) if changes.list.is_empty() => {
                        StepReason::Moved { from: from.clone() }
                    }
                    _ => StepReason::Changed,
                };
                let rename = from.map(|_| session.name.clone());
                let update = updates.then_some(Step { kind: StepKind::Update { rename }, reason });
                Decided::of(kind, &choice, update)
            }
        };
        Decided { at_next_start: waits, end: choice.end, ..decided }
    }

    /// The pane of an incarnation, when all that says so was seen and is not ambiguous.
    fn seen(&self, record: &Record) -> Result<Option<&'a Pane>, Refusal> {
        self.tmux()?;
        if matches!(self.sight.tree(record.uid), TreeOf::Doubled) {
            return Err(HoldReason::Doubled.into());
        }
        match self.sight.pane(record.uid) {
            PaneOf::Doubled => Err(HoldReason::Doubled.into()),
            PaneOf::One(pane) if pane.state == PaneState::Ending => {
                let what = format!("tmux pane {}", pane.id.0);
                let cause = "tmux has not reaped its process yet".into();
                Err(HoldReason::Unseen(Blind { what, cause }).into())
            }
            PaneOf::One(pane) => Ok(Some(pane)),
            PaneOf::None => Ok(None),
        }
    }

    /// The wish that stands against the file. `start` lifts any.
    fn wish_of(&self, case: &Case<'a, '_>) -> Option<&'a Wish> {
        let wish = case.record.wish.as_ref().filter(|wish| wish.stands_at(self.snapshot.taken));
        wish.filter(|_| !matches!(case.request, Some(Request::Start { .. })))
    }

    fn choose(&mut self, case: &Case<'a, '_>) -> Choice {
        let Case { session, record, .. } = *case;
        let stop = self.wish_of(case).is_some_and(|wish| wish.kind != WishKind::Hold);
        let judge = Judge { snapshot: self.snapshot, record, session };
        let judged = case.alive().is_none().then(|| judge.judge(case.pane));
        self.learn(session, record, (case.pane, judged.as_ref()));
        if !stop
            && !case.asked()
            && let Ok(Some(merge)) = self.finish(session, record)
        {
            return Choice::new(Move::Finish, StepReason::Merged(merge.clone()));
        }
        let Some(judged) = judged else {
            let choice = choose_alive(case, stop, self.rebuilds(case));
            return match (&choice.go, self.expiry(session, record)) {
                (Move::Stop(_), _) | (_, None) => choice,
                _ if case.asked() => choice,
                (_, Some(expiry)) => {
                    Choice::new(Move::Stop(StopReason::Expired(expiry)), StepReason::Expired)
                }
            };
        };
        if stop || session.state == Desired::Stopped {
            return Choice::rest(match judged.over {
                Over::Stands(kind) | Over::Seen(kind) => Some(kind),
                Over::Again(_) | Over::Ending => None,
            });
        }
        let news = case.asked() || case.changes.any(ChangeClass::Restart);
        let wait = self.wait(record, &session.backoff, &judged).filter(|_| !news);
        let choice = choose_down(case, judged.over, wait);
        match choice.go {
            Move::Start(begin) if case.recreates() && !self.rebuilds(case) => {
                Choice { go: Move::Recreate(begin), wait: None, ..choice }
            }
            _ => choice,
        }
    }

    /// A lost worktree is to be checked out again; what else the file wants of it waits for that.
    fn rebuilds(&self, case: &Case<'a, '_>) -> bool {
        case.new_worktree() && matches!(self.footing(case.record), Ok(Footing::Lost(_)))
    }

    /// Asks the guards for what was chosen.
    fn realize(
        &mut self,
        case: &Case<'a, '_>,
        choice: &Choice,
        wish: Option<&Wish>,
    ) -> Result<Option<StepKind>, Refusal> {
        let Case { session, record, .. } = *case;
        if let (Some(pane), true) = (case.alive(), self.must_stop.contains_key(&record.uid)) {
            self.may_end(&session.name, record, pane, Patience::Idle)?;
            let pane = Some(pane.id.clone());
            return Ok(Some(StepKind::Stop { reason: StopReason::Owner, pane }));
        }
        match &choice.go {
            Move::Rest => self.rest(case, wish).map(|()| None),
            Move::Settle(kind) => Ok(Some(StepKind::Settle(kind.clone()))),
            Move::Stop(reason) => {
                let Some(pane) = case.alive() else { return Ok(None) };
                // An age is a limit on what works, too.
                let patience = match reason {
                    StopReason::Expired(Expiry::Age) => Patience::Detached,
                    _ => Patience::Idle,
                };
                self.may_end(&session.name, record, pane, patience)?;
                Ok(Some(StepKind::Stop { reason: *reason, pane: Some(pane.id.clone()) }))
            }
            Move::Start(begin) => match choice.wait {
                Some(Wait { until, after }) => {
                    let ended = Box::new(choice.reason.clone());
                    Err(HoldReason::Backoff { until, after, ended }.into())
                }
                None => self.start(session, record, *begin).map(Some),
            },
            Move::Finish => self.retire_finished(session, record).map(Some),
            Move::Restart(begin) => self.restart(case, *begin).map(Some),
            Move::Recreate(begin) => self.recreate(session, record, *begin).map(Some),
        }
    }

    /// Nothing is to be done; says so when something is wrong all the same.
    fn rest(&self, case: &Case<'a, '_>, wish: Option<&Wish>) -> Result<(), Refusal> {
        let wanted = case.session.state == Desired::Running;
        if let Some(wish) = wish.filter(|wish| wish.kind != WishKind::Hold && wanted) {
            return Err(wished(wish).into());
        }
        match self.footing(case.record) {
            Ok(Footing::Lost(path)) => Err(HoldReason::Lost { path }.into()),
            Ok(Footing::Missing) if case.alive().is_some() => {
                let path = case.record.place.directory().clone();
                Err(HoldReason::Lost { path }.into())
            }
            Ok(_) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    fn restart(&mut self, case: &Case<'a, '_>, begin: Begin) -> Result<StepKind, Refusal> {
        let Case { session, record, .. } = *case;
        let Some(pane) = case.alive() else { return self.start(session, record, begin) };
        let rebuild = match self.footing(record)? {
            Footing::Firm => false,
            Footing::Lost(_) if case.new_worktree() => true,
            Footing::Lost(path) => return Err(HoldReason::Lost { path }.into()),
            Footing::Missing => return self.recreate(session, record, begin),
        };
        if session.on_change == OnChange::Manual && !begin.asked {
            return Err(HoldReason::Manual.into());
        }
        // `now` is the default of shells; what becomes one is not for that reason free to be cut off.
        let same = record.applied.parting.shell == session.is_shell();
        let patience = match session.on_change {
            OnChange::Now if same && !begin.asked => Patience::Detached,
            OnChange::Now | OnChange::Idle | OnChange::Manual => Patience::Idle,
        };
        self.may_end(&session.name, record, pane, patience)?;
        self.shared_worktree(session)?;
        let window = self.window_is_free(pane);
        let launch = self.launch_mode(session, record, begin);
        let ports = self.allot(session, Some(record));
        window?;
        ports?;
        let setup = begin.setup || rebuild;
        Ok(StepKind::Restart { launch: launch?, pane: pane.id.clone(), setup, rebuild })
    }
}

fn choose_alive(case: &Case<'_, '_>, stop: bool, rebuild: bool) -> Choice {
    let choice = Choice::new;
    let begin = case.begin(false);
    let asked = rebuild || matches!(case.request, Some(Request::Restart { .. }));
    let why = if asked { StepReason::Asked } else { StepReason::Changed };
    if stop {
        choice(Move::Stop(StopReason::Human), StepReason::Asked)
    } else if case.session.state == Desired::Stopped {
        choice(Move::Stop(StopReason::File), StepReason::StoppedInFile)
    } else if case.recreates() && !rebuild {
        choice(Move::Recreate(begin), why)
    } else if asked || case.changes.any(ChangeClass::Restart) {
        choice(Move::Restart(begin), why)
    } else {
        Choice::rest(None)
    }
}

fn choose_down(case: &Case<'_, '_>, over: Over, wait: Option<Wait>) -> Choice {
    let (kind, recorded) = match over {
        Over::Again(reason) => {
            let reason = if case.asked() { StepReason::Asked } else { reason };
            return Choice { wait, ..Choice::new(Move::Start(case.begin(false)), reason) };
        }
        Over::Ending => return Choice::rest(None),
        Over::Stands(kind) => (kind, true),
        Over::Seen(kind) => (kind, false),
    };
    let failed = match &kind {
        EndKind::Failed(failure) => Some(failure.reason),
        _ => None,
    };
    let begin = case.begin(failed == Some(LaunchFailureReason::Setup));
    let changed = case.changes.any(ChangeClass::Restart) || case.changes.any(ChangeClass::Noted);
    let end = Some(kind.clone());
    if case.asked() {
        Choice { end, ..Choice::new(Move::Start(begin), StepReason::Asked) }
    } else if failed.is_some() && (changed || case.recreates()) {
        Choice { end, ..Choice::new(Move::Start(begin), StepReason::Changed) }
    } else if recorded {
        Choice::rest(end)
    } else {
        Choice { end, ..Choice::new(Move::Settle(kind), StepReason::EndSeen) }
    }
}

impl Decided {
    fn plain(verdict: Verdict) -> Self {
        Self { verdict, deferred: None, at_next_start: false, open: false, end: None }
    }

    /// Nothing to do, and nothing to say.
    pub(super) fn synced() -> Self {
        Self::plain(Verdict::Synced)
    }

    /// A step.
    pub(super) fn step(kind: StepKind, reason: StepReason) -> Self {
        Self::plain(Verdict::Do(Step { kind, reason }))
    }

    /// A step that was refused.
    pub(super) fn refused(wants: Wants, refusal: Refusal) -> Self {
        let open = matches!(refusal, Refusal::Open(_));
        let hold = Hold { wants, reason: refusal.reason() };
        Self { open, ..Self::plain(Verdict::Hold(hold)) }
    }

    fn of(kind: Result<Option<StepKind>, Refusal>, choice: &Choice, update: Option<Step>) -> Self {
        match (kind, update) {
            (Ok(Some(kind)), _) => Self::step(kind, choice.reason.clone()),
            (Ok(None), Some(update)) => Self::plain(Verdict::Do(update)),
            (Ok(None), None) => Self::synced(),
            (Err(refusal), update) => {
                let wants = match (&choice.go, &refusal) {
                    (Move::Rest, Refusal::Held(HoldReason::Wish { .. })) => Wants::Start,
                    _ => choice.wants(false),
                };
                let refused = Self::refused(wants, refusal);
                match (refused.verdict, update) {
                    (Verdict::Hold(hold), Some(update)) if may_update_beside(&hold.reason) => {
                        Self { deferred: Some(hold), ..Self::plain(Verdict::Do(update)) }
                    }
                    (verdict, _) => Self { verdict, open: refused.open, ..Self::synced() },
                }
            }
        }
    }
}

/// True when what holds a step says nothing against taking over what needs none.
fn may_update_beside(reason: &HoldReason) -> bool {
    // Without a worktree that is proven ours, its marks could not be written.
    !matches!(
        reason,
        HoldReason::Unseen(_)
            | HoldReason::Doubled
            | HoldReason::Lost { .. }
            | HoldReason::Strayed { .. }
            | HoldReason::Frozen { .. }
            | HoldReason::Conflict(_)
    )
}

/// The hold of a human's wish.
pub(super) fn wished(wish: &Wish) -> HoldReason {
    HoldReason::Wish {
        kind: wish.kind,
        why: wish.why.clone(),
        by: wish.by.clone(),
        since: wish.since,
        until: wish.until,
    }
}
