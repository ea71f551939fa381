//! `__launch`: what runs first in a pane and then becomes the agent. Owns the launch file and what is
//! done between the pane's birth and the program's first instruction. Invariant: a run that is not the one
//! in the launch file never becomes a program.

pub mod bring;
pub mod env_file;
pub mod environment;
pub mod file;
pub mod setup;

use crate::causes::in_one_line;
use crate::manifest::fleet::Files;
use crate::name::{Name, Run, Uid};
use crate::process::pane::inherited;
use crate::process::{Child, ProcessError};
use crate::snapshot::{LaunchFailure, LaunchFailureReason};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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

/// Why a run did not become its program.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The arguments are not those that fleetctl gives.
    #[error("__launch is what fleetctl runs in its panes; it takes a launch file and a run")]
    Usage,
    /// There is no launch file to go by.
    #[error("no run to start")]
    File(#[source] file::FileError),
    /// The launch file is of another run.
    #[error("run {asked} is not the one to start, which is {current}")]
    Stale {
        /// The run of this pane.
        asked: Run,
        /// The run of the launch file.
        current: Run,
    },
    /// The working directory cannot be used.
    #[error("the directory {} cannot be entered", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The directory for the agent's own files cannot be made.
    #[error("there is no place for the agent's files")]
    State(#[source] file::FileError),
    /// `env_file` cannot be used.
    #[error(transparent)]
    EnvFile(#[from] env_file::EnvFileError),
    /// `files` could not be brought.
    #[error("files of the main worktree could not be brought")]
    Files(#[from] bring::BringError),
    /// `setup` did not succeed.
    #[error(transparent)]
    Setup(#[from] setup::SetupError),
    /// The program was not found.
    #[error(
        "{program} is not installed, or not in PATH as a login shell sets it; env: {{PATH: …}} adds to it"
    )]
    NotFound {
        /// Its name.
        program: String,
    },
    /// The program could not be started.
    #[error("the session's program did not start")]
    Program(#[source] ProcessError),
}

impl LaunchError {
    /// What the planner is told; `None` for what is no failure of the current run.
    fn reason(&self) -> Option<LaunchFailureReason> {
        match self {
            Self::Usage | Self::File(_) | Self::Stale { .. } => None,
            Self::Directory { .. } | Self::State(_) => Some(LaunchFailureReason::Directory),
            Self::EnvFile(_) => Some(LaunchFailureReason::EnvFile),
            Self::Files(_) => Some(LaunchFailureReason::Files),
            Self::Setup(_) => Some(LaunchFailureReason::Setup),
            Self::NotFound { .. } | Self::Program(_) => Some(LaunchFailureReason::Program),
        }
    }

    /// As a shell would exit: 127 not found, 126 not to be run, 125 for what comes before it.
    fn status(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::Program(_) => 126,
            _ => 125,
        }
    }
}

/// Becomes the program of a run, or says on the terminal and in the run's report why not. `args` are what
/// follows `__launch`: the launch file and the run's number.
///
/// To be called before anything else in the program: a thousand of these start at once.
pub fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let path = args.next().map(PathBuf::from);
    let asked = args.next().and_then(|run| run.to_str()?.parse().ok()).map(Run);
    let (Some(path), Some(asked)) = (path, asked) else { return refuse(&LaunchError::Usage) };
    let launch = match read_current(&path, asked) {
        Ok(launch) => launch,
        Err(error) => return refuse(&error),
    };
    let Err(error) = become_program(&launch);
    let code = refuse(&error);
    if let Some(reason) = error.reason() {
        let failure = LaunchFailure { run: launch.run, reason, message: in_one_line(&error) };
        if let Err(error) = file::write_report(&launch.report, &failure) {
            say(&in_one_line(&error));
        }
    }
    code
}

fn read_current(path: &Path, asked: Run) -> Result<Launch, LaunchError> {
    let launch = file::read(path).map_err(LaunchError::File)?;
    if launch.run == asked {
        Ok(launch)
    } else {
        Err(LaunchError::Stale { asked, current: launch.run })
    }
}

fn become_program(launch: &Launch) -> Result<Infallible, LaunchError> {
    let lost = |source| LaunchError::Directory { path: launch.directory.clone(), source };
    std::env::set_current_dir(&launch.directory).map_err(lost)?;
    if let Some(state) = &launch.state {
        file::make_directory_if_needed(state).map_err(LaunchError::State)?;
    }
    let environment = environment::build(launch, inherited())?;
    if let Some(bring) = &launch.bring {
        bring::bring(bring, &launch.worktree)?;
    }
    if let Some(setup) = &launch.setup {
        setup::run_if_needed(launch, setup, &environment)?;
    }
    let Some((program, args)) = launch.argv.split_first() else {
        return Err(LaunchError::NotFound { program: String::new() });
    };
    let child = Child::new(program).args(args).only_env(environment.into_iter().collect());
    Err(match child.replace() {
        ProcessError::Missing { program } => LaunchError::NotFound { program },
        other => LaunchError::Program(other),
    })
}

/// Says why on the terminal, which tmux keeps.
fn refuse(error: &LaunchError) -> ExitCode {
    say(&in_one_line(error));
    ExitCode::from(error.status())
}

fn say(line: &str) {
    // When the terminal is gone nobody is there to be told.
    let _gone = writeln!(std::io::stderr(), "fleetctl: {line}");
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::time::Duration;

    pub(crate) fn launch() -> Launch {
        Launch {
            uid: Uid::from_parts(1, 2),
            run: Run(3),
            fleet: "shop".parse().unwrap(),
            session: "api".parse().unwrap(),
            manifest: PathBuf::from("/w/fleet.yaml"),
            argv: vec!["true".to_owned()],
            worktree: PathBuf::from("/w/api"),
            directory: PathBuf::from("/w/api/web"),
            env: BTreeMap::new(),
            env_file: None,
            unset: Vec::new(),
            bring: None,
            setup: None,
            state: None,
            report: PathBuf::from("/s/U.failed"),
        }
    }

    #[test]
    fn a_launch_file_is_read_back_as_it_was_written_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("U.json");
        file::write(&path, &launch()).unwrap();
        assert_eq!(file::read(&path).unwrap(), launch());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_stale_run_is_refused_without_a_report() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("U.json");
        let report = directory.path().join("U.failed");
        file::write(&path, &Launch { report: report.clone(), ..launch() }).unwrap();
        let error = read_current(&path, Run(2)).unwrap_err();
        assert!(matches!(error, LaunchError::Stale { .. }) && error.reason().is_none());
        main([path.into_os_string(), "2".into()].into_iter());
        assert!(file::read_report(&report).unwrap().is_none());
    }

    #[test]
    fn an_error_is_told_with_its_causes_in_one_line() {
        let source = ProcessError::Timeout { program: "claude".to_owned(), limit: Duration::ZERO };
        let line = in_one_line(&LaunchError::Program(source));
        assert_eq!(line, "the session's program did not start: claude did not answer within 0 s");
    }
}
