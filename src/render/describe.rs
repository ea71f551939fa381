//! Everything that is known of one session. Invariant: an unknown thing is left out or said to be unknown,
//! never guessed.

use super::View;
use super::layout::{pad, wrap};
use super::plan::change_lines;
use super::style::Tone;
use super::words::hold::{lift, wanted, why};
use super::words::time::span;
use super::words::{self, Kind};
use crate::plan::{Entry, Verdict, conditions};
use crate::record::{ConditionKind, Place, Record};
use crate::snapshot::ServerId;
use jiff::Timestamp;

/// Something that happened to a session, as the store kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What, in one line.
    pub text: String,
}

/// How wide the labels are.
const LABEL: usize = 14;

/// The description of one session: its entry in a plan, its record if there is one, its latest events.
#[must_use]
pub fn describe(entry: &Entry, record: Option<&Record>, events: &[Event], view: &View) -> String {
    let mut page = Page { out: String::new(), view };
    page.out.push_str(&format!("{}\n", view.style.paint(Tone::Strong, entry.name.as_str())));
    verdict(&mut page, entry);
    status(&mut page, entry);
    conditions_of(&mut page, entry, record);
    if let Some(record) = record {
        recorded(&mut page, record);
    }
    if !entry.changes.is_empty() {
        page.field("changes", &[String::new()]);
        change_lines(&mut page.out, &entry.changes, view);
    }
    for event in events {
        page.field(
            &format!("{} ago", span(view.since(event.at))),
            std::slice::from_ref(&event.text),
        );
    }
    page.out
}

struct Page<'a> {
    out: String,
    view: &'a View,
}

impl Page<'_> {
    fn field(&mut self, label: &str, clauses: &[String]) {
        let room = self.view.style.width.saturating_sub(LABEL + 2).max(10);
        let label = self.view.style.paint(Tone::Dim, &pad(label, LABEL));
        let lines = wrap(clauses, room);
        for (at, line) in lines.iter().enumerate() {
            let begin = if at == 0 { label.clone() } else { " ".repeat(LABEL) };
            self.out.push_str(&format!("  {}\n", format!("{begin}{line}").trim_end()));
        }
        if lines.is_empty() {
            self.out.push_str(&format!("  {label}\n"));
        }
    }

    fn one(&mut self, label: &str, text: impl Into<String>) {
        self.field(label, &[text.into()]);
    }

    fn ago(&mut self, label: &str, then: Timestamp) {
        let text = format!("{} ago, {then:.0}", span(self.view.since(then)));
        self.one(label, text);
    }
}

fn verdict(page: &mut Page<'_>, entry: &Entry) {
    let view = page.view;
    match &entry.verdict {
        Verdict::Synced => page.one("status", Kind::Synced.counted()),
        Verdict::Do(_) => {
            page.one("status", Kind::of(&entry.verdict).counted());
            let mut bare = entry.clone();
            bare.notes.clear();
            page.field("step", &words::clauses(&bare, view));
        }
        Verdict::Hold(hold) => {
            page.one("status", words::verb(&entry.verdict));
            page.one("would", wanted(hold.wants));
            page.field("why", &why(entry, hold, view));
            if let Some(lift) = lift(entry, hold, view) {
                page.one("lifted by", lift.by);
            }
        }
    }
    for note in &entry.notes {
        page.one("note", words::note(note));
    }
}

fn status(page: &mut Page<'_>, entry: &Entry) {
    let status = &entry.status;
    page.one("health", words::health(status.health));
    if status.running {
        let attached = if status.attached { ", a client is attached" } else { "" };
        page.one("activity", format!("{}{attached}", words::activity(status.activity)));
    }
    if let Some(end) = &status.end {
        page.one("end", words::end_clause(end));
    }
    if let Some(session) = &status.tmux_session {
        let pane =
            status.pane.as_ref().map(|pane| format!(", pane {}", pane.0)).unwrap_or_default();
        page.one("tmux", format!("{session}{pane}"));
    }
    if let Some(branch) = &status.branch {
        page.one("branch now", branch);
    }
    if let Some(directory) = &status.directory {
        page.one("directory", page.view.path(directory));
    }
}

fn conditions_of(page: &mut Page<'_>, entry: &Entry, record: Option<&Record>) {
    for condition in conditions(entry, record) {
        let since = match condition.since {
            Some(since) => format!(" for {}", span(page.view.since(since))),
            None => String::new(),
        };
        let truth = words::condition::truth(condition.truth);
        let mut clauses = vec![format!("{truth}{since}")];
        // What keeps it from being synced is told above.
        if condition.kind != ConditionKind::Synced {
            clauses.push(words::condition::message(entry, &condition, page.view));
        }
        page.field(words::condition::kind(condition.kind), &clauses);
    }
}

fn recorded(page: &mut Page<'_>, record: &Record) {
    let view = page.view;
    page.one("uid", record.uid.to_string());
    page.ago("created", record.created);
    match &record.place {
        Place::Own { repo, path, branch, base } => {
            page.one("worktree", view.path(path));
            page.one("repository", view.path(repo));
            let from = base.as_deref().map(|base| format!(", made at {}", words::short(base)));
            let branch = branch.as_deref().unwrap_or("none: HEAD is detached");
            page.one("branch", format!("{branch}{}", from.unwrap_or_default()));
        }
        Place::Repository { repo } => page.one("repository", view.path(repo)),
        Place::Shared { owner, path, .. } => {
            page.one("worktree", format!("{owner}'s: {}", view.path(path)));
        }
    }
    if let Some(runtime) = &record.runtime {
        let ServerId { pid: server, .. } = runtime.server;
        page.one("run", format!("{}, pid {}, tmux server {server}", runtime.run, runtime.pid));
        page.ago("started", runtime.started);
    }
    conversations(page, record);
    if !record.ports.is_empty() {
        page.one("ports", words::ports_of(&record.ports));
    }
    if record.books.crashes.count > 0 {
        page.one("crashes", format!("{} in a row", record.books.crashes.count));
    }
    if let Some(since) = record.protected_since {
        page.one("protected", format!("since revision {since}"));
    }
    if let Some(since) = record.gone_since {
        page.ago("left the file", since);
    }
}

fn conversations(page: &mut Page<'_>, record: &Record) {
    if let Some(conversation) = &record.conversation {
        let begun = if conversation.begun { "" } else { " (not begun)" };
        page.one("conversation", format!("{}{begun}", conversation.id));
    }
    if !record.old_conversations.is_empty() {
        page.one("earlier", record.old_conversations.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::{ago, record, seen, view};
    use crate::render::layout::width_of;

    #[test]
    fn everything_that_is_known_of_a_session_is_on_one_page() {
        let plan = seen();
        let record = record("api", 1);
        let events = [Event { at: ago(7_200), text: "run 3 started".to_owned() }];
        insta::assert_snapshot!(
            "api",
            describe(&plan.entries[1], Some(&record), &events, &view(80))
        );
        insta::assert_snapshot!("etl", describe(&plan.entries[5], None, &[], &view(80)));
    }

    #[test]
    fn no_line_of_it_is_wider_than_the_terminal() {
        let record = record("api", 1);
        for entry in &seen().entries {
            for line in describe(entry, Some(&record), &[], &view(40)).lines() {
                assert!(width_of(line) <= 40, "{line}");
            }
        }
    }
}
