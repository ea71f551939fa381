//! What a step says of itself: why it is done, what it makes or ends, and how to undo it.

use super::time::span;
use super::{abridged, plural, short, stop_reason, why_ended};
use crate::plan::{Activity, Creation, Entry, LaunchMode, Retirement, Step, StepKind, StepReason};
use crate::record::Place;
use crate::render::View;
use crate::render::words::hold::risks;
use crate::snapshot::{BranchSource, Commit};

/// Reason and consequence, clause by clause.
#[must_use]
pub fn clauses(entry: &Entry, step: &Step, view: &View) -> Vec<String> {
    let mut said: Vec<String> = reason(&step.reason, view).into_iter().collect();
    match &step.kind {
        StepKind::Create(creation) => said.extend(created(creation, view)),
        StepKind::Start { launch, over: _, setup, rebuild } => {
            if *rebuild {
                said.push("its lost worktree is checked out again".to_owned());
            }
            said.extend(launched(launch, *setup));
        }
        StepKind::Restart { launch, pane: _, setup, rebuild } => {
            said.extend(cut_off(entry));
            if *rebuild {
                said.push("its lost worktree is checked out again".to_owned());
            }
            said.extend(launched(launch, *setup));
        }
        StepKind::Recreate { retire, create } => {
            said.extend(cut_off(entry));
            said.extend(retired(retire));
            said.push("the old worktree goes to the trash".to_owned());
            said.extend(created(create, view));
            said.push(undo(entry, view));
        }
        StepKind::Update { rename } => said.extend(updated(
            entry,
            rename.is_some() || matches!(step.reason, StepReason::Moved { .. }),
        )),
        StepKind::Stop { reason, pane } => {
            said.extend(stopped(entry, &step.reason, stop_reason(*reason), pane.is_some()));
        }
        StepKind::Decommission(retire) => {
            said.extend(cut_off(entry));
            said.extend(retired(retire));
            said.push(undo(entry, view));
        }
        StepKind::Forget => said.push("its record is dropped, nothing is touched".to_owned()),
        StepKind::Settle(end) => {
            said = vec![why_ended(end), again(entry, view)];
        }
    }
    said
}

fn again(entry: &Entry, view: &View) -> String {
    format!("again: {}", view.command(&format!("start {}", entry.name)))
}

fn undo(entry: &Entry, view: &View) -> String {
    format!("undo: {}", view.command(&format!("restore {}", entry.name)))
}

pub(super) fn reason(reason: &StepReason, view: &View) -> Option<String> {
    match reason {
        StepReason::New | StepReason::Changed | StepReason::StoppedInFile | StepReason::EndSeen => {
            None
        }
        StepReason::Expired => None,
        StepReason::Merged(merge) => Some(format!("merged in {}", short(&merge.commit))),
        StepReason::Gone => Some("its pane is gone".to_owned()),
        StepReason::Crashed { status, signal } => Some(crash(*status, *signal)),
        StepReason::Ended => Some("it ended, and restart: always".to_owned()),
        StepReason::Wanted => Some("it is to run again".to_owned()),
        StepReason::Asked => Some("asked for".to_owned()),
        StepReason::LeftFile(Some(since)) => {
            Some(format!("gone from the file for {}", span(view.since(*since))))
        }
        StepReason::LeftFile(None) => Some("gone from the file".to_owned()),
        StepReason::LetGo => {
            Some("let go of, as asked: what it has stays, and is nobody's".to_owned())
        }
        StepReason::NothingLeft => Some("nothing of it is left".to_owned()),
        StepReason::Moved { from } => Some(format!("called {from} until now")),
    }
}

fn crash(status: Option<i32>, signal: Option<i32>) -> String {
    match (status, signal) {
        (_, Some(signal)) => format!("crashed: signal {signal}"),
        (Some(status), None) => format!("crashed: exit {status}"),
        (None, None) => "crashed: how is not known".to_owned(),
    }
}

