//! Signs, words and widths of plans, on every kind of terminal.

use super::*;
use crate::plan::{ChangeClass, Hold, Note, StepKind, StepReason, Wants};
use crate::render::fixtures::{change, doing, entry, everything, plan, restart, usual, view};
use crate::render::style::Style;
use crate::snapshot::Blind;

#[test]
fn a_plan_on_a_wide_terminal_is_one_line_a_session() {
    insta::assert_snapshot!(plan_text(&usual(), &view(120)));
}

#[test]
fn a_plan_on_a_usual_terminal_wraps_beside_its_columns() {
    insta::assert_snapshot!(plan_text(&usual(), &view(80)));
}

#[test]
fn a_plan_on_a_narrow_terminal_puts_sentences_under_their_lines() {
    insta::assert_snapshot!(plan_text(&usual(), &view(40)));
}

#[test]
fn every_step_and_hold_names_its_reason_and_what_lifts_it() {
    insta::assert_snapshot!(plan_text(&everything(), &view(usize::MAX)));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for plan in [usual(), everything()] {
        for width in [20, 33, 40, 60, 80, 81, 120, 200] {
            for line in plan_text(&plan, &view(width)).lines() {
                assert!(width_of(line) <= width, "{} > {width}: {line}", width_of(line));
                assert_eq!(line.trim_end(), line, "a space at the end");
            }
        }
    }
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    for plan in [usual(), everything()] {
        for width in [40, 80, 120] {
            let plain = view(width);
            let colored = View { style: Style { color: true, width }, ..view(width) };
            let colored = plan_text(&plan, &colored);
            assert!(colored.contains('\u{1b}'));
            let stripped = anstream::adapter::strip_str(&colored).to_string();
            assert_eq!(stripped, plan_text(&plan, &plain));
        }
    }
}

#[test]
fn a_converged_fleet_is_counted_and_not_listed() {
    let mut converged = plan(vec![entry("a", Verdict::Synced), entry("b", Verdict::Synced)]);
    converged.new_revision = false;
    insta::assert_snapshot!(plan_text(&converged, &view(120)), @"
    shop   revision 14 (fleet.yaml + fleet.local.yaml)   seen 0.4 s ago
    nothing to do: 2 sessions are as the file says
    ");
}

#[test]
fn no_value_of_the_environment_is_ever_told() {
    let mut api = entry("api", doing(restart("x"), StepReason::Changed));
    api.changes = vec![
        change("env.A", Some("sesame-1"), Some("sesame-2"), ChangeClass::Restart),
        change("env.B", None, Some("sesame\n3"), ChangeClass::Restart),
        change("env.C", Some("sesame-4"), None, ChangeClass::Restart),
    ];
    let text = plan_text(&plan(vec![api.clone()]), &view(80));
    assert!(!text.contains("sesame"), "{text}");
    assert!(text.contains("*** (changed)") && text.contains("(unset) → ***"), "{text}");
    assert!(!crate::render::json::plan_json(&plan(vec![api]), &view(80)).contains("sesame"));
}

#[test]
fn notes_and_a_deferred_step_are_told_beside_the_verdict() {
    let mut api = entry("api", doing(StepKind::Update { rename: None }, StepReason::Changed));
    api.changes = vec![change("labels.team", None, Some("red"), ChangeClass::InPlace)];
    api.notes = vec![Note::OnBranch("fix".to_owned()), Note::CrashedTimes(2)];
    api.deferred = Some(Hold { wants: Wants::Restart, reason: HoldReason::Attached });
    api.renamed_from = Some("apis".parse().expect("a name"));
    let mut two = plan(vec![api]);
    two.hints = vec![Hint::PerhapsMoved {
        from: "old".parse().expect("a name"),
        to: "new".parse().expect("a name"),
    }];
    two.blind = vec![Blind { what: "repository /srv/x".to_owned(), cause: "not there".to_owned() }];
    insta::assert_snapshot!(plan_text(&two, &view(80)));
}
