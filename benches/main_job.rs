//! The main job against plain shell loops, as ratios from one run: `cargo bench --bench main_job`.
//!
//! Every number is the median of five. Each trial has a tmux server, a HOME and a state directory of its
//! own in a private directory, and ends only that server. Nothing is asserted: a machine's speed is no test.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench starts programs, prints, and has nobody to report a failure to"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const TRIALS: usize = 5;
const FLEETCTL: &str = env!("CARGO_BIN_EXE_fleetctl");

/// A private corner of the machine with a tmux server that ends with it.
struct Corner {
    directory: tempfile::TempDir,
}

impl Corner {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("fb").tempdir_in("/tmp").unwrap();
        fs::create_dir(directory.path().join("home")).unwrap();
        fs::create_dir(directory.path().join("work")).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("SHELL", "/bin/sh")
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("FLEETCTL_TEST", "1")
            .current_dir(self.path("work"));
        command
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let output = self.command(program).args(args).stdin(Stdio::null()).output().unwrap();
        assert!(
            output.status.success() || output.status.code() == Some(1),
            "{program} {args:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    fn timed(&self, program: &str, args: &[&str]) -> Duration {
        let begun = Instant::now();
        self.run(program, args);
        begun.elapsed()
    }

    fn shell(&self, script: &str) -> Duration {
        let file = self.path("loop.sh");
        fs::write(&file, script).unwrap();
        self.timed("sh", &[file.to_str().unwrap()])
    }

    fn socket(&self) -> String {
        self.path("s").display().to_string()
    }

    fn repository(&self, files: usize) {
        let work = self.path("work");
        for index in 0..files {
            let directory = work.join(format!("d{}", index % 20));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(format!("f{index}")), "line\n".repeat(40)).unwrap();
        }
        self.run("git", &["init", "-q", "-b", "main"]);
        self.run("git", &["add", "-A"]);
        let me = ["-c", "user.name=b", "-c", "user.email=b@b"];
        self.run("git", &[&me[..], &["commit", "-q", "--allow-empty", "-m", "x"]].concat());
    }

    fn manifest(&self, sessions: usize, fields: &str) {
        let mut text = format!(
            "version: 1\nfleet: bench\nmax_running: 5000\ntmux: {{socket: {}}}\nsessions:\n",
            self.socket()
        );
        for index in 0..sessions {
            writeln!(text, "  s{index}: {{{fields}, command: [sleep, '100000']}}").unwrap();
        }
        fs::write(self.path("work").join("fleet.yaml"), text).unwrap();
    }

    fn files(&self) -> Vec<(PathBuf, std::time::SystemTime)> {
        let mut files = Vec::new();
        collect(&self.path("home"), &mut files);
        collect(&self.path("work"), &mut files);
        files.sort();
        files
    }

    /// The highest resident size of a command, in MiB.
    fn peak(&self, args: &[&str]) -> f64 {
        let mut child = self.command(FLEETCTL).args(args).stdout(Stdio::null()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0.0;
        while child.try_wait().unwrap().is_none() {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            peak = kib.unwrap_or(0.0_f64).max(peak);
        }
        peak / 1024.0
    }
}

impl Drop for Corner {
    fn drop(&mut self) {
        let _ended = self.command("tmux").args(["-S", &self.socket(), "kill-server"]).output();
    }
}

fn collect(directory: &Path, into: &mut Vec<(PathBuf, std::time::SystemTime)>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), into);
        } else {
            into.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
        }
    }
}

fn median(mut trial: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<Duration> = (0..TRIALS).map(|_| trial()).collect();
    times.sort();
    times[TRIALS / 2].as_secs_f64() * 1000.0
}

fn row(what: &str, ours: f64, baseline: (&str, f64), bound: &str) {
    let (name, theirs) = baseline;
    println!(
        "{what:<44} {ours:>9.1} ms   {name:<34} {theirs:>9.1} ms   ratio {:>5.2}   bound {bound}",
        ours / theirs
    );
}

