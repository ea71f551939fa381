//! What a good manifest means: defaults, overlays, `each`, classes of changes.

use crate::manifest::{Memory, fleet_of, load_with, loaded, told};
use fleetctl::manifest::fleet::{Fleet, Program, Session, Worktree};
use fleetctl::manifest::template::shown;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn get<'f>(fleet: &'f Fleet, name: &str) -> &'f Session {
    fleet
        .sessions
        .values()
        .find(|session| session.name.as_str() == name)
        .expect("the session is there")
}

fn names(fleet: &Fleet) -> Vec<&str> {
    fleet.sessions.keys().map(fleetctl::name::Name::as_str).collect()
}

fn load(files: &Memory) -> Fleet {
    load_with(files, true).unwrap_or_else(|problems| {
        panic!("{:#?}", problems.reports().iter().map(told).collect::<Vec<_>>())
    })
}

#[test]
fn defaults_merge_maps_replace_the_rest_and_null_unsets() {
    let text = "version: 1\nfleet: shop\ndefaults:\n  agent: claude\n  mode: auto\n  setup: npm ci\n  args: [-a]\n  \
                env: {A: '1', B: '2', C: '3'}\n  labels: {t: web}\n  files: {copy: [x], link: [y]}\nsessions:\n  \
                a: {env: {B: b, C: null}, args: [-b], labels: {u: v}, files: {copy: [z]}}\n  \
                b: {mode: null, setup: null, env: null}\n  c: {command: run, worktree: false}\n  \
                d: {agent: shell}\n";
    let fleet = load(&Memory::default().with("fleet.yaml", text));
    let a = get(&fleet, "a");
    assert_eq!(a.env.iter().map(|(k, v)| format!("{k}{v}")).collect::<String>(), "A1Bb");
    assert_eq!((a.args.clone(), a.labels.len()), (vec!["-b".to_owned()], 2));
    assert_eq!((&a.files.copy[0][..], &a.files.link[0][..]), ("z", "y"));
    let b = get(&fleet, "b");
    assert!(b.mode.is_none() && b.setup.is_none() && b.env.is_empty());
    // What is for agents or needs a worktree does not reach a shell in the repository.
    let c = get(&fleet, "c");
    assert_eq!(c.program, Program::ShellCommand("run".to_owned()));
    assert!(c.mode.is_none() && c.args.is_empty() && c.setup.is_none() && c.files.copy.is_empty());
    assert_eq!(get(&fleet, "d").program, Program::Shell);
    assert!(get(&fleet, "d").setup.is_some());
}

#[test]
fn the_local_file_is_laid_over_and_problems_point_into_it() {
    let main = "version: 1\nfleet: shop\nmax_running: 2\nsessions:\n  a: {agent: claude, model: opus, prompt: x}\n  b: {command: y}\n  c: {command: z}\n";
    let files = || Memory::default().with("fleet.yaml", main);
    let local = "max_running: 9\nsessions:\n  a: {model: sonnet, prompt_file: p.md}\n  b: null\n  d: {command: w}\n";
    let both = files().with("fleet.local.yaml", local).with("p.md", "from ${x} file\n");
    let fleet = load(&both);
    assert_eq!(names(&fleet), ["a", "c", "d"]);
    assert_eq!(fleet.settings.max_running, 9);
    let a = get(&fleet, "a");
    assert_eq!((a.model.as_deref(), a.prompt.as_deref()), (Some("sonnet"), Some("from ${x} file")));
    assert_eq!(fleet.sources.len(), 2);
    let read = ["/m/fleet.local.yaml", "/m/fleet.yaml", "/m/p.md"].map(PathBuf::from);
    assert_eq!(fleet.reads.files, BTreeSet::from(read));
    let alone = load_with(&both, false).unwrap();
    assert_eq!((names(&alone), alone.sources.len()), (vec!["a", "b", "c"], 1));
    assert_ne!(alone.digest, fleet.digest);

    let wrong = files().with("fleet.local.yaml", "sessions:\n  a: {mode: fast}\n  zz: {}\n");
    let reports = load_with(&wrong, true).unwrap_err().reports();
    let found: Vec<_> =
        reports.iter().map(|r| (r.file.as_deref(), r.code, r.line, r.column)).collect();
    let file = Some("/m/fleet.local.yaml");
    assert_eq!(
        found,
        [(file, "field::value", Some(2), Some(13)), (file, "field::missing", Some(3), Some(3))]
    );
    let labels = fleet_of("a: {command: x, labels: {agent: b}, env: {prompt: c}}");
    let local = "sessions: {a: {agent: codex, labels: {command: d}, env: {prompt_file: e}}}";
    let both = Memory::default().with("fleet.yaml", labels).with("fleet.local.yaml", local);
    let a = &load(&both).sessions[0];
    assert_eq!((a.labels.len(), a.env.len(), a.is_shell()), (2, 2, false));
    let empty = load(&files().with("fleet.local.yaml", "# nothing yet\n"));
    assert_eq!(names(&empty), ["a", "b", "c"]);
}

