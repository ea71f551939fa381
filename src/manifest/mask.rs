//! A copy of a manifest's text without its secrets. Owns what counts as one: every value under a key that
//! has `env` in its name. Works on the text alone too, for a file that is no YAML is shown as well.
//! Invariant: the copy has the same bytes at the same places, but for those of secrets and of control characters.

use std::ops::Range;

/// The text with each byte of a secret as `*`; `places` are secrets that are known from elsewhere.
pub fn masked(text: &str, places: impl Iterator<Item = Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for place in places {
        hide(&mut bytes, place);
    }
    let mut start = 0;
    let mut inside: Option<Block> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        if let Some(block) = &mut inside {
            if line.trim().is_empty() || block.open > 0 || indent > block.indent {
                hide_line(&mut bytes, line, start, block);
                start += line.len();
                continue;
            }
            inside = None;
        }
        for (key, after) in env_keys(line) {
            let mut block = Block { indent: indent_of(line, key), open: 0, names: None };
            block.count(&line[after..]);
            hide_values(&mut bytes, &line[after..], start + after);
            inside = Some(block);
        }
        start += line.len();
    }
    // A terminal would obey them.
    let controls = text.char_indices().filter(|(_, c)| c.is_control() && !"\t\r\n".contains(*c));
    for (at, control) in controls {
        bytes[at..at + control.len_utf8()].fill(b'?');
    }
    // Only whole characters were replaced, by as many bytes of ASCII.
    String::from_utf8(bytes).unwrap_or_default()
}

/// The lines of an `env`.
struct Block {
    /// The column of its key.
    indent: usize,
    /// How many brackets are open.
    open: usize,
    /// The column of its names; what stands deeper is part of a value.
    names: Option<usize>,
}

impl Block {
    fn count(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '{' | '[' => self.open += 1,
                '}' | ']' => self.open = self.open.saturating_sub(1),
                _ => {}
            }
        }
    }
}

fn indent_of(line: &str, key: usize) -> usize {
    let lead = line.len() - line.trim_start_matches([' ', '-']).len();
    if key == lead { lead } else { lead.min(key) }
}

/// Where a key with `env` in its name stands in a line, and where its colon ends.
fn env_keys(line: &str) -> Vec<(usize, usize)> {
    let lower = line.to_ascii_lowercase();
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (at, _) in lower.match_indices("env") {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'');
        let start = lower[..at]
            .rfind(|c: char| !word(c))
            .map_or(0, |before| before + lower[before..].chars().next().map_or(1, char::len_utf8));
        let end = lower[at..].find(|c: char| !word(c)).map_or(lower.len(), |len| at + len);
        let colon = lower[end..].trim_start();
        if colon.starts_with(':') && !lower[start..end].contains("env_file") {
            found.push((start, lower.len() - colon.len() + 1));
        }
    }
    found
}

fn hide_line(bytes: &mut [u8], line: &str, start: usize, block: &mut Block) {
    let in_flow = block.open > 0;
    block.count(line);
    let lead = line.len() - line.trim_start_matches(' ').len();
    if !line.trim().is_empty() && !in_flow {
        block.names.get_or_insert(lead);
    }
    // `NAME: value`: the name may be seen.
    let end = line.find(": ").unwrap_or(line.trim_end().len().saturating_sub(1));
    let colon = line.get(end..).is_some_and(|rest| rest.starts_with(':'));
    let named = !in_flow && colon && block.names == Some(lead) && is_name(&line[..end]);
    let from = if named { end + 1 } else { 0 };
    hide_values(bytes, &line[from..], start + from);
}

fn is_name(text: &str) -> bool {
    let text = text.trim().trim_matches(['"', '\'']);
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Hides all that is visible in a stretch but brackets and commas.
fn hide_values(bytes: &mut [u8], text: &str, start: usize) {
    for (at, c) in text.char_indices() {
        if !c.is_whitespace() && !matches!(c, '{' | '}' | '[' | ']' | ',' | '|' | '>') {
            hide(bytes, start + at..start + at + c.len_utf8());
        }
    }
}

fn hide(bytes: &mut [u8], place: Range<usize>) {
    let end = place.end.min(bytes.len());
    for byte in bytes.get_mut(place.start.min(end)..end).unwrap_or_default() {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b'*';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn names_are_seen_and_values_are_not() {
        let text = "a:\n  env:\n    TOKEN: ab\n    KEY: |\n      SECRET: x\n      y\n  model: opus\nb: {env: {A: b}}\n";
        let shown = "a:\n  env:\n    TOKEN: **\n    KEY: |\n      ******* *\n      *\n  model: opus\nb: {env: {** *}}\n";
        assert_eq!(masked(text, std::iter::empty()), shown);
    }

    #[test]
    fn every_byte_stays_in_its_place() {
        let text = "env: {A: 'äö'}\nx: ü\n";
        let shown = masked(text, std::iter::empty());
        assert_eq!(shown.len(), text.len());
        assert!(shown.ends_with("\nx: ü\n"));
        assert_eq!(masked("ab: ü!", std::iter::once(4..6)), "ab: **!");
    }
}
