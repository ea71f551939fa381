//! `fleetctl`: keeps a fleet of coding-agent sessions the way a checked-in file says it should be.

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
