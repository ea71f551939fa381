//! What can be typed: verbs, flags, and the forms of their values. Owns every word of `--help`; does nothing.
//! Invariant: what is contradictory does not parse (exit 2), so that no verb has to refuse it.

mod controller;
mod review;
mod values;
mod watch;
mod writing;

pub use controller::{Controller, ControllerVerb, LogForm};
pub use review::{Diff, DiffOutput, FailOn, Schema, Trust};
pub use values::{Label, Period, Restorable, Target};
pub use watch::{Events, LineOutput, State, Wait};

use crate::name::{Run, Uid};
use crate::render::style::Choice;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "\
Exit codes:
  0  all that may be done now is done; diff: no difference
  1  diff: differences; otherwise: it failed
  2  usage, or an invalid manifest
  3  refused before anything was done
  4  partly done
  5  locked by another writer
  6  the plan is stale
  7  a wait ran out of time
  8  something that the answer needs could not be seen

With no verb: the table of sessions, those who need a human first.";

/// Keep a fleet of coding-agent sessions the way fleet.yaml says it should be.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(name = "fleetctl", version, styles = STYLES, after_help = EXIT_CODES)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do; nothing: the table of sessions.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// Flags that every verb takes.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Global {
    /// The manifest, the directory that holds one, or - for standard input (validate and diff)
    #[arg(short, long, global = true, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub file: Option<PathBuf>,
    /// A manifest in a git repository elsewhere: what is at a commit of it is in force
    #[arg(long, global = true, value_name = "URL#REF:FILE", conflicts_with = "file")]
    pub source: Option<String>,
    /// With --source: what `path` and `env_file` of the manifest start from; remembered
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub root: Option<PathBuf>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Choice,
    /// Say more on standard error; twice: every child process (FLEETCTL_LOG beats it)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// The verbs.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Verb {
    /// Check the manifest; needs neither tmux nor git
    Validate(Validate),
    /// Say what apply would do, and do nothing
    Diff(Diff),
    /// Make it so
    Apply(Apply),
    /// Keep it so: converge in a loop until it is told to end
    Controller(Controller),
    /// List sessions, worktrees, holds, or the trash
    Get(Get),
    /// Tell everything that is known of a session
    Describe(Describe),
    /// Tell what happened, and with -w what happens
    Events(Events),
    /// Wait until sessions run, are ready, idle, synced, gone
    Wait(Wait),
    /// Start sessions that ended, were stopped or given up, or lost their worktree
    Start(Start),
    /// End sessions and keep them so; worktree and conversation stay
    Stop(Stop),
    /// End sessions and start them again
    Restart(Restart),
    /// Change nothing about sessions until they are released
    Hold(Hold),
    /// Lift a hold, or what `stop` wished
    Release(Release),
    /// Decommission a session that is no longer in the file, or let go of it
    Rm(Rm),
    /// Bring a session back from the trash
    Restore(Restore),
    /// List or empty the trash
    Trash(Trash),
    /// Be in a session's pane
    Attach(Attach),
    /// Agree to what a commit of a git source runs on this machine
    Trust(Trust),
    /// Print the JSON schema of an output
    Schema(Schema),
    /// Tell the version of this program, of tmux and of git
    Version,
    /// Print a completion script for a shell
    Completion(Completion),
    /// What a pane runs before it becomes the agent
    #[command(name = "__launch", hide = true)]
    Launch(Launch),
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ListOutput {
    /// For people
    #[default]
    Table,
    /// For people with a wide terminal: more columns, nothing cut
    Wide,
    /// For machines
    Json,
    /// A name a line
    Name,
    /// A directory a line
    Path,
}

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PlanOutput {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

/// `validate`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  fleetctl validate
  fleetctl validate -o json -f ci/fleet.yaml
  generate-fleet | fleetctl validate -f -")]
pub struct Validate {
    /// The form of the problems
    #[arg(short, long, value_enum, default_value_t)]
    pub output: PlanOutput,
}

/// `apply`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
On a terminal it asks before it destroys anything. Elsewhere, a plan that destroys is refused
as a whole without --yes (exit 3). Nothing is deleted: what is removed goes to the trash, and
the report names the command that brings it back.

Examples:
  fleetctl apply                   all that the file says
  fleetctl apply api web           these two only
  fleetctl apply -l team=red       those with this label
  fleetctl apply --now web         although web is busy or somebody is attached
  fleetctl apply --dry-run         the same plan, and nothing else")]
pub struct Apply {
    /// Only these sessions; nothing is removed
    #[arg(value_name = "NAME")]
    pub names: Vec<Target>,
    /// Only sessions with this label, key=value; nothing is removed
    #[arg(short = 'l', long = "selector", value_name = "KEY=VALUE")]
    pub selectors: Vec<Label>,
    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with_all = ["yes", "wait"])]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Remove what is gone from the file, under prune: manual too
    #[arg(long, conflicts_with_all = ["names", "selectors"])]
    pub prune: bool,
    /// Do not wait for this session to be idle and detached (may be given more than once)
    #[arg(long, value_name = "NAME")]
    pub now: Vec<Target>,
    /// Wait until nothing is deferred or queued any more
    #[arg(long)]
    pub wait: bool,
    /// How long --wait waits
    #[arg(long, value_name = "DURATION", requires = "wait", default_value = "30m")]
    pub timeout: Period,
    /// Approve that this many sessions are decommissioned or recreated at once
    #[arg(long, value_name = "N")]
    pub max_decommission: Option<usize>,
    /// Take the fleet over from a manifest at another path
    #[arg(long)]
    pub take_over: bool,
    /// Exit 4 also when something is deferred or queued
    #[arg(long)]
    pub strict: bool,
    /// Fetch remote bases first, however young they are
    #[arg(long)]
    pub fetch: bool,
}

