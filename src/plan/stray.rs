//! What a plan says of things that no session of the file stands for: our marks without a record, records that
//! share a name, and sessions that may only have been renamed. Invariant: nothing here is ever in a step.

use super::build::held;
use super::pass::Pass;
use super::sight::PaneOf;
use super::{Entry, Health, Hint, HoldReason, Status, Wants};
use crate::name::{Name, Uid};
use crate::record::Applied;
use crate::snapshot::Marked;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

impl Pass<'_> {
    /// What carries our mark and is in no record, and records that lost their name to another.
    pub(super) fn strays(&self, entries: &[Entry]) -> Vec<Entry> {
        let mut strays = Vec::new();
        if self.policy.only.is_some() {
            return strays;
        }
        for record in &self.names.doubled {
            strays.push(self.stray(record.name.clone(), record.uid, HoldReason::Doubled));
        }
        let shown: HashSet<&Name> = entries
            .iter()
            .filter(|entry| entry.verdict == held(Wants::Create, HoldReason::Orphaned))
            .map(|entry| &entry.name)
            .collect();
        let orphans: BTreeSet<Uid> =
            self.sight.marked().filter(|uid| self.is_orphan(*uid)).collect();
        for uid in orphans {
            let name = self.name_of_orphan(uid);
            if !shown.contains(&name) {
                strays.push(self.stray(name, uid, HoldReason::Orphaned));
            }
        }
        strays.sort_by(|a, b| (&a.name, a.uid).cmp(&(&b.name, b.uid)));
        strays
    }

    fn stray(&self, name: Name, uid: Uid, reason: HoldReason) -> Entry {
        let mut status = Status { health: Health::Unknown, ..Status::default() };
        self.look_at_pane(uid, &mut status);
        Entry {
            name,
            uid: Some(uid),
            renamed_from: None,
            verdict: held(Wants::Nothing, reason),
            deferred: None,
            changes: Vec::new(),
            notes: Vec::new(),
            status,
        }
    }

    /// True when our mark is there and neither a record, nor the journal, nor the trash knows it.
    fn is_orphan(&self, uid: Uid) -> bool {
        let in_journal = self.records.intents.iter().any(|intent| intent.uid == uid);
        let in_trash = self.records.tombstones.iter().any(|stone| stone.record.uid == uid);
        !self.records.sessions.contains_key(&uid) && !in_journal && !in_trash
    }

    /// True when an orphan calls itself so.
    pub(super) fn is_orphan_name(&self, name: &Name) -> bool {
        self.sight.marked().any(|uid| self.is_orphan(uid) && &self.name_of_orphan(uid) == name)
    }

    /// What an orphan calls itself: by its pane's mark, else by its worktree's directory.
    fn name_of_orphan(&self, uid: Uid) -> Name {
        let by_pane = match self.sight.pane(uid) {
            PaneOf::One(pane) => match &pane.mark {
                Marked::Yes(mark) => Some(mark.session.clone()),
                Marked::No | Marked::Garbled => None,
            },
            PaneOf::None | PaneOf::Doubled => None,
        };
        let by_path = || {
            let tree = self.sight.any_tree(uid)?;
            tree.path.file_name()?.to_str()?.parse().ok()
        };
        by_pane.or_else(by_path).unwrap_or_else(|| self.fleet.name.clone())
    }

    /// Says which sessions may only have been renamed: one gone, one new, and all that runs is the same.
    pub(super) fn hints(&self) -> Vec<Hint> {
        let mut gone: BTreeMap<Likeness<'_>, Vec<&Name>> = BTreeMap::new();
        for record in &self.names.gone {
            let like = likeness(record.place.repo(), &record.applied);
            gone.entry(like).or_default().push(&record.name);
        }
        let mut new: BTreeMap<Likeness<'_>, Vec<&Name>> = BTreeMap::new();
        for (name, session) in &self.fleet.sessions {
            if self.names.record(name).is_none() {
                let like = likeness(&session.repo.path, &session.applied);
                new.entry(like).or_default().push(name);
            }
        }
        let pairs = gone.iter().filter_map(|(like, from)| {
            match (from.as_slice(), new.get(like)?.as_slice()) {
                ([from], [to]) => {
                    Some(Hint::PerhapsMoved { from: (*from).clone(), to: (*to).clone() })
                }
                _ => None,
            }
        });
        pairs.collect()
    }
}

/// What two incarnations of one session have in common.
type Likeness<'l> = (&'l Path, Option<&'l str>, Option<&'l String>);

fn likeness<'l>(repo: &'l Path, applied: &'l Applied) -> Likeness<'l> {
    (repo, applied.builtin.as_deref(), applied.restart.get("command"))
}
