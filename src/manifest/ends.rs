//! The fields that begin and end a session's runs by themselves: `restart`, `depends_on`, `ready`,
//! `stop_after`. Owns their forms and what is checked about one session alone. Invariant: no time that is
//! given out is so short that the loop would turn hot.

use super::fleet::{Backoff, Need, Port, Probe, Program, Ready, Restart, StopAfter};
use super::problem::{Code, Problem};
use super::raw::{Entry, Kind, Node, Sort};
use super::read::Written;
use super::session::Making;
use super::template::Allow;
use std::time::Duration;

/// How long a session may take until it is ready.
pub const READY: Duration = Duration::from_secs(300);
/// The shortest time that anything waits.
const SHORTEST: Duration = Duration::from_secs(1);

const RESTARTS: [(&str, Restart); 3] =
    [("on-failure", Restart::OnFailure), ("always", Restart::Always), ("never", Restart::Never)];
const NEEDS: [(&str, Need); 5] = [
    ("started", Need::Started),
    ("ready", Need::Ready),
    ("idle", Need::Idle),
    ("completed", Need::Completed),
    ("merged", Need::Merged),
];

/// One of `depends_on` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The session.
    pub name: Written,
    /// What of it.
    pub need: Need,
}

/// The entry of a field in a map, if it is set.
fn of<'n, 'a>(entries: &[&'n Entry<'a>], name: &str) -> Option<&'n Node<'a>> {
    let entry = entries.iter().find(|entry| entry.key == name)?;
    (!entry.value.is_null()).then_some(&entry.value)
}

impl<'n, 'a> Making<'_, 'n, 'a, '_> {
    pub(super) fn restart(&mut self) -> (Restart, Backoff) {
        let mut backoff = Backoff::default();
        let Some(field) = self.fields.get("restart") else { return (Restart::OnFailure, backoff) };
        if !matches!(field.node.kind, Kind::Map(_)) {
            return (self.word("restart", &RESTARTS).unwrap_or(Restart::OnFailure), backoff);
        }
        let entries = self.entries("restart");
        let known = ["policy", "first", "max", "reset", "give_up"];
        self.reader.unknown_fields("of `restart`", entries.iter().copied(), &known);
        let here = self.here(Allow::Early);
        let policy = of(&entries, "policy")
            .and_then(|node| self.reader.word("restart.policy", node, here, &RESTARTS));
        let time = |this: &mut Self, name: &str, usual| {
            this.time(&format!("restart.{name}"), of(&entries, name)).unwrap_or(usual)
        };
        backoff.first = time(self, "first", backoff.first);
        // Whoever wants a longer first wait need not say twice that it is longer.
        let usual = backoff.max.max(backoff.first);
        backoff.max = time(self, "max", usual);
        backoff.reset = time(self, "reset", backoff.reset);
        if let Some(node) = of(&entries, "max").filter(|_| backoff.max < backoff.first) {
            let problem = Problem::new(Code::BadValue, "`restart.max` is less than `first`");
            self.reader.problem(problem.at(node.at));
        }
        if let Some(node) = of(&entries, "give_up") {
            self.give_up(node, &mut backoff);
        }
        (policy.unwrap_or(Restart::OnFailure), backoff)
    }

    fn give_up(&mut self, node: &'n Node<'a>, backoff: &mut Backoff) {
        let Some(entries) = self.reader.map("restart.give_up", node) else { return };
        let entries: Vec<&Entry> = entries.iter().collect();
        let known = ["starts", "within"];
        self.reader.unknown_fields("of `restart.give_up`", entries.iter().copied(), &known);
        if let Some(node) = of(&entries, "starts") {
            let starts = self.reader.count("restart.give_up.starts", node);
            backoff.starts =
                starts.map_or(backoff.starts, |n| u32::try_from(n).unwrap_or(u32::MAX));
        }
        let within = self.time("restart.give_up.within", of(&entries, "within"));
        backoff.within = within.unwrap_or(backoff.within);
    }

    /// A time that may not be none at all.
    fn time(&mut self, what: &str, node: Option<&Node<'a>>) -> Option<Duration> {
        let node = node?;
        let here = self.here(Allow::Early);
        let time = self.reader.duration(what, node, here)?;
        if time < SHORTEST {
            let message = format!("`{what}` must be at least 1s");
            self.reader.problem(Problem::new(Code::BadDuration, message).at(node.at));
            return None;
        }
        Some(time)
    }

    pub(super) fn depends_on(&mut self) -> Vec<Awaited> {
        let Some(field) = self.fields.get("depends_on") else { return Vec::new() };
        let here = self.here(Allow::Early);
        if !matches!(field.node.kind, Kind::Map(_)) {
            let names = self.reader.list("depends_on", field.node, here).unwrap_or_default();
            let started = |name| Awaited { name, need: Need::Started };
            return names.into_iter().map(started).collect();
        }
        let mut awaited = Vec::new();
        for entry in self.entries("depends_on") {
            if entry.value.is_null() {
                continue;
            }
            let what = format!("depends_on.{}", entry.key);
            let need = self.reader.word(&what, &entry.value, here, &NEEDS);
            let name = Written { value: entry.key.to_string(), at: entry.at };
            awaited.push(Awaited { name, need: need.unwrap_or_default() });
        }
        awaited
    }

