//! The command line: one file a verb or a family of them. Owns streams and exit codes; holds no decision
//! about sessions. Invariant: a verb either returns an exit code of the documented list or a failure that
//! carries one.

pub mod args;
pub mod attach;
pub mod base;
pub mod change;
pub mod context;
pub mod controller;
pub mod converge;
pub mod desk;
pub mod early;
pub mod events;
pub mod fenced;
pub mod guard;
pub mod output;
pub mod poll;
pub mod read;
pub mod service;
pub mod source;
pub mod status;
pub mod supervisor;
pub mod trash;
pub mod trust;
pub mod turn;
pub mod verdict;
pub mod wait;
pub mod watch;
pub mod writing;

use crate::error::{Exit, Failure};
use crate::manifest::files::{Disk, FileError, Files};
use crate::manifest::fleet::Fleet;
use crate::manifest::problem::Problems;
use crate::manifest::{self, Input};
use crate::render::style::Choice;
use args::{Cli, ControllerVerb, TrashVerb, Verb};
use clap::{CommandFactory, Parser, ValueEnum};
use context::{Context, Logging};
use desk::Desk;
use early::Purpose;
use globset::GlobMatcher;
use source::Source;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return help_or_usage(&error),
    };
    let context = match Context::read(cli.global.clone()) {
        Ok(context) => Context { writes: cli.verb.as_ref().is_some_and(Verb::writes), ..context },
        Err(failure) => return fail(&failure, None),
    };
    context.start_logging(Logging::of(cli.verb.as_ref()));
    match dispatch(cli.verb, context.clone()) {
        Ok(exit) => exit.into(),
        Err(failure) => fail(&failure, Some(&context)),
    }
}

fn help_or_usage(error: &clap::Error) -> ExitCode {
    let text = match asked_colour() {
        Some(Choice::Never) => Some(error.render().to_string()),
        Some(Choice::Always) => Some(error.render().ansi().to_string()),
        Some(Choice::Auto) | None => None,
    };
    // A closed pipe is all that can go wrong here, and then nobody listens.
    let printed = match (text, error.use_stderr()) {
        (None, _) => error.print(),
        (Some(text), true) => std::io::stderr().write_all(text.as_bytes()),
        (Some(text), false) => std::io::stdout().write_all(text.as_bytes()),
    };
    tracing::debug!(?printed, "usage");
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

/// The colour that a command line asks for which does not parse.
fn asked_colour() -> Option<Choice> {
    let args: Vec<String> = std::env::args().collect();
    let word = args.iter().enumerate().find_map(|(at, arg)| match arg.strip_prefix("--color=") {
        Some(word) => Some(word),
        None if arg == "--color" => args.get(at + 1).map(String::as_str),
        None => None,
    });
    Choice::from_str(word?, true).ok()
}

fn fail(failure: &Failure, context: Option<&Context>) -> ExitCode {
    let style = context.map_or(crate::render::style::Style::PLAIN, Context::error_style);
    output::say(&failure.render(&style));
    failure.exit.into()
}

fn dispatch(verb: Option<Verb>, context: Context) -> Result<Exit, Failure> {
    if context.reads_stdin() && !matches!(verb, Some(Verb::Validate(_) | Verb::Diff(_))) {
        let message = "standard input is a manifest for diff and validate only";
        return Err(Failure::new(Exit::Usage, message).with_help("name a file: -f FILE"));
    }
    match verb {
        None => read::table(Desk::open_for(context, Purpose::Look)?),
        Some(Verb::Validate(args)) => read::validate(&context, args.output),
        Some(Verb::Schema(args)) => read::schema(args.form),
        Some(Verb::Version) => read::version(),
        Some(Verb::Completion(args)) => {
            let mut text = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "fleetctl", &mut text);
            output::out(&String::from_utf8_lossy(&text))?;
            Ok(Exit::Done)
        }
        Some(Verb::Diff(args)) => match &args.base {
            Some(base) => base::diff(&context, base, &args),
            None => read::diff(fresh(context, Purpose::Look)?, &args),
        },
        Some(Verb::Get(args)) if args.watch => {
            watch::get(Desk::open_for(context, Purpose::Look)?, &args)
        }
        Some(Verb::Wait(args)) => wait::wait(open_for_all(context, &args.names)?, &args),
        Some(Verb::Get(args)) => read::get(Desk::open_for(context, Purpose::Look)?, &args),
        Some(Verb::Describe(args)) => read::describe(open_for(context, &[&args.name])?, &args.name),
        Some(Verb::Events(args)) => events::events(&context, &args),
        Some(Verb::Trust(args)) => trust::trust(&context, &args),
        Some(Verb::Apply(args)) => change::apply(fresh(context, purpose_of(&args))?, &args),
        Some(Verb::Controller(args)) => control(&args, context),
        Some(Verb::Start(args)) => change::start(open_for_all(context, &args.names)?, &args),
        Some(Verb::Stop(args)) => change::stop(open_for_all(context, &args.names)?, &args),
        Some(Verb::Restart(args)) => change::restart(open_for_all(context, &args.names)?, &args),
        Some(Verb::Hold(args)) => change::hold(open_for_all(context, &args.which.names)?, &args),
        Some(Verb::Release(args)) => {
            change::release(open_for_all(context, &args.which.names)?, &args)
        }
        Some(Verb::Rm(args)) => change::rm(open_for(context, &[&args.name])?, &args),
        Some(Verb::Restore(args)) => {
            trash::restore(open_for(context, &[&args.what.target])?, &args.what)
        }
        Some(Verb::Trash(args)) => match args.verb {
            TrashVerb::List { output } => trash::list(Desk::open(context)?, output),
            TrashVerb::Empty { what, older_than, yes } => {
                let asked = trash::Emptying { what, older_than, yes };
                trash::empty(Desk::open(context)?, &asked)
            }
        },
        Some(Verb::Attach(args)) => attach::attach(open_for(context, &[&args.name])?, &args.name),
        Some(Verb::Launch(_)) => {
            Err(Failure::new(Exit::Usage, "__launch is run by panes, not by people"))
        }
    }
}

