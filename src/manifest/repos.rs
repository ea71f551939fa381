//! `repos:`: the repositories by name, and the one that holds the manifest. Owns their defaults. Invariant:
//! every path is absolute.

use super::fleet::Repo;
use super::ground::Ground;
use super::problem::{Code, Problem};
use super::raw::{Entry, Node};
use super::read::{Here, Reader};
use super::source::At;
use std::time::Duration;

const FIELDS: [&str; 4] = ["path", "base", "worktrees", "fetch"];
const FETCH: Duration = Duration::from_secs(300);

/// The repositories of a manifest.
#[derive(Debug)]
pub struct Repos {
    named: Vec<Named>,
    default: Repo,
}

#[derive(Debug)]
struct Named {
    name: String,
    written: String,
    repo: Repo,
}

/// The repository of a session.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The repository.
    pub repo: Repo,
    /// Its path as written, unless it is the manifest's own.
    pub written: Option<String>,
}

impl Repos {
    /// Reads `repos:`.
    pub fn read(node: Option<&Node>, reader: &mut Reader, ground: &Ground, here: Here) -> Self {
        let own = |path| Repo { path, base: None, worktrees: None, fetch: Some(FETCH) };
        let mut repos = Self { named: Vec::new(), default: own(ground.directory.clone()) };
        let entries = node.and_then(|node| reader.map("repos", node)).unwrap_or_default();
        for entry in entries {
            let named = read_one(entry, reader, ground, here);
            repos.named.extend(named);
        }
        // The manifest's own repository is the entry that the manifest lies in, the deepest of them.
        let holding =
            repos.named.iter().filter(|named| ground.directory.starts_with(&named.repo.path));
        if let Some(named) = holding.max_by_key(|named| named.repo.path.components().count()) {
            repos.default = named.repo.clone();
        }
        repos
    }

    /// The repository of this name, or the manifest's own.
    pub fn choose(&self, name: Option<(&str, At)>, reader: &mut Reader) -> Chosen {
        let default = Chosen { repo: self.default.clone(), written: None };
        let Some((name, at)) = name else { return default };
        match self.named.iter().find(|named| named.name == name) {
            Some(named) if named.repo == self.default => default,
            Some(named) => {
                Chosen { repo: named.repo.clone(), written: Some(named.written.clone()) }
            }
            None => {
                let problem =
                    Problem::new(Code::UnknownRepo, format!("unknown repository `{name}`"));
                let names = self.named.iter().map(|named| named.name.as_str());
                let near = problem.clone().at(at).nearest(name, names);
                reader.problem(match near.help {
                    Some(_) => near,
                    None => problem.at(at).help("repositories are named under `repos`"),
                });
                default
            }
        }
    }
}

fn read_one(entry: &Entry, reader: &mut Reader, ground: &Ground, here: Here) -> Option<Named> {
    let what = |field: &str| format!("repos.{}.{field}", entry.key);
    let fields = reader.map(&format!("repos.{}", entry.key), &entry.value)?;
    reader.unknown_fields("of a repository", fields, &FIELDS);
    let get = |name: &str| {
        let field = fields.iter().find(|field| field.key == name && !field.value.is_null());
        field.map(|field| &field.value)
    };
    let Some(path) = get("path") else {
        let problem = Problem::new(Code::MissingField, format!("`{}` is missing", what("path")));
        reader.problem(
            problem.at(entry.at).help("where the repository lies, such as `path: ../docs`"),
        );
        return None;
    };
    let path = reader.text(&what("path"), path, here)?;
    let base = get("base").and_then(|node| reader.text(&what("base"), node, here));
    let worktrees = get("worktrees").and_then(|node| reader.text(&what("worktrees"), node, here));
    let fetch = match get("fetch") {
        None => Some(FETCH),
        Some(node) if is_word(node, "never") => None,
        Some(node) => reader.duration(&what("fetch"), node, here),
    };
    let repo = Repo {
        path: ground.path(&path.value),
        base: base.map(|base| base.value),
        worktrees: worktrees.map(|text| ground.path(&text.value)),
        fetch,
    };
    Some(Named { name: entry.key.to_string(), written: path.value, repo })
}

/// True if a node is this word.
#[must_use]
pub fn is_word(node: &Node, word: &str) -> bool {
    matches!(&node.kind, super::raw::Kind::Scalar(text, _) if text == word)
}
