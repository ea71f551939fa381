//! The watches of a real machine: what wakes, what does not, and what is left of them.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use super::sandbox::{SOON, Sandbox, eventually};
use fleetctl::process::alive;
use fleetctl::reconcile::watch::{Followed, Hint, Watches, head_of};
use fleetctl::snapshot::Observed;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Long enough for a hint that must not come to have come.
const QUIET: Duration = Duration::from_millis(200);

/// Watches in a runtime like the controller's.
struct Rig {
    watches: Option<Watches>,
    hints: UnboundedReceiver<Hint>,
    runtime: Runtime,
    followed: Followed,
}

impl Rig {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (sender, hints) = unbounded_channel();
        let watches = runtime.block_on(async { Watches::new(sender) });
        Self { watches: Some(watches), hints, runtime, followed: Followed::default() }
    }

    fn following(files: &[&Path]) -> Self {
        let mut rig = Self::new();
        rig.followed.files = files.iter().map(|file| (*file).to_owned()).collect();
        rig.follow();
        rig
    }

    fn follow(&mut self) {
        let (watches, followed) = (self.watches.as_mut().unwrap(), &self.followed);
        self.runtime.block_on(async { watches.follow(followed) });
    }

    fn polling(&self) -> Option<Duration> {
        self.watches.as_ref().unwrap().polling()
    }

    fn next(&mut self, limit: Duration) -> Option<Hint> {
        let hints = &mut self.hints;
        self.runtime.block_on(async { tokio::time::timeout(limit, hints.recv()).await.ok()? })
    }

    #[track_caller]
    fn wakes(&mut self, wanted: &Hint, what: &str) {
        eventually(SOON, what, || self.next(Duration::from_millis(50)).as_ref() == Some(wanted));
    }

    #[track_caller]
    fn rests(&mut self, what: &str) {
        assert_eq!(self.next(QUIET), None, "{what}");
    }

    /// Hears all that is on its way.
    fn settle(&mut self) {
        while self.next(QUIET).is_some() {}
    }

    #[track_caller]
    fn wakes_and_rests(&mut self, what: &str) {
        self.wakes(&Hint::Manifest, what);
        self.settle();
    }

    /// Follows until the server answers; it attaches when it is calm.
    #[track_caller]
    fn attaches(&mut self) {
        self.follow();
        self.wakes(&Hint::Tmux, "it is calm");
        self.follow();
        self.wakes(&Hint::Tmux, "attached");
    }

    fn drop_watches(&mut self) {
        let watches = self.watches.take();
        self.runtime.block_on(async { drop(watches) });
        // Tasks that were called off are dropped by the runtime.
        self.runtime.block_on(tokio::task::yield_now());
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_file_is_seen_however_it_is_written() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("a/fleet.yaml", "1");
    let local = sandbox.path("a/fleet.local.yaml");
    let mut rig = Rig::following(&[&file, &local]);
    rig.rests("nothing happened");
    std::fs::write(&file, "2").unwrap();
    rig.wakes_and_rests("written in place");
    std::fs::rename(sandbox.write("a/.fleet.yaml.swp", "3"), &file).unwrap();
    rig.wakes_and_rests("an editor's rename");
    std::fs::rename(sandbox.write("b", "4"), &file).unwrap();
    rig.wakes_and_rests("moved in from elsewhere");
    std::fs::write(&local, "").unwrap();
    rig.wakes_and_rests("the overlay came");
    std::fs::remove_file(&local).unwrap();
    rig.wakes_and_rests("the overlay went");
    std::fs::remove_file(&file).unwrap();
    rig.wakes_and_rests("removed");
    std::fs::write(&file, "5").unwrap();
    rig.wakes_and_rests("made again");
    assert_eq!(rig.polling(), None);
}

