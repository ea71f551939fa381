//! A private world for one test: directory, HOME, tmux socket, repositories. Invariant: nothing outside of
//! it is touched, and nothing of it is left when it is dropped.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a sandbox makes children, knows the tests' PATH, and fails its test where it fails"
)]

use fleetctl::name::{Installation, Run, Spec, Uid};
use fleetctl::process::{self, alive, ending};
use fleetctl::snapshot::{Mark, Observed, Pane, PaneId, Process, Server};
use fleetctl::tmux::{Login, Options, StartSpec, Tmux};
use fleetctl::world::{ActError, Done, StartPane};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything in a test may take to become true.
pub const SOON: Duration = Duration::from_secs(10);

/// Waits until `condition` holds, and fails the test when it does not within the limit.
pub fn eventually(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        process::pause(Duration::from_millis(10));
    }
}

/// A number that whoever runs the tests may set in the environment.
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A private world.
pub struct Sandbox {
    root: tempfile::TempDir,
}

/// What a program said.
#[derive(Debug, Clone)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "stdout has no {text:?}: {self:#?}");
        self
    }

    #[track_caller]
    pub fn says_not(self, text: &str) -> Self {
        assert!(!self.stdout.contains(text), "stdout has {text:?}: {self:#?}");
        self
    }

    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr has no {text:?}: {self:#?}");
        self
    }

    #[track_caller]
    pub fn silent(self) -> Self {
        assert!(self.stdout.is_empty() && self.stderr.is_empty(), "{self:#?}");
        self
    }

    /// Its output without the last newline.
    pub fn text(&self) -> &str {
        self.stdout.trim_end()
    }
}

impl Sandbox {
    pub fn new() -> Self {
        // Short, because a socket's path has at most 107 bytes.
        let root = tempfile::Builder::new().prefix("fl").tempdir_in("/tmp").unwrap();
        let sandbox = Self { root };
        for directory in ["home", "home/bin", "state", "config", "run"] {
            fs::create_dir_all(sandbox.path(directory)).unwrap();
        }
        // A login shell takes programs from here, though the system's profile sets PATH anew.
        fs::write(sandbox.path("home/.profile"), "PATH=\"$HOME/bin:$PATH\"\n").unwrap();
        sandbox
    }

    /// A path inside.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The tmux socket.
    pub fn socket(&self) -> PathBuf {
        self.path("s")
    }

