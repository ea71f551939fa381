//! The ends of processes: a pidfd each, all in one epoll, one task for all of them. Invariant: each end is
//! told once, and no descriptor outlives the interest in its process.

use super::{Hint, Task, tell};
use crate::process::alive;
use crate::process::life::Life;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Result;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;

/// The processes that are followed.
#[derive(Debug)]
pub(super) struct Deaths {
    hints: UnboundedSender<Hint>,
    watch: Option<Watch>,
    held: BTreeMap<u32, Held>,
    blind: bool,
}

#[derive(Debug)]
struct Watch {
    epoll: Arc<AsyncFd<OwnedFd>>,
    over: Arc<Mutex<Vec<u32>>>,
    task: Task,
}

#[derive(Debug)]
enum Held {
    /// It runs.
    Alive(Life),
    /// Its end was told; what started then under this id.
    Over(Option<u64>),
}

impl Deaths {
    pub(super) fn new(hints: UnboundedSender<Hint>) -> Self {
        let mut deaths = Self { hints, watch: None, held: BTreeMap::new(), blind: false };
        match Watch::begin(&deaths.hints) {
            Ok(watch) => deaths.watch = Some(watch),
            Err(error) => deaths.lose(&error),
        }
        deaths
    }

    /// True when an end may go unseen.
    pub(super) fn is_blind(&self) -> bool {
        self.blind || self.watch.as_ref().is_none_or(|watch| watch.task.is_over())
    }

    pub(super) fn follow(&mut self, pids: &BTreeSet<u32>) {
        let Some(watch) = &self.watch else { return };
        for pid in std::mem::take(&mut *watch.over.lock().unwrap_or_else(PoisonError::into_inner)) {
            if let Some(held) = self.held.get_mut(&pid)
                && let Held::Alive(life) = held
            {
                *held = Held::Over(Some(life.started));
            }
        }
        self.held.retain(|pid, _| pids.contains(pid));
        let mut ended = false;
        let mut lost = None;
        for pid in pids {
            match watch.hold(*pid, self.held.get(pid)) {
                Ok(Some(held)) => {
                    ended |= matches!(held, Held::Over(_));
                    self.held.insert(*pid, held);
                }
                Ok(None) => {}
                Err(error) => lost = Some(error),
            }
        }
        if ended {
            tell(&self.hints, Hint::Ended);
        }
        match lost {
            Some(error) => self.lose(&error),
            None => self.blind = false,
        }
    }

    fn lose(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.blind, true) {
            let cause = error.to_string();
            tell(&self.hints, Hint::Blind { what: "the ends of agents' processes", cause });
        }
    }
}

impl Watch {
    fn begin(hints: &UnboundedSender<Hint>) -> Result<Self> {
        let epoll = Arc::new(awaited(epoll::create(epoll::CreateFlags::CLOEXEC)?)?);
        let over = Arc::new(Mutex::new(Vec::new()));
        let work = listen(Arc::clone(&epoll), Arc::clone(&over), hints.clone());
        Ok(Self { epoll, over, task: Task::start(work) })
    }

    /// What is to be held of a process from now on; `None` where nothing changes.
    fn hold(&self, pid: u32, held: Option<&Held>) -> Result<Option<Held>> {
        match held {
            Some(Held::Alive(_)) => return Ok(None),
            // It may be followed until tmux has reaped it; another process may have got its id since.
            Some(Held::Over(known)) => match alive::start_time(pid)? {
                started if started.is_none() || started == *known => return Ok(None),
                _ => {}
            },
            None => {}
        }
        let Some(life) = Life::of(pid)? else { return Ok(Some(Held::Over(None))) };
        let (id, once) = (epoll::EventData::new_u64(u64::from(pid)), epoll::EventFlags::ONESHOT);
        epoll::add(self.epoll.get_ref(), &life.end, id, epoll::EventFlags::IN | once)?;
        Ok(Some(Held::Alive(life)))
    }
}

#[expect(
    deprecated,
    reason = "an OwnedFd stays open and the same, as is asked of the caller of the unsafe one"
)]
fn awaited(fd: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

async fn listen(
    epoll: Arc<AsyncFd<OwnedFd>>,
    over: Arc<Mutex<Vec<u32>>>,
    hints: UnboundedSender<Hint>,
) {
    loop {
        let ended = match next(&epoll).await {
            Ok(ended) => ended,
            Err(error) => {
                let cause = error.to_string();
                return tell(&hints, Hint::Blind { what: "the ends of agents' processes", cause });
            }
        };
        over.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
        tell(&hints, Hint::Ended);
    }
}

/// The processes that ended next.
async fn next(epoll: &AsyncFd<OwnedFd>) -> Result<Vec<u32>> {
    const AT_ONCE: usize = 64;
    loop {
        let mut ready = epoll.readable().await?;
        let mut events = Vec::with_capacity(AT_ONCE);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(epoll.get_ref(), spare, Some(&now)) {
            Ok(0) => ready.clear_ready(),
            Ok(_) => {
                let pids = events.iter().map(|event| event.data.u64());
                return Ok(pids.filter_map(|pid| u32::try_from(pid).ok()).collect());
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
