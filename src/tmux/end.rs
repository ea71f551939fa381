//! Acts on a pane that is ours: its end, its removal, its marks, its screen. Decides nothing. Invariant:
//! each command is guarded inside the server by the pane's own mark, and each signal goes to a process that
//! was verified.

use super::command::List;
use super::start::mark_command;
use super::{OPTION, Tmux, TmuxError, act_error, no_such, not_listed, ours};
use crate::causes::in_one_line;
use crate::failpoint::boundary;
use crate::name::Uid;
use crate::private;
use crate::process::{alive, ending, pause};
use crate::snapshot::{Evidence, Mark, Observed, PaneId, Process};
use crate::world::{ActError, Done, EndRun};
use std::path::Path;
use std::time::{Duration, Instant};

const DONE: &str = "fleetctl-done";
/// How much of what scrolled off a screen is read for a line that says something.
const RECENT: &str = "-200";
const CHANGED: &str = "fleetctl-changed";
/// Between two keys: some agents take what comes together for pasted text.
const BETWEEN_KEYS: Duration = Duration::from_millis(150);
/// After an interrupt the agent needs a moment to come back to its prompt.
const AFTER_INTERRUPT: Duration = Duration::from_millis(500);
/// How long tmux may take to notice the end of a pane.
const NOTICE: Duration = Duration::from_secs(2);

/// A pane as an act finds it.
enum Found {
    Gone,
    Dead(u32),
    Alive(u32),
}

impl Tmux {
    /// Ends the agent in a pane: keys, then TERM, then KILL to those in its kernel session that carry the
    /// uid. The pane stays, dead. Gives the processes that left the session and still run.
    ///
    /// # Errors
    /// [`ActError::Changed`] when the pane is not this incarnation's; [`ActError::Failed`] when something
    /// of it still runs.
    pub fn end_run(&self, end: &EndRun) -> Result<Done, ActError> {
        let failed = |cause: String| ActError::Failed { what: "end of a run".into(), cause };
        let io = |error: std::io::Error| failed(error.to_string());
        let (sid, live) = match self.find(&end.pane, end.uid)? {
            Found::Gone => return left(end.uid, None).map_err(io),
            Found::Dead(sid) => (sid, None),
            Found::Alive(sid) => (sid, alive::process(sid, &self.options.boot).map_err(io)?),
        };
        if let Some(process) = &live {
            self.press(end, process)?;
        }
        boundary();
        let remaining = ending::end_all(|| members(sid, end.uid, live.as_ref()), end.grace);
        if let Some(process) = remaining.map_err(io)?.first() {
            return Err(failed(format!("pid {} ({}) still runs", process.pid, process.command)));
        }
        self.await_death(end)?;
        left(end.uid, Some(sid)).map_err(io)
    }

