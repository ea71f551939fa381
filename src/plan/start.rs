//! What a start needs: a place, a branch, a conversation, and nothing left of the run before. Invariant:
//! all that the new half of a step needs is checked before anything of the old half may end.

use super::guard::Patience;
use super::pass::{Pass, Refusal};
use super::sight::{PaneOf, TreeOf};
use super::{Conflict, Creation, HoldReason, LaunchMode, Request, Retirement, StepKind};
use crate::agent::command::transcript_globs;
use crate::agent::profile::Profile;
use crate::manifest::fleet::{OnChange, Program, Resume, Session, Worktree};
use crate::record::{Place, Record};
use crate::snapshot::{BranchSource, GroundAt, Pane, PaneId, PaneState, Repository, TranscriptAt};
use std::path::{Path, PathBuf};

/// How a run is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Begin {
    /// Leave the conversation.
    pub(super) fresh: bool,
    /// Run `setup` again.
    pub(super) setup: bool,
    /// A human asked for it.
    pub(super) asked: bool,
}

/// What a record's place turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Footing {
    /// It is there, and ours as far as it must be.
    Firm,
    /// Its directory is gone while git lists it.
    Lost(PathBuf),
    /// Git does not list it any more.
    Missing,
}

impl<'a> Pass<'a> {
    /// Looks at the place that a record names.
    pub(super) fn footing(&self, record: &Record) -> Result<Footing, Refusal> {
        self.repository(record.place.repo())?;
        let Place::Own { path, .. } = &record.place else { return Ok(Footing::Firm) };
        match self.sight.tree(record.uid) {
            TreeOf::Doubled => Err(HoldReason::Doubled.into()),
            TreeOf::One(tree) if !tree.present => Ok(Footing::Lost(tree.path.clone())),
            TreeOf::One(tree) if &tree.path == path => Ok(Footing::Firm),
            TreeOf::One(tree) => {
                let (recorded, found) = (path.clone(), tree.path.clone());
                Err(HoldReason::Strayed { recorded, found }.into())
            }
            TreeOf::None if self.sight.tree_at(path).is_some() => {
                Err(HoldReason::Conflict(Conflict::Path { path: path.clone() }).into())
            }
            TreeOf::None => Ok(Footing::Missing),
        }
    }

    /// A session that has no record.
    pub(super) fn create(&mut self, session: &'a Session) -> Result<StepKind, Refusal> {
        self.tmux()?;
        self.repository(&session.repo.path)?;
        self.dependencies(session, None)?;
        self.room(session, None)?;
        // Asked side by side, so that one more look answers both.
        let creation = self.creation(session, None);
        let ports = self.allot(session, None);
        let creation = creation.and_then(|creation| ports.map(|()| creation));
        if matches!(creation, Ok(_) | Err(Refusal::Open(_))) {
            self.take_place(session, None);
        }
        let creation = creation?;
        self.claim(session, &creation);
        Ok(StepKind::Create(creation))
    }

    /// What a create makes; `old` is the incarnation that makes room for it.
    fn creation(&mut self, session: &Session, old: Option<&Record>) -> Result<Creation, Refusal> {
        let tmux_name = self.tmux_name(session, old)?;
        let repository = self.repository(&session.repo.path)?;
        let repo = session.repo.path.clone();
        let plain =
            |place| Creation { place, branch: None, ground: None, tmux_name: tmux_name.clone() };
        let (branch, base) = match &session.worktree {
            Worktree::Repository => return Ok(plain(Place::Repository { repo })),
            Worktree::Shared(owner) => {
                let path = self.path_of(owner)?;
                return Ok(plain(Place::Shared { owner: owner.clone(), repo, path }));
            }
            Worktree::Own { branch, base } => {
                let branch = branch.as_deref().map(|branch| self.free_branch(session, branch, old));
                (branch, base.clone().or_else(|| session.repo.base.clone()))
            }
        };
        let path = self.free_path(session, repository, old);
        let at = GroundAt { repo: repo.clone(), path: path.clone(), branch, base };
        self.unclaimed(repository, &at, old)?;
        let ground = self.ground(&at)?;
        if ground.path_taken {
            return Err(HoldReason::Conflict(Conflict::Path { path }).into());
        }
        let old_path = old.map(|old| old.place.directory());
        if let (Some(branch), Some(there)) = (&at.branch, &ground.checked_out)
            && Some(there) != old_path
        {
            let conflict = Conflict::Branch { branch: branch.clone(), at: there.clone() };
            return Err(HoldReason::Conflict(conflict).into());
        }
        let base = match &ground.branch {
            BranchSource::NoBase { base } => {
                return Err(HoldReason::NoBase { base: base.clone() }.into());
            }
            BranchSource::Local(commit) | BranchSource::Remote(commit) => &commit.id,
            BranchSource::New { at, .. } | BranchSource::Detached { at, .. } => &at.id,
        };
        let place = Place::Own { repo, path, branch: at.branch.clone(), base: Some(base.clone()) };
        Ok(Creation { place, branch: Some(ground.branch.clone()), ground: Some(at), tmux_name })
    }

