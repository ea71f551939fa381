//! What stands between a step and a live session, and between a file and the whole fleet. Invariant: nothing
//! here lets a step pass that another check refused.

use super::pass::{Pass, Refusal};
use super::session::Decided;
use super::{Failed, Hold, HoldReason, Plan, Removals, Request, StepKind, StepReason, Verdict};
use crate::name::Name;
use crate::record::{EndKind, Record, StopReason, WishKind};
use crate::snapshot::{Observed, Pane};
use jiff::SignedDuration;

/// How long ends count together.
pub(super) const MASS_WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// The fewest ends that the mass guard minds.
const MASS: usize = 3;

/// How much a step minds what a live session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It waits for idleness and for clients to leave.
    Idle,
    /// It waits for clients to leave.
    Detached,
}

impl Pass<'_> {
    /// Holds a step that failed a short while ago.
    pub(super) fn unless_it_failed(&self, name: &Name, decided: Decided) -> Decided {
        let Verdict::Do(step) = &decided.verdict else { return decided };
        let failed = self.policy.failed.get(name);
        let Some(failed) = failed.filter(|failed| failed.again > self.snapshot.taken) else {
            return decided;
        };
        let Failed { times, again } = *failed;
        let refused =
            Decided::refused(step.kind.wants(), HoldReason::Failed { times, again }.into());
        Decided { at_next_start: decided.at_next_start, end: decided.end, ..refused }
    }
}

