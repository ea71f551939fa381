//! `agents:`: the user's own profiles over the built-in ones, field by field. Owns `extends` and what of a
//! profile was written by the user. Invariant: a resolved profile stands on a built-in one.

use super::problem::{Code, Problem};
use super::raw::{Entry, Kind, Node};
use super::read::{Here, Reader};
use super::source::At;
use crate::agent::profile::{Keys, Mode, ModeFlags, Profile, builtin, builtins};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

const FIELDS: [&str; 12] = [
    "extends",
    "command",
    "args",
    "model",
    "mode",
    "start",
    "resume",
    "prompt",
    "modes",
    "transcript",
    "keys",
    "unset",
];

/// The words for modes.
pub const MODES: [(&str, Mode); 5] = [
    ("ask", Mode::Ask),
    ("edits", Mode::Edits),
    ("auto", Mode::Auto),
    ("plan", Mode::Plan),
    ("yolo", Mode::Yolo),
];

/// A profile that a session can name.
#[derive(Debug)]
pub struct Agent {
    /// All `extends` resolved.
    pub profile: Profile,
    /// What the user wrote about it and those under it: `agents.reviewer.model`, `opus`.
    pub overrides: Vec<(String, String)>,
}

/// The profiles of a manifest.
#[derive(Debug, Default)]
pub struct Agents {
    own: HashMap<String, Rc<Agent>>,
    /// Those with a problem, which is said once.
    broken: HashSet<String>,
}

impl Agents {
    /// Reads `agents:`.
    pub fn read(node: Option<&Node>, reader: &mut Reader, here: Here) -> Self {
        let mut agents = Self::default();
        let Some(node) = node else { return agents };
        let Some(entries) = reader.map("agents", node) else { return agents };
        let mut resolving = Resolving { entries, here, path: Vec::new() };
        for entry in entries {
            resolving.own(entry, &mut agents, reader);
        }
        agents
    }

    /// The profile of this name; for one with a problem any other, since there will be no fleet.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Rc<Agent>> {
        let name = if self.broken.contains(name) { "claude" } else { name };
        self.own.get(name).cloned().or_else(|| built_in(name))
    }

    /// The names of all profiles.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.own.keys().map(String::as_str);
        own.chain(builtins().iter().map(|profile| profile.name.as_str())).chain(["shell"])
    }
}

fn built_in(name: &str) -> Option<Rc<Agent>> {
    let profile = builtin(name)?.clone();
    Some(Rc::new(Agent { profile, overrides: Vec::new() }))
}

struct Resolving<'n, 'a, 's> {
    entries: &'n [Entry<'a>],
    here: Here<'s>,
    path: Vec<&'n str>,
}

