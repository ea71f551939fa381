//! From text to a tree in which every scalar knows what was written and where. Owns the reading of YAML,
//! with the limits on what aliases make of it; knows no field of a manifest. Invariant: text and position
//! are those of the YAML library itself, there is no second parser.

use super::source::{At, is_allowed};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::fmt;

/// The most nodes of a tree, aliases expanded.
pub const MAX_NODES: usize = 1_000_000;
/// The most bytes of text in a tree, aliases expanded.
pub const MAX_TEXT: usize = 64 << 20;
/// What [`parse`] says when a limit is passed; no manifest can hold it.
pub(super) const TOO_LARGE: &str = "\u{1}too-large";
/// What [`parse`] says when an escape makes a control character.
pub(super) const CONTROL: &str = "\u{1}control";

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'a> {
    /// Its place; that of a container is its first child's.
    pub at: At,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind<'a> {
    /// A mapping, in file order, duplicates and all.
    Map(Vec<Entry<'a>>),
    /// A sequence.
    Seq(Vec<Node<'a>>),
    /// Anything else, as it was written.
    Scalar(Cow<'a, str>, Sort),
}

/// How YAML understands a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Text, quoted or not.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null` or `~`.
    Null,
    /// Nothing at all.
    Empty,
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<'a> {
    /// The key's text.
    pub key: Cow<'a, str>,
    /// Where the key stands.
    pub at: At,
    /// The value.
    pub value: Node<'a>,
}

impl<'a> Node<'a> {
    /// The entries of a mapping; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'a>] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// True for `null` and `~`, which unset; not for an empty value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Scalar(_, Sort::Null))
    }

    /// What it is, in words.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Map(_) => "a map",
            Kind::Seq(_) => "a list",
            Kind::Scalar(_, Sort::Text) => "text",
            Kind::Scalar(_, Sort::Number) => "a number",
            Kind::Scalar(_, Sort::Bool) => "true or false",
            Kind::Scalar(_, Sort::Null) => "null",
            Kind::Scalar(_, Sort::Empty) => "nothing",
        }
    }
}

/// What a parse shares between all its nodes.
struct Budget<'a> {
    text: &'a str,
    source: u16,
    nodes: Cell<usize>,
    bytes: Cell<usize>,
    /// A scalar was seen whose text the library does not hand out with its value.
    lost: Cell<bool>,
    plain_bools: OnceCell<bool>,
    plain_numbers: OnceCell<bool>,
}

impl<'a> Budget<'a> {
    /// Where a borrowed piece of the text lies.
    fn place(&self, piece: &str) -> Option<At> {
        let start = (piece.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let end = start + piece.len();
        (end <= self.text.len()).then(|| At::new(self.source, start, end))
    }

    fn unknown(&self) -> At {
        At::new(self.source, 0, 0)
    }

    fn count<E: Error>(&self, bytes: usize) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        if self.nodes.get() > MAX_NODES || self.bytes.get() > MAX_TEXT {
            return Err(E::custom(TOO_LARGE));
        }
        Ok(())
    }

    fn scalar<E: Error>(&self, text: Cow<'a, str>, sort: Sort) -> Result<Node<'a>, E> {
        self.count(text.len())?;
        let at = match &text {
            Cow::Borrowed(piece) if sort == Sort::Text => self.place(piece),
            Cow::Owned(made) if !made.chars().all(is_allowed) => return Err(E::custom(CONTROL)),
            _ => None,
        };
        Ok(Node { at: at.unwrap_or_else(|| self.unknown()), kind: Kind::Scalar(text, sort) })
    }

    /// A scalar that the library hands out as a value.
    fn value<E: Error>(&self, text: String, sort: Sort) -> Result<Node<'a>, E> {
        let is_text = match sort {
            // Written in another way, it would have one of these somewhere.
            Sort::Bool => self.plain_bools.get_or_init(|| {
                !["True", "TRUE", "False", "FALSE"].iter().any(|odd| self.text.contains(odd))
            }),
            Sort::Number => self.plain_numbers.get_or_init(|| {
                !["0x", "0o", "0b", "+", "-0"].iter().any(|odd| self.text.contains(odd))
            }),
            Sort::Text | Sort::Null | Sort::Empty => &false,
        };
        if !is_text {
            self.lost.set(true);
        }
        self.scalar(Cow::Owned(text), sort)
    }
}

/// How much a parse must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// All texts as they were written, and places as far as they come for free.
    Texts,
    /// The place of every scalar too.
    Places,
}

