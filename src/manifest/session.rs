//! One session, from its fields to what is desired. Owns what runs in it and where, and which fields reach
//! it; single values are in `values`, what concerns several sessions is in `check`. Invariant: it always
//! gives a session; where a value was wrong a default stands in, and a problem was collected.

use super::applied::Beside;
use super::ends::Awaited;
use super::fields::{AGENT_ONLY, Field, Fields, Refusal, WORKTREE_ONLY};
use super::fleet::{Desired, OnChange, Program, Repo, Resume, Session, Until, Worktree};
use super::ground::Ground;
use super::problem::{Code, Problem};
use super::profiles::{Agents, unknown_agent};
use super::raw::Kind;
use super::read::{Here, Reader, Written};
use super::repos::Repos;
use super::source::At;
use super::template::{Allow, Scope};
use crate::name::Name;
use crate::record::Applied;

/// A session and where the parts of it stand that other sessions bear on.
#[derive(Debug)]
pub struct Placed {
    /// The session.
    pub session: Session,
    /// Its name.
    pub key: At,
    /// `worktree`.
    pub worktree: Option<At>,
    /// `branch`.
    pub branch: Option<At>,
    /// `repo`, if it was written in the session itself.
    pub repo: Option<At>,
    /// Each of `depends_on`, as written.
    pub depends_on: Vec<Awaited>,
    /// What its `applied` needs beside the session.
    pub beside: Beside,
}

/// What all sessions share.
#[derive(Debug)]
pub struct Common<'s> {
    /// The fleet.
    pub fleet: &'s Name,
    /// The profiles.
    pub agents: &'s Agents,
    /// The repositories.
    pub repos: &'s Repos,
    /// The fleet has a pool of ports.
    pub pooled: bool,
}

/// A session in the making.
pub struct Making<'m, 'n, 'a, 'f> {
    /// What all share.
    pub common: &'m Common<'m>,
    /// Its fields.
    pub fields: Fields<'n, 'a>,
    /// The reader.
    pub reader: &'m mut Reader<'a>,
    /// The files.
    pub ground: &'m mut Ground<'f>,
    /// Its variables.
    pub scope: Scope<'m>,
}

