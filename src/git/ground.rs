//! What a new worktree would stand on: its branch's source, its base, and what is in the way. Owns how names
//! become commits; changes nothing. Invariant: a name that cannot be resolved is told apart from a repository
//! that cannot be read.

use super::entry::{entries, is_there, resolved};
use super::inspect::{Place, blind};
use super::{Git, GitError, line, refused, run};
use crate::snapshot::{BranchSource, Commit, Ground, GroundAt, Head, Lock, Observed, Repository};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

impl Git {
    /// Looks at what a new worktree would stand on: the local branch, else `origin`'s of the same name, else a
    /// new one from the base.
    pub fn ground(&self, at: &GroundAt) -> Observed<Ground> {
        match self.read_ground(at) {
            Ok(ground) => Observed::Known(ground),
            Err(error) => Observed::Unknown(blind("repository", &at.repo, &error)),
        }
    }

    fn read_ground(&self, at: &GroundAt) -> Result<Ground, GitError> {
        let place = self.place(&at.repo)?;
        let names = Names::open(self, &at.repo);
        let checked_out = match &at.branch {
            Some(branch) => self.checkout_of(&place, branch)?,
            None => None,
        };
        Ok(Ground {
            branch: source(&names, at)?,
            path_taken: self.is_taken(&place, &at.path)?,
            checked_out,
        })
    }

    /// Whether something stands at a path that is no worktree of a fleet.
    fn is_taken(&self, place: &Place, path: &Path) -> Result<bool, GitError> {
        // git lists where a worktree really is.
        let real = resolved(path);
        let listed = entries(&place.common)?.into_iter().find(|entry| {
            entry.path.as_deref().is_some_and(|listed| listed == real || listed == path)
        });
        match listed {
            Some(entry) => Ok(!matches!(entry.lock, Lock::Fleet { .. })),
            None => Ok(is_there(path)? && !is_empty_directory(path)),
        }
    }

    /// Where a branch is checked out, or in the middle of a rebase or bisect that will come back to it.
    pub(super) fn checkout_of(
        &self,
        place: &Place,
        branch: &str,
    ) -> Result<Option<PathBuf>, GitError> {
        let on = |head: &Head| matches!(head, Head::Branch(name) if name == branch);
        if self.main_head(place)?.as_ref().is_some_and(on) || occupies(&place.common, branch) {
            return Ok(Some(place.top.clone()));
        }
        let Repository { worktrees, .. } = self.read_repository(&place.common)?;
        let held = worktrees.into_iter().find(|w| on(&w.head) || occupies(&w.admin, branch));
        Ok(held.map(|worktree| worktree.path))
    }

    /// The commit that a name stands for in the repository or worktree at `path`.
    pub(super) fn commit(&self, path: &Path, name: &str) -> Result<Option<Commit>, GitError> {
        Names::open(self, path).commit(name)
    }

    /// The commit of a base: as it is named, then as a branch of `origin`; the default one without a name.
    pub(super) fn base(&self, path: &Path, base: Option<&str>) -> Result<Option<Commit>, GitError> {
        let names = Names::open(self, path);
        let found = match base {
            Some(base) => named_base(&names, base)?,
            None => default_base(&names)?,
        };
        Ok(found.map(|(_, commit)| commit))
    }

    /// The default base of a repository, as a name: `origin/HEAD`'s branch, `main`, `master`, the current branch.
    pub(super) fn default_base(&self, path: &Path) -> Result<Option<(String, Commit)>, GitError> {
        default_base(&Names::open(self, path))
    }
}

/// The branch comes back to an operation under way: git counts it as checked out.
fn occupies(admin: &Path, branch: &str) -> bool {
    ["rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"].iter().any(|name| {
        std::fs::read_to_string(admin.join(name)).is_ok_and(|text| {
            let text = text.trim_end();
            text.strip_prefix("refs/heads/").unwrap_or(text) == branch
        })
    })
}

pub(super) fn is_empty_directory(path: &Path) -> bool {
    path.is_dir()
        && !path.is_symlink()
        && std::fs::read_dir(path).is_ok_and(|mut items| items.next().is_none())
}

