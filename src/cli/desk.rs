//! Everything that a verb about a fleet needs, opened once: manifest, store, world. Invariant: opening it
//! changes nothing.

use super::context::Context;
use super::early::{Early, Purpose};
use super::output;
use crate::error::{Exit, Failure, Trouble};
use crate::git::Git;
use crate::manifest::fleet::Fleet;
use crate::manifest::problem::nearest;
use crate::name::{Name, Uid};
use crate::paths::Paths;
use crate::plan::{Plan, Policy};
use crate::process::{self, Child, alive};
use crate::reconcile::execute::Site;
use crate::reconcile::{House, survey};
use crate::record::Records;
use crate::render::View;
use crate::snapshot::Snapshot;
use crate::store::{Lock, Store, StoreError};
use crate::tmux::{Login, Options, Tmux};
use crate::world::World;
use crate::world::live::Live;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long an agent is given for its quit keys, and again for TERM.
const GRACE: Duration = Duration::from_secs(5);

/// A fleet with all that belongs to it.
pub struct Desk {
    /// The surroundings.
    pub context: Context,
    /// The manifest's canonical path.
    pub manifest: PathBuf,
    /// The desired state.
    pub fleet: Fleet,
    /// The fleet's files.
    pub paths: Paths,
    /// The tmux socket that the manifest names.
    pub socket: PathBuf,
    /// What is remembered.
    pub records: Records,
    /// The manifest that the fleet was last applied from.
    pub applied_from: Option<PathBuf>,
    /// The socket that the fleet lives on.
    pub recorded_socket: Option<PathBuf>,
    /// The machine.
    pub live: Live,
    /// What goes into marks and launch files.
    pub house: House,
    /// The fleet's lock, when it was taken before the store was read.
    pub lock: Option<Lock>,
    /// The session in whose run this program is.
    pub inside: Option<Inside>,
}

/// A session of a fleet, this one or another, from within.
#[derive(Debug, Clone)]
pub struct Inside {
    /// Which incarnation.
    pub uid: Uid,
    /// Its name, if a store knows it.
    pub name: Option<Name>,
    /// It is a shell or a plain command, and so its human's.
    pub shell: bool,
}

impl Desk {
    /// Loads the manifest, reads the store and prepares the drivers.
    ///
    /// # Errors
    /// Usage for an invalid manifest; what keeps the store from being read.
    pub fn open(context: Context) -> Result<Self, Failure> {
        Self::open_for(context, Purpose::Later)
    }