/// Reads one document.
///
/// # Errors
/// The library's own: syntax, recursion, repetition, and our limits.
pub fn parse(text: &str, source: u16, care: Care) -> Result<Node<'_>, serde_yaml::Error> {
    let budget = Budget {
        text,
        source,
        nodes: Cell::new(0),
        bytes: Cell::new(0),
        lost: Cell::new(false),
        plain_bools: OnceCell::new(),
        plain_numbers: OnceCell::new(),
    };
    let mut node = Reading(&budget).deserialize(serde_yaml::Deserializer::from_str(text))?;
    let lost = match care {
        Care::Texts => budget.lost.get(),
        Care::Places => true,
    };
    // In a document without anything there is nothing to ask for a second time.
    if lost && !matches!(node.kind, Kind::Scalar(_, Sort::Empty)) {
        Exact { budget: &budget, node: &mut node }
            .deserialize(serde_yaml::Deserializer::from_str(text))?;
    }
    Ok(node)
}

/// Where the value of a key begins: after the colon, white space and comments.
fn after_key(text: &str, key: At) -> Option<usize> {
    let rest = text.get(key.end as usize..)?;
    let colon = rest.find(|c: char| !matches!(c, '"' | '\'' | ' '))?;
    let mut at = key.end as usize + colon;
    if !text[at..].starts_with(':') {
        return None;
    }
    at += 1;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        if !text[at..].starts_with('#') {
            return Some(at);
        }
        at += text[at..].find('\n')?;
    }
}

/// The width of what begins at a byte: a word, or an opening sign.
fn width(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}')).unwrap_or(rest.len())
}

struct Reading<'b, 'a>(&'b Budget<'a>);

impl<'a> DeserializeSeed<'a> for Reading<'_, 'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Reading<'_, 'a> {
    type Value = Node<'a>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Node<'a>, E> {
        self.0.scalar(Cow::Borrowed(text), Sort::Text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'a>, E> {
        self.0.scalar(Cow::Owned(text.to_owned()), Sort::Text)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'a>, E> {
        self.0.value(value.to_string(), Sort::Bool)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node<'a>, E> {
        self.0.value(value.to_string(), Sort::Number)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node<'a>, E> {
        self.0.value(value.to_string(), Sort::Number)
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node<'a>, E> {
        self.0.value(value.to_string(), Sort::Number)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node<'a>, E> {
        self.0.value(value.to_string(), Sort::Number)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node<'a>, E> {
        self.0.lost.set(true);
        self.0.value(value.to_string(), Sort::Number)
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'a>, E> {
        self.0.value(String::new(), Sort::Empty)
    }

    fn visit_none<E: Error>(self) -> Result<Node<'a>, E> {
        self.0.scalar(Cow::Borrowed(""), Sort::Empty)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Node<'a>, A::Error> {
        self.0.count(0)?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Reading(self.0))? {
            items.push(item);
        }
        let at = items.first().map_or_else(|| self.0.unknown(), |item: &Node| item.at);
        Ok(Node { at, kind: Kind::Seq(items) })
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Node<'a>, A::Error> {
        self.0.count(0)?;
        let mut entries: Vec<Entry> = Vec::new();
        while let Some((key, at)) = map.next_key_seed(Text(self.0))? {
            let mut value = map.next_value_seed(Reading(self.0))?;
            if value.at.end == 0 {
                // Of what is not there, the key is the place.
                let is_empty = matches!(value.kind, Kind::Scalar(_, Sort::Empty));
                value.at = if is_empty { at } else { self.0.place_after(at) };
            }
            entries.push(Entry { key, at, value });
        }
        let at = entries.first().map_or_else(|| self.0.unknown(), |entry| entry.at);
        Ok(Node { at, kind: Kind::Map(entries) })
    }
}

impl Budget<'_> {
    /// The place of a key's value, as well as the text around the key tells it.
    fn place_after(&self, key: At) -> At {
        match after_key(self.text, key) {
            Some(at) if key.end > 0 && at < self.text.len() => {
                At::new(self.source, at, at + width(self.text, at).max(1))
            }
            _ => key,
        }
    }
}

/// A scalar as it was written.
struct Text<'b, 'a>(&'b Budget<'a>);

impl<'a> DeserializeSeed<'a> for Text<'_, 'a> {
    type Value = (Cow<'a, str>, At);

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Text<'_, 'a> {
    type Value = (Cow<'a, str>, At);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("text as a key")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Self::Value, E> {
        self.0.count(text.len())?;
        Ok((Cow::Borrowed(text), self.0.place(text).unwrap_or_else(|| self.0.unknown())))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let node = self.0.scalar::<E>(Cow::Owned(text.to_owned()), Sort::Text)?;
        Ok((Cow::Owned(text.to_owned()), node.at))
    }
}

/// A second walk, in step with the finished tree, which asks for the text of what the first one got as a
/// value: `3.10`, `0x10`, `~`.
struct Exact<'b, 'n, 'a> {
    budget: &'b Budget<'a>,
    node: &'n mut Node<'a>,
}

impl<'a> DeserializeSeed<'a> for Exact<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        match &mut self.node.kind {
            Kind::Map(_) => deserializer.deserialize_map(self),
            Kind::Seq(_) => deserializer.deserialize_seq(self),
            Kind::Scalar(_, Sort::Text) => IgnoredAny::deserialize_from(deserializer),
            Kind::Scalar(text, sort) => {
                let (written, at) = Text(self.budget).deserialize(deserializer)?;
                if at.end > 0 && !written.is_empty() {
                    self.node.at = at;
                }
                if *sort == Sort::Empty && !written.is_empty() {
                    *sort = Sort::Null;
                }
                *text = written;
                Ok(())
            }
        }
    }
}

