//! Changed fields under a plan's line. Invariant: of `env` only the names are told, never a value.

use crate::plan::{Change, ChangeClass};
use crate::render::View;
use crate::render::layout::{clean, cut, pad, width_of};
use crate::render::style::Tone;
use similar::{ChangeTag, TextDiff};

/// How far changes are indented.
const INDENT: usize = 4;

/// True for a field whose values are told to nobody: those of `env`. What an agent's `modes` set holds digests
/// already, and a profile that is called `env` hides nothing.
#[must_use]
pub fn secret(field: &str) -> bool {
    field.starts_with("env.")
}

/// A line for each changed field, or a diff of its lines.
pub fn lines(out: &mut String, changes: &[Change], view: &View) {
    let widest =
        changes.iter().filter(|change| !is_long(change, view)).map(|c| width_of(&c.field)).max();
    let column = widest.unwrap_or(0).min(view.style.width / 3) + 2;
    for change in changes {
        if is_long(change, view) {
            diff(out, change, view);
        } else {
            let field = pad(&cut(&clean(&change.field), column - 2), column);
            let room = view.style.width.saturating_sub(INDENT + column);
            let told = cut(&format!("{}{}", values(change), when(change)), room);
            out.push_str(&format!("{}{field}{told}\n", " ".repeat(INDENT)));
        }
    }
}

fn is_long(change: &Change, view: &View) -> bool {
    if secret(&change.field) {
        return false;
    }
    let values = [&change.from, &change.to];
    let multiline =
        values.iter().any(|value| value.as_deref().is_some_and(|text| text.contains('\n')));
    let room = view.style.width.min(160).saturating_sub(INDENT + width_of(&change.field) + 2);
    multiline || width_of(&self::values(change)) > room
}

fn values(change: &Change) -> String {
    let none = if change.field.contains('.') { "(unset)" } else { "(default)" };
    let told = |value: &Option<String>| value.as_deref().map_or(none.to_owned(), clean);
    if !secret(&change.field) {
        return format!("{} → {}", told(&change.from), told(&change.to));
    }
    match (&change.from, &change.to) {
        (None, _) => "(unset) → ***".to_owned(),
        (Some(_), None) => "*** → (unset)".to_owned(),
        (Some(_), Some(_)) => "*** (changed)".to_owned(),
    }
}

/// When a change is taken over, where that is not now.
fn when(change: &Change) -> &'static str {
    match change.class {
        ChangeClass::Recreate | ChangeClass::Restart | ChangeClass::InPlace => "",
        ChangeClass::Noted if change.field.starts_with("prompt") => {
            "  (given at the next fresh start)"
        }
        ChangeClass::Noted => "  (used at the next creation or start)",
    }
}

/// The lines that differ, with two around them, in the form of a unified diff.
fn diff(out: &mut String, change: &Change, view: &View) {
    let indent = " ".repeat(INDENT);
    let room = view.style.width.saturating_sub(INDENT + 3);
    let head = cut(&format!("{}{}", clean(&change.field), when(change)), view.style.width - INDENT);
    out.push_str(&format!("{indent}{head}\n"));
    let from = change.from.clone().unwrap_or_default();
    let to = change.to.clone().unwrap_or_default();
    let diff = TextDiff::from_lines(&from, &to);
    for hunk in diff.unified_diff().context_radius(2).iter_hunks() {
        let header = cut(&hunk.header().to_string(), room + 1);
        out.push_str(&format!("{indent}  {}\n", view.style.paint(Tone::Dim, &header)));
        for line in hunk.iter_changes() {
            let (sign, tone) = match line.tag() {
                ChangeTag::Delete => ('-', Tone::Bad),
                ChangeTag::Insert => ('+', Tone::Good),
                ChangeTag::Equal => (' ', Tone::Plain),
            };
            let text = cut(&clean(line.value().trim_end_matches(['\n', '\r'])), room);
            let told = format!("{sign}{text}");
            out.push_str(&format!("{indent}  {}\n", view.style.paint(tone, told.trim_end())));
        }
    }
}