    /// The same, with the lock taken first where that is possible and wanted.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_for(context: Context, purpose: Purpose) -> Result<Self, Failure> {
        let manifest = context.manifest()?;
        let early = Early::begin(&context, &manifest, purpose);
        let fleet = super::load(&context, &manifest)?;
        for frozen in &fleet.frozen {
            let held = "what may be its sessions is held";
            output::warn(&format!("include {} is invalid: {}; {held}", frozen.file, frozen.why));
        }
        let socket = context.socket(&fleet.settings.socket)?;
        let paths = Paths::new(context.fleet_state(fleet.name.as_str()));
        let (lock, early) = early.map_or((None, None), |early| early.of(&fleet.name, &socket));
        let known = match remembered(&paths, &context.machine) {
            Err(StoreError::Older { .. }) if context.writes => {
                update(&paths, &context, lock.as_ref())?;
                remembered(&paths, &context.machine)
            }
            known => known,
        };
        let (records, applied_from, recorded_socket) = known.map_err(|error| Failure {
            // What is not known is neither "no difference" nor "differences".
            exit: Exit::CannotObserve,
            ..Failure::from(error)
        })?;
        let live = Live { early, ..live(&context, &paths, (&socket, &records))? };
        let house = House {
            installation: context.installation.clone(),
            manifest: manifest.clone(),
            shell: context.shell.clone(),
            paths: paths.clone(),
            user: context.user.clone(),
            grace: GRACE,
        };
        let inside = context.inside.and_then(|uid| inside(&context, &records, uid));
        Ok(Self {
            inside,
            context,
            manifest,
            fleet,
            paths,
            socket,
            records,
            applied_from,
            recorded_socket,
            live,
            house,
            lock,
        })
    }

    /// A policy for which nothing beyond the file is asked.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            inside: self.inside.as_ref().map(|inside| inside.uid),
            agent_state: self.paths.agent_states(),
            ..Policy::new(self.context.installation.clone())
        }
    }

    /// Looks and plans for a verb that only reads.
    ///
    /// # Errors
    /// Refused: the fleet lives on another tmux socket than the file names.
    pub fn look(&mut self) -> Result<(Snapshot, Plan), Failure> {
        super::guard::refuse_other_socket(self)?;
        let policy = self.policy();
        Ok(self.survey(&policy))
    }

    /// Looks and plans again, with what the file and the store say by now. A file that is invalid or another
    /// fleet's by now changes nothing: the one that was read last counts on.
    ///
    /// # Errors
    /// What keeps the store from being read, or the fleet from being looked at.
    pub fn look_again(&mut self) -> Result<Plan, Failure> {
        let (records, applied_from, socket) = remembered(&self.paths, &self.context.machine)?;
        self.live.last.clone_from(&records.server);
        (self.records, self.applied_from, self.recorded_socket) = (records, applied_from, socket);
        match super::try_load(&self.context, &self.manifest)? {
            Ok(fleet) if fleet.name == self.fleet.name => self.fleet = fleet,
            Ok(_) | Err(_) => tracing::debug!("the manifest read last counts on"),
        }
        Ok(self.look()?.1)
    }

    /// What a pass under this policy works on and with.
    pub fn site<'a>(&'a mut self, store: &'a mut Store, policy: &'a Policy) -> Site<'a, Live> {
        Site { world: &mut self.live, store, house: &self.house, fleet: &self.fleet, policy }
    }

    /// Looks and plans. Changes nothing.
    pub fn survey(&mut self, policy: &Policy) -> (Snapshot, Plan) {
        survey(&mut self.live, &self.fleet, &self.records, policy)
    }

    /// For whom the output is rendered.
    #[must_use]
    pub fn view(&self) -> View {
        self.context.view(self.live.now())
    }

    /// The names of sessions, checked against file and store.
    ///
    /// # Errors
    /// Usage: a name is neither in the file nor live.
    pub fn names(&self, given: &[String]) -> Result<BTreeSet<Name>, Failure> {
        given.iter().map(|text| self.name(text)).collect()
    }

    /// One session's name, given as `NAME` or `FLEET/NAME`.
    ///
    /// # Errors
    /// Usage: it is neither in the file nor live.
    pub fn name(&self, given: &str) -> Result<Name, Failure> {
        let long = format!("{}/", self.fleet.name);
        let short = given.strip_prefix(&long).unwrap_or(given);
        let known = |name: &Name| {
            self.fleet.sessions.contains_key(name) || self.records.by_name(name).is_some()
        };
        match short.parse::<Name>() {
            Ok(name) if known(&name) => Ok(name),
            Ok(_) | Err(_) => Err(self.unknown(short)),
        }
    }

    /// The line of a session's entry in the file; `None` where only the parsed file knows it.
    #[must_use]
    pub fn line_of(&self, name: &Name) -> Option<usize> {
        let text = std::fs::read_to_string(&self.manifest).ok()?;
        let begins = |line: &str| {
            let line = line.trim_start();
            line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(':'))
        };
        let sessions = text.lines().position(|line| line.starts_with("sessions:"))?;
        let after = text.lines().skip(sessions + 1).position(begins)?;
        Some(sessions + 1 + after + 1)
    }

    fn unknown(&self, given: &str) -> Failure {
        if self.records.tombstones.iter().any(|stone| stone.record.name.as_str() == given) {
            let back = self.view().command(&format!("restore {given}"));
            return Failure::new(Exit::Usage, format!("{given} is in the trash"))
                .with_help(format!("bring it back: {back}"));
        }
        let live = self.records.sessions.values().map(|record| &record.name);
        let names = self.fleet.sessions.keys().chain(live).map(Name::as_str);
        let nearest = nearest(given, names).map(str::to_owned);
        Failure::from(Trouble::NoSession { name: given.to_owned(), nearest })
    }
}

