//! What is being done, on standard error while it is done: a spinner a step on a terminal, and what is no step
//! as a line. Invariant: nothing of it reaches standard output, and a step is told twice on no screen: its
//! line stays only where the report goes elsewhere.

use super::style::{Style, Tone};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The progress of one run of the program.
pub struct Progress {
    style: Style,
    running: Mutex<BTreeMap<String, ProgressBar>>,
    bars: MultiProgress,
    lines: Option<Mutex<Box<dyn Write + Send>>>,
    keeps: bool,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("on_terminal", &self.lines.is_none())
            .finish_non_exhaustive()
    }
}

impl Progress {
    /// On a terminal: spinners on standard error.
    #[must_use]
    pub fn on_terminal(style: Style) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { style, running: Mutex::default(), bars, lines: None, keeps: false }
    }

    /// Elsewhere: only what is no step, written to `out`; the report tells the steps. What cannot be written
    /// is dropped: progress never stops the work.
    #[must_use]
    pub fn as_lines(style: Style, out: Box<dyn Write + Send>) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let lines = Some(Mutex::new(out));
        Self { style, running: Mutex::default(), bars, lines, keeps: false }
    }

    /// With a line that stays for each step that ended: for a report that goes elsewhere.
    #[must_use]
    pub fn keeping_steps(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// A step began: `what` is done for `name`.
    pub fn begin(&self, name: &str, what: &str) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.set_message(what.to_owned());
        if self.lines.is_none() {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        self.running().insert(name.to_owned(), bar);
    }

    /// A running step went on to something else.
    pub fn turn(&self, name: &str, what: &str) {
        if let Some(bar) = self.running().get(name) {
            bar.set_message(what.to_owned());
        }
    }

    /// A step ended well.
    pub fn done(&self, name: &str, what: &str) {
        self.end(name, what, ("✓", Tone::Good));
    }

    /// A step failed.
    pub fn failed(&self, name: &str, why: &str) {
        self.end(name, why, ("✗", Tone::Bad));
    }

    /// Something to say that is no step: a wait, a fetch that failed.
    pub fn say(&self, line: &str) {
        match &self.lines {
            Some(out) => {
                let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = writeln!(out, "{line}");
            }
            None => {
                let _ = self.bars.println(line);
            }
        }
    }

    /// Takes down what is still drawn.
    pub fn clear(&self) {
        for bar in std::mem::take(&mut *self.running()).into_values() {
            bar.finish_and_clear();
        }
        let _ = self.bars.clear();
    }

    fn end(&self, name: &str, what: &str, (sign, tone): (&str, Tone)) {
        if let Some(bar) = self.running().remove(name) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        if self.keeps {
            let line = format!("{} {name}  {what}", self.style.paint(tone, sign));
            self.say(line.trim_end());
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, ProgressBar>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn steps_are_told_only_where_the_report_goes_elsewhere() {
        let written = Shared::default();
        let progress = Progress::as_lines(Style::PLAIN, Box::new(written.clone()));
        progress.begin("api", "create");
        progress.done("api", "create");
        progress.say("waiting");
        let progress = progress.keeping_steps();
        progress.begin("api", "create");
        progress.turn("api", "git worktree add");
        progress.done("api", "create");
        progress.begin("etl", "stop");
        progress.failed("etl", "stop: it is busy");
        progress.say("waiting");
        let text = written.0.lock().expect("nobody panicked").clone();
        let text = String::from_utf8(text).expect("text");
        assert_eq!(text, "waiting\n✓ api  create\n✗ etl  stop: it is busy\nwaiting\n");
    }

    #[test]
    fn a_closed_pipe_does_not_stop_the_work() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
        }
        let progress = Progress::as_lines(Style::PLAIN, Box::new(Closed));
        progress.begin("api", "create");
        progress.done("api", "create");
    }
}
