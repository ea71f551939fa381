//! Panes are made with their marks, one call each or through one control-mode client.

use crate::sandbox::{SOON, Sandbox, eventually, mark, started};
use fleetctl::name::Run;
use fleetctl::snapshot::{Marked, Observed, Pane, PaneState};
use fleetctl::tmux::StartSpec;
use fleetctl::world::ActError;

fn shown(path: &std::path::Path) -> String {
    eventually(SOON, "the pane has written its file", || path.exists());
    std::fs::read_to_string(path).expect("the file can be read")
}

#[test]
fn a_pane_has_its_mark_and_its_end_though_its_command_exits_at_once() {
    let sandbox = Sandbox::new();
    let tmux = sandbox.driver();
    let specs: Vec<StartSpec> =
        (0..5).map(|n| sandbox.spec(&format!("shop/s{n}"), "exit 7")).collect();
    let results = tmux.start(&specs);
    eventually(SOON, "all are dead", || {
        sandbox.seen().panes.iter().all(|pane| pane.state != PaneState::Alive)
    });
    let Observed::Known(server) = tmux.settle_ending(tmux.look(None)) else { panic!("not seen") };
    assert_eq!(server.panes.len(), 5);
    for (n, (pane, result)) in server.panes.iter().zip(&results).enumerate() {
        assert_eq!(pane.mark, Marked::Yes(mark(&format!("shop/s{n}"))));
        assert_eq!(pane.state, PaneState::Exited(7));
        assert_eq!((&pane.id, pane.pid), started(result));
    }
}

#[test]
fn the_server_is_started_through_the_login_shell_and_panes_get_its_environment_not_ours() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.profile", "echo hello; export FROM_LOGIN=yes; PATH=/login/bin:$PATH\n");
    let tmux = sandbox.driver();
    for name in ["first", "second"] {
        let out = sandbox.path(name);
        let script = format!("env > {0}.part; mv {0}.part {0}; sleep 1000", out.display());
        started(&tmux.start(&[sandbox.spec(name, &script)])[0]);
        let env = shown(&out);
        let has = |line: &str| env.lines().any(|l| l == line);
        assert!(has("FROM_LOGIN=yes"), "{env}");
        assert!(env.lines().any(|line| line.starts_with("PATH=/login/bin:")), "{env}");
        assert!(has(&format!("FLEET_UID={}", mark(name).uid)), "{env}");
        assert!(!env.contains("FLEETCTL_TEST") && !env.contains("CARGO"), "{env}");
    }
}

#[test]
fn words_reach_the_program_unchanged_whatever_is_in_them() {
    let sandbox = Sandbox::new();
    let odd =
        ["it's", "$HOME #{pid} %7 ~", "a;", ";", "two\nlines\\n", "", "-x", "caf\u{e9} \"q\" \\;"];
    let print = "out=$0; printf '%s|' \"$@\" > $out.part; mv $out.part $out; sleep 1000";
    let tmux = sandbox.driver();
    // The last ones go through the control-mode client.
    for (count, name) in [(1, "single"), (9, "many")] {
        let specs: Vec<StartSpec> = (0..count)
            .map(|n| {
                let name = format!("{name}{n}");
                let out = sandbox.path(&name).to_str().unwrap().to_owned();
                let mut spec = sandbox.spec(&name, print);
                spec.argv.push(out);
                spec.argv.extend(odd.map(str::to_owned));
                spec
            })
            .collect();
        for result in tmux.start(&specs) {
            started(&result);
        }
        for spec in &specs {
            let wanted = odd.map(|word| format!("{word}|")).concat();
            assert_eq!(shown(&sandbox.path(&spec.pane.tmux_name)), wanted);
        }
    }
}

#[test]
fn the_directory_is_taken_literally() {
    let sandbox = Sandbox::new();
    let directory = sandbox.path("c#{pid} it's #1");
    std::fs::create_dir(&directory).unwrap();
    let mut spec = sandbox.spec("a", "pwd > pwd.part; mv pwd.part out; sleep 1000");
    spec.pane.directory.clone_from(&directory);
    started(&sandbox.driver().start(&[spec])[0]);
    assert_eq!(shown(&directory.join("out")).trim_end(), directory.to_str().unwrap());
}

