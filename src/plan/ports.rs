//! Which port a name of a session gets. A port is the lowest of the fleet's pool that no record of the fleet has,
//! that nothing on the machine listens on and that no other fleet has given away. Invariant: what a record has
//! is kept, whatever became of the pool or of the port meanwhile.

use super::pass::{Pass, Refusal};
use super::{Entry, HoldReason, Note, StepKind, Verdict};
use crate::manifest::fleet::Session;
use crate::record::Record;
use crate::snapshot::{Observed, PortHolder, PortsAt, PortsSeen, Question};
use std::collections::{BTreeMap, BTreeSet};

/// Ports by name.
pub type Ports = BTreeMap<String, u16>;

impl<'a> Pass<'a> {
    /// Allots the ports of a session's next run: those that it has, and free ones for names without one.
    ///
    /// # Errors
    /// Refused: the pool is used up, or what is free could not be seen.
    pub(super) fn allot(
        &mut self,
        session: &'a Session,
        old: Option<&Record>,
    ) -> Result<(), Refusal> {
        if self.allotted.contains_key(&session.name) {
            return Ok(());
        }
        let mut ports = kept(session, old);
        let missing: Vec<&String> =
            session.ports.iter().filter(|name| !ports.contains_key(*name)).collect();
        let starts = old.is_none_or(|old| !self.is_alive(old.uid));
        // A port that is kept is looked at to tell of it, and needs no proof.
        if !missing.is_empty() || starts && !ports.is_empty() && !self.ports_are_unseen() {
            let seen = self.ports_seen()?;
            for name in missing {
                let port = self
                    .free_port(seen)
                    .ok_or_else(|| self.no_port(session, (name, &ports), seen))?;
                self.claimed_ports.insert(port);
                ports.insert(name.clone(), port);
            }
        }
        self.allotted.insert(session.name.clone(), ports);
        Ok(())
    }

    /// The one question about ports that a plan asks: it covers every session that may need the answer.
    fn ports_at(&self) -> &PortsAt {
        self.ports_at.get_or_init(|| {
            let pool = self.fleet.settings.ports.map(|pool| (pool.first, pool.last));
            let given = self.records.sessions.values().flat_map(|record| record.ports.values());
            let given = given.copied().collect();
            let mut at = PortsAt { pool, wanted: 0, given, kept: BTreeSet::new() };
            for (name, session) in &self.fleet.sessions {
                let record = self.names.record(name);
                let had = kept(session, record);
                at.wanted += session.ports.iter().filter(|name| !had.contains_key(*name)).count();
                if record.is_some_and(|record| !self.is_alive(record.uid)) {
                    at.kept.extend(had.values());
                }
            }
            at
        })
    }

    fn ports_are_unseen(&self) -> bool {
        let answer = self.snapshot.answers.ports.get(self.ports_at());
        matches!(answer, Some(Observed::Unknown(_)))
    }

    fn ports_seen(&mut self) -> Result<Option<&'a PortsSeen>, Refusal> {
        let answer = self.snapshot.answers.ports.get(self.ports_at());
        if let Some(Observed::Known(seen)) = answer {
            return Ok(Some(seen));
        }
        let question = Question::Ports(self.ports_at().clone());
        self.answered(question, answer, || "the ports of this machine".into())
    }

    fn free_port(&self, seen: Option<&PortsSeen>) -> Option<u16> {
        let pool = self.fleet.settings.ports?;
        let given = &self.ports_at().given;
        let taken = |port: &u16| seen.is_some_and(|seen| seen.taken.contains_key(port));
        (pool.first..=pool.last).find(|port| {
            !given.contains(port) && !self.claimed_ports.contains(port) && !taken(port)
        })
    }

    /// The pool is used up: by whom, and how many each has.
    fn no_port(
        &self,
        session: &Session,
        (name, own): (&str, &Ports),
        seen: Option<&PortsSeen>,
    ) -> Refusal {
        let pool = self.fleet.settings.ports;
        let inside = |port: u16| pool.is_some_and(|pool| (pool.first..=pool.last).contains(&port));
        let mut by: BTreeMap<String, usize> = BTreeMap::new();
        let records = self.records.sessions.values();
        let given = records.flat_map(|r| r.ports.values().map(|port| (*port, r.name.to_string())));
        let claimed = self.allotted.iter().chain([(&session.name, own)]);
        let claimed = claimed.flat_map(|(name, ports)| {
            let new = ports.values().filter(|port| self.claimed_ports.contains(port));
            new.map(|port| (*port, name.to_string()))
        });
        let taken = seen.into_iter().flat_map(|seen| &seen.taken);
        let taken = taken.map(|(port, by)| (*port, by.to_string()));
        for (_, who) in given.chain(claimed).chain(taken).filter(|(port, _)| inside(*port)) {
            *by.entry(who).or_default() += 1;
        }
        let pool = pool.map(|pool| (pool.first, pool.last));
        HoldReason::NoPort { name: name.to_owned(), pool, by: by.into_iter().collect() }.into()
    }

    /// Says of each session what there is to say of its ports.
    pub(super) fn tell_ports(&self, entries: &mut [Entry]) {
        if self.fleet.sessions.values().all(|session| session.ports.is_empty()) {
            return;
        }
        let seen = self.snapshot.answers.ports.get(self.ports_at()).and_then(Observed::known);
        for entry in entries {
            let Some(session) = self.fleet.sessions.get(&entry.name) else { continue };
            let record = entry.uid.and_then(|uid| self.records.sessions.get(&uid));
            let had = kept(session, record);
            let pool = self.fleet.settings.ports;
            for (name, port) in &had {
                if pool.is_none_or(|pool| !(pool.first..=pool.last).contains(port)) {
                    entry.notes.push(Note::PortOutside { name: name.clone(), port: *port });
                }
            }
            let Verdict::Do(step) = &entry.verdict else { continue };
            if let (StepKind::Start { .. }, Some(seen)) = (&step.kind, seen) {
                let taken = had.iter().filter_map(|(name, port)| {
                    let by = seen.taken.get(port)?.clone();
                    Some(Note::PortTaken { name: name.clone(), port: *port, by })
                });
                entry.notes.extend(taken);
            }
            let allotted = self.allotted.get(&entry.name).cloned().unwrap_or_default();
            let new: Ports =
                allotted.into_iter().filter(|(name, _)| !had.contains_key(name)).collect();
            if !new.is_empty() {
                entry.notes.push(Note::Ports(new));
            }
        }
    }
}

/// The ports that a session has and still wants.
fn kept(session: &Session, record: Option<&Record>) -> Ports {
    let had = record.map(|record| &record.ports);
    let wanted = session.ports.iter();
    wanted.filter_map(|name| Some((name.clone(), *had?.get(name)?))).collect()
}

impl std::fmt::Display for PortHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fleet(name) => write!(f, "fleet {name}"),
            Self::Process { pid, command } => write!(f, "pid {pid} {command}"),
            Self::Somebody => f.write_str("another program"),
        }
    }
}