    /// Writes a file inside, with its directories.
    pub fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a program of the user's.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(&format!("home/bin/{name}"), script);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The whole environment of all children.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut home_first = self.home().join("bin").into_os_string();
        home_first.push(":");
        home_first.push(path);
        let pairs: [(&str, OsString); 16] = [
            ("PATH", home_first),
            ("HOME", self.home().into()),
            ("USER", "tester".into()),
            ("LOGNAME", "tester".into()),
            ("SHELL", "/bin/sh".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("TERM", "xterm-256color".into()),
            ("XDG_STATE_HOME", self.path("state").into()),
            ("XDG_CONFIG_HOME", self.path("config").into()),
            ("TMUX_TMPDIR", self.path("run").into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_AUTHOR_NAME", "Tester".into()),
            ("GIT_AUTHOR_EMAIL", "tester@example.org".into()),
            ("FLEETCTL_TEST", "1".into()),
        ];
        let mut env: Vec<(OsString, OsString)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value)).collect();
        env.push(("GIT_COMMITTER_NAME".into(), "Tester".into()));
        env.push(("GIT_COMMITTER_EMAIL".into(), "tester@example.org".into()));
        env
    }

    /// A command in this world.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.env()).current_dir(self.root.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(command: &mut Command) -> Output {
        let output = command.output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs the binary in a directory inside.
    pub fn fleetctl_in(&self, directory: impl AsRef<Path>, args: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_fleetctl"));
        Self::run(command.args(args).current_dir(directory))
    }

    /// Runs the binary.
    pub fn fleetctl(&self, args: &[&str]) -> Output {
        self.fleetctl_in(self.root.path(), args)
    }

    /// Runs the real tmux on the private socket.
    pub fn tmux(&self, args: &[&str]) -> Output {
        let mut command = self.command("tmux");
        command.args(["-u", "-f", "/dev/null", "-S"]).arg(self.socket()).args(args);
        Self::run(&mut command)
    }

    /// Runs a program of the system's; it must succeed.
    #[track_caller]
    pub fn run_program(&self, program: &str, args: &[&str]) -> Output {
        Self::run(self.command(program).args(args)).ok()
    }

    /// Runs git in a directory inside.
    #[track_caller]
    pub fn git(&self, directory: impl AsRef<Path>, args: &[&str]) -> Output {
        Self::run(self.command("git").args(args).current_dir(directory)).ok()
    }

    /// A repository with one commit on `main`: `README` and `.gitignore`.
    pub fn repo(&self, relative: &str) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(&path).unwrap();
        self.git(&path, &["init", "-q", "-b", "main"]);
        self.write(&format!("{relative}/README"), "hello\n");
        self.write(&format!("{relative}/.gitignore"), ".env\ntarget/\n");
        self.git(&path, &["add", "-A"]);
        self.git(&path, &["commit", "-q", "-m", "first"]);
        path
    }

    /// The driver on the private socket.
    pub fn driver(&self) -> Tmux {
        Tmux::new(self.options())
    }

    /// What the driver is made of.
    pub fn options(&self) -> Options {
        let env = self.env();
        let path = &env.iter().find(|(name, _)| name == "PATH").unwrap().1;
        Options {
            program: process::find_program("tmux", path).unwrap(),
            socket: self.socket(),
            config: Some("/dev/null".into()),
            login: Login::of(&env),
            boot: alive::boot_id().unwrap(),
        }
    }

    /// A pane to be started, which runs `script` in `sh`.
    pub fn spec(&self, name: &str, script: &str) -> StartSpec {
        StartSpec {
            pane: StartPane {
                tmux_name: name.to_owned(),
                over: None,
                directory: self.home(),
                launch: self.path("launch"),
                mark: mark(name),
            },
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        }
    }

    /// The server as the driver sees it.
    #[track_caller]
    pub fn seen(&self) -> Server {
        match self.driver().look(None) {
            Observed::Known(server) => server,
            other => panic!("{other:?}"),
        }
    }

    /// A pane as the driver sees it.
    #[track_caller]
    pub fn pane(&self, id: &PaneId) -> Pane {
        self.seen().panes.into_iter().find(|pane| pane.id == *id).expect("the pane is there")
    }

    fn server_process(&self) -> Option<Process> {
        let output = self.tmux(&["-N", "display-message", "-p", "#{pid}"]);
        alive::process(output.text().parse().ok()?, &alive::boot_id().ok()?).ok()?
    }

    /// Processes whose HOME is this sandbox's: children of children, whatever session they went to.
    pub fn leftovers(&self) -> Vec<Process> {
        let boot = alive::boot_id().unwrap_or_default();
        let home = self.home();
        let home = home.to_string_lossy();
        let pids = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let ours = pids.filter(|pid| alive::carries(*pid, "HOME", &home).unwrap_or(false));
        ours.filter_map(|pid| alive::process(pid, &boot).ok()?).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A stopped server answers nobody; those that a test stopped carry our HOME and go below.
        let stopped = self
            .leftovers()
            .iter()
            .any(|process| matches!(alive::stat(process.pid), Ok(Some(stat)) if stat.state == 'T'));
        if !stopped && let Some(server) = self.server_process() {
            let _ = self.tmux(&["kill-server"]);
            let _ = ending::wait_gone(&[server], Duration::from_secs(2));
        }
        for process in self.leftovers() {
            let _ = ending::signal(&process, rustix::process::Signal::KILL);
            let _ = ending::wait_gone(&[process], Duration::from_secs(2));
        }
    }
}

/// The pane and the pid of a start that succeeded.
#[track_caller]
pub fn started(result: &Result<Done, ActError>) -> (&PaneId, u32) {
    match result {
        Ok(Done::Started { pane, pid, .. }) => (pane, *pid),
        other => panic!("{other:?}"),
    }
}

/// A mark of this test's own for a tmux session of this name. Tests run side by side, each in a thread with
/// its name, and a process is told to be ours by its uid.
pub fn mark(name: &str) -> Mark {
    let mut hasher = DefaultHasher::new();
    (std::process::id(), std::thread::current().name(), name).hash(&mut hasher);
    let session = name.rsplit('/').next().unwrap_or(name);
    Mark {
        uid: Uid::from_parts(1_700_000_000_000, u128::from(hasher.finish())),
        installation: Installation("0123456789abcdef".into()),
        fleet: "shop".parse().unwrap(),
        session: session.parse().unwrap(),
        run: Run(1),
        spec: Spec("1:00ff".into()),
        conversation: None,
        protect: false,
    }
}

#[test]
fn a_sandbox_is_a_world_of_its_own() {
    let sandbox = Sandbox::new();
    let repo = sandbox.repo("repo");
    sandbox.git(&repo, &["log", "--format=%an %s"]).says("Tester first").says_not("hello");
    sandbox.git(&repo, &["status", "--porcelain"]).silent();
    sandbox.program("greet", "#!/bin/sh\necho \"hello from $HOME\" >&2; exit 3\n");
    let home = sandbox.home();
    Sandbox::run(&mut sandbox.command("greet")).code(3).complains(home.to_str().unwrap());
    sandbox.tmux(&["start-server"]).ok();
    let _ = sandbox.fleetctl_in(&repo, &["version"]);
    let _ = sandbox.fleetctl(&["version"]);

    sandbox
        .tmux(&["new-session", "-d", "-s", "a", "--", "sh", "-c", "setsid sleep 1000 & sleep 1000"])
        .ok();
    eventually(SOON, "two processes of ours", || sandbox.leftovers().len() >= 2);
    let ours = sandbox.leftovers();
    drop(sandbox);
    assert!(ours.iter().all(|process| !alive::is_running(process).unwrap()));
}
