//! What can be typed to look at a change before it is one: `diff`, `trust`, `schema`. Invariant: as in its parent.

use crate::render::json::schema::Form;
use clap::{Args, ValueEnum};

/// How a plan or a comparison is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DiffOutput {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
    /// For a comment under a pull request
    Markdown,
    /// Annotations of a GitHub workflow; the Markdown goes to $GITHUB_STEP_SUMMARY
    Github,
}

/// `diff`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Signs:
  +  made or started        -  stopped or removed       !  held until somebody lifts it
  ~  changed, or deferred   ·  queued or pending        x  protected
  =  ended, or held by you  ?  could not be seen

Exit codes: 0 no difference, 1 differences, 8 something could not be seen.

With --base, two manifests are compared and nothing else: no tmux, no git program, no hook, no store.
What ends in .yaml or .yml is a file, all else a revision. Of a revision, and of the working tree,
only what git tracks is read, and nothing outside of the repository.

Examples:
  fleetctl diff
  fleetctl diff -o json | jq '.summary'
  fleetctl diff --base origin/main                    what a merge would change
  fleetctl diff --base HEAD^1 -o markdown --fail-on destructive")]
pub struct Diff {
    /// The form of the plan
    #[arg(short, long, value_enum, default_value_t)]
    pub output: DiffOutput,
    /// Compare the manifest with what it is at a revision, or with another file; observe nothing
    #[arg(long, value_name = "REV|FILE.yaml")]
    pub base: Option<String>,
    /// What exits 1
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub fail_on: FailOn,
}

/// What makes `diff` exit 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum FailOn {
    /// Any difference
    #[default]
    Changes,
    /// A worktree that goes, or what kept it from going
    Destructive,
    /// Nothing: differences exit 0
    Never,
}

/// `trust`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
A commit of a git source that changes what runs (command, setup, teardown, wrap, args, env, env_file,
mode, agents) is held until a human agrees to it. One that changes nothing of these is taken by itself.

Examples:
  fleetctl trust                       what waits for your word
  fleetctl trust 9ab12f0
  fleetctl trust 9ab12f0 --always      this one, and all that come after it")]
pub struct Trust {
    /// The commit, or the beginning of its id
    #[arg(value_name = "REV")]
    pub revision: Option<String>,
    /// Whatever comes after it, too
    #[arg(long, requires = "revision")]
    pub always: bool,
}

/// `schema`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  fleetctl schema comparison > comparison.schema.json
  fleetctl diff -o json | check-jsonschema --schemafile <(fleetctl schema plan) -")]
pub struct Schema {
    /// Of which output
    pub form: Form,
}
