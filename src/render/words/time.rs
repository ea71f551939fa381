//! Times as people say them: one number, one unit.

use std::time::Duration;

/// A span: `0.4 s`, `42s`, `6m`, `2h`, `3d`.
#[must_use]
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", span.as_secs_f32()),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `9th`, `1st`.
#[must_use]
pub fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_number_and_one_unit() {
        let told = [0.4, 9.9, 10.0, 59.0, 60.0, 3_599.0, 7_200.0, 172_799.0, 172_800.0]
            .map(|seconds| span(Duration::from_secs_f64(seconds)));
        assert_eq!(told, ["0.4 s", "9.9 s", "10s", "59s", "1m", "59m", "2h", "47h", "2d"]);
    }

    #[test]
    fn ordinals_end_as_people_say_them() {
        let told = [1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal);
        assert_eq!(told, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"]);
    }
}
