//! Agents: programs that behave as the real ones where fleetctl can tell: they note how they were called and
//! keep transcripts where their profiles look for them.

use super::sandbox::{SOON, eventually};
use super::stage::Stage;
use std::fs;

/// Writes down its arguments, one a line, and keeps a transcript under the id that it was given.
const CLAUDE: &str = r#"#!/bin/sh
{ for word in "$@"; do printf '%s\n' "$word"; done; echo ----; } >> "$HOME/claude.log"
id=$2
mkdir -p "$HOME/.claude/projects/-work"
test -e "$HOME/silent" || echo '{}' >> "$HOME/.claude/projects/-work/$id.jsonl"
exec sleep 1000
"#;

const GEMINI: &str = r#"#!/bin/sh
trap '' HUP
id8=$(printf %.8s "$2")
mkdir -p "$HOME/.gemini/tmp/x/chats"
echo '{}' >> "$HOME/.gemini/tmp/x/chats/session-2026-$id8.jsonl"
{ for word in "$@"; do printf '%s\n' "$word"; done; echo ----; } >> "$HOME/gemini.log"
while :; do sleep 0.05; done
"#;

const CODEX: &str = r#"#!/bin/sh
{ for word in "$@"; do printf '%s\n' "$word"; done; echo ----; } >> "$HOME/codex.log"
exec sleep 1000
"#;

fn stage(text: &str) -> Stage {
    let stage = Stage::new(text);
    stage.program("claude", CLAUDE);
    stage.program("gemini", GEMINI);
    stage.program("codex", CODEX);
    stage.apply(&[]).ok();
    stage
}

/// How an agent was called, run by run.
#[track_caller]
fn calls(stage: &Stage, agent: &str, runs: usize) -> Vec<Vec<String>> {
    let log = stage.path(&format!("home/{agent}.log"));
    let text = || fs::read_to_string(&log).unwrap_or_default();
    eventually(SOON, &format!("{runs} runs of {agent}"), || text().matches("----").count() == runs);
    let text = text();
    let runs = text.split_terminator("----\n");
    runs.map(|run| run.lines().map(str::to_owned).collect()).collect()
}

#[track_caller]
fn has_transcript(stage: &Stage, id: &str) {
    let path = stage.path(&format!("home/.claude/projects/-work/{id}.jsonl"));
    eventually(SOON, "a transcript", || path.exists());
}

const ONE: &str =
    "sessions: {a: {agent: claude, model: opus, mode: plan, prompt: \"Say 'hi' & \\\"go\\\"\"}}";

#[test]
fn a_fresh_agent_gets_an_id_of_ours_and_its_prompt_as_one_word() {
    let stage = stage(ONE);
    let first = &calls(&stage, "claude", 1)[0];
    assert_eq!(first[0], "--session-id");
    assert_eq!(first[1].len(), 36, "{first:?}");
    assert_eq!(first[2..4], ["-n", "shop/a"]);
    assert!(first.windows(2).any(|pair| pair == ["--model", "opus"]), "{first:?}");
    assert!(first.windows(2).any(|pair| pair == ["--permission-mode", "plan"]), "{first:?}");
    assert_eq!(first[first.len() - 2..], ["--", "Say 'hi' & \"go\""]);
    stage.converged();
    stage.verb(&["describe", "a"]).ok().says(&first[1]);
}

#[test]
fn an_agent_whose_server_died_resumes_its_conversation_without_its_prompt() {
    let stage = stage(ONE);
    let id = calls(&stage, "claude", 1)[0][1].clone();
    has_transcript(&stage, &id);
    let uid = stage.uid("a");
    stage.end_server();

    stage.diff().code(1).says("resume").says(&id[..4]);
    stage.apply(&[]).ok();

    let second = &calls(&stage, "claude", 2)[1];
    assert_eq!(second[..2], ["--resume".to_owned(), id]);
    assert!(!second.iter().any(|word| word.contains("hi")), "{second:?}");
    assert_eq!(stage.uid("a"), uid);
    stage.converged();
}

#[test]
fn an_agent_whose_transcript_is_gone_starts_fresh_and_that_is_said() {
    let stage = stage(ONE);
    let id = calls(&stage, "claude", 1)[0][1].clone();
    has_transcript(&stage, &id);
    fs::rename(stage.path("home/.claude"), stage.path("home/.lost")).unwrap();
    stage.end_server();

    stage.diff().code(1).says(&id[..4]);
    stage.apply(&[]).ok().says(&id);

    let second = &calls(&stage, "claude", 2)[1];
    assert_eq!(second[0], "--session-id");
    assert_ne!(second[1], id);
    assert_eq!(second[second.len() - 2], "--");
    stage.converged();
}

#[test]
fn resume_required_holds_an_agent_whose_transcript_is_gone() {
    let stage = stage("sessions: {a: {agent: claude, resume: required}}");
    let id = calls(&stage, "claude", 1)[0][1].clone();
    has_transcript(&stage, &id);
    fs::rename(stage.path("home/.claude"), stage.path("home/.lost")).unwrap();
    stage.end_server();

    stage.apply(&[]).code(4).says(&id[..4]).says("fleetctl restart a --fresh");
    assert!(!stage.runs("a"));
    stage.verb(&["restart", "a", "--fresh"]).ok();
    assert_ne!(calls(&stage, "claude", 2)[1][1], id);
    stage.converged();
}

