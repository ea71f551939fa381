//! A real repository of three files in a directory of its own, seen by no configuration but its own.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use fleetctl::git::{Git, Occupants};
use fleetctl::name::Uid;
use fleetctl::process::Child;
use fleetctl::snapshot::{
    BranchSource, Ground, GroundAt, Observed, Repository, Risk, Work, WorkAt, Worktree,
};
use fleetctl::world::{AddWorktree, WorktreeOf};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub struct Repo {
    dir: tempfile::TempDir,
    pub git: Git,
}

impl Repo {
    /// `shop`, with one commit on `main`.
    pub fn new() -> Self {
        Self::init(&[])
    }

    pub fn init(options: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("fleetctl-git-").tempdir_in("/tmp").unwrap();
        let git = Git::with_env(environment(dir.path(), Path::new("/dev/null")));
        let repo = Self { dir, git };
        std::fs::create_dir_all(repo.dir.path().join("home")).unwrap();
        let mut init = vec!["init", "--quiet", "--initial-branch=main", "shop"];
        init.splice(1..1, options.iter().copied());
        repo.run(&repo.root(), &init);
        repo.write("shop/README", "shop\n");
        repo.write("shop/src/one.txt", "one\n");
        repo.write("shop/.gitignore", "/ignored/\n.env\n");
        repo.run(&repo.top(), &["add", "--all"]);
        repo.run(&repo.top(), &["commit", "--quiet", "-m", "first"]);
        repo
    }

    /// The driver with a global configuration of the user's.
    pub fn with_global(&self, text: &str) -> Git {
        let file = self.write("global.gitconfig", text);
        Git::with_env(environment(self.dir.path(), &file))
    }

    pub fn root(&self) -> PathBuf {
        std::fs::canonicalize(self.dir.path()).unwrap()
    }

    pub fn top(&self) -> PathBuf {
        self.root().join("shop")
    }

    pub fn worktrees(&self) -> PathBuf {
        fleetctl::git::worktrees_dir(&self.top())
    }

    pub fn write(&self, below: &str, text: &str) -> PathBuf {
        let path = self.root().join(below);
        write(&path, text);
        path
    }

    /// Runs the user's git; it must succeed.
    pub fn run(&self, directory: &Path, args: &[&str]) -> String {
        let (ok, out) = self.try_run(directory, args);
        assert!(ok, "git {args:?}: {out}");
        out
    }

    /// The user's git, to be run.
    pub fn child(&self, directory: &Path) -> Child {
        let child = Child::new("git").directory(directory).limit(Duration::from_secs(60));
        let env = environment(self.dir.path(), Path::new("/dev/null"));
        env.iter().fold(child, |child, (name, value)| child.env(name, value))
    }

    /// Runs the user's git: whether it succeeded, and what it said.
    pub fn try_run(&self, directory: &Path, args: &[&str]) -> (bool, String) {
        let child = self.child(directory);
        let ended = child.args(["-c", "protocol.file.allow=always"]).args(args).run().unwrap();
        let out = String::from_utf8_lossy(&ended.stdout).into_owned();
        (ended.status.success(), if ended.status.success() { out } else { ended.stderr })
    }

