//! Two manifests side by side, as text. Owns the words for what a difference does; the header says what was
//! compared. Invariant: every difference is told, and no value of `env` is.

use super::View;
use super::layout::{cut, pad, width_of, wrap};
use super::plan::{change_lines, hint_text};
use super::style::Tone;
use super::words::{plural, short};
use crate::plan::Change;
use crate::plan::compare::{Comparison, Difference, Effect, Fate};
use crate::plan::runs::runs;
use crate::snapshot::Commit;
use std::collections::BTreeMap;

/// What was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// The file that the manifest is compared with; below the repository's top directory when it is in one.
    pub base: String,
    /// The revision that it was read from.
    pub revision: Option<Revision>,
    /// The manifest, named likewise.
    pub head: String,
}

/// A revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// As it was asked for.
    pub name: String,
    /// The commit that it stands for.
    pub commit: Commit,
}

/// What all outputs say of how the answer was come by.
pub const UNSEEN: &str = "files only: no machine was looked at";

/// The comparison as people read it, with a newline at its end.
#[must_use]
pub fn comparison_text(comparison: &Comparison, sides: &Sides, view: &View) -> String {
    let mut out = header(comparison, sides, view);
    let widest = |of: &dyn Fn(&Difference) -> usize, least: usize| {
        comparison.sessions.iter().map(of).max().unwrap_or(0).max(least) + 2
    };
    let name = widest(&|one| one.name.as_str().len(), 8).min(view.style.width / 2);
    let verb = widest(&|one| verb(one.effect()).len(), 8);
    for one in &comparison.sessions {
        line(&mut out, one, (name, verb), view);
        change_lines(&mut out, &told_changes(one), view);
    }
    if !comparison.settings.is_empty() {
        out.push_str(&format!("{} fleet\n", view.style.paint(Tone::Change, "~")));
        let changes: Vec<Change> =
            comparison.settings.iter().map(|setting| setting.change.clone()).collect();
        change_lines(&mut out, &changes, view);
    }
    tell(&mut out, &summary(comparison), Tone::Strong, view);
    for hint in &comparison.hints {
        tell(&mut out, &format!("hint: {}", hint_text(hint)), Tone::Dim, view);
    }
    out
}

/// The changes that are shown of a session: of a new one only what it runs.
#[must_use]
pub fn told_changes(one: &Difference) -> Vec<Change> {
    let told = one.changes.iter().filter(|change| one.fate != Fate::Added || runs(&change.field));
    told.cloned().collect()
}

/// What a comparison brings that runs on the machine, session by session.
#[must_use]
pub fn runs_text(comparison: &Comparison, view: &View) -> String {
    let mut out = String::new();
    for one in &comparison.sessions {
        let run = one.changes.iter().filter(|change| runs(&change.field)).cloned();
        let run: Vec<Change> = run.collect();
        if !run.is_empty() {
            out.push_str(&format!("{}\n", view.style.paint(tone(one.effect()), one.name.as_str())));
            change_lines(&mut out, &run, view);
        }
    }
    out
}

fn header(comparison: &Comparison, sides: &Sides, view: &View) -> String {
    let fleet = comparison.fleet.as_str();
    let compared = compared(comparison, sides);
    let one_line = format!("{fleet}   {compared}   {UNSEEN}");
    if width_of(&one_line) <= view.style.width {
        let rest = view.style.paint(Tone::Dim, &format!("{compared}   {UNSEEN}"));
        return format!("{}   {rest}\n", view.style.paint(Tone::Strong, fleet));
    }
    let mut out = format!("{}\n", view.style.paint(Tone::Strong, &cut(fleet, view.style.width)));
    tell(&mut out, &format!("  {compared}"), Tone::Dim, view);
    tell(&mut out, &format!("  {UNSEEN}"), Tone::Dim, view);
    out
}

/// `fleet.yaml at origin/main (9ab12f0 of 2026-11-20) → fleet.yaml here`
#[must_use]
pub fn compared(comparison: &Comparison, sides: &Sides) -> String {
    let base = match &sides.revision {
        None => sides.base.clone(),
        Some(revision) => {
            let id = short(&revision.commit.id);
            let day = revision.commit.time.strftime("%F");
            match revision.commit.id.starts_with(&revision.name) {
                true => format!("{} at {id} of {day}", sides.base),
                false => format!("{} at {} ({id} of {day})", sides.base, revision.name),
            }
        }
    };
    let absent = if comparison.was.is_none() { "no " } else { "" };
    format!("{absent}{base} → {} here", sides.head)
}

