//! What a manifest makes a machine run: the fields that name programs, their arguments or what they may do.
//! Owns which these are. Invariant: nothing that a session starts comes from a field that is not among them.

use super::compare::Comparison;
use super::{Change, ChangeClass};
use crate::manifest::fleet::Session;
use std::collections::BTreeMap;

/// Whether a field of a session says what runs: `command`, `wrap`, `mode`, `agents.mine.args`, `env.PATH`.
#[must_use]
pub fn runs(field: &str) -> bool {
    let named = [
        "agent",
        "command",
        "wrap",
        "args",
        "mode",
        "env_file",
        "setup",
        "teardown",
        "ready.command",
    ];
    let first = field.split('.').next().unwrap_or(field);
    named.contains(&field) || matches!(first, "agents" | "env")
}

/// All fields of a session that differ from their defaults, as if they came all at once.
#[must_use]
pub fn fields_of(session: &Session) -> Vec<Change> {
    let applied = &session.applied;
    let classes = [
        (ChangeClass::Recreate, &applied.recreate),
        (ChangeClass::Restart, &applied.restart),
        (ChangeClass::InPlace, &applied.in_place),
        (ChangeClass::Noted, &applied.noted),
    ];
    let of = |class, values: &BTreeMap<String, String>| {
        let changes = values.iter().map(|(field, value)| Change {
            field: field.clone(),
            from: None,
            to: Some(value.clone()),
            class,
        });
        changes.collect::<Vec<_>>()
    };
    classes.into_iter().flat_map(|(class, values)| of(class, values)).collect()
}

/// What a comparison brings that runs, one line a session: `api: command, mode`. What only goes runs nothing.
#[must_use]
pub fn new_runs(comparison: &Comparison) -> Vec<String> {
    let differs = comparison.sessions.iter().filter_map(|one| {
        let run = one.changes.iter().filter(|change| runs(&change.field));
        let fields: Vec<&str> = run.map(|change| change.field.as_str()).collect();
        (!fields.is_empty()).then(|| format!("{}: {}", one.name, fields.join(", ")))
    });
    differs.collect()
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn what_names_programs_runs_and_what_describes_does_not() {
        for field in
            ["command", "agents.env.command", "agents.x.modes", "env.PATH", "ready.command"]
        {
            assert!(runs(field), "{field}");
        }
        for field in ["prompt", "labels.env", "labels.command", "branch", "model", "ready.port"] {
            assert!(!runs(field), "{field}");
        }
    }
}
