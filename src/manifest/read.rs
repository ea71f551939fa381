//! From a node to a typed value: text, list, flag, number, duration, word. Owns the messages about wrong
//! types and variables, and the collection of problems on the way. Knows no field by name. Invariant: a
//! reading that gives nothing has collected a problem.

use super::files::matcher;
use super::problem::{Code, Collector, Problem};
use super::raw::{Entry, Kind, Node, Sort};
use super::source::{At, Source};
use super::template::{Allow, KNOWN, NotHere, Part, Scope, What, expand};
use std::time::Duration;

/// A text and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text, variables put in.
    pub value: String,
    /// Its place.
    pub at: At,
}

/// A session that a variable names.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Which.
    pub session: String,
    /// What of it.
    pub part: Part,
    /// Where.
    pub at: At,
}

/// What may stand in a text.
#[derive(Debug, Clone, Copy)]
pub struct Here<'s> {
    /// The variables.
    pub scope: Scope<'s>,
    /// Which of them.
    pub allow: Allow,
}

/// Fields of a later version, so that one who reads about them is told.
pub const LATER: [&str; 2] = ["resume_prompt", "notify"];

/// Reads nodes and collects what is wrong.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The texts.
    pub sources: &'a [Source],
    /// The problems.
    pub out: Collector,
    /// The sessions that variables name.
    pub references: Vec<Reference>,
}

impl<'a> Reader<'a> {
    /// A reader of these texts.
    #[must_use]
    pub fn new(sources: &'a [Source]) -> Self {
        Self { sources, out: Collector::default(), references: Vec::new() }
    }

    /// Takes a problem.
    pub fn problem(&mut self, problem: Problem) {
        self.out.push(problem);
    }

    fn wrong_type(&mut self, what: &str, wanted: &str, node: &Node) {
        let (code, message) = match node.kind {
            Kind::Scalar(_, Sort::Empty | Sort::Null) => {
                (Code::Empty, format!("`{what}` has no value"))
            }
            _ => (Code::WrongType, format!("`{what}` must be {wanted}, not {}", node.describe())),
        };
        let problem = Problem::new(code, message).at(node.at);
        self.problem(match code {
            Code::Empty if wanted == "a map" => {
                problem.help("indent what belongs to it by two more spaces, or take it out")
            }
            Code::Empty => problem
                .help("give it a value, or take it out (a `#` after a space begins a comment)"),
            _ if wanted == "a list" => {
                problem.label(wanted).help("write `[a, b]`, or a line with `- ` for each")
            }
            _ => problem.label(wanted),
        });
    }

    /// Any scalar, as text.
    pub fn text(&mut self, what: &str, node: &Node, here: Here) -> Option<Written> {
        match &node.kind {
            Kind::Scalar(text, Sort::Text | Sort::Number | Sort::Bool)
                if !text.trim().is_empty() =>
            {
                Some(Written { value: self.expanded(text, node.at, here), at: node.at })
            }
            Kind::Scalar(_, Sort::Text) => {
                let message = format!("`{what}` is empty");
                self.problem(
                    Problem::new(Code::Empty, message).at(node.at).help("fill it, or take it out"),
                );
                None
            }
            _ => {
                self.wrong_type(what, "text", node);
                None
            }
        }
    }

    /// Variables put in; what is wrong with them is collected.
    pub fn expanded(&mut self, text: &str, at: At, here: Here) -> String {
        let mut found = Vec::new();
        let made = expand(text, &here.scope, here.allow, &mut found).into_owned();
        for found in found {
            let at = self.inside(at, &text[found.range.clone()], found.range.start, text);
            match found.what {
                What::Session { name, part } => {
                    self.references.push(Reference { session: name, part, at });
                }
                What::Unknown(name) => self.problem(unknown_variable(&name, here).at(at)),
                What::NotHere(name, why) => self.problem(not_here(&name, why).at(at)),
            }
        }
        made
    }

