//! The tmux server of a simulated machine. Invariant: a name, an id or a dead pane is taken only by what may
//! take it, as tmux has it.

use super::failed;
use crate::name::{Name, Uid};
use crate::snapshot::{
    Company, Evidence, LaunchFailureReason, Mark, Marked, Observed, Pane, PaneId, PaneState,
    Server, ServerId,
};
use crate::world::{ActError, Done, EndRun, StartPane};
use std::collections::BTreeMap;

/// A tmux server, or the place where one may come.
#[derive(Debug, Clone, Default)]
pub struct Terminal {
    /// All panes, when it runs.
    pub panes: Vec<Pane>,
    /// What runs in panes that are not idle shells, other than agents.
    pub commands: BTreeMap<PaneId, String>,
    /// How programs fare; those that are not in here run on.
    pub fates: BTreeMap<Name, Fate>,
    running: Option<u32>,
    servers: u32,
    made: u32,
}

/// How a program fares once it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It exits at once.
    Exits(i32),
    /// It does not come to that.
    Fails(LaunchFailureReason),
}

impl Terminal {
    /// The server that runs now.
    #[must_use]
    pub fn server(&self) -> Option<ServerId> {
        let pid = self.running?;
        Some(ServerId { pid, started: 1_700_000_000 + i64::from(pid), boot: "boot-1".into() })
    }

    pub(super) fn look(&self) -> Observed<Server> {
        match self.server() {
            Some(id) => Observed::Known(Server { id, panes: self.panes.clone() }),
            None if self.servers > 0 => Observed::Absent(Evidence::ServerDied),
            None => Observed::Absent(Evidence::NoServer),
        }
    }

    /// Ends the server and all that runs in it.
    pub fn die(&mut self) {
        self.running = None;
        self.panes.clear();
        self.commands.clear();
    }

    /// Makes a pane of the user's: in a session of this name, which is made when it is not there.
    pub fn open(&mut self, session: &str, command: Option<&str>) -> PaneId {
        self.wake();
        let pane = self.pane(session, Marked::No, None);
        let id = pane.id.clone();
        if let Some(command) = command {
            self.commands.insert(id.clone(), command.into());
        }
        self.panes.push(pane);
        id
    }

    /// Starts the server when there is none.
    pub fn wake(&mut self) -> ServerId {
        let servers = &mut self.servers;
        let pid = *self.running.get_or_insert_with(|| {
            *servers += 1;
            4000 + *servers
        });
        ServerId { pid, started: 1_700_000_000 + i64::from(pid), boot: "boot-1".into() }
    }

    fn pane(&mut self, session: &str, mark: Marked, window: Option<String>) -> Pane {
        self.made += 1;
        let made = self.made;
        let beside = self.panes.iter().find(|pane| pane.session_name == session);
        Pane {
            id: PaneId(format!("%{made}")),
            window: window.unwrap_or_else(|| format!("@{made}")),
            session: beside.map_or_else(|| format!("${made}"), |pane| pane.session.clone()),
            session_name: session.into(),
            pid: 10_000 + made,
            state: PaneState::Alive,
            mark,
            attached: false,
        }
    }

    /// What a start gives that was done already.
    pub(super) fn running(&self, mark: &Mark) -> Option<Done> {
        let pane = self.panes.iter().find(|pane| {
            matches!(&pane.mark, Marked::Yes(there) if there.uid == mark.uid && there.run == mark.run)
        })?;
        Some(Done::Started { server: self.server()?, pane: pane.id.clone(), pid: pane.pid })
    }

