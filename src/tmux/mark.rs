//! The mark on a pane as one line of text. Owns its format; does no I/O. Invariant: a mark names the pane
//! that it was written on, so that one that a pane only inherits, from a window, a session or the server,
//! is not taken for its own.

use crate::name::{Installation, Run, Spec, Uid};
use crate::snapshot::{Mark, Marked, PaneId};
use std::fmt::Write as _;

/// The format's number, the first word of a mark.
pub const FORMAT: u32 = 1;

/// The mark without the pane's id, which tmux itself writes behind it.
#[must_use]
pub fn encode(mark: &Mark) -> String {
    let conversation = mark.conversation.as_deref().map_or_else(|| "-".to_owned(), word);
    format!(
        "{FORMAT} {} {} {} {} {} {} {conversation} {}",
        mark.uid,
        word(&mark.installation.0),
        mark.fleet,
        mark.session,
        mark.run,
        word(&mark.spec.0),
        u8::from(mark.protect),
    )
}

/// What the option's value says of the pane that shows it.
#[must_use]
pub fn decode(text: &str, pane: &PaneId) -> Marked {
    if text.is_empty() {
        return Marked::No;
    }
    match text.rsplit_once(' ') {
        Some((mark, written_on)) if written_on == pane.0 => {
            parse(mark).map_or(Marked::Garbled, Marked::Yes)
        }
        // A whole mark of another pane came here by inheritance.
        Some((mark, written_on)) if is_pane(written_on) && parse(mark).is_some() => Marked::No,
        _ => Marked::Garbled,
    }
}

fn is_pane(word: &str) -> bool {
    word.strip_prefix('%').is_some_and(|number| number.parse::<u32>().is_ok())
}

fn parse(text: &str) -> Option<Mark> {
    let mut words = text.split(' ');
    if words.next()?.parse() != Ok(FORMAT) {
        return None;
    }
    let mark = Mark {
        uid: words.next()?.parse::<Uid>().ok()?,
        installation: Installation(plain(words.next()?)?),
        fleet: words.next()?.parse().ok()?,
        session: words.next()?.parse().ok()?,
        run: Run(words.next()?.parse().ok()?),
        spec: Spec(plain(words.next()?)?),
        conversation: match words.next()? {
            "-" => None,
            id => Some(plain(id)?),
        },
        protect: match words.next()? {
            "0" => false,
            "1" => true,
            _ => return None,
        },
    };
    words.next().is_none().then_some(mark)
}

/// Any text as one word that no tmux format and no version's escaping changes.
fn word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'/' | b'@' => {
                word.push(char::from(byte));
            }
            b'-' if text.len() > 1 => word.push('-'),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(word, "={byte:02x}");
            }
        }
    }
    word
}

fn plain(word: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(conversation: Option<String>, spec: String) -> Mark {
        Mark {
            uid: Uid::from_parts(1, 2),
            installation: Installation("0123456789abcdef".into()),
            fleet: "shop".parse().unwrap(),
            session: "api".parse().unwrap(),
            run: Run(3),
            spec: Spec(spec),
            conversation,
            protect: true,
        }
    }

    fn pane() -> PaneId {
        PaneId("%7".into())
    }

    proptest! {
        #[test]
        fn any_mark_comes_back_from_its_text(conversation: Option<String>, spec in ".+") {
            prop_assume!(conversation.as_deref() != Some(""));
            let mark = mark(conversation, spec);
            let text = format!("{} %7", encode(&mark));
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() || b == b' '));
            prop_assert!(!text.contains('#'));
            prop_assert_eq!(decode(&text, &pane()), Marked::Yes(mark));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = decode(&text, &pane());
        }
    }

    #[test]
    fn a_mark_cut_off_anywhere_is_garbled() {
        let text = format!("{} %7", encode(&mark(Some("c".into()), "1:ab".into())));
        for end in 1..text.len() {
            assert_eq!(decode(&text[..end], &pane()), Marked::Garbled, "{}", &text[..end]);
        }
    }

    #[test]
    fn a_mark_of_another_pane_is_no_mark_of_this_one() {
        let text = format!("{} %8", encode(&mark(None, "1:ab".into())));
        assert_eq!(decode(&text, &pane()), Marked::No);
    }

    #[test]
    fn a_pane_without_the_option_is_not_marked() {
        assert_eq!(decode("", &pane()), Marked::No);
        assert_eq!(decode("mine", &pane()), Marked::Garbled);
    }
}