fn line(out: &mut String, one: &Difference, (name, verb_width): (usize, usize), view: &View) {
    let effect = one.effect();
    let paint = |text: &str| view.style.paint(tone(effect), text);
    let named = pad(&cut(one.name.as_str(), name - 2), name);
    let indent = 2 + name + verb_width;
    let sentence = clauses(one);
    let begin = format!("{} {named}{}", paint(&sign(effect).to_string()), paint(verb(effect)));
    if sentence.is_empty() {
        return out.push_str(&format!("{begin}\n"));
    }
    if view.style.width.saturating_sub(indent) < 30 {
        out.push_str(&format!("{begin}\n"));
        for line in wrap(&sentence, view.style.width.saturating_sub(4)) {
            out.push_str(&format!("    {line}\n"));
        }
        return;
    }
    let gap = " ".repeat(verb_width - verb(effect).len());
    for (at, line) in wrap(&sentence, view.style.width.saturating_sub(indent)).iter().enumerate() {
        match at {
            0 => out.push_str(&format!("{begin}{gap}{line}\n")),
            _ => out.push_str(&format!("{}{line}\n", " ".repeat(indent))),
        }
    }
}

/// What is said of a difference beside its fields, clause by clause.
#[must_use]
pub fn clauses(one: &Difference) -> Vec<String> {
    let mut said = Vec::new();
    let is = |field: &str| one.changes.iter().find(|change| change.field == field);
    match &one.fate {
        Fate::Added if is("agent").or(is("command")).is_none() => said.push("a shell".to_owned()),
        Fate::Added | Fate::Changed => {}
        Fate::Renamed { from } => said.push(format!("called {from} until now")),
        Fate::Removed { protected: false } => said.push("gone from the file".to_owned()),
        Fate::Removed { protected: true } => {
            said.push("gone from the file; protected, so it is held where it runs".to_owned());
        }
        Fate::LetGo => said.push("let go of: worktree and pane stay and are nobody's".to_owned()),
    }
    if one.fate == Fate::Added {
        return said;
    }
    if is("protect").is_some_and(|change| change.to.is_none()) {
        said.push("no longer protected".to_owned());
    }
    match one.effect() {
        Effect::Recreate => said.push("another worktree; the old one goes to the trash".to_owned()),
        Effect::Restart if is("agent").is_some() => said.push("a new conversation".to_owned()),
        _ => {}
    }
    said
}

/// The sign of what a difference does.
#[must_use]
pub fn sign(effect: Effect) -> char {
    match effect {
        Effect::Create | Effect::Start => '+',
        Effect::Note | Effect::Update | Effect::Restart | Effect::Recreate => '~',
        Effect::Forget | Effect::Stop | Effect::Decommission => '-',
        Effect::Hold => 'x',
    }
}

/// The verb of what a difference does.
#[must_use]
pub fn verb(effect: Effect) -> &'static str {
    match effect {
        Effect::Note => "note",
        Effect::Update => "update",
        Effect::Create => "create",
        Effect::Start => "start",
        Effect::Forget => "forget",
        Effect::Stop => "stop",
        Effect::Restart => "restart",
        Effect::Hold => "held",
        Effect::Recreate => "recreate",
        Effect::Decommission => "decommission",
    }
}

fn tone(effect: Effect) -> Tone {
    match effect {
        Effect::Create | Effect::Start => Tone::Good,
        Effect::Note | Effect::Forget => Tone::Dim,
        Effect::Update | Effect::Restart | Effect::Recreate => Tone::Change,
        Effect::Stop | Effect::Decommission | Effect::Hold => Tone::Bad,
    }
}

/// How many differences there are of each effect, the gravest first.
#[must_use]
pub fn counts(comparison: &Comparison) -> Vec<(Effect, usize)> {
    let mut counts: BTreeMap<Effect, usize> = BTreeMap::new();
    for one in &comparison.sessions {
        *counts.entry(one.effect()).or_default() += 1;
    }
    counts.into_iter().rev().collect()
}

/// The last line: what a merge would do, or that nothing differs.
#[must_use]
pub fn summary(comparison: &Comparison) -> String {
    let mut told: Vec<String> = counts(comparison)
        .into_iter()
        .map(|(effect, count)| match effect {
            Effect::Hold => format!("{count} held"),
            Effect::Note => format!("{count} only noted"),
            effect => format!("{count} to {}", verb(effect)),
        })
        .collect();
    if !comparison.settings.is_empty() {
        told.push(format!("{} changed", plural(comparison.settings.len(), "fleet setting")));
    }
    match told.is_empty() {
        true => format!("nothing differs: {} as before", plural(comparison.same, "session")),
        false => told.join(", "),
    }
}

fn tell(out: &mut String, text: &str, tone: Tone, view: &View) {
    for line in wrap(&[text.to_owned()], view.style.width) {
        out.push_str(&view.style.paint(tone, &line));
        out.push('\n');
    }
}
