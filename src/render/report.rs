//! What an apply did, at its end: done, failed, held, not attempted, one line each. Invariant: every
//! decommission that was done names the command that undoes it.

use super::View;
use super::layout::{clean, cut, pad, wrap};
use super::style::Tone;
use super::words::time::span;
use crate::name::Name;
use std::collections::BTreeMap;
use std::time::Duration;

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The session.
    pub name: Name,
    /// The step's verb.
    pub verb: &'static str,
    /// What became of it.
    pub result: Became,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// It was done.
    Done {
        /// What there is to say; may be empty.
        detail: String,
        /// How long it took.
        millis: u64,
    },
    /// It failed.
    Failed {
        /// Why, in one line.
        why: String,
        /// How to go on: a command, or nothing better than running again.
        go_on: Option<String>,
    },
    /// It was not done, on purpose.
    Held {
        /// Why, and what lifts it.
        why: String,
    },
    /// Something before it failed.
    NotAttempted {
        /// What.
        because: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Done,
    Failed,
    Held,
    NotAttempted,
}

impl Became {
    fn group(&self) -> Group {
        match self {
            Self::Done { .. } => Group::Done,
            Self::Failed { .. } => Group::Failed,
            Self::Held { .. } => Group::Held,
            Self::NotAttempted { .. } => Group::NotAttempted,
        }
    }
}

impl Group {
    fn word(self) -> (&'static str, Tone) {
        match self {
            Self::Done => ("done", Tone::Good),
            Self::Failed => ("failed", Tone::Bad),
            Self::Held => ("held", Tone::Change),
            Self::NotAttempted => ("not attempted", Tone::Dim),
        }
    }
}

/// The report: done first, in the order of doing, and a summary at the end.
#[must_use]
pub fn report_text(lines: &[Line], took: Duration, view: &View) -> String {
    let mut ordered: Vec<&Line> = lines.iter().collect();
    ordered.sort_by_key(|line| line.result.group());
    let mut out = String::new();
    let name = ordered.iter().map(|line| line.name.as_str().len()).max().unwrap_or(0).max(8);
    let name = name.min(view.style.width / 3) + 2;
    let group =
        ordered.iter().map(|line| line.result.group().word().0.len()).max().unwrap_or(4) + 2;
    let verb = ordered.iter().map(|line| line.verb.len()).max().unwrap_or(0) + 2;
    for line in ordered {
        let (word, tone) = line.result.group().word();
        let begin = pad(word, group).replacen(word, &view.style.paint(tone, word), 1);
        let called = pad(&cut(line.name.as_str(), name - 2), name);
        out.push_str(format!("{begin}{called}{}", pad(line.verb, verb)).trim_end());
        tell(&mut out, &told(line, view), group + name + verb, view);
    }
    for line in wrap(&[summary(lines, took)], view.style.width) {
        out.push_str(&format!("{}\n", view.style.paint(Tone::Strong, &line)));
    }
    out
}

/// The sentence beside the columns, or under them where there is no room.
fn tell(out: &mut String, said: &[String], indent: usize, view: &View) {
    let beside = view.style.width.saturating_sub(indent) >= 30;
    let (lead, room) =
        if beside { (indent, view.style.width - indent) } else { (4, view.style.width - 4) };
    let lines = wrap(said, room);
    for (at, line) in lines.iter().enumerate() {
        if at == 0 && beside {
            let used = super::layout::width_of(&strip(out));
            out.push_str(&" ".repeat(indent.saturating_sub(used)));
        } else {
            out.push_str(&format!("\n{}", " ".repeat(lead)));
        }
        out.push_str(line);
    }
    out.push('\n');
}

/// The last line of what was written so far, without escape sequences.
fn strip(out: &str) -> String {
    let last = out.rsplit('\n').next().unwrap_or_default();
    anstream::adapter::strip_str(last).to_string()
}

fn told(line: &Line, view: &View) -> Vec<String> {
    match &line.result {
        Became::Done { detail, millis } => {
            let mut said = vec![span(Duration::from_millis(*millis))];
            said.extend(Some(clean(detail)).filter(|detail| !detail.is_empty()));
            if matches!(line.verb, "decommission" | "recreate") {
                said.push(format!("undo: {}", view.command(&format!("restore {}", line.name))));
            }
            said
        }
        Became::Failed { why, go_on } => {
            let mut said = vec![clean(why)];
            said.extend(go_on.as_ref().map(|command| format!("go on: {command}")));
            said
        }
        Became::Held { why } => vec![clean(why)],
        Became::NotAttempted { because } => vec![clean(because)],
    }
}

/// `3 done, 1 failed in 4.2 s; running it again does the rest`
#[must_use]
pub fn summary(lines: &[Line], took: Duration) -> String {
    let mut counts: BTreeMap<Group, usize> = BTreeMap::new();
    for line in lines {
        *counts.entry(line.result.group()).or_default() += 1;
    }
    if counts.is_empty() {
        return "nothing to do".to_owned();
    }
    let told: Vec<String> =
        counts.iter().map(|(group, count)| format!("{count} {}", group.word().0)).collect();
    let rest = counts.contains_key(&Group::Failed) || counts.contains_key(&Group::NotAttempted);
    let again = if rest { "; running it again does the rest" } else { "" };
    format!("{} in {}{again}", told.join(", "), span(took))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::view;
    use crate::render::layout::width_of;

    fn lines() -> Vec<Line> {
        let line =
            |name: &str, verb, result| Line { name: name.parse().expect("a name"), verb, result };
        let done = |detail: &str, millis| Became::Done { detail: detail.to_owned(), millis };
        vec![
            line("docs-bot", "create", done("worktree ../shop.worktrees/docs-bot", 1_240)),
            line(
                "api",
                "restart",
                Became::Failed {
                    why: "git worktree add: no space left on device".to_owned(),
                    go_on: Some("fleetctl apply".to_owned()),
                },
            ),
            line("old-spike", "decommission", done("", 310)),
            line("etl", "decommission", Became::Held { why: "at risk: 3 modified".to_owned() }),
            line("web", "start", Became::NotAttempted { because: "it depends on api".to_owned() }),
        ]
    }

    #[test]
    fn a_report_says_what_became_of_every_step_and_how_to_undo_it() {
        let took = Duration::from_millis(4_200);
        insta::assert_snapshot!("report_100", report_text(&lines(), took, &view(100)));
        insta::assert_snapshot!("report_40", report_text(&lines(), took, &view(40)));
    }

    #[test]
    fn no_line_of_a_report_is_wider_than_the_terminal() {
        for width in [40, 60, 80, 100, 120] {
            for line in report_text(&lines(), Duration::ZERO, &view(width)).lines() {
                assert!(width_of(line) <= width, "{} > {width}: {line}", width_of(line));
                assert_eq!(line.trim_end(), line);
            }
        }
    }

    #[test]
    fn colour_changes_nothing_but_the_colour_of_a_report() {
        let mut colored = view(80);
        colored.style.color = true;
        let text = report_text(&lines(), Duration::ZERO, &colored);
        let stripped = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(stripped, report_text(&lines(), Duration::ZERO, &view(80)));
    }
}
