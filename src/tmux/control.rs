//! A control-mode client that runs many command lists. Owns its protocol; decides nothing. Invariant: what
//! a list printed is told apart from all else by a fence behind each list, and a list without a fence has
//! no result.

use super::anchor::Anchor;
use super::command::List;
use super::{Tmux, TmuxError, refusal};
use crate::process::timespec;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{Error, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// More in flight only wait longer.
const IN_FLIGHT: usize = 8;
/// How long the server may be silent.
const LIMIT: Duration = Duration::from_secs(5);

/// What became of a list.
#[derive(Debug)]
pub(super) enum Reply {
    /// All of it was run; what it printed.
    Done(Vec<String>),
    /// tmux refused a command of it; what it said.
    Refused(String),
    /// No answer came; why.
    Unanswered(String),
    /// It was not sent.
    NotSent,
}

impl Reply {
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Done(lines) => format!("it answered {:?}", lines.join(" ")),
            Self::Refused(said) | Self::Unanswered(said) => said.clone(),
            Self::NotSent => "not sent".to_owned(),
        }
    }
}

/// A client with an anchor session of its own, which goes when the client does.
#[derive(Debug)]
pub(super) struct Control {
    child: std::process::Child,
    anchor: Anchor,
    unsent: Vec<u8>,
    reader: Reader,
    nonce: String,
    fences: usize,
    broken: bool,
}

impl Control {
    /// Attaches a client, where a server runs.
    pub(super) fn open(tmux: &Tmux) -> Result<Self, TmuxError> {
        let anchor = Anchor::new(tmux)?;
        let list = anchor.make();
        let child = tmux.client().arg("-C").args(list.argv());
        let child =
            child.spawn().map_err(|source| TmuxError::Child { verb: "-C".into(), source })?;
        let nonce = format!("{}-fence", anchor.name);
        let reader = Reader::default();
        let mut control =
            Self { child, anchor, unsent: Vec::new(), reader, nonce, fences: 0, broken: false };
        control.prepare().map_err(TmuxError::Control)?;
        let ready = control.run(&[List::of(&["display-message", "-p", "ready"])]);
        if control.broken {
            return Err(control.refused());
        }
        tracing::debug!(session = %control.anchor.name, ?ready, "control-mode client");
        Ok(control)
    }

    /// A stalled server must not stall us in a write.
    fn prepare(&self) -> std::io::Result<()> {
        let Some(stdin) = &self.child.stdin else { return Err(ErrorKind::BrokenPipe.into()) };
        Ok(rustix::io::ioctl_fionbio(stdin, true)?)
    }

