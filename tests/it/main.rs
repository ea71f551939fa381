//! The one integration binary: the house's own rules, then the real tmux and git in sandboxes.

mod decision_table;
mod examples;
mod fleets;
mod git_add;
mod git_look;
mod git_salvage;
mod git_trash;
mod git_work;
mod house;
mod launch;
mod layers;
mod manifest;
mod manifest_rules;
mod manifest_shown;
mod manifest_values;
mod repo;
mod sandbox;
mod tmux_act;
mod tmux_look;
mod tmux_start;