#[test]
fn each_makes_a_session_for_every_entry_line_and_file() {
    let files = Memory::default()
        .with(
            "fleet.yaml",
            fleet_of(
                "l-${each.slug}: {each: {lines: l.txt}, agent: claude, prompt: 'Fix ${each}'}\n\
                 f-${each.name}: {each: {files: 'src/*.rs'}, command: 'cat ${each} ${each.path}'}\n\
                 m-${each.id}: {each: [{id: 7, dir: web}], command: x, cwd: '${each.dir}', branch: 'b/${each.slug}'}\n\
                 p-${each}: {each: [1, 2], command: x, depends_on: ['f-a']}",
            ),
        )
        .with("l.txt", "# list\n t::One \n\nt::two\n")
        .with("src/a.rs", "")
        .with("src/deep/b.rs", "");
    let fleet = load(&files);
    assert_eq!(names(&fleet), ["l-t-one", "l-t-two", "f-a", "m-7", "p-1", "p-2"]);
    assert!(fleet.reads.files.contains(Path::new("/m/l.txt")), "{:?}", fleet.reads);
    let listed: Vec<_> = fleet.reads.directories.iter().collect();
    assert_eq!(listed, [Path::new("/m/src")]);
    assert_eq!(get(&fleet, "l-t-one").prompt.as_deref(), Some("Fix t::One"));
    assert_eq!(
        get(&fleet, "f-a").program,
        Program::ShellCommand("cat src/a.rs /m/src/a.rs".to_owned())
    );
    let m = get(&fleet, "m-7");
    assert_eq!(m.cwd, Path::new("web"));
    assert_eq!(m.worktree, Worktree::Own { branch: Some("b/7".to_owned()), base: None });
}

#[test]
fn late_variables_are_left_for_the_launch() {
    let fleet = loaded(
        "a: {command: 'echo ${worktree} ${HOME} ${sessions.b.branch}', env: {X: '${env.HOME}/${session}'}}\nb: {command: x}",
    );
    let a = get(&fleet, "a");
    let Program::ShellCommand(text) = &a.program else { panic!() };
    assert_ne!(text, "echo ${worktree} ${HOME} ${sessions.b.branch}");
    assert_eq!(shown(text), "echo ${worktree} ${HOME} ${sessions.b.branch}");
    assert_eq!(shown(&a.env["X"]), "${env.HOME}/a");
    assert_eq!(a.applied.restart["command"], "echo ${worktree} ${HOME} ${sessions.b.branch}");
    let filled = fleetctl::manifest::template::late(text, &|name| Some(format!("<{name}>")));
    assert_eq!(filled, "echo <worktree> ${HOME} <sessions.b.branch>");
}

#[test]
fn the_repository_is_the_one_that_holds_the_manifest_unless_another_is_named() {
    let text = "version: 1\nfleet: shop\nrepos:\n  up: {path: .., base: dev}\n  here: {path: ./, fetch: never}\n  other: {path: ~/o}\n\
                sessions:\n  a: {command: x}\n  b: {command: x, repo: here}\n  c: {command: x, repo: other}\n  \
                d: {command: x, repo: up}\n  s: {command: x, worktree: c}\n";
    let fleet = load(&Memory::default().with("fleet.yaml", text));
    let a = get(&fleet, "a");
    assert_eq!((a.repo.path.as_path(), a.repo.fetch), (Path::new("/m"), None));
    assert_eq!(
        get(&fleet, "b").applied,
        a.applied,
        "naming the default repository changes nothing"
    );
    let c = get(&fleet, "c");
    assert_eq!(c.repo.path, Path::new("/home/u/o"));
    assert_eq!(c.applied.recreate["repo"], "~/o");
    assert_eq!(get(&fleet, "d").repo.path, Path::new("/"));
    assert_eq!(get(&fleet, "s").repo, c.repo, "a sharer works where its owner does");
}

