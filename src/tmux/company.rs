//! What else runs in the tmux session of a pane of ours. Asked only of panes about to be acted on, because
//! it reads `/proc`. Invariant: a pane counts as an idle shell only when the shell is proven to be alone.

use super::command::List;
use super::parse::{Cursor, Garbled};
use super::{OPTION, Tmux, TmuxError, mark};
use crate::name::Uid;
use crate::process::alive;
use crate::snapshot::{Blind, Company, Evidence, Marked, Observed, PaneId};

/// Programs that wait for their human when nothing else runs.
const SHELLS: [&str; 14] = [
    "sh", "bash", "zsh", "fish", "dash", "ash", "ksh", "mksh", "csh", "tcsh", "nu", "elvish",
    "xonsh", "pwsh",
];
/// A shell's own companion, which draws its prompt.
const PROMPT: &str = "gitstatusd";

/// A pane of the session, as one line of the answer.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: PaneId,
    window: String,
    session: String,
    index: u32,
    panes: u32,
    pub(super) windows: u32,
    linked: bool,
    pub(super) dead: bool,
    pub(super) pid: u32,
    command: String,
    mark: Marked,
}

impl Row {
    /// It is the pane of this incarnation.
    pub(super) fn is_of(&self, uid: Uid) -> bool {
        matches!(&self.mark, Marked::Yes(mark) if mark.uid == uid)
    }
}

/// Where our pane is, and beside whom.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) session: String,
    pub(super) window: String,
    pub(super) index: u32,
    pub(super) panes: u32,
    pub(super) windows: u32,
    pub(super) linked: bool,
    pub(super) company: Company,
}

impl Tmux {
    /// What else runs beside this pane. Absent when the pane is not there or not this incarnation's.
    #[must_use]
    pub fn company(&self, pane: &PaneId, uid: Uid) -> Observed<Company> {
        match self.place(pane, uid) {
            Observed::Known(place) => Observed::Known(place.company),
            Observed::Absent(evidence) => Observed::Absent(evidence),
            Observed::Unknown(blind) => Observed::Unknown(blind),
        }
    }

    pub(super) fn place(&self, pane: &PaneId, uid: Uid) -> Observed<Place> {
        let rows = match self.beside(pane) {
            Ok(rows) => rows,
            Err(error) => return super::not_listed(&error),
        };
        let Some(own) = rows.iter().find(|row| row.id == *pane && row.is_of(uid)) else {
            return Observed::Absent(Evidence::NotListed);
        };
        match survey(own, &rows) {
            Ok(company) => Observed::Known(Place {
                session: own.session.clone(),
                window: own.window.clone(),
                index: own.index,
                panes: own.panes,
                windows: own.windows,
                linked: own.linked,
                company,
            }),
            Err(error) => Observed::Unknown(Blind {
                what: format!("what runs beside pane {}", pane.0),
                cause: error.to_string(),
            }),
        }
    }

    /// All panes of the session that this pane is in.
    pub(super) fn beside(&self, pane: &PaneId) -> Result<Vec<Row>, TmuxError> {
        let format = format!(
            "P#{{pane_id}} #{{window_id}} #{{session_id}} #{{window_index}} #{{window_panes}} \
             #{{session_windows}} #{{window_linked}} #{{pane_dead}} #{{pane_pid}} \
             #{{n:pane_current_command}} #{{pane_current_command}} #{{n:{OPTION}}} #{{{OPTION}}}"
        );
        let list = List::of(&["list-panes", "-s", "-t", &pane.0, "-F", &format]);
        let answer = self.call(&list)?;
        let mut rest = Cursor(&answer);
        let mut rows = Vec::new();
        while !rest.0.is_empty() {
            rows.push(rest.read(row).map_err(|Garbled(answer)| TmuxError::Garbled {
                verb: list.verb().to_owned(),
                answer,
            })?);
        }
        Ok(rows)
    }
}

fn row(line: &mut Cursor<'_>) -> Option<Row> {
    line.literal(b"P")?;
    let id = PaneId(line.word()?.to_owned());
    let (window, session) = (line.word()?.to_owned(), line.word()?.to_owned());
    let (index, panes) = (line.word()?.parse().ok()?, line.word()?.parse().ok()?);
    let windows = line.word()?.parse().ok()?;
    let (linked, dead) = (line.word()? == "1", line.word()? == "1");
    let pid = line.word()?.parse().ok()?;
    let command = line.text(b' ')?.into_owned();
    let mark = mark::decode(&line.text(b'\n')?, &id);
    Some(Row { id, window, session, index, panes, windows, linked, dead, pid, command, mark })
}

fn survey(own: &Row, rows: &[Row]) -> std::io::Result<Company> {
    let mut company = Company {
        command: own.command.clone(),
        working: !own.dead && is_working(own.pid)?,
        ..Company::default()
    };
    for row in rows.iter().filter(|row| row.id != own.id) {
        match occupation(row)? {
            None => company.idle_shells += 1,
            Some(command) if row.window == own.window => company.window.push(command),
            Some(command) => company.session.push(command),
        }
    }
    Ok(company)
}

/// What a pane does beyond an idle shell; a dead one does nothing.
fn occupation(row: &Row) -> std::io::Result<Option<String>> {
    let Some(stat) = alive::stat(row.pid)?.filter(|stat| !row.dead && !stat.over()) else {
        return Ok(None);
    };
    if !is_shell(&stat.command) {
        return Ok(Some(row.command.clone()));
    }
    let members = alive::members_of_session(row.pid)?;
    let others = members
        .into_iter()
        .filter(|(pid, member)| *pid != row.pid && !member.command.starts_with(PROMPT));
    // A job in the background or stopped is work as well.
    Ok(others.map(|(_, member)| member.command).next())
}

/// The process is a shell and another program has its foreground.
fn is_working(pid: u32) -> std::io::Result<bool> {
    let Some(stat) = alive::stat(pid)?.filter(|stat| is_shell(&stat.command)) else {
        return Ok(false);
    };
    let members = alive::members_of_session(pid)?;
    Ok(members.iter().any(|(member, other)| *member != pid && Some(other.group) == stat.foreground))
}

fn is_shell(command: &str) -> bool {
    SHELLS.contains(&command.trim_start_matches('-'))
}
