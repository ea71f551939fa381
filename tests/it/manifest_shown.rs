//! Problems as people and machines see them, and what must not be seen.

use crate::manifest::{Memory, fleet_of, load_with};
use fleetctl::manifest::Style;
use proptest::prelude::*;

const PLAIN: Style = Style { width: 90, color: false, unicode: true };

fn shown_with(text: &str, style: Style) -> String {
    let files = Memory::default().with("fleet.yaml", text);
    load_with(&files, true).map(|_| String::new()).unwrap_or_else(|problems| problems.render(style))
}

#[test]
fn a_problem_is_shown_with_its_lines() {
    let text = fleet_of("a:\n  agent: claude\n  modle: opus\nb: {command: x}\n");
    let wanted = "
field::unknown

  × unknown field `modle` of a session
   ╭─[fleet.yaml:6:5]
 4 │   a:
 5 │     agent: claude
 6 │     modle: opus
   ·     ─────
 7 │   b: {command: x}
   ╰────
  help: did you mean `model`?
";
    assert_eq!(shown_with(&text, PLAIN).trim_end(), wanted.trim());
}

#[test]
fn two_places_are_shown_together_and_without_unicode() {
    let text = fleet_of("a: {command: x}\na: {command: y}");
    let style = Style { unicode: false, ..PLAIN };
    let wanted = "
yaml::duplicate-key

  x `a` stands here twice
   ,-[fleet.yaml:5:3]
 3 | sessions:
 4 |   a: {command: x}
   :   |
   :   `-- first
 5 |   a: {command: y}
   :   |
   :   `-- again
   `----
  help: take one of them out
";
    assert_eq!(shown_with(&text, style).trim_end(), wanted.trim());
}

#[test]
fn a_long_line_is_cut_and_the_place_is_the_real_one() {
    let long = "word ".repeat(400);
    let text =
        fleet_of(&format!("a: {{agent: claude, prompt: '{long}', modle: x, mode: '{long}'}}"));
    let shown = shown_with(&text, PLAIN);
    assert!(shown.contains("fleet.yaml:4:2034]"), "{shown}");
    assert!(shown.contains("modle: x") && shown.contains('…'), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() < 100), "{shown}");
}

#[test]
fn no_value_of_env_is_ever_shown() {
    let secrets = [
        "env: {TOKEN: hunter2, B: 'hunter2'}\n  modle: x",
        "modle: x\n  env:\n    TOKEN: hunter2\n    OTHER: |\n      hunter2\n      hunter2: x\n    LAST: \"hunter2\"",
        "env:\n    TOKEN: hunter2\n    bad-name: hunter2\n    B: ${hunter2x}",
        "env:\n    TOKEN: >-\n      hunter2 and\n      hunter2\n  modle: x",
        "env: &e {TOKEN: hunter2}\n  modle: x",
        "env: {TOKEN: hunter2",
        "env:\n    TOKEN: \"hunter2",
        "env:\n    TOKEN: hunter2: hunter2",
        "env:\n    - TOKEN=hunter2",
        "env: hunter2",
        "\"env\":\n    TOKEN: [hunter2]\n    FLEET_A: hunter2",
        "env: {\n    TOKEN: hunter2,\n    B: [hunter2}\n  }",
        "labels: {env: hunter2}\n  modle: x",
        "env:\n    TOKEN: !x hunter2",
        "env:\n    TOKEN: !!int hunter2",
        "env:\n    TOKEN: *hunter2x",
        "env:\n    ? TOKEN\n    : hunter2\n  modle: x",
    ];
    for secret in secrets {
        let shown = shown_with(&fleet_of(&format!("a:\n  command: x\n  {secret}\nb: {{}}")), PLAIN);
        assert!(!shown.is_empty(), "{secret}");
        assert!(!shown.replace("hunter2x", "").contains("hunter2"), "{secret}\n{shown}");
    }
    // An anchor elsewhere that only `env` uses.
    let text = format!(
        "x-common: &c\n  TOKEN: hunter2\nfleeet: x\n{}",
        fleet_of("a: {command: x, env: *c}")
    );
    let shown = shown_with(&text, PLAIN);
    assert!(shown.contains("fleeet") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn only_the_first_problems_are_shown_and_the_rest_is_counted() {
    let many: String = (0..80).map(|n| format!("s{n}: {{command: x, a: b}}\n")).collect();
    let shown = shown_with(&fleet_of(&many), PLAIN);
    assert!(shown.ends_with("and 30 more\n"), "{shown}");
}

#[test]
fn a_file_that_is_not_there_is_a_problem_without_a_place() {
    let problems = load_with(&Memory::default(), true).unwrap_err();
    let reports = problems.reports();
    assert_eq!((reports[0].code, reports[0].line), ("file::unreadable", None));
    assert!(reports[0].message.contains("/m/fleet.yaml"));
    assert!(problems.render(PLAIN).contains("no such file"));
    assert_eq!(problems.to_string(), "1 problem in the manifest");
}

/// A manifest with a bit of everything.
const RICH: &str = include_str!("../../examples/team.yaml");
const DEMO: &str = include_str!("../../fleet.yaml");

#[test]
fn a_file_truncated_at_any_byte_is_read_or_refused_but_nothing_else() {
    let local = "sessions:\n  api: {mode: plan, env: {A: 'ü'}}\n";
    for text in [RICH, DEMO] {
        for end in 0..text.len() {
            let files = Memory::default().with("fleet.yaml", &text.as_bytes()[..end]);
            if let Err(problems) = load_with(&files, true) {
                assert!(!problems.problems.is_empty(), "at {end}");
                assert!(!problems.render(PLAIN).is_empty());
                assert_eq!(problems.reports().len(), problems.problems.len());
            }
        }
    }
    for end in 0..local.len() {
        let files = Memory::default()
            .with("fleet.yaml", RICH)
            .with("fleet.local.yaml", &local.as_bytes()[..end]);
        if let Err(problems) = load_with(&files, true) {
            assert!(!problems.render(PLAIN).is_empty(), "at {end}");
        }
    }
}

fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "a",
        "b-1",
        "version: 1\n",
        "fleet: f\n",
        "sessions:\n",
        "  a:\n",
        "    command: x\n",
        "    agent: claude\n",
        "    env:\n",
        "      TOKEN: s\n",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ": ",
        "- ",
        "\n",
        "  ",
        "#",
        " #",
        "\"",
        "'",
        "|\n",
        ">",
        "&a ",
        "*a",
        "!x ",
        "<<: ",
        "${each.slug}",
        "${worktree}",
        "${x",
        "null",
        "~",
        "1.50",
        "true",
        "? ",
        "ü",
        "\u{2028}",
        "\u{1}",
        "\t",
        "---\n",
        "x-y: ",
        "each: ",
        "defaults: ",
        "depends_on: [a]",
        "worktree: a",
        "%",
        "@",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the text: a fleet and no problem, or problems that can be shown and no fleet.
    #[test]
    fn a_text_is_a_fleet_or_has_problems_never_both(head in any::<bool>(), tail in piece()) {
        let text = match head {
            true => format!("version: 1\nfleet: f\nsessions:\n  a: {{command: x}}\n{tail}"),
            false => tail,
        };
        let files = Memory::default().with("fleet.yaml", &text);
        match load_with(&files, true) {
            Ok(fleet) => prop_assert!(fleet.sessions.values().all(|session| session.applied.spec.is_some())),
            Err(problems) => {
                prop_assert!(!problems.problems.is_empty());
                for report in problems.reports() {
                    let lines = text.matches('\n').count() + 1;
                    prop_assert!(report.line.unwrap_or(1) <= lines.max(1));
                    prop_assert!(!report.message.is_empty());
                }
                prop_assert!(!problems.render(PLAIN).is_empty());
            }
        }
    }

    /// Whatever stands between: what was a value of `env` is not shown.
    #[test]
    fn no_secret_is_shown_beside_any_text(tail in piece()) {
        let text = format!("a: 1\nenv:\n  TOKEN: hunter2\n{tail}\nenv: {{B: [hunter2]}}\n");
        let shown = shown_with(&text, PLAIN);
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
    }
}
