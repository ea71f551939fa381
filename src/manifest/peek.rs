//! A first glance at the head of a manifest: fleet and tmux socket, so that a look at the server can begin
//! while the rest is read. A guess, to be used only where the whole file comes to the same. Invariant: it
//! reports nothing and decides nothing.

use super::fleet::Socket;
use super::raw::{self, Care, Kind, Node};
use crate::name::Name;
use std::path::Path;

/// What the head of a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// The fleet.
    pub fleet: Name,
    /// The socket of its tmux server.
    pub socket: Socket,
}

/// Reads the lines before `sessions:`; `None` when they do not tell by themselves.
#[must_use]
pub fn peek(bytes: &[u8]) -> Option<Peek> {
    let text = std::str::from_utf8(bytes).ok()?;
    let head = text.split("\nsessions:").next()?;
    let root = raw::parse(head, 0, Care::Texts).ok()?;
    let fleet = text_of(child(&root, "fleet")?)?.parse().ok()?;
    let socket = match child(&root, "tmux") {
        None => Socket::Default,
        Some(tmux) => match text_of(child(tmux, "socket")?)? {
            path if path.starts_with('/') && !path.contains("${") => {
                Socket::Path(Path::new(path).into())
            }
            name if name.contains(['/', '~', '$']) => return None,
            name => Socket::Name(name.to_owned()),
        },
    };
    Some(Peek { fleet, socket })
}

fn child<'n>(node: &'n Node<'_>, key: &str) -> Option<&'n Node<'n>> {
    node.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

fn text_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.kind {
        Kind::Scalar(text, _) => Some(text),
        Kind::Map(_) | Kind::Seq(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peeked(text: &str) -> Option<(String, Socket)> {
        peek(text.as_bytes()).map(|peek| (peek.fleet.to_string(), peek.socket))
    }

    #[test]
    fn the_head_tells_fleet_and_socket() {
        let rest = "\nsessions:\n  a: {command: x";
        assert_eq!(peeked(&format!("fleet: f{rest}")), Some(("f".into(), Socket::Default)));
        let path = peeked(&format!("fleet: f\ntmux: {{socket: /s}}{rest}"));
        assert_eq!(path, Some(("f".into(), Socket::Path("/s".into()))));
        let name = peeked(&format!("fleet: f\ntmux: {{socket: work}}{rest}"));
        assert_eq!(name, Some(("f".into(), Socket::Name("work".into()))));
    }

    #[test]
    fn what_takes_more_than_a_glance_is_left_alone() {
        for text in ["", "sessions: {}", "fleet: Bad\n", "fleet: f\ntmux: {socket: ./s}\n", "{"] {
            assert_eq!(peeked(text), None, "{text}");
        }
    }
}