/// Opens the fleet by its newest manifest, where that comes from elsewhere.
fn fresh(context: Context, purpose: Purpose) -> Result<Desk, Failure> {
    source::refresh(&context)?;
    Desk::open_for(context, purpose)
}

fn control(args: &args::Controller, context: Context) -> Result<Exit, Failure> {
    match args.verb {
        None => controller::run(fresh(context, Purpose::Later)?, args.interval.0),
        Some(ControllerVerb::Install) => service::install(&Desk::open(context)?),
        Some(ControllerVerb::Uninstall) => service::uninstall(&context),
        Some(ControllerVerb::Status { output }) => status::status(&context, output),
    }
}

fn purpose_of(args: &args::Apply) -> Purpose {
    if args.dry_run { Purpose::Look } else { Purpose::Change }
}

fn open_for_all(context: Context, targets: &[args::Target]) -> Result<Desk, Failure> {
    open_for(context, &targets.iter().collect::<Vec<_>>())
}

/// Opens the fleet that the targets name, or the one of the surroundings.
fn open_for(context: Context, targets: &[&args::Target]) -> Result<Desk, Failure> {
    let fleet = targets.iter().find_map(|target| target.fleet.clone());
    let desk = match fleet {
        Some(fleet) => Desk::open(context.for_fleet(&fleet)?)?,
        None => Desk::open(context)?,
    };
    for target in targets {
        if let Some(fleet) = target.fleet.as_ref().filter(|fleet| **fleet != desk.fleet.name) {
            return Err(Failure::new(
                Exit::Usage,
                format!("{target} is of fleet {fleet}, and the manifest is of {}", desk.fleet.name),
            ));
        }
    }
    Ok(desk)
}

/// Loads a manifest, with all its problems rendered when it is invalid.
///
/// # Errors
/// Usage.
pub fn load(context: &Context, manifest: &Path) -> Result<Fleet, Failure> {
    try_load(context, manifest)?
        .map_err(|problems| Failure::invalid_manifest(&problems, &context.error_style()))
}

/// Loads a manifest, or gives its problems.
///
/// # Errors
/// When standard input, asked for with `-f -`, cannot be read.
pub fn try_load(context: &Context, manifest: &Path) -> Result<Result<Fleet, Problems>, Failure> {
    read(context, manifest, manifest::load_without_bad)
}

/// The same, for whoever asks whether it is right: a bad included file is a problem too.
///
/// # Errors
/// As for [`try_load`].
pub fn check(context: &Context, manifest: &Path) -> Result<Result<Fleet, Problems>, Failure> {
    read(context, manifest, manifest::load)
}

fn read(
    context: &Context,
    manifest: &Path,
    load: fn(&Input, &dyn Files) -> Result<Fleet, Problems>,
) -> Result<Result<Fleet, Problems>, Failure> {
    if let Some(source) = Source::of(context, manifest) {
        return source.load(context);
    }
    let local = !context.reads_stdin();
    let input = Input { path: manifest.to_owned(), home: context.home.clone(), local };
    if local {
        return Ok(load(&input, &Disk));
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(STDIN_LIMIT).read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::new(Exit::Usage, format!("standard input cannot be read: {error}"))
    })?;
    Ok(load(&input, &Stdin { path: manifest.to_owned(), bytes }))
}

/// More than a manifest may have, so that a longer one is refused for its length and not cut.
const STDIN_LIMIT: u64 = 5 << 20;

/// The disk, with standard input in the manifest's place.
struct Stdin {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Files for Stdin {
    fn read(&self, path: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        if path != self.path {
            return Disk.read(path, most);
        }
        Ok(self.bytes.clone())
    }

    fn glob(&self, base: &Path, glob: &GlobMatcher) -> Result<Vec<PathBuf>, FileError> {
        Disk.glob(base, glob)
    }
}
