//! A controller that is killed, starved and cut off while its fleet changes and dies: after some quiet the
//! fleet is as the file says, nothing is there twice, and nothing is left over.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use crate::controller::Controller;
use crate::sandbox::{eventually, setting};
use crate::stage::Stage;
use fleetctl::process::{alive, pause};
use fleetctl::snapshot::{Marked, PaneState, Process, Server};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

/// How long a fleet is given to be as its file says once all is quiet: crashed sessions wait a while.
const QUIET: Duration = Duration::from_secs(90);
/// What is healed by nothing but the minute's resync takes at least so long.
const RESYNC: Duration = Duration::from_secs(40);
/// Sessions that are always in the file, and those that come and go.
const STAY: [&str; 4] = ["a", "b", "c", "d"];
const COME_AND_GO: [&str; 3] = ["x", "y", "z"];

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pause(&mut self, most: usize) {
        pause(Duration::from_millis(self.roll(most) as u64));
    }
}

/// What the file says of one that comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guest {
    Away,
    Running,
    Stopped,
}

/// The file with those that come and go, and a variable that changes.
fn file(guests: [Guest; 3], turn: usize) -> String {
    let mut text = String::from("prune: 0s\nsessions:\n");
    let restart = "{policy: always, first: 1s, max: 2s, give_up: {starts: 1000, within: 30m}}";
    let common = format!("command: [sleep, '1000'], restart: {restart}, on_change: now");
    for name in STAY {
        let own = if name == "d" { "" } else { ", worktree: false" };
        let turn = if name == "c" { turn } else { 0 };
        text.push_str(&format!("  {name}: {{{common}, env: {{TURN: '{turn}'}}{own}}}\n"));
    }
    for (name, guest) in COME_AND_GO.iter().zip(guests) {
        let state = match guest {
            Guest::Away => continue,
            Guest::Running => "running",
            Guest::Stopped => "stopped",
        };
        text.push_str(&format!("  {name}: {{{common}, worktree: false, state: {state}}}\n"));
    }
    text
}

/// A stage under attack.
struct Siege {
    stage: Stage,
    dice: Dice,
    controller: Option<Controller>,
    guests: [Guest; 3],
    turn: usize,
    /// How many removals and crashes are left before the fleet is held, or a session given up, as it must be.
    removals: usize,
    crashes: BTreeMap<&'static str, usize>,
    /// The tmux server that was last struck.
    server: Option<Process>,
}

impl Siege {
    fn new(seed: u64) -> Self {
        let stage = Stage::new(&file([Guest::Away; 3], 0));
        let controller = Controller::of(&stage);
        Self::of(stage, controller, seed)
    }

    fn of(stage: Stage, controller: Controller, seed: u64) -> Self {
        let siege = Self {
            stage,
            dice: Dice(seed),
            controller: Some(controller),
            guests: [Guest::Away; 3],
            turn: 0,
            removals: 2,
            crashes: STAY.map(|name| (name, 2)).into(),
            server: None,
        };
        siege.converges();
        siege
    }

    /// Does one bad thing.
    fn strike(&mut self) {
        match self.dice.roll(12) {
            0..=2 => self.kill_controller(),
            3 | 4 => {
                let name = STAY[self.dice.roll(STAY.len())];
                self.stage.tmux(&["kill-session", "-t", &format!("=shop/{name}")]);
            }
            5 => {
                let name = STAY[self.dice.roll(STAY.len())];
                self.crash(name);
            }
            6 | 7 => {
                let at = self.dice.roll(COME_AND_GO.len());
                self.guests[at] = match self.guests[at] {
                    Guest::Away | Guest::Stopped => Guest::Running,
                    Guest::Running if self.removals > 0 => {
                        self.removals -= 1;
                        Guest::Away
                    }
                    Guest::Running => Guest::Stopped,
                };
                self.write();
            }
            8 => {
                self.turn += 1;
                self.write();
            }
            9 => self.stage.fleet("sessions: {a: {comand: half of a f"),
            10 => self.signal_server(Signal::KILL),
            _ => {
                self.signal_server(Signal::STOP);
                self.dice.pause(1_500);
                self.signal_server(Signal::CONT);
            }
        }
    }

    /// The server, if one is there: it may have died a moment ago.
    fn server(&self) -> Option<Server> {
        self.stage.driver().look(None).known().cloned()
    }

