//! A last look at ports right before a start that would be the first to use them. Invariant: what was taken
//! meanwhile is not given out; two programs that ask in the same instant can still both find it free, and what
//! is recorded first counts.

use super::StepResult;
use super::execute::Executor;
use crate::name::Name;
use crate::plan::Ports;
use crate::snapshot::{Observed, PortsAt, Question};
use crate::world::World;
use std::collections::BTreeSet;

impl<W: World + ?Sized> Executor<'_, '_, W> {
    /// Refuses a start whose new ports are taken by now, or cannot be looked at.
    pub(super) fn refuse_taken_ports(&mut self, name: &Name, had: &Ports) -> Option<StepResult> {
        let allotted = self.ports.get(name)?;
        let new = allotted.iter().filter(|(name, _)| !had.contains_key(*name));
        let kept: BTreeSet<u16> = new.map(|(_, port)| *port).collect();
        if kept.is_empty() {
            return None;
        }
        let at = PortsAt { pool: None, wanted: 0, given: BTreeSet::new(), kept: kept.clone() };
        let mut answers = self.site.world.answer(&BTreeSet::from([Question::Ports(at.clone())]));
        match answers.ports.remove(&at) {
            Some(Observed::Known(seen)) => {
                let (port, by) = seen.taken.iter().find(|(port, _)| kept.contains(port))?;
                Some(StepResult::Failed(format!("port {port} was taken meanwhile by {by}")))
            }
            Some(Observed::Unknown(blind)) => {
                Some(StepResult::Failed(format!("{}: {}", blind.what, blind.cause)))
            }
            Some(Observed::Absent(_)) | None => None,
        }
    }
}
