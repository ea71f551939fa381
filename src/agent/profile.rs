//! What one kind of agent is: data in the same form as `agents:` in the manifest. Owns the shape of a
//! profile and the built-in ones; does no I/O. Invariant: a resolved profile names the built-in agent at
//! the bottom of its `extends`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A permission mode, the same words for every agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every action is asked for.
    Ask,
    /// Edits are free, commands are asked for.
    Edits,
    /// The agent's own judgement.
    Auto,
    /// Reading and planning only.
    Plan,
    /// Everything is free.
    Yolo,
}

/// Who chooses a conversation's id, and what kind of id it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdKind {
    /// fleetctl, a UUID.
    Uuid,
    /// fleetctl, a name: `<fleet>-<session>-<6 of the uid>`.
    Name,
    /// The agent; it is learned later.
    Agent,
    /// There is none: files of the session's own stand for it.
    None,
}

/// What a permission mode adds to the launch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModeFlags {
    /// Arguments.
    pub args: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
}

/// The keys that a human would press, as tmux names them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Interrupt the running turn.
    pub interrupt: Vec<String>,
    /// Leave, when idle.
    pub quit: Vec<String>,
}

/// How to launch, resume and stop one kind of agent. Placeholders in the argument lists: `{id}`,
/// `{name}`, `{cwd}`, `{state}` (a directory of the session's own), `{prompt}` (one argument), `{model}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The name in the manifest: `claude`, `reviewer`.
    pub name: String,
    /// The built-in agent at the bottom.
    pub builtin: String,
    /// The version that the built-in profile was verified on.
    pub verified: Option<String>,
    /// The program.
    pub command: String,
    /// Whose the conversation's id is.
    pub id: IdKind,
    /// Arguments of a fresh start, before those of mode, model and prompt.
    pub start: Vec<String>,
    /// Arguments of a resume, before those of mode and model.
    pub resume: Vec<String>,
    /// Arguments that give the prompt at a fresh start, last of all; empty: it cannot be given there.
    pub prompt: Vec<String>,
    /// Arguments that choose the model.
    pub model: Vec<String>,
    /// What each mode adds; a mode that is not in here is refused for this agent.
    pub modes: BTreeMap<Mode, ModeFlags>,
    /// Globs of the files of which one exists when the conversation does; placeholders `{id}`, `{slug}` (the
    /// directory with every character but letters and digits as `-`), `{state}`, and `$VARIABLE` at the start
    /// with `${VARIABLE:-default}`.
    pub transcript: Vec<String>,
    /// Its keys.
    pub keys: Keys,
    /// Environment variables that must not reach it.
    pub unset: Vec<String>,
    /// The profile's own defaults, from `agents:`: model.
    pub default_model: Option<String>,
    /// The profile's own defaults, from `agents:`: mode.
    pub default_mode: Option<Mode>,
    /// Further arguments, from `agents:`.
    pub args: Vec<String>,
}
