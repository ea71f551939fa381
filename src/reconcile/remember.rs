//! What a pass remembers of the conditions of sessions: since when each is as it is. Invariant: a condition
//! that did not change is not written again.

use super::StepResult;
use super::execute::Executor;
use crate::name::Name;
use crate::plan::{Plan, condition};
use crate::record::{Record, Truth};
use crate::store::Change;
use crate::world::World;

impl<W: World + ?Sized> Executor<'_, '_, W> {
    /// Remembers what the look of a plan found changed in sessions that have no step.
    pub(super) fn remember_conditions(&mut self, plan: &Plan) {
        for entry in &plan.entries {
            let record = entry.uid.and_then(|uid| self.records.sessions.get(&uid));
            let Some(record) = record else { continue };
            if let Some(conditions) = condition::news(entry, record, plan.seen) {
                let record = Record { conditions, ..record.clone() };
                self.queue(Change::Put(Box::new(record)));
            }
        }
    }

    /// Remembers what a step that is over made of a session.
    pub(super) fn remember_step(&mut self, name: &Name, result: &StepResult) {
        let now = self.now();
        let Some(record) = self.records.by_name(name) else { return };
        let wished = record.wish.as_ref().is_some_and(|wish| wish.stands_at(now));
        let synced = match result {
            StepResult::Done(_) if !wished => Truth::True,
            _ => Truth::False,
        };
        if let Some(conditions) = condition::after_step(record, synced, now) {
            let record = Record { conditions, ..record.clone() };
            self.queue(Change::Put(Box::new(record)));
        }
    }
}
