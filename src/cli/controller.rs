//! `controller`: what the loop is made of here. Owns its signals, its log and its readiness line. Invariant:
//! when it says that it is ready, everything that can be watched is watched.

use super::context::Context;
use super::desk::{Desk, options};
use super::output;
use super::poll::poll;
use super::source::Source;
use super::supervisor::Supervisor;
use super::writing;
use crate::error::{Exit, Failure, Trouble};
use crate::manifest::fleet::{Fleet, Reads};
use crate::plan::{Entry, Pace, Policy, Removals, Verdict};
use crate::reconcile::controller::{Inlets, KeepError, Outlets, Place, keep};
use crate::reconcile::keep::{Keeper, Load, Passed, Seen, Unfit};
use crate::reconcile::turn::{Hello, Line, Listener};
use crate::reconcile::wake::Cause;
use crate::reconcile::watch::{Followed, Hint, Watches, head_of};
use crate::reconcile::{Event, StepResult, alarm};
use crate::render::words::hold::why;
use crate::store::{Lock, LockError};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Keeps the fleet until a signal ends it.
///
/// # Errors
/// Locked when another controller or verb is at work; refused as any verb that changes; what ended the loop.
pub fn run(mut desk: Desk, interval: Duration) -> Result<Exit, Failure> {
    let lock = take_lock(&desk)?;
    let writing = writing::open_with(&mut desk, lock)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| cannot("begin", &error))?;
    let ended = runtime.block_on(keep_fleet(desk, writing, interval));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// A controller waits for nobody's turn: who has the lock is named.
fn take_lock(desk: &Desk) -> Result<Lock, Failure> {
    Lock::acquire(desk.paths.directory()).map_err(|error| match error {
        LockError::Held { pid } => {
            let fleet = desk.fleet.name.clone();
            match Line::call(desk.paths.directory()) {
                Ok(Some(line)) => {
                    let kept = line.hello.manifest.display();
                    let pid = line.hello.pid;
                    Failure::new(
                        Exit::Locked,
                        format!("a controller keeps fleet {fleet} already: pid {pid}, {kept}"),
                    )
                }
                Ok(None) | Err(_) => Failure::from(Trouble::Locked { fleet, pid }),
            }
        }
        LockError::Open { .. } => Failure::because(Exit::Failed, &error),
    })
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the controller cannot {what}: {error}"))
}

async fn keep_fleet(
    desk: Desk,
    writing: writing::Writing,
    interval: Duration,
) -> Result<Exit, Failure> {
    let (store, lock) = writing.apart();
    let directory = desk.paths.directory().to_owned();
    let listener =
        Listener::bind(&directory).map_err(|error| cannot("listen for verbs", &error))?;
    let (hints_in, hints) = mpsc::unbounded_channel();
    let (asking_in, asking) = mpsc::channel(64);
    let (hello_in, hello) = watch::channel(hello(&desk));
    let serving = tokio::spawn(listener.serve(hello, asking_in));
    let (causes_in, causes) = mpsc::unbounded_channel();
    let supervisor = Supervisor::of(&desk.context);
    let heeding = (causes_in.clone(), supervisor.clone());
    let halt = heed_signals(Arc::clone(&desk.live.halt), heeding)
        .map_err(|error| cannot("be told to end", &error))?;
    if let Some(source) = Source::of(&desk.context, &desk.manifest) {
        tokio::spawn(poll(source, desk.context.clone(), interval, causes_in.clone()));
    }
    tokio::spawn(translate(hints, causes_in));
    let alarm = alarm::on_boot_clock().map_err(|error| cannot("have a timer", &error))?;
    let mut inlets = Inlets { hints: causes, asking, halt, alarm };
    let mut place = Place { directory: Some(directory), lock, hello: hello_in };
    tokio::spawn(supervisor.clone().keep_alive());
    let mut teller = Teller::new(&desk, Watches::new(hints_in), supervisor);
    let keeper = keeper(desk, store);
    let ended = keep(keeper, &mut place, &mut inlets, &mut teller).await;
    serving.abort();
    match ended {
        Ok(_) => {
            tracing::info!("ends; the sessions live on");
            Ok(Exit::Done)
        }
        Err(error @ (KeepError::Panicked(_) | KeepError::Lock(_))) => {
            Err(Failure::because(Exit::Failed, &error))
        }
    }
}

fn hello(desk: &Desk) -> Hello {
    Hello {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        manifest: desk.manifest.clone(),
        since: desk.live.now(),
        passes: 0,
        last_pass: None,
        failing: None,
        lent: None,
    }
}

