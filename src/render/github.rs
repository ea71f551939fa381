//! What a GitHub runner reads from a step's output. Owns workflow commands and their escapes. Invariant: a text of a
//! manifest begins no command: what we write as a command is escaped, all else is made inert.

use super::compare::{Sides, clauses, summary, verb};
use super::layout::clean;
use super::markdown::{changes_of, destroys};
use super::plan::{secret, summary as plan_summary};
use super::words::{self, Kind};
use super::{View, words::plural};
use crate::manifest::fleet::Fleet;
use crate::manifest::places::Places;
use crate::manifest::problem::Report;
use crate::plan::compare::{Comparison, Effect, Severity};
use crate::plan::runs::runs;
use crate::plan::{Change, Plan, Verdict};

/// The most annotations that GitHub shows of one step and kind.
const MOST: usize = 10;
/// The most characters of a message.
const MESSAGE: usize = 800;

/// How an annotation is shown; the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Notice,
    Warning,
    Error,
}

struct Annotation {
    level: Level,
    /// Among those of one level.
    rank: Effect,
    title: String,
    message: String,
    line: usize,
}

/// Where annotations point to.
#[derive(Debug, Clone)]
pub struct Place<'p> {
    /// The manifest, below the repository's top directory.
    pub file: &'p str,
    /// Its lines.
    pub lines: &'p Places,
}

/// `diff --base -o github`.
#[must_use]
pub fn comparison_commands(comparison: &Comparison, sides: &Sides, lines: &Places) -> String {
    let place = Place { file: &sides.head, lines };
    let fleet = comparison.fleet.as_str();
    let mut all = Vec::new();
    for one in &comparison.sessions {
        let ran = one.changes.iter().any(|change| runs(&change.field));
        let told = told(&clauses(one), &one.changes);
        all.push(Annotation {
            level: level(one.severity(), ran),
            rank: one.effect(),
            title: format!("{fleet}/{}: {}", one.name, verb(one.effect())),
            message: told,
            line: lines.of_session(one.name.as_str(), &fields(&one.changes)),
        });
    }
    for setting in &comparison.settings {
        all.push(Annotation {
            level: level(setting.severity, false),
            rank: Effect::Recreate,
            title: format!("{fleet}: fleet setting"),
            message: told(&[], std::slice::from_ref(&setting.change)),
            line: lines.of_top(&setting.change.field),
        });
    }
    commands(all, &place, &format!("{fleet}: {}", summary(comparison)))
}

/// `diff -o github`.
#[must_use]
pub fn plan_commands(plan: &Plan, fleet: &Fleet, place: &Place, view: &View) -> String {
    let name = plan.fleet.as_str();
    let mut all = Vec::new();
    for blind in &plan.blind {
        all.push(Annotation {
            level: Level::Error,
            rank: Effect::Decommission,
            title: format!("{name}: not seen"),
            message: format!("{}: {}", blind.what, blind.cause),
            line: 1,
        });
    }
    for entry in plan.entries.iter().filter(|entry| entry.verdict != Verdict::Synced) {
        let changes = changes_of(entry, fleet);
        let ran = changes.iter().any(|change| runs(&change.field));
        let level = match Kind::of(&entry.verdict) {
            _ if destroys(entry) => Level::Error,
            Kind::Held | Kind::Unknown => Level::Error,
            Kind::Restart | Kind::Stop | Kind::Forget => Level::Warning,
            _ if ran => Level::Warning,
            _ => Level::Notice,
        };
        let rank = match Kind::of(&entry.verdict) {
            Kind::Decommission => Effect::Decommission,
            Kind::Recreate => Effect::Recreate,
            Kind::Held | Kind::Unknown => Effect::Hold,
            Kind::Restart => Effect::Restart,
            Kind::Stop => Effect::Stop,
            _ => Effect::Note,
        };
        all.push(Annotation {
            level,
            rank,
            title: format!("{name}/{}: {}", entry.name, words::verb(&entry.verdict)),
            message: told(&words::clauses(entry, view), &changes),
            line: place.lines.of_session(entry.name.as_str(), &fields(&changes)),
        });
    }
    commands(all, place, &format!("{name}: {}", plan_summary(plan)))
}

