//! What the controller costs and how soon it reacts: `cargo bench --bench controller [-- IDLE_SECONDS]`.
//!
//! One controller a scenario, with a tmux server, a HOME and a state directory of its own in a private
//! directory; only that server and that controller are ended. Reactions are told as distributions, passes as
//! ratios to a bare `tmux list-panes -a` of the same run. Nothing is asserted: a machine's speed is no test.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench starts programs, prints, and has nobody to report a failure to"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const FLEETCTL: &str = env!("CARGO_BIN_EXE_fleetctl");
const TRIALS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(20);

/// A fleet of commands with a controller that keeps it.
struct Kept {
    directory: tempfile::TempDir,
    manifest: String,
    controller: Child,
    log: Receiver<(Instant, String)>,
}

impl Kept {
    fn new(sessions: usize) -> Self {
        let directory = tempfile::Builder::new().prefix("fk").tempdir_in("/tmp").unwrap();
        fs::create_dir(directory.path().join("home")).unwrap();
        let socket = directory.path().join("s");
        let mut manifest = format!(
            "version: 1\nfleet: bench\ntmux: {{socket: {}}}\nsessions:\n",
            socket.display()
        );
        for index in 0..sessions {
            let restart = if index % 2 == 0 { "on-failure" } else { "never" };
            add(&mut manifest, index, restart);
        }
        fs::write(directory.path().join("fleet.yaml"), &manifest).unwrap();
        let git = ["init", "-q", "-b", "main"];
        assert!(command(&directory, "git").args(git).status().unwrap().success());
        let identity = ["-c", "user.name=b", "-c", "user.email=b@b"];
        let commit = ["commit", "-q", "--allow-empty", "-m", "x"];
        assert!(command(&directory, "git").args(identity).args(commit).status().unwrap().success());
        let mut apply = command(&directory, FLEETCTL);
        assert!(apply.args(["apply", "--yes"]).output().unwrap().status.success());
        let mut controller = command(&directory, FLEETCTL);
        controller.args(["controller", "--log-format", "json"]).env("FLEETCTL_LOG", "debug");
        let mut controller =
            controller.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = channel();
        let stderr = BufReader::new(controller.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if lines.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        let kept = Self { directory, manifest, controller, log };
        kept.wait_for(Instant::now(), "nothing to do").unwrap();
        kept
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut tmux = command(&self.directory, "tmux");
        let output = tmux.arg("-S").arg(self.path("s")).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// How long after `begun` a line with all these words is logged.
    fn wait_for(&self, begun: Instant, words: &str) -> Option<Duration> {
        while let Ok((at, line)) = self.log.recv_timeout(PATIENCE) {
            if at >= begun && words.split('|').all(|word| line.contains(word)) {
                return Some(at - begun);
            }
        }
        None
    }

    /// The lines that are logged within this time.
    fn lines(&self, time: Duration) -> Vec<String> {
        let until = Instant::now() + time;
        let mut lines = Vec::new();
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if let Ok((_, line)) = self.log.recv_timeout(left) {
                lines.push(line);
            }
        }
        lines
    }

    /// Seconds of processor time: of the controller, and of the children that it has reaped.
    fn used(&self) -> (f64, f64) {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.controller.id())).unwrap();
        let after = text.rsplit_once(')').unwrap().1;
        let ticks: Vec<f64> = after.split_whitespace().map(|n| n.parse().unwrap_or(0.0)).collect();
        ((ticks[11] + ticks[12]) / 100.0, (ticks[13] + ticks[14]) / 100.0)
    }

    fn resident_mib(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.controller.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.controller.id())).unwrap().count()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ended = self.controller.kill().and_then(|()| self.controller.wait());
        self.tmux(&["kill-server"]);
    }
}

fn add(manifest: &mut String, index: usize, restart: &str) {
    writeln!(
        manifest,
        "  s{index}: {{command: [sleep, '100000'], worktree: false, restart: {restart}}}"
    )
    .unwrap();
}

fn command(directory: &tempfile::TempDir, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory.path().join("home"))
        .env("SHELL", "/bin/sh")
        .env("LANG", "C.UTF-8")
        .env("TERM", "xterm-256color")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("FLEETCTL_TEST", "1")
        .stdin(Stdio::null())
        .current_dir(directory.path());
    command
}

/// p50, p95 and the longest, in milliseconds.
fn distribution(what: &str, bound: &str, mut times: Vec<Duration>) {
    times.sort();
    let at =
        |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!(
        "{what:<58} p50 {:>6.1} ms   p95 {:>6.1} ms   max {:>6.1} ms   ({} trials; bound p95 {bound})",
        at(50),
        at(95),
        at(100),
        times.len()
    );
}

