//! Problems for people: the lines around each, with the place marked. Owns what of a manifest may be shown.
//! Invariant: no value under `env` leaves this module, and line and column are those of the real file,
//! however the shown lines were cut.

use super::mask::masked;
use super::problem::{Problem, Problems};
use super::source::{At, Source, floor_char};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, Severity, SourceCode, SourceSpan, SpanContents, ThemeCharacters,
    ThemeStyles,
};
use std::fmt;
use std::path::Path;

/// The most problems that are shown; the rest are counted.
const MOST: usize = 50;
/// Shown lines are at most this long, in bytes, however wide the terminal is.
const LINE: usize = 240;
/// Lines above and below.
const AROUND: usize = 2;

/// How to show problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns.
    pub width: usize,
    /// With colours.
    pub color: bool,
    /// With characters beyond ASCII.
    pub unicode: bool,
}

impl Problems {
    /// All problems as text, each with its lines.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let handler = handler(style);
        let copies: Vec<String> = self
            .sources
            .iter()
            .enumerate()
            .map(|(index, source)| {
                let places = self.masks.iter().filter(|at| usize::from(at.source) == index);
                masked(&source.text, places.map(|at| at.range()))
            })
            .collect();
        let mut made = String::new();
        for problem in self.problems.iter().take(MOST) {
            let shown = Shown::new(problem, &self.sources, &copies, style.width);
            if handler.render_report(&mut made, &shown).is_err() {
                made.push_str(&problem.message);
            }
            made.push('\n');
        }
        if let Some(more) = self.problems.len().checked_sub(MOST).filter(|more| *more > 0) {
            made.push_str(&format!("and {more} more\n"));
        }
        made
    }
}

fn handler(style: Style) -> GraphicalReportHandler {
    let theme = GraphicalTheme {
        characters: match style.unicode {
            true => ThemeCharacters::unicode(),
            false => ThemeCharacters::ascii(),
        },
        styles: match style.color {
            true => ThemeStyles::ansi(),
            false => ThemeStyles::none(),
        },
    };
    GraphicalReportHandler::new_themed(theme)
        .with_width(style.width.max(40))
        .with_context_lines(AROUND)
        .with_links(false)
}

/// One problem with the lines that are shown of it.
#[derive(Debug)]
struct Shown<'p> {
    problem: &'p Problem,
    window: Option<Window>,
    labels: Vec<LabeledSpan>,
}

impl<'p> Shown<'p> {
    fn new(problem: &'p Problem, sources: &[Source], copies: &[String], width: usize) -> Self {
        let index = problem.at.map(|at| usize::from(at.source));
        let (Some(at), Some(index)) = (problem.at, index) else {
            return Self { problem, window: None, labels: Vec::new() };
        };
        let Some((source, copy)) = sources.get(index).zip(copies.get(index)) else {
            return Self { problem, window: None, labels: Vec::new() };
        };
        let window = Window::around(source, copy, at, width);
        let mut labels = vec![window.label(at, problem.label.clone(), true)];
        for (other, label) in &problem.also {
            if other.source == at.source && window.holds(*other) {
                labels.push(window.label(*other, Some(label.clone()), false));
            } else if let Some(source) = sources.get(usize::from(other.source)) {
                let (line, column) = source.lines().place(other.start as usize);
                let place = format!("{label}: {}:{line}:{column}", file_name(&source.path));
                labels[0] = window.label(at, Some(place), true);
            }
        }
        Self { problem, window: Some(window), labels }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.window.as_ref().map(|window| window as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// A shown line and what of the real one it is.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Where it begins in the window.
    shown: usize,
    /// Where the shown part begins in the file.
    real: usize,
    /// How long the shown part is.
    len: usize,
}

/// The lines around a place, long ones cut.
#[derive(Debug)]
struct Window {
    name: String,
    text: String,
    lines: Vec<Line>,
    first_line: usize,
    column: usize,
    limit: usize,
}

impl Window {
    fn around(source: &Source, copy: &str, at: At, width: usize) -> Self {
        let place = floor_char(copy, at.start as usize);
        let (line, column) = source.lines().place(place);
        let mut start = copy[..place].rfind('\n').map_or(0, |at| at + 1);
        let mut first_line = line - 1;
        for _ in 0..AROUND.min(line - 1) {
            start = copy[..start - 1].rfind('\n').map_or(0, |at| at + 1);
            first_line -= 1;
        }
        let name = file_name(&source.path);
        // The line numbers and the frame take their part.
        let limit = width.saturating_sub(10).clamp(30, LINE);
        let mut window = Self {
            name,
            text: String::new(),
            lines: Vec::new(),
            first_line,
            column: column - 1,
            limit,
        };
        let wanted = line - 1 - first_line + AROUND + 1;
        for text in copy[start..].split_inclusive('\n').take(wanted) {
            window.push(text.trim_end_matches(['\n', '\r']), start, place);
            start += text.len();
        }
        window
    }

    /// Takes a line; of a long one the part around the place.
    fn push(&mut self, text: &str, real: usize, place: usize) {
        let inside = place.checked_sub(real).filter(|at| *at <= text.len()).unwrap_or(0);
        let from = match text.len() > self.limit {
            true => floor_char(text, inside.saturating_sub(self.limit / 3)),
            false => 0,
        };
        let to = floor_char(text, (from + self.limit).min(text.len()));
        let before = if from > 0 { "…" } else { "" };
        let after = if to < text.len() { "…" } else { "" };
        self.text.push_str(before);
        self.lines.push(Line { shown: self.text.len(), real: real + from, len: to - from });
        self.text.push_str(&text[from..to]);
        self.text.push_str(after);
        self.text.push('\n');
    }

    fn line(&self, at: usize) -> Option<&Line> {
        self.lines.iter().find(|line| (line.real..=line.real + line.len).contains(&at))
    }

    fn holds(&self, at: At) -> bool {
        self.line(at.start as usize).is_some()
    }

    /// A label, on one line: a text over several lines is marked where it begins.
    fn label(&self, at: At, label: Option<String>, primary: bool) -> LabeledSpan {
        let start = at.start as usize;
        let Some(line) = self.line(start) else { return LabeledSpan::new(label, 0, 0) };
        let from = start - line.real;
        let len = (at.end as usize - start).min(line.len - from);
        let span = SourceSpan::from((line.shown + from, len));
        match primary {
            true => LabeledSpan::new_primary_with_span(label, span),
            false => LabeledSpan::new_with_span(label, span),
        }
    }
}

impl SourceCode for Window {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        // Without lines around it is asked for the place itself, whose column the cut may have moved.
        let column = if before == 0 { self.column } else { inner.column() };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            inner.data(),
            *inner.span(),
            inner.line() + self.first_line,
            column,
            inner.line_count(),
        )))
    }
}