/// SIGTERM and SIGINT end the loop after the running step, SIGHUP wakes it.
fn heed_signals(
    flag: Arc<AtomicBool>,
    (causes, supervisor): (mpsc::UnboundedSender<Cause>, Supervisor),
) -> std::io::Result<watch::Receiver<bool>> {
    let (halt_in, halt) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hup.recv() => hint(&causes, Cause::Hup),
            }
        }
        supervisor.stopping();
        flag.store(true, Ordering::Relaxed);
        halt_in.send_replace(true);
    });
    Ok(halt)
}

fn hint(causes: &mpsc::UnboundedSender<Cause>, cause: Cause) {
    if causes.send(cause).is_err() {
        tracing::debug!(cause = cause.word(), "nobody waits for hints");
    }
}

/// What the watches say, as causes of passes. What cannot be watched is said once, by the watch.
async fn translate(mut hints: mpsc::UnboundedReceiver<Hint>, causes: mpsc::UnboundedSender<Cause>) {
    while let Some(seen) = hints.recv().await {
        match seen {
            Hint::Manifest => hint(&causes, Cause::Manifest),
            Hint::Tmux => hint(&causes, Cause::Tmux),
            Hint::Ended => hint(&causes, Cause::Ended),
            Hint::Blind { what, cause } => {
                tracing::warn!(what, cause, "cannot be watched; it is looked at again and again");
                hint(&causes, Cause::Resync);
            }
        }
    }
}

fn keeper(desk: Desk, store: crate::store::Store) -> Keeper<crate::world::live::Live> {
    let policy = Policy { removals: Removals::WhenDue, pace: Pace::Kept, ..desk.policy() };
    let load = load(&desk);
    let Desk { fleet, live, house, .. } = desk;
    Keeper {
        world: live,
        store,
        house,
        policy,
        fleet,
        load,
        failing: None,
        failed: BTreeMap::new(),
        records: None,
    }
}

/// Reads the manifest anew. A fleet that lives under another name or on another tmux server is another fleet.
fn load(desk: &Desk) -> Load {
    let (context, manifest) = (desk.context.clone(), desk.manifest.clone());
    let (name, socket) = (desk.fleet.name.clone(), desk.socket.clone());
    Box::new(move || {
        refuse_other_target(&context, &manifest)?;
        let loaded = super::try_load(&context, &manifest).map_err(|failure| failure.message)?;
        let fleet: Fleet = loaded.map_err(|problems| {
            let why = first_of(&problems.reports());
            Unfit { why, reads: problems.reads }
        })?;
        if fleet.name != name {
            let now = &fleet.name;
            return Err(format!("the fleet is {now} now; this controller keeps {name}").into());
        }
        match context.socket(&fleet.settings.socket) {
            Ok(now) if now == socket => Ok(fleet),
            Ok(now) => Err(format!(
                "another tmux socket, {}: stop the sessions, end the controller and apply first",
                now.display()
            )
            .into()),
            Err(failure) => Err(failure.message.into()),
        }
    })
}

/// A link that leads to another file now names another manifest, which `apply` has to agree to.
fn refuse_other_target(context: &Context, manifest: &Path) -> Result<(), String> {
    match (context.way_to_manifest(), context.manifest()) {
        (Some(way), Ok(now)) if now != manifest => Err(format!(
            "{} leads to {} now; this controller keeps {}: end it, then apply --take-over",
            way.display(),
            now.display(),
            manifest.display()
        )),
        // One that is gone cannot be read either, which says more.
        _ => Ok(()),
    }
}

fn first_of(reports: &[crate::manifest::problem::Report]) -> String {
    let Some(first) = reports.first() else { return "it is invalid".into() };
    let mut text = match (&first.file, first.line, first.column) {
        (Some(file), Some(line), Some(column)) => format!("{file}:{line}:{column}: "),
        (Some(file), _, _) => format!("{file}: "),
        (None, _, _) => String::new(),
    };
    text.push_str(&first.message);
    if reports.len() > 1 {
        text.push_str(&format!("; and {} more: fleetctl validate", reports.len() - 1));
    }
    text
}

/// What the loop tells, and what it wants watched.
struct Teller {
    watches: Watches,
    followed: Followed,
    supervisor: Supervisor,
    context: Context,
    socket: PathBuf,
    manifest: PathBuf,
    ready: Option<String>,
    /// Why sessions are held, as it was said last.
    held: BTreeMap<String, String>,
}