fn reactions() {
    let mut kept = Kept::new(200);
    let mut killed = Vec::new();
    for trial in 0..TRIALS {
        let name = format!("s{}", trial * 2);
        let begun = Instant::now();
        kept.tmux(&["kill-session", "-t", &format!("=bench/{name}")]);
        killed.extend(kept.wait_for(begun, &format!("start: done|\"{name}\"")));
    }
    distribution("a session killed -> its replacement's process runs", "250 ms", killed);

    let panes = kept.tmux(&["list-panes", "-a", "-F", "#{session_name} #{pane_pid}"]);
    let mut ended = Vec::new();
    let mut unreaped = 0;
    for trial in 0..TRIALS {
        let name = format!("s{}", trial * 2 + 1);
        let line = panes.lines().find(|line| line.starts_with(&format!("bench/{name} ")));
        let pid = line.unwrap().rsplit_once(' ').unwrap().1;
        let begun = Instant::now();
        assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
        let (mut seen, words) = (false, format!("\"{name}\""));
        while let Ok((at, line)) = kept.log.recv_timeout(PATIENCE) {
            seen |= line.contains("ends without a status yet");
            if line.contains(&words) && line.contains("record: done") {
                ended.push(at - begun);
                break;
            }
        }
        unreaped += usize::from(seen);
    }
    distribution("a process ended -> seen, with how it ended", "250 ms", ended);
    println!("{:<58} {unreaped} of {TRIALS}", "  of these without a status at the first look");

    let mut saved = Vec::new();
    for trial in 0..TRIALS {
        let name = format!("s{}", 200 + trial);
        let mut text = kept.manifest.clone();
        add(&mut text, 200 + trial, "never");
        kept.manifest = text;
        let begun = Instant::now();
        fs::write(kept.path("fleet.yaml"), &kept.manifest).unwrap();
        saved.extend(kept.wait_for(begun, &format!("create begins|\"{name}\"")));
    }
    distribution("the file saved -> the first step begins, debounce included", "700 ms", saved);
    println!(
        "{:<58} {} descriptors, {:.1} MiB",
        "  after that",
        kept.descriptors(),
        kept.resident_mib()
    );
}

fn idle(sessions: usize, time: Duration, bound: &str) {
    let kept = Kept::new(sessions);
    // What its start has caused is over.
    kept.lines(Duration::from_secs(3));
    let (own, children) = kept.used();
    let lines = kept.lines(time);
    let (own, children) = (kept.used().0 - own, kept.used().1 - children);
    let started =
        lines.iter().filter(|line| line.contains("\"argv\"") || line.contains("ran")).count();
    let passes = lines.iter().filter(|line| line.contains("nothing to do")).count();
    let share = |used: f64| used / time.as_secs_f64() * 100.0;
    println!(
        "idle, {sessions} sessions, {} s: {:.3} % of a core, and {:.3} % in its children; {:.1} MiB; \
         {passes} passes, {started} children told (bound {bound})",
        time.as_secs(),
        share(own),
        share(children),
        kept.resident_mib()
    );
}

fn quiet_pass(sessions: usize) {
    let kept = Kept::new(sessions);
    let (mut passes, mut looks) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let begun = Instant::now();
        kept.tmux(&["list-panes", "-a", "-F", LOOK]);
        looks.push(begun.elapsed());
        kept.tmux(&["new-session", "-d", "-s", "other", "sleep 100"]);
        kept.tmux(&["kill-session", "-t", "=other"]);
        for line in kept.lines(Duration::from_millis(400)) {
            let Some((_, took)) = line.split_once("\"took_ms\":") else { continue };
            if line.contains("nothing to do") {
                let millis: f64 = took.split([',', '}']).next().unwrap().parse().unwrap();
                passes.push(Duration::from_secs_f64(millis / 1e3));
            }
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    let (pass, look) = (median(&mut passes), median(&mut looks));
    println!(
        "a pass with nothing to do, {sessions} sessions: {pass:.1} ms; bare list-panes -a {look:.1} ms; \
         ratio {:.2} (bound 1.50, {} passes)",
        pass / look,
        passes.len()
    );
}

/// Descriptors and memory over many passes, each for a SIGHUP, which reads the manifest too.
fn flat(passes: usize) {
    let kept = Kept::new(20);
    let pid = kept.controller.id().to_string();
    let tell = |when: &str| {
        let (files, size) = (kept.descriptors(), kept.resident_mib());
        println!("{when:<58} {files} descriptors, {size:.1} MiB");
    };
    for pass in 0..passes {
        if [100, 1_000].contains(&pass) {
            tell(&format!("after {pass} passes"));
        }
        if pass % 900 == 899 {
            // A rest, after which the controller does not take this for a storm.
            kept.lines(Duration::from_millis(2_100));
        }
        let begun = Instant::now();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
        kept.wait_for(begun, "nothing to do").unwrap();
    }
    tell(&format!("after {passes} passes"));
}

/// The fields of the fleet-wide look.
const LOOK: &str = "#{pane_id} #{window_id} #{session_id} #{pane_pid} #{pane_dead} #{pane_dead_status} \
    #{pane_dead_signal} #{session_attached} #{n:session_name} #{session_name} #{n:@fleet} #{@fleet}";

fn main() {
    let given = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let time = Duration::from_secs(given.unwrap_or(60));
    reactions();
    quiet_pass(1_000);
    flat(10_000);
    idle(200, time, "0.3 %, 40 MiB");
    idle(1_000, time, "1 %");
}
