//! A sandbox with a repository `shop`, a manifest in it, and terminals for a human to sit at. Invariant: the
//! manifest names the sandbox's own tmux socket.
#![expect(clippy::unwrap_used, reason = "a sandbox fails its test where it fails")]

use crate::sandbox::{Output, SOON, Sandbox, eventually};
use fleetctl::process;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The program under test.
pub const FLEETCTL: &str = env!("CARGO_BIN_EXE_fleetctl");

/// A program that runs until it is ended, and may be.
pub const SLEEP: &str = "command: [sleep, '100000']";

/// A fleet on a machine of its own.
pub struct Shop {
    pub sandbox: Sandbox,
}

impl Shop {
    /// A fleet with these sessions, not applied.
    pub fn new(sessions: &str) -> Self {
        let shop = Self { sandbox: Sandbox::new() };
        shop.sandbox.repo("shop");
        shop.edit(sessions);
        shop
    }

    /// A fleet with these sessions, applied.
    #[track_caller]
    pub fn applied(sessions: &str) -> Self {
        let shop = Self::new(sessions);
        shop.run(&["apply"]).ok();
        shop
    }

    /// The repository.
    pub fn top(&self) -> PathBuf {
        self.sandbox.path("shop")
    }

    /// The manifest's path.
    pub fn manifest(&self) -> PathBuf {
        self.sandbox.path("shop/fleet.yaml")
    }

    /// The worktree of a session.
    pub fn worktree(&self, session: &str) -> PathBuf {
        self.sandbox.path("shop.worktrees").join(session)
    }

    /// The fleet's state directory.
    pub fn state(&self) -> PathBuf {
        self.sandbox.path("state/fleetctl/shop")
    }

    /// The manifest's text with these sessions: `name: {…}` lines, or none for `{}`.
    pub fn text(&self, sessions: &str) -> String {
        let socket = self.sandbox.socket();
        let mut text =
            format!("version: 1\nfleet: shop\ntmux: {{socket: {}}}\nsessions:", socket.display());
        if sessions.trim().is_empty() {
            return text + " {}\n";
        }
        for line in sessions.lines().filter(|line| !line.trim().is_empty()) {
            text.push_str(&format!("\n  {line}"));
        }
        text + "\n"
    }

    /// Writes the manifest with these sessions.
    pub fn edit(&self, sessions: &str) {
        fs::write(self.manifest(), self.text(sessions)).unwrap();
    }

    /// Runs fleetctl in the repository.
    pub fn run(&self, args: &[&str]) -> Output {
        self.sandbox.fleetctl_in(self.top(), args)
    }

    /// A command in the repository.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.sandbox.command(program);
        command.current_dir(self.top());
        command
    }

    /// Runs fleetctl in the repository with more variables.
    pub fn run_with(&self, env: &[(&str, &str)], args: &[&str]) -> Output {
        Sandbox::run(self.command(FLEETCTL).args(args).envs(env.iter().copied()))
    }

    /// What tmux says of a session's own pane: a format.
    pub fn pane(&self, session: &str, format: &str) -> String {
        let target = format!("=shop/{session}:");
        self.sandbox.tmux(&["display-message", "-p", "-t", &target, format]).ok().text().to_owned()
    }

    /// The pid of the process in a session's pane.
    pub fn pid(&self, session: &str) -> u32 {
        self.pane(session, "#{pane_pid}").parse().unwrap()
    }

    /// The sessions of the tmux server.
    pub fn tmux_sessions(&self) -> Vec<String> {
        let listed = self.sandbox.tmux(&["list-sessions", "-F", "#{session_name}"]);
        listed.stdout.lines().map(str::to_owned).collect()
    }

    /// One session of `get -o json`.
    #[track_caller]
    pub fn session(&self, name: &str) -> serde_json::Value {
        let all = json(&self.run(&["get", "-o", "json"]));
        let sessions = all["sessions"].as_array().unwrap();
        sessions.iter().find(|session| session["name"] == name).expect("it is listed").clone()
    }

    /// The uid of a session.
    pub fn uid(&self, name: &str) -> String {
        self.session(name)["uid"].as_str().unwrap().to_owned()
    }

    /// Every file of the sandbox but the directories of sockets and homes, with content and modification time.
    pub fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
        let mut found = BTreeMap::new();
        for below in ["shop", "shop.worktrees", "state"] {
            collect(&self.sandbox.path(below), &mut found);
        }
        found
    }

    /// A human's terminal: a shell in a pane of another tmux server.
    pub fn terminal(&self, columns: u32) -> Terminal<'_> {
        Terminal::open(self, columns)
    }
}

