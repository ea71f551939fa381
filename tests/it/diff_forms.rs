//! The forms of `diff --base`: text, JSON, Markdown, GitHub's commands. Golden files, and what hostile texts make
//! of them.

use crate::diff_base::{commit, committed, since};
use crate::shop::{Shop, json};
use fleetctl::render::markdown::MOST;
use std::fs;

const BEFORE: &str = "version: 1
fleet: shop
max_running: 8
agents:
  reviewer: {extends: claude, model: opus, mode: plan}
defaults: {agent: claude}
sessions:
  api:
    prompt: |
      Make the API faster.
      Do not break it.
      Say what you did.
    args: [--verbose]
    env: {TOKEN: hunter2-one}
  review: {agent: reviewer, prompt: Review it.}
  old: {prompt: Old.}
  kept: {prompt: Kept., protect: true}
  web: {command: npm run dev, labels: {team: red}}
  same: {command: tail -f log}
";

const AFTER: &str = "version: 1
fleet: shop
max_running: 12
at_risk: archive
agents:
  reviewer: {extends: claude, model: opus, mode: yolo, modes: {yolo: {args: [--go], env: {K: hunter2-two}}}}
defaults: {agent: claude}
sessions:
  api:
    prompt: |
      Make the API faster.
      Break it if you must.
      Say what you did.
    args: [--verbose, --dangerously]
    env: {TOKEN: hunter2-two}
    setup: make deps
  review: {agent: reviewer, prompt: Review it.}
  kept: {prompt: Kept.}
  web: {command: npm run dev, branch: other, labels: {team: blue}}
  same: {command: tail -f log}
  new:
    command: |
      set -e
      npm ci && npm test
    env_file: .env
";

/// A shop whose manifest says the one, and said the other at HEAD.
fn changed(before: &str, after: &str) -> Shop {
    let shop = committed("");
    fs::write(shop.manifest(), before).expect("the manifest can be written");
    commit(&shop, "before");
    fs::write(shop.manifest(), after).expect("the manifest can be written");
    shop
}

fn steady(shop: &Shop, text: &str) -> String {
    let shown = shop.sandbox.git(shop.top(), &["show", "-s", "--format=%H %cs"]);
    let (id, day) = shown.text().split_once(' ').expect("two words");
    text.replace(id, "COMMIT").replace(&id[..7], "COMMIT").replace(day, "DAY")
}

#[test]
fn every_form_is_pinned() {
    let shop = changed(BEFORE, AFTER);
    for form in ["text", "json", "markdown", "github"] {
        let said = since(&shop, &["-o", form]).code(1);
        assert!(said.stderr.is_empty() && !said.stdout.contains("hunter2"), "{said:#?}");
        insta::assert_snapshot!(format!("base_{form}"), steady(&shop, &said.stdout));
    }
}

/// Checks an output against the schema that the program prints.
fn keeps_schema(shop: &Shop, form: &str, text: &str) {
    let schema = shop.run(&["schema", form]).ok();
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).expect("JSON");
    let checked = jsonschema::validator_for(&schema).expect("a schema");
    let read: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let wrong: Vec<String> = checked.iter_errors(&read).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{form}: {wrong:?}\n{text}");
}

#[test]
fn what_is_printed_keeps_the_schema_that_is_published() {
    let shop = changed(BEFORE, AFTER);
    let text = |args: &[&str]| shop.run(args).stdout;
    keeps_schema(&shop, "comparison", &text(&["diff", "--base", "HEAD", "-o", "json"]));
    shop.edit("a: {command: [sleep, '100000']}");
    keeps_schema(&shop, "plan", &text(&["diff", "-o", "json"]));
    shop.run(&["apply"]).ok();
    keeps_schema(&shop, "sessions", &text(&["get", "-o", "json"]));
    keeps_schema(&shop, "fleet", &text(&["get", "fleet", "-o", "json"]));
    keeps_schema(&shop, "comparison", &text(&["diff", "--base", "HEAD", "-o", "json"]));
    shop.edit("");
    shop.run(&["apply", "--yes", "--max-decommission", "1"]).ok();
    keeps_schema(&shop, "trash", &text(&["get", "trash", "-o", "json"]));
    shop.edit("a: {comand: x}");
    keeps_schema(&shop, "problems", &text(&["validate", "-o", "json"]));
}

