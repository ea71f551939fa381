//! A comparison or a plan as a comment under a pull request. Owns what comes first there and what is left out when
//! it is too much. Invariant: whatever a manifest says stands in code, where it is no markup, no mention and no end
//! of the code; it is never longer than [`MOST`], and what is missing is said at the top.

use super::View;
use super::compare::{Sides, UNSEEN, clauses, compared, summary, verb};
use super::layout::clean;
use super::plan::{hint_text, secret, summary as plan_summary};
use super::words::{self, Kind, plural};
use crate::manifest::fleet::Fleet;
use crate::plan::compare::{Comparison, Difference, Effect, Severity};
use crate::plan::runs::{fields_of, runs};
use crate::plan::{Change, Entry, Plan, Verdict};
use similar::{ChangeTag, TextDiff};

/// The most characters of a comment.
pub const MOST: usize = 60_000;
/// What the frame around the parts may take of it.
const FRAME: usize = 2_000;
/// The most characters of one value.
const VALUE: usize = 3_000;

/// One thing that differs.
struct Part {
    /// Its heading, as Markdown.
    head: String,
    /// Its fields, as the lines of a diff.
    lines: Vec<String>,
}

/// The sections of a comment.
#[derive(Default)]
struct Page {
    marker: String,
    title: String,
    lead: Vec<String>,
    runs: Vec<Part>,
    goes: Vec<Part>,
    rest: Vec<Part>,
    notes: Vec<String>,
}

/// `diff --base -o markdown`.
#[must_use]
pub fn comparison_markdown(comparison: &Comparison, sides: &Sides) -> String {
    let fleet = comparison.fleet.as_str();
    let mut page = Page {
        // The base's name: a pull request does not choose which comment it takes the place of.
        marker: comparison.was.as_ref().map_or(fleet, |name| name.as_str()).to_owned(),
        title: format!("Fleet {}: {}", code(fleet), summary(comparison)),
        lead: vec![format!("{}; {UNSEEN}.", code(&compared(comparison, sides)))],
        notes: comparison
            .hints
            .iter()
            .map(|hint| format!("Hint: {}", code(&hint_text(hint))))
            .collect(),
        ..Page::default()
    };
    for setting in &comparison.settings {
        let part = Part { head: "**fleet**".to_owned(), lines: field_lines(&setting.change) };
        match setting.severity {
            Severity::Destructive => page.goes.push(part),
            Severity::Same | Severity::Mild | Severity::Disruptive => page.rest.push(part),
        }
    }
    for one in &comparison.sessions {
        page.take(heading(one), &one.changes, one.severity() == Severity::Destructive);
    }
    page.written()
}

/// `diff -o markdown`: what `apply` would do here.
#[must_use]
pub fn plan_markdown(plan: &Plan, fleet: &Fleet, view: &View) -> String {
    let mut page = Page {
        marker: plan.fleet.to_string(),
        title: format!("Fleet {}: {}", code(plan.fleet.as_str()), plan_summary(plan)),
        lead: vec!["What `fleetctl apply` would do on this machine.".to_owned()],
        notes: plan.hints.iter().map(|hint| format!("Hint: {}", code(&hint_text(hint)))).collect(),
        ..Page::default()
    };
    for blind in &plan.blind {
        let text = format!("{} could not be seen: {}", blind.what, blind.cause);
        page.lead.push(format!("**Not seen**: {}", code(&text)));
    }
    for entry in plan.entries.iter().filter(|entry| entry.verdict != Verdict::Synced) {
        let said = words::clauses(entry, view).join("; ");
        let head = titled(entry.name.as_str(), words::verb(&entry.verdict), &said);
        page.take(head, &changes_of(entry, fleet), destroys(entry));
    }
    page.written()
}

/// The fields of an entry; of a session that is to be made, all that it has.
#[must_use]
pub fn changes_of(entry: &Entry, fleet: &Fleet) -> Vec<Change> {
    let session = fleet.sessions.get(&entry.name);
    match session.filter(|_| Kind::of(&entry.verdict) == Kind::Create) {
        Some(session) => fields_of(session),
        None => entry.changes.clone(),
    }
}

/// True for what takes a worktree away.
#[must_use]
pub fn destroys(entry: &Entry) -> bool {
    matches!(Kind::of(&entry.verdict), Kind::Recreate | Kind::Decommission)
}

fn heading(one: &Difference) -> String {
    let effect = match one.effect() {
        Effect::Note => "only noted",
        effect => verb(effect),
    };
    titled(one.name.as_str(), effect, &clauses(one).join("; "))
}

fn titled(name: &str, verb: &str, said: &str) -> String {
    let said = if said.is_empty() { String::new() } else { format!(": {}", code(said)) };
    format!("**{}** {verb}{said}", code(name))
}