#[test]
fn a_file_that_is_written_all_the_time_makes_few_hints() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("a/fleet.yaml", "1");
    let mut rig = Rig::following(&[&file]);
    let begun = Instant::now();
    let mut hints = 0;
    while begun.elapsed() < Duration::from_secs(1) {
        std::fs::write(&file, "2").unwrap();
        hints += usize::from(rig.next(Duration::from_micros(100)).is_some());
    }
    assert!((2..=21).contains(&hints), "{hints}");
    // The hint of the last write above may have been counted already.
    std::fs::write(&file, "3").unwrap();
    rig.wakes_and_rests("the last write is not forgotten");
}

#[test]
fn what_happens_beside_a_file_and_reading_it_wake_nobody() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("a/fleet.yaml", "1");
    let mut rig = Rig::following(&[&file]);
    for round in 0..300 {
        let other = sandbox.write("a/log", &round.to_string());
        std::fs::rename(other, sandbox.path("a/fleet.yaml~")).unwrap();
        sandbox.write("a/src/deep", "x");
        std::fs::read(&file).unwrap();
        assert_eq!(rig.next(Duration::from_micros(200)), None);
    }
    rig.rests("only other files were written");
    std::fs::write(&file, "2").unwrap();
    rig.wakes_and_rests("the file itself");
}

#[test]
fn a_listed_directory_is_seen_to_gain_and_to_lose_files_and_no_more() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("a/prompts/one.md", "1");
    let mut rig = Rig::new();
    rig.followed.directories = BTreeSet::from([sandbox.path("a/prompts")]);
    rig.follow();
    std::fs::write(&file, "2").unwrap();
    sandbox.write("a/other", "");
    rig.rests("no file came or went");
    sandbox.write("a/prompts/two.md", "");
    rig.wakes_and_rests("one came");
    std::fs::remove_file(&file).unwrap();
    rig.wakes_and_rests("one went");
    std::fs::rename(sandbox.path("a/prompts"), sandbox.path("a/old")).unwrap();
    rig.wakes_and_rests("all went");
    sandbox.write("a/prompts/three.md", "");
    rig.wakes_and_rests("one came again");
}

#[test]
fn links_are_followed_wherever_they_lead_next() {
    let sandbox = Sandbox::new();
    let first = sandbox.write("v1/fleet.yaml", "1");
    let second = sandbox.write("v2/fleet.yaml", "2");
    std::fs::create_dir(sandbox.path("a")).unwrap();
    symlink("v1", sandbox.path("now")).unwrap();
    let link = sandbox.path("a/fleet.yaml");
    symlink("../now/fleet.yaml", &link).unwrap();
    let mut rig = Rig::following(&[&link]);
    std::fs::write(&first, "3").unwrap();
    rig.wakes_and_rests("the target was written");
    symlink("v2", sandbox.path("new")).unwrap();
    std::fs::rename(sandbox.path("new"), sandbox.path("now")).unwrap();
    rig.wakes_and_rests("a link on the way leads elsewhere");
    std::fs::write(&second, "4").unwrap();
    rig.wakes_and_rests("the new target was written");
    std::fs::write(&first, "5").unwrap();
    rig.rests("the old target is of no interest any more");
    std::fs::remove_file(&link).unwrap();
    symlink(&first, &link).unwrap();
    rig.wakes_and_rests("the file's own link leads elsewhere");
    std::fs::write(&first, "6").unwrap();
    rig.wakes_and_rests("its target was written");
}

#[test]
fn a_directory_may_go_and_come_again_whoever_stands_in_it() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("a/b/fleet.yaml", "1");
    let mut rig = Rig::following(&[&file]);
    for round in 0..3 {
        let stands = sandbox.command("sleep").arg("1000").current_dir(sandbox.path("a/b")).spawn();
        let mut stands = stands.unwrap();
        std::fs::remove_file(&file).unwrap();
        rig.wakes_and_rests("the file went");
        std::fs::remove_dir(sandbox.path("a/b")).unwrap();
        std::fs::remove_dir(sandbox.path("a")).unwrap();
        rig.wakes_and_rests("its directories went");
        sandbox.write("a/b/fleet.yaml", "2");
        rig.wakes_and_rests("all of it came again");
        std::fs::write(&file, round.to_string()).unwrap();
        rig.wakes_and_rests("it is seen as before");
        stands.kill().and_then(|()| stands.wait()).unwrap();
    }
    std::fs::rename(sandbox.path("a/b"), sandbox.path("a/old")).unwrap();
    rig.wakes_and_rests("its directory was moved away");
    sandbox.write("a/b/fleet.yaml", "3");
    rig.wakes_and_rests("another took its place");
    std::fs::write(sandbox.path("a/old/fleet.yaml"), "4").unwrap();
    rig.rests("the one that was moved away is another file");
    std::fs::write(&file, "5").unwrap();
    rig.wakes_and_rests("the one in its place counts");
}

