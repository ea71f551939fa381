//! Events on the wire: a list of them, or one a line as they come. Invariant: a line is a whole JSON object.

use super::{FORMAT_VERSION, in_a_line, written};
use crate::render::events::Event;
use schemars::JsonSchema;
use serde::Serialize;

/// `events -o json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WireEvents<'a> {
    format_version: u32,
    fleet: &'a str,
    /// Oldest first.
    events: Vec<WireEvent<'a>>,
}

/// One line of `events -w -o json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WireEventLine<'a> {
    format_version: u32,
    #[serde(flatten)]
    event: WireEvent<'a>,
}

/// An event.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WireEvent<'a> {
    /// A later event has a higher one.
    id: i64,
    at: String,
    /// `null`: of the fleet.
    session: Option<&'a str>,
    /// What was done: the verbs of `diff`.
    kind: &'a str,
    /// `done`, `failed`, `held`, `not-attempted`, `noted`.
    outcome: &'a str,
    text: &'a str,
}

impl<'a> WireEvent<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            id: event.id,
            at: event.at.to_string(),
            session: (!event.session.is_empty()).then_some(event.session.as_str()),
            kind: &event.verb,
            outcome: &event.outcome,
            text: &event.text,
        }
    }
}

/// `events -o json`, oldest first.
#[must_use]
pub fn events_json(fleet: &str, events: &[Event]) -> String {
    let events = events.iter().map(WireEvent::of).collect();
    written(&WireEvents { format_version: FORMAT_VERSION, fleet, events })
}

/// One line of `events -w -o json`.
#[must_use]
pub fn event_line(event: &Event) -> String {
    in_a_line(&WireEventLine { format_version: FORMAT_VERSION, event: WireEvent::of(event) })
}
