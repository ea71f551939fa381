//! The surroundings of one run: environment, working directory, flags. The only place that reads them; hands
//! on plain values. Invariant: two runs with equal contexts over an equal world say the same.

use crate::cli::args::{Global, LogForm, Verb};
use crate::cli::source::Source;
use crate::error::{Exit, Failure, Trouble};
use crate::name::{Installation, Name, Uid};
use crate::process::alive;
use crate::render::View;
use crate::render::style::{Stream, Style};
use crate::store::Store;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// The surroundings, read once.
#[derive(Debug, Clone)]
pub struct Context {
    /// The working directory.
    pub cwd: PathBuf,
    /// The user's home.
    pub home: PathBuf,
    /// Where fleets keep their state: `$XDG_STATE_HOME/fleetctl`.
    pub state: PathBuf,
    /// Where programs keep what the user set: `$XDG_CONFIG_HOME`.
    pub config: PathBuf,
    /// The whole environment, for transcripts and for the tmux socket.
    pub env: BTreeMap<String, String>,
    /// This program, for `__launch`.
    pub program: PathBuf,
    /// The user's login shell.
    pub shell: PathBuf,
    /// The user's login name.
    pub user: String,
    /// Whose marks are ours.
    pub installation: Installation,
    /// The machine, as the store remembers it.
    pub machine: String,
    /// This boot.
    pub boot: String,
    /// The incarnation in whose pane this runs.
    pub inside: Option<Uid>,
    /// Standard output and standard error are terminals.
    pub terminals: Terminals,
    /// The flags that every verb has.
    pub global: Global,
    /// The verb may write: it brings a store of an older format up to date.
    pub writes: bool,
    /// The default tmux socket must not be touched.
    pub test: bool,
}

/// How the log of a verb is written.
#[derive(Debug, Clone, Copy)]
pub struct Logging {
    /// The form.
    pub form: LogForm,
    /// It tells what it does, not only what goes wrong: nobody waits for a report of it.
    pub tells: bool,
}

impl Logging {
    /// That of a verb.
    #[must_use]
    pub fn of(verb: Option<&Verb>) -> Self {
        match verb {
            Some(Verb::Controller(args)) => Self { form: args.log_format, tells: true },
            _ => Self { form: LogForm::Text, tells: false },
        }
    }
}

/// Which of the standard streams are terminals.
#[derive(Debug, Clone, Copy)]
pub struct Terminals {
    /// Standard input.
    pub input: bool,
    /// Standard output.
    pub output: bool,
    /// Standard error.
    pub error: bool,
}

impl Context {
    /// Reads the surroundings.
    ///
    /// # Errors
    /// What is missing of them: a home, a working directory, the machine's and the boot's id.
    pub fn read(global: Global) -> Result<Self, Failure> {
        let env = environment();
        let home = home(&env)?;
        let cwd = working_directory()?;
        let place = |name: &str, usual: &str| {
            let given = env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
            given.unwrap_or_else(|| home.join(usual))
        };
        let state = place("XDG_STATE_HOME", ".local/state").join("fleetctl");
        let config = place("XDG_CONFIG_HOME", ".config");
        let machine = machine_id()?;
        #[cfg(feature = "failpoints")]
        if let Some(at) = env.get("FLEETCTL_FAILPOINT").and_then(|text| text.parse().ok()) {
            crate::failpoint::arm(at);
        }
        let user_id = rustix::process::geteuid().as_raw();
        Ok(Self {
            installation: crate::store::installation(&machine, user_id, &state),
            boot: alive::boot_id().map_err(|error| unreadable("the kernel's boot id", &error))?,
            program: program()?,
            shell: shell(&env),
            user: login_name(&env, user_id),
            inside: env.get("FLEET_UID").and_then(|text| text.parse().ok()),
            writes: false,
            test: env.get("FLEETCTL_TEST").is_some_and(|value| value == "1"),
            terminals: Terminals {
                input: std::io::stdin().is_terminal(),
                output: std::io::stdout().is_terminal(),
                error: std::io::stderr().is_terminal(),
            },
            cwd,
            home,
            state,
            config,
            env,
            machine,
            global,
        })
    }

    /// The directory of one fleet's state.
    #[must_use]
    pub fn fleet_state(&self, fleet: &str) -> PathBuf {
        self.state.join(fleet)
    }