/// The classes in which two manifests differ, for a session whose text is changed.
fn classes(before: &str, after: &str) -> Vec<&'static str> {
    let of = |text: &str| {
        let other = "other: {command: x}";
        let fleet = loaded(&format!("a: {{{text}}}\n{other}"));
        get(&fleet, "a").applied.clone()
    };
    let (a, b) = (of(before), of(after));
    let all = [
        ("restart", a.restart != b.restart),
        ("recreate", a.recreate != b.recreate),
        ("in place", a.in_place != b.in_place),
        ("noted", a.noted != b.noted),
    ];
    assert_eq!(a.restart == b.restart, a.spec == b.spec);
    all.into_iter().filter_map(|(class, differs)| differs.then_some(class)).collect()
}

#[test]
fn every_field_is_in_the_class_of_what_its_change_causes() {
    let agent = "agent: claude";
    for (more, class) in [
        ("", vec![]),
        (", model: opus", vec!["restart"]),
        (", mode: plan", vec!["restart"]),
        (", args: [-x]", vec!["restart"]),
        (", wrap: [nice]", vec!["restart"]),
        (", env: {A: b}", vec!["restart"]),
        (", env_file: .env", vec!["restart"]),
        (", cwd: sub", vec!["restart"]),
        (", cwd: ./", vec![]),
        (", worktree: false", vec!["recreate"]),
        (", branch: x", vec!["recreate"]),
        (", branch: none", vec!["recreate"]),
        (", branch: shop/a", vec![]),
        (", base: dev", vec!["noted"]),
        (", prompt: hi", vec!["noted"]),
        (", prompt: hi, on_prompt_change: restart", vec!["restart", "in place"]),
        (", setup: make", vec!["noted"]),
        (", files: {copy: [x]}", vec!["noted"]),
        (", teardown: make", vec!["in place"]),
        (", restart: always", vec!["in place"]),
        (", restart: on-failure", vec![]),
        (", depends_on: [other]", vec!["in place"]),
        (", depends_on: {other: started}", vec!["in place"]),
        (", restart: {policy: always, first: 1m}", vec!["in place"]),
        (", restart: {first: 10s, give_up: {starts: 5, within: 30m}}", vec![]),
        (", restart: {give_up: {starts: 3}}", vec!["in place"]),
        (", ready: {screen: ok, timeout: 1m}", vec!["in place"]),
        (", ready: {port: 80, timeout: 5m}", vec!["in place"]),
        (", ready: {command: 'true'}", vec!["in place"]),
        (", stop_after: {idle: 1h, age: 2d}", vec!["in place"]),
        (", until: merged", vec!["in place"]),
        (", on_change: now", vec!["in place"]),
        (", on_change: idle", vec![]),
        (", protect: true", vec!["in place"]),
        (", protect: false", vec![]),
        (", resume: never", vec!["in place"]),
        (", labels: {a: b}", vec!["in place"]),
        (", state: stopped", vec![]),
    ] {
        assert_eq!(classes(agent, &format!("{agent}{more}")), class, "{more}");
    }
    assert_eq!(classes("command: x", "command: [x]"), ["restart"]);
    assert_eq!(classes("agent: claude", "agent: codex"), ["restart"]);
}

#[test]
fn what_begins_and_ends_a_session_is_read() {
    use fleetctl::manifest::fleet::{Backoff, Need, Port, Probe, Restart, StopAfter, Until};
    let seconds = std::time::Duration::from_secs;
    let text = "version: 1\nfleet: shop\ndefaults:\n  restart: {first: 20s, reset: 1m}\n  \
                stop_after: {idle: 10m, age: 8h}\n  until: merged\nsessions:\n  \
                a: {agent: claude, restart: {policy: always, first: 30s, give_up: {starts: 2}}, stop_after: {age: null}}\n  \
                b: {command: x, worktree: a, ready: {port: 8080}, depends_on: {a: idle, d: merged}}\n  \
                c: {command: x, restart: never, until: null, ready: {screen: '^up', timeout: 20s}, depends_on: [a]}\n  \
                d: {agent: shell, restart: {first: 10m}}\n";
    let fleet = load(&Memory::default().with("fleet.yaml", text));
    let a = get(&fleet, "a");
    let usual = Backoff::default();
    assert_eq!(a.restart, Restart::Always);
    let wanted = Backoff { first: seconds(30), reset: seconds(60), starts: 2, ..usual.clone() };
    assert_eq!(a.backoff, wanted);
    assert_eq!(a.stop_after, StopAfter { idle: Some(seconds(600)), age: None });
    assert_eq!(a.until, Some(Until::Merged));
    let b = get(&fleet, "b");
    assert_eq!(b.stop_after, StopAfter { idle: None, age: Some(seconds(28_800)) });
    assert_eq!(b.until, None, "it has no worktree of its own");
    let ready = b.ready.as_ref().expect("it says so");
    assert_eq!(ready.probe, Probe::Port(Port::Number(8_080)));
    assert_eq!(ready.timeout, seconds(300));
    let needs: Vec<_> = b.depends_on.iter().map(|d| (d.on.as_str(), d.need)).collect();
    assert_eq!(needs, [("a", Need::Idle), ("d", Need::Merged)]);
    let c = get(&fleet, "c");
    assert_eq!((c.restart, c.until, &c.backoff), (Restart::Never, None, &usual));
    assert_eq!(c.depends_on[0].need, Need::Started);
    assert_eq!(c.ready.as_ref().map(|ready| ready.timeout), Some(seconds(20)));
    // A longer first wait takes the longest along.
    assert_eq!(get(&fleet, "d").backoff.max, seconds(600));
}

