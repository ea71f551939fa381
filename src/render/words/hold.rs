//! What a hold says of itself: why a step is not done, and what lifts it. Invariant: where a command lifts a
//! hold, the words end with that command, ready to be typed.

use super::time::{ordinal, span};
use super::{abridged, plural, short};
use crate::manifest::fleet::Need;
use crate::name::Name;
use crate::plan::{Activity, Conflict, Entry, Hold, HoldReason, Lag, Wants};
use crate::record::WishKind;
use crate::render::View;
use crate::snapshot::Risk;
use std::time::Duration;

/// What lifts a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lift {
    /// What it comes to: `archive`, `now`, `again`.
    pub what: &'static str,
    /// The command, or the words to put into the file.
    pub by: String,
}

/// Why, and what lifts it, clause by clause.
#[must_use]
pub fn clauses(entry: &Entry, hold: &Hold, view: &View) -> Vec<String> {
    let mut said = why(entry, hold, view);
    said.extend(lift(entry, hold, view).map(|lift| format!("{}: {}", lift.what, lift.by)));
    said
}

/// Why the step is not done, without what lifts it.
#[must_use]
pub fn why(entry: &Entry, hold: &Hold, view: &View) -> Vec<String> {
    match &hold.reason {
        HoldReason::Busy => vec![busy(entry), format!("{} when idle", will(hold.wants))],
        HoldReason::Attached => attached(hold.wants),
        HoldReason::Manual => vec!["changed, and on_change: manual".to_owned()],
        HoldReason::Queued { place, of, max } => {
            vec![format!("{} of {of} (max_running {max})", ordinal(*place))]
        }
        HoldReason::Dependency { on, need, lag } => vec![waits(hold.wants, (on, *need), *lag)],
        HoldReason::Starting { max, .. } => {
            vec![format!("others are starting (max_starting {max})")]
        }
        HoldReason::Backoff { until, after, ended } => {
            let again = again(hold.wants, view.until(*until), *after);
            super::step::reason(ended, view).into_iter().chain([again]).collect()
        }
        HoldReason::Finished { commit, at } => {
            vec![format!("merged in {}, {} ago", short(commit), span(view.since(*at)))]
        }
        HoldReason::Wish { .. } => wish(&hold.reason, view),
        HoldReason::AtRisk(found) => vec![format!("at risk: {}", risks(found))],
        HoldReason::Protected { since } => vec![format!("protected since revision {since}")],
        HoldReason::Mass { would, of } => {
            vec![format!("{would} of {of} sessions would go at once")]
        }
        HoldReason::Prune { due: Some(due) } => {
            vec!["gone from the file".to_owned(), format!("goes in {}", span(view.until(*due)))]
        }
        HoldReason::Prune { due: None } => vec!["gone from the file, and prune: manual".to_owned()],
        HoldReason::Conflict(conflict) => vec![in_the_way(conflict, view)],
        HoldReason::Lost { path } => {
            vec![format!("its worktree {} is gone while git still lists it", view.path(path))]
        }
        HoldReason::Doubled => vec!["two live objects carry its mark".to_owned()],
        HoldReason::Orphaned => {
            vec!["it carries our mark, and there is no record of it".to_owned()]
        }
        HoldReason::Strayed { recorded, found } => vec![format!(
            "its worktree was moved from {} to {}",
            view.path(recorded),
            view.path(found)
        )],
        HoldReason::Frozen { file, why } => vec![format!("include {file} is invalid: {why}")],
        HoldReason::YourPanes(commands) => {
            vec![format!("{} of yours: {}", plural(commands.len(), "pane"), commands.join(", "))]
        }
        HoldReason::ConversationLost { id } => {
            vec![format!("conversation {} is gone, and resume: required", abridged(id))]
        }
        HoldReason::After(names) => vec![format!("after {}", listed(names))],
        HoldReason::Unseen(blind) => vec![format!("{}: {}", blind.what, blind.cause)],
        HoldReason::NoBase { base } => vec![no_base(base)],
        HoldReason::Elsewhere { was, now, under_way } => {
            elsewhere(was.as_deref(), now, under_way.as_deref())
        }
        HoldReason::Failed { times, again } => tried(*times, view.until(*again)),
        HoldReason::NoPort { name, pool, by } => vec![no_port(name, *pool), holders(by)],
        HoldReason::Inside => vec!["this command runs in the session that it would end".to_owned()],
    }
}

fn elsewhere(was: Option<&str>, now: &str, under_way: Option<&str>) -> Vec<String> {
    let mut why = vec!["gone from the file".to_owned()];
    why.extend(was.map(|was| format!("its repository is on {now} and was applied from {was}")));
    why.extend(under_way.map(|operation| format!("a {operation} is under way in its repository")));
    why
}