    /// Why the client ended at once.
    fn refused(&mut self) -> TmuxError {
        let mut said = String::new();
        if let Some(stderr) = self.child.stderr.as_mut()
            && wait(&[PollFd::new(stderr, PollFlags::IN)], Duration::from_millis(200))
        {
            let mut buffer = [0; 4096];
            let read = stderr.read(&mut buffer).unwrap_or(0);
            said = String::from_utf8_lossy(&buffer[..read]).into_owned();
        }
        match said.lines().next() {
            Some(line) => refusal("-C", line.to_owned()),
            None => TmuxError::Control(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// It cannot be used again.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Runs the lists in order and gives their results in order.
    pub(super) fn run(&mut self, lists: &[List]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(lists.len());
        let mut sent = 0;
        let mut failure = None;
        while replies.len() < lists.len() && failure.is_none() {
            while sent < lists.len() && sent - replies.len() < IN_FLIGHT {
                self.send(&lists[sent]);
                sent += 1;
            }
            match self.step() {
                Ok(more) => replies.extend(more),
                Err(error) => failure = Some(error.to_string()),
            }
        }
        if let Some(failure) = failure {
            self.broken = true;
            let unanswered = sent - replies.len();
            replies.extend((0..unanswered).map(|_| Reply::Unanswered(failure.clone())));
            replies.resize_with(lists.len(), || Reply::NotSent);
        }
        replies
    }

    fn send(&mut self, list: &List) {
        self.fences += 1;
        let fence = format!("{} {}", self.nonce, self.fences);
        let fenced = List::of(&["display-message", "-p", &fence]);
        self.unsent.extend_from_slice(list.line().as_bytes());
        self.unsent.push(b'\n');
        self.unsent.extend_from_slice(fenced.line().as_bytes());
        self.unsent.push(b'\n');
    }

    /// Writes what can be written, reads what is there, and gives the results that became whole.
    fn step(&mut self) -> std::io::Result<Vec<Reply>> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.checked_duration_since(Instant::now());
            let left = left.ok_or_else(|| Error::from(ErrorKind::TimedOut))?;
            self.transfer(left)?;
            let replies = self.reader.take(&self.nonce);
            if !replies.is_empty() {
                return Ok(replies);
            }
        }
    }

    fn transfer(&mut self, limit: Duration) -> std::io::Result<()> {
        let gone = || Error::from(ErrorKind::BrokenPipe);
        let stdin = self.child.stdin.as_mut().ok_or_else(gone)?;
        let stdout = self.child.stdout.as_mut().ok_or_else(gone)?;
        let wanted = if self.unsent.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let mut polled =
            [PollFd::new(stdout, PollFlags::IN), PollFd::from_borrowed_fd(stdin.as_fd(), wanted)];
        match poll(&mut polled, Some(&timespec(limit))) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let (readable, writable) =
            (!polled[0].revents().is_empty(), polled[1].revents().contains(PollFlags::OUT));
        if writable {
            match stdin.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if readable {
            let mut buffer = [0; 65536];
            let read = stdout.read(&mut buffer)?;
            if read == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the control-mode client ended"));
            }
            self.reader.feed(&buffer[..read]);
        }
        Ok(())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // The end of its input detaches the client.
        drop(self.child.stdin.take());
        let deadline = Instant::now() + LIMIT;
        while let (Some(stdout), Some(left)) =
            (self.child.stdout.as_mut(), deadline.checked_duration_since(Instant::now()))
        {
            let mut buffer = [0; 4096];
            if wait(&[PollFd::new(stdout, PollFlags::IN)], left)
                && !matches!(stdout.read(&mut buffer), Ok(1..))
            {
                break;
            }
        }
        // Our own child, not reaped yet: if it still runs, it is stuck.
        let ended = self.child.try_wait().ok().flatten();
        let ended = ended.map_or_else(|| self.child.kill().and_then(|()| self.child.wait()), Ok);
        tracing::debug!(?ended, "control-mode client");
        self.anchor.end();
    }
}

/// Whether one of these is ready within the limit.
fn wait(polled: &[PollFd<'_>], limit: Duration) -> bool {
    let mut polled = polled.to_vec();
    matches!(poll(&mut polled, Some(&timespec(limit))), Ok(1..))
}

/// The client's output, as it comes.
#[derive(Debug, Default)]
struct Reader {
    buffer: Vec<u8>,
    /// The numbers of the block that is open, as its first line has them.
    open: Option<String>,
    block: Vec<String>,
    lines: Vec<String>,
    refused: Option<String>,
}

impl Reader {
    fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The results of the lists whose fences have come.
    fn take(&mut self, nonce: &str) -> Vec<Reply> {
        let mut replies = Vec::new();
        let mut begun = 0;
        let buffer = std::mem::take(&mut self.buffer);
        while let Some(length) = buffer[begun..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&buffer[begun..begun + length]).into_owned();
            begun += length + 1;
            replies.extend(self.line(line, nonce));
        }
        self.buffer = buffer[begun..].to_vec();
        replies
    }

    fn line(&mut self, line: String, nonce: &str) -> Option<Reply> {
        let Some(open) = &self.open else {
            self.open = line.strip_prefix("%begin ").map(str::to_owned);
            return None;
        };
        let closes = |verb: &str| line.strip_prefix(verb).is_some_and(|numbers| numbers == open);
        let (end, error) = (closes("%end "), closes("%error "));
        if !(end || error) {
            self.block.push(line);
            return None;
        }
        self.open = None;
        let block = std::mem::take(&mut self.block);
        if error {
            self.refused = Some(block.join(" "));
            return None;
        }
        let fence = block.len() == 1
            && block[0].strip_prefix(nonce).is_some_and(|rest| rest.starts_with(' '));
        if !fence {
            self.lines.extend(block);
            return None;
        }
        let lines = std::mem::take(&mut self.lines);
        Some(self.refused.take().map_or(Reply::Done(lines), Reply::Refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_apart_by_fences_whatever_comes_between() {
        let output = "%begin 1 1 0\n%end 1 1 0\n%sessions-changed\n\
            %begin 2 7 1\nmade %1\n%end 9 9 9\n%end 2 7 1\n%begin 2 8 1\n%end 2 8 1\n\
            %begin 2 9 1\nf 1\n%end 2 9 1\n\
            %begin 3 10 1\nduplicate session: a\n%error 3 10 1\n%begin 3 11 1\nf 2\n%end 3 11 1\n";
        for step in [1, 7, output.len()] {
            let mut reader = Reader::default();
            let mut replies = Vec::new();
            for chunk in output.as_bytes().chunks(step) {
                reader.feed(chunk);
                replies.extend(reader.take("f"));
            }
            assert_eq!(replies.len(), 2);
            assert!(matches!(&replies[0], Reply::Done(l) if *l == ["made %1", "%end 9 9 9"]));
            assert!(matches!(&replies[1], Reply::Refused(said) if said == "duplicate session: a"));
        }
    }
}
