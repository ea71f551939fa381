//! The manifest as a whole, from its tree to a fleet. Owns the top level: version, name, settings, the
//! unrolling of `each`, renames. Invariant: it goes on after a problem, so that all are found at once.

use super::applied::applied;
use super::check::{Removal, Rename, Sessions, check, check_moves};
use super::fields::{Fields, names};
use super::fleet::{AtRisk, Fleet, Prune, Reads, Settings, Socket};
use super::ground::Ground;
use super::include::Included;
use super::problem::{Code, Problem, nearest};
use super::profiles::Agents;
use super::raw::{Entry, Kind, Node, Sort};
use super::read::{Here, Reader, Written};
use super::repos::{Repos, is_word};
use super::session::{Common, Making};
use super::source::At;
use super::template::{Allow, Item, Scope, has_variable};
use crate::name::Name;
use indexmap::IndexMap;
use std::time::Duration;

/// The most sessions of a fleet.
pub const MAX_SESSIONS: usize = 5_000;

const FIELDS: [&str; 13] = [
    "version",
    "fleet",
    "sessions",
    "defaults",
    "agents",
    "repos",
    "moved",
    "removed",
    "prune",
    "at_risk",
    "max_starting",
    "max_running",
    "ports",
];

/// The top level's fields.
struct Top<'n, 'a> {
    entries: &'n [Entry<'a>],
}

impl<'n, 'a> Top<'n, 'a> {
    fn entry(&self, name: &str) -> Option<&'n Entry<'a>> {
        self.entries.iter().find(|entry| entry.key == name && !entry.value.is_null())
    }

    fn node(&self, name: &str) -> Option<&'n Node<'a>> {
        self.entry(name).map(|entry| &entry.value)
    }
}

/// The fleet that a tree describes; without problems in the reader it is valid. The digest and the list of
/// files are the caller's.
pub fn fleet<'a>(
    root: &Node<'a>,
    included: &[Included<'a>],
    reader: &mut Reader<'a>,
    ground: &mut Ground,
) -> Option<Fleet> {
    let Kind::Map(entries) = &root.kind else {
        reader.problem(no_map(root));
        return None;
    };
    let top = Top { entries };
    let known: Vec<&str> = FIELDS.into_iter().chain(["tmux", "include"]).collect();
    let fields = entries.iter().filter(|entry| !entry.key.starts_with("x-"));
    reader.unknown_fields("at the top level", fields, &known);
    check_version(&top, root, reader);
    let name = fleet_name(&top, root, reader);
    let stand_in = "fleet".parse().ok();
    let name = name.or(stand_in)?;
    let scope = Scope { fleet: name.as_str(), session: None, each: None };
    let here = Here { scope, allow: Allow::Early };
    let settings = settings(&top, reader, ground, here);
    let agents = Agents::read(top.node("agents"), reader, here);
    let repos = Repos::read(top.node("repos"), reader, ground, here);
    let pooled = top.node("ports").is_some();
    let common = Common { fleet: &name, agents: &agents, repos: &repos, pooled };
    globs_of_include(&top, reader, here);
    let mut sessions = sessions((&top, root, included), &common, reader, ground);
    check(&mut sessions, reader);
    let renames = renames(&top, reader, here);
    let removals = removals(&top, reader, here);
    let (moved, removed) = check_moves(&renames, &removals, &sessions, reader);
    let sessions = sessions.into_iter().map(|(name, placed)| {
        let mut session = placed.session;
        session.applied = applied(&session, &placed.beside);
        (name, session)
    });
    let sessions = sessions.collect::<IndexMap<_, _>>();
    let (sources, digest, reads) = (Vec::new(), String::new(), Reads::default());
    let frozen = Vec::new();
    Some(Fleet { name, sources, digest, reads, frozen, sessions, moved, removed, settings })
}

