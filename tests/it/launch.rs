//! `__launch` as a pane runs it: a process of its own, leading its kernel session.

use fleetctl::launch::bring::read_list;
use fleetctl::launch::{Bring, Launch, Setup, file};
use fleetctl::manifest::fleet::Files;
use fleetctl::name::{Run, Uid};
use fleetctl::process::{Child, Ended};
use fleetctl::snapshot::LaunchFailureReason;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fleetctl");

struct Pane {
    directory: tempfile::TempDir,
}

impl Pane {
    fn new() -> Self {
        let directory =
            tempfile::Builder::new().prefix("fl").tempdir_in("/tmp").expect("a directory");
        for name in ["work", "main", "state"] {
            std::fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn launch(&self, argv: &[&str]) -> Launch {
        Launch {
            uid: Uid::from_parts(1, 2),
            run: Run(1),
            fleet: "shop".parse().expect("a name"),
            session: "api".parse().expect("a name"),
            manifest: self.path("fleet.yaml"),
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            worktree: self.path("work"),
            directory: self.path("work"),
            env: BTreeMap::new(),
            env_file: None,
            unset: Vec::new(),
            bring: None,
            setup: None,
            state: None,
            report: self.path("state/U.failed"),
        }
    }

    fn start(&self, launch: &Launch) -> Ended {
        let file = self.path("state/U.json");
        file::write(&file, launch).expect("a launch file");
        self.child("setsid").args([PROGRAM, "__launch"]).arg(file).arg("1").run().expect("it runs")
    }

    fn child(&self, program: &str) -> Child {
        let home = self.path("home").into_os_string();
        let env = [
            ("PATH", std::env!("PATH").into()),
            ("HOME", home),
            ("TMUX", "/nowhere,1,0".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ];
        let env = env.map(|(name, value): (_, OsString)| (OsString::from(name), value));
        Child::new(program).only_env(env.into()).limit(Duration::from_secs(30))
    }

    fn git(&self, args: &[&str]) {
        let git = self.child("git").directory(self.path("main")).args(args).run().expect("it runs");
        assert!(git.status.success(), "{args:?}: {}", git.stderr);
    }

    fn setup(&self, run: &[&str], timeout: u64) -> Setup {
        let run = run.iter().map(|&text| text.to_owned()).collect();
        Setup { run, timeout, done: self.path("state/U.setup-done") }
    }

    fn failure(&self) -> Option<(LaunchFailureReason, String)> {
        let report = file::read_report(&self.path("state/U.failed")).expect("a readable report");
        report.map(|failure| (failure.reason, failure.message))
    }

    /// A main worktree with these untracked files, to be brought.
    fn bring(&self, untracked: &[&str], copy: &[&str], link: &[&str]) -> Bring {
        self.git(&["init", "-q", "."]);
        write(&self.path("main/tracked"), "tracked");
        write(&self.path("main/.gitignore"), ".env\nnode_modules/\n");
        self.git(&["add", "."]);
        for path in untracked {
            write(&self.path("main").join(path), path);
        }
        let globs = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
        Bring {
            from: self.path("main"),
            files: Files { copy: globs(copy), link: globs(link) },
            list: self.path("state/U.brought"),
        }
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

fn text(ended: &Ended) -> String {
    String::from_utf8(ended.stdout.clone()).expect("text")
}

#[test]
fn the_program_takes_the_place_of_the_launch_in_its_directory_and_environment() {
    let pane = Pane::new();
    let mut launch = pane.launch(&["sh", "-c", "pwd; echo $FLEET_SESSION-$TMUX-$A; exit 7"]);
    launch.env.insert("A".to_owned(), "\u{1}env.HOME\u{2}!".to_owned());
    let ended = pane.start(&launch);
    let home = pane.path("home");
    let expected = format!("{}\napi--{}!\n", pane.path("work").display(), home.display());
    assert_eq!(text(&ended), expected);
    assert_eq!(ended.status.code(), Some(7));
    assert_eq!(pane.failure(), None);
}

#[test]
fn a_program_that_is_not_there_is_reported_at_once() {
    let pane = Pane::new();
    let ended = pane.start(&pane.launch(&["no-such-agent", "-x"]));
    assert_eq!(ended.status.code(), Some(127));
    assert!(ended.stderr.contains("no-such-agent is not installed"), "{}", ended.stderr);
    assert_eq!(pane.failure().unwrap().0, LaunchFailureReason::Program);
}

#[test]
fn a_directory_that_is_gone_is_reported() {
    let pane = Pane::new();
    let launch = Launch { directory: pane.path("work/gone"), ..pane.launch(&["true"]) };
    let ended = pane.start(&launch);
    assert_eq!(ended.status.code(), Some(125));
    assert_eq!(pane.failure().unwrap().0, LaunchFailureReason::Directory);
}

#[test]
fn an_env_file_that_is_wrong_is_reported_without_its_values() {
    let pane = Pane::new();
    write(&pane.path("env"), "A=fine\nB-B=hunter2\n");
    let launch = Launch { env_file: Some(pane.path("env")), ..pane.launch(&["true"]) };
    let ended = pane.start(&launch);
    let (reason, message) = pane.failure().unwrap();
    assert_eq!(reason, LaunchFailureReason::EnvFile);
    assert!(message.contains("line 2") && !message.contains("hunter2"), "{message}");
    assert!(!ended.stderr.contains("hunter2"));
}

#[test]
fn a_directory_for_the_agents_own_files_is_made() {
    let pane = Pane::new();
    let state = pane.path("state/agents/U");
    pane.start(&Launch { state: Some(state.clone()), ..pane.launch(&["true"]) });
    assert_eq!(std::fs::metadata(state).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn setup_runs_once_when_it_succeeds() {
    let pane = Pane::new();
    let setup = Some(pane.setup(&["echo $FLEET_NAME >> done", "echo two >> done"], 20));
    let launch = Launch { setup, ..pane.launch(&["cat", "done"]) };
    assert_eq!(text(&pane.start(&launch)), "shop\ntwo\n");
    assert_eq!(text(&pane.start(&launch)), "shop\ntwo\n");
}

#[test]
fn a_failing_setup_keeps_the_program_from_starting_and_runs_again_as_a_whole() {
    let pane = Pane::new();
    let setup = Some(pane.setup(&["echo one >> done", "exit 3", "echo three >> done"], 20));
    let launch = Launch { setup, ..pane.launch(&["touch", "ran"]) };
    for expected in ["one\n", "one\none\n"] {
        let ended = pane.start(&launch);
        assert_eq!(ended.status.code(), Some(125));
        let (reason, message) = pane.failure().unwrap();
        assert_eq!(reason, LaunchFailureReason::Setup);
        assert_eq!(message, "setup failed: `exit 3` exited with status 3");
        assert_eq!(std::fs::read_to_string(pane.path("work/done")).unwrap(), expected);
    }
    assert!(!pane.path("work/ran").exists());
}

#[test]
fn a_setup_that_runs_out_of_time_ends_with_all_its_children() {
    let pane = Pane::new();
    // A child that ignores TERM and holds the pipe open: only its death ends the wait for output.
    let stubborn = "trap '' TERM; (trap '' TERM; sleep 1000) & sleep 1000";
    let launch = Launch { setup: Some(pane.setup(&[stubborn], 1)), ..pane.launch(&["true"]) };
    let begun = Instant::now();
    let ended = pane.start(&launch);
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!(ended.status.code(), Some(125));
    assert!(pane.failure().unwrap().1.contains("did not answer within 1 s"));
}

#[test]
fn untracked_files_are_brought_and_listed_with_their_digests() {
    let pane = Pane::new();
    let untracked = [".env", "conf/local.yml", "conf/other", "node_modules/a/index.js", "new/x"];
    let copy = [".env", "conf/*.yml", "new"];
    let bring = pane.bring(&untracked, &copy, &["node_modules"]);
    std::fs::set_permissions(pane.path("main/.env"), PermissionsExt::from_mode(0o600)).unwrap();
    let list = bring.list.clone();
    let ended = pane.start(&Launch { bring: Some(bring), ..pane.launch(&["true"]) });
    assert!(ended.status.success(), "{}", ended.stderr);
    let read = |path: &str| std::fs::read_to_string(pane.path("work").join(path)).ok();
    assert_eq!(read(".env").as_deref(), Some(".env"));
    assert_eq!(read("conf/local.yml").as_deref(), Some("conf/local.yml"));
    assert_eq!(read("new/x").as_deref(), Some("new/x"));
    assert_eq!((read("conf/other"), read("tracked")), (None, None));
    let modules = std::fs::read_link(pane.path("work/node_modules")).unwrap();
    assert_eq!(modules, pane.path("main/node_modules"));
    let mode = std::fs::metadata(pane.path("work/.env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let brought = read_list(&list).unwrap();
    let names: Vec<&str> = brought.keys().map(String::as_str).collect();
    assert_eq!(names, [".env", "conf/local.yml", "new/x", "node_modules"]);
    assert_eq!(brought["node_modules"], format!("link:{}", modules.display()));
    assert!(brought[".env"].starts_with("sha256:") && brought[".env"].len() == 71);
    assert!(!pane.path("work/..env.fleetctl-part").exists());
}

#[test]
fn the_repositorys_own_list_of_files_to_bring_is_obeyed() {
    let pane = Pane::new();
    let bring = pane.bring(&[".env", "deep/down/.env", "other"], &[], &[]);
    write(&pane.path("main/.worktreeinclude"), "# secrets\n.env\n!deep/down/.env\n");
    pane.start(&Launch { bring: Some(bring), ..pane.launch(&["true"]) });
    assert!(pane.path("work/.env").exists());
    assert!(!pane.path("work/deep").exists() && !pane.path("work/other").exists());
}

#[test]
fn what_exists_is_never_written_over_nor_through_a_link() {
    let pane = Pane::new();
    let bring = pane.bring(&[".env", "conf/a", "side/b"], &[".env", "conf/*", "side/*"], &[]);
    write(&pane.path("work/.env"), "mine");
    std::fs::create_dir(pane.path("outside")).unwrap();
    std::os::unix::fs::symlink(pane.path("outside"), pane.path("work/conf")).unwrap();
    let list = bring.list.clone();
    pane.start(&Launch { bring: Some(bring), ..pane.launch(&["true"]) });
    assert_eq!(std::fs::read_to_string(pane.path("work/.env")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(pane.path("outside")).unwrap().count(), 0);
    let brought = read_list(&list).unwrap();
    assert_eq!(brought.keys().collect::<Vec<_>>(), ["side/b"]);
}

#[test]
fn repositories_inside_the_main_worktree_are_not_walked_into() {
    let pane = Pane::new();
    let untracked = [".trees/x/.env", "plain/.env"];
    let bring = pane.bring(&untracked, &["**/.env"], &[]);
    write(&pane.path("main/.trees/x/.git"), "gitdir: /nowhere\n");
    pane.start(&Launch { bring: Some(bring), ..pane.launch(&["true"]) });
    assert!(pane.path("work/plain/.env").exists());
    assert!(!pane.path("work/.trees").exists());
}

#[test]
fn files_that_cannot_be_listed_are_reported() {
    let pane = Pane::new();
    let files = Files { copy: vec![".env".to_owned()], link: Vec::new() };
    let bring = Bring { from: pane.path("work"), files, list: pane.path("state/list") };
    let ended = pane.start(&Launch { bring: Some(bring), ..pane.launch(&["true"]) });
    assert_eq!(ended.status.code(), Some(125));
    assert_eq!(pane.failure().unwrap().0, LaunchFailureReason::Files);
}
