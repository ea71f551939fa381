//! A plan as text: a header, a line for each session that something is to be said of, what changes under it,
//! and a summary. Invariant: columns stay aligned at every width; narrow ones put the sentence under its line.

use super::View;
use super::layout::{clean, cut, pad, width_of, wrap};
use super::style::Tone;
use super::words::time::span;
use super::words::{self, Kind};
use crate::plan::{Entry, Hint, HoldReason, Plan, Verdict};
use std::collections::BTreeMap;
use std::path::PathBuf;

mod change;

pub(super) use change::{lines as change_lines, secret};

/// The columns of a plan.
struct Columns {
    name: usize,
    verb: usize,
    /// Where the sentence begins; `None` when it goes under its line.
    text: Option<usize>,
}

/// Under this width for the sentence it goes under its line.
const ROOM: usize = 36;

/// The whole plan as people read it, with a newline at its end.
#[must_use]
pub fn plan_text(plan: &Plan, view: &View) -> String {
    let shown: Vec<&Entry> = plan
        .entries
        .iter()
        .filter(|entry| view.all || !matches!(entry.verdict, Verdict::Synced))
        .collect();
    let mut out = header(plan, view);
    let columns = columns(&shown, view);
    for entry in &shown {
        line(&mut out, entry, &columns, view);
        change::lines(&mut out, &entry.changes, view);
    }
    blind(&mut out, plan, &shown, view);
    paragraph(&mut out, "", &summary(plan), Tone::Strong, view);
    for hint in &plan.hints {
        paragraph(&mut out, "hint: ", &hint_text(hint), Tone::Dim, view);
    }
    out
}

/// `shop   revision 14 → 15 (fleet.yaml)   seen 0.4 s ago`
fn header(plan: &Plan, view: &View) -> String {
    let revision = match (plan.revision, plan.new_revision) {
        (0, _) => "first revision".to_owned(),
        (last, true) => format!("revision {last} → {}", last + 1),
        (last, false) => format!("revision {last}"),
    };
    let read: Vec<String> = plan.sources.iter().map(|path: &PathBuf| view.path(path)).collect();
    let parts = [
        format!("{revision} ({})", read.join(" + ")),
        format!("seen {} ago", span(view.since(plan.seen))),
    ];
    let fleet = plan.fleet.as_str();
    let one_line = format!("{fleet}   {}", parts.join("   "));
    if width_of(&one_line) <= view.style.width {
        let rest = view.style.paint(Tone::Dim, &parts.join("   "));
        return format!("{}   {rest}\n", view.style.paint(Tone::Strong, fleet));
    }
    let mut out = format!("{}\n", view.style.paint(Tone::Strong, &cut(fleet, view.style.width)));
    for part in parts {
        paragraph(&mut out, "  ", &part, Tone::Dim, view);
    }
    out
}

fn columns(shown: &[&Entry], view: &View) -> Columns {
    let widest = |of: fn(&Entry) -> usize, least: usize| {
        shown.iter().map(|entry| of(entry)).max().unwrap_or(0).max(least) + 2
    };
    let mut name = widest(|entry| entry.name.as_str().len(), 8);
    let verb = widest(|entry| words::verb(&entry.verdict).len(), 8);
    let text = 2 + name + verb;
    let fits = view.style.width.saturating_sub(text) >= ROOM;
    if !fits {
        name = name.min(view.style.width.saturating_sub(2 + verb).max(4));
    }
    Columns { name, verb, text: fits.then_some(text) }
}

fn line(out: &mut String, entry: &Entry, columns: &Columns, view: &View) {
    let tone = Kind::of(&entry.verdict).tone();
    let paint = |text: &str| view.style.paint(tone, text);
    let name = pad(&cut(entry.name.as_str(), columns.name - 2), columns.name);
    let verb = words::verb(&entry.verdict);
    let sentence = words::clauses(entry, view);
    out.push_str(&format!("{} {name}", paint(&words::sign(&entry.verdict).to_string())));
    let Some(indent) = columns.text else {
        out.push_str(&format!("{}\n", paint(verb)));
        for line in wrap(&sentence, view.style.width - 4) {
            out.push_str(&format!("    {line}\n"));
        }
        return;
    };
    let lines = wrap(&sentence, view.style.width.saturating_sub(indent));
    out.push_str(&paint(verb));
    for (at, line) in lines.iter().enumerate() {
        let gap = if at == 0 { columns.verb - verb.len() } else { indent };
        out.push_str(&format!("{}{line}", " ".repeat(gap)));
        if at + 1 < lines.len() {
            out.push('\n');
        }
    }
    out.push('\n');
}

/// What could not be seen and no session's line tells already.
fn blind(out: &mut String, plan: &Plan, shown: &[&Entry], view: &View) {
    let told = |what: &crate::snapshot::Blind| {
        shown.iter().any(|entry| match &entry.verdict {
            Verdict::Hold(hold) => hold.reason == HoldReason::Unseen(what.clone()),
            Verdict::Do(_) | Verdict::Synced => false,
        })
    };
    for unseen in plan.blind.iter().filter(|blind| !told(blind)) {
        let sign = format!("{} ", view.style.paint(Tone::Unsure, "?"));
        let text = clean(&format!("{} could not be seen: {}", unseen.what, unseen.cause));
        let lines = wrap(&[text], view.style.width.saturating_sub(2));
        for (at, line) in lines.iter().enumerate() {
            out.push_str(if at == 0 { &sign } else { "  " });
            out.push_str(&format!("{line}\n"));
        }
    }
    if !plan.blind.is_empty() {
        let text = "nothing that hangs on what was not seen is stopped or removed";
        paragraph(out, "  ", text, Tone::Dim, view);
    }
}

/// How many sessions each word of [`Kind`] fits, in the order of a summary.
#[must_use]
pub fn counts(plan: &Plan) -> BTreeMap<Kind, usize> {
    let mut counts = BTreeMap::new();
    for entry in &plan.entries {
        *counts.entry(Kind::of(&entry.verdict)).or_default() += 1;
        if let Some(hold) = &entry.deferred {
            *counts.entry(Kind::of_hold(&hold.reason)).or_default() += 1;
        }
    }
    counts
}

/// The last line: what is to be done, or that there is nothing.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let mut counts = counts(plan);
    let synced = counts.remove(&Kind::Synced).unwrap_or(0);
    let told: Vec<String> =
        counts.iter().map(|(kind, count)| format!("{count} {}", kind.counted())).collect();
    if !told.is_empty() {
        return told.join(", ");
    }
    if !plan.blind.is_empty() {
        return "nothing can be decided".to_owned();
    }
    match synced {
        0 => "nothing to do: the file has no sessions".to_owned(),
        1 => "nothing to do: 1 session is as the file says".to_owned(),
        _ => format!("nothing to do: {synced} sessions are as the file says"),
    }
}

/// A hint in words.
#[must_use]
pub fn hint_text(hint: &Hint) -> String {
    match hint {
        Hint::PerhapsMoved { from, to } => format!(
            "if {to} is {from} under a new name, say so and its worktree, branch and conversation stay: \
             moved: [{{from: {from}, to: {to}}}]"
        ),
    }
}

/// Wrapped text after a lead that later lines are indented by.
fn paragraph(out: &mut String, lead: &str, text: &str, tone: Tone, view: &View) {
    let indent = width_of(lead);
    for (at, line) in
        wrap(&[text.to_owned()], view.style.width.saturating_sub(indent)).iter().enumerate()
    {
        let begin = if at == 0 { lead.to_owned() } else { " ".repeat(indent) };
        out.push_str(&view.style.paint(tone, &format!("{begin}{line}")));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests;