#[test]
fn what_is_followed_later_may_have_changed_before_it_was() {
    let sandbox = Sandbox::new();
    let (one, two) = (sandbox.write("a/one", "1"), sandbox.write("a/two", "1"));
    let mut rig = Rig::following(&[&one]);
    rig.rests("the first pass comes after the first follow anyway");
    rig.followed.files.insert(two);
    rig.follow();
    rig.wakes_and_rests("one more");
    rig.follow();
    rig.rests("no more than before");
    rig.followed.files.remove(&one);
    rig.follow();
    rig.rests("one less");
}

#[test]
fn what_moved_far_above_is_found_by_the_next_follow() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("a/b/c/fleet.yaml", "1");
    let mut rig = Rig::following(&[&file]);
    std::fs::rename(sandbox.path("a"), sandbox.path("old")).unwrap();
    sandbox.write("a/b/c/fleet.yaml", "2");
    rig.follow();
    rig.settle();
    std::fs::write(&file, "3").unwrap();
    rig.wakes_and_rests("it is watched where it is now");
}

#[test]
fn another_branch_and_the_end_of_a_rebase_are_seen() {
    let sandbox = Sandbox::new();
    let repo = sandbox.repo("repo");
    sandbox.git(&repo, &["branch", "other"]);
    sandbox.git(&repo, &["worktree", "add", "-q", "../linked", "-b", "third"]);
    for place in ["repo", "linked"] {
        let heads = head_of(&sandbox.path(place).join("fleet.yaml"));
        let mut rig = Rig::new();
        rig.followed.files = heads.into_iter().collect();
        rig.follow();
        sandbox.git(sandbox.path(place), &["checkout", "-q", "--detach"]);
        rig.wakes_and_rests("another HEAD");
        let git_dir = sandbox.git(sandbox.path(place), &["rev-parse", "--absolute-git-dir"]);
        let rebase = PathBuf::from(git_dir.text()).join("rebase-merge");
        std::fs::create_dir(&rebase).unwrap();
        rig.wakes_and_rests("a rebase begins");
        std::fs::remove_dir(&rebase).unwrap();
        rig.wakes_and_rests("it ends");
    }
}

#[test]
fn descriptors_and_threads_stay_as_they_are_over_thousands_of_follows() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("a/fleet.yaml", "1");
    let other = sandbox.write("b/fleet.yaml", "1");
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let mut rig = Rig::following(&[&file, &other]);
    let server = sandbox.seen();
    let pane = server.panes[0].pid;
    rig.followed.tmux = Some((sandbox.options(), server.id));
    rig.followed.processes = BTreeSet::from([pane, std::process::id()]);
    rig.attaches();
    rig.settle();
    let of = |rig: &mut Rig| {
        rig.runtime.block_on(tokio::task::yield_now());
        descriptors()
    };
    let before = (of(&mut rig), threads());
    let whole = rig.followed.clone();
    for round in 0..3_000 {
        rig.followed.files = BTreeSet::from([[&file, &other][round % 2].clone()]);
        rig.followed.processes = BTreeSet::from([pane]);
        rig.follow();
        rig.followed = whole.clone();
        rig.follow();
    }
    // Other tests of this binary come and go in the same process.
    eventually(SOON, "no more descriptors", || of(&mut rig) <= before.0 + 8);
    eventually(SOON, "no more threads", || threads() <= before.1 + 4);
    assert_eq!(rig.polling(), None);
}