    /// Keeps two creates of one pass from wanting the same.
    fn claim(&mut self, session: &'a Session, creation: &Creation) {
        self.claimed_tmux.insert(creation.tmux_name.clone());
        if let Place::Own { path, .. } = &creation.place {
            self.claimed_paths.insert(path.clone());
            let branch = creation.ground.as_ref().and_then(|ground| ground.branch.clone());
            if let (Some(branch), Ok(repository)) = (branch, self.repository(&session.repo.path)) {
                let key = (repository.common.clone(), branch);
                self.claimed_branches.insert(key, path.clone());
            }
        }
        self.planned.insert(&session.name, creation.place.clone());
    }

    /// Refuses a path or branch that git lists elsewhere or that this pass has given away.
    fn unclaimed(
        &self,
        repository: &'a Repository,
        at: &GroundAt,
        old: Option<&Record>,
    ) -> Result<(), Refusal> {
        let replaced = |path: &Path| old.is_some_and(|old| old.place.directory() == path);
        if self.sight.tree_at(&at.path).is_some() && !replaced(&at.path) {
            return Err(HoldReason::Conflict(Conflict::Path { path: at.path.clone() }).into());
        }
        let Some(branch) = &at.branch else { return Ok(()) };
        let key = (repository.common.clone(), branch.clone());
        let planned = self.claimed_branches.get(&key).map(PathBuf::as_path);
        let there = planned.or_else(|| self.sight.checked_out(&repository.common, branch));
        match there.filter(|path| !replaced(path)) {
            Some(path) => {
                let conflict = Conflict::Branch { branch: branch.clone(), at: path.to_owned() };
                Err(HoldReason::Conflict(conflict).into())
            }
            None => Ok(()),
        }
    }

    /// The name of a new tmux session. A name that a renamed session of ours keeps gets a number.
    fn tmux_name(&self, session: &Session, old: Option<&Record>) -> Result<String, Refusal> {
        let plain = format!("{}/{}", self.fleet.name, session.name);
        let but = old.map(|old| old.uid);
        let name = numbered(&plain, |name| self.is_tmux_name_of_another(name, but));
        let ours = old.is_some_and(|old| match self.sight.pane(old.uid) {
            PaneOf::One(pane) => pane.session_name == name,
            PaneOf::None | PaneOf::Doubled => false,
        });
        if self.sight.has_tmux_session(&name) && !ours {
            return Err(HoldReason::Conflict(Conflict::Session { name }).into());
        }
        Ok(name)
    }

    /// The directory of a new worktree. A path that a renamed session of ours keeps gets a number.
    fn free_path(&self, session: &Session, at: &Repository, old: Option<&Record>) -> PathBuf {
        let under = session.repo.worktrees.clone().unwrap_or_else(|| {
            let directory = at.top.file_name().unwrap_or_default().to_string_lossy();
            at.top.with_file_name(format!("{directory}.worktrees"))
        });
        let but = old.map(|old| old.uid);
        let taken = |name: &str| self.is_path_of_another(&under.join(name), but);
        under.join(numbered(session.name.as_str(), taken))
    }

    /// The branch of a new worktree. A default one that a renamed session of ours keeps gets a number.
    fn free_branch(&self, session: &Session, branch: &str, old: Option<&Record>) -> String {
        if session.applied.recreate.contains_key("branch") {
            return branch.to_owned();
        }
        let but = old.map(|old| old.uid);
        numbered(branch, |name| self.is_branch_of_another(session, name, but))
    }