    pub fn head(&self, directory: &Path) -> String {
        self.run(directory, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub fn commit_file(&self, directory: &Path, name: &str, text: &str) -> String {
        write(&directory.join(name), text);
        self.run(directory, &["add", "--", name]);
        self.run(directory, &["commit", "--quiet", "-m", name]);
        self.head(directory)
    }

    pub fn of(&self, name: &str, number: u64) -> WorktreeOf {
        WorktreeOf { uid: uid(number), repo: self.top(), path: self.worktrees().join(name) }
    }

    pub fn ground(&self, name: &str, branch: Option<&str>, base: Option<&str>) -> Ground {
        let observed = self.git.ground(&GroundAt {
            repo: self.top(),
            path: self.worktrees().join(name),
            branch: branch.map(str::to_owned),
            base: base.map(str::to_owned),
        });
        known(observed)
    }

    pub fn source(&self, name: &str, branch: Option<&str>) -> BranchSource {
        self.ground(name, branch, None).branch
    }

    /// What would make a worktree `name` on the branch `shop/name`.
    pub fn adding(&self, name: &str, number: u64) -> AddWorktree {
        let branch = format!("shop/{name}");
        AddWorktree {
            worktree: self.of(name, number),
            fleet: "shop".parse().unwrap(),
            source: self.source(name, Some(&branch)),
            branch: Some(branch),
            json: "{}".to_owned(),
            discard: self.of(name, number).path.with_file_name(".trash").join(name),
        }
    }

    /// Makes it.
    pub fn add(&self, name: &str, number: u64) -> WorktreeOf {
        let add = self.adding(name, number);
        self.git.add_worktree(&add).unwrap();
        add.worktree
    }

    pub fn listed(&self) -> Repository {
        known(self.git.repository(&self.top()))
    }

    pub fn worktree(&self, of: &WorktreeOf) -> Worktree {
        let listed = self.listed().worktrees;
        listed.into_iter().find(|worktree| worktree.path == of.path).expect("it is listed")
    }

    pub fn admin(&self, of: &WorktreeOf) -> PathBuf {
        self.worktree(of).admin
    }

    pub fn work(&self, of: &WorktreeOf) -> Work {
        self.work_by(&self.git, of)
    }

    pub fn work_by(&self, git: &Git, of: &WorktreeOf) -> Work {
        let at =
            WorkAt { uid: of.uid, repo: of.repo.clone(), path: of.path.clone(), sids: Vec::new() };
        let nobody: Occupants = Observed::Known(Vec::new());
        known(git.work(&at, &nobody))
    }

    pub fn risks(&self, of: &WorktreeOf) -> Vec<Risk> {
        self.work(of).risks
    }

    pub fn trash_path(&self, name: &str) -> PathBuf {
        self.worktrees().join(".trash").join(name)
    }

    /// An executable hook of the repository.
    pub fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path =
            self.write(&format!("shop/.git/hooks/{name}"), &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

pub fn known<T: std::fmt::Debug>(observed: Observed<T>) -> T {
    match observed {
        Observed::Known(value) => value,
        other => panic!("not known: {other:?}"),
    }
}

pub fn uid(number: u64) -> Uid {
    Uid::from_parts(1_700_000_000_000 + number, u128::from(number))
}

pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Every file below a directory with its bytes; a link with its target.
pub fn contents(top: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let mut all = BTreeMap::new();
    for item in walkdir::WalkDir::new(top) {
        let item = item.unwrap();
        let below = item.path().strip_prefix(top).unwrap().to_owned();
        if item.file_type().is_symlink() {
            let target = std::fs::read_link(item.path()).unwrap();
            all.insert(below, target.as_os_str().as_bytes().to_vec());
        } else if item.file_type().is_file() {
            all.insert(below, std::fs::read(item.path()).unwrap());
        }
    }
    all
}

fn environment(root: &Path, global: &Path) -> Vec<(OsString, OsString)> {
    let home = root.join("home");
    let pairs: [(&str, &std::ffi::OsStr); 8] = [
        ("HOME", home.as_os_str()),
        ("XDG_CONFIG_HOME", home.as_os_str()),
        ("GIT_CONFIG_GLOBAL", global.as_os_str()),
        ("GIT_CONFIG_NOSYSTEM", "1".as_ref()),
        ("GIT_AUTHOR_NAME", "A".as_ref()),
        ("GIT_AUTHOR_EMAIL", "a@example.com".as_ref()),
        ("GIT_COMMITTER_NAME", "A".as_ref()),
        ("GIT_COMMITTER_EMAIL", "a@example.com".as_ref()),
    ];
    pairs.iter().map(|(name, value)| (OsString::from(name), (*value).to_owned())).collect()
}
