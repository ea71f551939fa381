//! A session's values by the class of what a change of them causes. Owns which field is in which class and
//! how a value is kept: text as written, `env` as digests. Invariant: only what differs from the default is
//! kept, and nothing of the built-in profiles, so that an upgrade of fleetctl restarts nobody.

use super::fleet::{
    Backoff, Need, OnChange, OnPromptChange, Port, Probe, Program, Restart, Resume, Session, Until,
    Worktree,
};
use super::template::shown;
use crate::name::Spec;
use crate::record::{Applied, Parting};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// Under this the included file is kept that a session stands in.
pub const INCLUDE: &str = "include";

/// What the session itself does not tell.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// `agent`, as written.
    pub agent: Option<String>,
    /// The user's own fields of the profile and of those under it.
    pub overrides: Vec<(String, String)>,
    /// The repository, as written, unless it is the default one.
    pub repo: Option<String>,
    /// The branch's default.
    pub default_branch: String,
    /// `env_file`, as written.
    pub env_file: Option<String>,
    /// The included file that it stands in.
    pub include: Option<String>,
}

/// A digest as hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    hex_of(&Sha256::digest(bytes))
}

/// Bytes as hex.
#[must_use]
pub fn hex_of(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut made, byte| {
        write!(made, "{byte:02x}").expect("a String takes all");
        made
    })
}

/// A list as one text that cannot be taken for another list's.
#[must_use]
pub fn listed(list: &[String]) -> String {
    serde_json::to_string(&list.iter().map(|text| shown(text)).collect::<Vec<_>>())
        .expect("texts are JSON")
}

/// The values of a session by class.
#[must_use]
pub fn applied(session: &Session, beside: &Beside) -> Applied {
    let restart = restart(session, beside);
    Applied {
        spec: Some(spec(&restart)),
        restart,
        recreate: recreate(session, beside),
        in_place: in_place(session, beside),
        noted: noted(session),
        builtin: match &session.program {
            Program::Agent(profile) => Some(profile.builtin.clone()),
            _ => None,
        },
        parting: parting(session),
    }
}

/// Inserts what is there.
fn put(map: &mut BTreeMap<String, String>, field: &str, value: Option<String>) {
    if let Some(value) = value {
        map.insert(field.to_owned(), value);
    }
}

fn some_list(list: &[String]) -> Option<String> {
    (!list.is_empty()).then(|| listed(list))
}

fn restart(session: &Session, beside: &Beside) -> BTreeMap<String, String> {
    let mut map: BTreeMap<String, String> = beside.overrides.iter().cloned().collect();
    put(&mut map, "agent", beside.agent.clone());
    match &session.program {
        Program::ShellCommand(text) => put(&mut map, "command", Some(shown(text))),
        Program::Argv(argv) => put(&mut map, "command", Some(listed(argv))),
        Program::Agent(_) | Program::Shell => {}
    }
    put(&mut map, "wrap", some_list(&session.wrap));
    put(&mut map, "model", session.model.clone());
    put(&mut map, "mode", session.mode.map(|mode| mode.word().to_owned()));
    put(&mut map, "args", some_list(&session.args));
    put(&mut map, "env_file", beside.env_file.clone());
    let cwd = session.cwd.display().to_string();
    put(&mut map, "cwd", (cwd != ".").then_some(cwd));
    for (name, value) in &session.env {
        let digest = hex(value.as_bytes());
        map.insert(format!("env.{name}"), format!("#{}", &digest[..12]));
    }
    if session.on_prompt_change == OnPromptChange::Restart {
        put(&mut map, "prompt", session.prompt.as_deref().map(shown));
    }
    map
}

/// The digest of the restart-class values; each part is preceded by its length.
fn spec(restart: &BTreeMap<String, String>) -> Spec {
    let mut digest = Sha256::new();
    for part in restart.iter().flat_map(|(field, value)| [field, value]) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    Spec(format!("1:{}", &hex_of(&digest.finalize())[..16]))
}

fn recreate(session: &Session, beside: &Beside) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    put(&mut map, "repo", beside.repo.clone());
    match &session.worktree {
        Worktree::Own { branch, .. } => {
            let own = branch.as_deref() != Some(beside.default_branch.as_str());
            let shown = branch.clone().unwrap_or_else(|| "none".to_owned());
            put(&mut map, "branch", own.then_some(shown));
        }
        Worktree::Repository => put(&mut map, "worktree", Some("false".to_owned())),
        Worktree::Shared(owner) => put(&mut map, "worktree", Some(owner.to_string())),
    }
    map
}