fn converged(sessions: usize) {
    let corner = Corner::new();
    corner.repository(1);
    corner.manifest(sessions, "worktree: false");
    corner.run(FLEETCTL, &["apply", "--yes"]);
    let socket = corner.socket();
    let look = ["-u", "-S", &socket, "list-panes", "-a", "-F", &fleetctl::tmux::pane_format()];
    // Alternating, so that a slow moment of the machine hits both.
    let (mut bare, mut diff, mut apply) = (Vec::new(), Vec::new(), Vec::new());
    let before = corner.files();
    for _ in 0..TRIALS {
        bare.push(corner.timed("tmux", &look));
        diff.push(corner.timed(FLEETCTL, &["diff"]));
        apply.push(corner.timed(FLEETCTL, &["apply", "--yes"]));
    }
    let middle = |times: &mut Vec<Duration>| {
        times.sort();
        times[TRIALS / 2].as_secs_f64() * 1000.0
    };
    let (bare, diff, apply) = (middle(&mut bare), middle(&mut diff), middle(&mut apply));
    row(
        &format!("diff, {sessions} converged sessions"),
        diff,
        ("tmux list-panes -a, same fields", bare),
        &format!("1.5 x + 10 ms = {:.1} ms", bare * 1.5 + 10.0),
    );
    row(&format!("apply, {sessions} converged sessions"), apply, ("fleetctl diff", diff), "1.10");
    let unchanged = before == corner.files();
    println!(
        "  files changed by {TRIALS} diffs and {TRIALS} applies: {}",
        if unchanged { "none" } else { "SOME" }
    );
    println!("  peak memory of diff: {:.1} MiB (bound 40)", corner.peak(&["diff"]));
}

fn creates(sessions: usize) {
    let ours = median(|| {
        let corner = Corner::new();
        corner.repository(1);
        corner.manifest(sessions, "worktree: false");
        corner.timed(FLEETCTL, &["apply", "--yes"])
    });
    let each = "tmux -S $S new-session -d -x 220 -y 50 -c $D -s bench/s$i";
    let mark = "1 01JD0000000000000000000000 0123456789abcdef bench s$i 1 1:0123456789abcdef - 0";
    let with = format!(
        "{each} -e FLEET_UID=01JD0000000000000000000000 -- sleep 100000 \\; set-option -p remain-on-exit on \\; set-option -p @fleet \"{mark}\""
    );
    let marked = median(|| shell_loop(sessions, &with));
    row(
        &format!("apply, {sessions} new sessions"),
        ours,
        ("loop of new-session with options", marked),
        "0.60",
    );
    let bare = median(|| shell_loop(sessions, &format!("{each} -- sleep 100000")));
    row(&format!("apply, {sessions} new sessions"), ours, ("loop of new-session", bare), "0.85");
}

fn shell_loop(sessions: usize, line: &str) -> Duration {
    let corner = Corner::new();
    let script = format!(
        "S={} D={}\ni=0\nwhile [ $i -lt {sessions} ]; do {line}; i=$((i+1)); done\n",
        corner.socket(),
        corner.path("work").display()
    );
    corner.shell(&script)
}

fn worktrees(sessions: usize) {
    let ours = median(|| {
        let corner = Corner::new();
        corner.repository(500);
        corner.manifest(sessions, "labels: {a: b}");
        corner.timed(FLEETCTL, &["apply", "--yes"])
    });
    let looped = median(|| {
        let corner = Corner::new();
        corner.repository(500);
        let script = format!(
            "S={} W={}\ni=0\nwhile [ $i -lt {sessions} ]; do\n git worktree add -q -b bench/s$i $W/s$i main && tmux -S $S new-session -d -x 220 -y 50 -c $W/s$i -s bench/s$i -- sleep 100000\n i=$((i+1))\ndone\n",
            corner.socket(),
            corner.path("w").display()
        );
        corner.shell(&script)
    });
    row(
        &format!("apply, {sessions} sessions with worktrees"),
        ours,
        ("loop of worktree add, new-session", looped),
        "0.80",
    );
}

/// The parts that can be asked for by name; all without one.
fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let asked = |name: &str| wanted.is_empty() || wanted.iter().any(|want| want == name);
    if asked("converged") {
        converged(200);
        converged(1000);
    }
    if asked("creates") {
        creates(1000);
    }
    if asked("worktrees") {
        worktrees(50);
    }
}
