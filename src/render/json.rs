//! What machines see: wire types apart from the domain's, so that the domain may change and the wire does
//! not. Invariant: a field, once here under a format version, keeps its name and meaning.

use super::View;
use super::plan::{counts, hint_text, secret};
use super::table::record_of;
use super::words::hold::{lift, wanted, why};
use super::words::{self, Kind};
use crate::manifest::problem::Report;
use crate::plan::{Change, ChangeClass, Entry, Plan, Sync, Verdict};
use crate::record::{EndKind, Place, Record, Records, Tombstone};
use schemars::JsonSchema;
use serde::Serialize;
use sessions::{WireCondition, whole};
use std::collections::BTreeMap;
use std::path::Path;

pub mod compare;
mod events;
mod kinds;
pub mod schema;
mod sessions;

pub use events::{event_line, events_json};
pub use kinds::{hold_reason, step_reason};
pub use sessions::{gone_line, session_line};

/// The version of everything in here.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Serialize, JsonSchema)]
struct WirePlan<'a> {
    format_version: u32,
    fleet: &'a str,
    revision: u64,
    new_revision: bool,
    #[schemars(with = "Vec<String>")]
    sources: Vec<&'a Path>,
    seen: String,
    /// Everything that the plan needs was seen.
    complete: bool,
    summary: BTreeMap<&'static str, usize>,
    sessions: Vec<WireSession<'a>>,
    unseen: Vec<WireBlind<'a>>,
    hints: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct WireSessions<'a> {
    format_version: u32,
    fleet: &'a str,
    sessions: Vec<WireSession<'a>>,
}

/// A session, in every list that has sessions.
#[derive(Serialize, JsonSchema)]
pub struct WireSession<'a> {
    name: &'a str,
    uid: Option<String>,
    /// What is to be done or why nothing is: the words of the summary.
    verdict: &'static str,
    /// The step that is done, or that a hold stands for.
    step: Option<&'static str>,
    reason: Option<&'static str>,
    text: String,
    lifted_by: Option<String>,
    changes: Vec<WireChange<'a>>,
    notes: Vec<WireNote>,
    status: WireStatus<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conditions: Option<Vec<WireCondition>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<WireRecord<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct WireChange<'a> {
    field: &'a str,
    class: &'static str,
    secret: bool,
    from: Option<&'a str>,
    to: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct WireNote {
    kind: &'static str,
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct WireStatus<'a> {
    sync: &'static str,
    health: &'static str,
    activity: &'static str,
    attached: bool,
    running: bool,
    branch: Option<&'a str>,
    #[schemars(with = "Option<String>")]
    directory: Option<&'a Path>,
    tmux_session: Option<&'a str>,
    pane: Option<&'a str>,
    end: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
struct WireRecord<'a> {
    created: String,
    run: u32,
    pid: Option<u32>,
    started: Option<String>,
    place: &'static str,
    owner: Option<&'a str>,
    #[schemars(with = "String")]
    repository: &'a Path,
    #[schemars(with = "Option<String>")]
    worktree: Option<&'a Path>,
    branch: Option<&'a str>,
    conversation: Option<&'a str>,
    ports: &'a BTreeMap<String, u16>,
    protected_since: Option<u64>,
    gone_since: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct WireBlind<'a> {
    what: &'a str,
    cause: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct WireTrash<'a> {
    format_version: u32,
    trash: Vec<WireTombstone<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct WireTombstone<'a> {
    name: &'a str,
    uid: String,
    at: String,
    #[schemars(with = "Option<String>")]
    path: Option<&'a Path>,
    branch: Option<&'a str>,
    commit: Option<&'a str>,
    salvage: &'a [String],
    #[schemars(with = "Option<String>")]
    screen: Option<&'a Path>,
}

#[derive(Serialize, JsonSchema)]
struct WireProblems<'a> {
    format_version: u32,
    valid: bool,
    problems: &'a [Report],
}

/// `validate -o json`.
#[must_use]
pub fn problems_json(problems: &[Report]) -> String {
    written(&WireProblems { format_version: FORMAT_VERSION, valid: problems.is_empty(), problems })
}

