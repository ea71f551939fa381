//! Children and what `/proc` tells of processes. Owns every `Command::new` of the program; knows nothing of
//! tmux, git or fleets. Invariant: a child has a time limit, no terminal, and none of our `FLEET_*` variables.

pub mod alive;
pub mod companion;
pub mod ending;
pub mod life;
pub mod orphan;
pub mod pane;
pub mod ports;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A child to be run to its end.
#[derive(Debug, Clone)]
pub struct Child {
    program: OsString,
    args: Vec<OsString>,
    directory: Option<PathBuf>,
    env: Vec<(OsString, Option<OsString>)>,
    only: Option<Vec<(OsString, OsString)>>,
    input: Vec<u8>,
    limit: Duration,
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, as text.
    pub stderr: String,
}

/// Why a child has no status.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program is not there.
    #[error("{program} is not installed or not in PATH")]
    Missing {
        /// Its name.
        program: String,
    },
    /// It could not be started.
    #[error("{program} could not be started")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ran out of time and was ended.
    #[error("{program} did not answer within {} s", limit.as_secs_f32())]
    Timeout {
        /// Its name.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// Its output could not be read, or its input not be written.
    #[error("{program}: its pipes failed")]
    Pipe {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Child {
    /// A child with the default limit of 5 s.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            directory: None,
            env: Vec::new(),
            only: None,
            input: Vec::new(),
            limit: Duration::from_secs(5),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let pair = (name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self.env.push(pair);
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn without(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), None));
        self
    }

    /// Replaces the whole environment.
    #[must_use]
    pub fn only_env(mut self, env: Vec<(OsString, OsString)>) -> Self {
        self.only = Some(env);
        self
    }

    /// Gives it this on standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Sets the time limit.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// The command, for a child that lives longer than one call.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that makes children")]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if let Some(only) = &self.only {
            command.env_clear().envs(only.iter().map(|(k, v)| (k, v)));
        } else {
            for (name, _) in std::env::vars_os() {
                if name.as_encoded_bytes().starts_with(b"FLEET_") {
                    command.env_remove(name);
                }
            }
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Starts it with pipes for input and output, for a conversation with it.
    ///
    /// # Errors
    /// [`ProcessError::Missing`] or [`ProcessError::Start`].
    pub fn spawn(&self) -> Result<std::process::Child, ProcessError> {
        self.start(Stdio::piped())
    }

    fn start(&self, input: Stdio) -> Result<std::process::Child, ProcessError> {
        let started =
            self.command().stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        started.map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound if self.directory.as_ref().is_none_or(|d| d.is_dir()) => {
                ProcessError::Missing { program: self.name() }
            }
            _ => ProcessError::Start { program: self.name(), source },
        })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// Any [`ProcessError`]. A status other than 0 is not an error here.
    pub fn run(&self) -> Result<Ended, ProcessError> {
        let begun = Instant::now();
        let input = if self.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut child = self.start(input)?;
        let deadline = begun + self.limit;
        let outcome = self.converse(&mut child, deadline);
        if outcome.is_err() {
            // It is our own child and not reaped yet, so its pid cannot be another's.
            let ended = child.kill().and_then(|()| child.wait());
            tracing::debug!(program = %self.name(), ?ended, "ended a child");
        }
        let ended = outcome?;
        tracing::debug!(
            program = %self.name(), args = ?self.args, status = %ended.status,
            millis = begun.elapsed().as_millis() as u64, "child"
        );
        Ok(ended)
    }

    fn converse(
        &self,
        child: &mut std::process::Child,
        deadline: Instant,
    ) -> Result<Ended, ProcessError> {
        let pipe = |source| ProcessError::Pipe { program: self.name(), source };
        let writer = child.stdin.take().map(|mut stdin| {
            let input = self.input.clone();
            std::thread::spawn(move || stdin.write_all(&input))
        });
        let (stdout, stderr) = self.listen(child, deadline)?;
        let status = child.wait().map_err(pipe)?;
        // A child may end without having read its input: that is its own affair.
        if let Some(writer) = writer.filter(std::thread::JoinHandle::is_finished)
            && let Ok(Err(error)) = writer.join()
        {
            tracing::debug!(program = %self.name(), %error, "input not taken");
        }
        Ok(Ended { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }

    /// Reads both pipes until the child has ended and they are empty. They may stay open for longer: a hook
    /// that leaves a process in the background hands them on.
    fn listen(
        &self,
        child: &mut std::process::Child,
        deadline: Instant,
    ) -> Result<(Vec<u8>, Vec<u8>), ProcessError> {
        let pipe = |source| ProcessError::Pipe { program: self.name(), source };
        let life = self.life(child)?;
        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut ended = false;
        loop {
            let mut fds: Vec<BorrowedFd<'_>> = vec![life.as_fd()];
            fds.extend(stdout.iter().map(AsFd::as_fd).chain(stderr.iter().map(AsFd::as_fd)));
            let ready = self.wait_readable(&fds, deadline)?;
            // What it wrote last may have come after the pipes were asked and before its end was: ask twice.
            if ready[0] && !ready[1..].contains(&true) && (ended || ready.len() == 1) {
                return Ok((out, err));
            }
            ended = ready[0];
            let mut ready = ready[1..].iter().copied();
            if stdout.is_some()
                && ready.next() == Some(true)
                && read_some(stdout.as_mut(), &mut out).map_err(pipe)?
            {
                stdout = None;
            }
            if stderr.is_some()
                && ready.next() == Some(true)
                && read_some(stderr.as_mut(), &mut err).map_err(pipe)?
            {
                stderr = None;
            }
        }
    }

    /// Readable when the child has ended.
    fn life(&self, child: &std::process::Child) -> Result<OwnedFd, ProcessError> {
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
            .map_err(|errno| ProcessError::Pipe { program: self.name(), source: errno.into() })
    }

    fn wait_end(
        &self,
        child: &mut std::process::Child,
        deadline: Instant,
    ) -> Result<ExitStatus, ProcessError> {
        let pipe = |source| ProcessError::Pipe { program: self.name(), source };
        if let Some(status) = child.try_wait().map_err(pipe)? {
            return Ok(status);
        }
        let life = self.life(child)?;
        while !self.wait_readable(&[life.as_fd()], deadline)?[0] {}
        child.wait().map_err(pipe)
    }

    fn wait_readable(
        &self,
        fds: &[BorrowedFd<'_>],
        deadline: Instant,
    ) -> Result<Vec<bool>, ProcessError> {
        let timeout = || ProcessError::Timeout { program: self.name(), limit: self.limit };
        let left = deadline.checked_duration_since(Instant::now()).ok_or_else(timeout)?;
        let mut polled: Vec<PollFd<'_>> =
            fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        match poll(&mut polled, Some(&timespec(left))) {
            Ok(0) => Err(timeout()),
            Ok(_) => Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(rustix::io::Errno::INTR) => Ok(vec![false; fds.len()]),
            Err(errno) => Err(ProcessError::Pipe { program: self.name(), source: errno.into() }),
        }
    }
}

/// Reads what is there; true at the end.
fn read_some(from: Option<&mut impl Read>, into: &mut Vec<u8>) -> std::io::Result<bool> {
    let Some(from) = from else { return Ok(true) };
    let mut buffer = [0; 65536];
    let n = from.read(&mut buffer)?;
    into.extend_from_slice(&buffer[..n]);
    Ok(n == 0)
}

/// The program of this name in a `PATH`, as an absolute path.
#[must_use]
pub fn find_program(name: &str, path: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |file: &PathBuf| {
        file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    let absolute = std::env::split_paths(path).filter(|directory| directory.is_absolute());
    absolute.map(|directory| directory.join(name)).find(runs)
}

/// Lets this much time pass: for what tells nobody when it is ready.
pub fn pause(time: Duration) {
    let deadline = Instant::now() + time;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        // An interrupted wait goes on; nothing else can fail without descriptors.
        if !matches!(poll(&mut [], Some(&timespec(left))), Err(rustix::io::Errno::INTR)) {
            return;
        }
    }
}

/// A time for `poll`.
pub(crate) fn timespec(left: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}
