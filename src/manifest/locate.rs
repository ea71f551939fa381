//! From an error of the YAML library to a problem with a place. Owns what a syntax error means to a person;
//! beside `raw` the only one that knows the library. Invariant: of the library's words only those of its
//! scanner are passed on, as they quote nothing.

use super::problem::{Code, Problem};
use super::raw::{CONTROL, TOO_LARGE};
use super::source::{At, Source, floor_char};

/// The problem that an error of the library stands for.
#[must_use]
pub fn problem(source: &Source, index: u16, error: &serde_yaml::Error) -> Problem {
    let text = source.text.as_str();
    let start = error.location().map(|location| floor_char(text, location.index()));
    let start = start.map(|at| visible_before(text, at));
    let said = error.to_string();
    let place = start.map(|at| At::new(index, at, next_char(text, at)));
    let at = |problem: Problem| match place {
        Some(place) => problem.at(place),
        None => problem.at(At::new(index, 0, 0)),
    };
    if let Some(problem) = of_limits(&said) {
        return at(problem);
    }
    if said.contains("without a tag") {
        let help = "take the tag (`!…`) out; quote the value if it is text";
        return at(Problem::new(Code::YamlTag, "a value with a tag cannot be read").help(help));
    }
    if said.contains("invalid type") || said.contains("invalid value") {
        return at(Problem::new(Code::YamlSyntax, "a key must be text, not a list or a map"));
    }
    if let Some(unquoted) = start.and_then(|at| unquoted_variable(text, at)) {
        let help = "quote it: inside [ ] and { } a text with `${…}` needs quotation marks";
        return Problem::new(Code::YamlUnquoted, "`${…}` unquoted inside `[…]` or `{…}`")
            .at(At::new(index, unquoted.0, unquoted.1))
            .help(help);
    }
    let words = said.split(" at line ").next().unwrap_or_default();
    let context = said.split(", while ").nth(1).map(|rest| rest.split(" at line ").next());
    let message = match context.flatten() {
        Some(context) => format!("not YAML: {words}, while {context}"),
        None => format!("not YAML: {words}"),
    };
    if start.is_some_and(|at| is_tab_indent(text, at)) {
        let problem = Problem::new(Code::YamlSyntax, "a tab in the indentation");
        return at(problem.help("YAML is indented with spaces only"));
    }
    at(Problem::new(Code::YamlSyntax, message).help(syntax_help(&said)))
}

/// A tab stands at this place or before it on its line, with nothing but space before the tab.
fn is_tab_indent(text: &str, at: usize) -> bool {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let rest = &text[line..];
    let indent = &rest[..rest.len() - rest.trim_start_matches([' ', '\t']).len()];
    indent.contains('\t') && at <= line + indent.len()
}

fn of_limits(said: &str) -> Option<Problem> {
    if said.contains(TOO_LARGE) || said.contains("repetition limit") {
        let message = "aliases make this file larger than 1,000,000 nodes or 64 MiB";
        return Some(Problem::new(Code::YamlLimit, message));
    }
    if said.contains("recursion limit") {
        return Some(Problem::new(Code::YamlLimit, "nested too deep"));
    }
    if said.contains(CONTROL) {
        let problem = Problem::new(Code::FileControl, "an escape makes a control character here");
        return Some(problem.help("take it out; only tabs and line ends are allowed"));
    }
    if said.contains("more than one document") {
        let problem = Problem::new(Code::YamlDocument, "more than one document in the file");
        return Some(problem.help("a manifest is one document: take the second `---` out"));
    }
    None
}

fn syntax_help(said: &str) -> &'static str {
    if said.contains("mapping values are not allowed") {
        "a text with `: ` in it needs quotation marks; check the indentation above it too"
    } else if said.contains("cannot start any token") {
        "this character cannot begin a plain text: quote it, and indent with spaces, not tabs"
    } else if said.contains("anchor") {
        "define it with `&name` before it is used"
    } else {
        "check quotation marks, brackets and indentation here and just above"
    }
}

/// A place to point at: at the end of the text the last visible character.
fn visible_before(text: &str, at: usize) -> usize {
    if text[at..].trim().is_empty() {
        let kept = text[..at].trim_end();
        return kept.char_indices().next_back().map_or(0, |(at, _)| at);
    }
    at
}

fn next_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(0, char::len_utf8)
}

/// The `${…}` in which a flow sequence or mapping broke off: the error stands at its brace.
fn unquoted_variable(text: &str, at: usize) -> Option<(usize, usize)> {
    let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let end = text[line..].find('\n').map_or(text.len(), |end| line + end);
    let start = text[line..end]
        .match_indices("${")
        .map(|(found, _)| line + found)
        .find(|found| at == *found || at == found + 1)?;
    let before = &text[line..start];
    let in_flow = before.contains(['[', '{']) || open_flow(&text[..line]);
    let close = text[start..end].find('}').map_or(end, |close| start + close + 1);
    in_flow.then_some((start, close))
}

/// True if a bracket of the lines just above is still open.
fn open_flow(above: &str) -> bool {
    let tail = &above[floor_char(above, above.len().saturating_sub(2_000))..];
    let count = |signs: [char; 2]| tail.matches(signs).count();
    count(['[', '{']) > count([']', '}'])
}
