//! Repositories and worktrees. Owns every `git` child and every use of git2; knows neither the manifest nor
//! the plan, and never deletes what it did not first move to the trash. Invariant: a look changes nothing, and
//! what could not be seen is unknown.
//!
//! git2 is the quick way to an answer; where it cannot open a repository, or its answer would hold a step, the
//! `git` program has the word. Worktrees are made by the `git` program alone.

mod add;
mod checkout;
mod empty;
mod entry;
mod fetch;
mod ground;
mod inspect;
mod merged;
mod mirror;
mod rebuild;
mod risk;
mod salvage;
mod standing;
mod status;
mod trash;
mod tree;
mod walk;
mod within;

pub use checkout::{Checkout, top_of};
pub use mirror::{Mark, Mirror};
pub use risk::{Occupant, Occupants};
pub use tree::{RevisionError, Tree, TreeError};

use crate::process::{Child, Ended, ProcessError};
use crate::world::ActError;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// How long a look may take.
const LOOK: Duration = Duration::from_secs(30);
/// Set for every child that only looks, so that another fleetctl does not take it for work of the user's.
pub const LOOKS: (&str, &str) = ("FLEETCTL_LOOKS", "1");
/// How long an act may take: a checkout of a large repository, with its filters and hooks.
const ACT: Duration = Duration::from_secs(900);

/// Variables that would lead git to another repository than the one that is meant, or change what it sees.
const LOCATION: [&str; 18] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
];

/// The git driver. It may be used from several threads at once.
#[derive(Debug, Default)]
pub struct Git {
    env: Vec<(OsString, OsString)>,
    /// One at a time writes a repository's config: git does not wait for its lock.
    config: Mutex<()>,
    /// Which work was found to be in which base.
    merges: Mutex<merged::Known>,
}

/// Why git did not do or tell something.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The child gave no status.
    #[error("{operation} gave no answer")]
    Run {
        /// What was run: `git worktree add`.
        operation: &'static str,
        /// Why.
        #[source]
        source: ProcessError,
    },
    /// git refused.
    #[error("{operation}: {said}")]
    Refused {
        /// What was run.
        operation: &'static str,
        /// What git said about it, in one line.
        said: String,
    },
    /// There is no directory at the path of a repository.
    #[error("there is no such directory")]
    NoDirectory,
    /// No repository holds the directory.
    #[error(
        "not a git repository; make it one (git init, and a first commit), or name another under repos"
    )]
    NoRepository,
    /// git's answer has another form than expected.
    #[error("{operation} answered something else than expected")]
    Answer {
        /// What was run.
        operation: &'static str,
    },
    /// A file or directory could not be read or written.
    #[error("{}: {operation} failed", path.display())]
    File {
        /// `rename`, `read`, `write`, …
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No worktree of the repository is locked with this uid.
    #[error("no worktree of {} carries the mark of {uid}", repo.display())]
    NotOurs {
        /// The repository.
        repo: PathBuf,
        /// The uid looked for.
        uid: crate::name::Uid,
    },
    /// The worktree of this uid is neither here nor where it was to go.
    #[error("the worktree is at {}, not at {}", found.display(), expected.display())]
    Elsewhere {
        /// Where it is.
        found: PathBuf,
        /// Where it was thought to be.
        expected: PathBuf,
    },
    /// Something stands at the path.
    #[error("{} is taken", path.display())]
    Taken {
        /// The path.
        path: PathBuf,
    },
    /// A killed run left the worktree without its files; nothing worked in it yet.
    #[error("{} is half made", path.display())]
    HalfMade {
        /// The path.
        path: PathBuf,
    },
    /// The worktree exists, complete, but its `post-checkout` hook failed.
    #[error("the worktree {} exists, but its post-checkout hook failed: {said}", path.display())]
    Hook {
        /// The path.
        path: PathBuf,
        /// What the hook said last.
        said: String,
    },
    /// The base cannot be resolved.
    #[error("the base {base} is not known")]
    NoBase {
        /// The base.
        base: String,
    },
    /// The branch exists meanwhile, and points somewhere else than was planned.
    #[error("the branch {branch} appeared meanwhile")]
    BranchAppeared {
        /// The branch.
        branch: String,
    },
    /// The branch, in the middle of an operation here, is checked out somewhere else meanwhile.
    #[error("the branch {branch} is checked out at {} meanwhile", at.display())]
    BranchBusy {
        /// The branch.
        branch: String,
        /// Where.
        at: PathBuf,
    },
    /// A process of an earlier run is still at work there.
    #[error("process {pid} of an earlier run is still at work in {}", path.display())]
    StillRunning {
        /// Its id.
        pid: u32,
        /// The worktree.
        path: PathBuf,
    },
    /// A salvaged ref cannot be read back.
    #[error("the salvaged ref {reference} cannot be read back")]
    NotReadBack {
        /// Its full name.
        reference: String,
    },
    /// A ref that is not this incarnation's salvage was to be deleted.
    #[error("{reference} is no salvaged ref of {uid}")]
    ForeignRef {
        /// Its full name.
        reference: String,
        /// The incarnation.
        uid: crate::name::Uid,
    },
}

