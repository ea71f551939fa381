//! A last look at ports right before a start that would be the first to use them. Invariant: what was taken
//! meanwhile is not given out; two programs that ask in the same instant can still both find it free, and what
//! is recorded first counts.

use super::StepResult;
use super::execute::Executor;
use crate::name::Name;
use crate::plan::Entry;
use crate::snapshot::{Observed, PortsAt, Question};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};

impl<W: World + ?Sized> Executor<'_, '_, W> {
    /// The sessions of a batch that would be the first to use a port which is taken by now, or which cannot be
    /// looked at, and why they are not started.
    pub(super) fn taken_meanwhile(&mut self, batch: &[&Entry]) -> BTreeMap<Name, StepResult> {
        let new: Vec<(Name, BTreeSet<u16>)> =
            batch.iter().map(|entry| (entry.name.clone(), self.new_ports(entry))).collect();
        let kept: BTreeSet<u16> = new.iter().flat_map(|(_, ports)| ports).copied().collect();
        if kept.is_empty() {
            return BTreeMap::new();
        }
        let at = PortsAt { pool: None, wanted: 0, given: BTreeSet::new(), kept };
        let mut answers = self.site.world.answer(&BTreeSet::from([Question::Ports(at.clone())]));
        let seen = match answers.ports.remove(&at) {
            Some(Observed::Known(seen)) => seen,
            Some(Observed::Absent(_)) | None => return BTreeMap::new(),
            Some(Observed::Unknown(blind)) => {
                let unseen = || StepResult::Failed(format!("{}: {}", blind.what, blind.cause));
                let wanted = new.into_iter().filter(|(_, ports)| !ports.is_empty());
                return wanted.map(|(name, _)| (name, unseen())).collect();
            }
        };
        let refused = new.into_iter().filter_map(|(name, ports)| {
            let (port, by) = seen.taken.iter().find(|(port, _)| ports.contains(port))?;
            let why = format!("port {port} was taken meanwhile by {by}");
            Some((name, StepResult::Failed(why)))
        });
        refused.collect()
    }

    fn new_ports(&self, entry: &Entry) -> BTreeSet<u16> {
        let record = entry.uid.and_then(|uid| self.records.sessions.get(&uid));
        let had = |name: &String| record.is_some_and(|record| record.ports.contains_key(name));
        let allotted = self.ports.get(&entry.name).into_iter().flatten();
        allotted.filter(|(name, _)| !had(name)).map(|(_, port)| *port).collect()
    }
}