    fn signal_server(&mut self, signal: Signal) {
        if signal != Signal::CONT {
            let seen = self.server();
            self.server = seen.and_then(|server| self.stage.process(server.id.pid));
        }
        if let Some(server) = &self.server {
            fleetctl::process::ending::signal(server, signal).unwrap();
        }
    }

    fn crash(&mut self, name: &'static str) {
        let panes = self.server().map(|server| server.panes).unwrap_or_default();
        let its = panes
            .iter()
            .find(|pane| matches!(&pane.mark, Marked::Yes(mark) if mark.session.as_str() == name));
        let alive = its.and_then(|pane| self.stage.process(pane.pid));
        let left = self.crashes.get_mut(name).unwrap();
        if let Some(process) = alive.filter(|_| *left > 0) {
            *left -= 1;
            fleetctl::process::ending::signal(&process, Signal::KILL).unwrap();
        }
    }

    fn write(&self) {
        self.stage.fleet(&file(self.guests, self.turn));
    }

    fn kill_controller(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.signal(Signal::KILL);
        }
        self.dice.pause(200);
        // One that begins while the file is bad ends at once, as a service's would, and is begun again.
        self.write();
        self.controller = Some(Controller::of(&self.stage));
    }

    /// Waits until the controller listens to the server.
    #[track_caller]
    fn is_heard(&self) {
        let clients = || self.stage.tmux(&["list-clients"]).ok().stdout.lines().count();
        eventually(QUIET, "the listener and nobody else", || clients() == 1);
    }

    fn strike_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.strike();
            self.dice.pause(700);
        }
        self.write();
    }

    #[track_caller]
    fn converges(&self) {
        let begun = Instant::now();
        while self.stage.diff().code != 0 {
            let log = || std::fs::read_to_string(self.stage.path("log")).unwrap_or_default();
            let still = || format!("{}\n{}", self.stage.diff().stdout, log());
            assert!(begun.elapsed() < QUIET, "not as the file says: {}", still());
            pause(Duration::from_millis(100));
        }
    }

    /// Everything is there once, and nothing else is.
    #[track_caller]
    fn is_whole(&self) {
        let guests = COME_AND_GO.into_iter().zip(self.guests);
        let guests = guests.filter(|(_, guest)| *guest == Guest::Running).map(|(name, _)| name);
        let wanted: Vec<&str> = STAY.into_iter().chain(guests).collect();
        let seen = self.stage.seen();
        let mut alive = BTreeMap::new();
        for pane in &seen.panes {
            let Marked::Yes(mark) = &pane.mark else { panic!("a pane of nobody's: {pane:#?}") };
            if pane.state != PaneState::Alive {
                let stopped = COME_AND_GO.contains(&mark.session.as_str());
                assert!(stopped, "{pane:#?}");
                continue;
            }
            let doubled = alive.insert(mark.session.to_string(), mark.uid);
            assert_eq!(doubled, None, "{} is there twice", mark.session);
        }
        assert_eq!(alive.keys().map(String::as_str).collect::<Vec<_>>(), wanted);
        for (session, uid) in &alive {
            let running = alive::carriers(*uid).unwrap();
            assert_eq!(running.len(), 1, "{session}: {running:#?}");
        }
        self.leaves_nothing_over(seen.panes.len(), alive.len());
    }

    #[track_caller]
    fn leaves_nothing_over(&self, sessions: usize, alive: usize) {
        self.is_heard();
        let lines = |args: &[&str]| self.stage.tmux(args).ok().stdout.lines().count();
        eventually(QUIET, "no session but ours and the listener's", || {
            lines(&["list-sessions"]) == sessions + 1
        });
        // A pass may be looking just now; the one `sh` is the listener's anchor.
        let wanted = [1, 1, 0, 1, alive, 1];
        let mut found = [0; 6];
        eventually(QUIET, "no process but ours and the listener's", || {
            let leftovers = self.stage.leftovers();
            let count = |prefix: &str| {
                leftovers.iter().filter(|process| process.command.starts_with(prefix)).count()
            };
            found = ["tmux: server", "tmux: client", "git", "fleetctl", "sleep", "sh"].map(count);
            found == wanted
        });
        assert_eq!(found, wanted);
        let trees = self.stage.git(self.stage.top(), &["worktree", "list", "--porcelain"]).stdout;
        let trees = trees.lines().filter(|line| line.starts_with("worktree ")).count();
        assert_eq!(trees, 2, "the repository and d's");
        let pid = self.controller.as_ref().unwrap().pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let zombie = |pid: &str| {
            let stat = alive::stat(pid.parse().unwrap()).unwrap();
            stat.is_some_and(|stat| stat.state == 'Z')
        };
        assert!(!children.split_whitespace().any(zombie), "{children}");
    }

    /// The controller's end leaves the fleet and nothing of itself.
    #[track_caller]
    fn ends_well(mut self) {
        let sessions = self.stage.seen().panes.len();
        assert_eq!(self.controller.take().unwrap().end(), 0);
        let listed = || self.stage.tmux(&["list-sessions"]).ok().stdout.lines().count();
        eventually(QUIET, "only the sessions are left", || listed() == sessions);
        assert_eq!(self.stage.tmux(&["list-clients"]).stdout, "");
        assert!(!self.stage.path("state/fleetctl/shop/controller.sock").exists());
        self.stage.converged();
    }
}

