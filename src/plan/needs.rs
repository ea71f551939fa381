//! What a session waits for of the others: how those stand in this pass, and whether that is what
//! `depends_on` names. Invariant: what is not known of another session is not taken for what is waited for.

use super::pass::{Pass, Refusal};
use super::session::Decided;
use super::{HoldReason, Lag, StepKind, Verdict};
use crate::manifest::fleet::{Dependency, Need, Session, Worktree};
use crate::name::Name;
use crate::record::{EndKind, Expiry, Place, Record};

/// How a session of the file stands when this pass is done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
    /// A question is open; until it is answered nothing speaks against what waits for it.
    Open,
    /// It does not run.
    Down,
    /// It begins a run in this pass.
    Starting,
    /// It runs on.
    Up,
    /// It has run to an end that stands.
    Over(EndKind),
}

impl Standing {
    /// What a decision comes to.
    pub(super) fn of(decided: &Decided, alive: bool) -> Self {
        let as_it_is = || match &decided.end {
            _ if alive => Self::Up,
            Some(end) => Self::Over(end.clone()),
            None => Self::Down,
        };
        if decided.open {
            return Self::Open;
        }
        match &decided.verdict {
            Verdict::Do(step) => match &step.kind {
                StepKind::Create(_)
                | StepKind::Start { .. }
                | StepKind::Restart { .. }
                | StepKind::Recreate { .. } => Self::Starting,
                StepKind::Update { .. } => as_it_is(),
                StepKind::Settle(end) => Self::Over(end.clone()),
                StepKind::Stop { .. } | StepKind::Decommission(_) | StepKind::Forget => Self::Down,
            },
            Verdict::Synced | Verdict::Hold(_) => as_it_is(),
        }
    }

    /// True when it runs, will run, or has run to its end.
    pub(super) fn is_started(&self) -> bool {
        match self {
            Self::Open | Self::Starting | Self::Up => true,
            Self::Over(end) => is_meant(end),
            Self::Down => false,
        }
    }
}

/// An end that the program or the file meant.
fn is_meant(end: &EndKind) -> bool {
    matches!(end, EndKind::Completed | EndKind::Expired(_) | EndKind::Finished(_))
}

impl<'a> Pass<'a> {
    /// Refuses a start before what the session depends on is as it must be, or while the worktree that it
    /// shares is not there. A restart does not wait for dependencies, nor does one that was cut off half way.
    pub(super) fn dependencies(
        &mut self,
        session: &'a Session,
        old: Option<&Record>,
    ) -> Result<(), Refusal> {
        if !old.is_some_and(super::pass::is_between_runs) {
            for needed in &session.depends_on {
                self.is_met(needed)?;
            }
        }
        self.shared_worktree(session)
    }

    fn is_met(&mut self, needed: &'a Dependency) -> Result<(), Refusal> {
        let Dependency { on, need } = needed;
        let standing = self.standing.get(on).cloned().unwrap_or(Standing::Down);
        let lag = match (need, &standing) {
            (_, Standing::Open) => None,
            (_, Standing::Over(EndKind::Finished(_))) if *need != Need::Ready => None,
            (Need::Started, _) => (!standing.is_started()).then_some(Lag::NotYet),
            (Need::Completed, Standing::Over(EndKind::Completed)) => None,
            (Need::Ready, Standing::Up) => self.lag_of_readiness(on)?,
            (Need::Idle, Standing::Over(EndKind::Completed | EndKind::Expired(Expiry::Idle))) => {
                None
            }
            (Need::Idle, Standing::Up) => self.lag_of_idleness(on)?,
            (Need::Merged, _) => self.lag_of_merge(on)?,
            (Need::Ready | Need::Idle | Need::Completed, _) => Some(Lag::NotYet),
        };
        match lag {
            None => Ok(()),
            Some(lag) => Err(HoldReason::Dependency { on: on.clone(), need: *need, lag }.into()),
        }
    }

    fn lag_of_readiness(&mut self, on: &'a Name) -> Result<Option<Lag>, Refusal> {
        let (Some(session), Some(record)) = (self.fleet.sessions.get(on), self.names.record(on))
        else {
            return Ok(Some(Lag::NotYet));
        };
        if self.is_ready(session, record)? {
            return Ok(None);
        }
        Ok(Some(if self.is_late(session, record) { Lag::Late } else { Lag::NotYet }))
    }

    fn lag_of_idleness(&mut self, on: &'a Name) -> Result<Option<Lag>, Refusal> {
        self.look_again();
        let Some(record) = self.names.record(on) else { return Ok(Some(Lag::NotYet)) };
        if !record.applied.parting.interactive {
            return Ok(Some(Lag::Unknown));
        }
        Ok((!self.is_idle(record)?).then_some(Lag::NotYet))
    }

    fn lag_of_merge(&mut self, on: &'a Name) -> Result<Option<Lag>, Refusal> {
        let (Some(session), Some(record)) = (self.fleet.sessions.get(on), self.names.record(on))
        else {
            return Ok(Some(Lag::NotYet));
        };
        Ok(self.merge(session, record)?.is_none().then_some(Lag::NotYet))
    }

    /// Refuses a run in a worktree of another session that is not there, or about to be replaced.
    pub(super) fn shared_worktree(&self, session: &Session) -> Result<(), Refusal> {
        if let Worktree::Shared(owner) = &session.worktree {
            if self.replaced.contains(owner) {
                return Err(HoldReason::After(vec![owner.clone()]).into());
            }
            let stands = self.names.record(owner).is_some_and(|owner| self.stands(owner));
            if !stands && !self.planned.contains_key(owner) {
                return Err(HoldReason::waits_for(owner).into());
            }
        }
        Ok(())
    }

    /// True when an incarnation's own worktree is there.
    fn stands(&self, owner: &Record) -> bool {
        match self.sight.tree(owner.uid) {
            super::sight::TreeOf::One(tree) => {
                tree.present
                    && matches!(&owner.place, Place::Own { path, .. } if path == &tree.path)
            }
            super::sight::TreeOf::None | super::sight::TreeOf::Doubled => false,
        }
    }
}