/// What `get` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Kind {
    /// The sessions of the fleet
    #[default]
    Sessions,
    /// Where they work
    Worktrees,
    /// What is not done, why, and what lifts it
    Holds,
    /// What was decommissioned and can be restored
    Trash,
    /// The fleet as a whole: manifest, revision, commit, trust
    Fleet,
}

/// `get`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  fleetctl get                       what bare `fleetctl` prints
  fleetctl get holds                 what waits for whom
  fleetctl get sessions -o json
  fleetctl get -w                    and what changes
  cd \"$(fleetctl get worktrees -o path | fzf)\"")]
pub struct Get {
    /// What to list
    #[arg(value_enum, default_value_t)]
    pub kind: Kind,
    /// The form of the list
    #[arg(short, long, value_enum, default_value_t)]
    pub output: ListOutput,
    /// Go on with what changes, until interrupted (sessions; table, wide or json)
    #[arg(short, long)]
    pub watch: bool,
}

/// `describe`
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Describe {
    /// The session
    pub name: Target,
}

/// `start`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  fleetctl start api
  fleetctl start api --new-worktree    check its lost worktree out again")]
pub struct Start {
    /// The sessions
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<Target>,
    /// Start it although it is finished
    #[arg(long, conflicts_with = "new_worktree")]
    pub again: bool,
    /// Make its lost worktree anew; what git kept of the old one goes to the trash
    #[arg(long)]
    pub new_worktree: bool,
}

/// `stop`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
What is busy, waiting or attached is refused (exit 3) and named; --now ends it all the same.

Examples:
  fleetctl stop api -m 'too loud tonight'
  fleetctl stop api web --now")]
pub struct Stop {
    /// The sessions
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<Target>,
    /// Why, for whoever asks later
    #[arg(short = 'm', long = "message", value_name = "WHY")]
    pub why: Option<String>,
    /// Although it is busy, waiting or attached
    #[arg(long)]
    pub now: bool,
}

