//! What happened, for people: one line each, oldest first. Invariant: a line is whole by itself, so that lines
//! can be told as they come.

use super::View;
use super::layout::clean;
use super::style::Tone;
use jiff::Timestamp;

/// Something that happened, as the store kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// A later event has a higher one.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// To which session; empty for the fleet.
    pub session: String,
    /// What was done.
    pub verb: String,
    /// How it ended, in a word.
    pub outcome: String,
    /// What became of it, in one line.
    pub text: String,
}

/// `2027-01-15T08:00:00Z  api  create: done`
#[must_use]
pub fn line(event: &Event, view: &View) -> String {
    let at = view.style.paint(Tone::Dim, &format!("{:.0}", event.at));
    let session = if event.session.is_empty() { "-" } else { &event.session };
    let said = clean(&format!("{}: {}", event.verb, event.text));
    format!("{at}  {}  {}\n", clean(session), view.style.paint(tone(&event.outcome), &said))
}

fn tone(outcome: &str) -> Tone {
    match outcome {
        "failed" => Tone::Bad,
        "held" | "not-attempted" => Tone::Change,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::{ago, view};
    use crate::render::json::{event_line, events_json};

    fn event(session: &str, outcome: &str) -> Event {
        Event {
            id: 7,
            at: ago(60),
            session: session.to_owned(),
            verb: "create".to_owned(),
            outcome: outcome.to_owned(),
            text: format!("{outcome}\u{1b}[31m"),
        }
    }

    #[test]
    fn a_line_tells_when_of_what_and_how_it_ended() {
        assert_eq!(
            line(&event("api", "done"), &view(80)),
            "2027-01-15T07:59:00Z  api  create: done\\u{1b}[31m\n"
        );
        assert!(line(&event("", "failed"), &view(80)).contains("  -  create: failed"));
    }

    #[test]
    fn the_wire_format_of_events_is_pinned() {
        insta::assert_snapshot!("wire_events", events_json("shop", &[event("api", "failed")]));
        assert_eq!(
            event_line(&event("", "done")),
            "{\"format_version\":1,\"id\":7,\"at\":\"2027-01-15T07:59:00Z\",\"session\":null,\
             \"kind\":\"create\",\"outcome\":\"done\",\"text\":\"done\\u001b[31m\"}\n"
        );
    }
}