impl GitError {
    /// The error and its causes in one line.
    #[must_use]
    pub fn line(&self) -> String {
        crate::causes::in_one_line(self)
    }
}

impl From<GitError> for ActError {
    fn from(error: GitError) -> Self {
        let cause = error.line();
        match error {
            GitError::Run { operation, source: ProcessError::Timeout { .. } } => {
                Self::Uncertain { what: operation.to_owned(), cause }
            }
            GitError::BranchAppeared { branch } | GitError::BranchBusy { branch, .. } => {
                Self::Changed(format!("branch {branch}"))
            }
            GitError::NotOurs { uid, .. } => Self::Changed(format!("the worktree of {uid}")),
            GitError::Elsewhere { expected, .. } => Self::Changed(expected.display().to_string()),
            GitError::Taken { path } => Self::Changed(path.display().to_string()),
            _ => Self::Failed { what: "git".to_owned(), cause },
        }
    }
}

/// Where worktrees go when the manifest does not say: `../<directory>.worktrees`, beside the repository.
#[must_use]
pub fn worktrees_dir(top: &Path) -> PathBuf {
    let mut name = top.file_name().map_or_else(|| OsString::from("repository"), OsString::from);
    name.push(".worktrees");
    top.with_file_name(name)
}

impl Git {
    /// The `git` in PATH, with the environment of this process.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with variables set for every child.
    #[must_use]
    pub fn with_env(env: Vec<(OsString, OsString)>) -> Self {
        Self { env, ..Self::default() }
    }

    /// A child that looks: it takes no lock and refreshes no index.
    fn look(&self, directory: &Path) -> Child {
        let strict =
            ["core.untrackedCache=false", "core.checkStat=default", "core.trustctime=true"];
        let args = strict.iter().flat_map(|setting| ["-c", setting]);
        let (mark, value) = LOOKS;
        let child = self.child(directory).args(args).env("GIT_OPTIONAL_LOCKS", "0");
        child.env(mark, value).limit(LOOK)
    }

    /// A child that acts as the user's own git would, hooks included.
    fn act(&self, directory: &Path) -> Child {
        self.child(directory).limit(ACT)
    }

    /// A child that writes what is fleetctl's own, or a copy: no hook has a say in it.
    fn quiet(&self, directory: &Path) -> Child {
        self.act(directory).args(["-c", "core.hooksPath=/dev/null", "-c", "core.safecrlf=false"])
    }

    fn child(&self, directory: &Path) -> Child {
        let settings = ["core.fsmonitor=false", "status.showUntrackedFiles=all"];
        let mut child = Child::new("git").directory(directory);
        child = LOCATION.iter().fold(child, Child::without);
        child = child.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
        child = self.env.iter().fold(child, |child, (name, value)| child.env(name, value));
        child.args(settings.iter().flat_map(|setting| ["-c", setting]))
    }
}

/// Runs a child to its end, whatever its status.
fn run(child: &Child, operation: &'static str) -> Result<Ended, GitError> {
    child.run().map_err(|source| GitError::Run { operation, source })
}

/// Runs a child that must succeed, and gives its output.
fn output(child: &Child, operation: &'static str) -> Result<Vec<u8>, GitError> {
    let ended = run(child, operation)?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    Err(refused(operation, &ended))
}

/// The same, as one line of text.
fn line(child: &Child, operation: &'static str) -> Result<String, GitError> {
    let bytes = output(child, operation)?;
    let text = String::from_utf8(bytes).map_err(|_| GitError::Answer { operation })?;
    Ok(text.trim_end_matches('\n').to_owned())
}

fn refused(operation: &'static str, ended: &Ended) -> GitError {
    GitError::Refused { operation, said: said(ended) }
}

/// The line of git's complaint that tells most.
fn said(ended: &Ended) -> String {
    let lines = || ended.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines()
        .find_map(|line| line.strip_prefix("fatal: "))
        .or_else(|| lines().find_map(|line| line.strip_prefix("error: ")))
        .or_else(|| lines().next_back());
    telling.map_or_else(|| ended.status.to_string(), str::to_owned)
}

fn file<'a>(
    operation: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> GitError + use<'a> {
    move |source| GitError::File { operation, path: path.to_owned(), source }
}
