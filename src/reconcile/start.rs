//! Creates, starts and restarts. Owns what comes before an agent's first instruction: worktree, launch
//! file, pane. Invariant: a run's number is on disk before its pane is made, so two runs never share one.

use super::batch::is_at;
use super::execute::{Ended, Executor, failed, step_of, verb_of};
use super::{PassError, StepResult, Verb};
use crate::agent::command::new_conversation;
use crate::manifest::fleet::{Program, Session};
use crate::name::{Name, Uid};
use crate::plan::{Creation, Entry, LaunchMode, Plan, StepKind, StepReason};
use crate::record::{Books, Conversation, Crashes, EndKind, Place, Record, Runtime, StopReason};
use crate::snapshot::{BranchSource, PaneId, RuntimeAt, Snapshot};
use crate::store::Change;
use crate::world::{WorktreeOf, World};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The most starts that are under way at once.
const BATCH: usize = 8;

/// One start, before and while it is done.
#[derive(Debug, Clone)]
pub(super) struct Starting {
    pub(super) name: Name,
    pub(super) verb: Verb,
    pub(super) begun: Timestamp,
    pub(super) record: Record,
    pub(super) mode: LaunchMode,
    /// The worktree to be made first, and where its branch comes from.
    pub(super) make: Option<BranchSource>,
    /// The worktree's directory is to be made anew.
    pub(super) rebuild: bool,
    /// `setup` is to run again.
    pub(super) setup: bool,
    /// Our dead pane, whose window is taken.
    pub(super) over: Option<PaneId>,
    pub(super) admin: Option<PathBuf>,
    pub(super) failed: Option<StepResult>,
    /// There is a prompt, and the agent takes none at its start.
    pub(super) prompt_left_out: bool,
}

/// What a restart needs of its plan.
pub(super) struct Restarting<'e> {
    entry: &'e Entry,
    mode: &'e LaunchMode,
    pane: &'e PaneId,
    setup: bool,
    rebuild: bool,
}

impl Starting {
    pub(super) fn restart<'e>(
        entry: &'e Entry,
        (mode, pane): (&'e LaunchMode, &'e PaneId),
        (setup, rebuild): (bool, bool),
    ) -> Restarting<'e> {
        Restarting { entry, mode, pane, setup, rebuild }
    }

    /// The worktree of its own.
    pub(super) fn worktree(&self) -> Option<WorktreeOf> {
        own_worktree(&self.record)
    }
}

/// The worktree that is a record's own.
pub(super) fn own_worktree(record: &Record) -> Option<WorktreeOf> {
    match &record.place {
        Place::Own { repo, path, .. } => {
            Some(WorktreeOf { uid: record.uid, repo: repo.clone(), path: path.clone() })
        }
        Place::Repository { .. } | Place::Shared { .. } => None,
    }
}

/// What `fleetctl.json` in a worktree's admin directory says.
pub(super) fn description(fleet: &Name, record: &Record) -> String {
    let conversation = record.conversation.as_ref().map(|conversation| &conversation.id);
    let text = serde_json::json!({
        "format": 1,
        "fleet": fleet,
        "session": record.name,
        "uid": record.uid,
        "conversation": conversation,
        "protect": record.protected_since.is_some(),
    });
    format!("{text}\n")
}

impl<W: World + ?Sized> Executor<'_, '_, W> {
    /// Does a run of creates and starts, in batches of those that do not depend on each other.
    pub(super) fn start_all(&mut self, plan: &Plan, order: &[usize]) -> Result<(), PassError> {
        let mut rest = order;
        while !rest.is_empty() && self.site.world.may_go_on() {
            let taken = self.batch(plan, rest);
            let (now, later) = rest.split_at(taken);
            let entries: Vec<&Entry> = now.iter().map(|index| &plan.entries[*index]).collect();
            let refused = self.taken_meanwhile(&entries);
            let mut batch = Vec::with_capacity(taken);
            for entry in entries {
                batch.extend(self.prepare(entry, refused.get(&entry.name)));
            }
            self.start_batch(batch)?;
            rest = later;
        }
        Ok(())
    }

