//! A machine that is only data: a tmux server, repositories with worktrees, processes and conversations.
//! Owns the faults that a test can ask for: what cannot be seen, which act fails, where the program is cut
//! off. Invariant: an act does here what it does on the real machine, and refuses what that refuses.

mod terminal;
mod trees;

pub use terminal::{Fate, Terminal};
pub use trees::{Forest, Tree};

use super::{Act, ActError, Done, World};
use crate::name::{Name, Run, Uid};
use crate::record::BranchAt;
use crate::snapshot::{
    Answers, Blind, Checkout, Evidence, LaunchFailure, Observed, PortHolder, PortsSeen, Process,
    Question, Snapshot, Wanted,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The machine.
#[derive(Debug, Clone)]
pub struct Sim {
    /// Its tmux server.
    pub terminal: Terminal,
    /// Its repositories, by the path that manifests use.
    pub repos: BTreeMap<PathBuf, Forest>,
    /// The conversations that are on disk, by whose they are.
    pub transcripts: BTreeSet<Uid>,
    /// Processes that outlived their pane.
    pub survivors: BTreeMap<Uid, Vec<Process>>,
    /// Ports that others have.
    pub ports: BTreeMap<u16, PortHolder>,
    /// Sessions whose probe says that they are not ready.
    pub unready: BTreeSet<Name>,
    /// What `__launch` reported.
    pub launches: BTreeMap<Uid, LaunchFailure>,
    /// The checkout that the manifest lies in.
    pub checkout: Observed<Checkout>,
    /// What goes wrong.
    pub faults: Faults,
    /// How many acts were performed.
    pub acts: usize,
    written: BTreeMap<Uid, Run>,
    now: Timestamp,
    minted: u64,
}

/// What goes wrong on the machine.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// tmux cannot be asked.
    pub tmux_unseen: bool,
    /// These repositories cannot be read.
    pub repos_unseen: BTreeSet<PathBuf>,
    /// The second look fails.
    pub answers_unseen: bool,
    /// The acts of these numbers fail, counted from 0 over the machine's life.
    pub failing: BTreeSet<usize>,
    /// The program is cut off before the act of this number.
    pub cut_before: Option<usize>,
    /// The program is cut off after the act of this number.
    pub cut_after: Option<usize>,
}

/// What a cut-off unwinds with: the program is gone, as by SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOff;

impl Sim {
    /// A machine without a server and without repositories.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            terminal: Terminal::default(),
            repos: BTreeMap::new(),
            transcripts: BTreeSet::new(),
            survivors: BTreeMap::new(),
            ports: BTreeMap::new(),
            unready: BTreeSet::new(),
            launches: BTreeMap::new(),
            checkout: Observed::Absent(Evidence::NotListed),
            faults: Faults::default(),
            acts: 0,
            written: BTreeMap::new(),
            now,
            minted: 0,
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: SignedDuration) {
        self.now = self.now.checked_add(time).unwrap_or(self.now);
    }

    fn one(&mut self, act: &Act) -> Result<Done, ActError> {
        match act {
            Act::Fetch { repo, .. } => self.forest(repo).map(|_| Done::Fetched),
            Act::AddWorktree(add) => self.forest(&add.worktree.repo)?.add(add),
            Act::WriteLaunch { launch, .. } => {
                self.launches.remove(&launch.uid);
                self.written.insert(launch.uid, launch.run);
                Ok(Done::Plain)
            }
            Act::StartPane(start) => self.start(start),
            Act::Remark { pane, mark } => self.terminal.remark(pane, mark),
            Act::KeepScreen { pane, uid, .. } => {
                self.terminal.ours(pane, *uid).map(|_| Done::Plain)
            }
            Act::EndRun(end) => self.terminal.end_run(end),
            Act::EndSurvivors(at) => {
                self.survivors.remove(&at.uid);
                Ok(Done::Left(Vec::new()))
            }
            Act::RemovePane { pane, uid } => self.terminal.remove(pane, *uid),
            Act::Teardown { directory, .. } => match self.is_directory(directory) {
                true => Ok(Done::Plain),
                false => Err(failed("teardown", "the directory is not there")),
            },
            Act::Salvage(worktree) => self.forest(&worktree.repo)?.salvage(worktree),
            Act::Trash { worktree, to, finish_only } => {
                self.forest(&worktree.repo)?.trash(worktree, to, *finish_only)
            }
            Act::Untrash { worktree, from, branch, .. } => {
                self.forest(&worktree.repo)?.untrash(worktree, from, branch.as_ref())
            }
            Act::Rebuild { worktree, .. } => self.forest(&worktree.repo)?.rebuild(worktree),
            Act::Describe { worktree, .. } => {
                self.forest(&worktree.repo)?.ours(worktree).map(|_| Done::Plain)
            }
            Act::LetGo(worktree) => self.forest(&worktree.repo)?.let_go(worktree),
            Act::Tidy { .. } => Ok(Done::Plain),
            Act::Unmark { pane, uid } => self.terminal.unmark(pane, *uid),
            Act::EmptyTrash { worktree, path, .. } => {
                self.forest(&worktree.repo)?.empty(worktree, path)
            }
        }
    }

    fn start(&mut self, start: &super::StartPane) -> Result<Done, ActError> {
        if let Some(done) = self.terminal.running(&start.mark) {
            return Ok(done);
        }
        let uid = start.mark.uid;
        let stale = self.written.get(&uid) != Some(&start.mark.run);
        let missing = !self.is_directory(&start.directory);
        let (done, failure) = self.terminal.start(start, stale, missing)?;
        match failure {
            Some(reason) => {
                let message = "it failed before the program".into();
                let failure = LaunchFailure { run: start.mark.run, reason, message };
                self.launches.insert(uid, failure);
            }
            None if start.mark.conversation.is_some() => drop(self.transcripts.insert(uid)),
            None => {}
        }
        Ok(done)
    }

    fn forest(&mut self, repo: &Path) -> Result<&mut Forest, ActError> {
        if self.faults.repos_unseen.contains(repo) {
            return Err(failed("git", "permission denied"));
        }
        self.repos.get_mut(repo).ok_or_else(|| failed("git", "not a repository"))
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.repos.values().any(|forest| forest.has_directory(path))
    }

    fn look_at(&self, repo: &Path) -> Observed<crate::snapshot::Repository> {
        let what = format!("repository {}", repo.display());
        match self.repos.get(repo) {
            _ if self.faults.repos_unseen.contains(repo) => {
                Observed::Unknown(Blind { what, cause: "permission denied".into() })
            }
            Some(forest) => Observed::Known(forest.look()),
            None => Observed::Unknown(Blind { what, cause: "not a repository".into() }),
        }
    }

    fn answer_one(&self, question: &Question, answers: &mut Answers) {
        let unseen = self.faults.answers_unseen;
        match question {
            Question::Work(at) => {
                let work = self.repos.get(&at.repo).and_then(|forest| forest.work(at));
                answers.work.insert(at.uid, seen(unseen, work));
            }
            Question::Ground(at) => {
                let ground = self.repos.get(&at.repo).map(|forest| forest.ground(at));
                answers.ground.insert(at.clone(), seen(unseen, ground));
            }
            Question::Company(pane) => {
                let company = self.terminal.company(pane);
                let unseen = unseen || self.faults.tmux_unseen;
                answers.company.insert(pane.clone(), seen(unseen, company));
            }
            Question::Transcript(at) => {
                let found = self.transcripts.contains(&at.uid);
                answers.transcripts.insert(at.uid, seen(unseen, Some(found)));
            }
            Question::Merged(at) => {
                let tree = self.repos.get(&at.repo).map(|forest| forest.merged(at.uid));
                answers.merged.insert(at.uid, seen(unseen, tree));
            }
            Question::Ready(at) => {
                let ready = !self.unready.contains(&at.session);
                answers.ready.insert(at.uid, seen(unseen, Some(ready)));
            }
            Question::Survivors(at) => {
                let alive = self.survivors.get(&at.uid).cloned().unwrap_or_default();
                answers.survivors.insert(at.uid, seen(unseen, Some(alive)));
            }
            Question::Ports(at) => {
                let taken = PortsSeen { taken: self.ports.clone() };
                answers.ports.insert(at.clone(), seen(unseen, Some(taken)));
            }
        }
    }
}

