//! The examples for CI, run as far as that goes without a network: the workflow's own steps in a repository that looks
//! like a runner's, its comment against a program that stands in for `gh`, and the hook as git runs it.

use crate::sandbox::{Output, Sandbox};
use crate::shop::{FLEETCTL, SLEEP, Shop};
use serde_yaml::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn example(name: &str) -> String {
    let path = crate::house::top().join("examples/ci").join(name);
    fs::read_to_string(path).expect("the example is there")
}

/// A shop on whose PATH fleetctl is.
fn shop(sessions: &str) -> Shop {
    let shop = crate::diff_base::committed(sessions);
    symlink(FLEETCTL, shop.sandbox.home().join("bin/fleetctl")).expect("a link can be made");
    shop
}

/// The steps of a job that run something, by name.
fn steps(workflow: &Value, job: &str) -> Vec<(String, String)> {
    let steps = workflow["jobs"][job]["steps"].as_sequence().expect("steps");
    let of = |step: &Value, key: &str| step[key].as_str().map(str::to_owned);
    steps.iter().filter_map(|step| Some((of(step, "name")?, of(step, "run")?))).collect()
}

/// Runs a step as a runner does.
fn run(shop: &Shop, script: &str, env: &[(&str, &str)]) -> Output {
    let script = shop.sandbox.write("step.sh", script);
    let flags = ["--noprofile", "--norc", "-e", "-o", "pipefail"];
    Sandbox::run(shop.command("bash").args(flags).arg(script).envs(env.iter().copied()))
}

#[test]
fn the_workflow_asks_for_no_more_than_it_needs() {
    let workflow: Value = serde_yaml::from_str(&example("fleet-diff.yml")).unwrap();
    assert!(
        workflow["on"]["pull_request"].is_mapping()
            && workflow["on"].as_mapping().unwrap().len() == 1
    );
    assert!(workflow["permissions"].as_mapping().unwrap().is_empty());
    let diff = &workflow["jobs"]["diff"];
    assert_eq!(diff["permissions"], serde_yaml::from_str::<Value>("contents: read").unwrap());
    assert_eq!(diff["steps"][0]["with"]["persist-credentials"], Value::Bool(false));
    let comment = &workflow["jobs"]["comment"];
    let writes = serde_yaml::from_str::<Value>("pull-requests: write").unwrap();
    assert_eq!(comment["permissions"], writes);
    let uses =
        comment["steps"].as_sequence().unwrap().iter().filter_map(|step| step["uses"].as_str());
    assert!(uses.into_iter().all(|action| !action.starts_with("actions/checkout")), "{comment:?}");
    // What a stranger names (a title, a branch) would be code in a script.
    for job in ["diff", "comment"] {
        for (name, script) in steps(&workflow, job) {
            assert!(!script.contains("${{"), "{name}: {script}");
        }
    }
}

#[test]
fn the_workflow_compares_comments_and_fails_where_a_worktree_would_go() {
    let shop = shop(&format!("a: {{{SLEEP}}}\nold: {{{SLEEP}}}"));
    shop.edit(&format!("a: {{{SLEEP}}}"));
    crate::diff_base::commit(&shop, "take old out");
    let workflow: Value = serde_yaml::from_str(&example("fleet-diff.yml")).unwrap();
    let summary = shop.sandbox.path("summary.md");
    let env = [("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()), ("GITHUB_ACTIONS", "true")];
    let mut ran = Vec::new();
    for (name, script) in steps(&workflow, "diff") {
        // The one step that needs a network.
        if script.contains("cargo install") {
            continue;
        }
        ran.push((name.clone(), run(&shop, &script, &env).code));
    }
    let names: Vec<(&str, i32)> = ran.iter().map(|(name, code)| (name.as_str(), *code)).collect();
    assert_eq!(names, [("Compare", 0), ("Annotate, and fail where a worktree would go", 1)]);
    let comment = fs::read_to_string(shop.top().join("fleet-diff.md")).unwrap();
    assert!(
        comment.starts_with("<!-- fleetctl diff shop -->\n")
            && comment.contains("**`old`** decommission")
    );
    assert_eq!(fs::read_to_string(&summary).unwrap(), comment);
}

#[test]
fn the_comment_is_made_once_and_then_kept_up_to_date() {
    let shop = shop(&format!("a: {{{SLEEP}}}"));
    let workflow: Value = serde_yaml::from_str(&example("fleet-diff.yml")).unwrap();
    let (_, script) = steps(&workflow, "comment").pop().unwrap();
    shop.sandbox.write("shop/fleet-diff.md", "<!-- fleetctl diff shop -->\ntext\n");
    // What `gh api --jq` would print: comments of others, too.
    shop.sandbox.program(
        "gh",
        "#!/bin/sh\ncase \"$*\" in\n*--jq*) cat \"$HOME/comments\" ;;\n*) echo \"$@\" >> \"$HOME/asked\" ;;\nesac\n",
    );
    let posted = |comments: &str| {
        shop.sandbox.write("home/comments", comments);
        run(&shop, &script, &[("COMMENTS", "repos/o/r/issues/7/comments")]).ok();
        fs::read_to_string(shop.sandbox.home().join("asked"))
            .unwrap()
            .lines()
            .last()
            .unwrap()
            .to_owned()
    };
    let body = "-F body=@fleet-diff.md";
    assert_eq!(
        posted("1\t<!-- fleetctl diff other -->\n2\thello\n"),
        format!("api --method POST repos/o/r/issues/7/comments {body}")
    );
    assert_eq!(
        posted("1\thello\n5\t<!-- fleetctl diff shop -->\n6\t<!-- fleetctl diff shop -->\n"),
        format!("api --method PATCH repos/o/r/issues/comments/5 {body}")
    );
}

#[test]
fn the_hook_refuses_what_takes_a_worktree_away_unless_it_is_meant() {
    let shop = shop(&format!("a: {{{SLEEP}}}\nold: {{{SLEEP}}}"));
    let hook = shop.top().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, example("pre-commit")).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let commit = |env: &[(&str, &str)]| {
        let mut git = shop.command("git");
        Sandbox::run(git.args(["commit", "-q", "-m", "x"]).envs(env.iter().copied()))
    };
    let stage = |sessions: &str| {
        shop.edit(sessions);
        shop.sandbox.git(shop.top(), &["add", "-A"]);
    };
    stage(&format!("a: {{{SLEEP}}}\nold: {{{SLEEP}}}\nnew: {{{SLEEP}}}"));
    commit(&[]).ok().complains("+ new");
    stage(&format!("a: {{{SLEEP}}}\nnew: {{{SLEEP}}}"));
    commit(&[]).code(1).complains("- old").complains("FLEET_DESTROY=1");
    commit(&[("FLEET_DESTROY", "1")]).ok();
    stage("a: {comand: x}");
    commit(&[]).code(1).complains("comand");
    shop.edit(&format!("a: {{{SLEEP}}}"));
    commit(&[]).code(1).complains("git add");
    shop.sandbox.git(shop.top(), &["checkout", "-q", "HEAD", "--", "fleet.yaml"]);
    shop.sandbox.write("shop/other", "x");
    shop.sandbox.git(shop.top(), &["add", "-A"]);
    commit(&[]).ok().silent();
}
