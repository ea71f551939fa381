//! The acts of starts that go side by side: intents, worktrees, launch files, panes. Invariant: what failed
//! for one start is noted in it, and is not gone on with.

use super::PassError;
use super::execute::{Executor, failed};
use super::launching::{Launching, Made, Places, below};
use super::start::{Starting, description, runtime_at};
use super::{StepResult, Verb};
use crate::agent::command::CommandError;
use crate::name::{Name, Spec, Uid};
use crate::record::{Intent, IntentKind, Place, Record, Runtime};
use crate::snapshot::{Lock, Mark, Worktree};
use crate::store::Change;
use crate::world::{Act, ActError, AddWorktree, Done, StartPane, WorktreeOf, World};
use std::collections::BTreeSet;
use std::path::PathBuf;

impl<W: World + ?Sized> Executor<'_, '_, W> {
    pub(super) fn begin(&mut self, batch: &[Starting]) -> Result<(), PassError> {
        for starting in batch {
            let kind = match &starting.make {
                Some(branch) => IntentKind::Create { branch: Some(branch.clone()) },
                None if starting.verb == Verb::Create => IntentKind::Create { branch: None },
                None => IntentKind::Start { run: starting.record.run },
            };
            let intent = Intent { uid: starting.record.uid, kind, done: Vec::new() };
            self.queue(Change::Put(Box::new(starting.record.clone())));
            self.queue(Change::Begin(intent));
            self.reopen(&starting.record.name);
        }
        self.commit()
    }

    /// A session that is there again is not finished any more.
    pub(super) fn reopen(&mut self, name: &Name) {
        if self.records.finished.contains_key(name) {
            self.queue(Change::Reopen(name.clone()));
        }
    }

    pub(super) fn make_worktrees(&mut self, batch: &mut [Starting]) {
        let fleet = self.site.fleet.name.clone();
        self.each(batch, |starting| {
            let worktree = starting.worktree()?;
            if starting.rebuild {
                let keep = kept_beside(&worktree, &starting.record);
                return Some(Act::Rebuild { worktree, keep });
            }
            let source = starting.make.clone()?;
            Some(Act::AddWorktree(AddWorktree {
                worktree,
                fleet: fleet.clone(),
                branch: starting.record.place.branch().map(str::to_owned),
                source,
                discard: super::retire::trash_path(&starting.worktree()?.path, &starting.record),
                json: description(&fleet, &starting.record),
            }))
        });
    }

    /// Ends what an earlier run left behind.
    pub(super) fn clear_the_way(&mut self, batch: &mut [Starting]) {
        let survivors = &self.snapshot.answers.survivors;
        let left: BTreeSet<Uid> = survivors
            .iter()
            .filter(|(_, seen)| seen.known().is_some_and(|alive| !alive.is_empty()))
            .map(|(uid, _)| *uid)
            .collect();
        self.each(batch, |starting| {
            let runtime = starting.record.runtime.as_ref()?;
            left.contains(&starting.record.uid)
                .then(|| Act::EndSurvivors(runtime_at(starting.record.uid, runtime)))
        });
    }

    pub(super) fn write_launches(&mut self, batch: &mut [Starting]) {
        let mut acts = Vec::with_capacity(batch.len());
        for starting in batch.iter_mut().filter(|starting| starting.failed.is_none()) {
            match self.launch_of(starting) {
                Ok(made) => {
                    starting.prompt_left_out = made.prompt_left_out;
                    let launch = Box::new(made.launch);
                    acts.push(Act::WriteLaunch { launch, setup_again: starting.setup });
                }
                Err(error) => starting.failed = Some(StepResult::Failed(error.to_string())),
            }
        }
        let mut results = self.perform(&acts).into_iter();
        for starting in batch.iter_mut().filter(|starting| starting.failed.is_none()) {
            let written = results.next().unwrap_or(Err(ActError::NotAttempted));
            starting.failed = written.err().map(|error| failed(&error));
        }
    }

    fn launch_of(&self, starting: &Starting) -> Result<Made, CommandError> {
        let session = &self.site.fleet.sessions[&starting.record.name];
        let launching = Launching {
            fleet: self.site.fleet,
            records: &self.records,
            house: self.site.house,
            session,
            record: &starting.record,
        };
        launching.file(starting.record.run, &starting.mode, &self.places(starting))
    }