fn plural_times(times: u32) -> String {
    if times == 1 { "once".to_owned() } else { format!("{times} times in a row") }
}

/// `HEAD` is the last that is tried: without it there is no commit at all.
fn no_base(base: &str) -> String {
    if base == "HEAD" {
        return "the repository has no commit that a branch could begin from".to_owned();
    }
    format!("its base {base} cannot be resolved")
}

fn no_port(name: &str, pool: Option<(u16, u16)>) -> String {
    match pool {
        Some((first, last)) => format!("no port of {first}-{last} is free for {name}"),
        None => format!("the fleet has no ports, and {name} needs one"),
    }
}

/// Who has the ports of a pool: at most five, and how many more.
fn holders(by: &[(String, usize)]) -> String {
    let shown: Vec<String> = by.iter().take(5).map(|(who, many)| format!("{who} {many}")).collect();
    match by.len() - shown.len() {
        0 if shown.is_empty() => "there are none".to_owned(),
        0 => format!("taken: {}", shown.join(", ")),
        more => format!("taken: {} and {more} more", shown.join(", ")),
    }
}

/// What lifts the hold; `None` where time, idleness or another step does.
#[must_use]
pub fn lift(entry: &Entry, hold: &Hold, view: &View) -> Option<Lift> {
    let name = &entry.name;
    let run = |what, rest: String| Some(Lift { what, by: view.command(&rest) });
    let edit = |what, by: String| Some(Lift { what, by });
    match &hold.reason {
        HoldReason::Busy | HoldReason::Attached => run("now", format!("apply --now {name}")),
        HoldReason::Manual if hold.wants == Wants::Recreate => {
            run("recreate", format!("restart {name} --recreate"))
        }
        HoldReason::Manual => run("restart", format!("restart {name}")),
        HoldReason::Backoff { .. } => run("at once", format!("start {name}")),
        HoldReason::Finished { .. } => run("again", format!("start {name} --again")),
        HoldReason::Wish { kind: WishKind::Stop, .. } => run("start", format!("start {name}")),
        HoldReason::Wish { kind: WishKind::Hold | WishKind::Restored, .. } => {
            run("release", format!("release {name}"))
        }
        HoldReason::AtRisk(_) if hold.wants == Wants::Decommission => {
            run("archive", format!("rm {name} --archive"))
        }
        HoldReason::AtRisk(_) => edit("look", look_at_work(entry, view)),
        HoldReason::Protected { .. } => edit("lift", "protect: false in the file".to_owned()),
        HoldReason::Mass { would, .. } => {
            run("approve", format!("apply --max-decommission {would}"))
        }
        HoldReason::Prune { due: Some(_) }
        | HoldReason::Failed { .. }
        | HoldReason::Elsewhere { .. } => run("now", "apply".to_owned()),
        HoldReason::Prune { due: None } => run("decommission", "apply --prune".to_owned()),
        HoldReason::Conflict(conflict) => Some(make_way(conflict, view)),
        HoldReason::Lost { .. } => run("make it anew", format!("start {name} --new-worktree")),
        HoldReason::Doubled => run("look", format!("describe {name}")),
        HoldReason::Orphaned => run("let go", format!("rm {name} --keep")),
        HoldReason::Strayed { recorded, found } => {
            edit("move it back", format!("mv {} {}", view.argument(found), view.argument(recorded)))
        }
        HoldReason::Frozen { .. } => run("mend it", "validate".to_owned()),
        HoldReason::YourPanes(_) => run("close them", format!("attach {name}")),
        HoldReason::ConversationLost { .. } => run("begin anew", format!("restart {name} --fresh")),
        HoldReason::NoBase { base } if base == "HEAD" => {
            edit("make one", "git commit --allow-empty -m begin".to_owned())
        }
        HoldReason::NoBase { .. } => run("fetch", "apply --fetch".to_owned()),
        HoldReason::NoPort { .. } => edit("widen", "a larger `ports` in the file".to_owned()),
        HoldReason::Inside => edit("go on", "run it outside of this session".to_owned()),
        HoldReason::Starting { .. }
        | HoldReason::Queued { .. }
        | HoldReason::Dependency { .. }
        | HoldReason::After(_)
        | HoldReason::Unseen(_) => None,
    }
}

fn attached(wants: Wants) -> Vec<String> {
    vec!["a client is attached".to_owned(), format!("{} when it detaches", will(wants))]
}

fn tried(times: u32, left: Duration) -> Vec<String> {
    vec![format!("it failed {}", plural_times(times)), format!("tried again in {}", span(left))]
}

/// `starts again in 40s (3rd time in a row)`
fn again(wants: Wants, left: Duration, after: u32) -> String {
    let times = ordinal(usize::try_from(after).unwrap_or(usize::MAX));
    format!("{} again in {} ({times} time in a row)", will(wants), span(left))
}

