//! The edge: what is typed, and what it comes to. Invariant: no decision about a session is made in here.

pub mod args;
