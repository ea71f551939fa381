//! A controller on a simulated machine, in paused time: what each of its passes was made for and did.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use crate::fleets::{REPO, house, installation, now};
use fleetctl::manifest::fleet::Fleet;
use fleetctl::name::Uid;
use fleetctl::plan::{Pace, Policy, Removals};
use fleetctl::reconcile::controller::{Inlets, Outlets, Place, keep};
use fleetctl::reconcile::keep::{Keeper, Passed, Seen};
use fleetctl::reconcile::turn::{Asking, Hello};
use fleetctl::reconcile::wake::Cause;
use fleetctl::reconcile::{Event, StepResult};
use fleetctl::snapshot::{Answers, Marked, PaneState, Question, Snapshot, Wanted};
use fleetctl::store::Store;
use fleetctl::world::sim::{Forest, Sim};
use fleetctl::world::{Act, ActError, Done, World};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// A machine whose clock goes with the paused time of the test.
#[derive(Clone)]
struct Paused {
    sim: Arc<Mutex<Sim>>,
    begun: Instant,
    passed: Arc<Mutex<Duration>>,
}

impl Paused {
    fn sim(&self) -> MutexGuard<'_, Sim> {
        let mut sim = self.sim.lock().unwrap();
        let elapsed = self.begun.elapsed();
        let mut passed = self.passed.lock().unwrap();
        sim.wait(SignedDuration::try_from(elapsed.saturating_sub(*passed)).unwrap());
        *passed = elapsed;
        sim
    }
}

impl World for Paused {
    fn observe(&mut self, wanted: &Wanted) -> Snapshot {
        self.sim().observe(wanted)
    }

    fn answer(&mut self, questions: &BTreeSet<Question>) -> Answers {
        self.sim().answer(questions)
    }

    fn perform(&mut self, acts: &[Act]) -> Vec<Result<Done, ActError>> {
        self.sim().perform(acts)
    }

    fn now(&self) -> Timestamp {
        self.sim().now()
    }

    fn mint(&mut self) -> Uid {
        self.sim().mint()
    }

    fn random(&mut self) -> u128 {
        // The middle, so that a resync comes after a minute.
        u128::from(u64::MAX / 2) << 64
    }
}

/// What a test says the file is.
pub type File = Arc<Mutex<Result<Fleet, String>>>;

/// A controller at work.
pub struct Keeping {
    world: Paused,
    /// What the file gives when it is read.
    pub file: File,
    log: Arc<Mutex<Vec<String>>>,
    hints: mpsc::UnboundedSender<Cause>,
    asking: mpsc::Sender<Asking>,
    halt: watch::Sender<bool>,
    hello: watch::Receiver<Hello>,
    task: tokio::task::JoinHandle<Keeper<Paused>>,
}

/// Writes a line a pass.
struct Scribe {
    begun: Instant,
    log: Arc<Mutex<Vec<String>>>,
}

impl Outlets for Scribe {
    fn event(&self) -> Box<dyn FnMut(Event) + Send> {
        let log = Arc::clone(&self.log);
        Box::new(move |event| {
            if let Event::Note(text) = event {
                log.lock().unwrap().push(format!("! {text}"));
            }
        })
    }

    fn passed(&mut self, causes: &BTreeSet<Cause>, passed: &Passed) -> Option<Duration> {
        let causes: Vec<&str> = causes.iter().map(|cause| cause.word()).collect();
        let steps = passed.outcome.lines.iter().map(|line| {
            let end = match line.result {
                StepResult::Done(_) => "",
                StepResult::Failed(_) => " failed",
                StepResult::Held(_) => " held",
                StepResult::NotAttempted(_) => " not attempted",
            };
            format!("{} {}{end}", line.verb.word(), line.name)
        });
        let steps: Vec<String> = steps.collect();
        let steps = if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") };
        let at = self.begun.elapsed().as_secs_f64();
        self.log.lock().unwrap().push(format!("{at:.1} {}: {steps}", causes.join("+")));
        None
    }

    fn follow(&mut self, _seen: &Seen) {}
}