fn level(severity: Severity, ran: bool) -> Level {
    match severity {
        Severity::Destructive => Level::Error,
        Severity::Disruptive => Level::Warning,
        Severity::Mild if ran => Level::Warning,
        Severity::Mild | Severity::Same => Level::Notice,
    }
}

fn fields(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.field.as_str()).collect()
}

/// Clauses, then what runs, then the other fields.
fn told(clauses: &[String], changes: &[Change]) -> String {
    let field = |change: &Change| {
        let told = |value: &Option<String>| match value {
            None => "(default)".to_owned(),
            Some(_) if secret(&change.field) => "***".to_owned(),
            Some(text) => text.clone(),
        };
        format!("{}: {} → {}", change.field, told(&change.from), told(&change.to))
    };
    let (run, other): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| runs(&change.field));
    let fields = run.into_iter().chain(other).map(field);
    let all: Vec<String> = clauses.iter().cloned().chain(fields).collect();
    let text = all.join("\n");
    match text.char_indices().nth(MESSAGE) {
        Some((at, _)) => format!("{} … (cut)", &text[..at]),
        None => text,
    }
}

fn commands(mut all: Vec<Annotation>, place: &Place, summary: &str) -> String {
    all.sort_by_key(|one| std::cmp::Reverse((one.level, one.rank)));
    let mut out = String::new();
    for one in all.iter().take(MOST) {
        let level = match one.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        };
        let (file, title) = (property(place.file), property(&clean(&one.title)));
        let lines: Vec<String> = one.message.lines().map(clean).collect();
        let message = data(&lines.join("\n"));
        out.push_str(&format!(
            "::{level} file={file},line={},title={title}::{message}\n",
            one.line
        ));
    }
    let more = all.len().saturating_sub(MOST);
    let more = if more > 0 {
        format!("; {} not annotated", plural(more, "more difference"))
    } else {
        String::new()
    };
    out.push_str(&inert(&format!("{}{more}\n", clean(summary))));
    out
}

/// The problems of a manifest that is invalid.
#[must_use]
pub fn problem_commands(problems: &[Report], file: &str) -> String {
    let mut out = String::new();
    for problem in problems.iter().take(MOST) {
        let (line, column) = (problem.line.unwrap_or(1), problem.column.unwrap_or(1));
        let help = problem.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        let lines: Vec<String> = format!("{}{help}", problem.message).lines().map(clean).collect();
        let (file, message) = (property(file), data(&lines.join("\n")));
        out.push_str(&format!("::error file={file},line={line},col={column}::{message}\n"));
    }
    if let Some(more) = problems.len().checked_sub(MOST).filter(|more| *more > 0) {
        out.push_str(&format!("{}\n", plural(more, "more problem")));
    }
    out
}

/// The message of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Lines in which a runner finds no command: one begins with `::` after blanks, or has `##[` anywhere.
#[must_use]
pub fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let rest = line.trim_start();
        let blanks = &line[..line.len() - rest.len()];
        out.push_str(blanks);
        match rest.strip_prefix("::") {
            Some(rest) => out.push_str(&format!("\\u{{3a}}:{rest}").replace("##[", "#\\u{23}[")),
            None => out.push_str(&rest.replace("##[", "#\\u{23}[")),
        }
    }
    out
}

/// JSON in which a runner finds no command either: the same values.
#[must_use]
pub fn inert_json(text: &str) -> String {
    text.replace("##[", "#\\u0023[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_finds_no_command_in_what_is_made_inert() {
        let hostile = "::error::x\n \t ::stop-commands::x\na ##[add-mask]e ::x\n";
        let told = inert(hostile);
        assert_eq!(
            told,
            "\\u{3a}:error::x\n \t \\u{3a}:stop-commands::x\na #\\u{23}[add-mask]e ::x\n"
        );
        assert_eq!(inert("plain: text\n"), "plain: text\n");
        let json = inert_json("{\"a\": \"##[error]\"}");
        let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert!(read["a"] == "##[error]" && !json.contains("##["));
    }

    #[test]
    fn properties_and_messages_are_escaped() {
        assert_eq!(data("50%\r\n::error::"), "50%25%0D%0A::error::");
        assert_eq!(property("a,b:c%0A"), "a%2Cb%3Ac%250A");
    }
}