    /// The worktree of a session that others share.
    fn path_of(&self, owner: &crate::name::Name) -> Result<PathBuf, Refusal> {
        let planned = self.planned.get(owner);
        let place = planned.or_else(|| self.names.record(owner).map(|record| &record.place));
        match place {
            Some(Place::Own { path, .. }) => Ok(path.clone()),
            _ => Err(HoldReason::waits_for(owner).into()),
        }
    }

    /// Another run of a session that does not run.
    pub(super) fn start(
        &mut self,
        session: &'a Session,
        record: &'a Record,
        begin: Begin,
    ) -> Result<StepKind, Refusal> {
        let new_worktree =
            matches!(self.request(&session.name), Some(Request::Start { new_worktree: true, .. }));
        let rebuild = match self.footing(record)? {
            Footing::Firm => false,
            Footing::Lost(_) if new_worktree => true,
            Footing::Lost(path) => return Err(HoldReason::Lost { path }.into()),
            Footing::Missing => return self.recreate(session, record, begin),
        };
        self.dependencies(session, Some(record))?;
        self.room(session, Some(record))?;
        let begun = self.beginnings(session, record, begin);
        let ports = self.allot(session, Some(record));
        let begun = begun.and_then(|begun| ports.map(|()| begun));
        if matches!(begun, Ok(_) | Err(Refusal::Open(_))) {
            self.take_place(session, Some(record));
        }
        let (launch, over) = begun?;
        Ok(StepKind::Start { launch, over, setup: begin.setup || rebuild, rebuild })
    }

    /// The conversation and the window that a run begins with. Survivors of the run before are known then:
    /// they carry our uid, and are ended right before the start.
    fn beginnings(
        &mut self,
        session: &Session,
        record: &Record,
        begin: Begin,
    ) -> Result<(LaunchMode, Option<PaneId>), Refusal> {
        let pane = match self.sight.pane(record.uid) {
            PaneOf::One(pane) => Some(pane),
            PaneOf::None | PaneOf::Doubled => None,
        };
        // Asked side by side, so that one more look answers all of them.
        let survivors = self.survivors(record);
        let window = pane.map_or(Ok(()), |pane| self.window_is_free(pane));
        let launch = self.launch_mode(session, record, begin);
        if pane.is_none() && self.sight.has_tmux_session(&record.tmux_name) {
            let name = record.tmux_name.clone();
            return Err(HoldReason::Conflict(Conflict::Session { name }).into());
        }
        survivors?;
        window?;
        Ok((launch?, pane.map(|pane| pane.id.clone())))
    }