    pub(super) fn start(
        &mut self,
        start: &StartPane,
        stale: bool,
        missing: bool,
    ) -> Result<(Done, Option<LaunchFailureReason>), ActError> {
        let mark = Marked::Yes(start.mark.clone());
        let (session, window) = match &start.over {
            Some(over) => {
                let old = self.ours(over, start.mark.uid)?;
                if old.state == PaneState::Alive {
                    return Err(ActError::Changed("the pane".into()));
                }
                (old.session_name.clone(), Some(old.window.clone()))
            }
            None if self.panes.iter().any(|pane| pane.session_name == start.tmux_name) => {
                return Err(failed("tmux new-session", "duplicate session"));
            }
            None => (start.tmux_name.clone(), None),
        };
        let server = self.wake();
        let mut pane = self.pane(&session, mark, window.clone());
        let fate = self.fates.get(&start.mark.session).copied();
        let failure = match fate {
            _ if missing => Some(LaunchFailureReason::Directory),
            Some(Fate::Fails(reason)) => Some(reason),
            Some(Fate::Exits(_)) | None => None,
        };
        pane.state = match fate {
            _ if stale || failure.is_some() => PaneState::Exited(1),
            Some(Fate::Exits(status)) => PaneState::Exited(status),
            Some(Fate::Fails(_)) | None => PaneState::Alive,
        };
        // The new window takes the place of the old one, whatever else was in that.
        self.panes.retain(|old| Some(&old.window) != window.as_ref());
        let (id, pid) = (pane.id.clone(), pane.pid);
        self.panes.push(pane);
        Ok((Done::Started { server, pane: id, pid }, failure))
    }

    /// A pane of ours, or the refusal.
    pub(super) fn ours(&mut self, id: &PaneId, uid: Uid) -> Result<&mut Pane, ActError> {
        let ours = |pane: &&mut Pane| {
            &pane.id == id && matches!(&pane.mark, Marked::Yes(mark) if mark.uid == uid)
        };
        self.panes.iter_mut().find(ours).ok_or_else(|| ActError::Changed("the pane".into()))
    }

    pub(super) fn remark(&mut self, id: &PaneId, mark: &Mark) -> Result<Done, ActError> {
        self.ours(id, mark.uid)?.mark = Marked::Yes(mark.clone());
        Ok(Done::Plain)
    }

    pub(super) fn unmark(&mut self, id: &PaneId, uid: Uid) -> Result<Done, ActError> {
        if self.panes.iter().any(|pane| &pane.id == id && pane.mark == Marked::No) {
            return Ok(Done::Plain);
        }
        self.ours(id, uid)?.mark = Marked::No;
        Ok(Done::Plain)
    }

    pub(super) fn end_run(&mut self, end: &EndRun) -> Result<Done, ActError> {
        let pane = self.ours(&end.pane, end.uid)?;
        if pane.state == PaneState::Alive {
            pane.state = PaneState::Killed(15);
        }
        Ok(Done::Left(Vec::new()))
    }

    pub(super) fn remove(&mut self, id: &PaneId, uid: Uid) -> Result<Done, ActError> {
        if !self.panes.iter().any(|pane| &pane.id == id) {
            return Ok(Done::Plain);
        }
        let session = self.ours(id, uid)?.session.clone();
        self.panes.retain(|pane| &pane.id != id);
        let (panes, commands) = (&self.panes, &self.commands);
        let busy = panes.iter().any(|pane| {
            pane.session == session
                && (commands.contains_key(&pane.id) || matches!(pane.mark, Marked::Yes(_)))
        });
        if !busy {
            self.panes.retain(|pane| pane.session != session);
        }
        if self.panes.is_empty() {
            self.die();
        }
        Ok(Done::Plain)
    }

    pub(super) fn company(&self, id: &PaneId) -> Option<Company> {
        let ours = self.panes.iter().find(|pane| &pane.id == id)?;
        let beside =
            || self.panes.iter().filter(|pane| pane.session == ours.session && &pane.id != id);
        let commands = |same_window: bool| {
            let there = beside().filter(move |pane| (pane.window == ours.window) == same_window);
            there.filter_map(|pane| self.commands.get(&pane.id).cloned()).collect::<Vec<_>>()
        };
        Some(Company {
            command: self.commands.get(id).cloned().unwrap_or_default(),
            working: self.commands.contains_key(id),
            window: commands(true),
            session: commands(false),
            idle_shells: beside().filter(|pane| !self.commands.contains_key(&pane.id)).count(),
        })
    }
}
