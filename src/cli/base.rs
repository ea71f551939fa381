//! `diff --base`: one manifest against another, where nothing may be trusted and nothing is observed. Owns where
//! the two are read from. Invariant: no program runs, no store is opened, no file outside of the manifest's
//! repository is read, and `fleet.local.yaml` is passed over.

use super::args::{Diff, DiffOutput};
use super::context::Context;
use super::fenced::{Fenced, Yard};
use super::{output, verdict};
use crate::error::{Exit, Failure, Trouble};
use crate::git::{Checkout, RevisionError, Tree, top_of};
use crate::manifest::files::Files;
use crate::manifest::fleet::Fleet;
use crate::manifest::places::Places;
use crate::manifest::source::MAX_BYTES;
use crate::manifest::{self, Input, normal};
use crate::plan::compare::compare;
use crate::render::compare::{Revision, Sides, comparison_text};
use crate::render::github::{comparison_commands, inert, inert_json, problem_commands};
use crate::render::json::compare::comparison_json;
use crate::render::markdown::comparison_markdown;
use std::path::{Path, PathBuf};

/// What a manifest is compared with.
enum Base {
    Revision(String),
    File(PathBuf),
}

/// A manifest and the directory that it may read from.
struct Place {
    /// As it was named, links not followed.
    manifest: PathBuf,
    top: PathBuf,
    in_repository: bool,
}