impl Keeping {
    /// A controller of this fleet on a machine with its repository and nothing else.
    pub fn of(fleet: Fleet) -> Self {
        Self::on(machine(), Store::in_memory().unwrap(), fleet)
    }

    /// A controller on a machine, with what is remembered.
    pub fn on(sim: Sim, store: Store, fleet: Fleet) -> Self {
        let begun = Instant::now();
        let world = Paused { sim: Arc::new(Mutex::new(sim)), begun, passed: Arc::default() };
        let file: File = Arc::new(Mutex::new(Ok(fleet.clone())));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (hints, hints_out) = mpsc::unbounded_channel();
        let (asking, asking_out) = mpsc::channel(8);
        let (halt, halt_out) = watch::channel(false);
        let (hello, hello_out) = watch::channel(Hello {
            version: "0".into(),
            pid: 1,
            manifest: "/srv/shop/fleet.yaml".into(),
            since: now(),
            passes: 0,
            last_pass: None,
            failing: None,
            lent: None,
        });
        let read = Arc::clone(&file);
        let policy =
            Policy { removals: Removals::WhenDue, pace: Pace::Kept, ..Policy::new(installation()) };
        let keeper = Keeper {
            world: world.clone(),
            store,
            house: house(),
            policy,
            fleet,
            load: Box::new(move || Ok(read.lock().unwrap().clone()?)),
            failing: None,
            failed: BTreeMap::new(),
            records: None,
        };
        let mut scribe = Scribe { begun, log: Arc::clone(&log) };
        let task = tokio::task::spawn_local(async move {
            let alarm = Box::new(|after| {
                let sleep: std::pin::Pin<Box<dyn Future<Output = ()>>> =
                    Box::pin(tokio::time::sleep(after));
                sleep
            });
            let mut inlets = Inlets { hints: hints_out, asking: asking_out, halt: halt_out, alarm };
            let mut place = Place { directory: None, lock: None, hello };
            keep(keeper, &mut place, &mut inlets, &mut scribe).await.unwrap()
        });
        Self { world, file, log, hints, asking, halt, hello: hello_out, task }
    }

    /// Lets time pass.
    pub async fn rest(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Changes the machine.
    pub fn machine<T>(&self, change: impl FnOnce(&mut Sim) -> T) -> T {
        change(&mut self.world.sim())
    }

    /// Something may have happened.
    pub fn hint(&self, cause: Cause) {
        self.hints.send(cause).unwrap();
    }

    /// The file is another one now, and the watch saw it.
    pub fn file(&self, fleet: Result<Fleet, String>) {
        *self.file.lock().unwrap() = fleet;
        self.hint(Cause::Manifest);
    }

    /// The lines since the last call.
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// What a verb would be told.
    pub fn hello(&self) -> Hello {
        self.hello.borrow().clone()
    }

    /// Asks for a turn, as a verb does. The turn is over when what is returned is dropped.
    pub async fn turn(&self) -> oneshot::Sender<()> {
        let (grant, granted) = oneshot::channel();
        let (done, over) = oneshot::channel();
        self.asking.send(Asking { pid: 77, grant, over }).await.unwrap();
        granted.await.unwrap();
        done
    }

    /// The names of the sessions whose program runs.
    pub fn running(&self) -> Vec<String> {
        self.machine(|sim| {
            let alive = sim.terminal.panes.iter().filter(|pane| pane.state == PaneState::Alive);
            let mut names: Vec<String> = alive
                .filter_map(|pane| match &pane.mark {
                    Marked::Yes(mark) => Some(mark.session.to_string()),
                    Marked::No | Marked::Garbled => None,
                })
                .collect();
            names.sort();
            names
        })
    }

    /// Ends it, and gives back the machine and what is remembered.
    pub async fn end(self) -> (Sim, Store) {
        self.halt.send_replace(true);
        let keeper = self.task.await.unwrap();
        let sim = self.world.sim().clone();
        (sim, keeper.store)
    }
}

/// A machine with a repository and nothing else.
pub fn machine() -> Sim {
    let mut sim = Sim::new(now());
    sim.repos.insert(REPO.into(), Forest::new(REPO));
    sim
}

/// Runs a test in paused time.
pub fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}
