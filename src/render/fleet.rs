//! A fleet as a whole: where its manifest comes from, and what is in force of it. Invariant: what is not known is left
//! out of the text and `null` on the wire.

use super::View;
use super::json::{FORMAT_VERSION, written};
use super::layout::{clean, pad};
use super::words::short;
use super::words::time::span;
use crate::snapshot::Commit;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// What is told of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Its name.
    pub fleet: String,
    /// Its manifest: a path, or a git source.
    pub manifest: String,
    /// The last recorded revision; 0 before the first.
    pub revision: u64,
    /// The manifest differs from it.
    pub new_revision: bool,
    /// Sessions in the file.
    pub sessions: usize,
    /// Sessions that there are.
    pub live: usize,
    /// How its git source stands; `None` for a file.
    pub source: Option<SourceView>,
}

/// How a git source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceView {
    /// The commit in force.
    pub taken: Option<Commit>,
    /// The newest one that is known.
    pub head: Option<Commit>,
    /// The one that a human trusted.
    pub trusted: Option<Commit>,
    /// And all that come after it.
    pub always: bool,
    /// When the remote was last reached.
    pub reached: Option<Timestamp>,
    /// Why the newest is not in force.
    pub held: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct WireFleet<'a> {
    format_version: u32,
    fleet: &'a str,
    /// A path, or a git source: `URL#REF:FILE`.
    manifest: &'a str,
    revision: u64,
    new_revision: bool,
    /// In the file.
    sessions: usize,
    live: usize,
    source: Option<WireSource<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct WireSource<'a> {
    /// In force.
    commit: Option<&'a str>,
    /// The newest that is known.
    head: Option<&'a str>,
    trusted: Option<&'a str>,
    trusted_always: bool,
    reached: Option<String>,
    /// Why `head` is not in force.
    held: Option<&'a str>,
}

/// `get fleet`.
#[must_use]
pub fn fleet_text(overview: &Overview, view: &View) -> String {
    let mut lines = vec![
        ("fleet", overview.fleet.clone()),
        ("manifest", overview.manifest.clone()),
        (
            "revision",
            match (overview.revision, overview.new_revision) {
                (0, _) => "none was applied yet".to_owned(),
                (last, true) => format!("{last}, and the manifest has changed since"),
                (last, false) => last.to_string(),
            },
        ),
        ("sessions", format!("{} in the file, {} live", overview.sessions, overview.live)),
    ];
    if let Some(source) = &overview.source {
        let told =
            |commit: &Commit| format!("{} of {}", short(&commit.id), commit.time.strftime("%F %R"));
        lines.extend(source.taken.as_ref().map(|commit| ("commit", told(commit))));
        let always = if source.always { ", and all that come after it" } else { "" };
        let trust = source.trusted.as_ref().map(|commit| format!("{}{always}", told(commit)));
        lines.extend(trust.map(|text| ("trusted", text)));
        let reached = source.reached.map(|at| format!("{} ago", span(view.since(at))));
        lines.push(("reached", reached.unwrap_or_else(|| "never".to_owned())));
        lines.extend(source.held.clone().map(|why| ("held", why)));
    }
    lines.into_iter().map(|(what, text)| format!("{}{}\n", pad(what, 10), clean(&text))).collect()
}

/// `get fleet -o json`.
#[must_use]
pub fn fleet_json(overview: &Overview) -> String {
    let id = |commit: &'_ Option<Commit>| commit.as_ref().map(|commit| commit.id.clone());
    let source = overview.source.as_ref();
    let ids = source.map(|source| [id(&source.taken), id(&source.head), id(&source.trusted)]);
    written(&WireFleet {
        format_version: FORMAT_VERSION,
        fleet: &overview.fleet,
        manifest: &overview.manifest,
        revision: overview.revision,
        new_revision: overview.new_revision,
        sessions: overview.sessions,
        live: overview.live,
        source: source.zip(ids.as_ref()).map(|(source, [taken, head, trusted])| WireSource {
            commit: taken.as_deref(),
            head: head.as_deref(),
            trusted: trusted.as_deref(),
            trusted_always: source.always,
            reached: source.reached.map(|at| at.to_string()),
            held: source.held.as_deref(),
        }),
    })
}