    /// How many of the next starts may be under way at once.
    fn batch(&self, plan: &Plan, order: &[usize]) -> usize {
        let mut names: BTreeSet<&Name> = BTreeSet::new();
        let mut agents = 0;
        for (taken, &index) in order.iter().take(BATCH).enumerate() {
            let name = &plan.entries[index].name;
            let Some(session) = self.site.fleet.sessions.get(name) else { return taken.max(1) };
            agents += usize::from(!session.is_shell());
            if taken > 0
                && (agents > self.site.fleet.settings.max_starting
                    || needs(session).any(|on| names.contains(on)))
            {
                return taken;
            }
            names.insert(name);
        }
        order.len().min(BATCH)
    }

    fn prepare(&mut self, entry: &Entry, refused: Option<&StepResult>) -> Option<Starting> {
        let step = step_of(entry)?;
        let verb = verb_of(step);
        let begun = self.now();
        self.began(&entry.name, verb);
        if let Some(on) = self.failed_dependency(&entry.name) {
            let result = StepResult::NotAttempted(format!("it depends on {on}"));
            self.ended(&entry.name, verb, (begun, result));
            return None;
        }
        if let Some(result) = refused {
            self.ended(&entry.name, verb, (begun, result.clone()));
            return None;
        }
        let session = self.site.fleet.sessions.get(&entry.name).cloned();
        let starting = match (&step.kind, session) {
            (StepKind::Create(creation), Some(session)) => Some(self.creating(&session, creation)),
            (StepKind::Start { launch, over, setup, rebuild }, Some(_)) => {
                entry.uid.and_then(|uid| self.record(uid)).map(|record| {
                    let record = begun_anew(record, &step.reason);
                    Starting {
                        rebuild: *rebuild,
                        setup: *setup || *rebuild,
                        over: over.clone(),
                        ..self.again(record, launch.clone())
                    }
                })
            }
            _ => None,
        };
        if starting.is_none() {
            let result = StepResult::Failed("its record is not there any more".into());
            self.ended(&entry.name, verb, (begun, result));
        }
        Some(Starting { name: entry.name.clone(), verb, begun, ..starting? })
    }

    /// A new incarnation.
    pub(super) fn creating(&mut self, session: &Session, creation: &Creation) -> Starting {
        let uid = self.site.world.mint();
        let record = Record {
            uid,
            name: session.name.clone(),
            tmux_name: creation.tmux_name.clone(),
            place: creation.place.clone(),
            run: crate::name::Run(1),
            runtime: None,
            ports: BTreeMap::new(),
            conversation: self.conversation(session, uid),
            old_conversations: Vec::new(),
            applied: session.applied.clone(),
            protected_since: session.protect.then_some(self.records.revision),
            end: None,
            wish: None,
            books: Books::default(),
            conditions: BTreeMap::new(),
            created: self.now(),
            gone_since: None,
            former: Vec::new(),
        };
        Starting { make: creation.branch.clone(), ..self.plain(record, LaunchMode::Plain) }
    }

    /// Another run of an incarnation.
    fn again(&mut self, record: Record, mode: LaunchMode) -> Starting {
        let books = Books { idle_since: None, ready: None, ..record.books };
        let mut record = Record { run: record.run.next(), books, ..record };
        let session = self.site.fleet.sessions.get(&record.name).cloned();
        if let Some(session) = &session {
            record.protected_since = self.protection(session, &record);
        }
        if let (LaunchMode::Fresh { .. }, Some(session)) = (&mode, session) {
            let old = record.conversation.take().filter(|old| old.begun).map(|old| old.id);
            record.old_conversations.extend(old);
            record.conversation = self.conversation(&session, record.uid);
        }
        self.plain(record, mode)
    }

    /// Who owns a shared worktree now: whoever has that directory, whatever its name became; else, when it was
    /// made or made anew in this very pass, the one that the file names.
    fn owner_of(&self, sharer: &Name, recorded: &Name, path: &Path) -> Option<&Record> {
        let owns =
            |record: &&Record| matches!(&record.place, Place::Own { path: own, .. } if own == path);
        let named = match self.site.fleet.sessions.get(sharer).map(|session| &session.worktree) {
            Some(crate::manifest::fleet::Worktree::Shared(name)) => name,
            _ => recorded,
        };
        self.records.sessions.values().find(owns).or_else(|| self.records.by_name(named))
    }

