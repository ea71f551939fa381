//! The shorter lists: worktrees, holds, trash, names and paths. Invariant: `name` and `path` print one bare
//! value a line, for other programs.

use super::View;
use super::layout::clean;
use super::style::Tone;
use super::table::{Grid, by_urgency, record_of};
use super::words::hold::{lift, wanted, why};
use super::words::time::span;
use super::words::{self, Kind};
use crate::name::Uid;
use crate::plan::{HoldReason, Plan, Verdict};
use crate::record::{Place, Records, Tombstone};
use std::collections::BTreeMap;

fn plain(text: impl AsRef<str>) -> (String, Tone) {
    (clean(text.as_ref()), Tone::Plain)
}

fn or_dash(text: Option<String>) -> (String, Tone) {
    plain(text.unwrap_or_else(|| "-".to_owned()))
}

/// `get worktrees`: where the sessions work.
#[must_use]
pub fn worktrees(plan: &Plan, records: &Records, wide: bool, view: &View) -> String {
    let mut grid = Grid::new(vec!["NAME", "KIND", "BRANCH", "PATH"]);
    for entry in &plan.entries {
        let Some(record) = record_of(entry, records) else { continue };
        let kind = match &record.place {
            Place::Own { .. } => "own".to_owned(),
            Place::Repository { .. } => "repository".to_owned(),
            Place::Shared { owner, .. } => format!("of {owner}"),
        };
        grid.row(vec![
            plain(entry.name.as_str()),
            plain(kind),
            or_dash(entry.status.branch.clone()),
            plain(view.path(record.place.directory())),
        ]);
    }
    grid.finish(wide, view)
}

/// `get holds`: what is not done, why, and what lifts it.
#[must_use]
pub fn holds(plan: &Plan, wide: bool, view: &View) -> String {
    let mut grid = Grid::new(vec!["NAME", "STATUS", "STEP", "LIFTED BY", "WHY"]);
    let mut any = false;
    for entry in by_urgency(plan) {
        let Verdict::Hold(hold) = &entry.verdict else { continue };
        any = true;
        let kind = Kind::of(&entry.verdict);
        grid.row(vec![
            plain(entry.name.as_str()),
            (words::verb(&entry.verdict).to_owned(), kind.tone()),
            plain(wanted(hold.wants)),
            plain(
                lift(entry, hold, view)
                    .map_or_else(|| by_itself(&hold.reason).to_owned(), |lift| lift.by),
            ),
            plain(why(entry, hold, view).join("; ")),
        ]);
    }
    if any { grid.finish(wide, view) } else { "nothing is held\n".to_owned() }
}

/// What lifts a hold that no command lifts.
fn by_itself(reason: &HoldReason) -> &'static str {
    match reason {
        HoldReason::Queued { .. } => "a free place",
        HoldReason::Unseen(_) => "a look that succeeds",
        HoldReason::Dependency { .. } | HoldReason::After(_) => "those steps",
        HoldReason::Busy
        | HoldReason::Attached
        | HoldReason::Manual
        | HoldReason::Backoff { .. }
        | HoldReason::Finished { .. }
        | HoldReason::Wish { .. }
        | HoldReason::AtRisk(_)
        | HoldReason::Protected { .. }
        | HoldReason::Mass { .. }
        | HoldReason::Prune { .. }
        | HoldReason::Conflict(_)
        | HoldReason::Lost { .. }
        | HoldReason::Doubled
        | HoldReason::Orphaned
        | HoldReason::Strayed { .. }
        | HoldReason::Frozen { .. }
        | HoldReason::YourPanes(_)
        | HoldReason::ConversationLost { .. }
        | HoldReason::NoBase { .. }
        | HoldReason::NoPort { .. }
        | HoldReason::Elsewhere { .. }
        | HoldReason::Inside => "-",
        HoldReason::Failed { .. } | HoldReason::Starting { .. } => "time",
    }
}

/// `get trash` and `trash list`, newest first. `sizes` are in bytes, by incarnation.
#[must_use]
pub fn trash(
    tombstones: &[Tombstone],
    sizes: &BTreeMap<Uid, u64>,
    wide: bool,
    view: &View,
) -> String {
    if tombstones.is_empty() {
        return "the trash is empty\n".to_owned();
    }
    let mut grid = Grid::new(vec!["NAME", "GONE", "SIZE", "BRANCH", "RESTORE"]);
    for tombstone in tombstones {
        let record = &tombstone.record;
        let newest = tombstones.iter().find(|other| other.record.name == record.name);
        let restore = if newest.is_some_and(|newest| newest.record.uid == record.uid) {
            format!("restore {}", record.name)
        } else {
            format!("restore {}@{}", record.name, record.uid)
        };
        grid.row(vec![
            plain(record.name.as_str()),
            plain(format!("{} ago", span(view.since(tombstone.at)))),
            or_dash(sizes.get(&record.uid).map(|bytes| size(*bytes))),
            or_dash(tombstone.branch.as_ref().map(|branch| branch.name.clone())),
            plain(view.command(&restore)),
        ]);
    }
    grid.finish(wide, view)
}

/// Bytes as people say them.
#[must_use]
pub fn size(bytes: u64) -> String {
    let units = ["KB", "MB", "GB", "TB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes;
    let mut unit = 0;
    while scaled >= 1_000_000 && unit + 1 < units.len() {
        scaled /= 1_000;
        unit += 1;
    }
    let tenths = (scaled % 1_000) / 100;
    let whole = scaled / 1_000;
    if whole < 10 {
        format!("{whole}.{tenths} {}", units[unit])
    } else {
        format!("{whole} {}", units[unit])
    }
}

/// `-o name`: the sessions in the plan's order.
#[must_use]
pub fn names(plan: &Plan) -> String {
    plan.entries.iter().map(|entry| format!("{}\n", entry.name)).collect()
}

/// `-o path`: where the sessions work, for those that have a place.
#[must_use]
pub fn paths(plan: &Plan, records: &Records) -> String {
    let places = plan.entries.iter().filter_map(|entry| record_of(entry, records));
    places.map(|record| format!("{}\n", record.place.directory().display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::{everything, records, seen, view};

    #[test]
    fn lists_are_told_with_what_lifts_or_undoes_each_line() {
        insta::assert_snapshot!("worktrees", worktrees(&seen(), &records(), false, &view(100)));
        insta::assert_snapshot!("holds", holds(&everything(), true, &view(100)));
        let sizes = BTreeMap::from([(records().tombstones[0].record.uid, 1_234_567)]);
        insta::assert_snapshot!("trash", trash(&records().tombstones, &sizes, false, &view(100)));
    }

    #[test]
    fn names_and_paths_are_bare_lines() {
        assert!(names(&seen()).starts_with("docs-bot\napi\n"));
        let expected = "/home/ana/shop.worktrees/api\n/home/ana/shop.worktrees/quiet\n";
        assert_eq!(paths(&seen(), &records()), expected);
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let mut none = seen();
        none.entries.clear();
        assert_eq!(holds(&none, false, &view(80)), "nothing is held\n");
        assert_eq!(trash(&[], &BTreeMap::new(), false, &view(80)), "the trash is empty\n");
    }

    #[test]
    fn sizes_have_one_unit() {
        let told = [0, 999, 1_000, 1_234_567, 158_000_000, 2_000_000_000].map(size);
        assert_eq!(told, ["0 B", "999 B", "1.0 KB", "1.2 MB", "158 MB", "2.0 GB"]);
    }
}
