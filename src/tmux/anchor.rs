//! The session that a control-mode client of ours sits in. Owns how it comes and goes. Invariant: it ends with
//! this process, however that ends, and never while its client is on its way out: `destroy-unattached`, which
//! would do the former, ends tmux 3.3a with all its sessions whenever something changes at that moment.

use super::command::List;
use super::parse::ANCHOR;
use super::{Options, Tmux, TmuxError, exact};
use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long the server may take to end it; it ends by itself a second after this process.
const LIMIT: Duration = Duration::from_millis(500);

/// A session of our own, which waits for our end.
#[derive(Debug)]
pub(super) struct Anchor {
    /// Its name, told apart from all others by our pid.
    pub name: String,
    options: Options,
    /// The session reads from it, and so learns that nobody holds the other end any more.
    read: PipeReader,
    _held: PipeWriter,
}

impl Anchor {
    /// Prepares one; the client has to make it.
    pub(super) fn new(tmux: &Tmux) -> Result<Self, TmuxError> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let nth = MADE.fetch_add(1, Ordering::Relaxed);
        let (read, held) = std::io::pipe().map_err(TmuxError::Control)?;
        let name = format!("{ANCHOR}{}-{nth}", std::process::id());
        Ok(Self { name, options: tmux.options.clone(), read, _held: held })
    }

    /// Makes it, with the client in it.
    pub(super) fn make(&self) -> List {
        // The client is gone a second after us, for sure.
        let (pid, fd) = (std::process::id(), self.read.as_raw_fd());
        let wait = format!("read _ </proc/{pid}/fd/{fd}; sleep 1");
        let target = exact(&self.name);
        let mut make = vec!["new-session", "-E", "-f", "no-output,ignore-size", "-s", &self.name];
        make.extend(["-x", "220", "-y", "50", "-c", "/", "--", "sh", "-c", &wait]);
        List::of(&make).then(&["set-option", "-w", "-t", &target, "remain-on-exit", "off"])
    }

    /// Ends it at once, after its client.
    pub(super) fn end(&self) {
        let tmux = Tmux::new(self.options.clone());
        let end = List::of(&["kill-session", "-t", &exact(&self.name)]);
        let ended = tmux.client().args(end.argv()).limit(LIMIT).run();
        tracing::debug!(session = %self.name, ?ended, "anchor");
    }
}