    /// Where a piece of a scalar stands: exactly if the scalar was written as it is read, else by search.
    fn inside(&self, at: At, piece: &str, offset: usize, whole: &str) -> At {
        let Some(source) = self.sources.get(usize::from(at.source)) else { return at };
        let start = at.start as usize;
        if source.text.get(at.range()) == Some(whole) {
            return At::new(at.source, start + offset, start + offset + piece.len());
        }
        match source.text.get(start..).and_then(|rest| rest.find(piece)) {
            Some(found) => At::new(at.source, start + found, start + found + piece.len()),
            None => at,
        }
    }

    /// A list of scalars.
    pub fn list(&mut self, what: &str, node: &Node, here: Here) -> Option<Vec<Written>> {
        let Kind::Seq(items) = &node.kind else {
            self.wrong_type(what, "a list", node);
            return None;
        };
        let read: Vec<_> = items.iter().map(|item| self.item(what, item, here)).collect();
        read.into_iter().collect()
    }

    /// One of a list: here an empty quoted text is what was meant.
    fn item(&mut self, what: &str, node: &Node, here: Here) -> Option<Written> {
        match &node.kind {
            Kind::Scalar(text, Sort::Text) if text.is_empty() => {
                Some(Written { value: String::new(), at: node.at })
            }
            _ => self.text(&format!("{what}[]"), node, here),
        }
    }