/// What of another session a step waits for.
fn waits(wants: Wants, (on, need): (&Name, Need), lag: Lag) -> String {
    let will = will(wants);
    match (need, lag) {
        (Need::Started, _) => format!("{will} after {on} has started"),
        (Need::Ready, Lag::Late) => {
            format!("{will} when {on} is ready, which should have been by now")
        }
        (Need::Ready, _) => format!("{will} when {on} is ready"),
        (Need::Idle, Lag::Unknown) => {
            format!("{will} when {on} is idle; what it does is not known, which counts as busy")
        }
        (Need::Idle, _) => format!("{will} when {on} is idle"),
        (Need::Completed, _) => format!("{will} after {on} has completed"),
        (Need::Merged, _) => format!("{will} when the work of {on} is merged"),
    }
}

/// The step that waits, as a consequence.
fn will(wants: Wants) -> &'static str {
    match wants {
        Wants::Create => "is created",
        Wants::Start => "starts",
        Wants::Restart => "restarts",
        Wants::Recreate => "is recreated",
        Wants::Update => "is updated",
        Wants::Stop => "stops",
        Wants::Decommission => "is decommissioned",
        Wants::Nothing => "is looked at again",
    }
}

/// The step that waits, as a verb.
#[must_use]
pub fn wanted(wants: Wants) -> &'static str {
    match wants {
        Wants::Create => "create",
        Wants::Start => "start",
        Wants::Restart => "restart",
        Wants::Recreate => "recreate",
        Wants::Update => "update",
        Wants::Stop => "stop",
        Wants::Decommission => "decommission",
        Wants::Nothing => "nothing",
    }
}

fn busy(entry: &Entry) -> String {
    match entry.status.activity {
        Activity::Busy => "busy".to_owned(),
        Activity::Unknown | Activity::Shell | Activity::Exited => {
            "what it does is not known, which counts as busy".to_owned()
        }
    }
}

fn wish(reason: &HoldReason, view: &View) -> Vec<String> {
    let HoldReason::Wish { kind, why, by, since, until } = reason else {
        return Vec::new();
    };
    let what = match kind {
        WishKind::Stop | WishKind::Hold => "",
        WishKind::Restored => "restored ",
    };
    let mut told = format!("{what}by {by} {} ago", span(view.since(*since)));
    if let Some(until) = until {
        told.push_str(&format!(", for another {}", span(view.until(*until))));
    }
    if let Some(why) = why {
        told.push_str(&format!(": {why}"));
    }
    vec![told]
}

fn in_the_way(conflict: &Conflict, view: &View) -> String {
    match conflict {
        Conflict::Session { name } => format!("tmux has a session {name} that is not ours"),
        Conflict::Path { path } => format!("{} is there and is not ours", view.path(path)),
        Conflict::Branch { branch, at } => {
            format!("its branch {branch} is checked out at {}", view.path(at))
        }
    }
}

fn make_way(conflict: &Conflict, view: &View) -> Lift {
    match conflict {
        Conflict::Session { name } => {
            Lift { what: "rename it", by: format!("tmux rename-session -t '={name}' OTHER") }
        }
        Conflict::Path { path } => {
            let path = view.argument(path);
            Lift { what: "move it away", by: format!("mv {path} OTHER") }
        }
        Conflict::Branch { at, .. } => {
            Lift { what: "free it", by: format!("git -C {} switch --detach", view.argument(at)) }
        }
    }
}

fn look_at_work(entry: &Entry, view: &View) -> String {
    match &entry.status.directory {
        Some(directory) => format!("git -C {} status", view.argument(directory)),
        None => view.command(&format!("describe {}", entry.name)),
    }
}

/// At most three names, and how many more.
fn listed(names: &[Name]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(Name::as_str).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Risks in one clause.
#[must_use]
pub fn risks(found: &[Risk]) -> String {
    found.iter().map(risk).collect::<Vec<_>>().join(", ")
}

fn risk(risk: &Risk) -> String {
    match risk {
        Risk::Modified(count) => format!("{count} modified"),
        Risk::Staged(count) => format!("{count} staged"),
        Risk::Untracked(count) => format!("{count} untracked"),
        Risk::Hidden(count) => format!("{count} modified but hidden from git status"),
        Risk::UnderWay(what) => format!("{what} under way"),
        Risk::Unnamed(count) => format!("{} on no branch", plural(*count, "commit")),
        Risk::Stashes(1) => "1 stash".to_owned(),
        Risk::Stashes(count) => format!("{count} stashes"),
        Risk::Embedded(paths) => format!("repositories inside: {}", paths.join(", ")),
        Risk::Process { pid, command } => format!("pid {pid} {command} works there"),
        Risk::Pane { pane, command } => format!("your pane {pane} {command} is there"),
        Risk::Undetermined(what) => format!("cannot tell: {what}"),
    }
}
