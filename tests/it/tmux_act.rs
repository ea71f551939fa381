//! Acts on a pane of ours end what is ours and nothing else.

use crate::sandbox::{SOON, Sandbox, eventually, mark, started};
use fleetctl::name::Run;
use fleetctl::process::{alive, ending};
use fleetctl::snapshot::{Marked, Observed, PaneId, PaneState, RuntimeAt};
use fleetctl::world::{ActError, Done, EndRun};
use std::time::Duration;

fn run(sandbox: &Sandbox, name: &str, script: &str) -> (PaneId, u32) {
    let results = sandbox.driver().start(&[sandbox.spec(name, script)]);
    let (pane, pid) = started(&results[0]);
    (pane.clone(), pid)
}

fn end(pane: &PaneId, name: &str) -> EndRun {
    EndRun {
        pane: pane.clone(),
        uid: mark(name).uid,
        interrupt: Vec::new(),
        quit: Vec::new(),
        grace: Duration::from_millis(300),
    }
}

#[test]
fn keys_end_an_agent_that_listens_to_them() {
    let sandbox = Sandbox::new();
    let ready = sandbox.path("ready");
    let script = format!(
        "trap '' INT TERM HUP; touch {}; read line; exec test \"$line\" = /exit",
        ready.display()
    );
    let (pane, _) = run(&sandbox, "a", &script);
    eventually(SOON, "it reads", || ready.exists());
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    let end = EndRun {
        interrupt: keys(&["Escape", "BSpace"]),
        quit: keys(&["/exit", "Enter"]),
        grace: SOON,
        ..end(&pane, "a")
    };
    assert_eq!(sandbox.driver().end_run(&end), Ok(Done::Left(Vec::new())));
    let Observed::Known(server) = sandbox.driver().settle_ending(Observed::Known(sandbox.seen()))
    else {
        panic!("not seen")
    };
    assert_eq!(server.panes[0].state, PaneState::Exited(0));
}

#[test]
fn what_ignores_term_is_killed_with_all_of_its_session_and_what_left_is_named() {
    let sandbox = Sandbox::new();
    let ready = sandbox.path("ready");
    let script = format!(
        "trap '' TERM HUP; nohup sleep 1001 & setsid sleep 1002 & touch {}; while :; do sleep 1; done",
        ready.display()
    );
    let (pane, pid) = run(&sandbox, "a", &script);
    eventually(SOON, "it runs", || ready.exists());
    let uid = mark("a").uid;
    eventually(SOON, "one has left the session", || {
        alive::carriers(uid).unwrap().iter().any(|(_, session)| *session != pid)
    });
    let left = match sandbox.driver().end_run(&end(&pane, "a")) {
        Ok(Done::Left(left)) => left,
        other => panic!("{other:?}"),
    };
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].ends_with(" sleep"), "{left:?}");
    assert_eq!(alive::members_of_session(pid).unwrap(), []);
    assert_ne!(sandbox.pane(&pane).state, PaneState::Alive);
}

#[test]
fn another_incarnations_pane_is_not_ended_typed_into_or_removed() {
    let sandbox = Sandbox::new();
    let (pane, pid) = run(&sandbox, "a", "sleep 1000");
    let tmux = sandbox.driver();
    let other = mark("b").uid;
    let changed = Err(ActError::Changed(format!("pane {}", pane.0)));
    assert_eq!(tmux.end_run(&EndRun { uid: other, ..end(&pane, "a") }), changed);
    assert_eq!(tmux.remove_pane(&pane, other), changed);
    assert_eq!(tmux.unmark(&pane, other), changed);
    assert_eq!(tmux.remark(&pane, &mark("b")), changed);
    assert_eq!(tmux.keep_screen(&pane, other, &sandbox.path("screen")), changed);
    assert!(!sandbox.path("screen").exists());
    assert_eq!(tmux.remove_pane(&pane, mark("a").uid), changed, "it runs");
    assert!(matches!(tmux.company(&pane, other), Observed::Absent(_)));
    let seen = sandbox.pane(&pane);
    assert_eq!((seen.pid, seen.state), (pid, PaneState::Alive));
    assert_eq!(seen.mark, Marked::Yes(mark("a")));
}

#[test]
fn a_pane_that_is_gone_has_ended_and_is_removed() {
    let sandbox = Sandbox::new();
    run(&sandbox, "keep", "sleep 1000");
    let (pane, _) = run(&sandbox, "a", "sleep 1000");
    sandbox.tmux(&["kill-pane", "-t", &pane.0]).ok();
    let tmux = sandbox.driver();
    assert_eq!(tmux.end_run(&end(&pane, "a")), Ok(Done::Left(Vec::new())));
    assert_eq!(tmux.remove_pane(&pane, mark("a").uid), Ok(Done::Plain));
}

