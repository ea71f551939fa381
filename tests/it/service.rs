//! `controller install`, `uninstall` and `status`, and what systemd is told.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use crate::controller::Controller;
use crate::sandbox::{SOON, Sandbox, eventually};
use crate::stage::Stage;
use fleetctl::process::find_program;
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

const ONE: &str = "sessions: {a: {command: sleep 1000, worktree: false}}";
const UNIT: &str = "config/systemd/user/fleetctl-shop.service";

fn unit(stage: &Stage) -> String {
    std::fs::read_to_string(stage.path(UNIT)).unwrap()
}

/// systemd itself finds nothing wrong with the unit, where it is installed.
fn systemd_takes(stage: &Stage) {
    let env = stage.env();
    let path = &env.iter().find(|(name, _)| name == "PATH").unwrap().1;
    let Some(analyze) = find_program("systemd-analyze", path) else { return };
    let mut command = stage.command(analyze);
    command.env("XDG_RUNTIME_DIR", stage.path("run")).args(["--user", "verify"]);
    let said = Sandbox::run(command.arg(stage.path(UNIT))).ok();
    assert!(!said.stderr.contains("fleetctl-shop"), "{said:?}");
}

#[test]
fn the_unit_runs_this_program_on_this_manifest_and_ends_nothing_else() {
    let stage = Stage::new(ONE);
    let said = stage.verb(&["controller", "install"]).ok();
    said.says("fleetctl-shop.service is written\n")
        .says("systemctl --user enable --now fleetctl-shop.service\n")
        .says("loginctl enable-linger tester\n");
    let text = unit(&stage);
    let exec = format!(
        "ExecStart=\"{}\" -f \"{}\" controller\n",
        env!("CARGO_BIN_EXE_fleetctl"),
        stage.top().join("fleet.yaml").display()
    );
    let state = format!("Environment=\"XDG_STATE_HOME={}\"\n", stage.path("state").display());
    for line in [&*exec, &state, "Type=notify\n", "KillMode=process\n", "Restart=on-failure\n"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(text.contains("Environment=\"PATH="), "{text}");
    systemd_takes(&stage);
    stage.verb(&["controller", "install"]).ok().says("fleetctl-shop.service is there already");
    assert_eq!(unit(&stage), text);
    assert!(!stage.path("state/fleetctl/shop/fleet.db").exists(), "nothing else is written");
}

#[test]
fn a_path_with_anything_in_it_stays_that_path() {
    let stage = Stage::new(ONE);
    let odd = "a 50% \"b\" \\c $HOME 'd'";
    stage.fleet_at(&format!("{odd}/fleet.yaml"), "shop", ONE);
    stage.fleetctl_in(stage.path(odd), &["controller", "install"]).ok();
    let quoted = r#"/a 50%% \"b\" \\c $$HOME 'd'/fleet.yaml" controller"#;
    assert!(unit(&stage).contains(quoted), "{}", unit(&stage));
    systemd_takes(&stage);
}

#[test]
fn a_unit_that_is_not_ours_or_no_longer_as_we_wrote_it_is_left_alone() {
    let stage = Stage::new(ONE);
    let mine = "[Service]\nExecStart=/bin/true\n";
    stage.write(UNIT, mine);
    for verb in ["install", "uninstall"] {
        stage.verb(&["controller", verb]).code(3).complains("not of fleetctl's making");
        assert_eq!(unit(&stage), mine);
    }
    std::fs::remove_file(stage.path(UNIT)).unwrap();
    stage.verb(&["controller", "install"]).ok();
    let edited = unit(&stage).replace("RestartSec=10", "RestartSec=1");
    stage.write(UNIT, &edited);
    for verb in ["install", "uninstall"] {
        stage
            .verb(&["controller", verb])
            .code(3)
            .complains("was changed")
            .complains("systemctl --user edit");
        assert_eq!(unit(&stage), edited);
    }
}

#[test]
fn a_unit_is_written_anew_for_another_environment_and_removed_with_its_link() {
    let stage = Stage::new(ONE);
    stage.verb(&["controller", "install"]).ok();
    let first = unit(&stage);
    let mut other = stage.command(env!("CARGO_BIN_EXE_fleetctl"));
    other.current_dir(stage.top()).env("LANG", "C.UTF-8").args(["controller", "install"]);
    Sandbox::run(&mut other).ok().says("is written anew");
    assert_ne!(unit(&stage), first);
    let wants = stage.path("config/systemd/user/default.target.wants");
    std::fs::create_dir(&wants).unwrap();
    symlink(stage.path(UNIT), wants.join("fleetctl-shop.service")).unwrap();
    symlink("/elsewhere", wants.join("other.service")).unwrap();
    // The file need not be valid any more.
    stage.fleet("sessions: {a: {comand: x}}");
    stage.verb(&["controller", "uninstall"]).ok().says("systemctl --user stop fleetctl-shop");
    assert!(!stage.path(UNIT).exists());
    assert_eq!(std::fs::read_dir(&wants).unwrap().count(), 1);
    stage.verb(&["controller", "uninstall"]).ok().complains("there is no ");
}

/// Runs what the unit says as systemd would, until it is ready.
fn runs_as_installed(stage: &Stage) {
    let text = unit(stage);
    let mut command = stage.command("sh");
    let own =
        text.lines().filter_map(|line| line.strip_prefix("Environment=\"")?.strip_suffix('"'));
    let own = own.filter_map(|pair| pair.split_once('='));
    command.env_clear().env("HOME", stage.home()).env("FLEETCTL_TEST", "1").envs(own);
    let exec = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    // Its quotes are a shell's as long as nothing in them has a meaning to either.
    command.args(["-c", &format!("exec {exec}")]).current_dir("/");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().and_then(|()| child.wait()).unwrap();
    assert!(line.starts_with("ready: fleet shop, "), "{line}");
}

#[test]
fn what_the_unit_says_can_be_run_from_anywhere_also_of_a_git_source() {
    let stage = Stage::new(ONE);
    stage.verb(&["controller", "install"]).ok();
    runs_as_installed(&stage);

    let stage = Stage::new(ONE);
    stage.git(stage.top(), &["add", "fleet.yaml"]);
    stage.git(stage.top(), &["commit", "-q", "-m", "a fleet"]);
    let source = ["--source", "shop#main:fleet.yaml"];
    let from = |args: &[&str]| stage.fleetctl(&[&source[..], args].concat());
    let _untrusted = from(&["diff"]);
    from(&["trust", "refs/fleet/head", "--always"]).ok();
    from(&["controller", "install"]).ok().says("fleetctl-shop.service is written");
    runs_as_installed(&stage);
}

#[test]
fn an_invalid_manifest_is_not_installed() {
    let stage = Stage::new("sessions: {a: {comand: x}}");
    stage.verb(&["controller", "install"]).code(2);
    assert!(!stage.path(UNIT).exists());
}

#[test]
fn status_tells_whether_a_controller_keeps_the_fleet() {
    let stage = Stage::new(ONE);
    stage.verb(&["controller", "status"]).code(1).says("no controller keeps fleet shop");
    let controller = Controller::of(&stage);
    eventually(SOON, "a pass", || {
        stage.verb(&["controller", "status"]).ok().stdout.contains("last one at")
    });
    let pid = controller.pid().to_string();
    stage
        .verb(&["controller", "status"])
        .ok()
        .says(&pid)
        .says("fleet.yaml")
        .says(env!("CARGO_PKG_VERSION"));
    stage.fleet("sessions: {a: {comand: x}}");
    eventually(SOON, "the bad file shows", || {
        stage.verb(&["controller", "status"]).ok().stdout.contains("not good since")
    });
    let json = stage.verb(&["controller", "status", "-o", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["format_version"], 1);
    assert_eq!(json["running"], true);
    assert_eq!(json["controller"]["pid"], controller.pid());
    controller.signal(Signal::STOP);
    stage.verb(&["controller", "status"]).code(8).complains("does not answer");
    controller.signal(Signal::CONT);
    assert_eq!(controller.end(), 0);
    let json = stage.verb(&["controller", "status", "-o", "json"]).code(1);
    assert!(json.stdout.contains("\"running\": false"), "{json:?}");
}

#[test]
fn systemd_is_told_that_it_is_ready_alive_and_ending() {
    let stage = Stage::new(ONE);
    let socket = UnixDatagram::bind(stage.path("notify")).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut command = stage.command(env!("CARGO_BIN_EXE_fleetctl"));
    command.current_dir(stage.top()).arg("controller").env("NOTIFY_SOCKET", stage.path("notify"));
    command.env("WATCHDOG_USEC", "300000").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let hears = |wanted: &str| {
        eventually(SOON, wanted, || {
            let mut buffer = [0; 4096];
            let read = socket.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..read]).starts_with(wanted)
        });
    };
    hears("READY=1\n");
    hears("STATUS=1 sessions as the file says, 0 held\n");
    for _ in 0..3 {
        hears("WATCHDOG=1\n");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    hears("STOPPING=1\n");
    assert!(child.wait().unwrap().success());
}
