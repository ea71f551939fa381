//! `env_file`: `NAME=value` lines. Owns their grammar. Invariant: no error holds a value.
//!
//! Blank lines and lines that begin with `#` count for nothing; `export` before a name is allowed. A value is
//! taken as it stands up to ` #`; in single quotes to the letter; in double quotes `\n`, `\r`, `\t`, `\"`, `\\`
//! and `\$` are escapes. Quoted values may go over several lines. Variables are not expanded.

use std::path::{Path, PathBuf};

/// Why an `env_file` has no values.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It could not be read, or is not UTF-8.
    #[error("env_file {} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// One line is not understood.
    #[error("env_file {}, line {line}: {reason}", path.display())]
    Line {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        reason: EnvLineReason,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvLineReason {
    /// There is no `=`.
    #[error("not of the form NAME=value")]
    NoEquals,
    /// What stands before `=` is no name.
    #[error("a name has letters, digits and _, and does not begin with a digit")]
    Name,
    /// A quote is not closed.
    #[error("the quote is not closed")]
    Quote,
    /// Something follows the closing quote.
    #[error("something follows the closing quote")]
    Trailing,
    /// A NUL, which no variable can hold.
    #[error("a NUL character")]
    Nul,
}

/// Reads an `env_file`, in its order.
///
/// # Errors
/// Any [`EnvFileError`].
pub fn read(path: &Path) -> Result<Vec<(String, String)>, EnvFileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| EnvFileError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|(line, reason)| EnvFileError::Line {
        path: path.to_owned(),
        line,
        reason,
    })
}

fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, EnvLineReason)> {
    let mut found = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (pair, after) = parse_one(rest).map_err(|reason| (line, reason))?;
        found.extend(pair);
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    Ok(found)
}

type Pair = Option<(String, String)>;

/// One assignment or idle line, and what follows it.
fn parse_one(text: &str) -> Result<(Pair, &str), EnvLineReason> {
    let (line, after) = split_line(text);
    let start = line.trim_start();
    if start.trim_end().is_empty() || start.starts_with('#') {
        return Ok((None, after));
    }
    let bare = start.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    let (name, _) = bare.unwrap_or(start).split_once('=').ok_or(EnvLineReason::NoEquals)?;
    let name = name.trim();
    let mut characters = name.bytes();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    if !first || !characters.all(|c| c.is_ascii_alphanumeric() || c == b'_') {
        return Err(EnvLineReason::Name);
    }
    let from = line.find('=').map_or(line.len(), |at| at + 1);
    let value_text = text[from..].trim_start_matches([' ', '\t']);
    let (value, after) = match value_text.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(&value_text[1..], quote)?,
        _ => (unquoted(split_line(value_text).0), after),
    };
    if value.contains('\0') {
        return Err(EnvLineReason::Nul);
    }
    Ok((Some((name.to_owned(), value)), after))
}

fn split_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

fn unquoted(line: &str) -> String {
    let comment =
        line.match_indices('#').find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']));
    line[..comment.map_or(line.len(), |(at, _)| at)].trim().to_owned()
}

/// The value up to the closing quote, and what follows its line.
fn quoted(text: &str, quote: char) -> Result<(String, &str), EnvLineReason> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        if c == quote {
            let (rest, after) = split_line(&text[at + 1..]);
            let rest = rest.trim();
            let idle = rest.is_empty() || rest.starts_with('#');
            return if idle { Ok((value, after)) } else { Err(EnvLineReason::Trailing) };
        }
        if c != '\\' || quote == '\'' {
            value.push(c);
            continue;
        }
        match characters.next() {
            Some((_, 'n')) => value.push('\n'),
            Some((_, 'r')) => value.push('\r'),
            Some((_, 't')) => value.push('\t'),
            Some((_, c @ ('"' | '\\' | '$'))) => value.push(c),
            Some((_, c)) => value.extend(['\\', c]),
            None => break,
        }
    }
    Err(EnvLineReason::Quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    fn one(text: &str) -> String {
        let mut pairs = pairs(text);
        assert_eq!(pairs.len(), 1, "{text}");
        pairs.remove(0).1
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        assert_eq!(one("A=b"), "b");
        assert_eq!(one("A="), "");
        assert_eq!(one("A = b c "), "b c");
        assert_eq!(one("export A=b=c#d"), "b=c#d");
        assert_eq!(one("A=b # no"), "b");
        assert_eq!(one("A= # no"), "");
        assert_eq!(one("\u{feff}A=b\r\n"), "b");
        assert_eq!(one("A=$HOME"), "$HOME");
        assert_eq!(one("A='b \"\\n' # no"), "b \"\\n");
        assert_eq!(one("A=\"b\\n\\\"c\\\" \\$D \\x\""), "b\n\"c\" $D \\x");
        assert_eq!(one("KEY=\"first\nsecond\"\n"), "first\nsecond");
    }

    #[test]
    fn idle_lines_count_for_nothing_and_order_is_kept() {
        let found = pairs("# no\n\n  \nB=1\n  # no\nA=2\nexportable=3\n");
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["B", "A", "exportable"]);
    }

    #[test]
    fn an_error_names_the_line_and_never_the_value() {
        let table = [
            ("A=1\nsecret", 2, EnvLineReason::NoEquals),
            ("1A=secret", 1, EnvLineReason::Name),
            ("=secret", 1, EnvLineReason::Name),
            ("A='x\ny'\nB-C=secret", 3, EnvLineReason::Name),
            ("\nA=\"secret\n\n", 2, EnvLineReason::Quote),
            ("A=\"secret\\", 1, EnvLineReason::Quote),
            ("A='secret'more", 1, EnvLineReason::Trailing),
            ("A=sec\0ret", 1, EnvLineReason::Nul),
        ];
        for (text, line, reason) in table {
            assert_eq!(parse(text).unwrap_err(), (line, reason), "{text:?}");
            let path = PathBuf::from("/w/.env");
            let shown = EnvFileError::Line { path, line, reason }.to_string();
            assert!(shown.starts_with("env_file /w/.env, line") && !shown.contains("secret"));
        }
    }
}