impl World for Sim {
    fn observe(&mut self, wanted: &Wanted) -> Snapshot {
        self.wait(SignedDuration::from_millis(100));
        let tmux = if self.faults.tmux_unseen {
            let cause = "permission denied on the socket".into();
            Observed::Unknown(Blind { what: "tmux".into(), cause })
        } else {
            self.terminal.look()
        };
        let of = |uid: &Uid| Some((*uid, self.launches.get(uid)?.clone()));
        Snapshot {
            taken: self.now,
            tmux,
            repos: wanted.repos.iter().map(|repo| (repo.clone(), self.look_at(repo))).collect(),
            manifest: self.checkout.clone(),
            launches: wanted.uids.iter().filter_map(of).collect(),
            answers: Answers::default(),
        }
    }

    fn answer(&mut self, questions: &BTreeSet<Question>) -> Answers {
        let mut answers = Answers::default();
        for question in questions {
            self.answer_one(question, &mut answers);
        }
        answers
    }

    fn perform(&mut self, acts: &[Act]) -> Vec<Result<Done, ActError>> {
        let mut done = Vec::with_capacity(acts.len());
        for act in acts {
            let number = self.acts;
            self.acts += 1;
            self.wait(SignedDuration::from_millis(10));
            if self.faults.cut_before == Some(number) {
                std::panic::resume_unwind(Box::new(CutOff));
            }
            done.push(if self.faults.failing.contains(&number) {
                Err(failed("the act", "it was made to fail"))
            } else {
                self.one(act)
            });
            if self.faults.cut_after == Some(number) {
                std::panic::resume_unwind(Box::new(CutOff));
            }
        }
        done
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn mint(&mut self) -> Uid {
        self.minted += 1;
        let millis = u64::try_from(self.now.as_millisecond()).unwrap_or_default();
        Uid::from_parts(millis, u128::from(self.minted))
    }

    fn random(&mut self) -> u128 {
        self.minted += 1;
        u128::from(self.minted)
    }
}

fn seen<T>(unseen: bool, value: Option<T>) -> Observed<T> {
    match value {
        _ if unseen => {
            let cause = "it timed out".into();
            Observed::Unknown(Blind { what: "the second look".into(), cause })
        }
        Some(value) => Observed::Known(value),
        None => Observed::Absent(Evidence::NotListed),
    }
}

fn failed(what: &str, cause: &str) -> ActError {
    ActError::Failed { what: what.into(), cause: cause.into() }
}

/// A branch and where it points, as a tombstone keeps it.
fn branch_at(name: &str, at: &str) -> BranchAt {
    BranchAt { name: name.into(), at: at.into() }
}
