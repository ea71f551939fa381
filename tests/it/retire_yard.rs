//! A repository with a fleet on it, in a sandbox of its own, and the portrait of a worktree that a restore
//! must bring back. Invariant: two portraits are equal only if nothing that a user had there differs.
#![expect(clippy::unwrap_used, reason = "a helper fails its test where it fails")]

use crate::sandbox::{Output, Sandbox};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A session that does nothing for a long time.
pub const IDLE: &str = "{command: sleep 100000}";

/// A fleet `shop` on one repository.
pub struct Yard {
    pub sandbox: Sandbox,
    pub repo: PathBuf,
}

impl Yard {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let repo = sandbox.repo("repo");
        Self { sandbox, repo }
    }

    /// Writes the manifest: sessions by name, `extra` at its top.
    pub fn file(&self, extra: &str, sessions: &[(&str, &str)]) {
        let socket = self.sandbox.socket();
        let mut text = format!(
            "version: 1\nfleet: shop\ntmux: {{socket: {}}}\nrepos: {{shop: {{path: ../repo}}}}\ndefaults: {{repo: shop}}\n{extra}\nsessions:\n",
            socket.display()
        );
        for (name, body) in sessions {
            text.push_str(&format!("  {name}: {body}\n"));
        }
        self.sandbox.write("conf/fleet.yaml", &text);
    }

    /// A fleet of `stays` and `old`, applied.
    pub fn with_old() -> Self {
        let yard = Self::new();
        yard.both("");
        yard.apply().ok();
        yard
    }

    /// The file has `stays` and `old`.
    pub fn both(&self, extra: &str) {
        self.file(extra, &[("stays", IDLE), ("old", IDLE)]);
    }

    /// The file has `stays` alone.
    pub fn without_old(&self, extra: &str) {
        self.file(extra, &[("stays", IDLE)]);
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.sandbox.fleetctl_in(self.sandbox.path("conf"), args)
    }

    pub fn apply(&self) -> Output {
        self.run(&["apply", "--yes"])
    }

    /// The worktree of a session.
    pub fn tree(&self, name: &str) -> PathBuf {
        self.sandbox.path("repo.worktrees").join(name)
    }

    pub fn git(&self, name: &str, args: &[&str]) -> String {
        self.sandbox.git(self.tree(name), args).stdout
    }

    /// Writes a file in a session's worktree.
    pub fn write(&self, name: &str, path: &str, text: &str) {
        self.sandbox.write(&format!("repo.worktrees/{name}/{path}"), text);
    }

    /// Deletes a session's worktree by hand.
    pub fn lose(&self, name: &str) {
        Sandbox::run(self.sandbox.command("rm").arg("-rf").arg(self.tree(name))).ok();
    }

    /// Commits a file in a session's worktree.
    pub fn commit(&self, name: &str, path: &str, text: &str) {
        self.write(name, path, text);
        self.git(name, &["add", path]);
        self.git(name, &["commit", "-q", "-m", path]);
    }

    /// What lies in the trash, newest first, as `NAME@UID`.
    pub fn trash(&self) -> Vec<String> {
        let listing = self.run(&["trash", "list", "-o", "name"]).ok();
        listing.stdout.lines().map(str::to_owned).collect()
    }

    /// Nothing is to be done, nothing is half done, and no start or create is left open.
    #[track_caller]
    pub fn converged(&self) {
        self.run(&["diff"]).ok();
    }

    /// All that a user had in a worktree.
    pub fn portrait(&self, name: &str) -> Portrait {
        Portrait::of(self, &self.tree(name))
    }
}

/// All that a user had in a worktree. Pseudo refs and operations under way by file; the index by what it
/// says, because a refresh rewrites its stamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portrait {
    pub files: BTreeMap<PathBuf, (u32, Vec<u8>)>,
    pub asked: Vec<(String, String)>,
    pub admin: BTreeMap<PathBuf, (u32, Vec<u8>)>,
}

impl Portrait {
    fn of(yard: &Yard, tree: &Path) -> Self {
        let looks: [&[&str]; 6] = [
            &["ls-files", "-s", "-v", "--full-name"],
            &["-c", "core.fsmonitor=false", "diff", "--cached", "--binary"],
            &[
                "-c",
                "core.fsmonitor=false",
                "status",
                "--porcelain=v2",
                "--branch",
                "--ignored",
                "--untracked-files=all",
            ],
            &["stash", "list", "--format=%H %gs"],
            &["for-each-ref", "refs/heads", "refs/tags", "refs/bisect", "refs/worktree"],
            &["ls-files", "-u"],
        ];
        let look = |args: &&[&str]| {
            let command = args.join(" ");
            (command, yard.sandbox.git(tree, args).stdout)
        };
        let asked = looks.iter().map(look).collect();
        let dot_git = fs::read_to_string(tree.join(".git")).unwrap();
        let admin = PathBuf::from(dot_git.trim_end().strip_prefix("gitdir: ").unwrap());
        let mut state = contents(&admin);
        state.retain(|path, _| !is_kept_otherwise(path));
        let mut files = contents(tree);
        files.remove(Path::new(".git"));
        Self { files, asked, admin: state }
    }
}

/// Files of an entry that are compared by what git says of them, or are not the user's.
fn is_kept_otherwise(path: &Path) -> bool {
    let name = path.to_string_lossy();
    ["index", "locked", "gitdir", "logs/HEAD", "commondir"].contains(&&*name)
        || name.starts_with("fleetctl")
}

/// Every file and link below a directory: its mode, and its bytes or target.
fn contents(top: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(directory) = open.pop() {
        for item in fs::read_dir(&directory).unwrap() {
            let path = item.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let mode = meta.permissions().mode();
            if meta.is_dir() {
                open.push(path);
                continue;
            }
            let bytes = if meta.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(path.strip_prefix(top).unwrap().to_owned(), (mode, bytes));
        }
    }
    found
}
