//! What is wrong with a manifest: a code, a message, a place, a way out. Owns the collection of all
//! problems at once and their form for machines. Invariant: no message or help quotes a value of `env`.

use super::fleet::Reads;
use super::source::{At, Lines, Source};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashSet;
use std::fmt;

/// The kinds of problems; their texts are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// A file that cannot be read.
    FileUnreadable,
    /// A file that is too large.
    FileSize,
    /// A file that is not UTF-8.
    FileEncoding,
    /// A control character.
    FileControl,
    /// Not YAML.
    YamlSyntax,
    /// A tag such as `!x`.
    YamlTag,
    /// More than one document, or none.
    YamlDocument,
    /// Too deep, or too much after aliases.
    YamlLimit,
    /// The same key twice.
    YamlDuplicateKey,
    /// `<<`.
    YamlMerge,
    /// A plain text cut off by ` #`.
    YamlCut,
    /// `${…}` unquoted inside `[…]` or `{…}`.
    YamlUnquoted,
    /// A field that does not exist.
    UnknownField,
    /// A field that must be there and is not.
    MissingField,
    /// A value of the wrong type.
    WrongType,
    /// An empty value.
    Empty,
    /// A word or number that is not among the possible ones.
    BadValue,
    /// A duration that is none.
    BadDuration,
    /// A regular expression that is none.
    BadRegex,
    /// A glob that is none.
    BadGlob,
    /// A name that breaks the rules for names.
    BadName,
    /// A version of the format that is not known.
    Version,
    /// A variable that does not exist.
    UnknownVariable,
    /// A variable that is not known where it stands.
    VariableNotHere,
    /// Two sessions of one name.
    SameName,
    /// Two entries of `each` with one slug.
    SameSlug,
    /// A profile that does not exist.
    UnknownAgent,
    /// `extends` in a circle.
    ExtendsCycle,
    /// A mode that the agent does not have.
    ModeNotMapped,
    /// A repository that does not exist.
    UnknownRepo,
    /// A session that does not exist.
    UnknownSession,
    /// Dependencies in a circle.
    DependencyCycle,
    /// A dependency on what can never come.
    NeverComes,
    /// Fields that exclude each other.
    Conflict,
    /// A field for agents on a shell.
    AgentOnly,
    /// A field for sessions with a worktree of their own.
    WorktreeOnly,
    /// A shared worktree that cannot be shared so.
    BadSharer,
    /// Two writers in one repository.
    TwoWriters,
    /// One branch for two sessions.
    SameBranch,
    /// `moved` or `removed` against the rest of the file.
    Contradiction,
    /// A limit of the manifest.
    Limit,
}