#[test]
fn a_session_made_or_killed_and_a_human_who_leaves_are_seen() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let mut rig = Rig::new();
    rig.followed.tmux = Some((sandbox.options(), sandbox.seen().id));
    rig.attaches();
    rig.settle();
    for _ in 0..3 {
        sandbox.seen();
        rig.follow();
    }
    rig.rests("a look is no change");
    sandbox.tmux(&["new-session", "-d", "-s", "b", "--", "sleep", "1000"]).ok();
    rig.wakes(&Hint::Tmux, "made");
    rig.settle();
    sandbox.tmux(&["rename-window", "-t", "=b:", "busy"]).ok();
    rig.rests("a window's name is no change");
    sandbox.tmux(&["kill-session", "-t", "=b"]).ok();
    rig.wakes(&Hint::Tmux, "killed");
    assert_eq!(rig.polling(), None);
    assert_eq!(sandbox.seen().panes.len(), 1, "the listener's own pane is left out");
}

#[test]
fn the_listener_leaves_nothing_behind_and_starts_nothing() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let mut rig = Rig::new();
    rig.followed.tmux = Some((sandbox.options(), sandbox.seen().id));
    rig.attaches();
    rig.drop_watches();
    let sessions = || sandbox.tmux(&["list-sessions", "-F", "#{session_name}"]).stdout;
    eventually(SOON, "its session is gone", || sessions() == "a\n");
    assert_eq!(sandbox.tmux(&["list-clients"]).stdout, "");

    let mut rig = Rig::new();
    rig.followed.tmux = Some((sandbox.options(), sandbox.seen().id));
    sandbox.tmux(&["kill-server"]).ok();
    rig.attaches();
    rig.settle();
    assert_eq!(rig.polling(), Some(Duration::from_secs(2)));
    rig.followed.tmux = None;
    rig.follow();
    assert_eq!(rig.polling(), None);
    sandbox.tmux(&["-N", "list-sessions"]).code(1);
}

#[test]
fn a_server_survives_our_leaving_whatever_changes_meanwhile() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let server = sandbox.seen().id;
    for round in 0..10 {
        let mut rig = Rig::new();
        rig.followed.tmux = Some((sandbox.options(), server.clone()));
        rig.attaches();
        for session in 0..4 {
            let name = format!("s{round}-{session}");
            sandbox.tmux(&["new-session", "-d", "-s", &name, "--", "sleep", "1000"]).ok();
        }
        rig.drop_watches();
        assert_eq!(sandbox.seen().id, server, "round {round}");
    }
}

#[test]
fn the_servers_death_is_seen_and_the_next_server_is_heard() {
    let sandbox = Sandbox::new();
    let start = || sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    start();
    let mut rig = Rig::new();
    for _ in 0..3 {
        rig.followed.tmux = Some((sandbox.options(), sandbox.seen().id));
        rig.attaches();
        rig.settle();
        sandbox.tmux(&["kill-server"]).ok();
        rig.wakes(&Hint::Tmux, "the server died");
        rig.settle();
        start();
    }
    let zombies = || {
        let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
        let pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
        pids.filter(|pid| alive::stat(*pid).unwrap().is_some_and(|stat| stat.state == 'Z')).count()
    };
    eventually(SOON, "no zombie", || zombies() == 0);
}

#[test]
fn a_stopped_server_stops_nobody_and_is_heard_again() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let id = sandbox.seen().id;
    let server = alive::process(id.pid, &alive::boot_id().unwrap()).unwrap().unwrap();
    let signal = |signal| fleetctl::process::ending::signal(&server, signal).unwrap();
    signal(rustix::process::Signal::STOP);
    let mut rig = Rig::new();
    rig.followed.tmux = Some((sandbox.options(), id));
    let begun = Instant::now();
    rig.follow();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    rig.wakes(&Hint::Tmux, "it is calm");
    rig.follow();
    let hint = rig.next(SOON);
    assert!(
        matches!(&hint, Some(Hint::Blind { what: "the tmux server", cause }) if cause.contains("answer")),
        "{hint:?}"
    );
    assert_eq!(rig.polling(), Some(Duration::from_secs(2)));
    signal(rustix::process::Signal::CONT);
    rig.wakes(&Hint::Tmux, "it goes on");
    assert_eq!(rig.polling(), None);
    signal(rustix::process::Signal::STOP);
    let begun = Instant::now();
    rig.drop_watches();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    signal(rustix::process::Signal::CONT);
    let sessions = || sandbox.tmux(&["list-sessions", "-F", "#{session_name}"]).stdout;
    eventually(SOON, "its session is gone", || sessions() == "a\n");
}