    pub(super) fn ready(&mut self) -> Option<Ready> {
        let field = self.fields.get("ready")?;
        let entries = self.entries("ready");
        let probes = ["screen", "command", "port"];
        let known = ["screen", "command", "port", "timeout"];
        self.reader.unknown_fields("of `ready`", entries.iter().copied(), &known);
        let timeout = self.time("ready.timeout", of(&entries, "timeout"));
        let mut given = probes.iter().filter_map(|name| Some((*name, of(&entries, name)?)));
        let (first, second) = (given.next(), given.next());
        let Some((name, node)) = first else {
            // A name that was only misspelt was told.
            let known = |entry: &&Entry| known.contains(&entry.key.as_ref());
            if matches!(field.node.kind, Kind::Map(_)) && entries.iter().all(known) {
                let problem = Problem::new(Code::MissingField, "`ready` does not say by what");
                let help = "give it `screen: REGEX`, `command: …` or `port: NUMBER`";
                self.reader.problem(problem.at(field.key).help(help));
            }
            return None;
        };
        if let Some((other, node)) = second {
            let message = format!("`ready.{name}` and `ready.{other}` exclude each other");
            self.reader.problem(Problem::new(Code::Conflict, message).at(node.at));
        }
        let probe = match name {
            "screen" => self.screen(node)?,
            "command" => self.probe_command(node)?,
            _ => self.port(node)?,
        };
        Some(Ready { probe, timeout: timeout.unwrap_or(READY) })
    }

    fn screen(&mut self, node: &Node<'a>) -> Option<Probe> {
        self.reader.check_cut("ready.screen", node);
        let here = self.here(Allow::Early);
        let text = self.reader.text("ready.screen", node, here)?;
        if let Err(error) = regex::Regex::new(&text.value) {
            let said = error.to_string();
            let reason = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let message = "`ready.screen` is no regular expression";
            let problem = Problem::new(Code::BadRegex, message).at(node.at);
            self.reader.problem(problem.help(reason.to_owned()));
            return None;
        }
        Some(Probe::Screen(text.value))
    }

    fn probe_command(&mut self, node: &Node<'a>) -> Option<Probe> {
        self.reader.check_cut("ready.command", node);
        let here = self.here(Allow::Late);
        Some(Probe::Command(self.reader.text("ready.command", node, here)?.value))
    }

    fn port(&mut self, node: &Node<'a>) -> Option<Probe> {
        let here = self.here(Allow::Early);
        let text = self.reader.text("ready.port", node, here)?;
        let port = match (&node.kind, text.value.parse::<u16>()) {
            (_, Ok(number)) if number > 0 => Port::Number(number),
            (Kind::Scalar(_, Sort::Number), _) => {
                let message = "`ready.port` must be a number from 1 to 65535";
                self.reader.problem(Problem::new(Code::BadValue, message).at(node.at));
                return None;
            }
            _ => Port::Named(text.value),
        };
        Some(Probe::Port(port))
    }

    /// A port that is named must be one of the session's own.
    pub(super) fn check_ready(&mut self, ready: Option<&Ready>, ports: &[String]) {
        let Some(Ready { probe: Probe::Port(Port::Named(name)), .. }) = ready else { return };
        if ports.contains(name) {
            return;
        }
        let entries = self.entries("ready");
        let Some(node) = of(&entries, "port") else { return };
        let problem = Problem::new(Code::BadValue, format!("this session has no port `{name}`"));
        let problem = problem.at(node.at).nearest(name, ports.iter().map(String::as_str));
        let help = format!("give a number, or name it: `ports: [{name}]`");
        self.reader.problem(if problem.help.is_some() { problem } else { problem.help(help) });
    }

    pub(super) fn stop_after(&mut self, program: &Program) -> StopAfter {
        let Some(field) = self.fields.get("stop_after") else { return StopAfter::default() };
        let entries = self.entries("stop_after");
        self.reader.unknown_fields("of `stop_after`", entries.iter().copied(), &["idle", "age"]);
        let idle = self.time("stop_after.idle", of(&entries, "idle"));
        let age = self.time("stop_after.age", of(&entries, "age"));
        let command = matches!(program, Program::ShellCommand(_) | Program::Argv(_));
        if !command {
            return StopAfter { idle, age };
        }
        let own = field.node.entries().iter().find(|entry| entry.key == "idle");
        if let (Some(entry), true, true) = (own, field.own, idle.is_some()) {
            let message = "`stop_after.idle` is for agents and shells: a command is never idle";
            let problem = Problem::new(Code::NeverComes, message).at(entry.at);
            self.reader.problem(problem.help("use `age`, or let the command end by itself"));
        }
        StopAfter { idle: None, age }
    }
}