impl Code {
    /// The stable text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileUnreadable => "file::unreadable",
            Self::FileSize => "file::size",
            Self::FileEncoding => "file::encoding",
            Self::FileControl => "file::control-character",
            Self::YamlSyntax => "yaml::syntax",
            Self::YamlTag => "yaml::tag",
            Self::YamlDocument => "yaml::document",
            Self::YamlLimit => "yaml::limit",
            Self::YamlDuplicateKey => "yaml::duplicate-key",
            Self::YamlMerge => "yaml::merge-key",
            Self::YamlCut => "yaml::cut-by-comment",
            Self::YamlUnquoted => "yaml::unquoted-variable",
            Self::UnknownField => "field::unknown",
            Self::MissingField => "field::missing",
            Self::WrongType => "field::type",
            Self::Empty => "field::empty",
            Self::BadValue => "field::value",
            Self::BadDuration => "field::duration",
            Self::BadRegex => "field::regex",
            Self::BadGlob => "field::glob",
            Self::BadName => "name::invalid",
            Self::Version => "version::unknown",
            Self::UnknownVariable => "variable::unknown",
            Self::VariableNotHere => "variable::not-here",
            Self::SameName => "session::same-name",
            Self::SameSlug => "each::same-slug",
            Self::UnknownAgent => "agent::unknown",
            Self::ExtendsCycle => "agent::extends-cycle",
            Self::ModeNotMapped => "agent::mode",
            Self::UnknownRepo => "repo::unknown",
            Self::UnknownSession => "session::unknown",
            Self::DependencyCycle => "session::dependency-cycle",
            Self::NeverComes => "session::never-comes",
            Self::Conflict => "session::conflict",
            Self::AgentOnly => "session::agent-only",
            Self::WorktreeOnly => "session::worktree-only",
            Self::BadSharer => "session::shared-worktree",
            Self::TwoWriters => "session::two-writers",
            Self::SameBranch => "session::same-branch",
            Self::Contradiction => "moved::contradiction",
            Self::Limit => "limit",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where; `None` for a file as a whole.
    pub at: Option<At>,
    /// What the place is.
    pub label: Option<String>,
    /// Other places that belong to it, each with what it is.
    pub also: Vec<(At, String)>,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, help: None, at: None, label: None, also: Vec::new() }
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(mut self, at: At) -> Self {
        self.at = Some(at);
        self
    }

    /// The same, with a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, with a word at its place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same, with another place.
    #[must_use]
    pub fn also(mut self, at: At, label: impl Into<String>) -> Self {
        self.also.push((at, label.into()));
        self
    }

    /// The same, with the nearest of the known names as the way out, if one is near.
    #[must_use]
    pub fn nearest<'n>(self, name: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(name, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// The known name that is nearest to a mistyped one: fewest slips of the finger, then no letter forgotten, then
/// the same beginning.
#[must_use]
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let most = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| {
            let slips = strsim::damerau_levenshtein(name, candidate);
            (slips, candidate.len() < name.len(), -strsim::jaro_winkler(name, candidate), candidate)
        })
        // Of one or two letters a single slip leaves next to nothing: something must be the same.
        .filter(|(slips, _, likeness, _)| *slips <= most && *likeness < -0.5)
        .min_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)))
        .map(|(.., candidate)| candidate)
}

/// Problems as they are found; one place is told of once for each kind.
#[derive(Debug, Default)]
pub struct Collector {
    found: Vec<Problem>,
    seen: HashSet<(Code, At)>,
}

impl Collector {
    /// Takes a problem.
    pub fn push(&mut self, problem: Problem) {
        if problem.at.is_none_or(|at| self.seen.insert((problem.code, at))) {
            self.found.push(problem);
        }
    }

    /// True when nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many were found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// All that was found, by place.
    #[must_use]
    pub fn finish(mut self, sources: Vec<Source>, masks: Vec<At>) -> Problems {
        self.found.sort_by_key(|problem| problem.at);
        Problems { problems: self.found, sources, masks, reads: Reads::default() }
    }
}

/// All that is wrong with a manifest, and the texts it is wrong in.
#[derive(Debug, Clone)]
pub struct Problems {
    /// By place; never empty.
    pub problems: Vec<Problem>,
    /// The files that were read.
    pub sources: Vec<Source>,
    /// Stretches of the sources that must not be shown.
    pub masks: Vec<At>,
    /// Where a change may make it good.
    pub reads: Reads,
}

/// A problem for machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Report {
    /// `error`.
    pub severity: &'static str,
    /// The file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// The stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problems {
    /// The problems for machines, in the order of the files.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        let lines: Vec<Lines> = self.sources.iter().map(Source::lines).collect();
        self.problems.iter().map(|problem| self.report(problem, &lines)).collect()
    }

    fn report(&self, problem: &Problem, lines: &[Lines]) -> Report {
        let index = problem.at.map(|at| usize::from(at.source));
        let source = index.and_then(|index| self.sources.get(index));
        let lines = index.and_then(|index| lines.get(index));
        let place = problem.at.zip(lines).map(|(at, lines)| lines.place(at.start as usize));
        Report {
            severity: "error",
            file: source.map(|source| source.path.display().to_string()),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            code: problem.code.as_str(),
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("1 problem in the manifest"),
            n => write!(f, "{n} problems in the manifest"),
        }
    }
}

impl std::error::Error for Problems {}
