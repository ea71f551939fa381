//! The real world: tmux, git, `/proc` and the clock behind the seam. Decides nothing; a driver's failure
//! becomes an [`ActError`] or an unknown part of a snapshot. Invariant: every act that touches a pane or a
//! worktree names the uid that it must carry.

mod answer;
mod perform;
mod ports;
mod probe;

use super::{Act, ActError, Done, World};
use crate::git::Git;
use crate::name::Uid;
use crate::paths::Paths;
use crate::snapshot::{
    Answers, Blind, LaunchFailure, Observed, Pane, Question, Repository, Server, ServerId,
    Snapshot, Wanted,
};
use crate::tmux::{Options, Tmux};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What the real world is made of.
pub struct Live {
    /// The tmux server.
    pub tmux: Tmux,
    /// The `git` program and library.
    pub git: Git,
    /// The fleet's files in the state directory.
    pub paths: Paths,
    /// This program, for `__launch`.
    pub program: PathBuf,
    /// The server that was last seen, for telling a dead one from one that cannot be reached.
    pub last: Option<ServerId>,
    /// The environment in which transcripts are looked for.
    pub env: BTreeMap<String, String>,
    /// What the driver of another socket is made of.
    pub options: Options,
    /// The panes of the last look.
    pub panes: Vec<Pane>,
    /// A look that began before this world was made; the first one takes it.
    pub early: Option<Looking>,
    /// Set when the program is to end.
    pub halt: Arc<AtomicBool>,
}

/// A look at tmux under way. Invariant: nothing of it outlives this program, whatever becomes of the answer.
#[derive(Debug)]
pub struct Looking {
    thread: Option<JoinHandle<Observed<Server>>>,
}

impl Looking {
    /// Begins.
    #[must_use]
    pub fn begin(tmux: Tmux, last: Option<ServerId>) -> Self {
        Self { thread: Some(std::thread::spawn(move || tmux.look(last.as_ref()))) }
    }

    /// What was seen; `None` when the look ended in a panic.
    #[must_use]
    pub fn seen(mut self) -> Option<Observed<Server>> {
        self.thread.take()?.join().ok()
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            tracing::debug!(?panic, "a look that nobody waited for");
        }
    }
}

impl World for Live {
    fn observe(&mut self, wanted: &Wanted) -> Snapshot {
        let early = self.early.take();
        let (git, tmux, repos) = (&self.git, &self.tmux, &wanted.repos);
        let (seen, repositories) = std::thread::scope(|scope| {
            let repositories = scope.spawn(|| repositories(git, repos));
            let seen = early.and_then(Looking::seen);
            let seen = seen.unwrap_or_else(|| tmux.look(self.last.as_ref()));
            (tmux.settle_ending(seen), repositories.join())
        });
        let repos = repositories.unwrap_or_else(|_| {
            let cause = "the look at it ended in a panic";
            wanted.repos.iter().map(|path| (path.clone(), unseen(path, cause))).collect()
        });
        if let Observed::Known(server) = &seen {
            self.last = Some(server.id.clone());
            self.panes.clone_from(&server.panes);
        }
        Snapshot {
            taken: self.now(),
            tmux: seen,
            repos,
            manifest: self.git.checkout_around(&wanted.manifest),
            launches: self.launch_failures(&wanted.uids),
            answers: Answers::default(),
        }
    }

    fn answer(&mut self, questions: &BTreeSet<Question>) -> Answers {
        self.answers(questions)
    }

    fn perform(&mut self, acts: &[Act]) -> Vec<Result<Done, ActError>> {
        self.acts(acts)
    }

    #[expect(clippy::disallowed_methods, reason = "the world tells the time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn mint(&mut self) -> Uid {
        let millis = u64::try_from(self.now().as_millisecond()).unwrap_or_default();
        Uid::from_parts(millis, self.random())
    }

    fn random(&mut self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }

    fn may_go_on(&self) -> bool {
        !self.halt.load(Ordering::Relaxed)
    }

    fn rest(&mut self) {
        self.tmux.let_go();
    }
}

impl Live {
    /// The tmux server on another socket.
    #[must_use]
    pub fn on_socket(&self, socket: &Path) -> Tmux {
        Tmux::new(Options { socket: socket.to_owned(), ..self.options.clone() })
    }

    /// Reads the reports of launches that failed. One that cannot be read is as good as none: the dead pane
    /// beside it says that the run failed.
    fn launch_failures(&self, uids: &BTreeSet<Uid>) -> BTreeMap<Uid, LaunchFailure> {
        let Ok(entries) = std::fs::read_dir(self.paths.launches()) else { return BTreeMap::new() };
        entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let uid = name.strip_suffix(".failed")?.parse().ok()?;
                uids.contains(&uid).then_some((uid, entry.path()))
            })
            .filter_map(|(uid, path)| {
                let text = std::fs::read(path).ok()?;
                Some((uid, serde_json::from_slice(&text).ok()?))
            })
            .collect()
    }
}

fn repositories(git: &Git, wanted: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, Observed<Repository>> {
    wanted.iter().map(|path| (path.clone(), git.repository(path))).collect()
}

fn unseen<T>(path: &Path, cause: &str) -> Observed<T> {
    Observed::Unknown(Blind { what: format!("repository {}", path.display()), cause: cause.into() })
}
