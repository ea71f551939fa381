//! What machines may rely on: the JSON schema of each output, made from the types that it is written with.
//! Invariant: a schema cannot say anything else than what is written.

use super::compare::WireComparison;
use super::events::{WireEventLine, WireEvents};
use super::sessions::WireSessionLine;
use super::{WirePlan, WireProblems, WireSessions, WireTrash};
use crate::render::fleet::WireFleet;
use schemars::generate::{SchemaGenerator, SchemaSettings};

/// An output with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// diff -o json
    Plan,
    /// diff --base -o json
    Comparison,
    /// get sessions, worktrees or holds -o json
    Sessions,
    /// A line of get -w -o json, for a session that is there
    SessionLine,
    /// events -o json
    Events,
    /// A line of events -w -o json
    EventLine,
    /// get trash -o json
    Trash,
    /// get fleet -o json
    Fleet,
    /// validate -o json
    Problems,
}

/// The schema of an output, with a newline at its end.
#[must_use]
pub fn schema(form: Form) -> String {
    let with: fn(SchemaGenerator) -> schemars::Schema = match form {
        Form::Plan => SchemaGenerator::into_root_schema_for::<WirePlan<'static>>,
        Form::Comparison => SchemaGenerator::into_root_schema_for::<WireComparison<'static>>,
        Form::Sessions => SchemaGenerator::into_root_schema_for::<WireSessions<'static>>,
        Form::SessionLine => SchemaGenerator::into_root_schema_for::<WireSessionLine<'static>>,
        Form::Events => SchemaGenerator::into_root_schema_for::<WireEvents<'static>>,
        Form::EventLine => SchemaGenerator::into_root_schema_for::<WireEventLine<'static>>,
        Form::Trash => SchemaGenerator::into_root_schema_for::<WireTrash<'static>>,
        Form::Fleet => SchemaGenerator::into_root_schema_for::<WireFleet<'static>>,
        Form::Problems => SchemaGenerator::into_root_schema_for::<WireProblems<'static>>,
    };
    let schema = with(SchemaSettings::draft2020_12().for_serialize().into_generator());
    super::written(&schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::events::Event;
    use crate::render::fixtures::{everything, records, seen, view};
    use crate::render::json::{event_line, events_json, holds_json, plan_json, problems_json};
    use crate::render::json::{session_line, sessions_json, trash_json};
    use serde_json::Value;

    fn keeps(form: Form, text: &str) {
        let schema: Value = serde_json::from_str(&schema(form)).expect("a schema is JSON");
        let checked = jsonschema::validator_for(&schema).expect("a schema");
        let read: Value = serde_json::from_str(text).expect("JSON");
        let wrong: Vec<String> =
            checked.iter_errors(&read).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{form:?}: {wrong:?}\n{text}");
        // A field less or of another type is seen.
        let mut less = read.clone();
        let first = less.as_object_mut().expect("an object");
        first.remove("format_version");
        assert!(!checked.is_valid(&less) && !checked.is_valid(&Value::Null), "{form:?}");
    }

    #[test]
    fn every_output_keeps_its_schema() {
        keeps(Form::Plan, &plan_json(&everything(), &view(40)));
        keeps(Form::Plan, &plan_json(&seen(), &view(40)));
        keeps(Form::Sessions, &sessions_json(&everything(), &records(), &view(40)));
        keeps(Form::Sessions, &holds_json(&everything(), &records(), &view(40)));
        let plan = everything();
        for entry in &plan.entries {
            keeps(Form::SessionLine, &session_line(&plan, entry, &records(), &view(40)));
        }
        let event = Event {
            id: 7,
            at: jiff::Timestamp::UNIX_EPOCH,
            session: String::new(),
            verb: "restart".into(),
            outcome: "done".into(),
            text: "x".into(),
        };
        keeps(Form::EventLine, &event_line(&event));
        keeps(Form::Events, &events_json("shop", &[event]));
        keeps(Form::Trash, &trash_json(&records().tombstones));
        keeps(Form::Problems, &problems_json(&[]));
    }

    #[test]
    fn the_schemas_are_pinned() {
        for (form, name) in [(Form::Plan, "plan"), (Form::Comparison, "comparison")] {
            insta::assert_snapshot!(format!("schema_{name}"), schema(form));
        }
    }
}
