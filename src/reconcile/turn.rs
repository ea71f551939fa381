//! Turns at writing: while a controller keeps a fleet, a verb that changes something asks it for a turn, does
//! its work by itself, and gives the turn back. Owns the socket in the fleet's directory and what is said on
//! it. Invariant: a turn is the fleet's lock, so it ends with the life of whoever has it, and at no time do
//! two write.
//!
//! On the socket each side says one line of JSON: the controller a [`Hello`], the verb a [`Want`], and for a
//! turn the controller `"yours"` when its own pass is over. The end of the connection ends the turn.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream as AsyncStream};
use tokio::sync::{mpsc, oneshot, watch};

/// The socket's name in the fleet's directory.
const NAME: &str = "controller.sock";
/// How long the other side is given for its line.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest line.
const LONGEST: u64 = 64 << 10;
/// What the controller says when a turn begins.
const YOURS: &str = "yours";

/// What a controller tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The manifest that it keeps.
    pub manifest: PathBuf,
    /// Since when it runs.
    pub since: Timestamp,
    /// How many passes it has made.
    pub passes: u64,
    /// When the last one ended.
    #[serde(default)]
    pub last_pass: Option<Timestamp>,
    /// What is wrong with the manifest, and since when.
    #[serde(default)]
    pub failing: Option<(Timestamp, String)>,
    /// The process of the verb that has the turn now.
    #[serde(default)]
    pub lent: Option<u32>,
}

/// What is wanted of a controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Want {
    /// Nothing but its hello.
    Status,
    /// To write.
    Turn {
        /// The verb's process.
        pid: u32,
    },
}

/// A verb that waits for its turn, as the controller sees it.
#[derive(Debug)]
pub struct Asking {
    /// Its process.
    pub pid: u32,
    /// Says that the lock is free.
    pub grant: oneshot::Sender<()>,
    /// Resolves when the verb is done or dead.
    pub over: oneshot::Receiver<()>,
}

/// The socket's path by way of an open directory: a path of the kernel's has room for 107 bytes only.
fn with_short_path<T>(directory: &Path, then: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let open = std::fs::File::open(directory)?;
    then(&PathBuf::from(format!("/proc/self/fd/{}/{NAME}", open.as_raw_fd())))
}

/// The controller's end of the socket.
#[derive(Debug)]
pub struct Listener {
    directory: PathBuf,
    listener: UnixListener,
}

impl Listener {
    /// Listens in a fleet's directory. The fleet's lock must be held: a socket that is there is a dead one's.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn bind(directory: &Path) -> Result<Self> {
        match std::fs::remove_file(directory.join(NAME)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = with_short_path(directory, |path| UnixListener::bind(path))?;
        Ok(Self { directory: directory.to_owned(), listener })
    }

    /// Answers for ever; whoever wants a turn is handed on.
    pub async fn serve(self, hello: watch::Receiver<Hello>, asking: mpsc::Sender<Asking>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (hello, asking) = (hello.borrow().clone(), asking.clone());
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &hello, asking).await {
                            tracing::debug!(%error, "a connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a verb could not be answered");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(self.directory.join(NAME)) {
            tracing::debug!(%error, "the socket was gone");
        }
    }
}

async fn answer(stream: AsyncStream, hello: &Hello, asking: mpsc::Sender<Asking>) -> Result<()> {
    let (read, mut write) = stream.into_split();
    write.write_all(&line(hello)?).await?;
    let mut text = String::new();
    let mut read = tokio::io::BufReader::new(read.take(LONGEST));
    let late = || Error::new(ErrorKind::TimedOut, "it said nothing");
    tokio::time::timeout(PATIENCE, read.read_line(&mut text)).await.map_err(|_| late())??;
    let Want::Turn { pid } = serde_json::from_str(&text)? else { return Ok(()) };
    let (grant, granted) = oneshot::channel();
    let (done, over) = oneshot::channel();
    let gone = || Error::new(ErrorKind::BrokenPipe, "the controller is ending");
    asking.send(Asking { pid, grant, over }).await.map_err(|_| gone())?;
    let mut rest = Vec::new();
    tokio::select! {
        granted = granted => {
            granted.map_err(|_| gone())?;
            write.write_all(&line(&YOURS)?).await?;
        }
        // It gave up waiting: dropping `done` says so.
        ended = read.read_to_end(&mut rest) => {
            ended?;
            return Ok(());
        }
    }
    let ended = read.read_to_end(&mut rest).await;
    drop(done);
    ended.map(drop)
}

fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// A connection to a controller.
#[derive(Debug)]
pub struct Line {
    /// What it told of itself.
    pub hello: Hello,
    stream: BufReader<UnixStream>,
}

impl Line {
    /// Calls the controller of the fleet in this directory; `None` when there is none.
    ///
    /// # Errors
    /// One is there and does not answer as it should.
    pub fn call(directory: &Path) -> Result<Option<Self>> {
        let stream = match with_short_path(directory, |path| UnixStream::connect(path)) {
            Err(error) => {
                return match error.kind() {
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(None),
                    _ => Err(error),
                };
            }
            Ok(stream) => stream,
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = BufReader::new(stream);
        let mut text = String::new();
        stream.read_line(&mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { hello: serde_json::from_str(&text)?, stream }))
    }

    /// Asks for a turn and waits until it has it, however long the controller's pass takes. Meanwhile
    /// `waiting` is told once, after a second.
    ///
    /// # Errors
    /// The controller went away.
    pub fn turn(&mut self, waiting: impl FnOnce()) -> Result<()> {
        let want = Want::Turn { pid: std::process::id() };
        self.stream.get_mut().write_all(&line(&want)?)?;
        self.stream.get_mut().set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut text = String::new();
        let read = match self.stream.read_line(&mut text) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                waiting();
                self.stream.get_mut().set_read_timeout(None)?;
                self.stream.read_line(&mut text)?
            }
            read => read?,
        };
        match read {
            0 => Err(Error::new(ErrorKind::BrokenPipe, "the controller ended")),
            _ if serde_json::from_str::<String>(&text)? == YOURS => Ok(()),
            _ => Err(Error::new(ErrorKind::InvalidData, "the controller was not understood")),
        }
    }
}