fn in_place(session: &Session, beside: &Beside) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    put(&mut map, INCLUDE, beside.include.clone());
    ends(&mut map, session);
    put(&mut map, "ports", some_list(&session.ports));
    let on_change = match session.on_change {
        OnChange::Idle => "idle",
        OnChange::Now => "now",
        OnChange::Manual => "manual",
    };
    let default = if session.is_shell() { OnChange::Now } else { OnChange::Idle };
    put(&mut map, "on_change", (session.on_change != default).then(|| on_change.to_owned()));
    let restarts = session.on_prompt_change == OnPromptChange::Restart;
    put(&mut map, "on_prompt_change", restarts.then(|| "restart".to_owned()));
    put(&mut map, "protect", session.protect.then(|| "true".to_owned()));
    put(
        &mut map,
        "resume",
        match session.resume {
            Resume::Preferred => None,
            Resume::Required => Some("required".to_owned()),
            Resume::Never => Some("never".to_owned()),
        },
    );
    for (name, value) in &session.labels {
        map.insert(format!("labels.{name}"), value.clone());
    }
    // What ends a session must be at hand when its text is gone: a change is recorded at once.
    let teardown = session.teardown.as_ref();
    put(&mut map, "teardown", teardown.map(|commands| listed(&commands.run)));
    let timeout = teardown.map(|commands| commands.timeout.as_secs()).filter(|limit| *limit != 600);
    put(&mut map, "teardown.timeout", timeout.map(|limit| format!("{limit}s")));
    map
}

/// What begins and ends a run by itself.
fn ends(map: &mut BTreeMap<String, String>, session: &Session) {
    let needed = session.depends_on.iter().map(|needed| match needed.need {
        Need::Started => needed.on.to_string(),
        need => format!("{}: {}", needed.on, need.word()),
    });
    put(map, "depends_on", some_list(&needed.collect::<Vec<_>>()));
    put(
        map,
        "restart",
        match session.restart {
            Restart::OnFailure => None,
            Restart::Always => Some("always".to_owned()),
            Restart::Never => Some("never".to_owned()),
        },
    );
    let (set, usual) = (&session.backoff, Backoff::default());
    let other = |set: Duration, usual: Duration| (set != usual).then(|| spelled(set));
    put(map, "restart.first", other(set.first, usual.first));
    put(map, "restart.max", other(set.max, usual.max));
    put(map, "restart.reset", other(set.reset, usual.reset));
    let same = (set.starts, set.within) == (usual.starts, usual.within);
    let within = || format!("{} within {}", set.starts, spelled(set.within));
    put(map, "restart.give_up", (!same).then(within));
    if let Some(ready) = &session.ready {
        let (field, value) = match &ready.probe {
            Probe::Screen(regex) => ("ready.screen", regex.clone()),
            Probe::Command(text) => ("ready.command", shown(text)),
            Probe::Port(Port::Number(port)) => ("ready.port", port.to_string()),
            Probe::Port(Port::Named(port)) => ("ready.port", port.clone()),
        };
        put(map, field, Some(value));
        put(map, "ready.timeout", other(ready.timeout, super::ends::READY));
    }
    put(map, "stop_after.idle", session.stop_after.idle.map(spelled));
    put(map, "stop_after.age", session.stop_after.age.map(spelled));
    put(map, "until", session.until.map(|Until::Merged| "merged".to_owned()));
}

/// A duration as the file would have it.
fn spelled(time: Duration) -> String {
    let seconds = time.as_secs();
    for (unit, long) in [('h', 3_600), ('m', 60)] {
        if seconds >= long && seconds.is_multiple_of(long) {
            return format!("{}{unit}", seconds / long);
        }
    }
    format!("{seconds}s")
}

fn noted(session: &Session) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    if session.on_prompt_change == OnPromptChange::Ignore {
        put(&mut map, "prompt", session.prompt.as_deref().map(shown));
    }
    if let Worktree::Own { base, .. } = &session.worktree {
        put(&mut map, "base", base.clone());
    }
    put(&mut map, "setup", session.setup.as_ref().map(|commands| listed(&commands.run)));
    put(&mut map, "files.copy", some_list(&session.files.copy));
    put(&mut map, "files.link", some_list(&session.files.link));
    map
}

fn parting(session: &Session) -> Parting {
    let (run, timeout) = match &session.teardown {
        Some(commands) => (commands.run.clone(), commands.timeout.as_secs()),
        None => (Vec::new(), 0),
    };
    let keys = match &session.program {
        Program::Agent(profile) => profile.keys.clone(),
        _ => crate::agent::profile::Keys::default(),
    };
    Parting {
        teardown: run,
        teardown_timeout: timeout,
        interrupt: keys.interrupt,
        quit: keys.quit,
        depends_on: session.depends_on.iter().map(|needed| needed.on.clone()).collect(),
        shell: session.is_shell(),
        interactive: session.program == Program::Shell,
    }
}
