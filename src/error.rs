//! Exit codes, and failures as people see them: one line, then what helps. Owns the help for everything that
//! the environment can do to the program; decides nothing. Invariant: every failure has a documented exit code,
//! and not having seen enough ([`Exit::CannotObserve`]) never becomes "no difference" or "differences".

use crate::manifest::problem::Problems;
use crate::name::Name;
use crate::process::ProcessError;
use crate::reconcile::PassError;
use crate::render::layout::{clean, wrap};
use crate::render::style::{Style, Tone};
use crate::store::StoreError;
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

/// Problems are no wider than this, where nothing else limits them.
const WIDEST: usize = 120;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: all that may be done now is done; `diff`: no difference.
    Done,
    /// 1: `diff` found differences.
    Differs,
    /// 1: the operation failed.
    Failed,
    /// 2: usage, or an invalid manifest.
    Usage,
    /// 3: refused before the first act: a guard, trust, a confirmation that is missing.
    Refused,
    /// 4: partly done: something failed or is held by a guard.
    Partly,
    /// 5: another writer holds the lock.
    Locked,
    /// 6: the plan is stale.
    Stale,
    /// 7: a wait ran out of time.
    Timeout,
    /// 8: something that the answer needs could not be seen.
    CannotObserve,
}

impl Exit {
    /// The code that a shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Differs | Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Partly => 4,
            Self::Locked => 5,
            Self::Stale => 6,
            Self::Timeout => 7,
            Self::CannotObserve => 8,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why the program could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How it ends.
    pub exit: Exit,
    /// One line.
    pub message: String,
    /// What helps, one line each.
    pub help: Vec<String>,
    /// What is printed before it, as it is: the problems of a manifest.
    pub details: String,
}

impl Failure {
    /// A failure without help.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: Vec::new(), details: String::new() }
    }

    /// With something that helps.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// An error of a driver with all that caused it, and help where a cause is known to have some.
    #[must_use]
    pub fn because(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(exit, told(error));
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(help) = helps(error) {
                failure.help.push(help);
                break;
            }
            cause = error.source();
        }
        failure
    }

    /// A manifest with problems: all of them, each with its lines.
    #[must_use]
    pub fn invalid_manifest(problems: &Problems, style: &Style) -> Self {
        let rendered = problems.render(crate::manifest::Style {
            width: style.width.min(WIDEST),
            color: style.color,
            unicode: true,
        });
        Self::with_details(problems.problems.len(), rendered)
    }

    fn with_details(count: usize, rendered: String) -> Self {
        let message = match count {
            1 => "the manifest has a problem; nothing was changed".to_owned(),
            _ => format!("the manifest has {count} problems; nothing was changed"),
        };
        Self { details: rendered, ..Self::new(Exit::Usage, message) }
    }

    /// As it is printed to standard error, with a newline at its end.
    #[must_use]
    pub fn render(&self, style: &Style) -> String {
        let mut out = self.details.clone();
        if !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
        labelled(&mut out, ("error", Tone::Bad), &self.message, style);
        for help in &self.help {
            labelled(&mut out, ("help", Tone::Good), help, style);
        }
        out
    }
}

/// `error: …`, later lines indented. A message is one clause: it breaks at spaces only.
fn labelled(out: &mut String, (label, tone): (&str, Tone), text: &str, style: &Style) {
    let indent = label.len() + 2;
    let lines = wrap(&[clean(text)], style.width.saturating_sub(indent));
    for (at, line) in lines.iter().enumerate() {
        let begin = match at {
            0 => format!("{}: ", style.paint(tone, label)),
            _ => " ".repeat(indent),
        };
        let _ = writeln!(out, "{begin}{line}");
    }
}

/// An error and its causes in one line, without saying the same twice.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            let _ = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line
}

/// What helps against an error of the environment.
fn helps(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(ProcessError::Missing { program }) = error.downcast_ref() {
        return Some(match program.as_str() {
            "tmux" | "git" => format!("install it: apt-get install {program}"),
            _ => format!("put {program} on PATH"),
        });
    }
    let error: &std::io::Error = error.downcast_ref()?;
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Some(DISK_FULL.to_owned())
        }
        std::io::ErrorKind::ReadOnlyFilesystem => {
            Some("XDG_STATE_HOME chooses another place for the store".to_owned())
        }
        _ => None,
    }
}

const DISK_FULL: &str = "nothing was begun that could not be recorded; make room (fleetctl trash list), then run it again";

