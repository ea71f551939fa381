//! What becomes of a session that is gone from the file. Invariant: nothing goes whose mark, work and
//! dependents were not seen, or that a human protects, holds or watches.

use super::guard::Patience;
use super::pass::{Pass, Refusal};
use super::sight::PaneOf;
use super::start::Footing;
use super::{
    Conflict, Entry, HoldReason, Request, Retirement, StepKind, StepReason, Verdict, Wants,
};
use crate::manifest::applied::INCLUDE;
use crate::manifest::fleet::AtRisk;
use crate::manifest::include::Frozen;
use crate::name::Name;
use crate::record::{Place, Record, WishKind};
use crate::snapshot::{PaneId, PaneState, Risk, Work, WorkAt};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Whether work at risk may go to the trash, salvaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Archive {
    /// It may not.
    No,
    /// `at_risk: archive`.
    ByFile,
    /// `rm --archive`.
    Asked,
}

impl<'a> Pass<'a> {
    /// The step for a session that is gone from the file. `others` has what was decided before:
    /// the file's sessions, and what shares its worktree or depends on it.
    pub(super) fn retire(
        &mut self,
        record: &'a Record,
        others: &Others<'a>,
    ) -> Result<(StepKind, StepReason), Refusal> {
        let name = &record.name;
        let request = self.request(name);
        let listed = self.fleet.removed.iter().any(|gone| &gone.session == name && gone.keep);
        let keep = listed || matches!(request, Some(Request::Remove { keep: true, .. }));
        if !keep {
            self.not_frozen(record, request)?;
            self.due(record)?;
        }
        self.wish(record, request)?;
        self.tmux()?;
        let pane = match self.sight.pane(record.uid) {
            PaneOf::Doubled => return Err(HoldReason::Doubled.into()),
            PaneOf::One(pane) => Some(pane),
            PaneOf::None => None,
        };
        if keep {
            self.footing(record)?;
            return Ok((StepKind::Forget, StepReason::LetGo));
        }
        let work_at = match self.footing(record)? {
            Footing::Lost(path) => return Err(HoldReason::Lost { path }.into()),
            Footing::Firm => self.own_work(record),
            Footing::Missing => None,
        };
        if pane.is_none() && work_at.is_none() {
            return Ok((StepKind::Forget, StepReason::NothingLeft));
        }
        if let Some(since) = record.protected_since {
            return Err(HoldReason::Protected { since }.into());
        }
        if self.policy.inside == Some(record.uid) {
            return Err(HoldReason::Inside.into());
        }
        if let Some(pane) = pane.filter(|pane| pane.state == PaneState::Alive) {
            self.may_end(name, record, pane, Patience::Idle)?;
        }
        self.others_first(record, others)?;
        let (archive, reason) = match request {
            Some(Request::Remove { archive: true, .. }) => (Archive::Asked, StepReason::Asked),
            Some(Request::Remove { .. }) => (self.archive_by_file(), StepReason::Asked),
            Some(Request::Start { .. } | Request::Restart { .. }) | None => {
                (self.archive_by_file(), StepReason::LeftFile(record.gone_since))
            }
        };
        let pane = pane.map(|pane| pane.id.clone());
        let retirement = self.weighed(pane, work_at, archive)?;
        Ok((StepKind::Decommission(retirement), reason))
    }

    /// What could not be read may have it still. A human who names it knows better.
    fn not_frozen(&self, record: &Record, request: Option<Request>) -> Result<(), Refusal> {
        let came_from = record.applied.in_place.get(INCLUDE);
        let asked = matches!(request, Some(Request::Remove { .. }));
        let mut frozen = self.fleet.frozen.iter().filter(|_| !asked);
        match frozen.find(|frozen| frozen.holds(record.name.as_str(), came_from)) {
            Some(Frozen { file, why, .. }) => {
                Err(HoldReason::Frozen { file: file.clone(), why: why.clone() }.into())
            }
            None => Ok(()),
        }
    }

    pub(super) fn weighed(
        &mut self,
        pane: Option<PaneId>,
        work: Option<WorkAt>,
        archive: Archive,
    ) -> Result<Retirement, Refusal> {
        let mut retire =
            Retirement { pane, work, archive: false, risks: Vec::new(), commits: None };
        if let Some(at) = retire.work.clone()
            && let Some(work) = self.work(&at)?
        {
            self.weigh(&mut retire, work, archive)?;
        }
        Ok(retire)
    }

    /// Puts what was found of the work into a retirement, or refuses it.
    pub(super) fn weigh(
        &self,
        retire: &mut Retirement,
        work: &Work,
        archive: Archive,
    ) -> Result<(), Refusal> {
        // What nobody could look at is accepted by a human, not by a setting.
        let unseen = work.risks.iter().any(|risk| matches!(risk, Risk::Undetermined(_)));
        let accepted = match archive {
            Archive::No => work.risks.is_empty(),
            Archive::ByFile => !unseen,
            Archive::Asked => true,
        };
        if !accepted {
            return Err(HoldReason::AtRisk(work.risks.clone()).into());
        }
        retire.archive = !work.risks.is_empty();
        retire.risks.clone_from(&work.risks);
        retire.commits = work.branch.clone().map(|branch| (work.commits, branch));
        Ok(())
    }

