//! What tmux prints for a look, read by bytes and lengths. Owns the look's formats; does no I/O.
//! Invariant: an answer is understood to its last byte, or not at all.

use super::OPTION;
use super::mark;
use crate::snapshot::{Pane, PaneId, PaneState};
use std::collections::{HashMap, HashSet};

/// The session name of every control-mode client of a fleetctl begins with this.
pub(super) const ANCHOR: &str = "fleetctl-control-";
/// The last line: without it the answer was cut off.
pub(super) const END: &str = "fleetctl-end";
/// A client that was active within this many seconds has its human before it.
const PRESENT: i64 = 5 * 60;

/// The server: pid, start and the time now, all by its own clock. `%s` is strftime's.
pub(super) const SERVER: &str = "S#{pid} #{start_time} %s";
/// A client that is attached.
pub(super) const CLIENT: &str =
    "C#{session_id} #{client_activity} #{client_control_mode} #{n:session_name} #{session_name}";

/// A pane: ids and numbers first, each free text last and behind its length in bytes.
pub fn pane_format() -> String {
    format!(
        "P#{{pane_id}} #{{window_id}} #{{session_id}} #{{pane_pid}} \
         #{{?pane_dead,d#{{pane_dead_status}}/#{{pane_dead_signal}},a}} \
         #{{n:session_name}} #{{session_name}} #{{n:{OPTION}}} #{{{OPTION}}}"
    )
}

/// A look's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) pid: u32,
    pub(super) started: i64,
    pub(super) panes: Vec<Pane>,
}

/// The beginning of the line that is not understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled(pub(super) String);

/// Reads the answer. `empty` when tmux said that it has no session, and so printed the server's line only.
pub(super) fn parse(answer: &[u8], empty: bool) -> Result<Seen, Garbled> {
    let mut rest = Cursor(answer);
    let (pid, started, now) = rest.read(server)?;
    let mut found = Found::default();
    while rest.0.first() == Some(&b'P') {
        let pane = rest.read(pane)?;
        found.add(pane);
    }
    while rest.0.first() == Some(&b'C') {
        let client = rest.read(client)?;
        found.see(&client, now);
    }
    if !(empty && found.panes.is_empty()) {
        rest.read(|line| line.literal(END.as_bytes()).and_then(|()| line.literal(b"\n")))?;
    }
    if rest.0.is_empty() {
        Ok(Seen { pid, started, panes: found.finish() })
    } else {
        Err(rest.garbled())
    }
}

/// Panes as they come, a line for each session that shows them.
#[derive(Default)]
struct Found {
    panes: Vec<Pane>,
    index: HashMap<u32, usize>,
    shown: Vec<(u32, String)>,
    seen: HashSet<u32>,
}

impl Found {
    fn add(&mut self, pane: Pane) {
        let (Some(id), Some(session)) = (number(&pane.id.0), number(&pane.session)) else { return };
        if pane.session_name.starts_with(ANCHOR) {
            return;
        }
        self.shown.push((session, pane.window.clone()));
        match self.index.get(&id) {
            None => {
                self.index.insert(id, self.panes.len());
                self.panes.push(pane);
            }
            // Sessions are numbered by birth: the one that the pane was made in is the older one.
            Some(at) if number(&self.panes[*at].session).is_some_and(|other| session < other) => {
                self.panes[*at] = pane;
            }
            Some(_) => {}
        }
    }

    fn see(&mut self, client: &Client, now: i64) {
        if !client.ours && now - client.activity <= PRESENT {
            self.seen.insert(client.session);
        }
    }

    fn finish(mut self) -> Vec<Pane> {
        if !self.seen.is_empty() {
            let seen = &self.seen;
            let windows: HashSet<&str> = self
                .shown
                .iter()
                .filter(|(session, _)| seen.contains(session))
                .map(|(_, window)| window.as_str())
                .collect();
            for pane in &mut self.panes {
                pane.attached = windows.contains(pane.window.as_str());
            }
        }
        self.panes
    }
}

struct Client {
    session: u32,
    activity: i64,
    ours: bool,
}

fn server(line: &mut Cursor<'_>) -> Option<(u32, i64, i64)> {
    line.literal(b"S")?;
    let (pid, started) = (line.word()?.parse().ok()?, line.word()?.parse().ok()?);
    Some((pid, started, line.upto(b'\n')?.parse().ok()?))
}

fn client(line: &mut Cursor<'_>) -> Option<Client> {
    line.literal(b"C")?;
    let session = number(line.word()?)?;
    let activity = line.word()?.parse().ok()?;
    let control = line.word()? == "1";
    let name = line.text(b'\n')?;
    Some(Client { session, activity, ours: control && name.starts_with(ANCHOR) })
}

