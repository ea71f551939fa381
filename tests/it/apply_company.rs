//! The user's own windows, panes and clients in our tmux sessions: what runs there is never ended.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use super::sandbox::{SOON, eventually};
use super::stage::Stage;
use std::process::{Child, Stdio};

const A: &str =
    "sessions: {z: {command: [sleep, '1000'], worktree: false}, a: {command: [sleep, '1000']}}";
const A_CHANGED: &str =
    "sessions: {z: {command: [sleep, '1000'], worktree: false}, a: {command: [sleep, '1001']}}";
const GONE: &str = "sessions: {z: {command: [sleep, '1000'], worktree: false}}";

/// A fleet of a session `a` in which the user's editor runs beside the agent.
fn with_editor(how: &[&str]) -> Stage {
    let stage = Stage::applied(A);
    stage.program(
        "vim",
        "#!/bin/sh\necho editing > \"$HOME/vim.up\"; while :; do sleep 0.1; done\n",
    );
    stage.tmux(&[how, &["--", "vim"]].concat()).ok();
    stage.writes(stage.path("home/vim.up"));
    stage
}

fn alive(stage: &Stage, command: &str) -> bool {
    let panes =
        stage.tmux(&["list-panes", "-a", "-F", "#{pane_dead} #{pane_start_command}"]).stdout;
    panes.lines().any(|line| line.starts_with('0') && line.contains(command))
}

#[test]
fn a_user_s_window_outlives_restart_stop_and_removal() {
    let stage = with_editor(&["new-window", "-d", "-t", "=shop/a:"]);
    stage.becomes(A_CHANGED).ok();
    assert!(alive(&stage, "vim"));
    stage.converged();

    stage.verb(&["stop", "a"]).ok();
    assert!(!stage.runs("a") && alive(&stage, "vim"));

    stage.verb(&["start", "a"]).ok();
    assert!(stage.runs("a") && alive(&stage, "vim"));
    stage.converged();

    stage.becomes(GONE);
    assert!(alive(&stage, "vim"));
}

#[test]
fn a_user_s_pane_beside_the_agent_holds_a_restart_and_names_it() {
    let stage = with_editor(&["split-window", "-d", "-t", "=shop/a:"]);
    let pid = stage.pid("a");
    stage.fleet(A_CHANGED);
    stage.diff().code(1).says("vim");
    stage.apply(&[]).says("vim");
    assert!(alive(&stage, "vim"));
    assert_eq!(stage.pid("a"), pid);
}

#[test]
fn a_user_s_pane_beside_the_agent_outlives_a_stop() {
    let stage = with_editor(&["split-window", "-d", "-t", "=shop/a:"]);
    stage.verb(&["stop", "a"]).ok();
    assert!(!stage.runs("a") && alive(&stage, "vim"));
}

#[test]
fn a_user_s_pane_in_the_worktree_holds_its_removal() {
    let stage =
        with_editor(&["split-window", "-d", "-t", "=shop/a:", "-c", "#{pane_current_path}"]);
    stage.fleet(GONE);
    stage.apply(&["--yes"]).code(4).says("vim");
    assert!(alive(&stage, "vim"));
    assert!(stage.worktree("a").join("README").is_file());
}

#[test]
fn an_idle_shell_beside_the_agent_is_in_nobody_s_way() {
    let stage = Stage::applied(A);
    stage.tmux(&["split-window", "-d", "-t", "=shop/a:", "-c", "/tmp"]).ok();
    let pid = stage.pid("a");
    stage.becomes(A_CHANGED).ok();
    assert_ne!(stage.pid("a"), pid);
    stage.converged();
}

/// A client in a pseudo terminal; it reads what tmux draws.
struct Viewer(Child);

