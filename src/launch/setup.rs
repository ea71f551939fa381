//! `setup`: commands in the pane's own terminal before the program. Owns whether they are due and when they
//! count as done. Invariant: what did not succeed as a whole is run again as a whole.

use super::environment::Environment;
use super::file::{self, FileError};
use super::{Launch, Setup, say};
use crate::process::{Child, ProcessError};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a setup did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A command failed.
    #[error("setup failed: `{command}` {}", how(*status))]
    Failed {
        /// Which, in short.
        command: String,
        /// How.
        status: ExitStatus,
    },
    /// A command had no end of its own.
    #[error("setup failed: `{command}`")]
    Run {
        /// Which, in short.
        command: String,
        /// Why.
        #[source]
        source: ProcessError,
    },
    /// That it is done could not be read or recorded.
    #[error("setup: whether it is done cannot be kept")]
    Done(#[source] FileError),
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Runs `setup` unless it is done.
///
/// # Errors
/// Any [`SetupError`].
pub fn run_if_needed(
    launch: &Launch,
    setup: &Setup,
    environment: &Environment,
) -> Result<(), SetupError> {
    let looked = setup.done.try_exists();
    let done = looked
        .map_err(|source| SetupError::Done(FileError::Read { path: setup.done.clone(), source }))?;
    if done {
        return Ok(());
    }
    for text in &setup.run {
        let command = short(text);
        say(&format!("setup: {command}"));
        let variables = environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        let child = Child::new("sh")
            .args(["-c", text])
            .directory(&launch.directory)
            .only_env(variables.collect())
            .limit(Duration::from_secs(setup.timeout));
        match child.run_attended() {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(SetupError::Failed { command, status }),
            Err(source) => return Err(SetupError::Run { command, source }),
        }
    }
    file::replace(&setup.done, launch.run.to_string().as_bytes()).map_err(SetupError::Done)
}

/// The first line of a command, cut where a terminal would break it.
fn short(text: &str) -> String {
    const MOST: usize = 72;
    let line = text.trim().lines().next().unwrap_or_default();
    if line.chars().count() > MOST || text.trim().lines().count() > 1 {
        line.chars().take(MOST).chain(['…']).collect()
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_named_by_its_beginning() {
        assert_eq!(short("npm ci\n"), "npm ci");
        assert_eq!(short("npm ci\nnpm test"), "npm ci…");
        assert_eq!(short(&"x".repeat(100)).chars().count(), 73);
    }
}
