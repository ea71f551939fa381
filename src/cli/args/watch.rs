//! What can be typed after the verbs that watch and wait. Invariant: none of them changes anything.

use super::{Label, Period, Target};
use clap::{Args, ValueEnum};

/// How what happens is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LineOutput {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

/// `events`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
Examples:
  fleetctl events --for api
  fleetctl events -w
  fleetctl events -w -n 0 -o json | jq --unbuffered 'select(.outcome == \"failed\")'")]
pub struct Events {
    /// Go on with what happens, until interrupted
    #[arg(short, long)]
    pub watch: bool,
    /// Only of this session
    #[arg(long = "for", value_name = "NAME")]
    pub session: Option<Target>,
    /// The last N of what happened
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub last: u32,
    /// The form of the events; with -w one JSON object a line
    #[arg(short, long, value_enum, default_value_t)]
    pub output: LineOutput,
}

/// A state that `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// As the file says
    Synced,
    /// Its process runs
    Running,
    /// What its `ready` asks for was seen; without `ready`: it runs
    Ready,
    /// Its agent has nothing to do, or its shell runs no program
    Idle,
    /// Its agent waits for its human
    Waiting,
    /// It does not run, and should not
    Stopped,
    /// Its program ended with 0
    Completed,
    /// Its work is done, as `until` has it
    Finished,
    /// There is no such session any more
    Gone,
}

/// `wait`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
It only looks: a controller, or an apply, does what it waits for. Of several states any is enough; of
several sessions all must come to one, or with --any one of them.

Exit codes: 0 reached, 1 out of reach (an end stands, a human stopped it), 2 no such session,
7 the time is over, 8 what it takes could not be seen until then.

Examples:
  fleetctl wait --for synced                      the whole fleet
  fleetctl wait api web --for ready --timeout 2m
  fleetctl wait -l team=red --for idle,waiting --any
  fleetctl wait old-spike --for gone")]
pub struct Wait {
    /// The sessions; without names and labels all of them
    #[arg(value_name = "NAME")]
    pub names: Vec<Target>,
    /// Sessions with this label, key=value
    #[arg(short = 'l', long = "selector", value_name = "KEY=VALUE")]
    pub selectors: Vec<Label>,
    /// The states, any of which is enough
    #[arg(long = "for", value_enum, value_delimiter = ',', required = true, value_name = "STATE")]
    pub states: Vec<State>,
    /// One of the sessions is enough
    #[arg(long)]
    pub any: bool,
    /// How long it waits
    #[arg(long, value_name = "DURATION", default_value = "30m")]
    pub timeout: Period,
}