/// `diff -o json`.
#[must_use]
pub fn plan_json(plan: &Plan, view: &View) -> String {
    let wire = WirePlan {
        format_version: FORMAT_VERSION,
        fleet: plan.fleet.as_str(),
        revision: plan.revision,
        new_revision: plan.new_revision,
        sources: plan.sources.iter().map(AsRef::as_ref).collect(),
        seen: plan.seen.to_string(),
        complete: plan.blind.is_empty(),
        summary: counts(plan).into_iter().map(|(kind, count)| (kind.key(), count)).collect(),
        sessions: plan.entries.iter().map(|entry| session(entry, None, view)).collect(),
        unseen: plan
            .blind
            .iter()
            .map(|blind| WireBlind { what: &blind.what, cause: &blind.cause })
            .collect(),
        hints: plan.hints.iter().map(hint_text).collect(),
    };
    written(&wire)
}

/// `get sessions -o json`, `get worktrees -o json`: sessions with what the store remembers of them.
#[must_use]
pub fn sessions_json(plan: &Plan, records: &Records, view: &View) -> String {
    sessions_where(plan, records, view, |_| true)
}

/// `get holds -o json`: the sessions that are held.
#[must_use]
pub fn holds_json(plan: &Plan, records: &Records, view: &View) -> String {
    sessions_where(plan, records, view, |entry| matches!(entry.verdict, Verdict::Hold(_)))
}

fn sessions_where(
    plan: &Plan,
    records: &Records,
    view: &View,
    wanted: impl Fn(&Entry) -> bool,
) -> String {
    let told = plan.entries.iter().filter(|entry| wanted(entry));
    let wire = WireSessions {
        format_version: FORMAT_VERSION,
        fleet: plan.fleet.as_str(),
        sessions: told.map(|entry| whole(plan, entry, record_of(entry, records), view)).collect(),
    };
    written(&wire)
}

/// `get trash -o json`.
#[must_use]
pub fn trash_json(tombstones: &[Tombstone]) -> String {
    let trash = tombstones.iter().map(|tombstone| WireTombstone {
        name: tombstone.record.name.as_str(),
        uid: tombstone.record.uid.to_string(),
        at: tombstone.at.to_string(),
        path: tombstone.trash.as_deref(),
        branch: tombstone.branch.as_ref().map(|branch| branch.name.as_str()),
        commit: tombstone.branch.as_ref().map(|branch| branch.at.as_str()),
        salvage: &tombstone.salvage,
        screen: tombstone.screen.as_deref(),
    });
    written(&WireTrash { format_version: FORMAT_VERSION, trash: trash.collect() })
}

fn session<'a>(entry: &'a Entry, record: Option<&'a Record>, view: &View) -> WireSession<'a> {
    // A machine may read it elsewhere: no path is told relative to anything.
    let view = &View { directory: None, home: None, ..view.clone() };
    let (step, reason, text, lifted_by) = match &entry.verdict {
        Verdict::Synced => (None, None, Vec::new(), None),
        Verdict::Do(step) => {
            let kind = Kind::of(&entry.verdict).key();
            let reason = kinds::step_reason(&step.reason);
            (Some(kind), Some(reason), words::step::clauses(entry, step, view), None)
        }
        Verdict::Hold(hold) => (
            Some(wanted(hold.wants)),
            Some(kinds::hold_reason(&hold.reason)),
            why(entry, hold, view),
            lift(entry, hold, view).map(|lift| lift.by),
        ),
    };
    WireSession {
        name: entry.name.as_str(),
        uid: entry.uid.map(|uid| uid.to_string()),
        verdict: Kind::of(&entry.verdict).key(),
        step,
        reason,
        text: text.join("; "),
        lifted_by,
        changes: entry.changes.iter().map(change).collect(),
        notes: entry
            .notes
            .iter()
            .map(|note| WireNote { kind: kinds::note(note), text: words::note(note) })
            .collect(),
        status: status(entry),
        conditions: None,
        record: record.map(recorded),
    }
}

fn change(change: &Change) -> WireChange<'_> {
    let secret = secret(&change.field);
    let told = |value: &'static str| Some(value);
    WireChange {
        field: &change.field,
        class: match change.class {
            ChangeClass::Recreate => "recreate",
            ChangeClass::Restart => "restart",
            ChangeClass::InPlace => "in-place",
            ChangeClass::Noted => "noted",
        },
        secret,
        from: match &change.from {
            Some(_) if secret => told("***"),
            from => from.as_deref(),
        },
        to: match &change.to {
            Some(_) if secret => told("***"),
            to => to.as_deref(),
        },
    }
}