#[test]
fn many_panes_are_made_through_one_client_that_leaves_no_trace() {
    let sandbox = Sandbox::new();
    let tmux = sandbox.driver();
    let specs: Vec<StartSpec> =
        (0..40).map(|n| sandbox.spec(&format!("shop/s{n}"), "sleep 1000")).collect();
    for batch in specs.chunks(8) {
        for result in tmux.start(batch) {
            started(&result);
        }
    }
    assert_eq!(sandbox.tmux(&["list-clients"]).stdout.lines().count(), 1);
    let server = sandbox.seen();
    assert_eq!(server.panes.len(), 40, "the anchor is in no view");
    for pane in server.panes {
        assert_eq!(pane.mark, Marked::Yes(mark(&pane.session_name)));
        assert!(!pane.attached);
    }
    tmux.let_go();
    eventually(SOON, "the anchor session is gone", || {
        !sandbox
            .tmux(&["list-sessions", "-F", "#{session_name}"])
            .stdout
            .contains("fleetctl-control")
    });
    let clients = sandbox.tmux(&["list-clients"]);
    assert_eq!(clients.text(), "");
}

#[test]
fn a_pane_made_through_the_client_gets_the_servers_environment() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.profile", "PATH=/login/bin:$PATH; export SSH_AUTH_SOCK=/login/agent\n");
    let tmux = sandbox.driver();
    let script = |n: usize| {
        let out = sandbox.path(&format!("env{n}"));
        format!(
            "env | grep -v -e _= -e FLEET_UID -e TMUX > {0}.part; mv {0}.part {0}; sleep 1000",
            out.display()
        )
    };
    let specs: Vec<StartSpec> =
        (0..9).map(|n| sandbox.spec(&format!("s{n}"), &script(n))).collect();
    for result in tmux.start(&specs) {
        started(&result);
    }
    let first = shown(&sandbox.path("env0"));
    assert!(first.contains("SSH_AUTH_SOCK=/login/agent"), "{first}");
    assert_eq!(shown(&sandbox.path("env8")), first);
}

#[test]
fn a_name_that_is_taken_changes_nothing_and_stops_no_other() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "shop/s3", "--", "sleep", "1000"]).ok();
    let tmux = sandbox.driver();
    let specs: Vec<StartSpec> =
        (0..12).map(|n| sandbox.spec(&format!("shop/s{n}"), "sleep 1000")).collect();
    let results = tmux.start(&specs);
    for (n, result) in results.iter().enumerate() {
        if n == 3 {
            assert_eq!(result, &Err(ActError::Changed("tmux session shop/s3".into())));
        } else {
            started(result);
        }
    }
    assert_eq!(sandbox.seen().panes.len(), 12);
    let unmarked: Vec<Pane> =
        sandbox.seen().panes.into_iter().filter(|pane| pane.mark == Marked::No).collect();
    assert_eq!(unmarked.len(), 1);
    assert_eq!(unmarked[0].session_name, "shop/s3");
}

#[test]
fn a_start_that_was_done_already_gives_the_pane_that_runs() {
    let sandbox = Sandbox::new();
    let spec = sandbox.spec("shop/api", "sleep 1000");
    let first = sandbox.driver().start(std::slice::from_ref(&spec));
    let again = sandbox.driver().start(std::slice::from_ref(&spec));
    assert_eq!(started(&first[0]), started(&again[0]));
    assert_eq!(sandbox.seen().panes.len(), 1);
}

#[test]
fn a_session_that_a_killed_create_left_without_marks_gets_them() {
    let sandbox = Sandbox::new();
    let spec = sandbox.spec("shop/api", "sleep 1000");
    let uid = format!("FLEET_UID={}", spec.pane.mark.uid);
    sandbox.tmux(&["new-session", "-d", "-s", "shop/api", "-e", &uid, "--", "sleep", "1000"]).ok();
    let tmux = sandbox.driver();
    assert_eq!(tmux.session_env_uid("shop/api"), Observed::Known(Some(spec.pane.mark.uid)));
    let results = tmux.start(std::slice::from_ref(&spec));
    let (pane, _) = started(&results[0]);
    assert_eq!(sandbox.pane(pane).mark, Marked::Yes(spec.pane.mark));
}

#[test]
fn sessions_are_found_by_their_whole_name_only() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "foobar", "--", "sleep", "1000"]).ok();
    let tmux = sandbox.driver();
    assert!(tmux.has_session("foobar").known().is_some());
    assert!(matches!(tmux.has_session("foo"), Observed::Absent(_)));
    assert_eq!(tmux.session_env_uid("foobar"), Observed::Known(None));
    assert!(matches!(tmux.session_env_uid("foo"), Observed::Absent(_)));
}