#[test]
fn values_of_env_are_kept_as_digests_only() {
    let fleet = loaded(
        "a: {agent: claude, env: {TOKEN: hunter2}, model: ${A}}".replace("${A}", "opus").as_str(),
    );
    let applied = &get(&fleet, "a").applied;
    let digest = &applied.restart["env.TOKEN"];
    assert!(digest.starts_with('#') && digest.len() == 13, "{digest}");
    assert!(!format!("{applied:?}").contains("hunter2"));
    assert!(applied.spec.as_ref().unwrap().0.starts_with("1:"));
}

#[test]
fn an_own_profile_is_built_on_another_and_only_what_the_user_wrote_is_kept() {
    let text = "version: 1\nfleet: shop\nagents:\n  base: {extends: claude, command: my-claude, unset: [X], modes: {auto: [--a], plan: {args: [--p], env: {K: secret}}}}\n  \
                reviewer: {extends: base, model: opus, mode: plan, args: [-v], keys: {quit: [C-d]}}\n  claude: {model: haiku}\n\
                sessions:\n  r: {agent: reviewer}\n  c: {agent: claude}\n  o: {agent: codex}\n";
    let fleet = load(&Memory::default().with("fleet.yaml", text));
    let r = get(&fleet, "r");
    let Program::Agent(profile) = &r.program else { panic!() };
    assert_eq!((profile.name.as_str(), profile.builtin.as_str()), ("reviewer", "claude"));
    assert_eq!((profile.command.as_str(), profile.args[0].as_str()), ("my-claude", "-v"));
    assert_eq!(profile.default_model.as_deref(), Some("opus"));
    assert_eq!(profile.keys.quit, ["C-d"]);
    assert_eq!(r.applied.parting.quit, ["C-d"]);
    let keys: Vec<&str> = r.applied.restart.keys().map(String::as_str).collect();
    assert!(
        keys.contains(&"agents.reviewer.model") && keys.contains(&"agents.base.command"),
        "{keys:?}"
    );
    assert!(!format!("{:?}", r.applied).contains("secret"));
    let Program::Agent(claude) = &get(&fleet, "c").program else { panic!() };
    assert_eq!(
        (claude.default_model.as_deref(), claude.command.as_str()),
        (Some("haiku"), "claude")
    );
    let own = get(&fleet, "o").applied.restart.keys().cloned().collect::<Vec<_>>();
    assert_eq!(own, ["agent"], "built-in data is never kept");
}

#[test]
fn commands_have_three_forms_and_a_limit() {
    let fleet = loaded(
        "a: {command: x, setup: [a, b], teardown: {run: 'down ${worktree}', timeout: 90s}}\nb: {command: x, setup: {run: [c]}}",
    );
    let a = get(&fleet, "a");
    assert_eq!(a.setup.as_ref().unwrap().run, ["a", "b"]);
    assert_eq!(a.setup.as_ref().unwrap().timeout.as_secs(), 600);
    assert_eq!(a.applied.parting.teardown_timeout, 90);
    assert_eq!(shown(&a.applied.parting.teardown[0]), "down ${worktree}");
    assert_eq!(get(&fleet, "b").setup.as_ref().unwrap().run, ["c"]);
}

#[test]
fn anchors_are_shared_text() {
    let text = "version: 1\nfleet: shop\nx-setup: &setup [a, b]\nx-env: &env {A: 1.0}\nsessions:\n  a: {command: x, setup: *setup, env: *env}\n  b: {command: x, setup: *setup, env: *env}\n";
    let fleet = load(&Memory::default().with("fleet.yaml", text));
    assert_eq!(get(&fleet, "a").setup, get(&fleet, "b").setup);
    assert_eq!(get(&fleet, "b").env["A"], "1.0");
}
