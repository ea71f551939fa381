//! Manifests, good and bad: what a good one says, and what is said about a bad one, to the column.

use fleetctl::manifest::files::{FileError, Files};
use fleetctl::manifest::fleet::Fleet;
use fleetctl::manifest::problem::{Problems, Report};
use fleetctl::manifest::{Input, Style, load};
use globset::GlobMatcher;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files in memory, all under `/m`.
#[derive(Default)]
pub struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Memory {
    pub fn with(mut self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.0.insert(Path::new("/m").join(name), text.as_ref().to_vec());
        self
    }
}

impl Files for Memory {
    fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
        let bytes = self.0.get(path).ok_or(FileError::Missing)?;
        Ok(bytes[..bytes.len().min(limit + 1)].to_vec())
    }

    fn glob(&self, base: &Path, glob: &GlobMatcher) -> Result<Vec<PathBuf>, FileError> {
        let below = self.0.keys().filter_map(|path| path.strip_prefix(base).ok());
        Ok(below.filter(|path| glob.is_match(path)).map(Path::to_owned).collect())
    }
}

pub fn load_with(files: &Memory, local: bool) -> Result<Fleet, Problems> {
    let input = Input { path: "/m/fleet.yaml".into(), home: "/home/u".into(), local };
    load(&input, files)
}

fn load_bytes(text: impl AsRef<[u8]>) -> Result<Fleet, Problems> {
    load_with(&Memory::default().with("fleet.yaml", text), true)
}

/// Top level and sessions, so that a case shows only what it is about. The sessions begin on line 4.
pub fn fleet_of(sessions: &str) -> String {
    let indented: String = sessions.lines().map(|line| format!("  {line}\n")).collect();
    format!("version: 1\nfleet: shop\nsessions:\n{indented}")
}

pub fn loaded(sessions: &str) -> Fleet {
    load_bytes(fleet_of(sessions)).unwrap_or_else(|problems| panic!("{}", shown(&problems)))
}

pub fn shown(problems: &Problems) -> String {
    problems.render(Style { width: 90, color: false, unicode: true })
}

pub fn reports(text: impl AsRef<[u8]>) -> Vec<Report> {
    load_bytes(text).map(|_| Vec::new()).unwrap_or_else(|problems| problems.reports())
}

/// Checks cases, one on a line: `CODE LINE:COLUMN | words of message and help, with & between | text`, where
/// ⏎ in the text is a line end.
pub fn check(cases: &str, whole: impl Fn(&str) -> String) {
    let mut wrong = String::new();
    for case in cases.trim().lines() {
        let mut parts = case.splitn(3, " | ");
        let mut part = || parts.next().expect("a case has three parts");
        let (place, words, text) = (part(), part(), part().replace('⏎', "\n"));
        let found: Vec<String> = reports(whole(&text)).iter().map(told).collect();
        let said = |one: &String| words.split(" & ").all(|word| one.contains(word));
        if found.len() != 1
            || !found[0].starts_with(&format!("{place} "))
            || !found.iter().all(said)
        {
            wrong += &format!("{text}\n  wanted {place} {words}\n  found {found:#?}\n\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A report on one line.
pub fn told(report: &Report) -> String {
    let place = (report.line.unwrap_or_default(), report.column.unwrap_or_default());
    let help = report.help.as_deref().unwrap_or_default();
    format!("{} {}:{} {} | {help}", report.code, place.0, place.1, report.message)
}

#[test]
fn the_smallest_manifest_has_all_defaults() {
    let fleet =
        loaded("fix-login:\n  agent: claude\n  prompt: |\n    Find out why.\n    Fix it.\n");
    let session = &fleet.sessions[0];
    assert_eq!(fleet.name.as_str(), "shop");
    assert_eq!(session.prompt.as_deref(), Some("Find out why.\nFix it."));
    assert_eq!(session.repo.path, Path::new("/m"));
    assert_eq!(session.cwd, Path::new("."));
    assert!(session.applied.recreate.is_empty() && session.applied.in_place.is_empty());
    assert_eq!(session.applied.restart.keys().collect::<Vec<_>>(), ["agent"]);
    assert_eq!(session.applied.builtin.as_deref(), Some("claude"));
    assert_eq!(fleet.sources, [PathBuf::from("/m/fleet.yaml")]);
}

#[test]
fn yaml_traps_are_errors_where_they_stand() {
    check(
        r#"
yaml::cut-by-comment 6:17 | `prompt` & quote | a:⏎  agent: claude⏎  prompt: Fix #421 now
yaml::cut-by-comment 5:21 | `command` | a:⏎  command: echo x #1
yaml::cut-by-comment 7:17 | `setup` | a:⏎  command: x⏎  teardown: [a, b]⏎  setup: make # all
yaml::cut-by-comment 7:14 | setup | a:⏎  command: x⏎  setup:⏎    - make #1
yaml::cut-by-comment 7:14 | prompt | a:⏎  agent: claude⏎  prompt: Fix⏎    it all #421
yaml::unquoted-variable 4:23 | quote it | a: {command: [echo, ${session}]}
yaml::unquoted-variable 4:31 | quote | a: {command: x, labels: {a: ${session}}}
yaml::duplicate-key 6:5 | `command` stands here twice | a:⏎  command: x⏎  command: y
yaml::duplicate-key 6:3 | twice | a:⏎  command: x⏎a:⏎  command: x
yaml::merge-key 7:7 | defaults | a:⏎  command: x⏎  labels:⏎    <<: {b: c}
yaml::tag 5:14 | tag | a:⏎  command: !sh x
field::empty 6:5 | `cwd` has no value | a:⏎  command: x⏎  cwd:
field::empty 6:5 | `prompt` has no value | a:⏎  agent: claude⏎  prompt: #421
file::control-character 6:12 | control | a:⏎  command: x⏎  model: "\x01worktree\x02"
yaml::syntax 5:15 | quotation | a:⏎  command: "x
yaml::syntax 5:15 | quotation | a:⏎  command: x: y
yaml::syntax 5:14 | anchor | a:⏎  command: *nope
"#,
        fleet_of,
    );
}

#[test]
fn texts_keep_what_was_written() {
    let fleet = loaded(
        "a:\n  command: true\n  env: {A: 3.10, B: yes, C: 0x1F, D: , E: ' ', F: null}\n  labels: {v: 1.0}\n\
         b:\n  command: [sleep, 100000, 1e3]\n",
    );
    let a = &fleet.sessions[0];
    assert_eq!(format!("{:?}", a.program), "ShellCommand(\"true\")");
    let env: Vec<_> = a.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(env, ["A=3.10", "B=yes", "C=0x1F", "D=", "E= "]);
    assert_eq!(a.labels["v"], "1.0");
    assert_eq!(
        format!("{:?}", fleet.sessions[1].program),
        "Argv([\"sleep\", \"100000\", \"1e3\"])"
    );
}
