//! The text of one file that was read: what it may consist of, and where in it a byte lies. Owns the
//! refusals that come before any parse (size, encoding, control characters). Invariant: a [`Source`]'s text
//! is valid UTF-8 without control characters, so that no marker made of them can occur in a manifest.

use super::problem::{Code, Problem};
use std::path::{Path, PathBuf};

/// The most bytes of one file.
pub const MAX_BYTES: usize = 4 << 20;

/// One file that was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// Its text, without a byte-order mark.
    pub text: String,
}

/// A stretch of a source, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At {
    /// Which source, by its index.
    pub source: u16,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl At {
    /// The stretch from one byte to another.
    #[must_use]
    pub fn new(source: u16, start: usize, end: usize) -> Self {
        let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { source, start: short(start), end: short(end.max(start)) }
    }

    /// As indices.
    #[must_use]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Whether a character may stand in a manifest or in a text that it brings in.
#[must_use]
pub fn is_allowed(c: char) -> bool {
    matches!(c, '\n' | '\t' | '\r') || !c.is_control()
}

impl Source {
    /// Checks the bytes of a file. With a problem (too large, not UTF-8, control characters) the text is
    /// only for showing it.
    #[must_use]
    pub fn read(path: &Path, index: u16, bytes: &[u8]) -> (Self, Option<Problem>) {
        let lossy = || Self {
            path: path.to_owned(),
            text: String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_BYTES)]).into_owned(),
        };
        if bytes.len() > MAX_BYTES {
            let problem = Problem::new(Code::FileSize, "the file is larger than 4 MiB")
                .help("split the work into more than one fleet");
            return (Self { path: path.to_owned(), text: String::new() }, Some(problem));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(error) => {
                let problem = Problem::new(Code::FileEncoding, "the file is not UTF-8")
                    .at(At::new(index, error.valid_up_to(), error.valid_up_to() + 1))
                    .help("save it as UTF-8");
                return (lossy(), Some(problem));
            }
        };
        let source = Self { path: path.to_owned(), text };
        match source.text.char_indices().find(|(_, c)| !is_allowed(*c)) {
            None => (source, None),
            Some((at, c)) => {
                let message = format!("control character {} in the file", c.escape_unicode());
                let problem = Problem::new(Code::FileControl, message)
                    .at(At::new(index, at, at + c.len_utf8()))
                    .help("take it out; only tabs and line ends are allowed");
                (source, Some(problem))
            }
        }
    }

    /// Where each of its lines begins.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Lines { text: &self.text, starts }
    }
}

/// The lines of a text.
#[derive(Debug)]
pub struct Lines<'s> {
    text: &'s str,
    starts: Vec<usize>,
}

impl Lines<'_> {
    /// Line and column of a byte, both from 1; the column counts characters.
    #[must_use]
    pub fn place(&self, at: usize) -> (usize, usize) {
        let at = floor_char(self.text, at);
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts[line - 1];
        (line, self.text[start..at].chars().count() + 1)
    }
}

/// The nearest character boundary at or before `at`, within the text.
#[must_use]
pub fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let source = Source::read(Path::new("f"), 0, b"\xef\xbb\xbfversion: 1").0;
        assert_eq!(source.text, "version: 1");
    }

    #[test]
    fn control_characters_and_broken_text_are_refused_where_they_stand() {
        for (bytes, code, at) in [
            (&b"a: \x01b"[..], Code::FileControl, 3),
            (b"a: \x7f", Code::FileControl, 3),
            (b"a: \xc3", Code::FileEncoding, 3),
            ("a: \u{85}".as_bytes(), Code::FileControl, 3),
        ] {
            let problem = Source::read(Path::new("f"), 0, bytes).1.unwrap();
            assert_eq!((problem.code, problem.at.unwrap().start), (code, at));
        }
    }

    #[test]
    fn columns_count_characters() {
        let source = Source::read(Path::new("f"), 0, "a\näöx".as_bytes()).0;
        assert_eq!(source.lines().place(6), (2, 3));
        assert_eq!(source.lines().place(7), (2, 4));
        assert_eq!(source.lines().place(700), (2, 4));
    }
}