fn collect(at: &Path, found: &mut BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)>) {
    let Ok(entries) = fs::read_dir(at) else { return };
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            // A store that is open has files beside it: the directory's own time tells nothing.
            found.insert(path.clone(), (Vec::new(), std::time::SystemTime::UNIX_EPOCH));
            collect(&path, found);
        } else {
            let text = fs::read(&path).unwrap_or_default();
            found.insert(path, (text, meta.modified().unwrap()));
        }
    }
}

/// Standard output as JSON of the documented version.
#[track_caller]
pub fn json(output: &Output) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("not JSON: {error}: {output:#?}"));
    assert_eq!(value["format_version"], 1, "{output:#?}");
    value
}

/// A shell in a pane.
pub struct Terminal<'s> {
    shop: &'s Shop,
    name: String,
}

impl<'s> Terminal<'s> {
    fn open(shop: &'s Shop, columns: u32) -> Self {
        let terminal = Self { shop, name: format!("human-{columns}") };
        let width = columns.to_string();
        let top = shop.top();
        let shell = "PS1='$ ' exec sh -i";
        let mut command = terminal.tmux(&["new-session", "-d", "-s", &terminal.name, "-x", &width]);
        command.args(["-y", "50", "-c"]).arg(&top).args(["--", "sh", "-c", shell]);
        Sandbox::run(&mut command).ok();
        eventually(SOON, "a prompt", || terminal.screen().starts_with('$'));
        terminal
    }

    fn tmux(&self, args: &[&str]) -> Command {
        let mut command = self.shop.sandbox.command("tmux");
        command.args(["-u", "-f", "/dev/null", "-S"]).arg(self.shop.sandbox.path("h")).args(args);
        command
    }

    fn target(&self) -> String {
        format!("={}:", self.name)
    }

    /// Types a line and Enter.
    pub fn line(&self, text: &str) {
        let target = self.target();
        Sandbox::run(&mut self.tmux(&["send-keys", "-t", &target, "-l", "--", text])).ok();
        self.key("Enter");
    }

    /// Types a line that runs fleetctl.
    pub fn fleetctl(&self, args: &str) {
        self.line(&format!("clear; {FLEETCTL} {args}; echo \"[$?]\""));
    }

    /// Presses a key, by tmux's name.
    pub fn key(&self, key: &str) {
        let target = self.target();
        Sandbox::run(&mut self.tmux(&["send-keys", "-t", &target, key])).ok();
    }

    /// What is on the screen, without trailing blanks.
    pub fn screen(&self) -> String {
        let target = self.target();
        let seen = Sandbox::run(&mut self.tmux(&["capture-pane", "-p", "-t", &target])).ok();
        seen.stdout.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    }

    /// The screen with the lines that the terminal itself had to break made whole.
    pub fn joined(&self) -> String {
        let target = self.target();
        Sandbox::run(&mut self.tmux(&["capture-pane", "-p", "-J", "-t", &target])).ok().stdout
    }

    /// Waits until the screen has this text, and gives it.
    #[track_caller]
    pub fn shows(&self, text: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(Instant::now() < deadline, "no {text:?} on the screen:\n{screen}");
            process::pause(Duration::from_millis(20));
        }
    }
}
