//! What wakes the controller: files, the tmux server, the ends of processes. Owns the watches and their
//! replacement by looking again; decides nothing. Invariant: a hint says only that something may have
//! changed, follows the arming of whatever sees the next change, and one that is lost heals with the next
//! resync.

mod deaths;
mod files;
mod places;
mod tmux;

use crate::snapshot::ServerId;
use crate::tmux::Options;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

pub use places::head_of;

/// How often what cannot be watched is looked at.
const POLL: Duration = Duration::from_secs(2);

/// Something may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A file that is followed was written, made, removed, or replaced.
    Manifest,
    /// A session, a window or a human came or went, or the server did.
    Tmux,
    /// A process that is followed has ended.
    Ended,
    /// A watch could not be had or was lost: said once, and made up for by looking again and again.
    Blind {
        /// What is no longer watched.
        what: &'static str,
        /// Why.
        cause: String,
    },
}

/// All that is to be watched.
#[derive(Debug, Clone, Default)]
pub struct Followed {
    /// Every file that decides about the fleet, there or not; absolute.
    pub files: BTreeSet<PathBuf>,
    /// Every directory in which the files that are there decide; absolute.
    pub directories: BTreeSet<PathBuf>,
    /// The server, where one was seen.
    pub tmux: Option<(Options, ServerId)>,
    /// The processes of the panes that were seen alive.
    pub processes: BTreeSet<u32>,
}

/// The watches, armed for what is followed; gone when dropped.
#[derive(Debug)]
pub struct Watches {
    files: files::Files,
    tmux: tmux::Listener,
    deaths: deaths::Deaths,
}

impl Watches {
    /// Watches of nothing yet. Needs a tokio runtime around it, now and as long as it lives.
    #[must_use]
    pub fn new(hints: UnboundedSender<Hint>) -> Self {
        Self {
            files: files::Files::new(hints.clone()),
            tmux: tmux::Listener::new(hints.clone()),
            deaths: deaths::Deaths::new(hints),
        }
    }

    /// Arms what is new and lets go of what is no longer followed. Costs next to nothing where nothing is.
    pub fn follow(&mut self, followed: &Followed) {
        self.files.follow((&followed.files, &followed.directories));
        self.tmux.follow(followed.tmux.as_ref());
        // A server may let go of its clients and its socket some time before it is dead.
        let server = followed.tmux.iter().map(|(_, server)| server.pid);
        self.deaths.follow(&followed.processes.iter().copied().chain(server).collect());
    }

    /// How often to make a pass for the sake of what cannot be watched.
    #[must_use]
    pub fn polling(&self) -> Option<Duration> {
        (self.tmux.is_blind() || self.deaths.is_blind()).then_some(POLL)
    }
}

/// Tells the loop; nobody listens only when it is ending.
fn tell(hints: &UnboundedSender<Hint>, hint: Hint) {
    if let Err(unsent) = hints.send(hint) {
        tracing::debug!(hint = ?unsent.0, "nobody waits for hints");
    }
}

/// A task that ends with the value that stands for it.
#[derive(Debug)]
struct Task(tokio::task::AbortHandle);

impl Task {
    fn start(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work).abort_handle())
    }

    fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
