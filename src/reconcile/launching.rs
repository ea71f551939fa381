//! From a desired session and its record to the launch file of one run. Pure.

use super::House;
use crate::agent::command::{CommandError, LaunchWords, argv, needs_state_dir};
use crate::launch::{Bring, Launch, Setup};
use crate::manifest::fleet::{Fleet, Program, Session};
use crate::manifest::template;
use crate::name::Run;
use crate::plan::LaunchMode;
use crate::record::{Place, Record, Records};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What one launch is made of.
#[derive(Debug, Clone, Copy)]
pub struct Launching<'a> {
    /// The fleet, for references between sessions.
    pub fleet: &'a Fleet,
    /// The records, for where other sessions really are.
    pub records: &'a Records,
    /// The surroundings.
    pub house: &'a House,
    /// What should run.
    pub session: &'a Session,
    /// Where and as what.
    pub record: &'a Record,
}

/// Where a session's own worktree is administered; empty for all others.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The main worktree's top directory.
    pub top: Option<PathBuf>,
    /// The worktree's admin directory.
    pub admin: Option<PathBuf>,
}

/// A launch file, and what it leaves out.
#[derive(Debug, Clone)]
pub struct Made {
    /// The file.
    pub launch: Launch,
    /// There is a prompt, and the agent takes none at its start.
    pub prompt_left_out: bool,
}

/// A program with what its profile adds.
struct Words {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    unset: Vec<String>,
    prompt_left_out: bool,
}

impl Launching<'_> {
    /// The launch file of a run.
    ///
    /// # Errors
    /// [`CommandError`], when the agent's profile cannot say what is asked of it.
    pub fn file(&self, run: Run, mode: &LaunchMode, places: &Places) -> Result<Made, CommandError> {
        let worktree = self.record.place.directory().clone();
        let directory = below(&worktree, &self.session.cwd);
        let program = self.program(mode, &directory)?;
        let mut env = program.env;
        env.extend(self.session.env.iter().map(|(name, text)| (name.clone(), self.late(text))));
        let wrap = self.session.wrap.iter().map(|word| self.late(word));
        let launch = Launch {
            uid: self.record.uid,
            run,
            fleet: self.fleet.name.clone(),
            session: self.session.name.clone(),
            manifest: self.house.manifest.clone(),
            argv: wrap.chain(program.argv).collect(),
            worktree,
            directory,
            env,
            env_file: self.session.env_file.clone(),
            unset: program.unset,
            bring: self.bring(places),
            setup: self.setup(),
            state: self.state(),
            report: self.house.paths.failure(self.record.uid),
        };
        Ok(Made { launch, prompt_left_out: program.prompt_left_out })
    }

    fn program(&self, mode: &LaunchMode, directory: &Path) -> Result<Words, CommandError> {
        let plain = |argv| {
            Ok(Words { argv, env: BTreeMap::new(), unset: Vec::new(), prompt_left_out: false })
        };
        match &self.session.program {
            Program::Shell => plain(vec![self.house.shell.to_string_lossy().into_owned()]),
            Program::ShellCommand(text) => plain(vec!["sh".into(), "-c".into(), self.late(text)]),
            Program::Argv(words) => plain(words.iter().map(|word| self.late(word)).collect()),
            Program::Agent(profile) => {
                let prompt = self.session.prompt.as_deref().map(|text| self.late(text));
                let model = self.session.model.as_deref().map(|text| self.late(text));
                let args: Vec<String> =
                    self.session.args.iter().map(|word| self.late(word)).collect();
                let made = argv(
                    profile,
                    &LaunchWords {
                        prompt: prompt.as_deref(),
                        model: model.as_deref(),
                        mode: self.session.mode,
                        args: &args,
                        id: self.record.conversation.as_ref().map(|known| known.id.as_str()),
                        name: &format!("{}/{}", self.fleet.name, self.session.name),
                        cwd: directory,
                        state_dir: &self.house.paths.agent_state(self.record.uid),
                        resume: matches!(mode, LaunchMode::Resume(_)),
                    },
                )?;
                let fresh = !matches!(mode, LaunchMode::Resume(_));
                Ok(Words {
                    argv: made.args,
                    env: made.env,
                    unset: profile.unset.clone(),
                    prompt_left_out: fresh && prompt.is_some() && !made.prompted,
                })
            }
        }
    }

    fn bring(&self, places: &Places) -> Option<Bring> {
        Some(Bring {
            from: places.top.clone()?,
            files: self.session.files.clone(),
            list: places.admin.clone()?.join("fleetctl-files.json"),
        })
    }

    fn state(&self) -> Option<PathBuf> {
        match &self.session.program {
            Program::Agent(profile) if needs_state_dir(profile) => {
                Some(self.house.paths.agent_state(self.record.uid))
            }
            _ => None,
        }
    }

    fn setup(&self) -> Option<Setup> {
        let setup = self.session.setup.as_ref()?;
        Some(Setup {
            run: setup.run.iter().map(|text| self.late(text)).collect(),
            timeout: setup.timeout.as_secs(),
            done: self.house.paths.setup_done(self.record.uid),
        })
    }

    /// Fills in what only the machine knows: directories and branches.
    #[must_use]
    pub fn late(&self, text: &str) -> String {
        template::late(text, &|variable| self.variable(variable))
    }

    fn variable(&self, variable: &str) -> Option<String> {
        let (record, field) = match variable.strip_prefix("sessions.") {
            Some(rest) => {
                let (name, field) = rest.rsplit_once('.')?;
                (self.record_of(name)?, field)
            }
            None => (self.record, variable),
        };
        match field {
            "worktree" => Some(record.place.directory().to_string_lossy().into_owned()),
            "branch" => Some(self.branch(record).unwrap_or_default().to_owned()),
            _ => None,
        }
    }

    fn branch<'b>(&'b self, record: &'b Record) -> Option<&'b str> {
        match &record.place {
            Place::Own { branch, .. } => branch.as_deref(),
            Place::Shared { owner, .. } => self.record_of(owner.as_str())?.place.branch(),
            Place::Repository { .. } => None,
        }
    }

    fn record_of(&self, name: &str) -> Option<&Record> {
        self.records.sessions.values().find(|record| record.name.as_str() == name)
    }
}

/// A directory below another, without a `.` that the agent would see in its `PWD`.
pub(super) fn below(directory: &Path, cwd: &Path) -> PathBuf {
    directory.join(cwd).components().collect()
}
