//! Problems of a manifest as people see them: the text with the offending span marked, a cause, a help.
//! Invariant: the look is ours alone, not that of the terminal library's guesses.

use super::style::Style;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, ThemeCharacters, ThemeStyles};

/// Every problem, one after the other, with a newline at the end.
#[must_use]
pub fn problems<'a>(found: impl IntoIterator<Item = &'a dyn Diagnostic>, style: &Style) -> String {
    let styles = if style.color { ThemeStyles::ansi() } else { ThemeStyles::none() };
    let theme = GraphicalTheme { characters: ThemeCharacters::unicode(), styles };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(style.width.min(120))
        .with_context_lines(1);
    let mut out = String::new();
    for problem in found {
        let mut report = String::new();
        if handler.render_report(&mut report, problem).is_err() {
            report = format!("{problem}\n");
        }
        out.push_str(report.trim_start_matches('\n'));
        if !out.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}
