//! From a desired session and its record to the launch file of one run. Pure.

use super::House;
use crate::agent::command::{CommandError, LaunchWords, argv, needs_state_dir};
use crate::launch::{Bring, Launch, Setup};
use crate::manifest::fleet::{Fleet, Program, Session};
use crate::manifest::{ports, template};
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
        let ports = self.record.ports.iter();
        env.extend(ports.map(|(name, port)| (ports::variable(name), port.to_string())));
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
        refuse_unfilled(&launch)?;
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

    /// Fills in what only the machine knows: directories, branches and ports.
    #[must_use]
    pub fn late(&self, text: &str) -> String {
        template::late(text, &|variable| self.variable(variable))
    }

    fn variable(&self, variable: &str) -> Option<String> {
        variable_of(self.records, self.record, variable)
    }
}

/// No program is started with a text that has a hole in it.
fn refuse_unfilled(launch: &Launch) -> Result<(), CommandError> {
    let setup = launch.setup.iter().flat_map(|setup| &setup.run);
    let mut texts = launch.argv.iter().chain(setup).chain(launch.env.values());
    match texts.find_map(|text| template::unfilled(text)) {
        Some(variable) => Err(CommandError::Variable { variable: variable.to_owned() }),
        None => Ok(()),
    }
}

/// What a late variable of a session stands for; `None` for what is not known yet.
pub(super) fn variable_of(records: &Records, own: &Record, variable: &str) -> Option<String> {
    let (record, part) = match variable.strip_prefix("sessions.") {
        Some(rest) => {
            let (name, part) = rest.split_once('.')?;
            let named = |record: &&Record| record.name.as_str() == name;
            // A session that is being made knows more of itself than the records do.
            let found = Some(own).filter(named);
            (found.or_else(|| records.sessions.values().find(named))?, part)
        }
        None => (own, variable),
    };
    match part {
        "worktree" => Some(record.place.directory().to_string_lossy().into_owned()),
        "branch" => Some(branch(records, record).unwrap_or_default().to_owned()),
        part => Some(record.ports.get(part.strip_prefix("port.")?)?.to_string()),
    }
}

fn branch<'r>(records: &'r Records, record: &'r Record) -> Option<&'r str> {
    match &record.place {
        Place::Own { branch, .. } => branch.as_deref(),
        Place::Shared { owner, .. } => records.by_name(owner)?.place.branch(),
        Place::Repository { .. } => None,
    }
}

/// A directory below another, without a `.` that the agent would see in its `PWD`.
pub(super) fn below(directory: &Path, cwd: &Path) -> PathBuf {
    directory.join(cwd).components().collect()
}