impl Pass<'_> {
    /// Refuses to end a live run that is busy, watched, or the one in which the program runs.
    pub(super) fn may_end(
        &mut self,
        name: &Name,
        record: &Record,
        pane: &Pane,
        patience: Patience,
    ) -> Result<(), Refusal> {
        if self.policy.inside == Some(record.uid) {
            return Err(HoldReason::Inside.into());
        }
        if self.policy.now.contains(name) {
            return Ok(());
        }
        if pane.attached {
            return Err(HoldReason::Attached.into());
        }
        let parting = &record.applied.parting;
        // An agent's screen is not read: not known to be idle counts as busy.
        if !parting.shell && patience == Patience::Idle {
            return Err(HoldReason::Busy.into());
        }
        if parting.interactive && self.company(&pane.id)?.is_some_and(|company| company.working) {
            return Err(HoldReason::Busy.into());
        }
        Ok(())
    }

    /// Refuses to end what shares an incarnation's worktree; what may end is told to stop first.
    pub(super) fn stop_sharers(&mut self, owner: &Name, record: &Record) -> Result<(), Refusal> {
        let mut stopping = Vec::new();
        for sharer in self.sharers(record) {
            let super::sight::PaneOf::One(pane) = self.sight.pane(sharer.uid) else { continue };
            if !self.is_alive(sharer.uid) {
                continue;
            }
            let wished = sharer.wish.as_ref().is_some_and(|wish| {
                wish.kind == WishKind::Hold && wish.stands_at(self.snapshot.taken)
            });
            let name = self.names.renames.get(&sharer.uid).unwrap_or(&sharer.name).clone();
            let known = self.fleet.sessions.contains_key(&name) && self.selects(&name);
            let ends = self.may_end(&name, sharer, pane, Patience::Idle);
            match ends {
                Ok(()) if known && !wished => stopping.push(sharer.uid),
                Err(Refusal::Open(what)) => return Err(Refusal::Open(what)),
                Ok(()) | Err(Refusal::Held(_)) => return Err(HoldReason::After(vec![name]).into()),
            }
        }
        self.must_stop.extend(stopping.into_iter().map(|uid| (uid, owner.clone())));
        Ok(())
    }

    /// Refuses what waits for `prune`.
    pub(super) fn due(&self, record: &Record) -> Result<(), Refusal> {
        use crate::manifest::fleet::Prune;
        if matches!(self.request(&record.name), Some(Request::Remove { .. })) {
            return Ok(());
        }
        let due = match (self.policy.removals, self.fleet.settings.prune) {
            (Removals::Prune, _) | (Removals::Confirmed, Prune::After(_)) => return Ok(()),
            (Removals::Leave, _) | (_, Prune::Manual) => None,
            (Removals::WhenDue, Prune::After(wait)) => {
                let now = self.snapshot.taken;
                let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
                let due = record.gone_since.unwrap_or(now).checked_add(wait);
                match due {
                    Ok(due) if due <= now => return self.same_branch(),
                    due => due.ok(),
                }
            }
        };
        Err(HoldReason::Prune { due }.into())
    }

    /// Refuses a removal that only another branch of the manifest's repository, or an operation half done
    /// there, may have brought about.
    fn same_branch(&self) -> Result<(), Refusal> {
        let checkout = match &self.snapshot.manifest {
            Observed::Absent(_) => return Ok(()),
            Observed::Unknown(blind) => return Err(HoldReason::Unseen(blind.clone()).into()),
            Observed::Known(checkout) => checkout,
        };
        let was = self.records.branch.as_ref().filter(|was| *was != checkout.branch()).cloned();
        match (was, checkout.under_way.clone()) {
            (None, None) => Ok(()),
            (was, under_way) => {
                let now = checkout.branch().to_owned();
                Err(HoldReason::Elsewhere { was, now, under_way }.into())
            }
        }
    }

    /// The branch to be recorded: an apply of the whole fleet stands for the one that it is made from, a
    /// controller only for the first.
    pub(super) fn new_branch(&self) -> Option<String> {
        let checkout = self.snapshot.manifest.known()?;
        let known = self.records.branch.as_deref();
        let stands = match self.policy.removals {
            Removals::Confirmed | Removals::Prune => self.policy.only.is_none(),
            Removals::WhenDue => known.is_none() && checkout.under_way.is_none(),
            Removals::Leave => false,
        };
        (stands && known != Some(checkout.branch())).then(|| checkout.branch().to_owned())
    }

    /// Holds all decommissions and recreates when they are too many at once.
    pub(super) fn hold_masses(&self, plan: &mut Plan) {
        let victims: Vec<usize> = (0..plan.entries.len())
            .filter(|index| {
                let entry = &plan.entries[*index];
                let asked = matches!(
                    self.request(&entry.name),
                    Some(Request::Remove { .. } | Request::Restart { recreate: true, .. })
                );
                let approved = entry.uid.is_some_and(|uid| self.policy.approved.contains(&uid));
                ends_a_session(&entry.verdict) && !asked && !approved
            })
            .collect();
        let now = self.snapshot.taken;
        let recent = |at: &&jiff::Timestamp| now.duration_since(**at) < MASS_WINDOW;
        let recent = self.records.recent_ends.iter().filter(recent).count();
        let would = victims.len() + recent;
        let of = self.records.sessions.values().filter(|record| is_up(record)).count() + recent;
        let too_many = would >= MASS && would * 2 > of || self.fleet.sessions.is_empty();
        let approved = self.policy.max_decommission.is_some_and(|max| victims.len() <= max);
        if victims.is_empty() || !too_many || approved {
            return;
        }
        for index in victims {
            let entry = &mut plan.entries[index];
            if let Verdict::Do(step) = &entry.verdict {
                let wants = step.kind.wants();
                let reason = HoldReason::Mass { would, of };
                entry.verdict = Verdict::Hold(Hold { wants, reason });
            }
        }
    }
}

/// What is finished goes by itself, for a reason that was proven for that very session.
fn ends_a_session(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Do(step)
        if matches!(step.kind, StepKind::Decommission(_) | StepKind::Recreate { .. })
            && !matches!(step.reason, StepReason::Merged(_)))
}

/// True for a session that nobody stopped.
fn is_up(record: &Record) -> bool {
    let stopped = record.end.as_ref().is_some_and(|end| {
        matches!(end.kind, EndKind::Stopped(StopReason::Human | StopReason::File))
    });
    let wished = record.wish.as_ref().is_some_and(|wish| wish.kind != WishKind::Hold);
    !stopped && !wished
}
