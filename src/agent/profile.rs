//! What one kind of agent is: data in the same form as `agents:` in the manifest. Owns the shape of a
//! profile and the built-in ones; does no I/O. Invariant: a resolved profile names the built-in agent at
//! the bottom of its `extends`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::LazyLock;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdKind {
    /// fleetctl, a UUID.
    #[default]
    Uuid,
    /// fleetctl, a name: `<fleet>-<session>-<6 of the uid>-<4 random>`.
    Name,
    /// The agent; it is learned later.
    Agent,
    /// There is none: files of the session's own, named by an id of ours, stand for it.
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
/// `{name}`, `{cwd}`, `{state}` (a directory of the session's own), `{prompt}` (one argument), `{model}`; an
/// element `{options}` marks where mode, model and further arguments go when that is not at the end.
///
/// Flags that pass over a trust dialog are in no profile: trust is a human's choice, never a file's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    /// Arguments of a fresh start that has no prompt to give; empty: those of `start`.
    pub start_without_prompt: Vec<String>,
    /// Arguments of a resume, before those of mode and model.
    pub resume: Vec<String>,
    /// Arguments that give the prompt at a fresh start, last of all; empty: it cannot be given there.
    pub prompt: Vec<String>,
    /// Arguments that choose the model.
    pub model: Vec<String>,
    /// What each mode adds; a mode that is not in here is refused for this agent.
    pub modes: BTreeMap<Mode, ModeFlags>,
    /// Globs of the files of which one exists when the conversation does; placeholders `{id}`, `{id8}`
    /// (its first eight characters), `{slug}` (the directory with every character but letters and digits as `-`;
    /// of more than 200, the first 200 and `-*`), `{state}`, and `$VARIABLE` at the start
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

/// The sources of the built-in profiles, by name.
const SOURCES: [(&str, &str); 7] = [
    ("claude", include_str!("profiles/claude.yaml")),
    ("codex", include_str!("profiles/codex.yaml")),
    ("gemini", include_str!("profiles/gemini.yaml")),
    ("opencode", include_str!("profiles/opencode.yaml")),
    ("copilot", include_str!("profiles/copilot.yaml")),
    ("goose", include_str!("profiles/goose.yaml")),
    ("aider", include_str!("profiles/aider.yaml")),
];

static BUILTINS: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    SOURCES
        .iter()
        .map(|(name, text)| {
            let read: Result<Profile, _> = serde_yaml::from_str(text);
            let profile = read.expect("the sources are part of the program, and a test reads each");
            Profile { name: (*name).to_owned(), builtin: (*name).to_owned(), ..profile }
        })
        .collect()
});

/// The built-in profiles, in the order in which they are told of.
#[must_use]
pub fn builtins() -> &'static [Profile] {
    &BUILTINS
}

/// The built-in profile of this name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Profile> {
    // The names are known without reading a profile: most commands never need one.
    SOURCES.iter().position(|(known, _)| *known == name).map(|at| &BUILTINS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_is_read_and_stamped() {
        let names: Vec<&str> = builtins().iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names, ["claude", "codex", "gemini", "opencode", "copilot", "goose", "aider"]);
        for profile in builtins() {
            assert_eq!(profile.builtin, profile.name);
            assert!(profile.verified.is_some(), "{}", profile.name);
            assert!(!profile.command.is_empty() && !profile.transcript.is_empty());
            assert!(!profile.keys.interrupt.is_empty() && !profile.keys.quit.is_empty());
            assert!(profile.modes.contains_key(&Mode::Yolo), "{}", profile.name);
        }
        assert!(builtin("cursor").is_none());
    }

    #[test]
    fn no_built_in_profile_passes_over_a_trust_dialog() {
        for (name, text) in SOURCES {
            for flag in ["skip-trust", "trust_level", "bypass-hook-trust", "--trust"] {
                assert!(!text.contains(flag), "{name}: {flag}");
            }
        }
    }

    #[test]
    fn copilot_is_left_without_opening_or_answering_a_menu() {
        let copilot = builtin("copilot").unwrap();
        assert_eq!(copilot.keys.interrupt, ["Escape", "C-c"]);
        // What it writes into a conversation no flag of a resume takes back.
        assert!(!copilot.modes[&Mode::Yolo].args.contains(&"--yolo".to_owned()));
    }

    #[test]
    fn codex_never_runs_in_its_daemon() {
        let codex = builtin("codex").unwrap();
        assert_eq!(codex.start[0], "--no-daemon");
        assert_eq!(codex.resume[0], "--no-daemon");
    }

    #[test]
    fn an_unknown_field_of_a_profile_is_an_error() {
        assert!(serde_yaml::from_str::<Profile>("command: x\nresumes: []").is_err());
    }
}
