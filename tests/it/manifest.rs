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

/// One case: text, code, line, column, and words of message or help.
pub type Case<'c> = (&'c str, &'c str, usize, usize, &'c str);

pub fn check(cases: &[Case], whole: impl Fn(&str) -> String) {
    let mut wrong = String::new();
    for (text, code, line, column, words) in cases {
        let found: Vec<String> = reports(whole(text)).iter().map(told).collect();
        let place = format!("{code} {line}:{column} ");
        let said = |one: &String| words.split(" & ").all(|word| one.contains(word));
        if found.len() != 1 || !found[0].starts_with(&place) || !found.iter().all(said) {
            wrong += &format!("{text}\n  wanted {place}{words}\n  found {found:#?}\n\n");
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
        &[
            (
                "a:\n  agent: claude\n  prompt: Fix #421 now",
                "yaml::cut-by-comment",
                6,
                17,
                "`prompt` & quote",
            ),
            ("a:\n  command: echo x #1", "yaml::cut-by-comment", 5, 21, "`command`"),
            (
                "a:\n  command: x\n  teardown: [a, b]\n  setup: make # all",
                "yaml::cut-by-comment",
                7,
                17,
                "`setup`",
            ),
            ("a:\n  command: x\n  setup:\n    - make #1", "yaml::cut-by-comment", 7, 14, "setup"),
            (
                "a:\n  agent: claude\n  prompt: Fix\n    it all #421",
                "yaml::cut-by-comment",
                7,
                14,
                "prompt",
            ),
            ("a: {command: [echo, ${session}]}", "yaml::unquoted-variable", 4, 23, "quote it"),
            ("a: {command: x, labels: {a: ${session}}}", "yaml::unquoted-variable", 4, 31, "quote"),
            (
                "a:\n  command: x\n  command: y",
                "yaml::duplicate-key",
                6,
                5,
                "`command` stands here twice",
            ),
            ("a:\n  command: x\na:\n  command: x", "yaml::duplicate-key", 6, 3, "twice"),
            ("a:\n  command: x\n  labels:\n    <<: {b: c}", "yaml::merge-key", 7, 7, "defaults"),
            ("a:\n  command: !sh x", "yaml::tag", 5, 14, "tag"),
            ("a:\n  command: x\n  cwd:", "field::empty", 6, 5, "`cwd` has no value"),
            ("a:\n  agent: claude\n  prompt: #421", "field::empty", 6, 5, "`prompt` has no value"),
            (
                "a:\n  command: x\n  model: \"\\x01worktree\\x02\"",
                "file::control-character",
                6,
                12,
                "control",
            ),
            ("a:\n  command: \"x", "yaml::syntax", 5, 15, "quotation"),
            ("a:\n  command: x: y", "yaml::syntax", 5, 15, "quotation"),
            ("a:\n  command: *nope", "yaml::syntax", 5, 14, "anchor"),
        ],
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