fn no_map(root: &Node) -> Problem {
    let help = "the smallest one has `version: 1`, `fleet: NAME` and `sessions:`";
    let problem = match root.kind {
        Kind::Scalar(_, Sort::Empty | Sort::Null) => {
            Problem::new(Code::YamlDocument, "the manifest is empty")
        }
        _ => Problem::new(Code::WrongType, format!("a manifest is a map, not {}", root.describe())),
    };
    problem.at(root.at).help(help)
}

/// The place for what is missing at the top level: its first key.
fn first(root: &Node) -> At {
    root.entries().first().map_or(root.at, |entry| entry.at)
}

/// Tells of a field that the top level lacks, unless a mistyped one, which is told of already, stands for it.
fn missing(field: &str, help: &str, root: &Node, reader: &mut Reader) {
    let mut keys = root.entries().iter().map(|entry| entry.key.as_ref());
    if keys.any(|key: &str| !key.starts_with("x-") && nearest(key, FIELDS) == Some(field)) {
        return;
    }
    let problem = Problem::new(Code::MissingField, format!("`{field}` is missing"));
    reader.problem(problem.at(first(root)).help(help));
}

fn check_version(top: &Top, root: &Node, reader: &mut Reader) {
    let Some(node) = top.node("version") else {
        return missing("version", "write `version: 1` at the top", root, reader);
    };
    if !is_word(node, "1") {
        let problem = Problem::new(Code::Version, "this version of the format is not known");
        reader.problem(problem.at(node.at).help("this fleetctl knows `version: 1`"));
    }
}

fn fleet_name(top: &Top, root: &Node, reader: &mut Reader) -> Option<Name> {
    let here = Here { scope: Scope::default(), allow: Allow::Early };
    let Some(node) = top.node("fleet") else {
        let help = "write `fleet: NAME`: the name that all its sessions share";
        missing("fleet", help, root, reader);
        return None;
    };
    if let Kind::Scalar(text, _) = &node.kind
        && has_variable(text)
    {
        let problem = Problem::new(Code::VariableNotHere, "the fleet's name holds no variables");
        reader.problem(problem.at(node.at));
        return None;
    }
    let text = reader.text("fleet", node, here)?;
    let name = text.value.parse::<Name>();
    name.map_err(|error| reader.problem(bad_name(&text.value, &error.to_string(), text.at))).ok()
}

fn bad_name(text: &str, why: &str, at: At) -> Problem {
    let near = super::template::slug(text);
    let problem = Problem::new(Code::BadName, why).at(at);
    if near.parse::<Name>().is_ok() {
        return problem.help(format!("did you mean `{near}`?"));
    }
    problem.help("names look like `fix-login` or `api2`")
}

fn settings(top: &Top, reader: &mut Reader, ground: &Ground, here: Here) -> Settings {
    let prune = match top.node("prune") {
        None => None,
        Some(node) if is_word(node, "manual") => Some(Prune::Manual),
        Some(node) => reader.duration("prune", node, here).map(Prune::After),
    };
    let risks = [("keep", AtRisk::Keep), ("archive", AtRisk::Archive)];
    let at_risk = top.node("at_risk").and_then(|node| reader.word("at_risk", node, here, &risks));
    let mut count = |name| top.node(name).and_then(|node| reader.count(name, node));
    let (max_starting, max_running) = (count("max_starting"), count("max_running"));
    let socket = top.node("tmux").and_then(|node| socket(node, reader, ground, here));
    let ports = top.node("ports").and_then(|node| super::ports::pool(node, reader, here));
    Settings {
        ports,
        prune: prune.unwrap_or(Prune::After(Duration::from_secs(600))),
        at_risk: at_risk.unwrap_or(AtRisk::Keep),
        max_starting: max_starting.unwrap_or(4),
        max_running: max_running.unwrap_or(16),
        socket: socket.unwrap_or(Socket::Default),
    }
}

