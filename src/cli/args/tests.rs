//! What parses, what does not, and what the help says.

use super::*;
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::time::Duration;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("fleetctl").chain(line.split_whitespace()))
}

fn refused(line: &str) -> ErrorKind {
    let error = parse(line).expect_err(line);
    assert_eq!(error.exit_code(), 2, "{line}");
    error.kind()
}

#[test]
fn the_definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_parses_with_its_flags() {
    for line in [
        "",
        "validate -f -",
        "diff -o json",
        "diff --base origin/main -o markdown --fail-on destructive",
        "schema comparison",
        "apply a b -l team=red --yes --now a --wait --timeout 5m --strict --fetch --take-over",
        "apply --prune --max-decommission 12 --color never",
        "apply --dry-run -vv",
        "controller --log-format json",
        "controller install",
        "controller uninstall",
        "controller status -o json",
        "get",
        "get trash -o json",
        "get -w -o json",
        "wait --for synced",
        "wait a shop/b -l team=red --for running,ready --any --timeout 30s",
        "describe shop/api",
        "events",
        "events --for shop/api -w -n 0 -o json",
        "start a --again",
        "start a b --new-worktree",
        "stop a -m why --now",
        "restart a --fresh --setup",
        "restart a --recreate -y",
        "hold a -m why --for 2h",
        "hold --all",
        "release a b",
        "rm a --archive --now",
        "rm shop/a --keep",
        "restore a@01JCY8Q4M2ZK7W1B6T5R3N9XHD",
        "trash list",
        "trash empty a --older-than 14d",
        "attach a",
        "version",
        "completion zsh",
        "__launch 01JCY8Q4M2ZK7W1B6T5R3N9XHD 3",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn contradictions_do_not_parse() {
    for line in [
        "apply a --prune",
        "controller --log-format json install",
        "apply -l team=red --prune",
        "apply --dry-run --yes",
        "hold --all a",
        "rm a --keep --archive",
        "restart a --recreate --fresh",
        "start a --again --new-worktree",
    ] {
        assert_eq!(refused(line), ErrorKind::ArgumentConflict, "{line}");
    }
    for line in ["hold", "release", "start", "stop", "rm", "apply --timeout 5m"] {
        assert_eq!(refused(line), ErrorKind::MissingRequiredArgument, "{line}");
    }
}

#[test]
fn malformed_values_do_not_parse() {
    for line in [
        "describe Api",
        "describe a/b/c",
        "apply -l team",
        "hold a --for 2",
        "hold a --for 99999999999999999999d",
        "restore a@nonsense",
        "__launch x 1",
    ] {
        assert_eq!(refused(line), ErrorKind::ValueValidation, "{line}");
    }
}

#[test]
fn values_mean_what_they_say() {
    let period = |text: &str| text.parse::<Period>().map(|period| period.0);
    assert_eq!(period("90s"), Ok(Duration::from_secs(90)));
    assert_eq!(period("14d"), Ok(Duration::from_secs(14 * 86_400)));
    let target: Target = "shop/api".parse().expect("a target");
    assert_eq!(target.to_string(), "shop/api");
    let label: Label = "team=".parse().expect("a label");
    assert_eq!((label.key.as_str(), label.value.as_str()), ("team", ""));
}

#[test]
fn the_help_fits_a_usual_terminal() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut pages = vec![command.render_long_help().to_string()];
    pages.extend(command.get_subcommands_mut().map(|verb| verb.render_long_help().to_string()));
    for line in pages.iter().flat_map(|page| page.lines()) {
        assert!(line.chars().count() <= 100, "{line}");
    }
}