    fn plain(&self, mut record: Record, mode: LaunchMode) -> Starting {
        if let Some(ports) = self.ports.get(&record.name) {
            record.ports.clone_from(ports);
        }
        if let Place::Shared { owner, path, .. } = &mut record.place
            && let Some(found) = self.owner_of(&record.name, owner, path)
        {
            owner.clone_from(&found.name);
            path.clone_from(found.place.directory());
        }
        Starting {
            name: record.name.clone(),
            verb: Verb::Create,
            begun: self.now(),
            record,
            mode,
            make: None,
            rebuild: false,
            setup: false,
            over: None,
            admin: None,
            failed: None,
            prompt_left_out: false,
        }
    }

    /// A conversation id of our choice, where the agent takes one.
    fn conversation(&mut self, session: &Session, uid: Uid) -> Option<Conversation> {
        let Program::Agent(profile) = &session.program else { return None };
        let random = self.site.world.random();
        let id = new_conversation(profile, random, &self.site.fleet.name, &session.name, uid)?;
        Some(Conversation { id, begun: false })
    }

    /// Starts a batch: intents, worktrees, launch files, panes, outcomes.
    fn start_batch(&mut self, mut batch: Vec<Starting>) -> Result<(), PassError> {
        self.begin(&batch)?;
        self.make_worktrees(&mut batch);
        self.clear_the_way(&mut batch);
        self.write_launches(&mut batch);
        self.make_panes(&mut batch);
        for starting in batch {
            let result = self.outcome_of(&starting);
            self.ended(&starting.name, starting.verb, (starting.begun, result));
        }
        Ok(())
    }

    fn outcome_of(&mut self, starting: &Starting) -> StepResult {
        let uid = starting.record.uid;
        let result = match &starting.failed {
            None => {
                let record = self.running(starting);
                self.queue(Change::Put(Box::new(record)));
                StepResult::Done(told(starting))
            }
            Some(failed) => {
                if starting.verb == Verb::Create && self.nothing_was_made(starting) {
                    self.queue(Change::Remove(uid));
                }
                failed.clone()
            }
        };
        self.queue(Change::Finish(uid));
        result
    }

    fn running(&self, starting: &Starting) -> Record {
        let session = &self.site.fleet.sessions[&starting.record.name];
        let mut record = starting.record.clone();
        record.applied = record.applied.after_start(&session.applied);
        record.end = None;
        if let Some(conversation) = &mut record.conversation {
            conversation.begun = true;
        }
        record
    }

    /// After a failed create: neither pane nor worktree carries the uid, as far as can be seen.
    fn nothing_was_made(&mut self, starting: &Starting) -> bool {
        let wanted = super::wanted(self.site.fleet, &self.records);
        let seen = self.site.world.observe(&wanted);
        let uid = starting.record.uid;
        let no_pane = match &seen.tmux {
            crate::snapshot::Observed::Known(server) => !server.panes.iter().any(
                |pane| matches!(&pane.mark, crate::snapshot::Marked::Yes(mark) if mark.uid == uid),
            ),
            crate::snapshot::Observed::Absent(_) => true,
            crate::snapshot::Observed::Unknown(_) => false,
        };
        let no_worktree = starting.worktree().is_none_or(|worktree| {
            seen.repos
                .get(&worktree.repo)
                .and_then(|repo| repo.known())
                .is_some_and(|repo| !repo.worktrees.iter().any(|listed| is_at(listed, &worktree)))
        });
        no_pane && no_worktree
    }

