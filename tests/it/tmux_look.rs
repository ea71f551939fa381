//! What the driver sees, and what it admits not to see.

use crate::sandbox::{SOON, Sandbox, eventually, mark, started};
use fleetctl::process::{alive, ending};
use fleetctl::snapshot::{Evidence, Marked, Observed, PaneState, ServerId};
use rustix::process::Signal;

#[test]
fn a_socket_on_which_no_server_ever_ran_is_absence() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.driver().look(None), Observed::Absent(Evidence::NoServer));
}

#[test]
fn a_server_that_died_is_absent_and_one_without_its_socket_is_unknown() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let tmux = sandbox.driver();
    let server = sandbox.seen();
    assert!(tmux.is_alive(&server.id).unwrap());

    std::fs::rename(sandbox.socket(), sandbox.path("t")).unwrap();
    let cause = tmux.look(Some(&server.id)).blind().unwrap().cause.clone();
    let pid = server.id.pid;
    assert_eq!(
        cause,
        format!("the socket of tmux server pid {pid} is gone; kill -USR1 {pid} makes it again")
    );
    // Even one that was never seen before is not taken for absent.
    assert!(tmux.look(None).blind().unwrap().cause.contains("its socket"));

    let process = alive::process(pid, &server.id.boot).unwrap().unwrap();
    ending::signal(&process, Signal::USR1).unwrap();
    eventually(SOON, "the socket is back", || tmux.look(Some(&server.id)).known().is_some());

    ending::signal(&process, Signal::KILL).unwrap();
    ending::wait_gone(&[process], SOON).unwrap();
    assert_eq!(tmux.look(Some(&server.id)), Observed::Absent(Evidence::ServerDied));
    assert_eq!(tmux.look(None), Observed::Absent(Evidence::NoServer));
    let rebooted = ServerId { boot: "another".into(), ..server.id };
    assert_eq!(tmux.look(Some(&rebooted)), Observed::Absent(Evidence::ServerDied));
}

#[test]
fn a_stopped_server_is_unknown_within_the_limit() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let server = sandbox.seen();
    let process = alive::process(server.id.pid, &server.id.boot).unwrap().unwrap();
    ending::signal(&process, Signal::STOP).unwrap();
    let seen = sandbox.driver().look(Some(&server.id));
    ending::signal(&process, Signal::CONT).unwrap();
    assert!(seen.blind().unwrap().cause.ends_with("did not answer within 5 s"), "{seen:?}");
}

#[test]
fn a_socket_that_may_not_be_opened_is_unknown() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    // Permissions do not stop root, a path through a file stops everybody.
    let options = sandbox.options();
    std::fs::set_permissions(sandbox.socket(), std::fs::Permissions::from_mode(0o000)).unwrap();
    let through_a_file = sandbox.path("home/.profile").join("s");
    let tmux =
        fleetctl::tmux::Tmux::new(fleetctl::tmux::Options { socket: through_a_file, ..options });
    let seen = tmux.look(None);
    assert!(seen.blind().unwrap().cause.contains("Not a directory"), "{seen:?}");
}

#[test]
fn garbage_from_tmux_is_unknown_and_named() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let program = sandbox.program("tmux-odd", "#!/bin/sh\necho 'S1 2 3'\necho 'P%1 surprise'\n");
    let options = fleetctl::tmux::Options { program, ..sandbox.options() };
    let seen = fleetctl::tmux::Tmux::new(options).look(None);
    assert!(seen.blind().unwrap().cause.contains("P%1 surprise"), "{seen:?}");
}

#[test]
fn a_server_without_a_session_is_seen_and_has_no_panes() {
    let sandbox = Sandbox::new();
    let empty = ["set-option", "-s", "exit-empty", "off", ";", "new-session", "-d", "-s", "a"];
    sandbox.tmux(&["start-server", ";", empty[0], empty[1], empty[2], empty[3]]).ok();
    let server = sandbox.seen();
    assert_eq!(server.panes, []);
}