    fn places(&self, starting: &Starting) -> Places {
        let Some(worktree) = starting.worktree() else { return Places::default() };
        let Some(repository) =
            self.snapshot.repos.get(&worktree.repo).and_then(|seen| seen.known())
        else {
            return Places::default();
        };
        let listed = repository.worktrees.iter().find(|listed| is_at(listed, &worktree));
        Places {
            top: Some(repository.top.clone()),
            admin: starting.admin.clone().or_else(|| listed.map(|listed| listed.admin.clone())),
        }
    }

    pub(super) fn make_panes(&mut self, batch: &mut [Starting]) {
        let marks: Vec<Mark> = batch.iter().map(|starting| self.mark(&starting.record)).collect();
        let sessions = &self.site.fleet.sessions;
        let mut acts = Vec::with_capacity(batch.len());
        for (starting, mark) in batch.iter().zip(marks) {
            if starting.failed.is_none() {
                let cwd = &sessions[&starting.record.name].cwd;
                acts.push(Act::StartPane(StartPane {
                    tmux_name: starting.record.tmux_name.clone(),
                    over: starting.over.clone(),
                    directory: below(starting.record.place.directory(), cwd),
                    launch: self.site.house.paths.launch(starting.record.uid),
                    mark,
                }));
            }
        }
        let mut results = self.perform(&acts).into_iter();
        for starting in batch.iter_mut().filter(|starting| starting.failed.is_none()) {
            match results.next().unwrap_or(Err(ActError::NotAttempted)) {
                Ok(Done::Started { server, pid, .. }) => {
                    let started = self.now();
                    let run = starting.record.run;
                    if self.records.server.as_ref() != Some(&server) {
                        self.queue(Change::Server(server.clone()));
                    }
                    starting.record.runtime = Some(Runtime { run, pid, server, started });
                }
                Ok(_) => {}
                Err(error) => starting.failed = Some(failed(&error)),
            }
        }
    }

    /// The marks of a run that is about to begin: the file's values are in force from then on.
    pub(super) fn mark(&self, record: &Record) -> Mark {
        let session = self.site.fleet.sessions.get(&record.name);
        let applied = session.map_or(&record.applied, |session| &session.applied);
        Mark {
            uid: record.uid,
            installation: self.site.house.installation.clone(),
            fleet: self.site.fleet.name.clone(),
            session: record.name.clone(),
            run: record.run,
            spec: applied.spec.clone().unwrap_or_else(|| Spec("1:-".into())),
            conversation: record.conversation.as_ref().map(|conversation| conversation.id.clone()),
            protect: record.protected_since.is_some(),
        }
    }

    /// Performs one act for each of a batch that has one, side by side; failures are noted in the batch.
    fn each(&mut self, batch: &mut [Starting], act: impl Fn(&Starting) -> Option<Act>) {
        let acts: Vec<Option<Act>> = batch
            .iter()
            .map(|starting| starting.failed.is_none().then(|| act(starting)).flatten())
            .collect();
        let wanted: Vec<Act> = acts.iter().flatten().cloned().collect();
        let mut results = self.perform(&wanted).into_iter();
        for (starting, _) in batch.iter_mut().zip(acts).filter(|(_, act)| act.is_some()) {
            match results.next().unwrap_or(Err(ActError::NotAttempted)) {
                Ok(Done::Added { head, admin }) => {
                    starting.admin = Some(admin);
                    if let Place::Own { base, .. } = &mut starting.record.place {
                        *base = Some(head);
                    }
                }
                Ok(_) => {}
                Err(error) => starting.failed = Some(failed(&error)),
            }
        }
    }
}

/// Whether an entry is the one that carries the worktree's mark.
pub(super) fn is_at(listed: &Worktree, worktree: &WorktreeOf) -> bool {
    matches!(&listed.lock, Lock::Fleet { uid, .. } if *uid == worktree.uid)
}

fn kept_beside(worktree: &WorktreeOf, record: &Record) -> PathBuf {
    super::retire::trash_path(&worktree.path, record)
}
