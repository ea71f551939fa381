//! The values of single session fields. Owns the forms that a field may have and what is checked about one
//! value alone. Invariant: no value that is given out breaks a limit that the launch relies on.

use super::fleet::{Commands, Files, OnPromptChange, Program};
use super::ports;
use super::problem::{Code, Problem};
use super::profiles::{MODES, mode_not_mapped};
use super::raw::{Entry, Kind, Node, Sort};
use super::read::{Here, Written};
use super::session::Making;
use super::template::Allow;
use crate::agent::profile::Mode;
use std::collections::BTreeMap;
use std::path::{Component, PathBuf};
use std::time::Duration;

/// How long each of `setup` and `teardown` may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// The most bytes of a prompt: it is one argument of a process.
pub const MAX_PROMPT: usize = 96 << 10;

/// Entries of two maps that merge: those of `defaults`, then the session's own over them.
fn merged<'n, 'a>(under: Option<&'n Node<'a>>, own: &'n Node<'a>) -> Vec<&'n Entry<'a>> {
    let own = own.entries();
    let under = under.map(Node::entries).unwrap_or_default();
    let kept = under.iter().filter(|entry| own.iter().all(|other| other.key != entry.key));
    kept.chain(own).collect()
}

impl<'n, 'a> Making<'_, 'n, 'a, '_> {
    /// A list of texts.
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let Some(node) = self.fields.node(name) else { return Vec::new() };
        let here = self.here(Allow::Late);
        let list = self.reader.list(name, node, here).unwrap_or_default();
        list.into_iter().map(|text| text.value).collect()
    }

    /// The entries of a field whose maps merge.
    pub(super) fn entries(&mut self, name: &str) -> Vec<&'n Entry<'a>> {
        let Some(field) = self.fields.get(name) else { return Vec::new() };
        if self.reader.map(name, field.node).is_none() {
            return Vec::new();
        }
        merged(field.under, field.node)
    }

    pub(super) fn prompt(&mut self, program: &Program) -> Option<String> {
        let Program::Agent(profile) = program else { return None };
        let (inline, file) = (self.fields.get("prompt"), self.fields.get("prompt_file"));
        if let (Some(inline), Some(file)) = (inline, file) {
            let problem =
                Problem::new(Code::Conflict, "`prompt` and `prompt_file` exclude each other");
            self.reader.problem(problem.at(file.key).also(inline.key, "prompt"));
        }
        let field = inline.or(file)?;
        if profile.prompt.is_empty() {
            let message = format!("{} takes no prompt at its start", profile.name);
            let help = "take it out, and type it when the agent is up";
            self.reader.problem(Problem::new(Code::BadValue, message).at(field.key).help(help));
        }
        let text = match inline {
            Some(field) => {
                self.reader.check_cut("prompt", field.node);
                self.text("prompt", Allow::Late)?
            }
            None => self.prompt_of_file()?,
        };
        if text.value.len() > MAX_PROMPT {
            let problem = Problem::new(Code::Limit, "the prompt is larger than 96 KiB");
            let help = "put the text into a file of the repository and let the prompt name it";
            self.reader.problem(problem.at(text.at).help(help));
        }
        Some(text.value.trim_end().to_owned())
    }

    /// The file's text as it is: what looks like a variable in it is the text's own.
    fn prompt_of_file(&mut self) -> Option<Written> {
        let file = self.text("prompt_file", Allow::Early)?;
        let path = self.ground.path(&file.value);
        let (code, message) = match self.ground.text(&path, MAX_PROMPT) {
            Ok(text) if text.trim().is_empty() => (Code::Empty, "it is empty".to_owned()),
            Ok(text) => return Some(Written { value: text.to_string(), at: file.at }),
            Err(error) => (Code::FileUnreadable, error.to_string()),
        };
        let message = format!("no prompt from `{}`: {message}", path.display());
        self.reader.problem(Problem::new(code, message).at(file.at));
        None
    }

    pub(super) fn on_prompt_change(&mut self) -> OnPromptChange {
        let words = [("ignore", OnPromptChange::Ignore), ("restart", OnPromptChange::Restart)];
        let here = self.here(Allow::Early);
        let node = self.fields.node("on_prompt_change");
        node.and_then(|node| self.reader.word("on_prompt_change", node, here, &words))
            .unwrap_or(OnPromptChange::Ignore)
    }

    pub(super) fn model(&mut self, program: &Program) -> Option<String> {
        let Program::Agent(profile) = program else { return None };
        let model = self.text("model", Allow::Early)?;
        if profile.model.is_empty() {
            let message = format!("{} takes no model", profile.name);
            self.reader.problem(Problem::new(Code::BadValue, message).at(model.at));
        }
        Some(model.value)
    }

    pub(super) fn mode(&mut self, program: &Program) -> Option<Mode> {
        let Program::Agent(profile) = program else { return None };
        let node = self.fields.node("mode")?;
        let here = self.here(Allow::Early);
        let mode = self.reader.word("mode", node, here, &MODES)?;
        if !profile.modes.contains_key(&mode) {
            self.reader.problem(mode_not_mapped(profile, mode, node.at));
        }
        Some(mode)
    }

    pub(super) fn env(&mut self) -> BTreeMap<String, String> {
        let here = self.here(Allow::Env);
        let mut env = BTreeMap::new();
        for entry in self.entries("env") {
            let name = entry.key.as_ref();
            if !is_variable(name) || name.starts_with("FLEET_") {
                let (message, help) = match is_variable(name) {
                    true => {
                        ("names that begin with FLEET_ are fleetctl's own", "choose another name")
                    }
                    false => ("no name of a variable", "letters, digits and _, no digit first"),
                };
                let problem = Problem::new(Code::BadName, format!("`env`: {message}"));
                self.reader.problem(problem.at(entry.at).help(help));
            }
            let value = match &entry.value.kind {
                Kind::Scalar(_, Sort::Null) => continue,
                Kind::Scalar(text, Sort::Empty | Sort::Text) if text.trim().is_empty() => {
                    Some(text.to_string())
                }
                _ => self.reader.text("env", &entry.value, here).map(|text| text.value),
            };
            env.extend(value.map(|value| (name.to_owned(), value)));
        }
        env
    }

    pub(super) fn cwd(&mut self) -> PathBuf {
        let Some(text) = self.text("cwd", Allow::Early) else { return PathBuf::from(".") };
        let path = PathBuf::from(&text.value);
        let inside =
            path.components().all(|p| matches!(p, Component::Normal(_) | Component::CurDir));
        if !inside || text.value.starts_with('~') {
            let problem = Problem::new(Code::BadValue, "`cwd` leads out of the worktree");
            self.reader.problem(
                problem.at(text.at).help("it is relative to the worktree, without `..` and `~`"),
            );
        }
        let normal = super::ground::normal(&path);
        if normal.as_os_str().is_empty() { PathBuf::from(".") } else { normal }
    }

    pub(super) fn ports(&mut self) -> Vec<String> {
        let Some(field) = self.fields.get("ports") else { return Vec::new() };
        let here = self.here(Allow::Early);
        let written = self.reader.list("ports", field.node, here).unwrap_or_default();
        ports::names(written, field.key, self.common.pooled, self.reader)
    }

    pub(super) fn files(&mut self) -> Files {
        let here = self.here(Allow::Early);
        let mut files = Files::default();
        for entry in self.entries("files") {
            let (place, what) = match entry.key.as_ref() {
                "copy" => (&mut files.copy, "files.copy"),
                "link" => (&mut files.link, "files.link"),
                _ => {
                    self.reader.unknown_fields(
                        "of `files`",
                        std::slice::from_ref(entry),
                        &["copy", "link"],
                    );
                    continue;
                }
            };
            if !entry.value.is_null() {
                *place = self.reader.globs(what, &entry.value, here).unwrap_or_default();
            }
        }
        files
    }

    /// `setup` or `teardown`: a command, a list, or `{run, timeout}`.
    pub(super) fn commands(&mut self, name: &str) -> Option<Commands> {
        let node = self.fields.node(name)?;
        let here = self.here(Allow::Late);
        let Kind::Map(entries) = &node.kind else {
            return Some(Commands { run: self.run(name, node, here)?, timeout: TIMEOUT });
        };
        self.reader.unknown_fields(&format!("of `{name}`"), entries, &["run", "timeout"]);
        let get = |field: &str| entries.iter().find(|e| e.key == field).map(|entry| &entry.value);
        let timeout = get("timeout").filter(|node| !node.is_null());
        let timeout =
            timeout.map(|node| self.reader.duration(&format!("{name}.timeout"), node, here));
        let Some(run) = get("run") else {
            let problem = Problem::new(Code::MissingField, format!("`{name}.run` is missing"));
            self.reader.problem(problem.at(node.at).help("the command, or a list of commands"));
            return None;
        };
        let run = self.run(&format!("{name}.run"), run, here)?;
        Some(Commands { run, timeout: timeout.flatten().unwrap_or(TIMEOUT) })
    }

    fn run(&mut self, what: &str, node: &Node<'a>, here: Here) -> Option<Vec<String>> {
        let Kind::Seq(items) = &node.kind else {
            self.reader.check_cut(what, node);
            return Some(vec![self.reader.text(what, node, here)?.value]);
        };
        items.iter().for_each(|item| self.reader.check_cut(what, item));
        let list = self.reader.list(what, node, here)?;
        Some(list.into_iter().map(|text| text.value).collect())
    }

    pub(super) fn protect(&mut self) -> bool {
        let here = self.here(Allow::Early);
        let node = self.fields.node("protect");
        node.and_then(|node| self.reader.flag("protect", node, here)).unwrap_or(false)
    }

    pub(super) fn labels(&mut self) -> BTreeMap<String, String> {
        let here = self.here(Allow::Early);
        let mut labels = BTreeMap::new();
        for entry in self.entries("labels") {
            if entry.key.is_empty() || entry.key.contains(['=', ',', '!', ' ']) {
                let problem = Problem::new(Code::BadName, "no name of a label");
                self.reader.problem(problem.at(entry.at).help("one word without = , and !"));
            }
            if !entry.value.is_null() {
                let value = self.reader.text("labels", &entry.value, here);
                labels.extend(value.map(|value| (entry.key.to_string(), value.value)));
            }
        }
        labels
    }
}

fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}
