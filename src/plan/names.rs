//! Which record a name of the file stands for. Owns `moved`. Invariant: a record stands for at most one
//! name, and a move that was recorded is not made again.

use crate::manifest::fleet::{Fleet, Moved};
use crate::name::{Name, Uid};
use crate::record::{Record, Records};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The records by the names that they have in this file.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    of: HashMap<&'a Name, &'a Record>,
    /// Records that no name of the file stands for, by name.
    pub(super) gone: Vec<&'a Record>,
    /// Records whose name another record has, too.
    pub(super) doubled: Vec<&'a Record>,
    /// New names.
    pub(super) renames: BTreeMap<Uid, Name>,
}

impl<'a> Names<'a> {
    /// Matches the file's names with the live records.
    pub(super) fn new(fleet: &'a Fleet, records: &'a Records) -> Self {
        let mut by_name: HashMap<&Name, Vec<&'a Record>> = HashMap::new();
        for record in records.sessions.values() {
            by_name.entry(&record.name).or_default().push(record);
        }
        let mut names = Self::default();
        // A revision is recorded together with its moves: those of a known one were made, and what has their
        // old name since then is another session.
        if fleet.digest != records.digest {
            names.follow(fleet, &by_name);
        }
        let mut taken: HashSet<Uid> = names.of.values().map(|record| record.uid).collect();
        for name in fleet.sessions.keys().filter(|name| by_name.contains_key(name)) {
            let free = by_name[name].iter().find(|record| !taken.contains(&record.uid));
            if let (false, Some(record)) = (names.of.contains_key(name), free) {
                names.of.insert(name, record);
                taken.insert(record.uid);
            }
        }
        let left = records.sessions.values().filter(|record| !taken.contains(&record.uid));
        let (doubled, gone) = left.partition(|record| names.of.contains_key(&record.name));
        names.doubled = doubled;
        names.gone = gone;
        names.gone.sort_by_key(|record| (&record.name, record.uid));
        names
    }

    /// Gives names that moved to the records that move.
    fn follow(&mut self, fleet: &'a Fleet, by_name: &HashMap<&Name, Vec<&'a Record>>) {
        let known = |name: &Name| by_name.get(name).map_or(&[][..], Vec::as_slice);
        let mut moves: Vec<(&'a Moved, &'a Record)> = Vec::new();
        let listed = fleet.moved.iter();
        for moved in listed.filter(|m| m.from != m.to && fleet.sessions.contains_key(&m.to)) {
            if let Some(done) = known(&moved.to).iter().find(|r| r.former.contains(&moved.from)) {
                self.of.insert(&moved.to, done);
            }
        }
        let settled: HashSet<Uid> = self.of.values().map(|record| record.uid).collect();
        for moved in fleet.moved.iter().filter(|m| m.from != m.to && !self.of.contains_key(&m.to)) {
            let free = known(&moved.from).iter().find(|record| !settled.contains(&record.uid));
            if let (true, Some(record)) = (fleet.sessions.contains_key(&moved.to), free) {
                moves.push((moved, record));
            }
        }
        // A name that a record keeps cannot be given away; what wanted to move there keeps its own, too.
        loop {
            let leaving: HashSet<Uid> = moves.iter().map(|(_, record)| record.uid).collect();
            let before = moves.len();
            moves.retain(|(moved, _)| {
                known(&moved.to).iter().all(|there| leaving.contains(&there.uid))
            });
            if moves.len() == before {
                break;
            }
        }
        for (moved, record) in moves {
            if !self.of.contains_key(&moved.to) && !self.renames.contains_key(&record.uid) {
                self.of.insert(&moved.to, record);
                self.renames.insert(record.uid, moved.to.clone());
            }
        }
    }

    /// The record that stands behind a name of the file.
    pub(super) fn record(&self, name: &Name) -> Option<&'a Record> {
        self.of.get(name).copied()
    }
}