/// `diff --base`.
///
/// # Errors
/// Usage for an invalid manifest on either side; what keeps a revision from being read.
pub fn diff(context: &Context, base: &str, asked: &Diff) -> Result<Exit, Failure> {
    let head = Place::of(named(context)?);
    let files = head.checkout()?;
    // Reading is most of the work, and the two sides have nothing in common.
    let (to, from) = std::thread::scope(|scope| {
        let from = scope.spawn(|| match kind(context, base) {
            Base::File(file) => of_file(context, &head, file),
            Base::Revision(revision) => of_revision(context, &head, &revision),
        });
        let to = load(context, &head, &files, asked.output);
        (to, from.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let to = to?;
    let (from, sides) = from?;
    let comparison = compare(from.as_ref(), &to);
    let view = context.view(jiff::Timestamp::UNIX_EPOCH);
    output::out(&match asked.output {
        DiffOutput::Text => inert(&comparison_text(&comparison, &sides, &view)),
        DiffOutput::Json => inert_json(&comparison_json(&comparison, &sides)),
        DiffOutput::Markdown => comparison_markdown(&comparison, &sides),
        DiffOutput::Github => {
            output::summarize(context, &comparison_markdown(&comparison, &sides));
            let text = files.read(&head.manifest, MAX_BYTES).unwrap_or_default();
            comparison_commands(&comparison, &sides, &Places::read(&text))
        }
    })?;
    Ok(verdict::of_comparison(&comparison, asked.fail_on))
}

/// What ends like a manifest is a file: were it tried as a revision first, or the other way round, whoever can
/// make files or branches would choose.
fn kind(context: &Context, base: &str) -> Base {
    let is_file = [".yaml", ".yml"].iter().any(|end| base.ends_with(end));
    match is_file {
        true => Base::File(normal(&context.cwd.join(base))),
        false => Base::Revision(base.to_owned()),
    }
}

/// The manifest as it was named, absolute; where it leads is not asked.
fn named(context: &Context) -> Result<PathBuf, Failure> {
    if context.reads_stdin() || context.global.source.is_some() {
        let message =
            "--base compares a manifest in its place, not standard input nor a git source";
        return Err(Failure::new(Exit::Usage, message).with_help("name a file: -f FILE"));
    }
    let given = context.global.file.clone();
    let given = given.or_else(|| context.env.get("FLEETCTL_FILE").map(PathBuf::from));
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
    match given {
        Some(given) => {
            let path = normal(&context.cwd.join(given));
            let is_directory = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
            Ok(if is_directory { path.join("fleet.yaml") } else { path })
        }
        None => {
            let ups = context.cwd.ancestors().map(|up| up.join("fleet.yaml"));
            ups.into_iter().find(is_there).ok_or_else(|| {
                let from = context.cwd.clone();
                Failure::from(Trouble::NoManifest { from, fleets: Vec::new() })
            })
        }
    }
}

impl Place {
    fn of(manifest: PathBuf) -> Self {
        let directory = manifest.parent().unwrap_or(Path::new("/")).to_owned();
        match top_of(&manifest) {
            Some(top) => Self { manifest, top, in_repository: true },
            None => Self { manifest, top: directory, in_repository: false },
        }
    }

    /// Its path below the top.
    fn below(&self) -> &Path {
        self.manifest.strip_prefix(&self.top).unwrap_or(&self.manifest)
    }

    fn checkout(&self) -> Result<Fenced, Failure> {
        let checkout = match self.in_repository {
            false => Checkout::of_directory(&self.top),
            true => Checkout::of_repository(&self.top, self.below()).map_err(unreadable)?,
        };
        Ok(Fenced::new(self.top.clone(), Yard::Checkout(checkout)))
    }
}

fn load(
    context: &Context,
    place: &Place,
    files: &Fenced,
    form: DiffOutput,
) -> Result<Fleet, Failure> {
    let input = Input { path: place.manifest.clone(), home: context.home.clone(), local: false };
    let problems = match manifest::load(&input, files) {
        Ok(fleet) => return Ok(fleet),
        Err(problems) => problems,
    };
    if form == DiffOutput::Github {
        output::out(&problem_commands(&problems.reports(), &place.below().display().to_string()))?;
    }
    let failure = Failure::invalid_manifest(&problems, &context.error_style());
    // It quotes the manifest, and a runner reads standard error too.
    Err(Failure { details: inert(&failure.details), ..failure })
}

fn of_file(
    context: &Context,
    head: &Place,
    file: PathBuf,
) -> Result<(Option<Fleet>, Sides), Failure> {
    let place = Place::of(file);
    let fleet = load(context, &place, &place.checkout()?, DiffOutput::Text)?;
    let view = context.view(jiff::Timestamp::UNIX_EPOCH);
    let sides =
        Sides { base: view.path(&place.manifest), revision: None, head: view.path(&head.manifest) };
    Ok((Some(fleet), sides))
}

fn of_revision(
    context: &Context,
    head: &Place,
    revision: &str,
) -> Result<(Option<Fleet>, Sides), Failure> {
    if !head.in_repository {
        let message = format!(
            "{} is in no git repository, so there is no revision {revision}",
            head.manifest.display()
        );
        let help = "a file to compare with is named so that it ends in .yaml: --base old.yaml";
        return Err(Failure::new(Exit::Usage, message).with_help(help));
    }
    let tree = Tree::open(&head.top, revision).map_err(unreadable)?;
    let commit = tree.commit.clone();
    let files = Fenced::new(head.top.clone(), Yard::Commit(Box::new(tree)));
    let below = head.below().display().to_string();
    let fleet = match files.has(&head.manifest) {
        Ok(false) => None,
        Ok(true) => Some(at_revision(context, head, &files, revision)?),
        Err(error) => {
            let message = format!("{below} at {revision} cannot be read: {error}");
            return Err(Failure::new(Exit::CannotObserve, message).with_help(
                "a partial clone lacks files of older commits: clone without --filter",
            ));
        }
    };
    let revision = Revision { name: revision.to_owned(), commit };
    Ok((fleet, Sides { base: below.clone(), revision: Some(revision), head: below }))
}

/// Its problems are told by the name that `git show` takes.
fn at_revision(
    context: &Context,
    head: &Place,
    files: &Fenced,
    revision: &str,
) -> Result<Fleet, Failure> {
    let input = Input { path: head.manifest.clone(), home: context.home.clone(), local: false };
    manifest::load(&input, files).map_err(|mut problems| {
        for source in &mut problems.sources {
            let below = source.path.strip_prefix(&head.top).unwrap_or(&source.path);
            source.path = format!("{revision}:{}", below.display()).into();
        }
        let message = format!("the manifest at {revision} is invalid: nothing to compare with");
        let failure = Failure::invalid_manifest(&problems, &context.error_style());
        Failure { message, details: inert(&failure.details), ..failure }
    })
}

/// What keeps git2 from a repository or a revision, with a way out.
fn unreadable(error: RevisionError) -> Failure {
    let two_files = "compare two files instead: git show REV:fleet.yaml >/tmp/old.yaml; \
                     fleetctl diff --base /tmp/old.yaml";
    let failure = |exit| Failure::because(exit, &error);
    match &error {
        RevisionError::Unknown { revision, shallow } => {
            let fetch = match revision.split_once('/') {
                Some((remote, branch)) if remote != "refs" => format!("git fetch {remote} {branch}"),
                _ => format!("git fetch origin {revision}"),
            };
            match shallow {
                true => failure(Exit::CannotObserve).with_help(format!(
                    "get it first: {fetch}; in a GitHub workflow: actions/checkout with fetch-depth: 0"
                )),
                false => failure(Exit::Usage).with_help(format!("get it first: {fetch}")),
            }
        }
        RevisionError::Owner { top } => {
            failure(Exit::CannotObserve).with_help(format!(
                "it belongs to another user; if you trust it: git config --global --add safe.directory {}",
                top.display()
            ))
        }
        RevisionError::Repository { .. } | RevisionError::Unreadable { .. } => {
            failure(Exit::CannotObserve).with_help(two_files)
        }
    }
}