fn socket(node: &Node, reader: &mut Reader, ground: &Ground, here: Here) -> Option<Socket> {
    let entries = reader.map("tmux", node)?;
    reader.unknown_fields("of `tmux`", entries, &["socket"]);
    let entry = entries.iter().find(|entry| entry.key == "socket" && !entry.value.is_null())?;
    let text = reader.text("tmux.socket", &entry.value, here)?.value;
    Some(match text.contains('/') || text == "~" {
        true => Socket::Path(ground.path(&text)),
        false => Socket::Name(text),
    })
}

fn globs_of_include(top: &Top, reader: &mut Reader, here: Here) {
    if let Some(node) = top.node("include") {
        let globs = reader.globs("include", node, here).unwrap_or_default();
        if globs.len() > super::include::MOST {
            let problem = Problem::new(Code::Limit, "more than 500 globs in `include`");
            reader.problem(problem.at(node.at));
        }
    }
}

fn sessions<'a>(
    (top, root, included): (&Top<'_, 'a>, &Node<'a>, &[Included<'a>]),
    common: &Common,
    reader: &mut Reader<'a>,
    ground: &mut Ground,
) -> Sessions {
    let defaults = top.node("defaults").and_then(|node| reader.map("defaults", node));
    let defaults = defaults.unwrap_or_default();
    let known = names();
    let known_defaults: Vec<&str> = known.iter().copied().filter(|name| *name != "each").collect();
    reader.unknown_fields("of `defaults`", defaults, &known_defaults);
    let mut made = Sessions::new();
    let own = top.node("sessions");
    if own.is_none() && top.node("include").is_none() {
        missing("sessions", "an empty fleet has `sessions: {}`", root, reader);
    }
    let include = None;
    let mut unrolling = Unrolling { common, defaults, reader, ground, made: &mut made, include };
    own.into_iter().for_each(|node| unrolling.all(node, &known));
    for one in included {
        super::include::check(one, unrolling.reader);
        unrolling.include = Some(&one.file);
        let entries = one.root.entries().iter();
        let sessions = entries.filter(|entry| entry.key == "sessions" && !entry.value.is_null());
        sessions.for_each(|entry| unrolling.all(&entry.value, &known));
    }
    if made.len() > MAX_SESSIONS {
        let problem = Problem::new(Code::Limit, "more than 5,000 sessions");
        let at = own.map_or(root.at, |node| node.at);
        reader.problem(problem.at(at).help("split the work into more than one fleet"));
    }
    made
}

/// The making of all sessions that the entries stand for.
struct Unrolling<'u, 'n, 'a, 'f> {
    common: &'u Common<'u>,
    defaults: &'n [Entry<'a>],
    reader: &'u mut Reader<'a>,
    ground: &'u mut Ground<'f>,
    made: &'u mut Sessions,
    /// The included file that they stand in.
    include: Option<&'u String>,
}

impl<'n, 'a> Unrolling<'_, 'n, 'a, '_> {
    fn all(&mut self, sessions: &'n Node<'a>, known: &[&str]) {
        for entry in self.reader.map("sessions", sessions).unwrap_or_default() {
            let what = format!("sessions.{}", entry.key);
            let Some(own) = self.reader.map(&what, &entry.value) else { continue };
            self.reader.unknown_fields("of a session", own, known);
            self.entry(entry, own);
        }
    }

