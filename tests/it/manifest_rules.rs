//! The rules of a manifest, each broken once: code, line, column and the words that help.

use crate::manifest::{Memory, check, fleet_of, load_with, loaded, reports, told};

fn as_is(text: &str) -> String {
    text.to_owned()
}

/// A whole file whose sessions are of no interest; the case begins on line 4.
fn top(text: &str) -> String {
    format!(
        "version: 1\nfleet: shop\nsessions: {{a: {{command: x}}, b: {{agent: claude}}}}\n{text}"
    )
}

#[test]
fn the_top_level_is_checked() {
    check(
        r#"
yaml::document 1:1 | empty & version: 1 | 
yaml::document 1:1 | empty | # nothing⏎
field::type 1:3 | a manifest is a map, not a list | - a⏎
field::missing 1:1 | `version` is missing | fleet: a⏎sessions: {}
field::unknown 3:1 | did you mean `sessions`? | version: 1⏎fleet: a⏎sesions: {}
field::missing 1:1 | `fleet` is missing | version: 1⏎sessions: {}
field::missing 1:1 | `sessions` is missing & sessions: {} | version: 1⏎fleet: a
field::empty 3:1 | `sessions` has no value | version: 1⏎fleet: a⏎sessions:
version::unknown 1:10 | version: 1 | version: 2⏎fleet: a⏎sessions: {}
name::invalid 2:8 | a-z & did you mean `a-b`? | version: 1⏎fleet: A_b⏎sessions: {}
name::invalid 2:9 | a-z & fix-login | version: 1⏎fleet: "+"⏎sessions: {}
yaml::syntax 4:1 | a tab in the indentation & spaces only | version: 1⏎fleet: a⏎sessions:⏎	b: {command: x}
variable::not-here 2:8 | no variables | version: 1⏎fleet: a${x}⏎sessions: {}
yaml::document 1:1 | one document | version: 1⏎fleet: a⏎sessions: {}⏎---⏎version: 1
"#,
        as_is,
    );
    check(
        r#"
field::unknown 4:1 | unknown field `sesions` & did you mean `sessions`? | sesions: {}
field::value 4:8 | below 1024 & 41000-41999 | ports: 80-90
field::value 4:8 | begins after its end | ports: 41999-41000
field::value 4:8 | no range of ports & `ports: 41000-41999` | ports: 41000
field::value 4:8 | no range | ports: 41000-70000
field::type 4:8 | `ports` must be text, not a list | ports: [41000]
field::unknown 4:1 | not have it yet | notify: []
field::unknown 4:1 | not have it yet | notify: [x]
field::duration 4:8 | `prune` is no duration & 10m | prune: soon
field::duration 4:8 | unit | prune: 10
field::value 4:10 | `keep`, `archive` & did you mean `archive`? | at_risk: archiv
field::value 4:14 | from 1 | max_running: 0
field::type 4:14 | must be a number, not text | max_running: many
field::value 4:15 | whole number | max_starting: 1.5
field::unknown 4:8 | did you mean `socket`? | tmux: {sockt: x}
field::type 4:7 | must be a map, not text | tmux: x
field::unknown 4:12 | `each` of `defaults` | defaults: {each: [a]}
field::unknown 4:12 | did you mean `mode | defaults: {modle: x}
field::missing 4:9 | `repos.x.path` is missing | repos: {x: {base: main}}
field::duration 4:29 | fetch | repos: {x: {path: ., fetch: often}}
field::unknown 4:22 | did you mean `base`? | repos: {x: {path: ., bas: often}}
"#,
        top,
    );
}

#[test]
fn the_settings_are_what_was_written() {
    use fleetctl::manifest::fleet::{AtRisk, Prune, Socket};
    let text =
        top("prune: 1h30m\nat_risk: archive\nmax_running: 3\ntmux: {socket: ~/s}\nx-any: {a: 1}");
    let fleet = load_with(&Memory::default().with("fleet.yaml", text), false).unwrap();
    assert_eq!(fleet.settings.prune, Prune::After(std::time::Duration::from_secs(5_400)));
    assert_eq!((fleet.settings.at_risk, fleet.settings.max_running), (AtRisk::Archive, 3));
    assert_eq!(fleet.settings.max_starting, 4);
    assert_eq!(fleet.settings.socket, Socket::Path("/home/u/s".into()));
}

#[test]
fn agents_are_checked() {
    check(
        r#"
field::missing 4:10 | no `extends` & extends: claude | agents: {r: {model: x}}
agent::unknown 4:23 | did you mean `claude`? | agents: {r: {extends: claud}}
agent::extends-cycle 4:23 | r → r | agents: {r: {extends: r}}
agent::extends-cycle 4:40 | r → s → r | agents: {r: {extends: s}, s: {extends: r}}
field::unknown 4:31 | did you mean `model`? | agents: {r: {extends: claude, modl: x}}
agent::mode 4:36 | r has no mode `edits` | agents: {r: {extends: codex, mode: edits}}
field::value 4:36 | `yolo` | agents: {r: {extends: codex, mode: fast}}
field::unknown 4:39 | of `modes` | agents: {r: {extends: claude, modes: {fast: []}}}
field::type 4:37 | must be a list | agents: {r: {extends: claude, args: x}}
variable::not-here 4:41 | session | agents: {r: {extends: claude, command: "${session}"}}
name::invalid 4:10 | another name | agents: {shell: {extends: claude}}
field::type 4:32 | must be a list | agents: {claude: {keys: {quit: x}}}
"#,
        top,
    );
}

#[test]
fn what_begins_and_ends_a_session_is_checked() {
    check(
        r#"
field::unknown 4:29 | did you mean `policy`? | a: {command: x, restart: {polic: always}}
field::value 4:37 | did you mean `always`? | a: {command: x, restart: {policy: allways}}
field::duration 4:36 | 90s | a: {command: x, restart: {first: soon}}
field::duration 4:36 | at least 1s | a: {command: x, restart: {first: 0s}}
field::value 4:46 | less than `first` | a: {command: x, restart: {first: 10m, max: 5m}}
field::type 4:38 | must be a map | a: {command: x, restart: {give_up: 5}}
field::unknown 4:39 | did you mean `starts`? | a: {command: x, restart: {give_up: {start: 5}}}
field::value 4:47 | from 1 | a: {command: x, restart: {give_up: {starts: 0}}}
field::duration 4:47 | 90s | a: {command: x, restart: {give_up: {within: 5}}}
field::missing 4:19 | `ready` does not say by what & screen: | a: {command: x, ready: {timeout: 1m}}
field::type 4:26 | must be a map | a: {command: x, ready: yes}
field::unknown 4:27 | did you mean `screen`? | a: {command: x, ready: {scren: x}}
field::regex 4:36 | no regular expression & unclosed group | a: {command: x, ready: {screen: '('}}
session::conflict 4:44 | exclude each other | a: {command: x, ready: {screen: x, port: 80}}
field::value 4:33 | from 1 to 65535 | a: {command: x, ready: {port: 65536}}
field::value 4:33 | from 1 to 65535 | a: {command: x, ready: {port: 0}}
field::value 4:33 | has no port `web` | a: {command: x, ready: {port: web}}
field::empty 4:37 | is empty | a: {command: x, ready: {command: ''}}
field::duration 4:46 | at least 1s | a: {command: x, ready: {port: 80, timeout: 0s}}
field::unknown 4:32 | did you mean `idle`? | a: {command: x, stop_after: {idl: 1m}}
field::duration 4:37 | at least 1s | a: {command: x, stop_after: {age: 0s}}
session::never-comes 4:32 | never idle & age | a: {command: x, stop_after: {idle: 1m}}
field::value 4:26 | none of `merged` | a: {command: x, until: done}
session::worktree-only 4:19 | `until` needs a worktree | a: {command: x, until: merged, worktree: false}
session::worktree-only 5:19 | `until` belongs | b: {command: x}⏎a: {command: x, until: merged, worktree: b}
"#,
        fleet_of,
    );
}

#[test]
fn what_never_comes_is_not_waited_for() {
    check(
        r#"
session::unknown 4:33 | did you mean `bc`? | bc: {command: x, depends_on: {b: ready}}
session::unknown 4:32 | no session `b` | a: {command: x, depends_on: {b: started}}
field::value 5:35 | did you mean `ready`? | b: {command: x}⏎a: {command: x, depends_on: {b: redy}}
session::dependency-cycle 4:32 | depends on itself | a: {command: x, depends_on: {a: completed}}
session::never-comes 5:32 | has no `ready` | b: {command: x}⏎a: {command: x, depends_on: {b: ready}}
session::never-comes 5:32 | never idle | b: {command: x}⏎a: {command: x, depends_on: {b: idle}}
session::never-comes 5:32 | `restart: always` | b: {command: x, restart: always}⏎a: {command: x, depends_on: {b: completed}}
session::never-comes 5:32 | ever merged | b: {command: x, worktree: false}⏎a: {command: x, depends_on: {b: merged}}
session::dependency-cycle 4:32 | a → b → a | a: {command: x, depends_on: {b: completed}}⏎b: {command: x, depends_on: {a: completed}}
"#,
        fleet_of,
    );
}

#[test]
fn session_fields_are_checked() {
    check(
        r#"
name::invalid 4:3 | `A` is no name of a session | A: {command: x}
field::empty 4:3 | `sessions.a` has no value & indent | a:
field::missing 4:3 | neither `agent` nor `command` | a: {}
field::unknown 4:7 | did you mean `agent`? | a: {agnt: x, command: x}
field::unknown 4:19 | not have it yet | a: {command: x, notify: []}
field::type 4:29 | must be text, not a list | a: {command: x, restart: [always]}
field::value 4:28 | did you mean `always`? | a: {command: x, restart: allways}
agent::unknown 4:14 | did you mean `claude`? | a: {agent: claud}
agent::unknown 4:14 | built in are claude, codex | a: {agent: zzz}
session::conflict 4:22 | exclude each other & wrap | a: {agent: claude, command: x}
session::conflict 4:33 | exclude | a: {agent: claude, prompt: x, prompt_file: y}
field::empty 4:31 | `prompt` is empty | a: {agent: claude, prompt: ''}
field::type 4:31 | must be text, not a list | a: {agent: claude, prompt: [x]}
file::unreadable 4:35 | no such file | a: {agent: claude, prompt_file: no.md}
field::value 4:40 | `ignore`, `restart` | a: {agent: claude, on_prompt_change: send}
field::value 4:28 | `plan` | a: {agent: claude, mode: fast}
agent::mode 4:27 | codex has no mode `edits` | a: {agent: codex, mode: edits}
field::value 4:21 | aider takes no prompt | a: {agent: aider, prompt: hi}
session::agent-only 4:19 | `prompt` is for agents | a: {command: x, prompt: hi}
session::agent-only 4:21 | `mode` is for agents | a: {agent: shell, mode: plan}
session::agent-only 4:19 | `resume` | a: {command: x, resume: never}
field::empty 4:16 | names no program | a: {command: []}
field::type 4:17 | must be text, not a map | a: {command: {run: x}}
name::invalid 4:25 | variable | a: {command: x, env: {1A: x}}
name::invalid 4:25 | fleetctl's own | a: {command: x, env: {FLEET_X: x}}
field::type 4:29 | must be text | a: {command: x, env: {A: [x]}}
field::type 4:25 | must be a map, not a list | a: {command: x, env: [A=b]}
repo::unknown 4:25 | unknown repository `nope` | a: {command: x, repo: nope}
field::value 4:24 | leads out of the worktree | a: {command: x, cwd: ../b}
field::value 4:24 | leads out | a: {command: x, cwd: /b}
field::value 4:24 | leads out & `~` | a: {command: x, cwd: ~/b}
name::invalid 4:27 | no name of a branch | a: {command: x, branch: a b}
session::worktree-only 4:36 | `branch` needs a worktree | a: {command: x, worktree: false, branch: b}
session::worktree-only 4:36 | `setup` | a: {command: x, worktree: false, setup: b}
session::worktree-only 4:36 | `files` | a: {command: x, worktree: false, files: {copy: [b]}}
session::worktree-only 4:36 | `base` | a: {command: x, worktree: false, base: b}
field::glob 4:35 | holds no glob | a: {command: x, files: {copy: ['[']}}
field::glob 4:34 | leads out | a: {command: x, files: {copy: [../x]}}
field::unknown 4:27 | unknown field `move` | a: {command: x, files: {move: [x]}}
field::missing 4:27 | `setup.run` is missing | a: {command: x, setup: {timeout: 1m}}
field::duration 4:44 | `setup.timeout` | a: {command: x, setup: {run: y, timeout: 1}}
field::unknown 4:30 | did you mean `run`? | a: {command: x, teardown: {runn: y, run: z}}
field::value 4:26 | `running`, `stopped` | a: {command: x, state: paused}
field::value 4:30 | `manual` | a: {command: x, on_change: later}
field::type 4:28 | true or false, not text | a: {command: x, protect: yes}
field::type 4:29 | true or false | a: {command: x, protect: 'true'}
field::value 4:30 | `required` | a: {agent: claude, resume: always}
name::invalid 4:29 | label | a: {command: x, labels: {'a=b': c}}
field::empty 4:28 | `labels` has no value | a: {command: x, labels: {a: }}
field::type 4:31 | must be a list & write `[a, b]` | a: {command: x, depends_on: b}
field::empty 4:19 | `env_file` has no value | a: {command: x, env_file: }
"#,
        fleet_of,
    );
}

#[test]
fn variables_are_checked_at_their_place() {
    check(
        r#"
variable::unknown 4:22 | did you mean `session`? | a: {command: 'echo ${sesion}'}
variable::unknown 4:22 | `a` has no port `web` & `ports: [web]` | a: {command: 'echo ${port.web}'}
variable::unknown 4:22 | unknown variable `${port}` | a: {command: 'echo ${port}'}
variable::unknown 7:12 | capitals | a:⏎  command: |⏎    one⏎    echo ${foo}
variable::not-here 4:30 | not known here yet | a: {command: x, branch: 'b-${worktree}'}
variable::not-here 4:19 | only in values of `env` | a: {command: 'x ${env.HOME}'}
variable::not-here 4:19 | needs `each` | a: {command: 'x ${each}'}
variable::not-here 4:5 | needs `each` | a-${each}: {command: x}
session::unknown 4:19 | no session `b` | a: {command: 'x ${sessions.b.branch}'}
variable::unknown 4:19 | `a` has no port `web` | a: {command: 'x ${sessions.a.port.web}'}
variable::unknown 4:19 | sessions.a.prt.web | a: {command: 'x ${sessions.a.prt.web}'}
variable::not-here 4:17 | no branch | a: {command: '${sessions.b.branch}'}⏎b: {command: x, branch: none}
variable::unknown 4:3 | each.id | ${each.id}: {command: x, each: [{id: a}, {name: b}]}
variable::not-here 4:5 | each.KEY | a-${each}: {command: x, each: [{id: a}]}
"#,
        fleet_of,
    );
}

#[test]
fn ports_are_checked() {
    let pooled =
        |text: &str| fleet_of(text).replace("fleet: shop", "fleet: shop\nports: 41000-41999");
    check(
        r#"
field::type 5:26 | `ports` must be a list & write `[a, b]` | a: {command: x, ports: web}
session::same-name 5:32 | two ports are called `web` | a: {command: x, ports: [web, web]}
name::invalid 5:27 | `80` is no name of a port & a letter | a: {command: x, ports: [80]}
name::invalid 5:27 | `A_b` is no name | a: {command: x, ports: [A_b]}
variable::unknown 5:43 | did you mean `web`? | a: {command: x, ports: [web], env: {A: '${port.wb}'}}
variable::unknown 6:17 | `a` has no port `db` | a: {command: x, ports: [web]}⏎b: {command: '${sessions.a.port.db}'}
variable::not-here 5:44 | not known here yet | a: {command: x, ports: [web], branch: 'b-${port.web}'}
"#,
        pooled,
    );
    check(
        "\nfield::missing 4:19 | no ports to give & 41000-41999 | a: {command: x, ports: [web]}\n",
        fleet_of,
    );
    let text = pooled("defaults: {}\na: {command: 'x ${port.web}', ports: [web, db]}")
        .replace("  defaults: {}\n", "");
    let fleet = load_with(&Memory::default().with("fleet.yaml", text), false).unwrap();
    let pool = fleet.settings.ports.unwrap();
    assert_eq!((pool.first, pool.last), (41_000, 41_999));
    let a = &fleet.sessions[0];
    assert_eq!(a.ports, ["web", "db"]);
    assert_eq!(a.applied.in_place["ports"], r#"["web","db"]"#);
    assert_eq!(a.applied.restart["command"], "x ${port.web}");
}

#[test]
fn each_is_checked() {
    check(
        r#"
name::invalid 4:3 | a-${each.slug} | a: {command: x, each: [b]}
field::type 4:38 | a list or a map, not text | a-${each.slug}: {command: x, each: b}
field::value 4:39 | `lines` or `files` | a-${each.slug}: {command: x, each: {line: b}}
file::unreadable 4:46 | /m/no.txt & no such file | a-${each.slug}: {command: x, each: {lines: no.txt}}
field::glob 4:47 | leads out | a-${each.slug}: {command: x, each: {files: '/x/*'}}
each::same-slug 4:39 | `b c` and `b-c` & `b-c` | a-${each.slug}: {command: x, each: [b c, b-c]}
name::invalid 4:40 | no letter or digit | a-${each.slug}: {command: x, each: ['!']}
session::same-name 4:3 | `a-b` | a-${each.k}: {command: x, each: [{k: b, n: 1}, {n: 2, k: b}]}
session::same-name 5:3 | `a-b` | a-${each}: {command: x, each: [b]}⏎a-b: {command: y}
"#,
        fleet_of,
    );
}

#[test]
fn sessions_are_checked_against_each_other() {
    let a = "a: {command: x}\n";
    let with_a = |text: &str| fleet_of(&format!("{a}{text}"));
    check(
        r#"
session::unknown 5:32 | no session `c` | b: {command: x, depends_on: [c]}
session::unknown 5:33 | did you mean `bc`? | bc: {command: x, depends_on: [b]}
session::dependency-cycle 5:32 | `b` depends on itself | b: {command: x, depends_on: [b]}
session::dependency-cycle 5:32 | b → c → b | b: {command: x, depends_on: [c]}⏎c: {command: x, depends_on: [b]}
session::dependency-cycle 5:32 | b → c → b & owner | b: {command: x, depends_on: [c]}⏎c: {command: x, worktree: b}
session::unknown 5:29 | no session `c` | b: {command: x, worktree: c}
field::value 5:29 | the name of a session | b: {command: x, worktree: A/b}
session::shared-worktree 6:29 | worktree: a | b: {command: x, worktree: a}⏎c: {command: x, worktree: b}
session::shared-worktree 6:29 | no worktree to share | b: {command: x, worktree: false}⏎c: {command: x, worktree: b}
session::shared-worktree 5:32 | mode: plan | b: {agent: claude, worktree: a}
session::shared-worktree 5:44 | mode: plan | b: {agent: claude, mode: auto, worktree: a}
session::worktree-only 5:32 | belongs to the session | b: {command: x, worktree: a, branch: y}
session::two-writers 6:31 | `b` and `c` | b: {agent: claude, worktree: false}⏎c: {agent: codex, worktree: false}
session::same-branch 5:27 | `a` and `b` & worktree: NAME | b: {command: x, branch: shop/a}
"#,
        with_a,
    );
}

#[test]
fn agents_that_only_plan_may_share_and_crowd() {
    loaded(
        "a: {agent: claude}\nb: {agent: claude, mode: plan, worktree: a}\nc: {command: x, worktree: a}\n\
         d: {agent: claude, worktree: false}\ne: {agent: codex, mode: plan, worktree: false}\n\
         f: {agent: shell, worktree: false}",
    );
}

#[test]
fn renames_and_removals_do_not_contradict_the_file() {
    check(
        r#"
session::unknown 4:23 | no session `c` | moved: [{from: x, to: c}]
moved::contradiction 4:16 | `a` is moved away and still a session | moved: [{from: a, to: b}]
moved::contradiction 4:23 | to itself | moved: [{from: a, to: a}]
moved::contradiction 4:34 | moved twice | moved: [{from: x, to: a}, {from: x, to: b}]
moved::contradiction 4:41 | two sessions are moved to `a` | moved: [{from: x, to: a}, {from: y, to: a}]
field::missing 4:10 | `moved[].to` is missing | moved: [{from: x}]
field::type 4:9 | must be a list, not a map | moved: {x: a}
field::unknown 4:26 | unknown field `too` | moved: [{from: x, to: a, too: b}]
name::invalid 4:16 | a-z | moved: [{from: X, to: a}]
moved::contradiction 4:21 | `a` is removed and still a session | removed: [{session: a}]
moved::contradiction 4:35 | removed twice | removed: [{session: x}, {session: x}]
moved::contradiction 5:21 | both moved and removed | moved: [{from: x, to: a}]⏎removed: [{session: x}]
field::type 4:30 | true or false | removed: [{session: x, keep: sure}]
"#,
        top,
    );
    let swap =
        top("moved: [{from: a, to: b}, {from: b, to: a}]\nremoved: [{session: x, keep: true}]");
    let fleet = load_with(&Memory::default().with("fleet.yaml", swap), false).unwrap();
    assert_eq!((fleet.moved.len(), fleet.removed[0].keep), (2, true));
}

#[test]
fn all_problems_are_told_at_once_and_each_once() {
    let text = "version: 1\nfleet: shop\nprune: x\ndefaults: {mode: fast, agnt: y}\nsessions:\n  a: {agent: claude}\n  \
                b: {agent: nope}\n  c: {command: x, repo: r}\n  d: {agent: codex}\n";
    let told: Vec<String> = reports(text)
        .iter()
        .map(|report| told(report).split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        told,
        [
            "field::duration 3:8",
            "field::value 4:18",
            "field::unknown 4:24",
            "agent::unknown 7:14",
            "repo::unknown 8:25",
        ]
    );
}

#[test]
fn limits_hold() {
    let many: String = (0..5_001).map(|n| format!("  s{n}: {{command: x}}\n")).collect();
    let told = |text: String| -> Vec<&'static str> {
        reports(text).iter().map(|report| report.code).collect()
    };
    assert_eq!(told(format!("version: 1\nfleet: a\nsessions:\n{many}")), ["limit"]);
    let long = "p".repeat((96 << 10) + 1);
    assert_eq!(told(fleet_of(&format!("a: {{agent: claude, prompt: {long}}}"))), ["limit"]);
    assert_eq!(
        told(format!("{}{}", fleet_of("a: {command: x}"), "#".repeat(4 << 20))),
        ["file::size"]
    );
    let deep = "[".repeat(200);
    assert_eq!(told(format!("x-a: {deep}{}", "]".repeat(200))), ["yaml::limit"]);
    let files = Memory::default()
        .with("fleet.yaml", fleet_of("a: {agent: claude, prompt_file: p}"))
        .with("p", &long);
    let problems = load_with(&files, false).unwrap_err();
    assert!(problems.problems[0].message.contains("larger than 96 KiB"), "{:?}", problems.problems);
}