impl Teller {
    fn new(desk: &Desk, watches: Watches, supervisor: Supervisor) -> Self {
        Self {
            watches,
            followed: Followed::default(),
            supervisor,
            context: desk.context.clone(),
            socket: desk.socket.clone(),
            manifest: desk.manifest.clone(),
            ready: Some(format!(
                "ready: fleet {}, {}, pid {}\n",
                desk.fleet.name,
                desk.manifest.display(),
                std::process::id()
            )),
            held: BTreeMap::new(),
        }
    }

    /// Says each hold once, and again when its reason changes.
    fn tell_holds(&mut self, passed: &Passed) {
        let Some(plan) = &passed.plan else { return };
        let view = self.context.view(plan.seen);
        let mut now = BTreeMap::new();
        for entry in &plan.entries {
            let hold = match &entry.verdict {
                Verdict::Hold(hold) => Some(hold),
                Verdict::Do(_) | Verdict::Synced => entry.deferred.as_ref(),
            };
            let Some(hold) = hold else { continue };
            // Times in the words change by themselves.
            let key = format!("{:?}", std::mem::discriminant(&hold.reason));
            let name = entry.name.to_string();
            if self.held.get(&name) != Some(&key) {
                let text = why(entry, hold, &view).join("; ");
                tracing::info!(session = %name, "held: {text}");
            }
            now.insert(name, key);
        }
        for name in self.held.keys().filter(|name| !now.contains_key(*name)) {
            tracing::info!(session = %name, "held no more");
        }
        self.held = now;
    }
}

impl Outlets for Teller {
    fn event(&self) -> Box<dyn FnMut(Event) + Send> {
        Box::new(log)
    }

    fn passed(&mut self, causes: &BTreeSet<Cause>, passed: &Passed) -> Option<Duration> {
        let causes: Vec<&str> = causes.iter().map(|cause| cause.word()).collect();
        let (causes, steps) = (causes.join("+"), passed.outcome.lines.len());
        let took_ms = passed.took.as_secs_f64() * 1000.0;
        match &passed.error {
            Some(error) => {
                tracing::error!(causes, error = %crate::causes::in_one_line(error), "the pass failed")
            }
            None if steps > 0 => tracing::info!(causes, steps, took_ms, "a pass is over"),
            None => tracing::debug!(causes, took_ms, "nothing to do"),
        }
        self.tell_holds(passed);
        self.supervisor.status(&status(passed));
        self.watches.polling()
    }

    fn follow(&mut self, seen: &Seen) {
        let Reads { mut files, directories } = seen.reads.clone();
        files.extend(head_of(&self.manifest).into_iter().chain(self.context.way_to_manifest()));
        (self.followed.files, self.followed.directories) = (files, directories);
        // What could not be seen is watched as it was.
        if let Some(seen) = &seen.tmux {
            self.followed.tmux = seen.server.clone().and_then(|server| {
                let options = options(&self.context, &self.socket).ok()?;
                Some((options, server))
            });
            self.followed.processes.clone_from(&seen.processes);
        }
        self.watches.follow(&self.followed);
        let Some(line) = self.ready.take() else { return };
        self.supervisor.ready();
        if let Err(failure) = output::out(&line) {
            tracing::debug!(failure.message, "nobody reads that it is ready");
        }
    }
}

/// How the last pass left the fleet, in a few words.
fn status(passed: &Passed) -> String {
    match (&passed.error, &passed.plan) {
        (Some(error), _) => crate::causes::in_one_line(error),
        (None, None) => "no pass yet".to_owned(),
        (None, Some(plan)) => {
            let synced = |entry: &&Entry| matches!(entry.verdict, Verdict::Synced);
            let held = |entry: &&Entry| matches!(entry.verdict, Verdict::Hold(_));
            let (synced, held) =
                (plan.entries.iter().filter(synced), plan.entries.iter().filter(held));
            format!("{} sessions as the file says, {} held", synced.count(), held.count())
        }
    }
}

fn log(event: Event) {
    match event {
        Event::Began { name, verb } => tracing::debug!(session = %name, "{} begins", verb.word()),
        Event::Note(text) => tracing::warn!("{text}"),
        Event::Ended(line) => {
            let (session, verb) = (&line.name, line.verb.word());
            let took_ms = u64::try_from(line.took.as_millis()).unwrap_or(u64::MAX);
            let text = line.result.in_a_line();
            match line.result {
                StepResult::Done(_) => tracing::info!(%session, took_ms, "{verb}: {text}"),
                StepResult::Failed(_) | StepResult::Held(_) | StepResult::NotAttempted(_) => {
                    tracing::warn!(%session, took_ms, "{verb}: {text}");
                }
            }
        }
    }
}