#[test]
fn a_server_without_its_socket_is_heard_on() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let seen = sandbox.seen();
    let mut rig = Rig::new();
    rig.followed.tmux = Some((sandbox.options(), seen.id.clone()));
    rig.attaches();
    rig.settle();
    std::fs::remove_file(sandbox.socket()).unwrap();
    rig.follow();
    let pane = alive::process(seen.panes[0].pid, &alive::boot_id().unwrap()).unwrap().unwrap();
    fleetctl::process::ending::signal(&pane, rustix::process::Signal::KILL).unwrap();
    rig.wakes(&Hint::Tmux, "a session ended");
    let server = alive::process(seen.id.pid, &alive::boot_id().unwrap()).unwrap().unwrap();
    let _ = fleetctl::process::ending::signal(&server, rustix::process::Signal::USR1).unwrap();
    eventually(SOON, "the socket is made again", || sandbox.socket().exists());
    assert!(matches!(sandbox.driver().look(None), Observed::Known(_)));
}

#[test]
fn one_who_sends_our_client_away_again_and_again_makes_no_storm() {
    let sandbox = Sandbox::new();
    sandbox.tmux(&["new-session", "-d", "-s", "a", "--", "sleep", "1000"]).ok();
    let mut rig = Rig::new();
    rig.followed.tmux = Some((sandbox.options(), sandbox.seen().id));
    let (mut hints, mut clients) = (0, 0);
    let end = Instant::now() + Duration::from_secs(9);
    while Instant::now() < end {
        rig.follow();
        while rig.next(Duration::from_millis(1_100)).is_some() {
            hints += 1;
        }
        let attached = sandbox.tmux(&["list-clients", "-F", "#{client_name}"]).stdout;
        for client in attached.lines() {
            sandbox.tmux(&["detach-client", "-t", client]);
            clients += 1;
        }
    }
    assert!((1..5).contains(&clients) && hints < 20, "{clients} clients, {hints} hints");
    eventually(SOON, "the last one is gone", || {
        rig.next(Duration::from_millis(20));
        rig.polling().is_some()
    });
}

#[test]
fn an_agents_end_is_told_once_even_if_nobody_reaps_it() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.command("sleep").arg("1000").spawn().unwrap();
    let mut rig = Rig::new();
    rig.followed.processes = BTreeSet::from([child.id(), std::process::id()]);
    rig.follow();
    rig.rests("both run");
    child.kill().unwrap();
    rig.wakes(&Hint::Ended, "killed");
    for _ in 0..5 {
        rig.follow();
    }
    rig.rests("its end was told");
    child.wait().unwrap();
    rig.follow();
    rig.rests("its end was told");
    rig.followed.processes.remove(&child.id());
    rig.follow();
    rig.followed.processes.insert(child.id());
    rig.follow();
    rig.wakes(&Hint::Ended, "gone before it was followed");
    rig.follow();
    rig.rests("told once");
    assert_eq!(rig.polling(), None);
}

#[test]
fn a_pane_whose_process_exits_is_seen_whether_tmux_notices_or_not() {
    let sandbox = Sandbox::new();
    let script = "while [ ! -e go ]; do sleep 0.01; done; exit 3";
    sandbox
        .tmux(&[
            "new-session",
            "-d",
            "-s",
            "a",
            "-c",
            sandbox.home().to_str().unwrap(),
            "--",
            "sh",
            "-c",
            script,
            ";",
            "set-option",
            "-w",
            "remain-on-exit",
            "on",
        ])
        .ok();
    let mut rig = Rig::new();
    rig.followed.processes = sandbox.seen().panes.iter().map(|pane| pane.pid).collect();
    rig.follow();
    rig.rests("it runs");
    sandbox.write("home/go", "");
    rig.wakes(&Hint::Ended, "it exited");
}

