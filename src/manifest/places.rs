//! The lines of a good manifest: where its sessions and fields stand, for whoever points to them. Owns no rule.
//! Invariant: what is not found is the file's first line.

use super::raw::{self, Care, Entry, Node};
use super::source::Source;
use std::path::Path;

/// Where things stand in one manifest, in lines from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    top: Vec<(String, usize)>,
    sessions: Vec<Session>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    key: String,
    line: usize,
    fields: Vec<(String, usize)>,
}

impl Places {
    /// Reads them from a manifest's bytes; of what does not parse there are none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let (source, _) = Source::read(Path::new(""), 0, bytes);
        let Ok(root) = raw::parse(&source.text, 0, Care::Places) else { return Self::default() };
        let lines = source.lines();
        let place = |entry: &Entry| (entry.key.to_string(), lines.place(entry.at.start as usize).0);
        let all = |node: &Node| node.entries().iter().map(place).collect::<Vec<_>>();
        let sessions = root.entries().iter().find(|entry| entry.key == "sessions");
        let sessions = sessions.map(|entry| entry.value.entries()).unwrap_or_default();
        let sessions = sessions.iter().map(|entry| {
            let (key, line) = place(entry);
            Session { key, line, fields: all(&entry.value) }
        });
        Self { sessions: sessions.collect(), top: all(&root) }
    }

    /// The line of a session's entry, or of the first of these fields that is written in it; of one that is not
    /// there, of `sessions`.
    #[must_use]
    pub fn of_session(&self, name: &str, fields: &[&str]) -> usize {
        let exact = self.sessions.iter().find(|session| session.key == name);
        let found = exact.or_else(|| self.sessions.iter().find(|one| may_make(&one.key, name)));
        let Some(session) = found else { return self.of_top("sessions") };
        let first = |field: &&str| field.split('.').next().unwrap_or_default().to_owned();
        let mut written = fields.iter().filter_map(|field| {
            session.fields.iter().find(|(key, _)| *key == first(field)).map(|(_, line)| *line)
        });
        // A session that came stands where it begins.
        if fields.len() == 1 { written.next().unwrap_or(session.line) } else { session.line }
    }

    /// The line of a field of the top level.
    #[must_use]
    pub fn of_top(&self, field: &str) -> usize {
        let key = field.split(['.', '[']).next().unwrap_or(field);
        self.top.iter().find(|(other, _)| other == key).map_or(1, |(_, line)| *line)
    }
}

/// Whether a key with variables in it may stand for a name.
fn may_make(key: &str, name: &str) -> bool {
    let mut texts = Vec::new();
    let mut rest = key;
    while let Some((text, more)) = rest.split_once("${") {
        texts.push(text);
        rest = more.split_once('}').map_or("", |(_, after)| after);
    }
    let Some((first, others)) = texts.split_first() else { return false };
    let Some(mut left) = name.strip_prefix(first).and_then(|left| left.strip_suffix(rest)) else {
        return false;
    };
    others.iter().all(|text| match left.split_once(text) {
        Some((_, after)) => {
            left = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_fields_are_found_where_they_stand() {
        let text = "version: 1\nfleet: f\nprune: 1m\nsessions:\n  a:\n    command: x\n    env: {A: b}\n  fix-${each.slug}-x:\n    each: [1]\n";
        let places = Places::read(text.as_bytes());
        assert_eq!(places.of_top("prune"), 3);
        assert_eq!(places.of_top("tmux.socket"), 1);
        assert_eq!(places.of_session("a", &[]), 5);
        assert_eq!(places.of_session("a", &["env.A"]), 7);
        assert_eq!(places.of_session("a", &["env.A", "command"]), 5);
        assert_eq!(places.of_session("fix-1-x", &["model"]), 8);
        assert_eq!(places.of_session("gone", &[]), 4);
        assert_eq!(Places::read(b"{").of_session("a", &[]), 1);
    }
}
