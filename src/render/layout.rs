//! Text in columns: measuring, cutting, padding, wrapping. Invariant: no line is wider than it was asked to
//! be, and no control character gets through.

use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
#[must_use]
pub fn width_of(text: &str) -> usize {
    text.width()
}

/// The text with every control character made visible: what a repository or a process names a thing must not
/// drive the terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\t' {
            cleaned.push_str("    ");
        } else if c.is_control() || is_unseen(c) {
            let _ = write!(cleaned, "{}", c.escape_default());
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

/// Characters that show nothing and turn, or hide, what stands beside them.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The text in at most `width` columns, with `…` where it was cut.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let (head, _) = split_at_width(text, width.saturating_sub(1));
    format!("{}…", head.trim_end())
}

/// The text and as many spaces as fill `width` columns.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(width_of(text))))
}

/// Clauses joined by `; ` in lines of at most `width` columns. A clause that fits on a line is not broken, so
/// that a command in it can be copied.
#[must_use]
pub fn wrap(clauses: &[String], width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines: Vec<String> = Vec::new();
    let last = clauses.len().saturating_sub(1);
    for (at, clause) in clauses.iter().enumerate() {
        let piece = if at == last { clean(clause) } else { format!("{};", clean(clause)) };
        if !append(&mut lines, &piece, width) {
            fill(&mut lines, &piece, width);
        }
    }
    lines
}

/// Puts a piece on the last line or on one of its own; false if it fits on neither.
fn append(lines: &mut Vec<String>, piece: &str, width: usize) -> bool {
    let needed = width_of(piece);
    if let Some(line) = lines.last_mut()
        && width_of(line).saturating_add(1 + needed) <= width
    {
        line.push(' ');
        line.push_str(piece);
        return true;
    }
    let fits = needed <= width;
    if fits {
        lines.push(piece.to_owned());
    }
    fits
}

/// Breaks a long piece at spaces, and a long word wherever it must be.
fn fill(lines: &mut Vec<String>, piece: &str, width: usize) {
    for word in piece.split(' ').filter(|word| !word.is_empty()) {
        if append(lines, word, width) {
            continue;
        }
        let mut rest = word;
        while !rest.is_empty() {
            let (head, tail) = split_at_width(rest, width);
            lines.push(head.to_owned());
            rest = tail;
        }
    }
}

/// The text at the last character that ends within `width` columns, but never nothing of it.
fn split_at_width(text: &str, width: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clauses(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn clauses_stay_whole_where_they_fit_on_a_line() {
        let lines =
            wrap(&clauses(&["at risk: 3 modified", "archive: fleetctl rm etl --archive"]), 36);
        assert_eq!(lines, ["at risk: 3 modified;", "archive: fleetctl rm etl --archive"]);
    }

    #[test]
    fn long_clauses_break_at_spaces_and_long_words_anywhere() {
        let lines = wrap(&clauses(&["one two three", "/a/very/long/path"]), 9);
        assert_eq!(lines, ["one two", "three;", "/a/very/l", "ong/path"]);
    }

    #[test]
    fn no_line_is_wider_than_asked_whatever_the_script() {
        let text = clauses(&["修复登录错误 そして reste à faire", "x"]);
        for width in 2..30 {
            for line in wrap(&text, width) {
                assert!(width_of(&line) <= width, "{line:?} at {width}");
            }
        }
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("漢字漢字", 5), "漢字…");
    }

    #[test]
    fn what_others_named_does_not_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\rc\u{202e}d"), "a\\u{1b}[31mb\\rc\\u{202e}d");
    }
}
