//! Trees before they are understood: `fleet.local.yaml` laid over the manifest, and the keys that YAML
//! itself would let pass. Owns the merge; knows of fields only which exclude each other. Invariant: a merged
//! node keeps its own place, so a problem points into the file that the value came from.

use super::problem::{Code, Problem};
use super::raw::{Entry, Kind, Node};
use super::read::Reader;
use super::source::At;
use std::collections::{HashMap, HashSet};

/// Pairs of which the overlay's takes the other's place.
const INSTEAD: [(&str, &str); 2] = [("prompt", "prompt_file"), ("agent", "command")];

/// Where in a manifest a map stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    Sessions,
    /// Other things by name: repositories, profiles.
    Named,
    /// The fields of a session, or the defaults of all.
    Session,
    Below,
}

impl Level {
    fn under(self, key: &str) -> Self {
        match (self, key) {
            (Self::Top, "sessions") => Self::Sessions,
            (Self::Top, "repos" | "agents") => Self::Named,
            (Self::Top, "defaults") | (Self::Sessions, _) => Self::Session,
            _ => Self::Below,
        }
    }

    /// `null` takes the whole entry out; further down it stays, as unset.
    fn takes_out(self) -> bool {
        matches!(self, Self::Top | Self::Sessions | Self::Named)
    }
}

/// Lays a tree over another: maps merge, lists and scalars replace, `null` unsets.
pub fn lay_over<'a>(base: &mut Node<'a>, over: Node<'a>) {
    lay(base, over, Level::Top);
}

fn lay<'a>(base: &mut Node<'a>, over: Node<'a>, level: Level) {
    let (Kind::Map(entries), Kind::Map(more)) = (&mut base.kind, &over.kind) else {
        *base = over;
        return;
    };
    if level == Level::Session {
        replace_pairs(entries, more);
    }
    let Kind::Map(more) = over.kind else { return };
    let mut index: HashMap<String, usize> =
        entries.iter().enumerate().map(|(at, entry)| (entry.key.to_string(), at)).collect();
    let mut gone = HashSet::new();
    for entry in more {
        match index.get(entry.key.as_ref()) {
            Some(at) if level.takes_out() && entry.value.is_null() => {
                gone.insert(*at);
            }
            Some(at) => lay(&mut entries[*at].value, entry.value, level.under(&entry.key)),
            None if level.takes_out() && entry.value.is_null() => {}
            None => {
                index.insert(entry.key.to_string(), entries.len());
                entries.push(entry);
            }
        }
    }
    let mut at = 0;
    entries.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
}

fn replace_pairs(entries: &mut Vec<Entry>, more: &[Entry]) {
    let has = |name: &str| more.iter().any(|entry| entry.key == name);
    for (a, b) in INSTEAD {
        if has(a) != has(b) {
            let other = if has(a) { b } else { a };
            entries.retain(|entry| entry.key != other);
        }
    }
}

/// Collects each key that stands twice in its map, and each `<<`, and takes them out of the tree, so that
/// nothing else is said about them.
pub fn take_bad_keys(node: &mut Node, reader: &mut Reader) {
    match &mut node.kind {
        Kind::Map(entries) => {
            let bad = check_map(entries, reader);
            if !bad.is_empty() {
                entries.retain(|entry| !bad.contains(&entry.at));
            }
            entries.iter_mut().for_each(|entry| take_bad_keys(&mut entry.value, reader));
        }
        Kind::Seq(items) => items.iter_mut().for_each(|item| take_bad_keys(item, reader)),
        Kind::Scalar(..) => {}
    }
}

fn check_map(entries: &[Entry], reader: &mut Reader) -> Vec<At> {
    let mut bad = Vec::new();
    let mut seen: HashMap<&str, At> = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        if entry.key == "<<" {
            let problem = Problem::new(Code::YamlMerge, "`<<` is not part of YAML 1.2")
                .at(entry.at)
                .help("use `defaults` for sessions and `extends` for agents");
            reader.problem(problem);
            bad.push(entry.at);
            continue;
        }
        // Most maps are small: looking back is quicker than a table.
        let first = if entries.len() <= 12 {
            entries[..at].iter().find(|other| other.key == entry.key).map(|other| other.at)
        } else {
            seen.insert(&entry.key, entry.at)
        };
        if let Some(first) = first {
            let problem =
                Problem::new(Code::YamlDuplicateKey, format!("`{}` stands here twice", entry.key))
                    .at(entry.at)
                    .label("again")
                    .also(first, "first")
                    .help("take one of them out");
            reader.problem(problem);
            bad.push(entry.at);
        }
    }
    bad
}

/// The places of all values under `env`.
pub fn secret_places(node: &Node, under_env: bool, places: &mut Vec<At>) {
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                secret_places(&entry.value, under_env || entry.key == "env", places);
            }
        }
        Kind::Seq(items) => items.iter().for_each(|item| secret_places(item, under_env, places)),
        Kind::Scalar(..) if under_env => places.push(node.at),
        Kind::Scalar(..) => {}
    }
}