    /// Presses the keys that end it, as long as it runs.
    fn press(&self, end: &EndRun, process: &Process) -> Result<(), ActError> {
        let io = |e: std::io::Error| ActError::Failed { what: "keys".into(), cause: e.to_string() };
        let gone = |limit| ending::wait_gone(std::slice::from_ref(process), limit);
        for (keys, then) in [(&end.interrupt, AFTER_INTERRUPT), (&end.quit, end.grace)] {
            for (index, key) in keys.iter().enumerate() {
                let still = format!("#{{&&:#{{!:#{{pane_dead}}}},{}}}", ours(&end.pane, end.uid));
                let list = List::of(&["send-keys", "-t", &end.pane.0, "--", key]);
                match self.guarded(&end.pane, &still, list) {
                    // It ended meanwhile, which is what was wanted.
                    Err(ActError::Changed(_)) => return Ok(()),
                    pressed => pressed?,
                }
                let last = index + 1 == keys.len();
                if gone(if last { then } else { BETWEEN_KEYS }).map_err(io)?.is_empty() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Waits until tmux has noticed as well.
    fn await_death(&self, end: &EndRun) -> Result<(), ActError> {
        let deadline = Instant::now() + NOTICE;
        while let Found::Alive(pid) = self.find(&end.pane, end.uid)? {
            if Instant::now() > deadline {
                let cause = format!("pane {} still runs pid {pid}", end.pane.0);
                return Err(ActError::Failed { what: "end of a run".into(), cause });
            }
            self.reap().map_err(|error| act_error("tmux run-shell", &error))?;
            pause(Duration::from_millis(10));
        }
        Ok(())
    }

    fn find(&self, pane: &PaneId, uid: Uid) -> Result<Found, ActError> {
        let rows = match self.beside(pane) {
            Ok(rows) => rows,
            Err(TmuxError::Refused { said, .. }) if no_such(&said) => return Ok(Found::Gone),
            Err(error @ TmuxError::NoServer { .. }) => {
                return Err(ActError::Failed {
                    what: "tmux list-panes".into(),
                    cause: in_one_line(&error),
                });
            }
            Err(error) => return Err(act_error("tmux list-panes", &error)),
        };
        match rows.iter().find(|row| row.id == *pane) {
            None => Ok(Found::Gone),
            Some(row) if !row.is_of(uid) => Err(changed(pane)),
            Some(row) if row.dead => Ok(Found::Dead(row.pid)),
            Some(row) => Ok(Found::Alive(row.pid)),
        }
    }

    /// Removes a dead pane of ours, and its session where nothing but idle shells remain in it. Done
    /// already when it is gone.
    ///
    /// # Errors
    /// [`ActError::Changed`] when the pane is not this incarnation's or runs.
    pub fn remove_pane(&self, pane: &PaneId, uid: Uid) -> Result<Done, ActError> {
        match self.find(pane, uid)? {
            Found::Gone => return Ok(Done::Plain),
            Found::Alive(_) => return Err(changed(pane)),
            Found::Dead(_) => {}
        }
        let place = match self.place(pane, uid) {
            Observed::Known(place) => place,
            Observed::Absent(_) => return Err(changed(pane)),
            Observed::Unknown(blind) => {
                return Err(ActError::Failed { what: blind.what, cause: blind.cause });
            }
        };
        let dead = format!("#{{&&:#{{pane_dead}},{}}}", ours(pane, uid));
        let alone = place.company.window.is_empty() && place.company.session.is_empty();
        if alone && place.company.idle_shells > 0 {
            // As it was looked at: no further window or pane of the user's has come.
            let same = format!(
                "#{{&&:{dead},#{{&&:#{{==:#{{session_windows}},{}}},#{{==:#{{window_panes}},{}}}}}}}",
                place.windows, place.panes
            );
            let session = List::of(&["kill-session", "-t", &place.session]);
            self.guarded(pane, &same, session)?;
            // A window that other sessions show as well lives on in them.
            if matches!(self.find(pane, uid)?, Found::Gone) {
                return Ok(Done::Plain);
            }
        }
        let killed = self.guarded(pane, &dead, List::of(&["kill-pane", "-t", &pane.0]));
        killed.map(|()| Done::Plain)
    }

    /// Writes the marks of a pane anew, where they name the same uid.
    ///
    /// # Errors
    /// [`ActError::Changed`] when the pane is not this incarnation's.
    pub fn remark(&self, pane: &PaneId, mark: &Mark) -> Result<Done, ActError> {
        let list = List::of(&mark_command(&pane.0, mark));
        self.guarded(pane, &ours(pane, mark.uid), list).map(|()| Done::Plain)
    }

    /// Removes the marks of a pane, so that it is nobody's.
    ///
    /// # Errors
    /// [`ActError::Changed`] when the pane is not this incarnation's.
    pub fn unmark(&self, pane: &PaneId, uid: Uid) -> Result<Done, ActError> {
        let list = List::of(&["set-option", "-p", "-u", "-t", &pane.0, "remain-on-exit"]).then(&[
            "set-option",
            "-p",
            "-u",
            "-t",
            &pane.0,
            OPTION,
        ]);
        self.guarded(pane, &ours(pane, uid), list).map(|()| Done::Plain)
    }

    /// The last lines of a pane's screen and of what scrolled off it, oldest first.
    #[must_use]
    pub fn screen(&self, pane: &PaneId, uid: Uid) -> Observed<String> {
        let list = List::of(&["display-message", "-p", DONE])
            .then(&["capture-pane", "-p", "-J", "-S", RECENT, "-t", &pane.0])
            .only_if(&pane.0, &ours(pane, uid), CHANGED);
        match self.call(&list) {
            Ok(answer) => match answer.strip_prefix(DONE.as_bytes()) {
                Some(screen) => Observed::Known(String::from_utf8_lossy(screen).into_owned()),
                None => Observed::Absent(Evidence::NotListed),
            },
            Err(error) => not_listed(&error),
        }
    }

    /// Keeps the last 5,000 lines of a pane's screen in a file that only its user reads.
    ///
    /// # Errors
    /// [`ActError::Changed`] when the pane is not this incarnation's; [`ActError::Failed`] when the file
    /// could not be written.
    pub fn keep_screen(&self, pane: &PaneId, uid: Uid, to: &Path) -> Result<Done, ActError> {
        let list = List::of(&["display-message", "-p", DONE])
            .then(&["capture-pane", "-p", "-J", "-S", "-5000", "-t", &pane.0])
            .only_if(&pane.0, &ours(pane, uid), CHANGED);
        let answer = self.call(&list).map_err(|error| act_error("tmux capture-pane", &error))?;
        let screen = answer.strip_prefix(DONE.as_bytes()).ok_or_else(|| changed(pane))?;
        let text = String::from_utf8_lossy(screen);
        let lines: Vec<&str> = text.lines().skip(1).map(str::trim_end).collect();
        let text = format!("{}\n", lines.join("\n").trim_end());
        let written = match to.parent() {
            Some(directory) => private::make_directory_if_needed(directory),
            None => Ok(()),
        };
        let written = written.and_then(|()| private::replace(to, text.as_bytes()));
        written.map(|()| Done::Plain).map_err(|error| ActError::Failed {
            what: format!("screen to {}", to.display()),
            cause: error.to_string(),
        })
    }

    /// Runs the list where the condition is true of the pane.
    fn guarded(&self, pane: &PaneId, condition: &str, list: List) -> Result<(), ActError> {
        let what = format!("tmux {}", list.verb());
        let said = List::of(&["display-message", "-p", DONE]);
        // First the word, then the act: the pane may be gone after it.
        let list = said.followed_by(list).only_if(&pane.0, condition, CHANGED);
        let answer = self.call(&list).map_err(|error| act_error(&what, &error))?;
        if answer.starts_with(DONE.as_bytes()) { Ok(()) } else { Err(changed(pane)) }
    }
}

fn changed(pane: &PaneId) -> ActError {
    ActError::Changed(format!("pane {}", pane.0))
}

/// The living members of the kernel session that are ours: the pane's own process, and all that carry the
/// uid. What may not be asked is another user's, and not ours to signal.
fn members(sid: u32, uid: Uid, live: Option<&Process>) -> std::io::Result<Vec<Process>> {
    let (boot, uid) = (alive::boot_id()?, uid.to_string());
    let mut found = Vec::new();
    for (pid, stat) in alive::members_of_session(sid)? {
        let process =
            Process { pid, started: stat.started, boot: boot.clone(), command: stat.command };
        let own = live.is_some_and(|live| live.pid == pid && live.started == stat.started);
        if own || alive::carries(pid, alive::UID_VARIABLE, &uid).unwrap_or(false) {
            found.push(process);
        }
    }
    Ok(found)
}

/// What carries the uid and is not in the kernel session.
fn left(uid: Uid, sid: Option<u32>) -> std::io::Result<Done> {
    let carriers = alive::carriers(uid)?.into_iter().filter(|(_, session)| Some(*session) != sid);
    Ok(Done::Left(carriers.map(|(p, _)| format!("{} {}", p.pid, p.command)).collect()))
}
