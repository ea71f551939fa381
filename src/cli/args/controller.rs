//! What can be typed about the controller.

use super::{Period, PlanOutput};
use clap::{Args, Subcommand, ValueEnum};

/// `controller`
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "\
It watches the manifest, tmux and every agent's process, and looks at everything once a minute
besides. Verbs like apply, stop and restart work as ever meanwhile: they take their turn.
SIGHUP: look now. SIGTERM, Ctrl-C: finish the running step and end; the sessions live on.

Examples:
  fleetctl controller
  fleetctl controller --log-format json 2>> controller.log
  fleetctl controller --source https://example.org/fleets#main:shop.yaml --root ~/shop
  fleetctl controller install      a systemd user unit that keeps it running")]
#[command(args_conflicts_with_subcommands = true)]
pub struct Controller {
    /// Nothing: be the controller
    #[command(subcommand)]
    pub verb: Option<ControllerVerb>,
    /// The form of the log on standard error
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub log_format: LogForm,
    /// How often a git source is fetched
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub interval: Period,
}

/// What to do about a controller.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum ControllerVerb {
    /// Write a systemd user unit that keeps a controller of this fleet running
    Install,
    /// Remove that unit
    Uninstall,
    /// Tell whether a controller keeps this fleet, and how it fares (exit 1: none does)
    Status {
        /// The form of the answer
        #[arg(short, long, value_enum, default_value_t)]
        output: PlanOutput,
    },
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogForm {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}
