//! From text to a [`fleet::Fleet`], or to all problems at once. Owns the format of `fleet.yaml`. Reads only
//! what its caller hands it through [`files::Files`]. Invariant: a manifest with a problem gives no fleet at
//! all, so nothing is ever done by half of a file.
//!
//! ```text
//! bytes ─ source ─→ text ─ raw ─→ tree ─ overlay ─→ one tree ─ resolve ─→ sessions ─ check ─→ Fleet
//! ```

pub mod applied;
mod check;
mod each;
mod ends;
mod fields;
pub mod files;
pub mod fleet;
mod ground;
pub mod include;
mod locate;
mod mask;
mod needs;
mod overlay;
pub mod peek;
pub mod places;
pub mod ports;
pub mod problem;
mod profiles;
mod raw;
mod read;
mod repos;
mod resolve;
mod session;
mod show;
pub mod source;
pub mod template;
mod values;

use files::{FileError, Files};
use fleet::{Fleet, Reads};
use ground::Ground;
use include::{Frozen, Included};
use problem::{Code, Problem, Problems};
use raw::{Care, Node};
use read::Reader;
use source::{At, MAX_BYTES, Source};
use std::path::{Path, PathBuf};

pub use ground::normal;
pub use show::Style;

/// Which manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its absolute, canonical path; relative paths in it start from its directory.
    pub path: PathBuf,
    /// What `~` stands for.
    pub home: PathBuf,
    /// Lay `fleet.local.yaml` over it, if there is one beside it.
    pub local: bool,
}

/// Reads a manifest and all that it brings in.
///
/// # Errors
/// All problems, in the order of the files.
pub fn load(input: &Input, files: &dyn Files) -> Result<Fleet, Problems> {
    attempt(input, files, &[]).map_err(|failed| failed.problems)
}

/// The same, but that a bad included file is left out, and said to be: the fleet's `frozen`.
///
/// # Errors
/// All problems, as soon as one is of the manifest itself.
pub fn load_without_bad(input: &Input, files: &dyn Files) -> Result<Fleet, Problems> {
    let mut frozen: Vec<Frozen> = Vec::new();
    let mut missed = Reads::default();
    loop {
        match attempt(input, files, &frozen) {
            Ok(mut fleet) => {
                fleet.reads.files.extend(missed.files);
                fleet.reads.directories.extend(missed.directories);
                return Ok(Fleet { frozen, ..fleet });
            }
            Err(failed) => {
                let bad = include::bad(&failed.problems, failed.first, &failed.included);
                if bad.is_empty() {
                    return Err(failed.problems);
                }
                frozen.extend(bad);
                missed.files.extend(failed.problems.reads.files);
                missed.directories.extend(failed.problems.reads.directories);
            }
        }
    }
}

/// Problems, and which of the files were included.
struct Failed {
    problems: Problems,
    first: usize,
    included: Vec<String>,
}

/// What was read.
#[derive(Default)]
struct Texts {
    sources: Vec<Source>,
    problems: Vec<Problem>,
    /// The index of the first included file, and all of them.
    first: usize,
    included: Vec<String>,
}

fn attempt(input: &Input, files: &dyn Files, without: &[Frozen]) -> Result<Fleet, Box<Failed>> {
    let mut ground = Ground::new(&input.path, &input.home, files);
    let mut texts = read_sources(input, files, &mut ground);
    read_included(&mut texts, files, &mut ground, without);
    let Texts { sources, problems, first, included } = texts;
    let mut reader = Reader::new(&sources);
    let mut masks = Vec::new();
    if problems.is_empty() {
        let parts = (first, included.as_slice());
        let fleet = resolve(&mut reader, &mut ground, Care::Texts, (parts, &mut masks));
        if let Some(mut fleet) = fleet.filter(|_| reader.out.is_empty()) {
            fleet.sources = sources.iter().map(|source| source.path.clone()).collect();
            (fleet.digest, fleet.reads) = ground.finish();
            return Ok(fleet);
        }
        // Places cost a second walk of the text: only who has problems pays for it.
        reader = Reader::new(&sources);
        masks.clear();
        resolve(&mut reader, &mut ground, Care::Places, (parts, &mut masks));
    }
    problems.into_iter().for_each(|problem| reader.problem(problem));
    let out = std::mem::take(&mut reader.out);
    let (_, reads) = ground.finish();
    let problems = Problems { reads, ..out.finish(sources, masks) };
    Err(Box::new(Failed { problems, first, included }))
}