/// Skips a value.
trait Skip {
    fn deserialize_from<'a, D: Deserializer<'a>>(deserializer: D) -> Result<(), D::Error>;
}

impl Skip for IgnoredAny {
    fn deserialize_from<'a, D: Deserializer<'a>>(deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ())
    }
}

impl<'a> Visitor<'a> for Exact<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("what was there before")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        let Kind::Seq(items) = &mut self.node.kind else { return Ok(()) };
        for node in items {
            seq.next_element_seed(Exact { budget: self.budget, node })?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Kind::Map(entries) = &mut self.node.kind else { return Ok(()) };
        for entry in entries {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(Exact { budget: self.budget, node: &mut entry.value })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf<'n>(node: &'n Node<'n>, key: &str) -> &'n Node<'n> {
        &node.entries().iter().find(|entry| entry.key == key).unwrap().value
    }

    #[test]
    fn every_scalar_keeps_its_text_and_place() {
        let text =
            "a: 3.10\nb: yes\nc: True\nd: 0x1F\ne: ~\nf:\ng: 'x y' # c\nh: [1, +2]\ni: |\n  z\n";
        let node = parse(text, 0, Care::Places).unwrap();
        for (key, written, sort) in [
            ("a", "3.10", Sort::Number),
            ("b", "yes", Sort::Text),
            ("c", "True", Sort::Bool),
            ("d", "0x1F", Sort::Number),
            ("e", "~", Sort::Null),
            ("f", "", Sort::Empty),
            ("g", "x y", Sort::Text),
            ("i", "z\n", Sort::Text),
        ] {
            let found = leaf(&node, key);
            assert_eq!(found.kind, Kind::Scalar(written.into(), sort), "{key}");
            if sort != Sort::Empty && key != "i" {
                assert_eq!(&text[found.at.range()], written);
            }
        }
        assert_eq!(&text[leaf(&node, "i").at.range()], "|");
        let Kind::Seq(items) = &leaf(&node, "h").kind else { panic!() };
        assert_eq!(&text[items[1].at.range()], "+2");
    }

    #[test]
    fn texts_are_the_same_with_and_without_places() {
        for text in [
            "a: [True, 0x10, +1, -0, 1.0, ~, null, 007]\nb: {c: TRUE, d: -0, e: }",
            "a: [true, 16, -1, 5]\nb: {c: false, d: 18446744073709551616}",
        ] {
            let (quick, exact) = (parse(text, 0, Care::Texts), parse(text, 0, Care::Places));
            assert_eq!(texts(&quick.unwrap()), texts(&exact.unwrap()));
        }
    }

    fn texts(node: &Node) -> String {
        match &node.kind {
            Kind::Map(entries) => entries.iter().map(|entry| texts(&entry.value)).collect(),
            Kind::Seq(items) => items.iter().map(texts).collect(),
            Kind::Scalar(text, sort) => format!("{text:?} {sort:?}; "),
        }
    }

    #[test]
    fn an_alias_is_read_where_it_was_defined() {
        let node = parse("x: &a {n: 1.0, e: }\ny: *a\nz: [*a, *a]", 0, Care::Texts).unwrap();
        assert_eq!(leaf(&node, "x").kind, leaf(&node, "y").kind);
    }

    #[test]
    fn growth_through_aliases_is_bounded() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for n in 1..9 {
            let refs = vec![format!("*a{}", n - 1); 10].join(",");
            text += &format!("a{n}: &a{n} [{refs}]\n");
        }
        assert!(parse(&text, 0, Care::Texts).is_err());
        let wide = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(1 << 20), "*a,".repeat(80));
        let error = parse(&wide, 0, Care::Texts).unwrap_err().to_string();
        assert!(error.contains(TOO_LARGE), "{error}");
    }

    #[test]
    fn an_escape_makes_no_control_character() {
        let error = parse("a: \"\\x01worktree\\x02\"", 0, Care::Texts).unwrap_err().to_string();
        assert!(error.contains(CONTROL), "{error}");
    }
}