impl<'m, 'n, 'a> Making<'m, 'n, 'a, '_> {
    /// Makes it.
    pub fn make(mut self, name: &Name, key: At) -> Placed {
        let default_branch = format!("{}/{name}", self.common.fleet);
        let mut beside = Beside { default_branch, ..Beside::default() };
        let program = self.program(key, &mut beside);
        if !matches!(program, Program::Agent(_)) {
            self.fields.refuse(&AGENT_ONLY, Refusal::Shell, self.reader);
        }
        let own_repo = self.fields.get("repo").filter(|field| field.own).map(|field| field.node.at);
        let at = |fields: &Fields, name| fields.node(name).map(|node| node.at);
        let (worktree, branch) = (at(&self.fields, "worktree"), at(&self.fields, "branch"));
        let repo = self.repo(&mut beside);
        let session = self.session(name, program, repo, &mut beside);
        let depends_on = self.depends_on();
        Placed { session, key, worktree, branch, repo: own_repo, depends_on, beside }
    }

    fn session(
        &mut self,
        name: &Name,
        program: Program,
        repo: Repo,
        beside: &mut Beside,
    ) -> Session {
        let worktree = self.worktree(&beside.default_branch);
        let env_file = self.text("env_file", Allow::Early).map(|text| text.value);
        let default_change = match program {
            Program::Agent(_) => OnChange::Idle,
            _ => OnChange::Now,
        };
        let (restart, backoff) = self.restart();
        let session = Session {
            name: name.clone(),
            wrap: self.list("wrap"),
            prompt: self.prompt(&program),
            on_prompt_change: self.on_prompt_change(),
            model: self.model(&program),
            mode: self.mode(&program),
            args: self.list("args"),
            env: self.env(),
            env_file: env_file.as_deref().map(|path| self.ground.path(path)),
            repo,
            worktree,
            cwd: self.cwd(),
            ports: self.ports(),
            files: self.files(),
            setup: self.commands("setup"),
            teardown: self.commands("teardown"),
            state: self.word("state", &STATES).unwrap_or(Desired::Running),
            restart,
            backoff,
            depends_on: Vec::new(),
            ready: self.ready(),
            stop_after: self.stop_after(&program),
            until: self.word("until", &UNTILS),
            on_change: self.word("on_change", &ON_CHANGES).unwrap_or(default_change),
            protect: self.protect(),
            resume: self.word("resume", &RESUMES).unwrap_or(Resume::Preferred),
            labels: self.labels(),
            program,
            applied: Applied::default(),
        };
        beside.env_file = env_file;
        self.check_ready(session.ready.as_ref(), &session.ports);
        session
    }

    /// The variables of a text.
    pub fn here(&self, allow: Allow) -> Here<'m> {
        Here { scope: self.scope, allow }
    }

    /// A text field.
    pub fn text(&mut self, name: &str, allow: Allow) -> Option<Written> {
        let node = self.fields.node(name)?;
        let here = self.here(allow);
        self.reader.text(name, node, here)
    }

    /// A field of words.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&'static str, T)]) -> Option<T> {
        let node = self.fields.node(name)?;
        let here = self.here(Allow::Early);
        self.reader.word(name, node, here, words)
    }

    /// What runs in it: the session's own `agent` or `command`, else the inherited one.
    fn program(&mut self, key: At, beside: &mut Beside) -> Program {
        let command = self.fields.get("command");
        let Some(agent) = self.fields.get("agent") else {
            return match command {
                Some(command) => self.command(command),
                None => {
                    let problem = Problem::new(Code::MissingField, "neither `agent` nor `command`");
                    let help = "say what runs in it: `agent: claude`, or `command: npm run dev`";
                    self.reader.problem(problem.at(key).help(help));
                    Program::Shell
                }
            };
        };
        let Some(text) = self.text("agent", Allow::Early) else { return Program::Shell };
        if text.value == "shell" {
            return command.map_or(Program::Shell, |command| self.command(command));
        }
        if let Some(command) = command {
            let problem = Problem::new(Code::Conflict, "`command` and `agent` exclude each other")
                .at(command.key)
                .also(agent.key, "agent")
                .help("to start the agent through another program, use `wrap`, or `command` under `agents`");
            self.reader.problem(problem);
        }
        match self.common.agents.get(&text.value) {
            Some(found) => {
                beside.overrides.clone_from(&found.overrides);
                beside.agent = Some(text.value);
                Program::Agent(Box::new(found.profile.clone()))
            }
            None => {
                self.reader.problem(unknown_agent(&text.value, text.at, self.common.agents));
                Program::Shell
            }
        }
    }

    fn command(&mut self, command: Field<'n, 'a>) -> Program {
        let here = self.here(Allow::Late);
        self.reader.check_cut("command", command.node);
        if !matches!(command.node.kind, Kind::Seq(_)) {
            let text = self.reader.text("command", command.node, here);
            return text.map_or(Program::Shell, |text| Program::ShellCommand(text.value));
        }
        let argv = self.reader.list("command", command.node, here).unwrap_or_default();
        if argv.first().is_none_or(|program| program.value.is_empty()) {
            let problem = Problem::new(Code::Empty, "`command` names no program");
            self.reader.problem(problem.at(command.node.at));
        }
        Program::Argv(argv.into_iter().map(|text| text.value).collect())
    }

    fn repo(&mut self, beside: &mut Beside) -> Repo {
        let name = self.text("repo", Allow::Early);
        let name = name.as_ref().map(|text| (text.value.as_str(), text.at));
        let chosen = self.common.repos.choose(name, self.reader);
        beside.repo = chosen.written;
        chosen.repo
    }

    /// Where it works; fields that can do nothing there are refused.
    fn worktree(&mut self, default_branch: &str) -> Worktree {
        let text = self.text("worktree", Allow::Early);
        let refusal = match text.as_ref().map(|text| text.value.as_str()) {
            None | Some("true" | "True" | "TRUE") => {
                let base = self.text("base", Allow::Early).map(|text| text.value);
                return Worktree::Own { branch: self.branch(default_branch), base };
            }
            Some("false" | "False" | "FALSE") => Refusal::Repository,
            Some(_) => Refusal::Shared,
        };
        self.fields.refuse(&WORKTREE_ONLY, refusal, self.reader);
        match (refusal, text) {
            (Refusal::Shared, Some(text)) => match text.value.parse() {
                Ok(owner) => Worktree::Shared(owner),
                Err(_) => {
                    let message = "`worktree` is true, false, or the name of a session";
                    self.reader.problem(Problem::new(Code::BadValue, message).at(text.at));
                    Worktree::Repository
                }
            },
            _ => Worktree::Repository,
        }
    }

    fn branch(&mut self, default: &str) -> Option<String> {
        let Some(text) = self.text("branch", Allow::Early) else { return Some(default.to_owned()) };
        if text.value == "none" {
            return None;
        }
        if !is_branch(&text.value) {
            let help = "a branch as `git branch` takes it, or `none` for a detached HEAD";
            let problem = Problem::new(Code::BadName, "`branch` is no name of a branch");
            self.reader.problem(problem.at(text.at).help(help));
        }
        Some(text.value)
    }
}

const STATES: [(&str, Desired); 2] = [("running", Desired::Running), ("stopped", Desired::Stopped)];
const UNTILS: [(&str, Until); 1] = [("merged", Until::Merged)];
const ON_CHANGES: [(&str, OnChange); 3] =
    [("idle", OnChange::Idle), ("now", OnChange::Now), ("manual", OnChange::Manual)];
const RESUMES: [(&str, Resume); 3] =
    [("preferred", Resume::Preferred), ("required", Resume::Required), ("never", Resume::Never)];

/// The rules of `git check-ref-format --branch`.
fn is_branch(name: &str) -> bool {
    let odd = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\')
    };
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !name.contains(odd)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !matches!(name, "@" | "HEAD")
        && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::is_branch;

    #[test]
    fn branches_are_checked_as_git_does() {
        for good in ["main", "a/b", "shop/fix-1", "ü", "a.b", "@a"] {
            assert!(is_branch(good), "{good}");
        }
        for bad in [
            "", "/a", "a/", "a//b", "a b", "a..b", "-a", "a.lock", "a/.b", "a:b", "@", "a@{1}",
            "HEAD",
        ] {
            assert!(!is_branch(bad), "{bad}");
        }
    }
}
