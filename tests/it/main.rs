//! The one integration binary: the house's own rules, then the real tmux and git in sandboxes.

mod apply_again;
mod apply_agents;
mod apply_change;
mod apply_company;
mod apply_ends;
mod apply_fleets;
mod apply_names;
mod apply_setup;
mod convergence;
mod decision_table;
mod examples;
mod fleets;
mod git_add;
mod git_look;
mod git_salvage;
mod git_trash;
mod git_work;
mod house;
#[cfg(feature = "failpoints")]
mod killed_runs;
#[cfg(feature = "failpoints")]
mod killed_yard;
mod launch;
mod layers;
mod manifest;
mod manifest_rules;
mod manifest_shown;
mod manifest_values;
mod planner;
mod repo;
mod retire_parting;
mod retire_ways;
mod retire_work;
mod retire_yard;
mod sandbox;
mod stage;
mod tmux_act;
mod tmux_look;
mod tmux_start;
mod worlds;
