//! Errors as people read them in a line: with their causes. Invariant: no cause is left out, and the line is
//! one line.

use std::error::Error;

/// An error and its causes, each after a colon.
#[must_use]
pub fn in_one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let told: Vec<String> = causes.map(ToString::to_string).collect();
    told.join(": ").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ProcessError;

    #[test]
    fn the_causes_of_an_error_follow_it_in_one_line() {
        let source = std::io::Error::other("no such\nthing");
        let error = ProcessError::Start { program: "sh".into(), source };
        assert_eq!(in_one_line(&error), "sh could not be started: no such thing");
    }
}