fn status(entry: &Entry) -> WireStatus<'_> {
    let status = &entry.status;
    WireStatus {
        sync: words::condition::sync(Sync::of(&entry.verdict)),
        health: words::health(status.health),
        activity: words::activity(status.activity),
        attached: status.attached,
        running: status.running,
        branch: status.branch.as_deref(),
        directory: status.directory.as_deref(),
        tmux_session: status.tmux_session.as_deref(),
        pane: status.pane.as_ref().map(|pane| pane.0.as_str()),
        end: status.end.as_ref().map(end),
    }
}

fn end(end: &EndKind) -> &'static str {
    match end {
        EndKind::Completed => "completed",
        EndKind::Stopped(_) => "stopped",
        EndKind::ByHand => "by-hand",
        EndKind::Expired(_) => "expired",
        EndKind::Finished(_) => "finished",
        EndKind::GivenUp => "given-up",
        EndKind::Failed(_) => "failed",
    }
}

fn recorded(record: &Record) -> WireRecord<'_> {
    let (place, owner, worktree, branch) = match &record.place {
        Place::Own { path, branch, .. } => ("own", None, Some(path.as_path()), branch.as_deref()),
        Place::Repository { .. } => ("repository", None, None, None),
        Place::Shared { owner, path, .. } => {
            ("shared", Some(owner.as_str()), Some(path.as_path()), None)
        }
    };
    WireRecord {
        created: record.created.to_string(),
        run: record.run.0,
        pid: record.runtime.as_ref().map(|runtime| runtime.pid),
        started: record.runtime.as_ref().map(|runtime| runtime.started.to_string()),
        place,
        owner,
        repository: record.place.repo(),
        worktree,
        branch,
        conversation: record.conversation.as_ref().map(|conversation| conversation.id.as_str()),
        ports: &record.ports,
        protected_since: record.protected_since,
        gone_since: record.gone_since.map(|since| since.to_string()),
    }
}

/// The same in one line, for what is told as it comes.
fn in_a_line(wire: &impl Serialize) -> String {
    match serde_json::to_string(wire) {
        Ok(text) => format!("{text}\n"),
        Err(error) => format!("{{\"format_version\":{FORMAT_VERSION},\"error\":\"{error}\"}}\n"),
    }
}

/// The text, with a newline at its end. A path that is not UTF-8 is the one thing that JSON cannot hold.
pub(super) fn written(wire: &impl Serialize) -> String {
    match serde_json::to_string_pretty(wire) {
        Ok(text) => format!("{text}\n"),
        Err(error) => format!("{{\"format_version\": {FORMAT_VERSION}, \"error\": \"{error}\"}}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::{everything, records, seen, usual, view};
    use serde_json::Value;

    fn read(text: &str) -> Value {
        assert!(text.ends_with('\n'));
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn a_plan_says_its_version_and_counts_what_is_to_be_done() {
        let plan = read(&plan_json(&usual(), &view(40)));
        assert_eq!(plan["format_version"], 1);
        assert_eq!(plan["summary"]["held"], 2);
        assert_eq!(plan["complete"], false);
        let etl = &plan["sessions"][5];
        assert_eq!(etl["verdict"], "held");
        assert_eq!(etl["step"], "decommission");
        assert_eq!(etl["reason"], "at-risk");
        assert_eq!(etl["lifted_by"], "fleetctl rm etl --archive");
        assert_eq!(plan["sessions"][1]["changes"][1]["to"], "***");
    }

    #[test]
    fn the_wire_format_is_pinned() {
        let mut two = seen();
        two.entries.truncate(2);
        insta::assert_snapshot!("wire", sessions_json(&two, &records(), &view(40)));
        insta::assert_snapshot!("wire_trash", trash_json(&records().tombstones[..1]));
    }

    #[test]
    fn every_verdict_has_a_form_on_the_wire() {
        let plan = read(&plan_json(&everything(), &view(40)));
        let sessions = plan["sessions"].as_array().expect("a list");
        assert_eq!(sessions.len(), everything().entries.len());
        assert!(sessions.iter().all(|session| session["reason"].is_string()));
        let held = read(&holds_json(&everything(), &records(), &view(40)));
        assert_eq!(held["sessions"].as_array().map(Vec::len), Some(32));
    }
}
