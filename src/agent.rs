//! Kinds of agents as data, and the command lines made of them. Pure. Invariant: nothing here knows one
//! agent by name; what differs is in the profiles.

pub mod command;
pub mod profile;