impl<'n, 'a> Resolving<'n, 'a, '_> {
    /// Resolves one entry and those under it, once.
    fn own(
        &mut self,
        entry: &'n Entry<'a>,
        agents: &mut Agents,
        reader: &mut Reader,
    ) -> Option<Rc<Agent>> {
        if agents.broken.contains(entry.key.as_ref()) {
            return None;
        }
        if let Some(done) = agents.own.get(entry.key.as_ref()) {
            return Some(Rc::clone(done));
        }
        let made = self.make(entry, agents, reader);
        match &made {
            Some(agent) => {
                agents.own.insert(entry.key.to_string(), Rc::clone(agent));
            }
            None => {
                agents.broken.insert(entry.key.to_string());
            }
        }
        made
    }

    fn make(
        &mut self,
        entry: &'n Entry<'a>,
        agents: &mut Agents,
        reader: &mut Reader,
    ) -> Option<Rc<Agent>> {
        if entry.key == "shell" {
            let problem =
                Problem::new(Code::BadName, "`shell` is the user's own shell, not a profile");
            reader.problem(problem.at(entry.at).help("give the profile another name"));
            return None;
        }
        let fields = reader.map(&format!("agents.{}", entry.key), &entry.value)?;
        reader.unknown_fields("of an agent", fields, &FIELDS);
        let base = self.base(entry, fields, agents, reader)?;
        let mut agent = Agent {
            profile: Profile { name: entry.key.to_string(), ..base.profile.clone() },
            overrides: base.overrides.clone(),
        };
        for field in fields.iter().filter(|field| !field.value.is_null()) {
            override_field(&mut agent.profile, field, reader, self.here);
            let value = written(&field.value);
            agent.overrides.push((format!("agents.{}.{}", entry.key, field.key), value));
        }
        check_default_mode(&agent.profile, fields, reader);
        Some(Rc::new(agent))
    }

    /// The profile that an entry extends: the one it names, or the built-in one of its own name.
    fn base(
        &mut self,
        entry: &'n Entry<'a>,
        fields: &'n [Entry<'a>],
        agents: &mut Agents,
        reader: &mut Reader,
    ) -> Option<Rc<Agent>> {
        let Some(extends) = fields.iter().find(|field| field.key == "extends") else {
            let base = built_in(&entry.key);
            if base.is_none() {
                let message = format!("agent `{}` has no `extends`", entry.key);
                let help = "name the agent that it is based on, such as `extends: claude`; for another program use `command`";
                reader.problem(Problem::new(Code::MissingField, message).at(entry.at).help(help));
            }
            return base;
        };
        let name = reader.text("extends", &extends.value, self.here)?;
        if name.value == entry.key && builtin(&name.value).is_some() {
            return built_in(&name.value);
        }
        if name.value == entry.key || self.path.contains(&name.value.as_str()) {
            let from = self.path.iter().position(|other| *other == name.value);
            let mut circle = self.path[from.unwrap_or(self.path.len())..].to_vec();
            circle.extend([entry.key.as_ref(), name.value.as_str()]);
            let message = format!("`extends` in a circle: {}", circle.join(" → "));
            reader.problem(Problem::new(Code::ExtendsCycle, message).at(name.at));
            return None;
        }
        let entries = self.entries;
        match entries.iter().find(|other| other.key == name.value.as_str()) {
            Some(other) => {
                self.path.push(&entry.key);
                let found = self.own(other, agents, reader);
                self.path.pop();
                found
            }
            None => {
                let found = built_in(&name.value);
                if found.is_none() {
                    reader.problem(unknown_agent(&name.value, name.at, agents));
                }
                found
            }
        }
    }
}

/// The problem of a profile that does not exist.
#[must_use]
pub fn unknown_agent(name: &str, at: At, agents: &Agents) -> Problem {
    let problem = Problem::new(Code::UnknownAgent, format!("unknown agent `{name}`")).at(at);
    let near = problem.clone().nearest(name, agents.names().filter(|known| *known != name));
    match near.help {
        Some(_) => near,
        None => problem.help(format!(
            "built in are {} and shell; others are described under `agents`",
            builtins().iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ")
        )),
    }
}

