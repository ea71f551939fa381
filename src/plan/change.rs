//! What the file changes of a session: its values against those in force. Invariant: a field that only
//! moved to another class, with the same value, is no change.

use super::{Change, ChangeClass};
use crate::manifest::fleet::{OnPromptChange, Session};
use crate::record::{Applied, Record};
use std::collections::BTreeMap;

type Fields<'a> = BTreeMap<&'a str, (ChangeClass, &'a str)>;

/// The changes of one session.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// All of them, by class, then by field.
    pub(super) list: Vec<Change>,
    /// The prompt changed and is to begin a new conversation.
    pub(super) new_prompt: bool,
}

impl Changes {
    /// Compares the file with what is in force. `same_owner` tells that a worktree's owner only has another
    /// name now.
    pub(super) fn of(
        session: &Session,
        record: &Record,
        same_owner: impl Fn(&str, &str) -> bool,
    ) -> Self {
        let list = between(&record.applied, &session.applied, same_owner);
        let new_prompt = session.on_prompt_change == OnPromptChange::Restart
            && list.iter().any(|change| matches!(change.field.as_str(), "prompt" | "prompt_file"));
        Self { list, new_prompt }
    }

    /// True when one of this class is among them.
    pub(super) fn any(&self, class: ChangeClass) -> bool {
        self.list.iter().any(|change| change.class == class)
    }

    /// True when something is to be taken over without a start.
    pub(super) fn updates(&self) -> bool {
        self.any(ChangeClass::InPlace) || self.any(ChangeClass::Noted)
    }
}

/// What differs between two sets of values, by class, then by field.
pub(super) fn between(
    from: &Applied,
    to: &Applied,
    same_owner: impl Fn(&str, &str) -> bool,
) -> Vec<Change> {
    let (old, new) = (fields(from), fields(to));
    let mut list = Vec::new();
    for (field, (class, from)) in &old {
        let to = new.get(field);
        if to.is_none_or(|(_, to)| to != from) {
            let class = to.map_or(*class, |(class, _)| *class);
            list.push(change(field, class, (Some(from), to.map(|(_, to)| *to))));
        }
    }
    for (field, (class, to)) in new.iter().filter(|(field, _)| !old.contains_key(*field)) {
        list.push(change(field, *class, (None, Some(to))));
    }
    list.retain(|change| match (change.field.as_str(), &change.from, &change.to) {
        ("worktree", Some(from), Some(to)) => !same_owner(from, to),
        _ => true,
    });
    let other_agent = from.builtin != to.builtin;
    if other_agent && !list.iter().any(|change| change.class <= ChangeClass::Restart) {
        let builtins = (from.builtin.as_deref(), to.builtin.as_deref());
        list.push(change("agent", ChangeClass::Restart, builtins));
    }
    list.sort_by(|a, b| (a.class, &a.field).cmp(&(b.class, &b.field)));
    list
}

fn change(field: &str, class: ChangeClass, (from, to): (Option<&str>, Option<&str>)) -> Change {
    Change { field: field.into(), from: from.map(Into::into), to: to.map(Into::into), class }
}

fn fields(applied: &Applied) -> Fields<'_> {
    let classes = [
        (ChangeClass::Noted, &applied.noted),
        (ChangeClass::InPlace, &applied.in_place),
        (ChangeClass::Restart, &applied.restart),
        (ChangeClass::Recreate, &applied.recreate),
    ];
    let mut fields = Fields::new();
    for (class, map) in classes {
        fields.extend(map.iter().map(|(field, value)| (field.as_str(), (class, value.as_str()))));
    }
    fields
}
