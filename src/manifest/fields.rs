//! The fields of one session, its own over those of `defaults`. Owns the list of fields, which of them
//! exclude each other, and which reach what kind of session. Reads no value. Invariant: a field that was
//! written where it can do nothing is a problem; one that was inherited there is dropped.

use super::problem::{Code, Problem};
use super::raw::{Entry, Node};
use super::read::Reader;
use super::source::At;

/// All fields of a session, in the order of the reference.
pub const FIELDS: [&str; 30] = [
    "each",
    "agent",
    "command",
    "wrap",
    "prompt",
    "prompt_file",
    "on_prompt_change",
    "model",
    "mode",
    "args",
    "env",
    "env_file",
    "repo",
    "worktree",
    "cwd",
    "branch",
    "base",
    "ports",
    "files",
    "setup",
    "teardown",
    "state",
    "restart",
    "depends_on",
    "ready",
    "stop_after",
    "until",
    "on_change",
    "protect",
    "resume",
];

/// `labels` is the last one; the slots have one more than `FIELDS` names.
const LABELS: usize = FIELDS.len();

/// What only an agent can use.
pub const AGENT_ONLY: [&str; 7] =
    ["prompt", "prompt_file", "on_prompt_change", "model", "mode", "args", "resume"];

/// What only a session with a worktree of its own can use.
pub const WORKTREE_ONLY: [&str; 5] = ["branch", "base", "files", "setup", "until"];

/// All names, for suggestions.
#[must_use]
pub fn names() -> Vec<&'static str> {
    FIELDS.iter().copied().chain(["labels"]).collect()
}

fn slot(name: &str) -> Option<usize> {
    match name {
        "labels" => Some(LABELS),
        name => FIELDS.iter().position(|field| *field == name),
    }
}

/// One field that is set.
#[derive(Debug, Clone, Copy)]
pub struct Field<'n, 'a> {
    /// Its value.
    pub node: &'n Node<'a>,
    /// Where its name stands.
    pub key: At,
    /// Written in the session itself.
    pub own: bool,
    /// The value in `defaults` that lies under it.
    pub under: Option<&'n Node<'a>>,
}

/// The fields of one session.
#[derive(Debug, Clone)]
pub struct Fields<'n, 'a> {
    slots: [Option<Field<'n, 'a>>; LABELS + 1],
}

impl<'n, 'a> Fields<'n, 'a> {
    /// The session's own entries over the defaults.
    #[must_use]
    pub fn new(own: &'n [Entry<'a>], defaults: &'n [Entry<'a>]) -> Self {
        let mut fields = Self { slots: [None; LABELS + 1] };
        for (entries, is_own) in [(defaults, false), (own, true)] {
            for entry in entries {
                let Some(slot) = slot(&entry.key) else { continue };
                let under = fields.slots[slot].map(|field| field.node);
                fields.slots[slot] = (!entry.value.is_null()).then_some(Field {
                    node: &entry.value,
                    key: entry.at,
                    own: is_own,
                    under,
                });
            }
        }
        fields.prefer_own("prompt", "prompt_file");
        fields.prefer_own("agent", "command");
        fields
    }

    /// Of two fields that exclude each other the session's own counts.
    fn prefer_own(&mut self, a: &str, b: &str) {
        let own = |name| self.get(name).is_some_and(|field| field.own);
        match (own(a), own(b)) {
            (true, false) => self.drop(b),
            (false, true) => self.drop(a),
            _ => {}
        }
    }

    /// A field, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Field<'n, 'a>> {
        slot(name).and_then(|slot| self.slots[slot])
    }

    /// A field's value, if it is set.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&'n Node<'a>> {
        self.get(name).map(|field| field.node)
    }

    fn drop(&mut self, name: &str) {
        if let Some(slot) = slot(name) {
            self.slots[slot] = None;
        }
    }

    /// Takes fields out that can do nothing here; those that were written here are problems.
    pub fn refuse(&mut self, names: &[&str], refusal: Refusal, reader: &mut Reader) {
        for name in names {
            if let Some(field) = self.get(name).filter(|field| field.own) {
                let problem =
                    Problem::new(refusal.code(), format!("`{name}` {}", refusal.reason()));
                reader.problem(problem.at(field.key).help(refusal.help()));
            }
            self.drop(name);
        }
    }
}

/// Why fields can do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The session is a shell.
    Shell,
    /// It works in the repository itself.
    Repository,
    /// It works in another's worktree.
    Shared,
}

impl Refusal {
    fn code(self) -> Code {
        match self {
            Self::Shell => Code::AgentOnly,
            Self::Repository | Self::Shared => Code::WorktreeOnly,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Shell => "is for agents, and this session runs a command or a shell",
            Self::Repository => "needs a worktree, and this session has `worktree: false`",
            Self::Shared => "belongs to the session whose worktree this one shares",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Shell => "take it out, or give the session an `agent`",
            Self::Repository => "take it out, or take `worktree: false` out",
            Self::Shared => "write it there",
        }
    }
}