/// `restart`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  fleetctl restart api               the same worktree, the same conversation
  fleetctl restart api --fresh       the same worktree, a new conversation with the prompt
  fleetctl restart api --recreate    a new worktree; the old one goes to the trash")]
pub struct Restart {
    /// The sessions
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<Target>,
    /// Begin a new conversation
    #[arg(long)]
    pub fresh: bool,
    /// Make worktree and all anew
    #[arg(long, conflicts_with_all = ["fresh", "setup"])]
    pub recreate: bool,
    /// Run setup again first
    #[arg(long)]
    pub setup: bool,
    /// Although it is busy, waiting or attached
    #[arg(long)]
    pub now: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `hold`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  fleetctl hold api -m 'demo at four' --for 2h
  fleetctl hold --all")]
pub struct Hold {
    /// Which sessions
    #[command(flatten)]
    pub which: Which,
    /// Why, for whoever asks later
    #[arg(short = 'm', long = "message", value_name = "WHY")]
    pub why: Option<String>,
    /// For how long; without it until it is released
    #[arg(long = "for", value_name = "DURATION")]
    pub period: Option<Period>,
}

/// `release`
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Release {
    /// Which sessions
    #[command(flatten)]
    pub which: Which,
}

/// Some sessions by name, or all.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(required = true, multiple = true)]
pub struct Which {
    /// The sessions
    #[arg(value_name = "NAME")]
    pub names: Vec<Target>,
    /// All sessions of the fleet
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
}

/// `rm`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
A session that is in the file is refused, with the entry to take out of it. Work at risk is held;
--archive salvages it and moves it to the trash. `fleetctl restore NAME` undoes it.

Examples:
  fleetctl rm old-spike
  fleetctl rm etl --archive     although its worktree has uncommitted work
  fleetctl rm etl --keep        let go of it: worktree and pane stay and are nobody's")]
pub struct Rm {
    /// The session
    pub name: Target,
    /// Although work is at risk: it is salvaged and moved to the trash
    #[arg(long, conflicts_with = "keep")]
    pub archive: bool,
    /// Touch nothing, only forget it
    #[arg(long)]
    pub keep: bool,
    /// Although it is busy, waiting or attached
    #[arg(long, conflicts_with = "keep")]
    pub now: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// `restore`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  fleetctl restore old-spike
  fleetctl restore old-spike@01JCY8Q4M2ZK7W1B6T5R3N9XHD    not the newest of that name")]
pub struct Restore {
    /// The session, and which of those with its name
    #[arg(value_name = "NAME[@UID]")]
    pub what: Restorable,
}

/// `trash`
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Trash {
    /// What to do with it
    #[command(subcommand)]
    pub verb: TrashVerb,
}

/// What to do with the trash.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum TrashVerb {
    /// List what can be restored
    List {
        /// The form of the list
        #[arg(short, long, value_enum, default_value_t)]
        output: ListOutput,
    },
    /// Delete for good, salvaged commits included; the one verb that deletes
    Empty {
        /// Only this session, and which of those with its name
        #[arg(value_name = "NAME[@UID]")]
        what: Option<Restorable>,
        /// Only what has lain there this long
        #[arg(long, value_name = "DURATION")]
        older_than: Option<Period>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// `attach`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Inside tmux the client switches to it; elsewhere it attaches (leave with the prefix and d).")]
pub struct Attach {
    /// The session
    pub name: Target,
}

/// `completion`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  fleetctl completion bash > ~/.local/share/bash-completion/completions/fleetctl
  fleetctl completion zsh > ~/.zfunc/_fleetctl")]
pub struct Completion {
    /// For which shell
    pub shell: clap_complete::Shell,
}

/// `__launch`
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Launch {
    /// Whose run.
    pub uid: Uid,
    /// Which run.
    #[arg(value_parser = values::run)]
    pub run: Run,
}

#[cfg(test)]
mod tests;
