//! Lists of tmux commands, for a call's arguments and for a control client's line. Owns quoting; runs
//! nothing. Invariant: tmux sees exactly the words that were given, whatever is in them.

/// Commands that tmux runs one after the other; an error drops the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct List(Vec<Vec<String>>);

impl List {
    /// A list of one command.
    pub(super) fn of<S: AsRef<str>>(command: &[S]) -> Self {
        Self::default().then(command)
    }

    /// Adds a command.
    pub(super) fn then<S: AsRef<str>>(mut self, command: &[S]) -> Self {
        self.0.push(command.iter().map(|word| word.as_ref().to_owned()).collect());
        self
    }

    /// Adds another list.
    pub(super) fn followed_by(mut self, list: Self) -> Self {
        self.0.extend(list.0);
        self
    }

    /// The first command's name.
    pub(super) fn verb(&self) -> &str {
        self.0.first().and_then(|command| command.first()).map_or("", String::as_str)
    }

    /// The list as arguments of the `tmux` program.
    pub(super) fn argv(&self) -> Vec<String> {
        let mut argv = Vec::new();
        for (index, command) in self.0.iter().enumerate() {
            if index > 0 {
                argv.push(";".to_owned());
            }
            argv.extend(command.iter().map(|word| argument(word)));
        }
        argv
    }

    /// The list as one line of tmux's own language.
    pub(super) fn line(&self) -> String {
        let commands: Vec<String> = self
            .0
            .iter()
            .map(|command| command.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "))
            .collect();
        commands.join(" ; ")
    }

    /// Runs the list only where `condition`, a format, is true of `target`; else prints `otherwise`.
    pub(super) fn only_if(self, target: &str, condition: &str, otherwise: &str) -> Self {
        let instead = Self::of(&["display-message", "-p", otherwise]).line();
        Self::of(&["if-shell", "-F", "-t", target, condition, &self.line(), &instead])
    }
}

/// A word at whose end tmux would see a separator gets it escaped.
fn argument(word: &str) -> String {
    match word.strip_suffix(';') {
        Some(head) => format!("{head}\\;"),
        None => word.to_owned(),
    }
}

/// Single quotes protect everything but themselves and the end of the line.
fn quote(word: &str) -> String {
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for character in word.chars() {
        match character {
            '\'' => quoted.push_str("'\\''"),
            '\n' => quoted.push_str("'\"\\n\"'"),
            '\r' => quoted.push_str("'\"\\r\"'"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_ends_in_a_semicolon_is_no_separator() {
        let list = List::of(&["a", "b;", "c\\;"]).then(&["d;e"]);
        assert_eq!(list.argv(), ["a", "b\\;", "c\\\\;", ";", "d;e"]);
    }

    #[test]
    fn a_line_has_no_raw_newline_and_no_bare_quote() {
        let line = List::of(&["a", "it's", "x\ny", ""]).then(&["$HOME"]).line();
        assert_eq!(line, r#"'a' 'it'\''s' 'x'"\n"'y' '' ; '$HOME'"#);
    }
}
