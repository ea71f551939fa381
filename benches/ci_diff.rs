//! What a pull request waits for, against the bare tools, as ratios from one run: `cargo bench --bench ci_diff`.
//!
//! Trials of both sides alternate; a row has the median and the 95th percentile of twenty-one. Nothing is asserted: a
//! machine's speed is no test.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench starts programs, prints, and has nobody to report a failure to"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TRIALS: usize = 21;
const FLEETCTL: &str = env!("CARGO_BIN_EXE_fleetctl");

/// A private repository with a manifest.
struct Corner {
    directory: tempfile::TempDir,
}

impl Corner {
    /// With this many sessions, every one changed since the last commit.
    fn new(sessions: usize, prompts: bool) -> Self {
        let directory = tempfile::Builder::new().prefix("fb").tempdir_in("/tmp").unwrap();
        let corner = Self { directory };
        fs::create_dir_all(corner.path("home")).unwrap();
        fs::create_dir_all(corner.path("work/prompts")).unwrap();
        corner.git(&["init", "-q", "-b", "main"]);
        corner.write(sessions, prompts, "one");
        corner.git(&["add", "-A"]);
        corner.git(&["-c", "user.name=b", "-c", "user.email=b@b", "commit", "-q", "-m", "x"]);
        corner.write(sessions, prompts, "two");
        corner
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, sessions: usize, prompts: bool, word: &str) {
        let mut text = "version: 1\nfleet: bench\nsessions:\n".to_owned();
        for index in 0..sessions {
            let prompt = match prompts {
                true => format!("prompt_file: prompts/{index}.md"),
                false => format!("prompt: 'Do {word} thing, and then the others.'"),
            };
            writeln!(text, "  s{index}:\n    agent: claude\n    {prompt}").unwrap();
            writeln!(text, "    env: {{PORT: '{index}', WORD: {word}}}\n    labels: {{team: a}}")
                .unwrap();
            if prompts {
                let prompt = format!("Do {word} thing.\n{}", "And then another.\n".repeat(40));
                fs::write(self.path("work/prompts").join(format!("{index}.md")), prompt).unwrap();
            }
        }
        fs::write(self.path("work/fleet.yaml"), text).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("FLEETCTL_TEST", "1")
            .stdin(Stdio::null())
            .current_dir(self.path("work"));
        command
    }

    fn git(&self, args: &[&str]) {
        assert!(self.command("git").args(args).status().unwrap().success(), "git {args:?}");
    }

    /// To the end.
    fn whole(&self, program: &str, args: &[&str]) -> Duration {
        let begun = Instant::now();
        let output = self.command(program).args(args).output().unwrap();
        let took = begun.elapsed();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{program} {args:?}: {output:?}");
        took
    }

    /// To the first byte.
    fn first(&self, program: &str, args: &[&str]) -> Duration {
        let begun = Instant::now();
        let mut child = self.command(program).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        assert_eq!(out.read(&mut [0; 1]).unwrap(), 1, "{program} {args:?} says nothing");
        let took = begun.elapsed();
        out.read_to_end(&mut Vec::new()).unwrap();
        child.wait().unwrap();
        took
    }
}

/// A row of the table.
struct Row<'r> {
    what: &'r str,
    baseline: &'r str,
    bound: u32,
}

impl Row<'_> {
    fn measure(&self, ours: impl Fn() -> Duration, theirs: impl Fn() -> Duration) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..TRIALS {
            a.push(ours());
            b.push(theirs());
        }
        let ms = |times: &mut Vec<Duration>, part: usize| {
            times.sort();
            times[(TRIALS - 1) * part / 100].as_secs_f64() * 1_000.0
        };
        let (median, late, base) = (ms(&mut a, 50), ms(&mut a, 95), ms(&mut b, 50));
        println!(
            "{:<44} {median:>7.1} ms  p95 {late:>7.1} ms   {:<24} {base:>7.1} ms   ratio {:>6.2}   bound {} ms",
            self.what,
            self.baseline,
            median / base,
            self.bound
        );
    }
}

fn main() {
    for (prompts, named) in [(false, "prompts in the file"), (true, "1,000 prompt files")] {
        let corner = Corner::new(1_000, prompts);
        for form in ["text", "json", "markdown", "github"] {
            let what = format!("diff --base -o {form}, {named}");
            Row { what: &what, baseline: "git diff HEAD", bound: 150 }.measure(
                || corner.whole(FLEETCTL, &["diff", "--base", "HEAD", "-o", form]),
                || corner.whole("git", &["diff", "HEAD"]),
            );
        }
    }
    let corner = Corner::new(200, false);
    for args in [&["--help"][..], &["validate"]] {
        let what = format!("{}, first output, 200 sessions", args[0]);
        Row { what: &what, baseline: "git --version", bound: 30 }
            .measure(|| corner.first(FLEETCTL, args), || corner.first("git", &["--version"]));
    }
}
