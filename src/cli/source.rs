//! A manifest in a git repository elsewhere: `URL#REF:FILE`. Owns which commit of it is in force: the newest that
//! changes nothing that runs on this machine, or that a human trusted. Invariant: nothing is checked out, nothing runs,
//! and a commit that cannot be taken leaves the last one in force.

use super::context::Context;
use super::fenced::{Fenced, Yard};
use super::output;
use crate::error::{Exit, Failure};
use crate::git::{Git, Mark, Mirror, RevisionError, Tree};
use crate::manifest::fleet::{Fleet, Reads};
use crate::manifest::problem::Problems;
use crate::manifest::{self, Input, normal};
use crate::plan::compare::{Comparison, compare};
use crate::plan::runs::new_runs;
use crate::render::compare::runs_text;
use crate::render::words::short;
use crate::snapshot::Commit;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Where a manifest comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    url: String,
    reference: String,
    file: PathBuf,
    /// As it is remembered: `URL#REF:FILE`, a local path absolute.
    pub identity: PathBuf,
    root: Option<PathBuf>,
    mirror: Mirror,
}

/// Why the newest commit is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// It changes what runs.
    Untrusted(Vec<String>),
    /// Its manifest is invalid.
    Invalid(String),
}

/// How a source stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The newest commit that is known.
    pub head: Option<Commit>,
    /// The one in force.
    pub taken: Option<Commit>,
    /// The one that a human trusted.
    pub trusted: Option<Commit>,
    /// All that comes is trusted.
    pub always: bool,
    /// When the remote was last reached.
    pub reached: Option<jiff::Timestamp>,
    /// Why the newest is not in force.
    pub held: Option<Held>,
}

/// What a manifest's name stands for when it is no file: the parts of `URL#REF:FILE`.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (url, rest) = name.rsplit_once('#')?;
    let (reference, file) = rest.split_once(':')?;
    let whole = !url.is_empty() && !reference.is_empty() && !file.is_empty();
    let plain = !reference.starts_with('-') && !url.starts_with('-');
    (whole && plain && Path::new(file).is_relative()).then_some((url, reference, file))
}

impl Source {
    /// The source of this name; `None` for what is a file, or looks like one.
    #[must_use]
    pub fn of(context: &Context, name: &Path) -> Option<Self> {
        if name.is_file() {
            return None;
        }
        let (url, reference, file) = parts(name.to_str()?)?;
        let is_local = !url.contains("://") && !url.split('/').next()?.contains(':');
        let local = is_local.then(|| normal(&context.cwd.join(url)));
        let url = local.as_ref().map_or(url.to_owned(), |path| path.display().to_string());
        let identity = format!("{url}#{reference}:{file}");
        let digest = format!("{:x}", Sha256::digest(&identity));
        let mirror = Mirror::new(context.state.join(".sources").join(&digest[..16]));
        let given = context.global.root.as_ref().map(|root| normal(&context.cwd.join(root)));
        let root = given.or_else(|| mirror.root()).or(local);
        let (reference, file) = (reference.to_owned(), PathBuf::from(file));
        Some(Self { url, reference, file, identity: identity.into(), root, mirror })
    }

    fn root(&self) -> Result<&Path, Failure> {
        self.root.as_deref().ok_or_else(|| {
            let message = format!("where is the working copy of {}?", self.url);
            Failure::new(Exit::Usage, message)
                .with_help("what `path` and `env_file` of the manifest start from: --root DIR")
        })
    }

    /// Brings the newest commit, and takes it where that needs nobody's word. True when another one is in force.
    ///
    /// # Errors
    /// When the remote cannot be reached, or the mirror not be written.
    pub fn fetch(&self, context: &Context) -> Result<bool, Failure> {
        let root = self.root()?;
        let before = self.commit(Mark::Taken)?;
        self.mirror
            .fetch(&Git::new(), (&self.url, &self.reference), root)
            .map_err(|error| Failure::because(Exit::CannotObserve, &error))?;
        self.take(context)?;
        Ok(self.commit(Mark::Taken)? != before)
    }

    /// Takes the newest commit if it may be taken.
    fn take(&self, context: &Context) -> Result<(), Failure> {
        let Some(head) = self.commit(Mark::Head)? else { return Ok(()) };
        if self.held(context)?.is_none() {
            self.mirror.mark(Mark::Taken, &head.id).map_err(unreadable)?;
        }
        Ok(())
    }