#[test]
fn a_step_summary_is_appended_to() {
    let shop = changed(BEFORE, AFTER);
    let summary = shop.sandbox.write("summary.md", "before\n");
    let env = [("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    shop.run_with(&env, &["diff", "--base", "HEAD", "-o", "github"]).code(1);
    let text = fs::read_to_string(&summary).unwrap();
    assert_eq!(text, format!("before\n{}", since(&shop, &["-o", "markdown"]).stdout));
    shop.run_with(&env, &["diff", "--base", "HEAD", "-o", "markdown"]).code(1);
    assert_eq!(fs::read_to_string(&summary).unwrap(), text);
    let env = [("GITHUB_STEP_SUMMARY", "/nonexistent/summary")];
    let said = shop.run_with(&env, &["diff", "--base", "HEAD", "-o", "github"]).code(1);
    said.complains("warning: /nonexistent/summary: the summary cannot be written");
}

const HOSTILE: &str = "version: 1
fleet: shop
agents: {'x` @all <img src=y> ::error::': {extends: claude, args: ['`````` -->', '<!-- fleetctl diff other -->']}}
sessions:
  a:
    agent: 'x` @all <img src=y> ::error::'
    labels: {'::warning::@b': '##[add-mask]c'}
    args: ['::stop-commands::x', \"%0A::error::y\", \"a\\n::error::z\\n```\\n## Heading\\n@everyone\", '##[error]x']
    prompt: |
      ::error file=x,line=1::no
      ```
      </details><script>alert(1)</script>
      @maintainers please merge --> <!--
         ::set-output name=x::y
      ##[group]x
      bidi \u{202e}txt.exe
";

#[test]
fn what_a_stranger_writes_commands_nobody() {
    let shop = changed(&HOSTILE.replace("please", "do not"), HOSTILE);
    let added = changed("version: 1\nfleet: shop\nsessions: {}\n", HOSTILE);
    for shop in [&shop, &added] {
        for form in ["text", "json", "markdown", "github"] {
            let said = since(shop, &["-o", form]).code(1);
            let is_ours = |line: &str| {
                let ours = [
                    "::error file=fleet.yaml,",
                    "::warning file=fleet.yaml,",
                    "::notice file=fleet.yaml,",
                ];
                form == "github" && ours.iter().any(|begin| line.starts_with(begin))
            };
            for line in said.stdout.lines() {
                assert!(is_ours(line) || !line.trim_start().starts_with("::"), "{form}: {line}");
                assert!(is_ours(line) || !line.contains("##["), "{form}: {line}");
                assert!(form == "json" || !line.contains('\u{202e}'), "{form}: {line}");
            }
            if form == "markdown" {
                outside_of_code_is_ours(&said.stdout);
            }
        }
    }
    let told = since(&added, &["-o", "github"]);
    assert!(told.stdout.contains("%250A") && !told.stdout.contains("\n::error::"), "{told:#?}");
    insta::assert_snapshot!(
        "hostile_markdown",
        steady(&added, &since(&added, &["-o", "markdown"]).stdout)
    );
}

/// Takes fences and code out as a Markdown reader would, and looks at what is left.
fn outside_of_code_is_ours(text: &str) {
    let mut left = String::new();
    let mut fence: Option<String> = None;
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 && line[ticks.len()..] == *"diff" => fence = Some(ticks),
            None => left.push_str(&format!("{}\n", without_code(line))),
        }
    }
    assert!(fence.is_none(), "a fence is left open: {text}");
    let marker = left.lines().next().expect("a line");
    assert!(marker.starts_with("<!-- fleetctl diff shop -->"), "{left}");
    let left = left.replace(marker, "");
    for bad in ["<", "@", "-->", "::", "##["] {
        assert!(!left.contains(bad), "{bad} in {left}");
    }
}

fn without_code(line: &str) -> String {
    let mut left = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        left.push_str(&rest[..at]);
        let ticks: String = rest[at..].chars().take_while(|c| *c == '`').collect();
        let inner = &rest[at + ticks.len()..];
        // The code ends at the next run of as many backticks, neither more nor fewer.
        let mut from = 0;
        let end = loop {
            let Some(found) = inner[from..].find('`').map(|found| from + found) else { break None };
            let run = inner[found..].chars().take_while(|c| *c == '`').count();
            if run == ticks.len() {
                break Some(found + run);
            }
            from = found + run;
        };
        match end {
            Some(end) => rest = &inner[end..],
            None => {
                left.push_str(&ticks);
                rest = inner;
            }
        }
    }
    left + rest
}

#[test]
fn a_comment_that_is_too_long_says_so_first_and_keeps_what_destroys() {
    let many = |from: usize, to: usize, prompt: &str| {
        (from..to)
            .map(|index| {
                format!(
                    "  s{index}: {{agent: claude, prompt: '{prompt}', args: ['{}']}}\n",
                    "x".repeat(200)
                )
            })
            .collect::<String>()
    };
    let head = "version: 1\nfleet: shop\nsessions:\n  doomed: {command: x}\n";
    let shop = changed(
        &format!("{head}{}", many(0, 1_000, "a")),
        &format!("{}{}", head.replace("  doomed: {command: x}\n", ""), many(0, 2_000, "b")),
    );
    let said = since(&shop, &["-o", "markdown"]).code(1).stdout;
    let length = said.chars().count();
    assert!(length <= MOST && length > MOST / 2, "{length}");
    assert!(said.contains("### Goes away\n\n**`doomed`** decommission"), "{said}");
    assert!(said.find("**Truncated: ").is_some_and(|at| at < 400), "{}", &said[..800]);
    assert!(said.contains("more that are not shown"), "{said}");
    outside_of_code_is_ours(&said);
    let annotated = since(&shop, &["-o", "github"]).code(1).stdout;
    let lines: Vec<&str> = annotated.lines().collect();
    assert_eq!(lines.len(), 11, "{annotated}");
    assert!(
        lines[0].starts_with("::error file=fleet.yaml,line=3,title=shop/doomed%3A decommission::")
    );
    assert!(lines[10].ends_with("; 1991 more differences not annotated"), "{}", lines[10]);
    // All of them go, and are too many.
    commit(&shop, "many");
    fs::write(shop.manifest(), "version: 1\nfleet: shop\nsessions: {}\n").unwrap();
    let said = since(&shop, &["-o", "markdown"]).code(1).stdout;
    assert!(said.chars().count() <= MOST && said.contains("**Truncated: "), "{}", said.len());
}

#[test]
fn an_invalid_manifest_is_annotated_where_it_is_wrong() {
    let shop = committed("a: {command: x}");
    shop.edit("a: {command: x, '::error::%0A': y}\nb: {}");
    let said = since(&shop, &["-o", "github"]).code(2);
    insta::assert_snapshot!("invalid_github", said.stdout);
    for line in said.stderr.lines() {
        assert!(!line.trim_start().starts_with("::"), "{line}");
    }
}

#[test]
fn a_plan_has_these_forms_too() {
    let shop = Shop::new("a: {command: [sleep, '100000']}\nb: {command: x, env: {A: hunter2-one}}");
    let told = shop.run(&["diff", "-o", "markdown"]).code(1);
    told.clone().says("<!-- fleetctl diff shop -->\n## Fleet `shop`: 2 to create");
    told.says("### Runs on your machine").says("+ [\"sleep\",\"100000\"]").says_not("hunter2");
    let summary = shop.sandbox.path("summary.md");
    let env = [("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    let told = shop.run_with(&env, &["diff", "-o", "github"]).code(1);
    told.says("::warning file=fleet.yaml,line=5,title=shop/a%3A create::").says("2 to create");
    assert!(fs::read_to_string(summary).unwrap().starts_with("<!-- fleetctl diff shop -->"));
    shop.run(&["diff", "--fail-on", "destructive"]).ok();
    let told = json(&shop.run(&["diff", "-o", "json", "--fail-on", "never"]).ok());
    assert_eq!(told["summary"]["create"], 2);
}