    /// A mapping.
    pub fn map<'n, 't>(&mut self, what: &str, node: &'n Node<'t>) -> Option<&'n [Entry<'t>]> {
        match &node.kind {
            Kind::Map(entries) => Some(entries),
            _ => {
                self.wrong_type(what, "a map", node);
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn flag(&mut self, what: &str, node: &Node, here: Here) -> Option<bool> {
        let text = match &node.kind {
            Kind::Scalar(text, Sort::Bool) => text.to_ascii_lowercase(),
            Kind::Scalar(text, Sort::Text) if text.contains("${") => {
                self.expanded(text, node.at, here)
            }
            _ => String::new(),
        };
        let flag = text.parse().ok();
        if flag.is_none() {
            self.wrong_type(what, "true or false", node);
        }
        flag
    }

    /// A number from 1.
    pub fn count(&mut self, what: &str, node: &Node) -> Option<usize> {
        match &node.kind {
            Kind::Scalar(text, Sort::Number) => {
                let count = text.parse().ok().filter(|count| *count > 0);
                if count.is_none() {
                    let message = format!("`{what}` must be a whole number from 1");
                    self.problem(Problem::new(Code::BadValue, message).at(node.at));
                }
                count
            }
            _ => {
                self.wrong_type(what, "a number", node);
                None
            }
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(
        &mut self,
        what: &str,
        node: &Node,
        here: Here,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(what, node, here)?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let problem =
                Problem::new(Code::BadValue, format!("`{what}` is none of {}", all.join(", ")));
            let names = words.iter().map(|(word, _)| *word);
            self.problem(problem.at(node.at).nearest(&text.value, names));
        }
        found.map(|(_, value)| *value)
    }

    /// A duration: `90s`, `10m`, `1h30m`, `2d`.
    pub fn duration(&mut self, what: &str, node: &Node, here: Here) -> Option<Duration> {
        let text = self.text(what, node, here)?;
        let duration = duration(&text.value);
        if duration.is_none() {
            let message = format!("`{what}` is no duration");
            let help = "write a number with its unit: 90s, 10m, 1h30m, 2d";
            self.problem(Problem::new(Code::BadDuration, message).at(node.at).help(help));
        }
        duration
    }

    /// A list of globs.
    pub fn globs(&mut self, what: &str, node: &Node, here: Here) -> Option<Vec<String>> {
        let globs = self.list(what, node, here)?;
        for glob in &globs {
            self.check_glob(what, glob);
        }
        Some(globs.into_iter().map(|glob| glob.value).collect())
    }

    /// Says so if a text is no glob of files below a directory.
    pub fn check_glob(&mut self, what: &str, glob: &Written) -> bool {
        let problem = |message| Problem::new(Code::BadGlob, message).at(glob.at);
        let outside = std::path::Path::new(&glob.value).components().any(|part| {
            !matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir)
        });
        if let Err(error) = matcher(&glob.value) {
            let help = error.kind().to_string();
            self.problem(problem(format!("`{what}` holds no glob")).help(help));
            return false;
        }
        if outside {
            let message = format!("`{what}` leads out of its directory");
            self.problem(problem(message).help("globs are relative and without `..`"));
        }
        !outside
    }

    /// Says so for each key that is not known.
    pub fn unknown_fields<'n, 't: 'n>(
        &mut self,
        of: &str,
        entries: impl IntoIterator<Item = &'n Entry<'t>>,
        known: &[&str],
    ) {
        for entry in entries {
            if known.contains(&entry.key.as_ref()) {
                continue;
            }
            let problem =
                Problem::new(Code::UnknownField, format!("unknown field `{}` {of}", entry.key))
                    .at(entry.at);
            self.problem(if LATER.contains(&entry.key.as_ref()) {
                problem.help("this version of fleetctl does not have it yet")
            } else {
                problem.nearest(&entry.key, known.iter().copied())
            });
        }
    }

    /// Says so if a plain text was cut off by ` #`.
    pub fn check_cut(&mut self, what: &str, node: &Node) {
        let Some(source) = self.sources.get(usize::from(node.at.source)) else { return };
        let Some(comment) = cut_by_comment(&source.text, node) else { return };
        let at = At::new(node.at.source, comment, comment + 1);
        let problem = Problem::new(Code::YamlCut, format!("`{what}` is cut off here by a comment"))
            .at(at)
            .help("quote the text, or write it as a block: `|` and the text on the next lines");
        self.problem(problem);
    }
}

/// Where the comment begins that ends a plain scalar.
fn cut_by_comment(text: &str, node: &Node) -> Option<usize> {
    let Kind::Scalar(value, sort) = &node.kind else { return None };
    if matches!(sort, Sort::Null | Sort::Empty) || node.at.end == 0 {
        return None;
    }
    let start = node.at.start as usize;
    let opening = text[..start].chars().next_back();
    if matches!(opening, Some('"' | '\''))
        || text[start..].starts_with(['"', '\'', '|', '>', '*', '!', '&'])
    {
        return None;
    }
    // Folding changes only white space: the scalar ends where its last visible character stands.
    let mut wanted = value.chars().filter(|c| !c.is_whitespace());
    let mut next = wanted.next();
    let mut end = start;
    for (at, c) in text[start..].char_indices() {
        if next.is_none() {
            break;
        }
        if Some(c) == next {
            next = wanted.next();
            end = start + at + c.len_utf8();
        } else if !c.is_whitespace() {
            return None;
        }
    }
    let rest = &text[end..];
    let gap = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    (gap > 0 && rest[gap..].starts_with('#')).then_some(end + gap)
}

fn unknown_variable(name: &str, here: Here) -> Problem {
    let problem = Problem::new(Code::UnknownVariable, format!("unknown variable `${{{name}}}`"));
    let keys = here.scope.each.map(|item| &item.keys[..]).unwrap_or_default();
    let keys: Vec<String> = keys.iter().map(|(key, _)| format!("each.{key}")).collect();
    let known = KNOWN.into_iter().chain(keys.iter().map(String::as_str));
    let near = problem.clone().nearest(name, known);
    match near.help {
        Some(_) => near,
        None => problem.help("for a variable of the shell write `$name`, or its name in capitals"),
    }
}

fn not_here(name: &str, why: NotHere) -> Problem {
    let (message, help) = match why {
        NotHere::TooEarly => {
            ("is not known here yet", "this field is needed before there is a worktree")
        }
        NotHere::OnlyInEnv => {
            ("stands only in values of `env`", "set a variable in `env` and use `$NAME`")
        }
        NotHere::NoEach => ("needs `each`", "give the session `each: […]`"),
        NotHere::NoSession => ("is known only inside a session", "only `${fleet}` is known here"),
        NotHere::EachIsMap => ("is a map here", "name one of its keys: `${each.KEY}`"),
    };
    Problem::new(Code::VariableNotHere, format!("`${{{name}}}` {message}")).help(help)
}

/// `1h30m` and the like.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(seconds)?)?;
        rest = &rest[digits + 1..];
    }
    (total <= 3_660 * 86_400).then(|| Duration::from_secs(total))
}
