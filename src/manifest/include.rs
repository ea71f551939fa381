//! `include`: further files with sessions. Owns which files these are, what may stand in them, and what becomes of one
//! that is bad. Invariant: a bad file takes its own sessions away and nothing else, and whoever loads so is told which
//! sessions these may be.

use super::files::matcher;
use super::ground::Ground;
use super::problem::{Code, Problem, Problems};
use super::raw::{self, Care, Kind, Node};
use super::read::Reader;
use super::source::Source;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The most files.
pub const MOST: usize = 500;

/// A further file's tree.
#[derive(Debug)]
pub struct Included<'a> {
    /// The file, relative to the manifest.
    pub file: String,
    /// What is in it.
    pub root: Node<'a>,
}

/// A further file that is bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// The file, relative to the manifest.
    pub file: String,
    /// What is wrong with it first.
    pub why: String,
    /// The names of its sessions; `None` when it cannot be told.
    pub names: Option<BTreeSet<String>>,
}

impl Frozen {
    /// True for a session that may be one of its own: by what the text says, or by where it was when it was made.
    #[must_use]
    pub fn holds(&self, name: &str, came_from: Option<&String>) -> bool {
        let named = self.names.as_ref().is_none_or(|names| names.contains(name));
        named || came_from == Some(&self.file)
    }
}

/// The files that the manifest includes, relative to it, in the order of their names. What is wrong with the globs
/// themselves is told by whoever resolves the manifest.
pub fn files(manifest: &Source, ground: &mut Ground) -> Result<Vec<PathBuf>, Problem> {
    if !manifest.text.contains("include") {
        return Ok(Vec::new());
    }
    let Ok(root) = raw::parse(&manifest.text, 0, Care::Places) else { return Ok(Vec::new()) };
    let Some(entry) = root.entries().iter().find(|entry| entry.key == "include") else {
        return Ok(Vec::new());
    };
    let Kind::Seq(globs) = &entry.value.kind else { return Ok(Vec::new()) };
    let mut found = BTreeSet::new();
    for glob in globs {
        let Kind::Scalar(text, _) = &glob.kind else { continue };
        let Ok(matcher) = matcher(text) else { continue };
        let listed = ground.glob(&matcher).map_err(|error| {
            let message = format!("the directory of `include` cannot be listed: {error}");
            Problem::new(Code::FileUnreadable, message).at(glob.at)
        })?;
        found.extend(listed);
    }
    if found.len() > MOST {
        let message = format!("`include` names more than {MOST} files");
        return Err(Problem::new(Code::Limit, message).at(entry.at));
    }
    Ok(found.into_iter().collect())
}

/// Says so for all but sessions.
pub fn check(included: &Included, reader: &mut Reader) {
    let Kind::Map(entries) = &included.root.kind else {
        let message = format!("an included file is a map, not {}", included.root.describe());
        let problem = Problem::new(Code::WrongType, message).at(included.root.at);
        return reader.problem(problem.help("it has `sessions:`, and nothing else"));
    };
    let fields = entries.iter().filter(|entry| !entry.key.starts_with("x-"));
    reader.unknown_fields("of an included file", fields, &["version", "sessions"]);
}

/// The bad one among the included files, when nothing else is wrong.
#[must_use]
pub fn bad(problems: &Problems, first: usize, files: &[String]) -> Vec<Frozen> {
    let index = |problem: &Problem| problem.at.map(|at| usize::from(at.source));
    let all: Option<BTreeSet<usize>> = problems.problems.iter().map(index).collect();
    let Some(all) = all.filter(|all| all.iter().all(|index| *index >= first)) else {
        return Vec::new();
    };
    let reports = problems.reports();
    let frozen = all.into_iter().filter_map(|bad| {
        let (source, file) = (problems.sources.get(bad)?, files.get(bad - first)?);
        let at = problems.problems.iter().position(|problem| index(problem) == Some(bad))?;
        let report = reports.get(at)?;
        let place = report.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let why = format!("{place}{}", report.message);
        Some(Frozen { file: file.clone(), why, names: names(&source.text) })
    });
    frozen.collect()
}

/// The names of a bad file's sessions, when it can be parsed and holds no variables in them.
fn names(text: &str) -> Option<BTreeSet<String>> {
    let root = raw::parse(text, 0, Care::Texts).ok()?;
    let sessions = root.entries().iter().find(|entry| entry.key == "sessions")?;
    let names: BTreeSet<String> =
        sessions.value.entries().iter().map(|entry| entry.key.to_string()).collect();
    let whole = !names.is_empty() && names.iter().all(|name| !name.contains("${"));
    whole.then_some(names)
}