/// What can be wrong around the program, rather than with what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A program is not installed.
    Missing {
        /// Which.
        program: &'static str,
    },
    /// The tmux server could not be asked.
    NoAnswerFromTmux {
        /// Its socket.
        socket: PathBuf,
        /// Why, in one line.
        cause: String,
    },
    /// A directory that should be in a git repository is not.
    NotARepository {
        /// Which.
        path: PathBuf,
    },
    /// No manifest was given or found.
    NoManifest {
        /// Where the search began.
        from: PathBuf,
        /// The fleets that the user has.
        fleets: Vec<Name>,
    },
    /// The fleet has no session of that name.
    NoSession {
        /// The name.
        name: String,
        /// The nearest one that there is.
        nearest: Option<String>,
    },
    /// Another writer holds the fleet's lock.
    Locked {
        /// The fleet.
        fleet: Name,
        /// The writer, if it is known.
        pid: Option<u32>,
    },
    /// The store was written by a newer fleetctl.
    StoreNewer {
        /// Its format.
        has: i64,
        /// The newest format that is known here.
        knows: i64,
    },
    /// The store was written on another machine or by another user.
    StoreFromElsewhere {
        /// Where it lies.
        path: PathBuf,
    },
    /// The fleet belongs to a manifest at another path.
    OtherManifest {
        /// The fleet.
        fleet: Name,
        /// The manifest that it was applied from.
        recorded: PathBuf,
    },
    /// A plan that destroys, and nobody to ask.
    NobodyToAsk,
    /// The answer was no.
    Declined,
    /// A changing verb inside a session of the fleet.
    InsideSession {
        /// Which.
        session: String,
    },
    /// `rm` of a session that is in the file.
    StillInFile {
        /// Which.
        name: Name,
        /// The file.
        file: PathBuf,
        /// The line of its entry, from 1, if it is known.
        line: Option<usize>,
    },
    /// A wait ran out of time.
    WaitedInVain {
        /// What it waited for.
        what: String,
    },
}

impl Trouble {
    fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } | Self::NotARepository { .. } | Self::NoAnswerFromTmux { .. } => {
                Exit::CannotObserve
            }
            Self::NoManifest { .. } | Self::NoSession { .. } => Exit::Usage,
            Self::Locked { .. } => Exit::Locked,
            Self::StoreNewer { .. } | Self::StoreFromElsewhere { .. } => Exit::Failed,
            Self::OtherManifest { .. }
            | Self::NobodyToAsk
            | Self::Declined
            | Self::InsideSession { .. }
            | Self::StillInFile { .. } => Exit::Refused,
            Self::WaitedInVain { .. } => Exit::Timeout,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Missing { program } => format!("{program} is not installed or not on PATH"),
            Self::NoAnswerFromTmux { socket, cause } => {
                format!("the tmux server on {} could not be asked: {cause}", socket.display())
            }
            Self::NotARepository { path } => {
                format!("{} is not in a git repository", path.display())
            }
            Self::NoManifest { from, .. } => {
                format!("no fleet.yaml in {} or above", from.display())
            }
            Self::NoSession { name, .. } => format!("there is no session {name}"),
            Self::Locked { fleet, pid: Some(pid) } => {
                format!("the fleet {fleet} is being changed by pid {pid}")
            }
            Self::Locked { fleet, pid: None } => format!("the fleet {fleet} is being changed"),
            Self::StoreNewer { has, knows } => {
                format!("the store has format {has}, this fleetctl knows {knows}")
            }
            Self::StoreFromElsewhere { path } => {
                format!("the store {} is from another machine or user", path.display())
            }
            Self::OtherManifest { fleet, recorded } => {
                format!("the fleet {fleet} belongs to {}", recorded.display())
            }
            Self::NobodyToAsk => {
                "the plan destroys something, and there is no terminal to ask on; \
                                  nothing was done"
                    .to_owned()
            }
            Self::Declined => "not confirmed; nothing was done".to_owned(),
            Self::InsideSession { session } => {
                format!("this runs inside the session {session}, where only reading verbs work")
            }
            Self::StillInFile { name, file, line: Some(line) } => {
                format!("{name} is in the file: {}:{line}", file.display())
            }
            Self::StillInFile { name, file, line: None } => {
                format!("{name} is in the file: {}", file.display())
            }
            Self::WaitedInVain { what } => format!("waited in vain for {what}"),
        }
    }

    fn help(&self) -> Option<String> {
        let line = match self {
            Self::Missing { program } => format!("install it: apt-get install {program}"),
            Self::NoAnswerFromTmux { socket, .. } => {
                format!("see whether it answers you: tmux -S {} list-sessions", socket.display())
            }
            Self::NotARepository { path } => format!("make it one: git init {}", path.display()),
            Self::NoManifest { fleets, .. } if fleets.is_empty() => {
                "write one (see the README), or name one: -f FILE".to_owned()
            }
            Self::NoManifest { fleets, .. } => {
                let names: Vec<&str> = fleets.iter().map(Name::as_str).collect();
                format!("name one: -f FILE; fleets that you have: {}", names.join(", "))
            }
            Self::NoSession { nearest, .. } => match nearest {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "fleetctl get sessions lists them".to_owned(),
            },
            Self::Locked { pid: Some(pid), .. } => {
                format!("wait for it, or see what it does: ps -fp {pid}")
            }
            Self::Locked { pid: None, .. } => "wait for it, then run this again".to_owned(),
            Self::StoreNewer { .. } => "use the fleetctl that wrote it, or a newer one".to_owned(),
            Self::StoreFromElsewhere { .. } => {
                "choose another place with XDG_STATE_HOME; the old one stays as it is".to_owned()
            }
            Self::OtherManifest { .. } => {
                "use that file with -f, or take the fleet over: fleetctl apply --take-over"
                    .to_owned()
            }
            Self::NobodyToAsk => "say so beforehand: --yes".to_owned(),
            Self::InsideSession { .. } => "run it from a terminal outside of the fleet".to_owned(),
            Self::StillInFile { .. } => "take that entry out, then: fleetctl apply".to_owned(),
            Self::Declined | Self::WaitedInVain { .. } => return None,
        };
        Some(line)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Newer { found, known, .. } => {
                Trouble::StoreNewer { has: *found, knows: *known }.into()
            }
            StoreError::OtherMachine { path } => {
                Trouble::StoreFromElsewhere { path: path.clone() }.into()
            }
            StoreError::Full(_) => Self::because(Exit::Failed, &error).with_help(DISK_FULL),
            _ => Self::because(Exit::Failed, &error),
        }
    }
}