#[test]
fn a_controller_that_is_killed_amid_changes_takes_no_server_along() {
    let mut siege = Siege::new(5);
    let server = siege.stage.seen().id;
    for round in 0..3 {
        siege.is_heard();
        for session in 0..5 {
            let name = format!("mine-{round}-{session}");
            siege.stage.tmux(&["new-session", "-d", "-s", &name, "--", "sleep", "1000"]).ok();
        }
        siege.kill_controller();
        assert_eq!(siege.stage.seen().id, server, "round {round}");
    }
    let listed = || siege.stage.tmux(&["list-sessions", "-F", "#{session_name}"]).ok().stdout;
    let anchors = || listed().lines().filter(|name| name.starts_with("fleetctl-")).count();
    eventually(QUIET, "one anchor, of the last controller", || anchors() == 1);
    assert_eq!(siege.stage.seen().id, server);
}

#[test]
fn a_file_that_a_bad_manifest_missed_is_awaited() {
    let siege = Siege::new(4);
    let each = "  'x-${each.slug}': {each: {lines: new/list.txt}, command: cat, worktree: false}\n";
    siege.stage.fleet(&(file([Guest::Away; 3], 0) + each));
    let log = || std::fs::read_to_string(siege.stage.path("log")).unwrap();
    eventually(QUIET, "the bad file is seen", || log().contains("the last good manifest is kept"));
    let begun = Instant::now();
    siege.stage.write("shop/new/list.txt", "one\n");
    eventually(QUIET, "the list is there", || siege.stage.runs("x-one"));
    assert!(begun.elapsed() < RESYNC, "{:?}", begun.elapsed());
}

#[test]
fn a_link_is_kept_for_the_file_behind_it_and_another_file_behind_it_is_not_taken_unasked() {
    let stage = Stage::new(&file([Guest::Away; 3], 0));
    let (link, target) = (stage.top().join("fleet.yaml"), stage.top().join("v1.yaml"));
    std::fs::rename(&link, &target).unwrap();
    symlink("v1.yaml", &link).unwrap();
    let controller = Controller::of(&stage);
    let siege = Siege::of(stage, controller, 1);
    let before = STAY.map(|session| siege.stage.pid(session));
    siege.stage.fleet_at(
        "shop/v2.yaml",
        "shop",
        &file([Guest::Running, Guest::Away, Guest::Away], 0),
    );
    let leads_to = |to: &str| {
        symlink(to, siege.stage.top().join("new")).unwrap();
        std::fs::rename(siege.stage.top().join("new"), &link).unwrap();
    };
    let log = || std::fs::read_to_string(siege.stage.path("log")).unwrap();
    leads_to("v2.yaml");
    eventually(QUIET, "the other file is refused", || log().contains("leads to"));
    assert!(!siege.stage.runs("x"));
    leads_to("v1.yaml");
    eventually(QUIET, "the first one is good again", || log().contains("is good again"));
    siege.stage.fleet_at(
        "shop/.v1.new",
        "shop",
        &file([Guest::Away, Guest::Running, Guest::Away], 0),
    );
    std::fs::rename(siege.stage.top().join(".v1.new"), &target).unwrap();
    eventually(QUIET, "y is made", || siege.stage.runs("y"));
    siege.converges();
    assert_eq!(STAY.map(|session| siege.stage.pid(session)), before);
}

