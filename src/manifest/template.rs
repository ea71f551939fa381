//! Variables: `${session}`, `${each.slug}`, `${worktree}`. Owns which there are and what becomes of each:
//! known ones are put in at load, late ones (known only when a session is made or launched) become markers.
//! Does not know fields. Invariant: a marker is made of control characters, which no manifest can hold, so
//! no text of a user is ever taken for one.

use std::borrow::Cow;
use std::ops::Range;

const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// One entry of `each`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    /// `${each}`; a map has none.
    pub text: Option<String>,
    /// `${each.KEY}`.
    pub keys: Vec<(String, String)>,
    /// `${each.slug}`.
    pub slug: String,
}

/// What variables can be put in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope<'s> {
    /// `${fleet}`.
    pub fleet: &'s str,
    /// `${session}`.
    pub session: Option<&'s str>,
    /// `${each…}`.
    pub each: Option<&'s Item>,
}

/// Which variables a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allow {
    /// Those known at load.
    Early,
    /// Those known at launch too.
    Late,
    /// The environment's as well.
    Env,
}

/// Something to be said about a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it stands in the text, braces included.
    pub range: Range<usize>,
    /// What about it.
    pub what: What,
}

/// What is to be said about a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// There is none of this name.
    Unknown(String),
    /// It is not known here.
    NotHere(String, NotHere),
    /// It names a session, which must exist.
    Session {
        /// The session.
        name: String,
        /// What of it.
        part: Part,
    },
}

/// What of a session a variable stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Its directory.
    Worktree,
    /// Its branch: it must have one.
    Branch,
    /// One of its ports: it must have one of this name.
    Port(String),
}

/// Why a variable is not known where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotHere {
    /// The field is needed before the worktree is made.
    TooEarly,
    /// `${env.NAME}` outside `env`.
    OnlyInEnv,
    /// `${each…}` without `each`.
    NoEach,
    /// Outside of a session.
    NoSession,
    /// `${each}` of a map.
    EachIsMap,
}

/// The variables that are told of beside a mistyped one.
pub const KNOWN: [&str; 11] = [
    "fleet",
    "session",
    "branch",
    "worktree",
    "port",
    "each",
    "each.slug",
    "each.name",
    "each.path",
    "env",
    "sessions",
];

/// Puts in what is known, turns what is late into markers, and notes what is neither. A name in capitals
/// and anything that is more than a name (`${X:-1}`) is left to the shell.
pub fn expand<'t>(
    text: &'t str,
    scope: &Scope,
    allow: Allow,
    found: &mut Vec<Found>,
) -> Cow<'t, str> {
    if !text.contains("${") {
        return Cow::Borrowed(text);
    }
    let mut made = String::with_capacity(text.len() + 16);
    let mut rest = 0;
    for (range, name) in variables(text) {
        made.push_str(&text[rest..range.start]);
        match value(name, scope, allow) {
            Value::Known(value) => made.push_str(value),
            Value::Late(reference) => {
                made.extend([OPEN]);
                made.push_str(name);
                made.extend([CLOSE]);
                found.extend(reference.map(|what| Found { range: range.clone(), what }));
            }
            Value::Wrong(what) => found.push(Found { range: range.clone(), what }),
        }
        rest = range.end;
    }
    made.push_str(&text[rest..]);
    Cow::Owned(made)
}

/// True if `text` holds a variable of ours.
#[must_use]
pub fn has_variable(text: &str) -> bool {
    variables(text).next().is_some()
}

/// The variables of a text, with the place of each.
fn variables(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    text.match_indices("${").filter_map(move |(start, _)| {
        let name = &text[start + 2..];
        let name = &name[..name.find('}')?];
        is_variable(name).then(|| (start..start + name.len() + 3, name))
    })
}

fn is_variable(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    first.starts_with(|c: char| c.is_ascii_lowercase())
        && first.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

enum Value<'s> {
    Known(&'s str),
    Late(Option<What>),
    Wrong(What),
}

fn value<'s>(name: &str, scope: &Scope<'s>, allow: Allow) -> Value<'s> {
    let wrong = |why| Value::Wrong(What::NotHere(name.to_owned(), why));
    let unknown = || Value::Wrong(What::Unknown(name.to_owned()));
    let late = |what| match (allow, scope.session) {
        (Allow::Early, Some(_)) => wrong(NotHere::TooEarly),
        (_, None) => wrong(NotHere::NoSession),
        (Allow::Late | Allow::Env, Some(_)) => Value::Late(what),
    };
    let (first, rest) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
    match (first, rest) {
        ("fleet", None) => Value::Known(scope.fleet),
        ("session", None) => scope.session.map_or_else(|| wrong(NotHere::NoSession), Value::Known),
        ("worktree" | "branch", None) => late(None),
        ("port", Some(port)) => {
            let name = scope.session.unwrap_or_default().to_owned();
            late(Some(What::Session { name, part: Part::Port(port.to_owned()) }))
        }
        ("env", Some(_)) if allow == Allow::Env => Value::Late(None),
        ("env", Some(_)) => wrong(NotHere::OnlyInEnv),
        ("each", key) => match scope.each {
            None => wrong(NotHere::NoEach),
            Some(item) => match (of_each(item, key), key) {
                (Some(value), _) => Value::Known(value),
                (None, None) => wrong(NotHere::EachIsMap),
                (None, Some(_)) => unknown(),
            },
        },
        ("sessions", Some(rest)) => {
            match rest.split_once('.').map(|(of, part)| (of, part_of(part))) {
                Some((session, Some(part))) => {
                    late(Some(What::Session { name: session.to_owned(), part }))
                }
                _ => unknown(),
            }
        }
        _ => unknown(),
    }
}