#[test]
fn a_session_with_idle_shells_only_goes_with_our_pane_and_one_with_work_stays() {
    let sandbox = Sandbox::new();
    let tmux = sandbox.driver();
    run(&sandbox, "keep", "sleep 1000");
    for (name, command, company) in [("idle", "sh", None), ("busy", "sleep 1000", Some("sleep"))] {
        let (pane, _) = run(&sandbox, name, "sleep 1000");
        let target = format!("={name}:");
        let made = sandbox
            .tmux(&[
                "new-window",
                "-dP",
                "-F",
                "#{pane_pid}",
                "-t",
                &target,
                "--",
                "env",
                "-i",
                "sh",
                "-c",
                &format!("exec {command}"),
            ])
            .ok();
        let (other, first) = (made.text().parse().unwrap(), command.split(' ').next().unwrap());
        eventually(SOON, "the user's program runs", || {
            alive::stat(other).unwrap().is_some_and(|stat| stat.command == first)
        });
        let Observed::Known(seen) = tmux.company(&pane, mark(name).uid) else { panic!("not seen") };
        assert_eq!(seen.session, company.map(str::to_owned).into_iter().collect::<Vec<_>>());
        assert_eq!(seen.idle_shells, usize::from(company.is_none()));
        tmux.end_run(&end(&pane, name)).unwrap();
        assert_eq!(tmux.remove_pane(&pane, mark(name).uid), Ok(Done::Plain));
        assert_eq!(tmux.has_session(name).known().is_some(), company.is_some());
    }
    assert!(tmux.has_session("keep").known().is_some());
}

#[test]
fn a_shell_with_a_job_in_the_background_is_not_idle() {
    let sandbox = Sandbox::new();
    let (pane, _) = run(&sandbox, "a", "sleep 1000");
    sandbox
        .tmux(&["split-window", "-d", "-t", &pane.0, "--", "sh", "-c", "sleep 1001 & exec sh"])
        .ok();
    let tmux = sandbox.driver();
    eventually(SOON, "the job is seen", || {
        let seen = tmux.company(&pane, mark("a").uid);
        seen.known().is_some_and(|company| company.window == ["sleep"] && company.idle_shells == 0)
    });
}

#[test]
fn our_own_shell_is_working_while_a_program_has_its_foreground() {
    let sandbox = Sandbox::new();
    let (pane, _) = run(&sandbox, "a", "exec sh");
    let tmux = sandbox.driver();
    let working = || tmux.company(&pane, mark("a").uid).known().map(|company| company.working);
    assert_eq!(working(), Some(false));
    sandbox.tmux(&["send-keys", "-t", &pane.0, "sleep 1000", "Enter"]).ok();
    eventually(SOON, "it works", || working() == Some(true));
}

#[test]
fn marks_are_written_anew_and_taken_off() {
    let sandbox = Sandbox::new();
    let (pane, pid) = run(&sandbox, "a", "sleep 1000");
    let tmux = sandbox.driver();
    let mut anew = mark("a");
    anew.run = Run(4);
    anew.conversation = Some("it's #{pid} ;".into());
    anew.protect = true;
    assert_eq!(tmux.remark(&pane, &anew), Ok(Done::Plain));
    assert_eq!(sandbox.pane(&pane).mark, Marked::Yes(anew));
    assert_eq!(tmux.unmark(&pane, mark("a").uid), Ok(Done::Plain));
    let seen = sandbox.pane(&pane);
    assert_eq!((seen.mark, seen.pid), (Marked::No, pid));
}

#[test]
fn the_screen_is_kept_in_a_file_that_only_its_user_reads() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let (pane, _) = run(&sandbox, "a", "seq 1 300; echo caf\u{e9}; sleep 1000");
    let to = sandbox.path("deep/down/screen.txt");
    eventually(SOON, "the screen is kept", || {
        sandbox.driver().keep_screen(&pane, mark("a").uid, &to).unwrap();
        std::fs::read_to_string(&to).unwrap().ends_with("300\ncaf\u{e9}\n")
    });
    assert!(std::fs::read_to_string(&to).unwrap().starts_with("1\n2\n"));
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_agent_that_outlives_its_server_is_found_and_ended() {
    let sandbox = Sandbox::new();
    let ready = sandbox.path("ready");
    let script = format!("trap '' HUP; touch {}; while :; do sleep 1; done", ready.display());
    let (pane, pid) = run(&sandbox, "a", &script);
    eventually(SOON, "it ignores HUP", || ready.exists());
    let server = sandbox.seen().id;
    let at = RuntimeAt { uid: mark("a").uid, sid: pid, boot: server.boot.clone() };
    let process = alive::process(server.pid, &server.boot).unwrap().unwrap();
    ending::signal(&process, rustix::process::Signal::KILL).unwrap();
    ending::wait_gone(&[process], SOON).unwrap();
    let Observed::Known(found) = alive::survivors(&at) else { panic!("not seen") };
    assert!(found.iter().any(|process| process.pid == pid), "{found:?}");
    let other = RuntimeAt { uid: mark("b").uid, ..at.clone() };
    assert_eq!(alive::survivors(&other), Observed::Known(Vec::new()));
    assert_eq!(ending::end_survivors(&at, SOON).unwrap(), []);
    assert_eq!(alive::survivors(&at), Observed::Known(Vec::new()));
    assert!(
        sandbox.driver().end_run(&end(&pane, "a")).is_err(),
        "no server tells nothing of a pane"
    );
}

#[test]
fn processes_in_a_directory_are_found() {
    let sandbox = Sandbox::new();
    let inside = sandbox.path("home/deep");
    std::fs::create_dir(&inside).unwrap();
    let mut spec = sandbox.spec("a", "sleep 1000; true");
    spec.pane.directory.clone_from(&inside);
    let results = sandbox.driver().start(&[spec]);
    let (_, pid) = started(&results[0]);
    // It goes there on its own, after tmux has told of it.
    eventually(SOON, "it works there", || {
        alive::inside(&inside).unwrap().iter().any(|found| found.pid == pid)
    });
    assert_eq!(alive::inside(&sandbox.path("state")).unwrap(), []);
}