    /// Why the newest commit is not to be taken.
    fn held(&self, context: &Context) -> Result<Option<Held>, Failure> {
        let Some(head) = self.commit(Mark::Head)? else { return Ok(None) };
        let fleet = match self.load_at(context, Mark::Head)? {
            Ok(fleet) => fleet,
            Err(problems) => return Ok(Some(Held::Invalid(first(&problems)))),
        };
        let always = self.commit(Mark::Always)?.is_some();
        if always || self.commit(Mark::Trusted)?.as_ref() == Some(&head) {
            return Ok(None);
        }
        let trusted = self.trusted(context)?;
        let runs = new_runs(&compare(trusted.as_ref(), &fleet));
        // Even if nothing of it runs: the first one is a human's to choose.
        Ok((trusted.is_none() || !runs.is_empty()).then_some(Held::Untrusted(runs)))
    }

    fn trusted(&self, context: &Context) -> Result<Option<Fleet>, Failure> {
        match self.commit(Mark::Trusted)? {
            Some(_) => Ok(self.load_at(context, Mark::Trusted)?.ok()),
            None => Ok(None),
        }
    }

    /// The newest commit and what it brings that runs, when it waits for somebody's word.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub fn untrusted(&self, context: &Context) -> Result<Option<(Commit, Comparison)>, Failure> {
        let Some(Held::Untrusted(_)) = self.held(context)? else { return Ok(None) };
        let (head, fleet) = (self.commit(Mark::Head)?, self.load_at(context, Mark::Head)?.ok());
        let trusted = self.trusted(context)?;
        Ok(head.zip(fleet.map(|fleet| compare(trusted.as_ref(), &fleet))))
    }

    /// The fleet of the commit in force.
    ///
    /// # Errors
    /// Refused: no commit was trusted yet. When the mirror cannot be read.
    pub fn load(&self, context: &Context) -> Result<Result<Fleet, Problems>, Failure> {
        let Some(taken) = self.commit(Mark::Taken)? else {
            return Err(self.nothing_taken(context)?);
        };
        let loaded = self.load_at(context, Mark::Taken)?;
        Ok(loaded.map(|fleet| Fleet {
            sources: vec![format!("{} at {}", self.identity.display(), short(&taken.id)).into()],
            reads: Reads::default(),
            ..fleet
        }))
    }

    fn nothing_taken(&self, context: &Context) -> Result<Failure, Failure> {
        let name = self.identity.display();
        let Some(head) = self.commit(Mark::Head)? else {
            let message = format!("{name} was never reached");
            let help = "bring it: fleetctl diff --source URL#REF:FILE";
            return Ok(Failure::new(Exit::CannotObserve, message).with_help(help));
        };
        let Some((head, comparison)) = self.untrusted(context)? else {
            let problems = self.load_at(context, Mark::Head)?.err();
            let because = problems.as_ref().map_or_else(|| short(&head.id).to_owned(), first);
            return Ok(Failure::new(Exit::Usage, format!("{name} has nothing to take: {because}")));
        };
        let view = context.view(jiff::Timestamp::UNIX_EPOCH);
        let message = format!("{} of {name} is not trusted: this would run here", short(&head.id));
        let details = runs_text(&comparison, &view);
        let failure = Failure { details, ..Failure::new(Exit::Refused, message) };
        Ok(failure.with_help(format!("agree to it: {}", self.agree(&head))))
    }

    /// The command that trusts a commit.
    #[must_use]
    pub fn agree(&self, commit: &Commit) -> String {
        format!("fleetctl trust {} --source '{}'", short(&commit.id), self.identity.display())
    }

    fn load_at(&self, context: &Context, mark: Mark) -> Result<Result<Fleet, Problems>, Failure> {
        let root = self.root()?.to_owned();
        let tree = Tree::open(self.mirror.directory(), mark.reference()).map_err(unreadable)?;
        let commit = tree.commit.clone();
        let files = Fenced::new(root.clone(), Yard::Commit(Box::new(tree)));
        let path = normal(&root.join(&self.file));
        let input = Input { path, home: context.home.clone(), local: false };
        Ok(manifest::load(&input, &files).map_err(|mut problems| {
            for source in &mut problems.sources {
                let below = source.path.strip_prefix(&root).unwrap_or(&source.path);
                source.path = format!("{}:{}", short(&commit.id), below.display()).into();
            }
            problems
        }))
    }

    fn commit(&self, mark: Mark) -> Result<Option<Commit>, Failure> {
        self.mirror.commit(mark).map_err(unreadable)
    }

    /// How it stands, as far as the mirror knows.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub fn standing(&self, context: &Context) -> Result<Standing, Failure> {
        let (head, taken) = (self.commit(Mark::Head)?, self.commit(Mark::Taken)?);
        let held = if head == taken { None } else { self.held(context)? };
        Ok(Standing {
            head,
            taken,
            trusted: self.commit(Mark::Trusted)?,
            always: self.commit(Mark::Always)?.is_some(),
            reached: self.mirror.reached(),
            held,
        })
    }

    /// Trusts a commit, and what is the same in all that runs; `always`: whatever comes after it as well. Gives what
    /// is new in what runs.
    ///
    /// # Errors
    /// Usage: there is no such commit, or its manifest is invalid.
    pub fn trust(
        &self,
        context: &Context,
        revision: &str,
        always: bool,
    ) -> Result<(String, Comparison), Failure> {
        let before = self.trusted(context)?;
        let earlier = self.commit(Mark::Trusted)?;
        let id = self.mirror.mark(Mark::Trusted, revision).map_err(unreadable)?;
        let fleet = match self.load_at(context, Mark::Trusted)? {
            Ok(fleet) => fleet,
            Err(problems) => {
                match earlier {
                    Some(earlier) => {
                        self.mirror.mark(Mark::Trusted, &earlier.id).map_err(unreadable)?;
                    }
                    None => self.unmark(Mark::Trusted)?,
                }
                return Err(Failure::invalid_manifest(&problems, &context.error_style()));
            }
        };
        match always {
            true => drop(self.mirror.mark(Mark::Always, revision).map_err(unreadable)?),
            false => self.unmark(Mark::Always)?,
        }
        self.take(context)?;
        Ok((id, compare(before.as_ref(), &fleet)))
    }

    fn unmark(&self, mark: Mark) -> Result<(), Failure> {
        let done = self.mirror.unmark(&Git::new(), mark);
        done.map_err(|error| Failure::because(Exit::Failed, &error))
    }
}

