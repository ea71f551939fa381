//! `controller` on the real tmux and git, and verbs beside it.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use crate::sandbox::{SOON, eventually};
use crate::stage::Stage;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

/// A controller of a stage's fleet, ended when it is dropped.
pub struct Controller {
    child: Child,
}

impl Controller {
    /// Starts it and waits until it says that it is ready.
    pub fn of(stage: &Stage) -> Self {
        Self::run_by(stage, Path::new(env!("CARGO_BIN_EXE_fleetctl")))
    }

    /// The same by another copy of the program.
    pub fn run_by(stage: &Stage, program: &Path) -> Self {
        let mut command = stage.command(program);
        let log = File::options().create(true).append(true).open(stage.path("log")).unwrap();
        command.current_dir(stage.top()).args(["controller", "--log-format", "json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let log = || std::fs::read_to_string(stage.path("log")).unwrap();
        assert!(line.starts_with("ready: fleet shop, "), "{line}{}", log());
        Self { child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends it as a service would, and gives its exit code.
    pub fn end(mut self) -> i32 {
        self.signal(Signal::TERM);
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        assert!(ended.is_ok(), "{ended:?}");
    }
}

const TWO: &str = "\
sessions:
  a: {command: sleep 1000}
  b: {command: sleep 1000, worktree: false}
";

#[track_caller]
fn eventually_converged(stage: &Stage) {
    eventually(SOON, "the fleet is as the file says", || stage.diff().code == 0);
}

#[test]
fn it_makes_the_fleet_brings_back_what_dies_and_leaves_all_alive_at_its_end() {
    let stage = Stage::new(TWO);
    let controller = Controller::of(&stage);
    eventually_converged(&stage);
    let (a, b) = (stage.pid("a"), stage.pid("b"));
    stage.tmux(&["kill-session", "-t", "=shop/a"]).ok();
    eventually(SOON, "a is back", || stage.panes_of("shop", "a").len() == 1 && stage.pid("a") != a);
    eventually_converged(&stage);
    assert_eq!(controller.end(), 0);
    assert_eq!(stage.pid("b"), b);
    assert!(!stage.path("state/fleetctl/shop/controller.sock").exists());
    assert_eq!(stage.tmux(&["list-sessions", "-F", "#{session_name}"]).stdout, "shop/a\nshop/b\n");
}

#[test]
fn a_change_of_the_file_is_made_so_and_a_bad_one_is_left_alone() {
    let stage = Stage::new(TWO);
    let _controller = Controller::of(&stage);
    eventually_converged(&stage);
    let a = stage.pid("a");
    stage.fleet("sessions: {a: {comand: sleep 1000}}");
    eventually(SOON, "the bad file is seen", || {
        std::fs::read_to_string(stage.path("log"))
            .unwrap()
            .contains("the last good manifest is kept")
    });
    assert_eq!(stage.pid("a"), a);
    stage.fleet(&TWO.replace("false}", "false}\n  c: {command: sleep 1000, worktree: false}"));
    eventually(SOON, "c is made", || stage.panes_of("shop", "c").len() == 1);
    assert_eq!(stage.pid("a"), a);
}

#[test]
fn verbs_say_and_do_the_same_with_and_without_a_controller() {
    let told = |with: bool| {
        let stage = Stage::applied(TWO);
        let _controller = with.then(|| Controller::of(&stage));
        let verbs: [&[&str]; 8] = [
            &["stop", "a"],
            &["stop", "nobody"],
            &["get", "-o", "name"],
            &["start", "a"],
            &["hold", "b", "-m", "demo"],
            &["restart", "b"],
            &["release", "b"],
            &["apply"],
        ];
        let outputs = verbs.map(|args| {
            let output = stage.verb(args);
            // Times and revisions of the clock differ, words and codes do not.
            let text = format!("{}{}", output.stdout, output.stderr);
            let words: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
            (args.join(" "), output.code, words)
        });
        outputs.to_vec()
    };
    let (without, with) = (told(false), told(true));
    for (without, with) in without.iter().zip(&with) {
        assert_eq!(without, with);
    }
}

#[test]
fn what_a_human_stopped_stays_stopped_under_a_controller() {
    let stage = Stage::new(TWO);
    let controller = Controller::of(&stage);
    eventually_converged(&stage);
    stage.verb(&["stop", "a"]).ok();
    controller.signal(Signal::HUP);
    stage.tmux(&["kill-session", "-t", "=shop/b"]).ok();
    eventually(SOON, "b is back", || stage.panes_of("shop", "b").len() == 1);
    stage.verb(&["get"]).ok().says("start: fleetctl start a");
    stage.verb(&["start", "a"]).ok();
    eventually_converged(&stage);
}

#[test]
fn a_second_controller_and_another_manifest_are_refused_and_told_who_keeps_the_fleet() {
    let stage = Stage::new(TWO);
    let controller = Controller::of(&stage);
    eventually_converged(&stage);
    let pid = controller.pid().to_string();
    let second = stage.verb(&["controller"]).code(5);
    assert!(second.stderr.contains(&pid) && second.stderr.contains("fleet.yaml"), "{second:?}");
    stage.fleet_at("shop/other.yaml", "shop", TWO);
    for take_over in
        [&["apply", "-f", "other.yaml", "--take-over"][..], &["apply", "-f", "other.yaml"]]
    {
        stage.verb(take_over).code(3);
    }
    let other = stage.verb(&["apply", "-f", "other.yaml", "--take-over"]);
    assert!(other.stderr.contains(&pid), "{other:?}");
}

#[test]
fn a_controller_that_was_killed_leaves_the_fleet_free_for_verbs_and_for_the_next_one() {
    let stage = Stage::new(TWO);
    let controller = Controller::of(&stage);
    eventually_converged(&stage);
    controller.signal(Signal::KILL);
    drop(controller);
    stage.verb(&["stop", "a"]).ok();
    let _next = Controller::of(&stage);
    stage.verb(&["start", "a"]).ok();
    eventually_converged(&stage);
}

#[test]
fn a_verb_that_is_killed_in_its_turn_gives_it_back() {
    let stage =
        Stage::new("sessions:\n  a: {command: 'trap \"\" TERM; while :; do sleep 1; done'}");
    let _controller = Controller::of(&stage);
    eventually_converged(&stage);
    let mut command = stage.command(env!("CARGO_BIN_EXE_fleetctl"));
    command.current_dir(stage.top()).args(["stop", "a", "--now"]);
    let mut stop = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let store = stage.path("state/fleetctl/shop/fleet.db-wal");
    eventually(SOON, "it writes", || store.metadata().is_ok_and(|file| file.len() > 0));
    stop.kill().unwrap();
    stop.wait().unwrap();
    stage.verb(&["hold", "a"]).ok();
    stage.verb(&["release", "a"]).ok();
}

#[test]
fn an_agent_s_verb_is_refused_with_a_controller_too() {
    let stage = Stage::new(TWO);
    let _controller = Controller::of(&stage);
    eventually_converged(&stage);
    let mut command = stage.command(env!("CARGO_BIN_EXE_fleetctl"));
    command.env("FLEET_UID", "01ARZ3NDEKTSV4RRFFQ69G5FAV").current_dir(stage.top());
    crate::sandbox::Sandbox::run(command.args(["stop", "a"])).code(3);
}

#[test]
fn a_controller_of_another_version_is_named_and_worked_with() {
    use std::io::{Read, Write};
    let stage = Stage::applied(TWO);
    let state = stage.path("state/fleetctl/shop");
    let lock = fleetctl::store::Lock::acquire(&state).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(state.join("controller.sock")).unwrap();
    let manifest = stage.top().join("fleet.yaml").canonicalize().unwrap();
    let hello = serde_json::json!({
        "version": "0.0.9", "pid": 77, "manifest": manifest, "since": "2026-11-20T09:00:00Z", "passes": 3,
    });
    let other = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        writeln!(&stream, "{hello}").unwrap();
        let mut want = String::new();
        BufReader::new(&stream).read_line(&mut want).unwrap();
        drop(lock);
        writeln!(&stream, "\"yours\"").unwrap();
        // Until the verb gives its turn back.
        assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
        want
    });
    let told = stage.verb(&["stop", "a"]).ok();
    assert!(told.stderr.contains("0.0.9") && told.stderr.contains("pid 77"), "{told:?}");
    assert!(other.join().unwrap().contains("turn"));
    stage.verb(&["get"]).ok().says("start: fleetctl start a");
}