#[test]
fn a_split_pane_and_inherited_options_are_not_taken_for_ours() {
    let sandbox = Sandbox::new();
    let tmux = sandbox.driver();
    let results = tmux.start(&[sandbox.spec("shop/api", "sleep 1000")]);
    let (ours, _) = started(&results[0]);
    sandbox.tmux(&["split-window", "-t", "=shop/api:", "sleep", "1000"]).ok();
    let marked = |id: &str| sandbox.seen().panes.into_iter().find(|p| p.id.0 == *id).unwrap().mark;
    let other = sandbox.seen().panes.into_iter().find(|pane| pane.id != *ours).unwrap().id.0;
    assert_eq!(marked(&ours.0), Marked::Yes(mark("shop/api")));
    assert_eq!(marked(other.as_str()), Marked::No);

    // `#{@fleet}` of a pane falls back to its window, its session and the server.
    let value = sandbox.tmux(&["show-options", "-pv", "-t", &ours.0, "@fleet"]);
    for scope in [&["-w", "-t", "=shop/api:"][..], &["-t", "=shop/api:"], &["-g"]] {
        let set = [&["set-option"], scope, &["@fleet", value.text()]].concat();
        sandbox.tmux(&set).ok();
        assert_eq!(
            sandbox.tmux(&["display-message", "-pt", &other, "#{@fleet}"]).text(),
            value.text()
        );
        assert_eq!(marked(other.as_str()), Marked::No);
        assert_eq!(marked(&ours.0), Marked::Yes(mark("shop/api")));
    }
}

#[test]
fn a_renamed_session_keeps_its_mark_and_odd_names_are_read_whole() {
    let sandbox = Sandbox::new();
    let tmux = sandbox.driver();
    tmux.start(&[sandbox.spec("shop/api", "sleep 1000")])[0].as_ref().unwrap();
    let odd = "it's \u{e4} 5 $1 % name";
    sandbox.tmux(&["rename-session", "-t", "=shop/api:", odd]).ok();
    let server = sandbox.seen();
    assert_eq!(server.panes[0].session_name, odd);
    assert_eq!(server.panes[0].mark, Marked::Yes(mark("shop/api")));
}

#[test]
fn ends_are_told_apart_once_tmux_has_reaped_them() {
    let sandbox = Sandbox::new();
    let tmux = sandbox.driver();
    let specs = [
        sandbox.spec("a", "exit 3"),
        sandbox.spec("b", "kill -TERM $$"),
        sandbox.spec("c", "exit 0"),
    ];
    for result in tmux.start(&specs) {
        result.unwrap();
    }
    eventually(SOON, "all are dead", || {
        sandbox.seen().panes.iter().all(|pane| pane.state != PaneState::Alive)
    });
    let Observed::Known(server) = tmux.settle_ending(tmux.look(None)) else { panic!("not seen") };
    let states: Vec<PaneState> = server.panes.iter().map(|pane| pane.state).collect();
    assert_eq!(states, [PaneState::Exited(3), PaneState::Killed(15), PaneState::Exited(0)]);
}

#[test]
fn a_viewer_through_a_grouped_session_is_attached_and_our_own_client_is_not() {
    let sandbox = Sandbox::new();
    let tmux = sandbox.driver();
    let results =
        tmux.start(&[sandbox.spec("shop/api", "sleep 1000"), sandbox.spec("shop/b", "sleep 1000")]);
    let (pane, _) = started(&results[0]);
    assert!(!sandbox.pane(pane).attached);

    let client = |session: &str| {
        let mut command = sandbox.command("tmux");
        command.arg("-uS").arg(sandbox.socket()).args(["-C", "new-session", "-s", session]);
        command.args(["-t", "=shop/api:"]);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let mut ours = client("fleetctl-control-1");
    eventually(SOON, "our client is there", || {
        sandbox.tmux(&["list-clients"]).stdout.lines().count() == 1
    });
    assert!(!sandbox.pane(pane).attached);
    assert_eq!(sandbox.seen().panes.len(), 2);

    let mut viewer = client("viewer");
    eventually(SOON, "the viewer is seen", || sandbox.pane(pane).attached);
    let server = sandbox.seen();
    assert_eq!(server.panes.len(), 2);
    assert_eq!(server.panes[0].session_name, "shop/api");
    assert!(!server.panes[1].attached);
    for client in [&mut ours, &mut viewer] {
        drop(client.stdin.take());
        client.wait().unwrap();
    }
}