/// The first problem of a manifest, with its place.
fn first(problems: &Problems) -> String {
    let reports = problems.reports();
    let Some(first) = reports.first() else { return "it is invalid".to_owned() };
    match (&first.file, first.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: {}", first.message),
        _ => first.message.clone(),
    }
}

fn unreadable(error: RevisionError) -> Failure {
    match error {
        RevisionError::Unknown { .. } => Failure::because(Exit::Usage, &error),
        _ => Failure::because(Exit::CannotObserve, &error),
    }
}

/// Brings what a git source has anew, for a verb that is about to plan. One that cannot be reached, or whose newest
/// commit is held, is said, and the last one stays in force.
///
/// # Errors
/// When no commit is in force.
pub fn refresh(context: &Context) -> Result<(), Failure> {
    let Some(source) = Source::of(context, &context.manifest()?) else { return Ok(()) };
    if let Err(failure) = source.fetch(context) {
        if source.commit(Mark::Taken)?.is_none() {
            return Err(failure);
        }
        let since = source.mirror.reached().map_or("ever".to_owned(), |at| at.to_string());
        output::warn(&format!(
            "{}; not reached since {since}, going on with what was there",
            failure.message
        ));
    }
    if let Some(line) = said(&source, &source.standing(context)?) {
        output::warn(&line);
    }
    Ok(())
}

/// What is to be said of a newest commit that is not in force.
#[must_use]
pub fn said(source: &Source, standing: &Standing) -> Option<String> {
    let (head, held) = (standing.head.as_ref()?, standing.held.as_ref()?);
    standing.taken.as_ref()?;
    let id = short(&head.id);
    Some(match held {
        Held::Untrusted(runs) => {
            let agree = source.agree(head);
            format!("{id} is held: it changes what runs ({}); agree: {agree}", runs.join(", "))
        }
        Held::Invalid(why) => format!("{id} is held: its manifest is invalid: {why}"),
    })
}