    /// Ends a run and starts the next one in its window.
    pub(super) fn restart(&mut self, restarting: Restarting<'_>, snapshot: &Snapshot) -> Ended {
        let Some(record) = restarting.entry.uid.and_then(|uid| self.record(uid)) else {
            return Ok(StepResult::Failed("its record is not there any more".into()));
        };
        let ending = record.clone();
        let mut batch = [Starting {
            verb: Verb::Restart,
            setup: restarting.setup,
            rebuild: restarting.rebuild,
            over: Some(restarting.pane.clone()),
            ..self.again(record, restarting.mode.clone())
        }];
        // The launch file comes first: nothing is stopped for a start that could not be made.
        self.write_launches(&mut batch);
        if let Some(result) = batch[0].failed.clone() {
            return Ok(result);
        }
        let end = self.end_of(&ending, EndKind::Stopped(StopReason::Restart));
        batch[0].record.end = Some(end);
        self.begin(&batch)?;
        if let Err(error) = self.end_run(&ending, restarting.pane) {
            // It may live on, and its own end later is no restart.
            let run = batch[0].record.run;
            self.queue(Change::Put(Box::new(Record { run, ..ending.clone() })));
            self.queue(Change::Finish(ending.uid));
            return Ok(failed(&error));
        }
        if restarting.rebuild {
            self.make_worktrees(&mut batch);
        }
        let gone = !snapshot_has(snapshot, restarting.pane);
        if gone {
            batch[0].over = None;
        }
        self.make_panes(&mut batch);
        let [starting] = batch;
        Ok(self.outcome_of(&starting))
    }

    /// The new half of a recreate.
    pub(super) fn create_now(&mut self, name: &Name, creation: &Creation) -> Ended {
        let Some(session) = self.site.fleet.sessions.get(name).cloned() else {
            return Ok(StepResult::Failed("it left the file meanwhile".into()));
        };
        let mut batch = vec![self.creating(&session, creation)];
        self.begin(&batch)?;
        self.make_worktrees(&mut batch);
        self.write_launches(&mut batch);
        self.make_panes(&mut batch);
        Ok(self.outcome_of(&batch[0]))
    }

    /// Redoes a create that was cut off, as the same incarnation.
    pub(super) fn redo(&mut self, record: Record, branch: Option<BranchSource>) -> Ended {
        let mut batch = vec![Starting { make: branch, ..self.plain(record, LaunchMode::Plain) }];
        self.make_worktrees(&mut batch);
        self.write_launches(&mut batch);
        self.make_panes(&mut batch);
        Ok(self.outcome_of(&batch[0]))
    }
}

/// A human who starts a session begins the count of its crashes anew, and what was merged of it before is
/// nothing that he waits for.
fn begun_anew(mut record: Record, reason: &StepReason) -> Record {
    if matches!(reason, StepReason::Asked) {
        record.books.crashes = Crashes::default();
    }
    if let (Some(EndKind::Finished(merge)), Place::Own { base, .. }) =
        (record.end.as_ref().map(|end| &end.kind), &mut record.place)
    {
        *base = Some(merge.tip.clone());
    }
    record
}

fn needs(session: &Session) -> impl Iterator<Item = &Name> {
    let owner = match &session.worktree {
        crate::manifest::fleet::Worktree::Shared(owner) => Some(owner),
        crate::manifest::fleet::Worktree::Own { .. }
        | crate::manifest::fleet::Worktree::Repository => None,
    };
    session.depends_on.iter().map(|needed| &needed.on).chain(owner)
}

fn snapshot_has(snapshot: &Snapshot, pane: &PaneId) -> bool {
    snapshot.tmux.known().is_some_and(|server| server.panes.iter().any(|seen| &seen.id == pane))
}

/// The place in the kernel where a run's processes are found.
pub(super) fn runtime_at(uid: Uid, runtime: &Runtime) -> RuntimeAt {
    RuntimeAt { uid, sid: runtime.pid, boot: runtime.server.boot.clone() }
}

fn told(starting: &Starting) -> Vec<String> {
    let mut told = Vec::new();
    if let LaunchMode::Fresh { lost: Some(id) } = &starting.mode {
        told.push(format!("its conversation {id} is gone; a new one began"));
    }
    if starting.prompt_left_out {
        told.push("this agent takes no prompt at its start: give it by hand".into());
    }
    told
}
