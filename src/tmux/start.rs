//! Making panes with their marks. Owns the command list of a create and of a restart, and what their
//! results mean; decides nothing. Invariant: a pane is marked in the list that makes it, and a list whose
//! result is not clear is looked at, never assumed.

use super::command::List;
use super::control::{Control, Reply};
use super::parse::ANCHOR;
use super::{OPTION, Tmux, TmuxError, exact, mark, ours};
use crate::causes::in_one_line;
use crate::snapshot::{Marked, Observed, PaneId, PaneState, Server, ServerId};
use crate::world::{ActError, Done, StartPane};

/// From this many on, one control-mode client makes them all.
const MANY: usize = 8;
/// What a pane that was made is announced with.
const MADE: &str = "fleetctl-made";
/// What a refused guard says.
const CHANGED: &str = "fleetctl-changed";

/// A pane to be made, and what runs in it.
#[derive(Debug, Clone)]
pub struct StartSpec {
    /// The pane.
    pub pane: StartPane,
    /// The program and its arguments, two words at least: tmux hands a single one to a shell.
    pub argv: Vec<String>,
}

impl Tmux {
    /// Makes these panes, in this order, and the server if there is none. Done already where a pane with
    /// the same uid and run lives.
    pub fn start(&self, specs: &[StartSpec]) -> Vec<Result<Done, ActError>> {
        let lists: Vec<Result<List, ActError>> = specs.iter().map(|spec| self.list(spec)).collect();
        let ready: Vec<List> =
            lists.iter().filter_map(|list| list.as_ref().ok().cloned()).collect();
        let mut replies = self.run_all(&ready).into_iter();
        let mut seen = None;
        let results = specs.iter().zip(lists).map(|(spec, list)| {
            list?;
            let reply = replies.next().unwrap_or(Reply::NotSent);
            self.made(&reply).map_or_else(|| self.explain(spec, &reply, &mut seen), Ok)
        });
        results.collect()
    }

    /// Ends the control-mode client that [`Tmux::start`] keeps for further batches.
    pub fn let_go(&self) {
        if let Ok(mut control) = self.control.lock() {
            *control = None;
        }
    }

    fn list(&self, spec: &StartSpec) -> Result<List, ActError> {
        let failed = |cause: &str| ActError::Failed { what: "start".into(), cause: cause.into() };
        let directory =
            spec.pane.directory.to_str().ok_or_else(|| failed("the path is not UTF-8"))?;
        // tmux takes it for a format.
        let directory = &directory.replace('#', "##");
        if spec.argv.len() < 2 {
            return Err(failed("a single word would be run by a shell"));
        }
        if spec.pane.tmux_name.starts_with(ANCHOR) {
            return Err(failed("the name belongs to fleetctl's own clients"));
        }
        match &spec.pane.over {
            None => Ok(create(spec, directory)),
            Some(pane) => self.replace(spec, directory, pane),
        }
    }

    /// The list that puts a new window in the place of our dead pane's, where nothing has changed since it
    /// was looked at.
    fn replace(&self, spec: &StartSpec, dir: &str, pane: &PaneId) -> Result<List, ActError> {
        let changed = || ActError::Changed(format!("pane {}", pane.0));
        let uid = spec.pane.mark.uid;
        let place = match self.place(pane, uid) {
            Observed::Known(place) => place,
            Observed::Absent(_) => return Ok(List::of(&["display-message", "-p", CHANGED])),
            Observed::Unknown(blind) => {
                return Err(ActError::Failed {
                    what: "tmux list-panes".into(),
                    cause: blind.cause,
                });
            }
        };
        if !place.company.window.is_empty() {
            return Err(changed());
        }
        let window = format!("{}:{}", place.session, place.window);
        let made = format!("{}:{}.{{top-left}}", place.session, place.index);
        let uid_variable = format!("FLEET_UID={uid}");
        let mut command = vec!["new-window", "-k", "-d", "-P", "-F"];
        let announced = announced();
        command.extend([announced.as_str(), "-t", &window, "-c", dir, "-e", &uid_variable, "--"]);
        command.extend(spec.argv.iter().map(String::as_str));
        let mut list = marked(List::of(&command), &made, spec);
        if place.linked {
            // Elsewhere the window lives on, and with it a second pane with this uid.
            list = list.then(&["kill-pane", "-t", &pane.0]);
        }
        let still = format!(
            "#{{&&:#{{pane_dead}},#{{&&:#{{==:#{{window_panes}},{}}},#{{&&:#{{==:#{{window_index}},{}}},{}}}}}}}",
            place.panes,
            place.index,
            ours(pane, uid)
        );
        Ok(list.only_if(&pane.0, &still, CHANGED))
    }

    fn run_all(&self, lists: &[List]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(lists.len());
        let Some(first) = lists.first() else { return replies };
        let mut control = self.control.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if lists.len() < MANY && control.is_none() {
            replies.extend(lists.iter().map(|list| self.run_one(list)));
            return replies;
        }
        if control.is_none() {
            *control = match Control::open(self) {
                Err(TmuxError::NoServer { .. }) => {
                    replies.push(reply(self.begin(first)));
                    Control::open(self).map(Some)
                }
                opened => opened.map(Some),
            }
            .unwrap_or_else(|error| {
                tracing::warn!(error = %in_one_line(&error), "no control-mode client; one call each");
                None
            });
        }
        let rest = &lists[replies.len()..];
        match control.as_mut() {
            None => replies.extend(rest.iter().map(|list| self.run_one(list))),
            Some(client) => {
                replies.extend(client.run(rest));
                if client.is_broken() {
                    *control = None;
                }
            }
        }
        replies
    }

