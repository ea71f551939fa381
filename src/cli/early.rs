//! What begins before the manifest is read to its end: the lock, for a verb that changes, and the look at
//! tmux. Invariant: it is used only where the whole manifest names the same fleet and socket; the lock is
//! taken before the look begins, and no file is made for a manifest that may turn out to be invalid.

use super::context::Context;
use super::desk::options;
use crate::manifest::peek::peek;
use crate::name::Name;
use crate::store::{Lock, Store};
use crate::tmux::Tmux;
use crate::world::live::Looking;
use std::path::{Path, PathBuf};

/// What a desk is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing that is known yet: what it needs begins when it is needed.
    Later,
    /// To look at once.
    Look,
    /// To take the lock, then to look.
    Change,
}

/// A look under way.
pub struct Early {
    fleet: Name,
    socket: PathBuf,
    lock: Option<Lock>,
    seen: Looking,
}

impl Early {
    /// Begins, where the head of the manifest tells enough and the fleet is known already.
    #[must_use]
    pub fn begin(context: &Context, manifest: &Path, purpose: Purpose) -> Option<Self> {
        if context.reads_stdin() || purpose == Purpose::Later {
            return None;
        }
        let head = peek(&std::fs::read(manifest).ok()?)?;
        let socket = context.socket(&head.socket).ok()?;
        let state = context.fleet_state(head.fleet.as_str());
        if !state.join("lock").is_file() {
            return None;
        }
        let lock = match purpose {
            Purpose::Later | Purpose::Look => None,
            Purpose::Change => Some(Lock::acquire(&state).ok()?),
        };
        let options = options(context, &socket).ok()?;
        // Not in the thread: a program that ends before it would leave an open store's files behind.
        let store = Store::open_to_read(&state).ok().flatten();
        let last = store.and_then(|store| store.server().ok().flatten());
        let seen = Looking::begin(Tmux::new(options), last);
        Some(Self { fleet: head.fleet, socket, lock, seen })
    }

    /// The lock and the look, when they are of this fleet and this socket.
    #[must_use]
    pub fn of(self, fleet: &Name, socket: &Path) -> (Option<Lock>, Option<Looking>) {
        if self.fleet == *fleet && self.socket == socket {
            (self.lock, Some(self.seen))
        } else {
            (None, None)
        }
    }
}