impl Page {
    fn take(&mut self, head: String, changes: &[Change], goes: bool) {
        let (run, other): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|change| runs(&change.field));
        let lines = |changes: &[&Change]| changes.iter().flat_map(|one| field_lines(one)).collect();
        if !run.is_empty() {
            self.runs.push(Part { head: head.clone(), lines: lines(&run) });
        }
        match goes {
            true => self.goes.push(Part { head, lines: lines(&other) }),
            false if run.is_empty() || !other.is_empty() => {
                self.rest.push(Part { head, lines: lines(&other) });
            }
            false => {}
        }
    }

    fn written(&self) -> String {
        let room = MOST - FRAME;
        let length = |parts: &[Part]| parts.iter().map(|part| length(&part.text())).sum::<usize>();
        // What destroys has half of the room whatever the rest needs, and more where that leaves some.
        let goes = shown(&self.goes, (room / 2).max(room.saturating_sub(length(&self.runs))));
        let run = shown(&self.runs, room.saturating_sub(length(&self.goes[..goes])));
        let used = length(&self.goes[..goes]) + length(&self.runs[..run]);
        let rest = shown(&self.rest, room.saturating_sub(used));
        let sections = [
            ("Runs on your machine", &self.runs, run),
            ("Goes away", &self.goes, goes),
            ("Changes", &self.rest, rest),
        ];
        let missing: usize = sections.iter().map(|(_, parts, shown)| parts.len() - shown).sum();
        let mut out = format!("<!-- fleetctl diff {} -->\n## {}\n\n", self.marker, self.title);
        if missing > 0 {
            out.push_str(&format!(
                "> **Truncated: {} not shown.** This comment is full; `fleetctl diff` in a terminal tells all.\n\n",
                plural(missing, "entry").replace("entrys", "entries")
            ));
        }
        for line in self.lead.iter().take(5) {
            out.push_str(&format!("{}\n\n", cut(line, 400)));
        }
        if self.runs.is_empty() {
            out.push_str("Nothing that runs on your machine changes.\n\n");
        }
        for (title, parts, shown) in sections.into_iter().filter(|(_, parts, _)| !parts.is_empty())
        {
            out.push_str(&format!("### {title}\n\n"));
            parts[..shown].iter().for_each(|part| out.push_str(&part.text()));
            if shown < parts.len() {
                out.push_str(&format!(
                    "**… and {} more that are not shown.**\n\n",
                    parts.len() - shown
                ));
            }
        }
        for note in self.notes.iter().take(2) {
            out.push_str(&format!("{note}\n\n"));
        }
        super::github::inert(&format!("{}\n", out.trim_end()))
    }
}

/// How many of the parts fit.
fn shown(parts: &[Part], room: usize) -> usize {
    let mut used = 0;
    let fits = parts.iter().take_while(|part| {
        used += length(&part.text());
        used <= room
    });
    fits.count()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

impl Part {
    fn text(&self) -> String {
        if self.lines.is_empty() {
            return format!("{}\n\n", cut(&self.head, 1_000));
        }
        let body = cut(&self.lines.join("\n"), 4 * VALUE);
        let fence = "`".repeat(longest_run(&body).max(2) + 1);
        format!("{}\n{fence}diff\n{body}\n{fence}\n\n", cut(&self.head, 1_000))
    }
}

/// A field as lines of a diff: its name between two spaces and a colon, which no value can stand before.
fn field_lines(change: &Change) -> Vec<String> {
    let mut lines = vec![format!("  {}:", clean(&change.field).replace('\n', " "))];
    let told = |value: &Option<String>| value.as_deref().map(|text| cut(text, VALUE));
    if secret(&change.field) {
        let sign = if change.to.is_none() { '-' } else { '+' };
        let word = if change.from.is_some() && change.to.is_some() { " (changed)" } else { "" };
        lines.push(format!("{sign} ***{word}"));
        return lines;
    }
    match (told(&change.from), told(&change.to)) {
        (Some(from), Some(to)) if from.contains('\n') || to.contains('\n') => {
            diff(&mut lines, &from, &to);
        }
        (from, to) => {
            let mut put = |sign: char, value: Option<String>| {
                for line in value.iter().flat_map(|text| text.lines()) {
                    lines.push(format!("{sign} {}", clean(line)));
                }
            };
            put('-', from);
            put('+', to);
        }
    }
    lines
}

fn diff(lines: &mut Vec<String>, from: &str, to: &str) {
    for hunk in TextDiff::from_lines(from, to).unified_diff().context_radius(2).iter_hunks() {
        lines.push(hunk.header().to_string().trim_end().to_owned());
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(format!("{sign} {}", clean(change.value().trim_end_matches(['\n', '\r']))));
        }
    }
}

/// At most that many characters; what is missing is said.
fn cut(text: &str, most: usize) -> String {
    let count = length(text);
    if count <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most).collect();
    format!("{kept}\n! CUT HERE: {} more characters are not shown", count - most)
}

/// Text as inline code, whatever is in it.
fn code(text: &str) -> String {
    let text = clean(text);
    let ticks = "`".repeat(longest_run(&text) + 1);
    let pad = if ticks.len() > 1 || text.starts_with(' ') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