    /// Refuses to replace a window in which panes of the user's run something.
    pub(super) fn window_is_free(&mut self, pane: &Pane) -> Result<(), Refusal> {
        match self.company(&pane.id)? {
            Some(company) if !company.window.is_empty() => {
                Err(HoldReason::YourPanes(company.window.clone()).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// How the next run of an incarnation begins.
    pub(super) fn launch_mode(
        &mut self,
        session: &Session,
        record: &Record,
        begin: Begin,
    ) -> Result<LaunchMode, Refusal> {
        let Program::Agent(profile) = &session.program else { return Ok(LaunchMode::Plain) };
        let other = record.applied.builtin != session.applied.builtin;
        if begin.fresh || other || session.resume == Resume::Never {
            return Ok(LaunchMode::Fresh { lost: None });
        }
        let known = record.conversation.as_ref().filter(|conversation| conversation.begun);
        let Some(conversation) = known else {
            // An agent that names its conversations itself may have had one that nobody learned of.
            let had = record.runtime.is_some() && record.conversation.is_none();
            return match session.resume {
                Resume::Required if had => {
                    Err(HoldReason::ConversationLost { id: "unknown".into() }.into())
                }
                _ => Ok(LaunchMode::Fresh { lost: None }),
            };
        };
        let globs = self.globs(session, record, (profile, &conversation.id));
        let found = globs.is_empty() || self.transcript(TranscriptAt { uid: record.uid, globs })?;
        let id = conversation.id.clone();
        match session.resume {
            _ if found => Ok(LaunchMode::Resume(id)),
            Resume::Required => Err(HoldReason::ConversationLost { id }.into()),
            Resume::Preferred | Resume::Never => Ok(LaunchMode::Fresh { lost: Some(id) }),
        }
    }

    /// Where the conversation may lie: by the directory of the run before, and by that of the next.
    fn globs(
        &self,
        session: &Session,
        record: &Record,
        (profile, id): (&Profile, &str),
    ) -> Vec<String> {
        let state = self.policy.agent_state.join(record.uid.to_string());
        let before = record.applied.restart.get("cwd").map_or(Path::new("."), Path::new);
        let mut globs = Vec::new();
        for cwd in [before, &session.cwd] {
            let directory = record.place.directory();
            let plain = cwd.as_os_str().is_empty() || cwd == Path::new(".");
            let directory = if plain { directory.clone() } else { directory.join(cwd) };
            for glob in transcript_globs(profile, id, &directory, &state) {
                if !globs.contains(&glob) {
                    globs.push(glob);
                }
            }
        }
        globs
    }

    /// Another worktree, or another incarnation in the place of one whose worktree is no longer listed.
    pub(super) fn recreate(
        &mut self,
        session: &'a Session,
        record: &'a Record,
        begin: Begin,
    ) -> Result<StepKind, Refusal> {
        let pane = match self.sight.pane(record.uid) {
            PaneOf::One(pane) => Some(pane),
            PaneOf::None | PaneOf::Doubled => None,
        };
        let alive = pane.filter(|pane| pane.state == PaneState::Alive);
        let work_at = match self.footing(record)? {
            Footing::Lost(path) => return Err(HoldReason::Lost { path }.into()),
            Footing::Missing => None,
            Footing::Firm => self.own_work(record),
        };
        self.repository(&session.repo.path)?;
        let since = record.protected_since.or(session.protect.then_some(self.records.revision));
        if let Some(since) = since {
            return Err(HoldReason::Protected { since }.into());
        }
        if alive.is_some() && session.on_change == OnChange::Manual && !begin.asked {
            return Err(HoldReason::Manual.into());
        }
        let inside = alive.is_none() && self.policy.inside == Some(record.uid);
        if inside {
            return Err(HoldReason::Inside.into());
        }
        if let Some(pane) = alive {
            self.may_end(&session.name, record, pane, Patience::Idle)?;
        } else {
            self.room(session, Some(record))?;
        }
        self.dependencies(session, None)?;
        let free = pane.map_or(Ok(()), |pane| self.session_is_free(pane));
        let survivors = if alive.is_none() { self.survivors(record).map(drop) } else { Ok(()) };
        let create = self.creation(session, Some(record));
        let ports = self.allot(session, Some(record));
        let work = work_at.as_ref().map_or(Ok(None), |at| self.work(at));
        free?;
        survivors?;
        let create = create?;
        ports?;
        let mut retire = Retirement {
            pane: pane.map(|pane| pane.id.clone()),
            work: work_at,
            archive: false,
            risks: Vec::new(),
            commits: None,
        };
        if let Some(work) = work? {
            self.weigh(&mut retire, work, self.archive_by_file())?;
        }
        self.stop_sharers(&session.name, record)?;
        if alive.is_none() {
            self.take_place(session, Some(record));
        }
        self.claim(session, &create);
        self.replaced.insert(&session.name);
        Ok(StepKind::Recreate { retire, create })
    }

    /// Refuses to make a tmux session anew in which panes of the user's run something.
    fn session_is_free(&mut self, pane: &Pane) -> Result<(), Refusal> {
        match self.company(&pane.id)? {
            Some(company) if !(company.window.is_empty() && company.session.is_empty()) => {
                let theirs = company.window.iter().chain(&company.session);
                Err(HoldReason::YourPanes(theirs.cloned().collect()).into())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The name, or with the first number that is free.
fn numbered(plain: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(plain) {
        return plain.to_owned();
    }
    let with_number = |number: u32| format!("{plain}-{number}");
    (2..).map(with_number).find(|name| !taken(name)).unwrap_or_else(|| plain.to_owned())
}