fn source(names: &Names<'_>, at: &GroundAt) -> Result<BranchSource, GitError> {
    if let Some(branch) = &at.branch {
        if let Some(commit) = names.commit(&format!("refs/heads/{branch}"))? {
            return Ok(BranchSource::Local(commit));
        }
        if let Some(commit) = names.commit(&format!("refs/remotes/origin/{branch}"))? {
            return Ok(BranchSource::Remote(commit));
        }
    }
    let found = match &at.base {
        Some(base) => named_base(names, base)?,
        None => default_base(names)?,
    };
    Ok(match (found, &at.branch) {
        (Some((base, at)), Some(_)) => BranchSource::New { base, at },
        (Some((base, at)), None) => BranchSource::Detached { base, at },
        (None, _) => {
            // The last that is tried: without it there is no commit at all to begin from.
            let tried = at.base.clone().unwrap_or_else(|| "HEAD".to_owned());
            BranchSource::NoBase { base: tried }
        }
    })
}

/// A base is tried as it is, then as a branch of `origin`.
fn named_base(names: &Names<'_>, base: &str) -> Result<Option<(String, Commit)>, GitError> {
    for name in [base.to_owned(), format!("origin/{base}")] {
        if let Some(commit) = names.commit(&name)? {
            return Ok(Some((name, commit)));
        }
    }
    Ok(None)
}

fn default_base(names: &Names<'_>) -> Result<Option<(String, Commit)>, GitError> {
    let origin = names.target("refs/remotes/origin/HEAD")?;
    let current = names.target("HEAD")?.unwrap_or_else(|| "HEAD".to_owned());
    let fixed = ["refs/heads/main", "refs/heads/master"].map(str::to_owned);
    for name in origin.into_iter().chain(fixed).chain([current]) {
        if let Some(commit) = names.commit(&name)? {
            let short = ["refs/heads/", "refs/remotes/"].iter().find_map(|p| name.strip_prefix(p));
            return Ok(Some((short.unwrap_or(&name).to_owned(), commit)));
        }
    }
    Ok(None)
}

/// Names and what they stand for: through git2 where it can open the repository, else through `git`.
struct Names<'a> {
    git: &'a Git,
    path: &'a Path,
    quick: Option<git2::Repository>,
}

impl<'a> Names<'a> {
    fn open(git: &'a Git, path: &'a Path) -> Self {
        let none: [&Path; 0] = [];
        let flags = git2::RepositoryOpenFlags::empty();
        Self { git, path, quick: git2::Repository::open_ext(path, flags, none).ok() }
    }

    fn commit(&self, name: &str) -> Result<Option<Commit>, GitError> {
        let Some(repo) = &self.quick else { return self.commit_by_git(name) };
        match repo.revparse_single(name).and_then(|object| object.peel_to_commit()) {
            Ok(commit) => {
                let id = commit.id().to_string();
                Ok(Some(Commit { id, time: time(commit.time().seconds()) }))
            }
            // A full name is looked up, not parsed: what git2 does not find is not there.
            Err(error)
                if name.starts_with("refs/") && error.code() == git2::ErrorCode::NotFound =>
            {
                Ok(None)
            }
            Err(_) => self.commit_by_git(name),
        }
    }

    fn commit_by_git(&self, name: &str) -> Result<Option<Commit>, GitError> {
        let spec = format!("{name}^{{commit}}");
        let ask = ["rev-parse", "--verify", "--quiet", "--end-of-options", &spec];
        let ended = run(&self.git.look(self.path).args(ask), "git rev-parse")?;
        match ended.status.code() {
            Some(0) => {}
            Some(1) => return Ok(None),
            _ => return Err(refused("git rev-parse", &ended)),
        }
        let id = String::from_utf8_lossy(&ended.stdout).trim_end().to_owned();
        let ask = self.git.look(self.path).args(["show", "-s", "--no-show-signature"]);
        let seconds = line(&ask.args(["--format=%ct", &id]), "git show")?;
        let seconds = seconds.parse().map_err(|_| GitError::Answer { operation: "git show" })?;
        Ok(Some(Commit { id, time: time(seconds) }))
    }

    /// What a symbolic ref names.
    fn target(&self, name: &str) -> Result<Option<String>, GitError> {
        if let Some(repo) = &self.quick {
            let found = repo.find_reference(name).ok();
            return Ok(
                found.and_then(|found| found.symbolic_target().ok().flatten().map(str::to_owned))
            );
        }
        let ask = self.git.look(self.path).args(["symbolic-ref", "--quiet", name]);
        let ended = run(&ask, "git symbolic-ref")?;
        match ended.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&ended.stdout).trim_end().to_owned())),
            Some(1) => Ok(None),
            _ => Err(refused("git symbolic-ref", &ended)),
        }
    }
}

/// A committer's time; one beyond what a timestamp can hold is as good as the epoch.
fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