fn survives(seed: u64, time: Duration) {
    let mut siege = Siege::new(seed);
    siege.strike_for(time);
    siege.converges();
    siege.is_whole();
    siege.ends_well();
}

/// For as many seconds as FLEETCTL_SIEGE says, or twelve: before a release two minutes are in place.
#[test]
fn a_controller_killed_again_and_again_while_all_changes_ends_with_the_fleet_of_the_file() {
    survives(20_261_120, Duration::from_secs(setting("FLEETCTL_SIEGE").unwrap_or(12)));
}

#[test]
fn the_death_of_the_server_costs_no_session() {
    let siege = Siege::new(1);
    for _ in 0..2 {
        siege.stage.tmux(&["kill-server"]).ok();
        let begun = Instant::now();
        siege.converges();
        assert!(begun.elapsed() < RESYNC, "it was not seen to die: {:?}", begun.elapsed());
    }
    siege.is_whole();
    siege.ends_well();
}

#[test]
fn a_server_that_stands_still_costs_nothing_and_its_sessions_go_on() {
    let siege = Siege::new(2);
    let before = STAY.map(|session| siege.stage.pid(session));
    let server = siege.stage.process(siege.stage.seen().id.pid).unwrap();
    let signal = |signal| fleetctl::process::ending::signal(&server, signal).unwrap();
    signal(Signal::STOP);
    siege.stage.fleet(&file([Guest::Away; 3], 1));
    pause(Duration::from_secs(20));
    signal(Signal::CONT);
    let begun = Instant::now();
    siege.converges();
    assert!(begun.elapsed() < RESYNC, "it was not seen to go on: {:?}", begun.elapsed());
    siege.is_whole();
    for (session, pid) in STAY.iter().zip(before) {
        assert_eq!(siege.stage.pid(session) == pid, *session != "c", "{session}");
    }
    siege.ends_well();
}

#[test]
fn a_socket_that_is_gone_starts_no_second_server_and_is_found_again() {
    let siege = Siege::new(3);
    let before = STAY.map(|session| siege.stage.pid(session));
    let server = siege.stage.process(siege.stage.seen().id.pid).unwrap();
    std::fs::remove_file(siege.stage.socket()).unwrap();
    siege.controller.as_ref().unwrap().signal(Signal::HUP);
    siege.stage.fleet(&file([Guest::Away; 3], 1));
    pause(Duration::from_secs(2));
    assert!(!siege.stage.socket().exists(), "nobody made another server");
    let _ = fleetctl::process::ending::signal(&server, Signal::USR1).unwrap();
    eventually(QUIET, "the socket", || siege.stage.socket().exists());
    siege.controller.as_ref().unwrap().signal(Signal::HUP);
    siege.converges();
    siege.is_whole();
    for (session, pid) in STAY.iter().zip(before) {
        assert_eq!(siege.stage.pid(session) == pid, *session != "c", "{session}");
    }
    siege.ends_well();
}

#[test]
fn a_newer_build_in_the_program_s_place_stops_nobody() {
    let stage = Stage::new(&file([Guest::Away; 3], 0));
    let program = stage.path("home/bin/fleetctl");
    std::fs::copy(env!("CARGO_BIN_EXE_fleetctl"), &program).unwrap();
    let controller = Controller::run_by(&stage, &program);
    let siege = Siege::of(stage, controller, 1);
    let before = STAY.map(|session| siege.stage.pid(session));
    let newer = siege.stage.path("home/bin/.fleetctl.new");
    std::fs::copy(env!("CARGO_BIN_EXE_fleetctl"), &newer).unwrap();
    std::fs::rename(&newer, &program).unwrap();
    siege.stage.tmux(&["kill-session", "-t", "=shop/a"]).ok();
    eventually(QUIET, "a is back", || siege.stage.runs("a") && siege.stage.pid("a") != before[0]);
    siege.converges();
    siege.is_whole();
    for (session, pid) in STAY.iter().zip(before).skip(1) {
        assert_eq!(siege.stage.pid(session), pid, "{session}");
    }
    siege.ends_well();
}