impl From<PassError> for Failure {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Store(error) => error.into(),
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let failure = Self::new(trouble.exit(), trouble.message());
        match trouble.help() {
            Some(help) => failure.with_help(help),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the journal could not be written")]
    struct Journal(#[source] std::io::Error);

    #[test]
    fn a_failure_is_one_line_and_what_helps() {
        let failure = Failure::from(Trouble::Missing { program: "tmux" });
        insta::assert_snapshot!(failure.render(&Style::PLAIN), @r"
        error: tmux is not installed or not on PATH
        help: install it: apt-get install tmux
        ");
        assert_eq!(failure.exit.code(), 8);
    }

    #[test]
    fn a_full_disk_is_recognised_behind_a_drivers_error() {
        let error = Journal(std::io::ErrorKind::StorageFull.into());
        let failure = Failure::because(Exit::Failed, &error);
        insta::assert_snapshot!(failure.render(&Style { width: 60, color: false }), @r"
        error: the journal could not be written: no storage space
        help: nothing was begun that could not be recorded; make
              room (fleetctl trash list), then run it again
        ");
    }

    #[test]
    fn a_missing_program_is_recognised_behind_a_drivers_error() {
        let error = ProcessError::Missing { program: "git".to_owned() };
        let failure = Failure::because(Exit::CannotObserve, &error);
        assert_eq!(failure.help, ["install it: apt-get install git"]);
    }

    #[test]
    fn the_exit_codes_are_those_of_the_reference() {
        use Exit::{
            CannotObserve, Differs, Done, Failed, Locked, Partly, Refused, Stale, Timeout, Usage,
        };
        let all =
            [Done, Differs, Failed, Usage, Refused, Partly, Locked, Stale, Timeout, CannotObserve];
        assert_eq!(all.map(Exit::code), [0, 1, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn problems_of_a_manifest_come_before_their_count() {
        let failure = Failure::with_details(2, "fleet.yaml:3: x\n".to_owned());
        insta::assert_snapshot!(failure.render(&Style::PLAIN), @r"
        fleet.yaml:3: x

        error: the manifest has 2 problems; nothing was changed
        ");
        assert_eq!(failure.exit, Exit::Usage);
    }
}