    /// What the file says about work at risk.
    pub(super) fn archive_by_file(&self) -> Archive {
        match self.fleet.settings.at_risk {
            AtRisk::Keep => Archive::No,
            AtRisk::Archive => Archive::ByFile,
        }
    }

    fn wish(&self, record: &Record, request: Option<Request>) -> Result<(), Refusal> {
        let wish = record.wish.as_ref().filter(|wish| wish.stands_at(self.snapshot.taken));
        let asked = matches!(request, Some(Request::Remove { .. }));
        match wish {
            // `stop` says that it shall not run, not that it shall stay.
            Some(wish)
                if wish.kind == WishKind::Hold || wish.kind == WishKind::Restored && !asked =>
            {
                Err(super::session::wished(wish).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses while something that runs beside it or rests on it goes on, and while a create in its
    /// repository is held that may be its successor.
    fn others_first(&self, record: &Record, others: &Others<'a>) -> Result<(), Refusal> {
        let mut waits: Vec<Name> = Vec::new();
        let dependents = others.dependents.get(&record.name).into_iter().flatten().copied();
        for other in self.sharers(record).into_iter().chain(dependents) {
            let name = self.names.renames.get(&other.uid).unwrap_or(&other.name);
            if other.uid != record.uid && self.is_alive(other.uid) && !others.ending.contains(name)
            {
                waits.push(name.clone());
            }
        }
        waits
            .extend(others.stuck.get(record.place.repo().as_path()).into_iter().flatten().cloned());
        waits.sort();
        waits.dedup();
        if waits.is_empty() { Ok(()) } else { Err(HoldReason::After(waits).into()) }
    }
}

/// What decommissions wait for.
#[derive(Debug, Default)]
pub(super) struct Others<'a> {
    /// Sessions whose step ends what runs.
    ending: HashSet<Name>,
    /// Creates that something foreign or unseen stands in the way of, by repository.
    stuck: HashMap<&'a Path, Vec<Name>>,
    /// Sessions that are gone from the file, by what they depended on.
    dependents: HashMap<&'a Name, Vec<&'a Record>>,
}

impl<'a> Others<'a> {
    /// Reads the entries of the file's sessions.
    pub(super) fn new(pass: &Pass<'a>, entries: &[Entry]) -> Self {
        let mut others = Self::default();
        for record in &pass.names.gone {
            for on in &record.applied.parting.depends_on {
                others.dependents.entry(on).or_default().push(record);
            }
        }
        let paths: HashSet<&Path> = pass.names.gone.iter().filter_map(|r| own_path(r)).collect();
        let tmux: HashSet<&str> = pass.names.gone.iter().map(|r| r.tmux_name.as_str()).collect();
        for entry in entries {
            others.take(entry);
            let session = pass.fleet.sessions.get(&entry.name);
            if let (true, Some(session)) = (is_stuck(entry, &paths, &tmux), session) {
                let repo = session.repo.path.as_path();
                others.stuck.entry(repo).or_default().push(entry.name.clone());
            }
        }
        others
    }

    /// Minds the step of one more entry.
    pub(super) fn take(&mut self, entry: &Entry) {
        if ends(entry) {
            self.ending.insert(entry.name.clone());
        }
    }
}

fn own_path(record: &Record) -> Option<&Path> {
    match &record.place {
        Place::Own { path, .. } => Some(path),
        Place::Repository { .. } | Place::Shared { .. } => None,
    }
}

/// True for a create that something foreign or unseen stands in the way of. One that waits for a session
/// that is gone from the file to make room is not.
fn is_stuck(entry: &Entry, paths: &HashSet<&Path>, tmux: &HashSet<&str>) -> bool {
    let Verdict::Hold(hold) = &entry.verdict else { return false };
    if hold.wants != Wants::Create {
        return false;
    }
    match &hold.reason {
        HoldReason::Unseen(_) | HoldReason::NoBase { .. } | HoldReason::NoPort { .. } => true,
        HoldReason::Conflict(Conflict::Path { path } | Conflict::Branch { at: path, .. }) => {
            !paths.contains(path.as_path())
        }
        HoldReason::Conflict(Conflict::Session { name }) => !tmux.contains(name.as_str()),
        _ => false,
    }
}

/// True when this entry's step ends what runs.
fn ends(entry: &Entry) -> bool {
    matches!(&entry.verdict, Verdict::Do(step) if matches!(
        step.kind,
        StepKind::Decommission(_) | StepKind::Recreate { .. } | StepKind::Stop { .. }
    ))
}
