//! Sessions as they are told to machines that watch them: conditions, and one object a line. Invariant: a
//! condition has the same fields whatever it is about.

use super::{FORMAT_VERSION, WireSession, in_a_line, session};
use crate::plan::{Entry, Plan, conditions};
use crate::record::{Record, Records};
use crate::render::View;
use crate::render::table::record_of;
use crate::render::words::condition as words;
use schemars::JsonSchema;
use serde::Serialize;

/// A condition of a session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WireCondition {
    /// `synced`, `running`, `ready`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `true`, `false`, `unknown`.
    status: &'static str,
    /// One word.
    reason: &'static str,
    /// One line.
    message: String,
    /// `null`: since this look.
    since: Option<String>,
    /// The last revision that was recorded when this was judged.
    observed_revision: u64,
}

/// One line of `get -w -o json`.
#[derive(Serialize, JsonSchema)]
pub struct WireSessionLine<'a> {
    format_version: u32,
    fleet: &'a str,
    #[serde(flatten)]
    session: WireSession<'a>,
}

/// The line of `get -w -o json` for a session that is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WireGoneLine<'a> {
    format_version: u32,
    fleet: &'a str,
    name: &'a str,
    gone: bool,
}

/// A session with its record and its conditions.
pub(super) fn whole<'a>(
    plan: &Plan,
    entry: &'a Entry,
    record: Option<&'a Record>,
    view: &View,
) -> WireSession<'a> {
    // A machine may read it elsewhere: no path is told relative to anything.
    let bare = &View { directory: None, home: None, ..view.clone() };
    let conditions = conditions(entry, record)
        .into_iter()
        .map(|condition| WireCondition {
            kind: words::kind(condition.kind),
            status: words::truth(condition.truth),
            reason: words::reason(entry, &condition),
            message: words::message(entry, &condition, bare),
            since: condition.since.map(|since| since.to_string()),
            observed_revision: plan.revision,
        })
        .collect();
    WireSession { conditions: Some(conditions), ..session(entry, record, view) }
}

/// A session in one line.
#[must_use]
pub fn session_line(plan: &Plan, entry: &Entry, records: &Records, view: &View) -> String {
    let session = whole(plan, entry, record_of(entry, records), view);
    let fleet = plan.fleet.as_str();
    in_a_line(&WireSessionLine { format_version: FORMAT_VERSION, fleet, session })
}

/// In one line that a session is gone.
#[must_use]
pub fn gone_line(plan: &Plan, name: &str) -> String {
    let fleet = plan.fleet.as_str();
    in_a_line(&WireGoneLine { format_version: FORMAT_VERSION, fleet, name, gone: true })
}
