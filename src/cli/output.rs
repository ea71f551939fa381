//! Standard output and standard error. Invariant: a reader that went away ends the program quietly, and
//! nothing but data reaches standard output.

use super::context::Context;
use crate::error::{Exit, Failure};
use crate::render::progress::Progress;
use std::io::{BufRead, Write};

/// Writes data. A closed pipe is the reader's way to say "enough".
///
/// # Errors
/// [`Exit::Failed`] for any other failure, such as a full disk.
pub fn out(text: &str) -> Result<(), Failure> {
    feed(text).map(drop)
}

/// Writes data that more will follow; false when the reader went away.
///
/// # Errors
/// As [`out`].
pub fn feed(text: &str) -> Result<bool, Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            Err(Failure::new(Exit::Failed, format!("standard output cannot be written: {error}")))
        }
        Ok(()) => Ok(true),
    }
}

/// Appends to what a GitHub runner shows of this step, where there is one. A summary that cannot be written takes
/// nothing from the answer.
pub fn summarize(context: &Context, text: &str) {
    let Some(path) = context.step_summary() else { return };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        warn(&format!("{}: the summary cannot be written: {error}", path.display()));
    }
}

/// Writes a line to standard error; where that fails there is nobody left to tell.
pub fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if let Err(error) = writeln!(stderr, "{}", text.trim_end()) {
        tracing::debug!(%error, "standard error cannot be written");
    }
}

/// Writes a warning to standard error.
pub fn warn(text: &str) {
    say(&format!("warning: {text}"));
}

/// The progress of a run, as the streams allow.
#[must_use]
pub fn progress(context: &Context) -> Progress {
    let style = context.error_style();
    match (context.terminals.error, context.terminals.output) {
        (true, true) => Progress::on_terminal(style),
        (true, false) => Progress::on_terminal(style).keeping_steps(),
        (false, _) => Progress::as_lines(style, Box::new(std::io::stderr())),
    }
}

/// Asks on the terminal; anything but yes is no.
///
/// # Errors
/// [`Exit::Failed`] when the answer cannot be read.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    let mut stderr = std::io::stderr().lock();
    let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    asked
        .and_then(|()| std::io::stdin().lock().read_line(&mut answer))
        .map_err(|error| Failure::new(Exit::Failed, format!("no answer could be read: {error}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
