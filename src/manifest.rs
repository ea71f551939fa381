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
use fleet::Fleet;
use ground::Ground;
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
    let mut ground = Ground::new(&input.path, &input.home, files);
    let (sources, problems) = read_sources(input, files, &mut ground);
    let mut reader = Reader::new(&sources);
    let mut masks = Vec::new();
    if problems.is_empty() {
        let fleet = resolve(&mut reader, &mut ground, Care::Texts, &mut masks);
        if let Some(mut fleet) = fleet.filter(|_| reader.out.is_empty()) {
            fleet.sources = sources.iter().map(|source| source.path.clone()).collect();
            (fleet.digest, fleet.reads) = ground.finish();
            return Ok(fleet);
        }
        // Places cost a second walk of the text: only who has problems pays for it.
        reader = Reader::new(&sources);
        masks.clear();
        resolve(&mut reader, &mut ground, Care::Places, &mut masks);
    }
    problems.into_iter().for_each(|problem| reader.problem(problem));
    let out = std::mem::take(&mut reader.out);
    let (_, reads) = ground.finish();
    Err(Problems { reads, ..out.finish(sources, masks) })
}

/// The overlay's path: `fleet.local.yaml` for `fleet.yaml`.
#[must_use]
pub fn local_path(manifest: &Path) -> PathBuf {
    let mut name = manifest.file_stem().unwrap_or_default().to_owned();
    name.push(".local.");
    name.push(manifest.extension().unwrap_or("yaml".as_ref()));
    manifest.with_file_name(name)
}

fn read_sources(
    input: &Input,
    files: &dyn Files,
    ground: &mut Ground,
) -> (Vec<Source>, Vec<Problem>) {
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
    (sources, problems)
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
    masks: &mut Vec<At>,
) -> Option<Fleet> {
    let sources = reader.sources;
    let mut trees: Vec<Node> = Vec::with_capacity(sources.len());
    for (index, source) in (0_u16..).zip(sources) {
        match raw::parse(&source.text, index, care) {
            Ok(tree) => trees.push(tree),
            Err(error) => reader.problem(locate::problem(source, index, &error)),
        }
    }
    for tree in &mut trees {
        overlay::take_bad_keys(tree, reader);
    }
    let whole = trees.len() == sources.len();
    let mut trees = trees.into_iter();
    let mut root = trees.next()?;
    for over in trees {
        // An empty overlay lays nothing over.
        if !over.entries().is_empty() || matches!(over.kind, raw::Kind::Seq(_)) {
            overlay::lay_over(&mut root, over);
        }
    }
    let fleet = if whole { resolve::fleet(&root, reader, ground) } else { None };
    if !reader.out.is_empty() {
        overlay::secret_places(&root, false, masks);
    }
    fleet
}
