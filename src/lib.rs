//! `fleetctl`: keeps a fleet of coding-agent sessions the way a checked-in file says it should be.
//!
//! # One pass
//!
//! A manifest becomes a [`manifest::fleet::Fleet`]; a look at tmux, git and the processes becomes a
//! [`snapshot::Snapshot`]; the store gives [`record::Records`]. [`plan::plan`] makes of these three, and of
//! nothing else, a list of steps and holds. [`reconcile`] performs it, and [`cli`] asks, shows and ends with an
//! exit code. Whoever wants to know why something was done or left reads [`plan`]; whoever wants to know how,
//! [`reconcile`] and the drivers.
//!
//! # Map, from the bottom
//!
//! * Plain data: [`name`], [`paths`], [`snapshot`] (what was seen), [`record`] (what is remembered),
//!   [`agent`] (kinds of agents, and their command lines).
//! * Pure decisions: [`manifest`] (text to fleet, or all problems at once) and [`plan`].
//! * Effects: [`process`], [`tmux`], [`git`] and [`store`], none of which knows another; [`launch`], which is
//!   what runs in a pane before its program does; [`private`] and [`causes`], which they share.
//! * The seam: [`world`] observes, answers and performs, as the real machine or as a simulated one.
//! * The pass: [`reconcile`] owns order, journal and the second look.
//! * The edge: [`render`] (words, tables, JSON), [`cli`] and [`error`] (exit codes and help).
//! * For tests: [`failpoint`] kills a run between two effects.
//!
//! A module names only those above it in this list; the drivers also know the acts of the seam.
//!
//! # What holds everywhere
//!
//! * What could not be seen is unknown, never absent, and nothing that hangs on it is ended or moved.
//! * Only what carries our mark *and* has a record or a pending step is acted on; the rest is shown.
//! * An intent is on disk before its first effect. What a killed run began is finished by the next one, or
//!   dropped and planned afresh.
//! * Before anything is stopped, moved or recreated it is looked at once more, and the same step must still be
//!   planned. The drivers check the mark again as they act.
//! * A worktree is never deleted: it goes to the trash with its index, its work is pinned, and `restore` brings
//!   it back. Only `trash empty` deletes.
//! * What a human protects, holds or looks at stays as it is until he says otherwise.
//! * Values of `env` are in no plan, log, event or argument of a process.

pub mod agent;
pub mod causes;
pub mod cli;
pub mod error;
pub mod failpoint;
pub mod git;
pub mod launch;
pub mod manifest;
pub mod name;
pub mod paths;
pub mod plan;
pub mod private;
pub mod process;
pub mod reconcile;
pub mod record;
pub mod render;
pub mod snapshot;
pub mod store;
pub mod tmux;
pub mod world;