impl Viewer {
    fn new(stage: &Stage, tmux: &str) -> Self {
        let line = format!("tmux -u -f /dev/null -S {} {tmux}", stage.socket().display());
        let mut command = stage.command("script");
        let child = command
            .args(["-qfec", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually(SOON, "a client", || !stage.tmux(&["list-clients"]).stdout.trim().is_empty());
        Self(child)
    }

    fn leaves(mut self, stage: &Stage) {
        for client in stage.tmux(&["list-clients", "-F", "#{client_name}"]).stdout.lines() {
            stage.tmux(&["detach-client", "-t", client]).ok();
        }
        let _ = self.0.wait();
    }
}

#[test]
fn a_viewer_through_a_grouped_session_defers_a_restart() {
    let stage = Stage::applied(A);
    let pid = stage.pid("a");
    let viewer = Viewer::new(&stage, "new-session -t =shop/a -s view");
    stage.fleet(A_CHANGED);

    stage.diff().code(1).says("attached");
    stage.apply(&[]).ok();
    assert_eq!(stage.pid("a"), pid);
    stage.verb(&["stop", "a"]).code(3).complains("attached");
    assert_eq!(stage.pid("a"), pid);
    stage.apply(&["--strict"]).code(4);

    viewer.leaves(&stage);
    stage.apply(&[]).ok();
    assert_ne!(stage.pid("a"), pid);
    stage.converged();
}

#[test]
fn a_viewer_of_our_session_defers_its_removal_and_now_does_it() {
    let stage = Stage::applied(A);
    let pid = stage.pid("a");
    let viewer = Viewer::new(&stage, "attach-session -t =shop/a");
    stage.becomes(GONE).ok().says("attached");
    assert_eq!(stage.pid("a"), pid);
    stage.apply(&["--yes", "--now", "a"]).ok();
    assert!(stage.process(pid).is_none());
    viewer.leaves(&stage);
    stage.converged();
}

#[test]
fn a_viewer_of_another_session_defers_nothing() {
    let stage = Stage::applied(A);
    stage.tmux(&["new-session", "-d", "-s", "mine", "--", "sleep", "1000"]).ok();
    let viewer = Viewer::new(&stage, "attach-session -t =mine");
    stage.becomes(GONE).ok().says_not("attached");
    assert!(!stage.runs("a"));
    viewer.leaves(&stage);
}

#[test]
fn a_session_that_runs_in_a_viewer_s_group_only_is_ended_all_the_same() {
    let stage = Stage::applied(A);
    stage.tmux(&["new-session", "-d", "-t", "=shop/a", "-s", "view"]).ok();
    let pid = stage.pid("a");
    stage.becomes(GONE).ok();
    assert!(stage.process(pid).is_none(), "it lives on in the viewer's session");
    assert!(stage.panes_of("shop", "a").is_empty());
    stage.converged();
}

#[test]
fn our_pane_that_its_user_closed_beside_his_own_window_is_a_conflict_that_he_can_lift() {
    let stage = with_editor(&["new-window", "-d", "-t", "=shop/a:"]);
    let pane = stage.pane_of("a").id;
    stage.tmux(&["kill-pane", "-t", &pane.0]).ok();
    stage.apply(&[]).code(4).says("shop/a").says("tmux rename-session");
    assert!(alive(&stage, "vim"));
    stage.tmux(&["rename-session", "-t", "=shop/a", "mine"]).ok();
    stage.apply(&[]).ok();
    assert!(stage.runs("a") && alive(&stage, "vim"));
    stage.converged();
}

#[test]
fn our_pane_that_its_user_moved_to_his_own_session_is_still_ours_and_leaves_his_alone() {
    let stage = Stage::applied(A);
    let pid = stage.pid("a");
    stage.tmux(&["new-session", "-d", "-s", "mine", "--", "sleep", "1234"]).ok();
    stage.tmux(&["join-pane", "-d", "-s", "=shop/a:", "-t", "=mine:"]).ok();
    assert_eq!(stage.pane_of("a").session_name, "mine");
    stage.converged();

    stage.fleet(A_CHANGED);
    stage.apply(&[]).says("sleep");
    assert_eq!(stage.pid("a"), pid, "its window holds a pane of the user's");
    stage.becomes(GONE).ok();

    assert!(stage.process(pid).is_none());
    assert!(alive(&stage, "1234"), "the user's pane went with ours");
    stage.converged();
}

#[test]
fn a_window_of_ours_that_is_linked_into_another_session_leaves_that_session_alone() {
    let stage = Stage::applied(A);
    stage.tmux(&["new-session", "-d", "-s", "mine", "--", "sleep", "1234"]).ok();
    stage.tmux(&["link-window", "-d", "-s", "=shop/a:", "-t", "=mine:"]).ok();
    let pid = stage.pid("a");
    stage.becomes(A_CHANGED).ok();
    assert_ne!(stage.pid("a"), pid);
    stage.converged();
    stage.becomes(GONE).ok();
    assert!(alive(&stage, "1234"));
    assert!(stage.panes_of("shop", "a").is_empty());
}

#[test]
fn an_idle_shell_is_ended_at_once_and_one_that_works_is_waited_for() {
    let stage = Stage::applied(
        "sessions: {z: {command: [sleep, '1000'], worktree: false}, a: {agent: shell}}",
    );
    let pane = stage.pane_of("a");
    let is_idle = || stage.diff().code == 0;
    eventually(SOON, "a prompt", is_idle);
    let work = |keys: &str| stage.tmux(&["send-keys", "-t", &pane.id.0, keys, "Enter"]).ok();
    work("sleep 1000");
    stage.fleet(GONE);
    eventually(SOON, "its work is seen", || stage.diff().stdout.contains("busy"));
    stage.apply(&["--yes"]).ok();
    assert!(stage.runs("a"));
    stage.tmux(&["send-keys", "-t", &pane.id.0, "C-c"]).ok();
    eventually(SOON, "it is idle again", || stage.diff().stdout.contains("1 to decommission"));

    let begun = std::time::Instant::now();
    stage.apply(&["--yes"]).ok();
    assert!(begun.elapsed() < std::time::Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(!stage.runs("a"));
    stage.converged();
}
