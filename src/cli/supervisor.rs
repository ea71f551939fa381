//! What a controller tells the systemd that started it. Owns the notification socket's protocol. A crate for
//! it reads the environment itself, which only the context may do here, and so leaves the variables to every
//! child. Invariant: without systemd nothing is sent, and one that does not listen stops nobody.

use super::context::Context;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The systemd that waits for word of this process, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    address: Option<SocketAddr>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    #[must_use]
    pub fn of(context: &Context) -> Self {
        let value = |name: &str| context.env.get(name);
        let address = value("NOTIFY_SOCKET").and_then(|name| match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        });
        let ours = value("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let micros = value("WATCHDOG_USEC").filter(|_| ours && address.is_some());
        let watchdog = micros.and_then(|micros| micros.parse().ok()).map(Duration::from_micros);
        Self { address, watchdog: watchdog.filter(|time| !time.is_zero()) }
    }

    /// Everything is watched and the first pass may begin.
    pub fn ready(&self) {
        self.send("READY=1\n");
    }

    /// What it does now, for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}\n", text.replace('\n', " ")));
    }

    /// The running step is the last one.
    pub fn stopping(&self) {
        self.send("STOPPING=1\n");
    }

    /// Says that the loop is alive, for ever; ends at once where nobody wants to know.
    pub async fn keep_alive(self) {
        let Some(limit) = self.watchdog else { return };
        let mut beat = tokio::time::interval(limit / 3);
        loop {
            beat.tick().await;
            self.send("WATCHDOG=1\n");
        }
    }

    fn send(&self, state: &str) {
        let Some(address) = &self.address else { return };
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to_addr(state.as_bytes(), address)
        });
        if let Err(error) = sent {
            tracing::debug!(%error, state, "systemd was not told");
        }
    }
}
