//! `diff --base -o json`: two manifests side by side. Invariant: what it holds depends on the two files alone.

use super::{FORMAT_VERSION, WireChange, change, written};
use crate::plan::compare::{Comparison, Difference, Fate, Setting, Severity};
use crate::plan::runs::runs;
use crate::render::compare::{Sides, clauses, counts, verb};
use crate::render::plan::hint_text;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize, JsonSchema)]
pub(super) struct WireComparison<'a> {
    format_version: u32,
    /// The fleet's name in the manifest.
    fleet: &'a str,
    base: WireBase<'a>,
    head: WireHead<'a>,
    /// Nothing differs.
    same: bool,
    /// The gravest difference: `none`, `mild`, `disruptive`, `destructive`.
    #[schemars(extend("enum" = ["none", "mild", "disruptive", "destructive"]))]
    severity: &'static str,
    /// How many sessions there are of each `effect`.
    summary: BTreeMap<&'static str, usize>,
    /// What differs of the fleet as a whole and of its repositories.
    settings: Vec<WireSetting<'a>>,
    /// The sessions that differ.
    sessions: Vec<WireDifference<'a>>,
    /// How many sessions are the same.
    unchanged: usize,
    hints: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct WireBase<'a> {
    /// Below the repository's top directory when it was read from a revision.
    file: &'a str,
    /// The revision as it was asked for; none for a file.
    revision: Option<&'a str>,
    /// The commit that it stands for.
    commit: Option<&'a str>,
    /// The manifest is there; if not, every session is new.
    present: bool,
    /// The fleet's name there.
    fleet: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct WireHead<'a> {
    file: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct WireSetting<'a> {
    field: &'a str,
    #[schemars(extend("enum" = ["mild", "disruptive", "destructive"]))]
    severity: &'static str,
    from: Option<&'a str>,
    to: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct WireDifference<'a> {
    name: &'a str,
    /// `added`, `changed`, `renamed`, `removed`, `let-go`.
    #[schemars(extend("enum" = ["added", "changed", "renamed", "removed", "let-go"]))]
    change: &'static str,
    renamed_from: Option<&'a str>,
    /// What it does where the base was applied: `create`, `restart`, `recreate`, `decommission`, …
    effect: &'static str,
    #[schemars(extend("enum" = ["mild", "disruptive", "destructive"]))]
    severity: &'static str,
    text: String,
    /// Fields that say what runs on the machine are among the changes.
    runs: bool,
    changes: Vec<WireChange<'a>>,
}

/// `diff --base -o json`.
#[must_use]
pub fn comparison_json(comparison: &Comparison, sides: &Sides) -> String {
    let revision = sides.revision.as_ref();
    let effects = counts(comparison);
    written(&WireComparison {
        format_version: FORMAT_VERSION,
        fleet: comparison.fleet.as_str(),
        base: WireBase {
            file: &sides.base,
            revision: revision.map(|revision| revision.name.as_str()),
            commit: revision.map(|revision| revision.commit.id.as_str()),
            present: comparison.was.is_some(),
            fleet: comparison.was.as_ref().map(|name| name.as_str()),
        },
        head: WireHead { file: &sides.head },
        same: comparison.is_same(),
        severity: severity(comparison.severity()),
        summary: effects.into_iter().map(|(effect, count)| (verb(effect), count)).collect(),
        settings: comparison.settings.iter().map(setting).collect(),
        sessions: comparison.sessions.iter().map(difference).collect(),
        unchanged: comparison.same,
        hints: comparison.hints.iter().map(hint_text).collect(),
    })
}

fn setting(setting: &Setting) -> WireSetting<'_> {
    WireSetting {
        field: &setting.change.field,
        severity: severity(setting.severity),
        from: setting.change.from.as_deref(),
        to: setting.change.to.as_deref(),
    }
}

fn difference(one: &Difference) -> WireDifference<'_> {
    WireDifference {
        name: one.name.as_str(),
        change: match one.fate {
            Fate::Added => "added",
            Fate::Changed => "changed",
            Fate::Renamed { .. } => "renamed",
            Fate::Removed { .. } => "removed",
            Fate::LetGo => "let-go",
        },
        renamed_from: match &one.fate {
            Fate::Renamed { from } => Some(from.as_str()),
            _ => None,
        },
        effect: verb(one.effect()),
        severity: severity(one.severity()),
        text: clauses(one).join("; "),
        runs: one.changes.iter().any(|change| runs(&change.field)),
        changes: one.changes.iter().map(change).collect(),
    }
}

/// The word for how grave a difference is.
#[must_use]
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Same => "none",
        Severity::Mild => "mild",
        Severity::Disruptive => "disruptive",
        Severity::Destructive => "destructive",
    }
}