fn pane(line: &mut Cursor<'_>) -> Option<Pane> {
    line.literal(b"P")?;
    let (id, window, session) = (line.word()?, line.word()?, line.word()?);
    let numbered = id.starts_with('%') && window.starts_with('@') && session.starts_with('$');
    let all = [id, window, session].into_iter().all(|id| number(id).is_some());
    if !(numbered && all) {
        return None;
    }
    let (pid, state) = (line.word()?.parse().ok()?, state(line.word()?)?);
    let session_name = line.text(b' ')?.into_owned();
    let id = PaneId(id.to_owned());
    let mark = mark::decode(&line.text(b'\n')?, &id);
    Some(Pane {
        id,
        window: window.to_owned(),
        session: session.to_owned(),
        session_name,
        pid,
        state,
        mark,
        attached: false,
    })
}

fn state(word: &str) -> Option<PaneState> {
    if word == "a" {
        return Some(PaneState::Alive);
    }
    match word.strip_prefix('d')?.split_once('/')? {
        ("", "") => Some(PaneState::Ending),
        ("", signal) => Some(signal.parse().map_or(PaneState::Lost, PaneState::Killed)),
        (status, _) => status.parse().ok().map(PaneState::Exited),
    }
}

/// The number behind the sign of a tmux id.
fn number(id: &str) -> Option<u32> {
    id.get(1..)?.parse().ok()
}

/// What is left of an answer.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    /// Reads one line; where that fails, nothing is taken and the line is named.
    pub(super) fn read<T>(&mut self, line: impl Fn(&mut Self) -> Option<T>) -> Result<T, Garbled> {
        let begun = self.0;
        line(self).ok_or_else(|| Cursor(begun).garbled())
    }

    fn garbled(&self) -> Garbled {
        let line = self.0.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = &line[..line.len().min(120)];
        Garbled(String::from_utf8_lossy(line).into_owned())
    }

    pub(super) fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.upto(b' ')
    }

    fn upto(&mut self, end: u8) -> Option<&'a str> {
        let at = self.0.iter().position(|byte| *byte == end || *byte == b'\n')?;
        let (word, rest) = self.0.split_at(at);
        self.0 = rest.strip_prefix(&[end])?;
        std::str::from_utf8(word).ok()
    }

    /// A text behind its length, and the byte that must follow.
    pub(super) fn text(&mut self, end: u8) -> Option<std::borrow::Cow<'a, str>> {
        let length: usize = self.word()?.parse().ok()?;
        let text = self.0.get(..length)?;
        self.0 = self.0.get(length..)?.strip_prefix(&[end])?;
        Some(String::from_utf8_lossy(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Marked;

    const ANSWER: &str = "S90 1000 2000\n\
        P%0 @0 $0 91 a 3 a\nb 0 \n\
        P%1 @1 $1 92 d3/ 6 f/\u{e4}pi 4 what\n\
        P%1 @1 $4 92 d3/ 1 v 4 what\n\
        P%2 @2 $2 93 d/ 1 b 0 \n\
        P%3 @3 $3 94 d/15 1 c 0 \n\
        P%9 @9 $9 99 a 19 fleetctl-control-77 0 \n\
        C$4 1800 0 1 v\n\
        C$0 1699 0 3 a\nb\n\
        C$9 2000 1 19 fleetctl-control-77\n\
        fleetctl-end\n";

    #[test]
    fn an_answer_is_read_by_lengths_not_by_lines() {
        let seen = parse(ANSWER.as_bytes(), false).unwrap();
        assert_eq!((seen.pid, seen.started), (90, 1000));
        let names: Vec<&str> = seen.panes.iter().map(|pane| pane.session_name.as_str()).collect();
        assert_eq!(names, ["a\nb", "f/\u{e4}pi", "b", "c"]);
        let states: Vec<PaneState> = seen.panes.iter().map(|pane| pane.state).collect();
        let wanted =
            [PaneState::Alive, PaneState::Exited(3), PaneState::Ending, PaneState::Killed(15)];
        assert_eq!(states, wanted);
        assert_eq!(seen.panes[1].mark, Marked::Garbled);
    }

    #[test]
    fn a_viewer_in_another_session_attaches_the_pane_and_a_sleepy_one_does_not() {
        let seen = parse(ANSWER.as_bytes(), false).unwrap();
        let attached: Vec<bool> = seen.panes.iter().map(|pane| pane.attached).collect();
        assert_eq!(attached, [false, true, false, false]);
    }

    #[test]
    fn an_answer_cut_off_at_any_byte_is_not_understood() {
        for end in 0..ANSWER.len() {
            assert!(parse(&ANSWER.as_bytes()[..end], false).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_server_without_sessions_has_no_panes() {
        let seen = parse(b"S90 1000 2000\n", true).unwrap();
        assert_eq!(seen.panes, []);
        assert!(parse(b"S90 1000 2000\n", false).is_err());
    }

    #[test]
    fn a_garbled_line_is_named() {
        let odd = ANSWER.replace("P%2 @2", "P%2 @x");
        let Garbled(line) = parse(odd.as_bytes(), false).unwrap_err();
        assert_eq!(line, "P%2 @x $2 93 d/ 1 b 0 ");
    }
}
