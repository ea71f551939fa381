//! Colour and width: decided once, then carried. Invariant: without colour no escape sequence is made.

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Choice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What is known of the stream that is written to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stream {
    /// Its width in columns; `None` when it is no terminal.
    pub columns: Option<usize>,
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
}

/// What a piece of text means; the colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// The subject.
    Strong,
    /// Beside the point.
    Dim,
    /// Something is made, or went well.
    Good,
    /// Something changes.
    Change,
    /// Something ends, or went wrong.
    Bad,
    /// It could not be seen.
    Unsure,
}

/// How text is laid out and coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns; [`usize::MAX`] where nothing is to be wrapped.
    pub width: usize,
    /// With escape sequences.
    pub color: bool,
}

impl Style {
    /// No colour, no wrapping.
    pub const PLAIN: Self = Self { width: usize::MAX, color: false };

    /// The narrowest terminal that lines are made for.
    pub const NARROWEST: usize = 20;

    /// The style for a stream.
    #[must_use]
    pub fn resolve(choice: Choice, stream: Stream) -> Self {
        let color = match choice {
            Choice::Always => true,
            Choice::Never => false,
            Choice::Auto => stream.columns.is_some() && !stream.no_color && !stream.dumb,
        };
        let width = stream.columns.map_or(usize::MAX, |columns| columns.max(Self::NARROWEST));
        Self { width, color }
    }

    /// The text in the colour of its tone.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let style = tone.style();
        if !self.color || text.is_empty() || style == anstyle::Style::new() {
            return text.to_owned();
        }
        format!("{style}{text}{style:#}")
    }
}

impl Tone {
    fn style(self) -> anstyle::Style {
        let plain = anstyle::Style::new();
        let color = |color: anstyle::AnsiColor| plain.fg_color(Some(color.into()));
        match self {
            Self::Plain => plain,
            Self::Strong => plain.bold(),
            Self::Dim => plain.dimmed(),
            Self::Good => color(anstyle::AnsiColor::Green),
            Self::Change => color(anstyle::AnsiColor::Yellow),
            Self::Bad => color(anstyle::AnsiColor::Red),
            Self::Unsure => color(anstyle::AnsiColor::Magenta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_unless_it_is_asked_for() {
        let terminal = Stream { columns: Some(80), ..Stream::default() };
        let quiet = Stream { no_color: true, ..terminal };
        let dumb = Stream { dumb: true, ..terminal };
        assert!(Style::resolve(Choice::Auto, terminal).color);
        assert!(!Style::resolve(Choice::Never, terminal).color);
        for stream in [quiet, dumb, Stream::default()] {
            assert!(!Style::resolve(Choice::Auto, stream).color);
            assert!(Style::resolve(Choice::Always, stream).color);
        }
    }

    #[test]
    fn without_colour_no_escape_sequence_is_made() {
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "x"), "x");
        let colored = Style { color: true, ..Style::PLAIN };
        assert_eq!(colored.paint(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(colored.paint(Tone::Plain, "x"), "x");
    }

    #[test]
    fn a_terminal_narrower_than_any_word_is_taken_for_a_little_wider() {
        let stream = Stream { columns: Some(3), ..Stream::default() };
        assert_eq!(Style::resolve(Choice::Auto, stream).width, Style::NARROWEST);
        assert_eq!(Style::resolve(Choice::Auto, Stream::default()).width, usize::MAX);
    }
}