    /// The manifest that this run is about.
    ///
    /// # Errors
    /// Usage: none was found; the message names what was tried.
    pub fn manifest(&self) -> Result<PathBuf, Failure> {
        if self.reads_stdin() {
            return Ok(self.cwd.join("standard-input"));
        }
        if let Some(given) = &self.global.file {
            return self.named(given, "-f");
        }
        if let Some(given) = &self.global.source {
            return Source::of(self, Path::new(given)).map(|source| source.identity).ok_or_else(
                || {
                    Failure::new(Exit::Usage, format!("{given} is no git source"))
                        .with_help("a git source is URL#REF:FILE, such as ../shop#main:fleet.yaml")
                },
            );
        }
        if let Some(given) = self.env.get("FLEETCTL_FILE") {
            return self.named(Path::new(given), "$FLEETCTL_FILE");
        }
        if let (Some(_), Some(given)) = (self.inside, self.env.get("FLEET_FILE")) {
            return self.named(Path::new(given), "this session's $FLEET_FILE");
        }
        if let Some(given) = self.inside.and_then(|uid| self.manifest_of(uid)) {
            return Ok(given);
        }
        if let Some(found) = self.near() {
            return self.named(&found, "the working directory");
        }
        self.only_known()
    }

    /// Where a GitHub runner takes what a step has to say, as Markdown.
    #[must_use]
    pub fn step_summary(&self) -> Option<PathBuf> {
        self.env.get("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// The manifest here or above.
    fn near(&self) -> Option<PathBuf> {
        self.cwd.ancestors().map(|up| up.join("fleet.yaml")).find(|at| at.is_file())
    }

    fn is_source(&self, name: &Path) -> bool {
        Source::of(self, name).is_some()
    }

    /// The path by which this run came to its manifest, links and all; none to a git source.
    #[must_use]
    pub fn way_to_manifest(&self) -> Option<PathBuf> {
        let given = self.global.file.clone();
        let given = given.or_else(|| self.env.get("FLEETCTL_FILE").map(PathBuf::from));
        if self.global.source.is_some() || given.as_deref().is_some_and(|way| self.is_source(way)) {
            return None;
        }
        let way = self.cwd.join(given.or_else(|| self.near())?);
        Some(if way.is_dir() { way.join("fleet.yaml") } else { way })
    }

    /// The manifest is given on standard input.
    #[must_use]
    pub fn reads_stdin(&self) -> bool {
        self.global.file.as_deref() == Some(Path::new("-"))
    }

    fn named(&self, given: &Path, by: &str) -> Result<PathBuf, Failure> {
        if let Some(source) = Source::of(self, given) {
            return Ok(source.identity);
        }
        let path = self.cwd.join(given);
        let path = if path.is_dir() { path.join("fleet.yaml") } else { path };
        path.canonicalize().map_err(|error| {
            Failure::new(Exit::Usage, format!("{}: {error}", path.display())).with_help(format!(
                "{by} names the manifest: a file, or a directory with a fleet.yaml in it"
            ))
        })
    }

    fn only_known(&self) -> Result<PathBuf, Failure> {
        let known = self.known_fleets();
        match known.as_slice() {
            [(_, Some(manifest))] if self.is_there(manifest) => Ok(manifest.clone()),
            many => {
                let fleets = many.iter().filter_map(|(name, _)| name.parse().ok()).collect();
                Err(Failure::from(Trouble::NoManifest { from: self.cwd.clone(), fleets }))
            }
        }
    }

    fn is_there(&self, manifest: &Path) -> bool {
        manifest.is_file() || Source::of(self, manifest).is_some()
    }

    /// The same surroundings, about a fleet that is known here.
    ///
    /// # Errors
    /// Usage: it is not known.
    pub fn for_fleet(mut self, fleet: &Name) -> Result<Self, Failure> {
        if self.global.file.is_some() {
            return Ok(self);
        }
        let known = self.known_fleets();
        let manifest = known.into_iter().find(|(name, _)| name == fleet.as_str());
        match manifest.and_then(|(_, manifest)| manifest) {
            Some(manifest) => {
                self.global.file = Some(manifest);
                Ok(self)
            }
            None => Err(Failure::new(Exit::Usage, format!("no fleet {fleet} is known here"))
                .with_help("name its manifest: -f FILE")),
        }
    }

    /// The environment as it is handed on.
    #[must_use]
    pub fn os_env(&self) -> Vec<(OsString, OsString)> {
        self.env.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// For whom standard output is rendered.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> View {
        let mut view = View {
            style: self.style(self.terminals.output, rustix::stdio::stdout()),
            now,
            directory: Some(self.cwd.clone()),
            home: Some(self.home.clone()),
            program: "fleetctl".into(),
            all: false,
        };
        // Standard input is gone by the time that a command is typed.
        if let Some(file) = self.global.file.as_deref().filter(|_| !self.reads_stdin()) {
            view.program = format!("fleetctl -f {}", view.argument(file));
        }
        view
    }

    /// How standard error is coloured.
    #[must_use]
    pub fn error_style(&self) -> Style {
        self.style(self.terminals.error, rustix::stdio::stderr())
    }

    fn style(&self, terminal: bool, stream: BorrowedFd<'_>) -> Style {
        let columns = rustix::termios::tcgetwinsize(stream).ok().map(|size| size.ws_col);
        let columns = columns.filter(|columns| *columns > 0).map_or(80, usize::from);
        let set = |name: &str| self.env.get(name).is_some_and(|value| !value.is_empty());
        Style::resolve(
            self.global.color,
            Stream {
                columns: terminal.then_some(columns),
                no_color: set("NO_COLOR"),
                dumb: self.env.get("TERM").is_some_and(|term| term == "dumb"),
            },
        )
    }

    /// Sends the log to standard error: `FLEETCTL_LOG` beats `-v`.
    pub fn start_logging(&self, logging: Logging) {
        use tracing_subscriber::EnvFilter;
        let level = match self.global.verbose.saturating_add(u8::from(logging.tells)) {
            0 => "warn",
            1 => "info",
            _ => "debug",
        };
        let wanted = self.env.get("FLEETCTL_LOG").map_or(level, String::as_str);
        let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new(level));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(self.error_style().color)
            .with_target(false);
        match logging.form {
            LogForm::Text => log.init(),
            LogForm::Json => log.json().flatten_event(true).with_span_list(false).init(),
        }
    }

    /// The fleets with a state directory, and the manifests they were applied from.
    #[must_use]
    pub fn known_fleets(&self) -> Vec<(String, Option<PathBuf>)> {
        let Ok(entries) = std::fs::read_dir(&self.state) else { return Vec::new() };
        let mut known: Vec<_> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("fleet.db").is_file())
            .filter_map(|entry| {
                let manifest = Store::open_to_read(&entry.path())
                    .ok()
                    .flatten()
                    .and_then(|store| store.manifest().ok().flatten());
                Some((entry.file_name().into_string().ok()?, manifest))
            })
            .collect();
        known.sort();
        known
    }