fn created(creation: &Creation, view: &View) -> Vec<String> {
    match &creation.place {
        Place::Own { path, branch, .. } => {
            let mut made = format!("worktree {}", view.path(path));
            if let Some(source) = &creation.branch {
                made.push_str(", ");
                made.push_str(&sprung(branch.as_deref(), source, view));
            }
            vec![made]
        }
        Place::Repository { repo } => vec![format!("in the repository {}", view.path(repo))],
        Place::Shared { owner, path, .. } => {
            vec![format!("in {owner}'s worktree {}", view.path(path))]
        }
    }
}

/// `branch shop/docs from origin/main 9ab12f0 (2h old)`
fn sprung(branch: Option<&str>, source: &BranchSource, view: &View) -> String {
    let aged =
        |commit: &Commit| format!("{} ({} old)", short(&commit.id), span(view.since(commit.time)));
    let branch = branch.unwrap_or("?");
    match source {
        BranchSource::Local(at) => format!("branch {branch} as it is at {}", aged(at)),
        BranchSource::Remote(at) => format!("branch {branch} tracking origin's {}", aged(at)),
        BranchSource::New { base, at } => format!("branch {branch} from {base} {}", aged(at)),
        BranchSource::Detached { base, at } => format!("detached at {base} {}", aged(at)),
        BranchSource::NoBase { base } => format!("branch {branch} from {base}, which is not there"),
    }
}

fn launched(launch: &LaunchMode, setup: bool) -> Vec<String> {
    let mut said = Vec::new();
    if setup {
        said.push("runs setup again".to_owned());
    }
    match launch {
        LaunchMode::Fresh { lost: Some(id) } => {
            said.push(format!("a new conversation, for {} is gone from disk", abridged(id)));
        }
        LaunchMode::Fresh { lost: None } => said.push("a new conversation".to_owned()),
        LaunchMode::Resume(id) => said.push(format!("resumes conversation {}", abridged(id))),
        LaunchMode::Plain => {}
    }
    said
}

/// What ending the run would interrupt, when it is not known to be nothing.
fn cut_off(entry: &Entry) -> Vec<String> {
    let mut said = Vec::new();
    if entry.status.running {
        match entry.status.activity {
            Activity::Busy => said.push("cuts off what it is doing".to_owned()),
            Activity::Unknown => said.push("cuts off whatever it is doing".to_owned()),
            Activity::Shell | Activity::Exited => {}
        }
    }
    if entry.status.attached {
        said.push("although a client is attached".to_owned());
    }
    said
}

fn updated(entry: &Entry, renamed: bool) -> Vec<String> {
    if renamed {
        vec!["worktree, branch and conversation stay".to_owned()]
    } else if entry.changes.is_empty() {
        vec!["its marks are written anew".to_owned()]
    } else {
        vec!["in place, nothing restarts".to_owned()]
    }
}

fn stopped(entry: &Entry, why: &StepReason, reason: &str, runs: bool) -> Vec<String> {
    let mut said = Vec::new();
    if !matches!(why, StepReason::Asked) {
        said.push(reason.to_owned());
    }
    if runs {
        said.extend(cut_off(entry));
        said.push("worktree and conversation stay".to_owned());
    } else {
        said.push("it does not run; the intent is recorded".to_owned());
    }
    said
}

/// What becomes of the work in a worktree that goes.
fn retired(retire: &Retirement) -> Vec<String> {
    let mut said = Vec::new();
    if retire.work.is_none() {
        said.push("it has no worktree of its own: only its pane goes".to_owned());
    } else if retire.risks.is_empty() {
        said.push("clean".to_owned());
    } else {
        said.push(format!("archives what is at risk: {}", risks(&retire.risks)));
    }
    match &retire.commits {
        Some((0, _)) | None => {}
        Some((1, branch)) => said.push(format!("1 commit stays on {branch}")),
        Some((count, branch)) => {
            said.push(format!("{} stay on {branch}", plural(*count, "commit")))
        }
    }
    said
}
