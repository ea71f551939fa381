//! The ear on the tmux server: one control-mode client. Owns when it is attached anew. Invariant: no server is
//! started for it, and one that keeps sending it away, or does not answer, costs an attempt a minute at most.

use super::{Hint, Task, tell};
use crate::causes::in_one_line;
use crate::snapshot::ServerId;
use crate::tmux::notice::{Ear, Listener as Attached, nobody_there};
use crate::tmux::{Options, Tmux};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};

/// How long a server may take to answer before the listener counts as blind.
const PATIENCE: Duration = Duration::from_secs(5);
/// The shortest and the longest time between two attempts on one server.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long there must have been no pass before one attaches.
const CALM: Duration = Duration::from_secs(1);

/// The client, where there is a server.
#[derive(Debug)]
pub(super) struct Listener {
    hints: UnboundedSender<Hint>,
    client: Option<Client>,
    followed: Option<Instant>,
}

#[derive(Debug)]
struct Client {
    server: ServerId,
    state: Arc<Mutex<State>>,
    pause: Duration,
    /// Ends before another is begun.
    task: Option<Task>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// It was said that this server cannot be listened to.
    said: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The server has not answered yet.
    Attaching,
    /// It hears, since then.
    Hearing(Instant),
    /// It ended, at this time, after hearing that long; or has not begun.
    Over(Instant, Duration),
}

impl Listener {
    pub(super) fn new(hints: UnboundedSender<Hint>) -> Self {
        Self { hints, client: None, followed: None }
    }

    /// True when what happens on a server may go unheard.
    pub(super) fn is_blind(&self) -> bool {
        self.client.as_ref().is_some_and(|client| {
            let state = locked(&client.state);
            state.said || matches!(state.phase, Phase::Over(..))
        })
    }

    pub(super) fn follow(&mut self, server: Option<&(Options, ServerId)>) {
        let last = self.followed.replace(Instant::now());
        let Some((options, id)) = server else {
            self.client = None;
            return;
        };
        match self.client.as_mut().filter(|client| client.server == *id) {
            // tmux 3.3a dies when a session comes or goes in the moment in which a client attaches.
            Some(client) if last.is_some_and(|last| last.elapsed() >= CALM) => {
                client.again(options, &self.hints);
            }
            Some(_) => {}
            // The old one's session goes now; the new one's comes when it is calm.
            None => self.client = Some(Client::of(id, self.hints.clone())),
        }
    }
}

impl Client {
    fn of(server: &ServerId, hints: UnboundedSender<Hint>) -> Self {
        let phase = Phase::Over(Instant::now(), Duration::ZERO);
        let state = Arc::new(Mutex::new(State { phase, said: false }));
        let calm = async move {
            tokio::time::sleep(CALM + CALM / 4).await;
            tell(&hints, Hint::Tmux);
        };
        Self { server: server.clone(), state, pause: PAUSES.0, task: Some(Task::start(calm)) }
    }

    /// Attaches when the last time is long enough ago.
    fn again(&mut self, options: &Options, hints: &UnboundedSender<Hint>) {
        let Phase::Over(at, heard) = locked(&self.state).phase else { return };
        if heard > PAUSES.1 {
            self.pause = PAUSES.0;
        }
        if at.elapsed() >= self.pause {
            self.pause = (self.pause * 2).min(PAUSES.1);
            self.begin(options, hints);
        }
    }

    fn begin(&mut self, options: &Options, hints: &UnboundedSender<Hint>) {
        self.task = None;
        locked(&self.state).phase = Phase::Attaching;
        let (state, hints) = (Arc::clone(&self.state), hints.clone());
        match Tmux::new(options.clone()).listen() {
            Ok((attached, output)) => {
                let hearing = Hearing { attached, state, hints };
                self.task = Some(Task::start(hearing.run(output)));
            }
            Err(error) => end(&state, &hints, Err(in_one_line(&error))),
        }
    }
}

/// A client as it runs.
struct Hearing {
    attached: Attached,
    state: Arc<Mutex<State>>,
    hints: UnboundedSender<Hint>,
}

impl Hearing {
    async fn run(mut self, output: OwnedFd) {
        let heard = match Receiver::from_owned_fd(output) {
            Ok(pipe) => self.listen(pipe).await,
            Err(error) => Err(error),
        };
        let said = self.attached.last_words();
        let gone = match heard {
            Ok(()) if self.has_heard() || nobody_there(&said) => Ok(()),
            Ok(()) => Err(if said.is_empty() { "it sent us away".to_owned() } else { said }),
            Err(error) => Err(error.to_string()),
        };
        end(&self.state, &self.hints, gone);
    }

    /// Hears until the client ends.
    async fn listen(&mut self, mut pipe: Receiver) -> std::io::Result<()> {
        let mut ear = Ear::default();
        let mut buffer = vec![0; 16_384];
        loop {
            let read = match self.has_heard() {
                true => pipe.read(&mut buffer).await?,
                false => match timeout(PATIENCE, pipe.read(&mut buffer)).await {
                    Ok(read) => read?,
                    Err(_) => {
                        lose(&self.state, &self.hints, "the server does not answer".to_owned());
                        pipe.read(&mut buffer).await?
                    }
                },
            };
            if read == 0 {
                return Ok(());
            }
            let heard = ear.hear(&buffer[..read]);
            let first = heard.answer && self.answered();
            if heard.change || first {
                tell(&self.hints, Hint::Tmux);
            }
        }
    }

    fn has_heard(&self) -> bool {
        matches!(locked(&self.state).phase, Phase::Hearing(_))
    }

    /// True for the first answer: what happened before it was not heard.
    fn answered(&self) -> bool {
        let mut state = locked(&self.state);
        let first = matches!(state.phase, Phase::Attaching);
        if first {
            *state = State { phase: Phase::Hearing(Instant::now()), said: false };
        }
        first
    }
}

/// The client is over: because the server is (`Ok`), or for this cause.
fn end(state: &Mutex<State>, hints: &UnboundedSender<Hint>, gone: Result<(), String>) {
    let now = Instant::now();
    let heard = match locked(state).phase {
        Phase::Hearing(since) => now - since,
        Phase::Attaching | Phase::Over(..) => Duration::ZERO,
    };
    locked(state).phase = Phase::Over(now, heard);
    match gone {
        Ok(()) => tell(hints, Hint::Tmux),
        Err(cause) => lose(state, hints, cause),
    }
}

fn lose(state: &Mutex<State>, hints: &UnboundedSender<Hint>, cause: String) {
    if !std::mem::replace(&mut locked(state).said, true) {
        tell(hints, Hint::Blind { what: "the tmux server", cause });
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
