//! `__launch`: what runs first in a pane and then becomes the agent. Owns the launch file and what is
//! done between the pane's birth and the program's first instruction. Invariant: a run that is not the one
//! in the launch file never becomes a program.

use crate::manifest::fleet::Files;
use crate::name::{Name, Run, Uid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The launch file of one run (mode 0600: `env` is in it, the contents of `env_file` are not).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Whose run.
    pub uid: Uid,
    /// Which run.
    pub run: Run,
    /// For `FLEET_NAME`.
    pub fleet: Name,
    /// For `FLEET_SESSION`.
    pub session: Name,
    /// For `FLEET_FILE`.
    pub manifest: PathBuf,
    /// The program and its arguments, `wrap` in front.
    pub argv: Vec<String>,
    /// The worktree (or the repository), for `FLEET_WORKTREE`.
    pub worktree: PathBuf,
    /// The directory to run in.
    pub directory: PathBuf,
    /// Environment; values may hold `${env.NAME}`, taken from the pane's environment.
    pub env: BTreeMap<String, String>,
    /// A file of `NAME=value` lines, read at launch; `env` goes over it.
    pub env_file: Option<PathBuf>,
    /// Variables that must not reach the program.
    pub unset: Vec<String>,
    /// What to bring into a worktree of its own before its first start, and from where.
    pub bring: Option<Bring>,
    /// `setup`, when it is due.
    pub setup: Option<Setup>,
    /// A directory of the session's own, made when it is missing; for agents that keep their files there.
    #[serde(default)]
    pub state: Option<PathBuf>,
    /// Where a failure before the program is reported (a [`crate::snapshot::LaunchFailure`] as JSON).
    pub report: PathBuf,
}

/// Untracked files of the main worktree to be brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bring {
    /// The main worktree.
    pub from: PathBuf,
    /// Which files.
    pub files: Files,
    /// Where the list of what was brought is kept, with digests, so that an unchanged one is not at risk.
    pub list: PathBuf,
}

/// `setup` of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// `sh -c` texts, one after the other.
    pub run: Vec<String>,
    /// For each, in seconds.
    pub timeout: u64,
    /// Written when all of it succeeded; while it exists, setup is not run again.
    pub done: PathBuf,
}