fn part_of(text: &str) -> Option<Part> {
    match text {
        "worktree" => Some(Part::Worktree),
        "branch" => Some(Part::Branch),
        text => text.strip_prefix("port.").map(|port| Part::Port(port.to_owned())),
    }
}

fn of_each<'s>(item: &'s Item, key: Option<&str>) -> Option<&'s str> {
    match key {
        None => item.text.as_deref(),
        Some(key) => item
            .keys
            .iter()
            .find_map(|(known, value)| (known == key).then_some(value.as_str()))
            .or_else(|| (key == "slug").then_some(item.slug.as_str())),
    }
}

/// Puts late values in: each marker's name is asked for (`worktree`, `branch`, `port.NAME`,
/// `sessions.NAME.worktree`, `env.NAME`); a marker without an answer stays for a later call.
#[must_use]
pub fn late(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(OPEN) {
        let after = &rest[start + OPEN.len_utf8()..];
        let Some(end) = after.find(CLOSE) else { break };
        made.push_str(&rest[..start]);
        match value(&after[..end]) {
            Some(value) => made.push_str(&value),
            None => made.push_str(&rest[start..start + end + 2]),
        }
        rest = &after[end + CLOSE.len_utf8()..];
    }
    made.push_str(rest);
    made
}

/// The first variable that was not filled in, but for those of the environment.
#[must_use]
pub fn unfilled(text: &str) -> Option<&str> {
    let names = text.split(OPEN).skip(1).filter_map(|rest| rest.split(CLOSE).next());
    names.into_iter().find(|name| !name.starts_with("env."))
}

/// True if markers are left in a text.
#[must_use]
pub fn is_late(text: &str) -> bool {
    text.contains(OPEN)
}

/// A text for people: markers as they were written.
#[must_use]
pub fn shown(text: &str) -> String {
    late(text, &|name| Some(format!("${{{name}}}")))
}

/// A text as a part of a name: lower case, everything but letters and digits as one `-`. What is long is cut
/// and made unique by a digest, so that a name made of it stays within its limit.
#[must_use]
pub fn slug(text: &str) -> String {
    let mut made = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => made.push(c),
            _ if made.is_empty() || made.ends_with('-') => {}
            _ => made.push('-'),
        }
    }
    let made = made.trim_end_matches('-');
    if made.len() <= 36 {
        return made.to_owned();
    }
    let digest = super::applied::hex(text.as_bytes());
    format!("{}-{}", made[..29].trim_end_matches('-'), &digest[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(item: &Item) -> Scope<'_> {
        Scope { fleet: "shop", session: Some("api"), each: Some(item) }
    }

    fn item() -> Item {
        Item {
            text: Some("a b".to_owned()),
            keys: vec![("id".to_owned(), "7".to_owned())],
            slug: "a-b".to_owned(),
        }
    }

    #[test]
    fn known_variables_are_put_in_and_the_rest_is_the_shells() {
        let item = item();
        for (text, made) in [
            ("${fleet}-${session}", "shop-api"),
            ("${each} ${each.slug} ${each.id}", "a b a-b 7"),
            (
                "$x ${X} ${X:-${fleet}} ${x:-1} ${PORT_a} $${session",
                "$x ${X} ${X:-shop} ${x:-1} ${PORT_a} $${session",
            ),
            ("${", "${"),
        ] {
            let mut found = Vec::new();
            assert_eq!(expand(text, &scope(&item), Allow::Early, &mut found), made);
            assert_eq!(found, []);
        }
    }

    #[test]
    fn late_variables_become_markers_that_are_filled_in_later() {
        let item = item();
        let mut found = Vec::new();
        let text = "cd ${worktree}; ${sessions.web.branch} ${env.HOME}";
        let made = expand(text, &scope(&item), Allow::Env, &mut found);
        assert_eq!(found.len(), 1);
        assert!(is_late(&made));
        assert_eq!(shown(&made), text);
        let half = late(&made, &|name| (name == "worktree").then(|| "/w".to_owned()));
        assert_eq!(shown(&half), "cd /w; ${sessions.web.branch} ${env.HOME}");
        assert_eq!(unfilled(&half), Some("sessions.web.branch"));
        assert_eq!(unfilled(&late(&half, &|name| name.starts_with('s').then(String::new))), None);
    }

    #[test]
    fn what_is_unknown_or_not_here_is_said_with_its_place() {
        let item = Item { text: None, ..item() };
        for (text, allow, what) in [
            ("x ${port}", Allow::Late, What::Unknown("port".to_owned())),
            ("x ${sesion}", Allow::Late, What::Unknown("sesion".to_owned())),
            ("x ${each.no}", Allow::Late, What::Unknown("each.no".to_owned())),
            ("x ${each}", Allow::Late, What::NotHere("each".to_owned(), NotHere::EachIsMap)),
            ("x ${branch}", Allow::Early, What::NotHere("branch".to_owned(), NotHere::TooEarly)),
            ("x ${env.A}", Allow::Late, What::NotHere("env.A".to_owned(), NotHere::OnlyInEnv)),
        ] {
            let mut found = Vec::new();
            expand(text, &scope(&item), allow, &mut found);
            assert_eq!(found, [Found { range: 2..text.len(), what }]);
        }
    }

    #[test]
    fn a_slug_is_a_part_of_a_name_however_long_the_text_is() {
        assert_eq!(slug("Tests/Login_test.py::it works!"), "tests-login-test-py-it-works");
        let (a, b) = (slug(&"x/".repeat(90)), slug(&"x/".repeat(91)));
        assert!(a != b && a.len() <= 36, "{a} {b}");
        assert_eq!(slug("…"), "");
    }
}