fn override_field(profile: &mut Profile, field: &Entry, reader: &mut Reader, here: Here) {
    let what = format!("agents.{}.{}", profile.name, field.key);
    let node = &field.value;
    match field.key.as_ref() {
        "command" => replace(&mut profile.command, reader.text(&what, node, here).map(|t| t.value)),
        "mode" => {
            replace(&mut profile.default_mode, reader.word(&what, node, here, &MODES).map(Some))
        }
        "model" if !matches!(node.kind, Kind::Seq(_)) => {
            replace(
                &mut profile.default_model,
                reader.text(&what, node, here).map(|t| Some(t.value)),
            );
        }
        "model" => replace(&mut profile.model, texts(&what, node, reader, here)),
        "args" => replace(&mut profile.args, texts(&what, node, reader, here)),
        "start" => replace(&mut profile.start, texts(&what, node, reader, here)),
        "resume" => replace(&mut profile.resume, texts(&what, node, reader, here)),
        "prompt" => replace(&mut profile.prompt, texts(&what, node, reader, here)),
        "transcript" => replace(&mut profile.transcript, texts(&what, node, reader, here)),
        "unset" => replace(&mut profile.unset, texts(&what, node, reader, here)),
        "keys" => override_keys(&mut profile.keys, &what, node, reader, here),
        "modes" => override_modes(&mut profile.modes, &what, node, reader, here),
        _ => {}
    }
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn texts(what: &str, node: &Node, reader: &mut Reader, here: Here) -> Option<Vec<String>> {
    let list = reader.list(what, node, here)?;
    Some(list.into_iter().map(|text| text.value).collect())
}

fn override_keys(keys: &mut Keys, what: &str, node: &Node, reader: &mut Reader, here: Here) {
    let Some(entries) = reader.map(what, node) else { return };
    reader.unknown_fields("of `keys`", entries, &["interrupt", "quit"]);
    for entry in entries {
        let read = || format!("{what}.{}", entry.key);
        match entry.key.as_ref() {
            "interrupt" => replace(&mut keys.interrupt, texts(&read(), &entry.value, reader, here)),
            "quit" => replace(&mut keys.quit, texts(&read(), &entry.value, reader, here)),
            _ => {}
        }
    }
}

fn override_modes(
    modes: &mut BTreeMap<Mode, ModeFlags>,
    what: &str,
    node: &Node,
    reader: &mut Reader,
    here: Here,
) {
    let Some(entries) = reader.map(what, node) else { return };
    reader.unknown_fields("of `modes`", entries, &MODES.map(|(word, _)| word));
    for entry in entries {
        let Some((_, mode)) = MODES.iter().find(|(word, _)| *word == entry.key) else { continue };
        if entry.value.is_null() {
            modes.remove(mode);
            continue;
        }
        let what = format!("{what}.{}", entry.key);
        let flags = mode_flags(&what, &entry.value, reader, here);
        modes.extend(flags.map(|flags| (*mode, flags)));
    }
}

/// `[args]`, or `{args: […], env: {…}}`.
fn mode_flags(what: &str, node: &Node, reader: &mut Reader, here: Here) -> Option<ModeFlags> {
    if let Kind::Seq(_) = node.kind {
        return Some(ModeFlags { args: texts(what, node, reader, here)?, env: BTreeMap::new() });
    }
    let entries = reader.map(what, node)?;
    reader.unknown_fields("of a mode", entries, &["args", "env"]);
    let mut flags = ModeFlags::default();
    for entry in entries {
        match entry.key.as_ref() {
            "args" => replace(&mut flags.args, texts(what, &entry.value, reader, here)),
            "env" => {
                for variable in reader.map(what, &entry.value)? {
                    let value = reader.text(&format!("{what}.env"), &variable.value, here);
                    flags.env.extend(value.map(|value| (variable.key.to_string(), value.value)));
                }
            }
            _ => {}
        }
    }
    Some(flags)
}

fn check_default_mode(profile: &Profile, fields: &[Entry], reader: &mut Reader) {
    let mode = profile.default_mode.filter(|mode| !profile.modes.contains_key(mode));
    let field = fields.iter().find(|field| matches!(field.key.as_ref(), "mode" | "modes"));
    if let (Some(mode), Some(field)) = (mode, field) {
        reader.problem(mode_not_mapped(profile, mode, field.value.at));
    }
}

/// The problem of a mode that an agent does not have.
#[must_use]
pub fn mode_not_mapped(profile: &Profile, mode: Mode, at: At) -> Problem {
    let known: Vec<&str> = profile.modes.keys().map(|mode| mode.word()).collect();
    Problem::new(Code::ModeNotMapped, format!("{} has no mode `{}`", profile.name, mode.word()))
        .at(at)
        .help(format!("it has {}", known.join(", ")))
}

/// A value as one text; what is under `env` as a digest, for it may be a secret.
fn written(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(text, _) => text.to_string(),
        Kind::Seq(items) => {
            format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(", "))
        }
        Kind::Map(entries) => {
            let entries = entries.iter().map(|entry| match entry.key.as_ref() {
                "env" => {
                    let digest = super::applied::hex(quoted(&entry.value).as_bytes());
                    format!("env: #{}", &digest[..12])
                }
                key => format!("{key}: {}", quoted(&entry.value)),
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

fn quoted(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(text, _) => format!("{text:?}"),
        _ => written(node),
    }
}