/// The overlay's path: `fleet.local.yaml` for `fleet.yaml`.
#[must_use]
pub fn local_path(manifest: &Path) -> PathBuf {
    let mut name = manifest.file_stem().unwrap_or_default().to_owned();
    name.push(".local.");
    name.push(manifest.extension().unwrap_or("yaml".as_ref()));
    manifest.with_file_name(name)
}

fn read_sources(input: &Input, files: &dyn Files, ground: &mut Ground) -> Texts {
    let mut sources = Vec::new();
    let mut problems = Vec::new();
    let paths = [Some(input.path.clone()), input.local.then(|| local_path(&input.path))];
    for (index, path) in (0_u16..).zip(paths.into_iter().flatten()) {
        ground.reads(&path);
        let bytes = match files.read(&path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(FileError::Missing) if index > 0 => continue,
            Err(error) => {
                problems.push(unreadable(&path, &error));
                continue;
            }
        };
        ground.digest(if index == 0 { "manifest" } else { "local" }, &bytes);
        let (source, problem) = Source::read(&path, index, &bytes);
        sources.push(source);
        problems.extend(problem);
    }
    let first = sources.len();
    Texts { sources, problems, first, included: Vec::new() }
}

/// Reads what the manifest includes, but for files that are known to be bad.
fn read_included(texts: &mut Texts, files: &dyn Files, ground: &mut Ground, without: &[Frozen]) {
    let Some(manifest) = texts.sources.first().filter(|_| texts.problems.is_empty()) else {
        return;
    };
    let found = match include::files(manifest, ground) {
        Ok(found) => found,
        Err(problem) => return texts.problems.push(problem),
    };
    for below in found {
        let file = below.display().to_string();
        if without.iter().any(|frozen| frozen.file == file) {
            ground.digest("frozen", file.as_bytes());
            continue;
        }
        let path = ground.directory.join(&below);
        ground.reads(&path);
        let index = u16::try_from(texts.sources.len()).unwrap_or(u16::MAX);
        let (bytes, unread) = match files.read(&path, MAX_BYTES) {
            Ok(bytes) => (bytes, None),
            Err(error) => (Vec::new(), Some(unreadable(&path, &error).at(At::new(index, 0, 0)))),
        };
        ground.digest(&file, &bytes);
        let (source, problem) = Source::read(&path, index, &bytes);
        texts.problems.extend(unread.or(problem.map(|problem| match problem.at {
            Some(_) => problem,
            None => problem.at(At::new(index, 0, 0)),
        })));
        texts.sources.push(source);
        texts.included.push(file);
    }
}

fn unreadable(path: &Path, error: &FileError) -> Problem {
    let why = match error {
        FileError::Unreadable(source) => format!("{error}: {source}"),
        FileError::Large => "it is larger than 4 MiB".to_owned(),
        error => error.to_string(),
    };
    Problem::new(Code::FileUnreadable, format!("no manifest at {}: {why}", path.display()))
}

fn resolve(
    reader: &mut Reader,
    ground: &mut Ground,
    care: Care,
    ((first, included), masks): ((usize, &[String]), &mut Vec<At>),
) -> Option<Fleet> {
    let sources = reader.sources;
    let mut trees: Vec<Node> = Vec::with_capacity(sources.len());
    let mut parsed = vec![false; sources.len()];
    for (index, source) in (0_u16..).zip(sources) {
        match raw::parse(&source.text, index, care) {
            Ok(tree) => {
                parsed[usize::from(index)] = true;
                trees.push(tree);
            }
            Err(error) => reader.problem(locate::problem(source, index, &error)),
        }
    }
    for tree in &mut trees {
        overlay::take_bad_keys(tree, reader);
    }
    let whole = parsed.iter().all(|parsed| *parsed);
    let own = parsed[..first].iter().filter(|parsed| **parsed).count();
    let mut trees = trees.into_iter();
    let mut root = trees.next().filter(|_| own > 0)?;
    for over in trees.by_ref().take(own - 1) {
        // An empty overlay lays nothing over.
        if !over.entries().is_empty() || matches!(over.kind, raw::Kind::Seq(_)) {
            overlay::lay_over(&mut root, over);
        }
    }
    let included =
        included.iter().zip(trees).map(|(file, root)| Included { file: file.clone(), root });
    let included: Vec<Included> = included.collect();
    let fleet = if whole { resolve::fleet(&root, &included, reader, ground) } else { None };
    if !reader.out.is_empty() {
        overlay::secret_places(&root, false, masks);
        included.iter().for_each(|one| overlay::secret_places(&one.root, false, masks));
    }
    fleet
}