#[test]
fn resume_never_starts_a_new_conversation_each_time() {
    let stage = stage("sessions: {a: {agent: claude, resume: never}}");
    let id = calls(&stage, "claude", 1)[0][1].clone();
    has_transcript(&stage, &id);
    stage.end_server();
    stage.apply(&[]).ok();
    let second = &calls(&stage, "claude", 2)[1];
    assert_eq!(second[0], "--session-id");
    assert_ne!(second[1], id);
}

#[test]
fn a_change_of_a_busy_agent_is_deferred_and_now_does_it_in_the_same_conversation() {
    let stage = stage(ONE);
    let id = calls(&stage, "claude", 1)[0][1].clone();
    has_transcript(&stage, &id);
    let (pid, uid) = (stage.pid("a"), stage.uid("a"));
    stage.fleet(&ONE.replace("opus", "sonnet"));

    stage.diff().code(1).says("deferred").says("opus → sonnet");
    stage.apply(&[]).ok().says("fleetctl apply --now a");
    stage.apply(&["--strict"]).code(4);
    stage.verb(&["stop", "a"]).code(3);
    stage.verb(&["restart", "a"]).code(3).complains("--now");
    assert_eq!(stage.pid("a"), pid);

    stage.apply(&["--now", "a"]).ok();
    let second = &calls(&stage, "claude", 2)[1];
    assert_eq!(second[..2], ["--resume".to_owned(), id]);
    assert!(second.contains(&"sonnet".to_owned()));
    assert_eq!(stage.uid("a"), uid);
    stage.converged();
}

#[test]
fn another_kind_of_agent_begins_a_conversation_of_its_own() {
    let stage = stage(ONE);
    calls(&stage, "claude", 1);
    stage.fleet(&ONE.replace("claude", "gemini"));
    stage.apply(&["--now", "a"]).ok();
    let first = &calls(&stage, "gemini", 1)[0];
    assert_eq!(first[0], "--session-id");
    assert!(first.contains(&"--prompt-interactive=Say 'hi' & \"go\"".to_owned()), "{first:?}");
    stage.converged();
}

#[test]
fn an_agent_that_ignores_its_server_s_end_is_ended_before_it_resumes() {
    let stage = stage("sessions: {a: {agent: gemini}}");
    let id = calls(&stage, "gemini", 1)[0][1].clone();
    let first = stage.pid("a");
    stage.end_server();
    assert!(stage.process(first).is_some());

    stage.apply(&[]).ok();

    assert!(stage.process(first).is_none());
    assert_eq!(calls(&stage, "gemini", 2)[1][..2], ["--resume".to_owned(), id]);
    stage.converged();
}

#[test]
fn an_agent_that_names_its_conversations_itself_is_started_and_converges() {
    let stage = stage("sessions: {a: {agent: codex, prompt: Go}}");
    let first = &calls(&stage, "codex", 1)[0];
    assert_eq!(first[..2], ["--no-daemon", "-C"]);
    assert_eq!(first[first.len() - 2..], ["--", "Go"]);
    stage.converged();
    stage.end_server();
    stage.apply(&[]).ok();
    calls(&stage, "codex", 2);
    stage.converged();
}

#[test]
fn a_changed_prompt_is_noted_and_disturbs_nobody() {
    let stage = stage(ONE);
    let pid = stage.pid("a");
    stage.fleet(&ONE.replace("hi", "ho"));
    stage.diff().code(1).says("prompt");
    stage.apply(&[]).ok();
    assert_eq!(stage.pid("a"), pid);
    stage.converged();
}

#[test]
fn a_missing_agent_fails_at_once_and_is_named() {
    let stage = Stage::new(
        "sessions: {a: {agent: no-agent-here}}\nagents: {no-agent-here: {extends: goose, command: no-such-goose}}",
    );
    let output = stage.apply(&[]);
    assert!(output.code == 0 || output.code == 4, "{output:#?}");
    eventually(SOON, "its failure", || {
        let diff = stage.diff();
        diff.stdout.contains("no-such-goose") || diff.stdout.contains("not installed")
    });
}

#[test]
fn agents_beyond_max_running_queue_in_file_order_and_shells_do_not_count() {
    let text = "max_running: 1
sessions:
  a: {agent: claude}
  b: {agent: claude}
  c: {agent: claude}
  sh: {command: [sleep, '1000'], worktree: false}";
    let stage = stage(text);
    assert!(stage.runs("a") && stage.runs("sh"));
    assert!(!stage.runs("b") && !stage.runs("c"));
    stage.diff().code(1).says("1st of 2").says("2nd of 2").says("max_running 1");
    stage.apply(&[]).ok();
    assert!(!stage.runs("b"));
    stage.apply(&["--strict"]).code(4);
    stage.becomes(&text.replace("max_running: 1", "max_running: 2")).ok();
    assert!(stage.runs("b") && !stage.runs("c"));
}

#[test]
fn an_agent_that_left_the_file_waits_until_it_is_idle_and_now_removes_it() {
    let stage =
        stage("sessions: {a: {agent: claude}, z: {command: [sleep, '1000'], worktree: false}}");
    calls(&stage, "claude", 1);
    let pid = stage.pid("a");
    stage.becomes("sessions: {z: {command: [sleep, '1000'], worktree: false}}").ok();
    assert_eq!(stage.pid("a"), pid);
    stage.apply(&["--yes", "--now", "a"]).ok().says("fleetctl restore a");
    assert!(stage.process(pid).is_none());
    stage.converged();
}