    fn run_one(&self, list: &List) -> Reply {
        match self.call(list) {
            Err(TmuxError::NoServer { .. }) => reply(self.begin(list)),
            answered => reply(answered),
        }
    }

    fn made(&self, reply: &Reply) -> Option<Done> {
        let Reply::Done(lines) = reply else { return None };
        let line = lines.iter().find_map(|line| line.strip_prefix(MADE)?.strip_prefix(' '))?;
        let mut words = line.split(' ');
        let (server, started) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (pane, pid) = (words.next()?, words.next()?.parse().ok()?);
        let server = ServerId { pid: server, started, boot: self.options.boot.clone() };
        Some(Done::Started { server, pane: PaneId(pane.to_owned()), pid })
    }

    /// Looks at what became of a list that did not announce its pane.
    fn explain(
        &self,
        spec: &StartSpec,
        reply: &Reply,
        seen: &mut Option<Observed<Server>>,
    ) -> Result<Done, ActError> {
        let what = "tmux new-session".to_owned();
        match seen.get_or_insert_with(|| self.look(None)) {
            Observed::Known(server) => {
                if let Some(done) = find(server, spec) {
                    return Ok(done);
                }
            }
            Observed::Absent(_) => {}
            Observed::Unknown(blind) => {
                let cause = format!("{}; {}", reply.cause(), blind.cause);
                return Err(match reply {
                    Reply::NotSent => ActError::NotAttempted,
                    _ => ActError::Uncertain { what, cause },
                });
            }
        }
        match reply {
            Reply::NotSent => Err(ActError::NotAttempted),
            Reply::Refused(said) if said.starts_with("duplicate session") => self.claim(spec),
            Reply::Done(lines) if lines.iter().any(|line| line == CHANGED) => {
                let pane = spec.pane.over.as_ref().map_or("?", |pane| &pane.0);
                Err(ActError::Changed(format!("pane {pane}")))
            }
            _ => Err(ActError::Failed { what, cause: reply.cause() }),
        }
    }

    /// The session of our name is there without our mark: it is ours if a create of ours was cut off, which
    /// its environment tells; then it gets the marks.
    fn claim(&self, spec: &StartSpec) -> Result<Done, ActError> {
        let name = &spec.pane.tmux_name;
        let taken = || ActError::Changed(format!("tmux session {name}"));
        if self.session_env_uid(name) != Observed::Known(Some(spec.pane.mark.uid)) {
            return Err(taken());
        }
        let target = first_pane(name);
        let told = List::of(&["display-message", "-p", "-t", &target, &announced()]);
        let list = marked(told, &target, spec).only_if(
            &target,
            &format!("#{{==:#{{{OPTION}}},}}"),
            CHANGED,
        );
        self.made(&reply(self.call(&list))).ok_or_else(taken)
    }
}

/// The list that makes a session with our pane in it. `-E` keeps the caller's environment out of it.
fn create(spec: &StartSpec, directory: &str) -> List {
    let name = spec.pane.tmux_name.as_str();
    let uid_variable = format!("FLEET_UID={}", spec.pane.mark.uid);
    let announced = announced();
    let mut command = vec!["new-session", "-d", "-E", "-P", "-F", &announced, "-s", name];
    command.extend(["-x", "220", "-y", "50", "-c", directory, "-e", &uid_variable, "--"]);
    command.extend(spec.argv.iter().map(String::as_str));
    marked(List::of(&command), &first_pane(name), spec)
}

/// The pane that a session began with, whatever a hook of the user's has added since.
fn first_pane(name: &str) -> String {
    format!("{}^.{{top-left}}", exact(name))
}

fn announced() -> String {
    format!("{MADE} #{{pid}} #{{start_time}} #{{pane_id}} #{{pane_pid}}")
}

/// Adds the options that make a pane ours. tmux itself writes the pane's id into the mark.
fn marked(list: List, target: &str, spec: &StartSpec) -> List {
    list.then(&["set-option", "-p", "-t", target, "remain-on-exit", "on"])
        .then(&mark_command(target, &spec.pane.mark))
}

/// The command that writes a mark.
pub(super) fn mark_command(target: &str, of: &crate::snapshot::Mark) -> Vec<String> {
    let value = format!("{} #{{pane_id}}", mark::encode(of));
    ["set-option", "-p", "-F", "-t", target, OPTION, &value].map(str::to_owned).to_vec()
}

fn find(server: &Server, spec: &StartSpec) -> Option<Done> {
    let wanted = &spec.pane.mark;
    let pane = server.panes.iter().find(|pane| match &pane.mark {
        Marked::Yes(mark) => {
            mark.uid == wanted.uid && mark.run == wanted.run && pane.state == PaneState::Alive
        }
        _ => false,
    })?;
    Some(Done::Started { server: server.id.clone(), pane: pane.id.clone(), pid: pane.pid })
}

fn reply(answer: Result<Vec<u8>, TmuxError>) -> Reply {
    match answer {
        Ok(out) => Reply::Done(String::from_utf8_lossy(&out).lines().map(str::to_owned).collect()),
        Err(TmuxError::Refused { said, .. }) => Reply::Refused(said),
        Err(error) => Reply::Unanswered(in_one_line(&error)),
    }
}
