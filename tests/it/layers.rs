//! The layer table, enforced: which module may name which, and which may do no I/O at all.

use crate::house::{Source, sources};
use std::collections::BTreeSet;

/// Each layer and the layers that it may name beside itself. The order is that of the architecture.
const LAYERS: &[(&str, &[&str])] = &[
    ("name", &[]),
    ("paths", &["name"]),
    ("snapshot", &["name"]),
    ("record", &["name", "snapshot"]),
    ("agent", &["name", "snapshot", "record", "manifest"]),
    ("manifest", &["name", "snapshot", "record", "agent"]),
    ("plan", &["name", "paths", "snapshot", "record", "agent", "manifest"]),
    (FAILPOINT, &[]),
    ("private", &[]),
    ("causes", &[]),
    ("process", &["name", "snapshot"]),
    (
        "launch",
        &[
            "name", "paths", "snapshot", "record", "agent", "manifest", "process", "private",
            "causes",
        ],
    ),
    ("tmux", DRIVER),
    ("git", DRIVER),
    ("store", DRIVER),
    ("world", EFFECTFUL),
    ("reconcile", EFFECTFUL),
    ("render", &["name", "paths", "snapshot", "record", "agent", "manifest", "plan", "reconcile"]),
];

/// What a driver may name: plain data and the acts of the world, but no other driver.
const DRIVER: &[&str] =
    &["name", "paths", "snapshot", "record", "world", "process", "private", "causes"];

/// Everything below the edge but what prints; `world` itself is below `reconcile`.
const EFFECTFUL: &[&str] = &[
    "name", "paths", "snapshot", "record", "agent", "manifest", "plan", "process", "launch",
    "tmux", "git", "store", "world", "private", "causes",
];

/// Every layer with effects may name it.
const FAILPOINT: &str = "failpoint";

/// They may name everything.
const EDGE: &[&str] = &["cli", "error", "main", "lib"];

/// What a module that only computes must not name.
const EFFECTS: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "Timestamp::now",
    "rusqlite",
    "git2",
    "rustix",
];

/// Modules that only compute.
const PURE: &[&str] = &["name", "paths", "snapshot", "record", "plan", "agent"];

fn layer_of(source: &Source) -> String {
    let first = source.path.components().next().expect("a path under src");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Every module of this crate that the production part of a file names.
fn named_modules(source: &Source) -> BTreeSet<String> {
    let text: String = source.production().collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, found_text) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &text[at + found_text.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(top_of_group(group));
        } else {
            found.insert(first_word(rest));
        }
    }
    found.retain(|name| name.starts_with(|c: char| c.is_lowercase()));
    found
}

/// The first words of `a::b, c::{d, e}, f}`.
fn top_of_group(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut words = vec![first_word(group.trim_start())];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => words.push(first_word(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    words
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn every_module_names_only_the_layers_below_it() {
    let mut broken = Vec::new();
    for source in sources() {
        let layer = layer_of(&source);
        if EDGE.contains(&layer.as_str()) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            broken.push(format!("{}: {layer} is in no layer", source.path.display()));
            continue;
        };
        for named in named_modules(&source) {
            let known = LAYERS.iter().any(|(name, _)| *name == named) || EDGE.contains(&&*named);
            let failpoint = named == FAILPOINT && !PURE.contains(&&*layer);
            if known && named != layer && !failpoint && !allowed.contains(&named.as_str()) {
                broken.push(format!("{}: {layer} names {named}", source.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "layers are broken:\n{}", broken.join("\n"));
}

#[test]
fn what_only_computes_names_no_effect() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&layer_of(source).as_str())) {
        for line in source.production() {
            if let Some(effect) = EFFECTS.iter().find(|effect| line.contains(*effect)) {
                broken.push(format!("{}: {effect} in {}", source.path.display(), line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "effects where none belong:\n{}", broken.join("\n"));
}

#[test]
fn grouped_and_nested_uses_are_both_read() {
    let source = Source {
        path: "plan.rs".into(),
        text: "use crate::{\n    name::{Name, Uid},\n    tmux,\n};\nfn f() { crate::git::x() }\n\
               // crate::store is only talked about\n"
            .to_owned(),
    };
    let expected = ["git", "name", "tmux"].map(str::to_owned);
    assert_eq!(named_modules(&source), BTreeSet::from(expected));
}