    fn entry(&mut self, entry: &'n Entry<'a>, own: &'n [Entry<'a>]) {
        let scope = Scope { fleet: self.common.fleet.as_str(), session: None, each: None };
        let here = Here { scope, allow: Allow::Early };
        let each = own.iter().find(|field| field.key == "each" && !field.value.is_null());
        let Some(each) = each else { return self.session(entry, own, None) };
        let Some(items) = super::each::items(&each.value, self.reader, self.ground, here) else {
            return;
        };
        if !entry.key.contains("${each") {
            let message = format!("`{}` has `each` and no part of it in its name", entry.key);
            let help = format!("every session needs its own name: `{}-${{each.slug}}`", entry.key);
            let problem = Problem::new(Code::BadName, message).at(entry.at).help(help);
            return self.reader.problem(problem);
        }
        for item in &items {
            self.session(entry, own, Some(item));
        }
    }

    fn session(&mut self, entry: &'n Entry<'a>, own: &'n [Entry<'a>], item: Option<&Item>) {
        // One too many is enough to say so.
        if self.made.len() > MAX_SESSIONS {
            return;
        }
        let fleet = self.common.fleet.as_str();
        let here = Here { scope: Scope { fleet, session: None, each: item }, allow: Allow::Early };
        let before = self.reader.out.len();
        let text = self.reader.expanded(&entry.key, entry.at, here);
        let name = match text.parse::<Name>() {
            Ok(name) => name,
            Err(error) => {
                // A variable that failed is the better answer.
                if self.reader.out.len() == before {
                    let message = format!("`{text}` is no name of a session: {error}");
                    self.reader.problem(bad_name(&text, &message, entry.at));
                }
                return;
            }
        };
        let scope = Scope { fleet, session: Some(name.as_str()), each: item };
        let making = Making {
            common: self.common,
            fields: Fields::new(own, self.defaults),
            reader: &mut *self.reader,
            ground: &mut *self.ground,
            scope,
        };
        let mut placed = making.make(&name, entry.at);
        placed.beside.include = self.include.cloned();
        if let Some(first) = self.made.get(&name) {
            let problem = Problem::new(Code::SameName, format!("two sessions are called `{name}`"))
                .at(entry.at)
                .also(first.key, "the first");
            return self.reader.problem(problem);
        }
        self.made.insert(name, placed);
    }
}

/// The entries of a list of maps, each with its fields by name.
fn list_of_maps<'n, 'a>(
    node: Option<&'n Node<'a>>,
    what: &str,
    known: &[&str],
    reader: &mut Reader,
) -> Vec<&'n Node<'a>> {
    let Some(node) = node else { return Vec::new() };
    let Kind::Seq(items) = &node.kind else {
        let message = format!("`{what}` must be a list, not {}", node.describe());
        reader.problem(Problem::new(Code::WrongType, message).at(node.at));
        return Vec::new();
    };
    let mut read = Vec::new();
    for item in items {
        if let Some(entries) = reader.map(&format!("{what}[]"), item) {
            reader.unknown_fields(&format!("of `{what}`"), entries, known);
            read.push(item);
        }
    }
    read
}

/// A name in a list of maps.
fn named(node: &Node, what: (&str, &str), reader: &mut Reader, here: Here) -> Option<Written> {
    let (list, field) = what;
    let Some(entry) = node.entries().iter().find(|entry| entry.key == field) else {
        let problem = Problem::new(Code::MissingField, format!("`{list}[].{field}` is missing"));
        reader.problem(problem.at(node.at));
        return None;
    };
    let text = reader.text(&format!("{list}[].{field}"), &entry.value, here)?;
    if let Err(error) = text.value.parse::<Name>() {
        reader.problem(bad_name(&text.value, &error.to_string(), text.at));
        return None;
    }
    Some(text)
}

fn renames(top: &Top, reader: &mut Reader, here: Here) -> Vec<Rename> {
    let items = list_of_maps(top.node("moved"), "moved", &["from", "to"], reader);
    let read = items.into_iter().filter_map(|item| {
        let from = named(item, ("moved", "from"), reader, here);
        let to = named(item, ("moved", "to"), reader, here);
        Some(Rename { from: from?, to: to? })
    });
    read.collect()
}

fn removals(top: &Top, reader: &mut Reader, here: Here) -> Vec<Removal> {
    let items = list_of_maps(top.node("removed"), "removed", &["session", "keep"], reader);
    let read = items.into_iter().filter_map(|item| {
        let session = named(item, ("removed", "session"), reader, here);
        let keep = item.entries().iter().find(|entry| entry.key == "keep");
        let keep = match keep {
            Some(entry) => reader.flag("removed[].keep", &entry.value, here)?,
            None => false,
        };
        Some(Removal { session: session?, keep })
    });
    read.collect()
}