/// What the store knows: records, the manifest applied from, the socket lived on.
type Remembered = (Records, Option<PathBuf>, Option<PathBuf>);

/// Brings a store that an older fleetctl has left to the present format. One that somebody else is writing to
/// stays as it is, and is refused as it is read.
fn update(paths: &Paths, context: &Context, held: Option<&Lock>) -> Result<(), StoreError> {
    let directory = paths.directory();
    let taken = if held.is_none() { Lock::acquire(directory).ok() } else { None };
    match held.or(taken.as_ref()) {
        Some(lock) => Store::open_to_write(directory, lock, &context.machine).map(drop),
        None => Ok(()),
    }
}

fn remembered(paths: &Paths, machine: &str) -> Result<Remembered, StoreError> {
    let Some(store) = Store::open_to_read(paths.directory())? else {
        return Ok(Remembered::default());
    };
    store.refuse_other_machine(machine)?;
    Ok((store.records()?, store.manifest()?, store.socket()?))
}

/// The session that this program runs in. `FLEET_UID` alone does not tell: tmux gives it to the panes that a
/// human opens beside ours too. An agent's own processes are of its kernel session, or have no `TMUX_PANE`,
/// which the launch removes.
fn inside(context: &Context, records: &Records, uid: Uid) -> Option<Inside> {
    let record = records.sessions.get(&uid).cloned().or_else(|| {
        let known = context.known_fleets();
        known.iter().find_map(|(fleet, _)| {
            let store = Store::open_to_read(&context.fleet_state(fleet)).ok().flatten()?;
            store.records().ok()?.sessions.remove(&uid)
        })
    });
    let session = alive::stat(std::process::id()).ok().flatten().map(|own| own.session);
    let runtime = record.as_ref().and_then(|record| record.runtime.as_ref());
    let own = runtime.is_some_and(|runtime| Some(runtime.pid) == session);
    if !own && context.env.contains_key("TMUX_PANE") {
        return None;
    }
    Some(Inside {
        uid,
        shell: record.as_ref().is_some_and(|record| record.applied.parting.shell),
        name: record.map(|record| record.name),
    })
}

/// The drivers for one fleet.
fn live(
    context: &Context,
    paths: &Paths,
    (socket, records): (&PathBuf, &Records),
) -> Result<Live, Failure> {
    let options = options(context, socket)?;
    Ok(Live {
        tmux: Tmux::new(options.clone()),
        options,
        git: Git::new(),
        paths: paths.clone(),
        program: context.program.clone(),
        last: records.server.clone(),
        env: context.env.clone(),
        panes: Vec::new(),
        early: None,
        halt: Arc::default(),
    })
}

/// How the tmux server on a socket is reached.
///
/// # Errors
/// tmux is not installed.
pub fn options(context: &Context, socket: &Path) -> Result<Options, Failure> {
    let path = context.env.get("PATH").map_or_else(Default::default, OsString::from);
    let program = process::find_program("tmux", &path)
        .ok_or_else(|| Failure::from(Trouble::Missing { program: "tmux" }))?;
    Ok(Options {
        program,
        socket: socket.to_owned(),
        config: None,
        login: Login::of(&context.os_env()),
        boot: context.boot.clone(),
    })
}

/// Whether tmux and git answer, for `version`.
#[must_use]
pub fn versions() -> Vec<String> {
    [("tmux", "-V"), ("git", "--version")]
        .iter()
        .map(|(program, flag)| match Child::new(program).arg(flag).run() {
            Ok(ended) => String::from_utf8_lossy(&ended.stdout).trim().to_owned(),
            Err(error) => error.to_string(),
        })
        .collect()
}