    /// The manifest of the fleet that a session belongs to: a pane that its human opened beside it has the
    /// session's uid and nothing else, and its worktree holds a stale copy of the manifest.
    fn manifest_of(&self, uid: Uid) -> Option<PathBuf> {
        let known = self.known_fleets().into_iter().filter_map(|(fleet, manifest)| {
            let store = Store::open_to_read(&self.fleet_state(&fleet)).ok().flatten()?;
            store.records().ok()?.sessions.contains_key(&uid).then_some(manifest?)
        });
        known.into_iter().find(|manifest| self.is_there(manifest))
    }

    /// The tmux socket that a manifest names, as an absolute path.
    ///
    /// # Errors
    /// Refused: a test must not reach the user's own server.
    pub fn socket(&self, socket: &crate::manifest::fleet::Socket) -> Result<PathBuf, Failure> {
        use crate::manifest::fleet::Socket;
        // tmux passes over a directory that is not there.
        let directory = self.env.get("TMUX_TMPDIR").map(Path::new).filter(|dir| dir.is_dir());
        let user = rustix::process::geteuid().as_raw();
        let default = crate::tmux::default_socket(directory, user);
        match socket {
            Socket::Path(path) => Ok(path.clone()),
            Socket::Default | Socket::Name(_) if self.test => Err(Failure::new(
                Exit::Refused,
                "a test must name its tmux socket by an absolute path",
            )
            .with_help("tmux: {socket: /private/path}")),
            Socket::Name(name) => Ok(default.with_file_name(name)),
            Socket::Default => Ok(default),
        }
    }
}

fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the working directory")]
fn working_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        unreadable("the working directory", &error).with_help("change to a directory that exists")
    })
}

fn home(env: &BTreeMap<String, String>) -> Result<PathBuf, Failure> {
    env.get("HOME").map(PathBuf::from).filter(|path| path.is_absolute()).ok_or_else(|| {
        Failure::new(Exit::Failed, "HOME is not set to an absolute path")
            .with_help("set HOME: the state of every fleet lies below it")
    })
}

/// This program's path as it can be started again, also after it was replaced by a newer build.
fn program() -> Result<PathBuf, Failure> {
    let path =
        std::env::current_exe().map_err(|error| unreadable("the path of fleetctl", &error))?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}

/// The user's name: as the login set it, else as the system knows the user.
fn login_name(env: &BTreeMap<String, String>, id: u32) -> String {
    let set = |name| env.get(name).filter(|value: &&String| !value.is_empty()).cloned();
    let known = || {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        })
    };
    set("USER").or_else(|| set("LOGNAME")).or_else(known).unwrap_or_else(|| id.to_string())
}

fn shell(env: &BTreeMap<String, String>) -> PathBuf {
    let given = env.get("SHELL").map(PathBuf::from);
    given.filter(|path| path.is_absolute()).unwrap_or_else(|| PathBuf::from("/bin/sh"))
}

fn machine_id() -> Result<String, Failure> {
    let read = std::fs::read_to_string("/etc/machine-id")
        .or_else(|_| std::fs::read_to_string("/var/lib/dbus/machine-id"))
        .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"));
    read.map(|text| text.trim().to_owned()).map_err(|error| unreadable("the machine's id", &error))
}

fn unreadable(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{what} cannot be read: {error}"))
}