#[test]
fn a_thousand_processes_are_followed_under_a_small_limit_of_open_files() {
    let sandbox = Sandbox::new();
    let me = std::env::current_exe().unwrap();
    let mut again = sandbox.command("sh");
    again.args(["-c", "ulimit -Sn 256 && exec \"$0\" --exact --ignored \"$1\""]).arg(me);
    let crowd = "watch::a_thousand_processes_are_held_apart_from_the_descriptors_of_all_else";
    Sandbox::run(again.arg(crowd)).ok().says("1 passed");
}

#[test]
#[ignore = "run by the test above, with a small limit of open files"]
fn a_thousand_processes_are_held_apart_from_the_descriptors_of_all_else() {
    let sandbox = Sandbox::new();
    let mut crowd = sandbox.command("sh");
    crowd.args(["-c", "i=0; while [ $i -lt 1000 ]; do sleep 1000 & i=$((i+1)); done; wait"]);
    let mut crowd = crowd.spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", crowd.id());
    let pids = || -> BTreeSet<u32> {
        let children = std::fs::read_to_string(&children).unwrap();
        children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    eventually(SOON, "a thousand processes", || pids().len() == 1000);
    let limit = || {
        let child = fleetctl::process::Child::new("sh").args(["-c", "ulimit -Sn"]);
        String::from_utf8(child.run().unwrap().stdout).unwrap()
    };
    let before = limit();
    let mut rig = Rig::new();
    rig.followed.processes = pids();
    let begun = Instant::now();
    rig.follow();
    let took = begun.elapsed();
    assert_eq!(rig.polling(), None);
    assert_eq!(limit(), before, "children have the limit that they always had");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let begun = Instant::now();
    rig.follow();
    let again = begun.elapsed();
    assert!(again < took, "{again:?} after {took:?}");
    rig.rests("all run");
    let one = *rig.followed.processes.first().unwrap();
    let one = alive::process(one, &alive::boot_id().unwrap()).unwrap().unwrap();
    fleetctl::process::ending::signal(&one, rustix::process::Signal::KILL).unwrap();
    rig.wakes(&Hint::Ended, "one of them ended");
    rig.followed.processes.clear();
    rig.follow();
    crowd.kill().and_then(|()| crowd.wait()).unwrap();
}

#[test]
fn where_no_descriptors_are_left_it_is_said_once_and_all_else_goes_on() {
    let sandbox = Sandbox::new();
    let me = std::env::current_exe().unwrap();
    let mut again = sandbox.command("sh");
    again.args(["-c", "ulimit -n 128 && exec \"$0\" --exact --ignored \"$1\""]).arg(me);
    Sandbox::run(again.arg("watch::of_a_crowd_only_some_can_be_held")).ok().says("1 passed");
}

#[test]
#[ignore = "run by the test above, under a hard limit of open files"]
fn of_a_crowd_only_some_can_be_held() {
    let sandbox = Sandbox::new();
    let mut crowd: Vec<_> =
        (0..200).map(|_| sandbox.command("sleep").arg("1000").spawn().unwrap()).collect();
    let mut rig = Rig::new();
    rig.followed.processes = crowd.iter().map(std::process::Child::id).collect();
    for _ in 0..3 {
        rig.follow();
    }
    let said = rig.next(SOON);
    assert!(
        matches!(&said, Some(Hint::Blind { cause, .. }) if cause.contains("open files")),
        "{said:?}"
    );
    rig.rests("it is said once");
    assert!(rig.polling().is_some());
    let spare: Vec<_> = (0..40).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    drop(spare);
    rig.followed.processes = crowd[..10].iter().map(std::process::Child::id).collect();
    rig.follow();
    assert_eq!(rig.polling(), None, "few enough");
    for child in &mut crowd {
        child.kill().and_then(|()| child.wait()).unwrap();
    }
}