#[test]
fn a_hook_that_splits_every_new_session_does_not_get_our_mark() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    sandbox
        .tmux(&[
            "set-hook",
            "-g",
            "after-new-session",
            "split-window 'sleep 1000' ; new-window 'sleep 1000'",
        ])
        .ok();
    let results = sandbox.driver().start(&[sandbox.spec("shop/api", "sleep 1000")]);
    let (pane, _) = started(&results[0]);
    for seen in sandbox.seen().panes.iter().filter(|seen| seen.session_name == "shop/api") {
        assert_eq!(matches!(seen.mark, Marked::Yes(_)), seen.id == *pane, "{seen:?}");
    }
}

fn dead(sandbox: &Sandbox, name: &str) -> StartSpec {
    let mut spec = sandbox.spec(name, "exit 1");
    let results = sandbox.driver().start(std::slice::from_ref(&spec));
    let (pane, _) = started(&results[0]);
    eventually(SOON, "it is dead", || sandbox.pane(pane).state != PaneState::Alive);
    spec.pane.over = Some(pane.clone());
    spec.pane.mark.run = Run(2);
    spec.argv = ["sleep", "1000"].map(str::to_owned).to_vec();
    spec
}

#[test]
fn a_restart_takes_the_place_of_the_dead_pane() {
    let sandbox = Sandbox::new();
    let spec = dead(&sandbox, "shop/api");
    sandbox.tmux(&["new-window", "-d", "-t", "=shop/api:", "sleep", "1000"]).ok();
    let results = sandbox.driver().start(std::slice::from_ref(&spec));
    let (pane, pid) = started(&results[0]);
    let panes = sandbox.seen().panes;
    assert_eq!(panes.len(), 2);
    let seen = sandbox.pane(pane);
    assert_eq!((seen.pid, &seen.mark), (pid, &Marked::Yes(spec.pane.mark.clone())));
    let on = sandbox.tmux(&["show-options", "-pv", "-t", &pane.0, "remain-on-exit"]);
    assert_eq!(on.text(), "on");
    // Once more is done already.
    assert_eq!(started(&sandbox.driver().start(&[spec])[0]), (pane, pid));
    assert_eq!(sandbox.seen().panes.len(), 2);
}

#[test]
fn a_restart_over_a_window_that_other_sessions_show_leaves_one_pane_of_ours() {
    let sandbox = Sandbox::new();
    let spec = dead(&sandbox, "shop/api");
    sandbox.tmux(&["new-session", "-d", "-s", "mine", "--", "sleep", "1000"]).ok();
    sandbox.tmux(&["link-window", "-s", "=shop/api:0", "-t", "=mine:5"]).ok();
    sandbox.tmux(&["new-session", "-d", "-s", "viewer", "-t", "=shop/api:"]).ok();
    started(&sandbox.driver().start(std::slice::from_ref(&spec))[0]);
    let panes = sandbox.seen().panes;
    let ours = panes.iter().filter(|pane| pane.mark != Marked::No).count();
    assert_eq!((ours, panes.len()), (1, 2), "{panes:?}");
}

#[test]
fn a_restart_over_a_pane_that_lives_or_is_not_ours_is_refused() {
    let sandbox = Sandbox::new();
    let mut spec = sandbox.spec("shop/api", "sleep 1000");
    let results = sandbox.driver().start(std::slice::from_ref(&spec));
    let (pane, pid) = started(&results[0]);
    spec.pane.over = Some(pane.clone());
    spec.pane.mark.run = Run(2);
    let changed = Err(ActError::Changed(format!("pane {}", pane.0)));
    assert_eq!(sandbox.driver().start(std::slice::from_ref(&spec))[0], changed);
    assert_eq!(sandbox.pane(pane).pid, pid);

    let mut other = dead(&sandbox, "shop/web");
    other.pane.mark.uid = mark("another").uid;
    let over = other.pane.over.clone().unwrap();
    let changed = Err(ActError::Changed(format!("pane {}", over.0)));
    assert_eq!(sandbox.driver().start(&[other])[0], changed);
}

#[test]
fn a_restart_beside_a_working_pane_of_the_users_is_refused() {
    let sandbox = Sandbox::new();
    let spec = dead(&sandbox, "shop/api");
    sandbox.tmux(&["split-window", "-d", "-t", "=shop/api:", "sleep", "1000"]).ok();
    let result = &sandbox.driver().start(std::slice::from_ref(&spec))[0];
    assert!(matches!(result, Err(ActError::Changed(_))), "{result:?}");
    assert_eq!(sandbox.seen().panes.len(), 2);
}
