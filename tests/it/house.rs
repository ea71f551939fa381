//! The rules of the house that no lint of the compiler covers: sizes, module docs, words that must not occur.

use std::path::{Path, PathBuf};

/// A source file of the library, by its path under `src`.
pub struct Source {
    /// Under `src`.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

impl Source {
    /// Its lines of code up to its unit tests, without comments.
    pub fn production(&self) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .filter(|line| !line.trim_start().starts_with("//"))
    }
}

/// The repository's top directory.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All source files of the library and the program.
pub fn sources() -> Vec<Source> {
    let src = top().join("src");
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(&src).sort_by_file_name() {
        let entry = entry.expect("src can be listed");
        if entry.path().extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(entry.path()).expect("a source file can be read");
            let path = entry.path().strip_prefix(&src).expect("it is under src").to_owned();
            found.push(Source { path, text });
        }
    }
    found
}

#[test]
fn no_file_grows_beyond_four_hundred_lines_of_code() {
    let long: Vec<String> = sources()
        .iter()
        .map(|source| (source, source.production().filter(|line| !line.trim().is_empty()).count()))
        .filter(|(_, lines)| *lines > 400)
        .map(|(source, lines)| format!("{}: {lines}", source.path.display()))
        .collect();
    assert!(long.is_empty(), "too long: {long:?}");
}

#[test]
fn every_module_says_what_it_owns() {
    let silent: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "no module doc: {silent:?}");
}

#[test]
fn nothing_in_the_code_destroys_behind_the_users_back() {
    let words = [
        "\"kill-server\"",
        "\"respawn-pane\"",
        "\"-D\"",
        "\"--hard\"",
        "\"clean\", \"-",
        "\"pkill\"",
        "\"worktree\", \"remove\"",
    ];
    for source in sources() {
        for line in source.production() {
            let word = words.iter().find(|word| line.contains(*word));
            assert!(word.is_none(), "{}: {}", source.path.display(), line.trim());
        }
        assert!(!source.path.ends_with("mod.rs"), "{}", source.path.display());
    }
}

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "fleet.yaml",
        "fleet.local.yaml",
        "src",
        "tests",
        "examples",
        "benches",
        "target",
    ];
    for entry in std::fs::read_dir(top()).expect("the top level can be listed") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(name.starts_with('.') || known.contains(&name.as_str()), "{name} at the top level");
    }
}

#[test]
fn the_scripts_that_the_readme_names_are_there_and_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let readme = std::fs::read_to_string(top().join("README.md")).expect("a README");
    for script in ["tests/run", "examples/demo"] {
        assert!(readme.contains(script), "the README does not name {script}");
        let mode = std::fs::metadata(top().join(script)).expect(script).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
    }
}
