//! Whether the work in a worktree is in its base. Owns what counts as a commit of its own and as merged;
//! changes nothing. Invariant: commits that only came from the base never count as work, and what cannot be
//! told is an error, never a yes.

use super::inspect::blind;
use super::{Git, GitError, line, output, refused, run};
use crate::snapshot::{Merge, MergedAt, Observed};
use std::collections::BTreeSet;
use std::path::Path;

/// What is known of one commit against a base, by all three: neither ever changes.
pub(super) type Known = std::collections::BTreeMap<(String, String, String), Option<Merge>>;

/// More than these are not kept.
const KEPT: usize = 1_000;
/// No more commits of the base are compared with the work of a session.
const COMPARED: &str = "--max-count=500";

impl Git {
    /// Whether a worktree's HEAD has commits of its own since its creation, and all of them are in the base: by
    /// ancestry, as one squashed patch, or each as a patch of its own.
    pub fn merged(&self, at: &MergedAt) -> Observed<Option<Merge>> {
        match self.read_merged(at) {
            Ok(merge) => Observed::Known(merge),
            Err(error) => Observed::Unknown(blind("worktree", &at.path, &error)),
        }
    }

    fn read_merged(&self, at: &MergedAt) -> Result<Option<Merge>, GitError> {
        let Some(tip) = self.commit(&at.path, "HEAD")?.map(|commit| commit.id) else {
            return Ok(None);
        };
        if tip == at.since {
            return Ok(None);
        }
        // In the repository: in the worktree, the branch that is the last resort would be its own.
        let base = self.base(&at.repo, at.base.as_deref())?;
        let named = || at.base.clone().unwrap_or_else(|| "HEAD".to_owned());
        let base = base.ok_or_else(|| GitError::NoBase { base: named() })?.id;
        let key = (tip.clone(), base.clone(), at.since.clone());
        if let Some(known) = self.merges().get(&key) {
            return Ok(known.clone());
        }
        let merge = self.compare(at, &tip, &base)?.map(|commit| Merge { tip, commit });
        let mut known = self.merges();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key, merge.clone());
        Ok(merge)
    }

    fn merges(&self) -> std::sync::MutexGuard<'_, Known> {
        // A panic elsewhere leaves nothing half written: an insert is one step.
        self.merges.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The commit of the base that holds the work.
    fn compare(&self, at: &MergedAt, tip: &str, base: &str) -> Result<Option<String>, GitError> {
        let path = &at.path;
        let own = self.own_commits(path, &format!("{}..{tip}", at.since))?;
        if own.is_empty() {
            return Ok(None);
        }
        if self.is_ancestor(path, tip, base)? {
            return self.brought_by(path, tip, base).map(Some);
        }
        let Some(fork) = self.fork(path, tip, base)? else { return Ok(None) };
        let ahead: BTreeSet<String> =
            self.listed(path, &["--end-of-options", &format!("{fork}..{tip}")])?;
        if own.is_disjoint(&ahead) {
            return Ok(None);
        }
        if let Some(squashed) = self.same_patch(path, (&fork, tip), base)? {
            return Ok(Some(squashed));
        }
        if !self.is_each_picked(path, tip, base)? {
            return Ok(None);
        }
        let last = self.same_patch(path, (&format!("{tip}^"), tip), base)?;
        Ok(Some(last.unwrap_or_else(|| base.to_owned())))
    }

    /// The commits of a range that were made in this worktree. Its HEAD's log tells them from those that it was
    /// only moved to: by a pull, a reset or a fast-forward.
    fn own_commits(&self, path: &Path, range: &str) -> Result<BTreeSet<String>, GitError> {
        let ask = ["log", "--walk-reflogs", "--no-show-signature", "--format=%H %gs", "HEAD", "--"];
        let log = output(&self.look(path).args(ask), "git log")?;
        let log = String::from_utf8_lossy(&log);
        let made = log.lines().filter_map(|entry| entry.split_once(' '));
        let made: BTreeSet<&str> =
            made.filter(|(_, did)| makes_a_commit(did)).map(|(id, _)| id).collect();
        let mut there = self.listed(path, &["--end-of-options", range])?;
        there.retain(|id| made.contains(id.as_str()));
        Ok(there)
    }

    fn listed(&self, path: &Path, ask: &[&str]) -> Result<BTreeSet<String>, GitError> {
        Ok(self.in_order(path, ask)?.into_iter().collect())
    }

    /// Commits, the newest first.
    fn in_order(&self, path: &Path, ask: &[&str]) -> Result<Vec<String>, GitError> {
        let found = output(&self.look(path).arg("rev-list").args(ask), "git rev-list")?;
        Ok(String::from_utf8_lossy(&found).lines().map(str::to_owned).collect())
    }

    fn is_ancestor(&self, path: &Path, tip: &str, base: &str) -> Result<bool, GitError> {
        let ask = ["merge-base", "--is-ancestor", tip, base];
        let ended = run(&self.look(path).args(ask), "git merge-base")?;
        match ended.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(refused("git merge-base", &ended)),
        }
    }

    fn fork(&self, path: &Path, tip: &str, base: &str) -> Result<Option<String>, GitError> {
        let ended = run(&self.look(path).args(["merge-base", tip, base]), "git merge-base")?;
        match ended.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&ended.stdout).lines().next().map(str::to_owned)),
            Some(1) => Ok(None),
            _ => Err(refused("git merge-base", &ended)),
        }
    }

    /// The first commit on the base's own line that holds the tip; the tip itself where it was only moved to.
    fn brought_by(&self, path: &Path, tip: &str, base: &str) -> Result<String, GitError> {
        let range = format!("{tip}..{base}");
        let holding = self.listed(path, &["--ancestry-path", "--end-of-options", &range])?;
        let line_of = self.in_order(path, &["--first-parent", "--end-of-options", &range])?;
        let Some(first) = line_of.into_iter().rfind(|commit| holding.contains(commit)) else {
            return Ok(tip.to_owned());
        };
        let ask = ["rev-parse", "--verify", "--end-of-options", &format!("{first}^1")];
        let before = line(&self.look(path).args(ask), "git rev-parse")?;
        Ok(if before == tip { tip.to_owned() } else { first })
    }

    /// The commit between the fork and the base whose patch is that of all the work together.
    fn same_patch(
        &self,
        path: &Path,
        (from, to): (&str, &str),
        base: &str,
    ) -> Result<Option<String>, GitError> {
        let names = ["diff-tree", "-r", "--name-only", "-z", "--no-renames", from, to];
        let names = output(&self.look(path).args(names), "git diff-tree")?;
        let first = names.split(|byte| *byte == 0).find(|name| !name.is_empty());
        let Some(first) = first else { return Ok(None) };
        let patch = output(&self.look(path).args(PATCH).args([from, to]), "git diff-tree")?;
        let Some((wanted, _)) = self.patch_ids(path, patch)?.into_iter().next() else {
            return Ok(None);
        };
        // What has the same patch changes the same files: those that leave the first alone need no comparison.
        let range = format!("{to}..{base}");
        let ask = ["--literal-pathspecs", "rev-list", "--no-merges", "--full-history", COMPARED];
        let ask = self.look(path).args(ask).args(["--end-of-options", &range, "--"]);
        let near = output(&ask.arg(os(first)), "git rev-list")?;
        if near.is_empty() {
            return Ok(None);
        }
        let patches = self.look(path).args(PATCH).arg("--stdin").input(near);
        let patches = output(&patches, "git diff-tree")?;
        let found = self.patch_ids(path, patches)?;
        Ok(found.into_iter().find(|(patch, _)| *patch == wanted).map(|(_, commit)| commit))
    }

    /// The ids of patches, each with its commit.
    fn patch_ids(&self, path: &Path, patches: Vec<u8>) -> Result<Vec<(String, String)>, GitError> {
        let ask = self.look(path).args(["patch-id", "--stable"]).input(patches);
        let found = output(&ask, "git patch-id")?;
        let found = String::from_utf8_lossy(&found).into_owned();
        let pairs = found.lines().filter_map(|pair| pair.split_once(' '));
        Ok(pairs.map(|(patch, commit)| (patch.to_owned(), commit.to_owned())).collect())
    }

    /// Every commit that the base lacks is there as a patch of its own.
    fn is_each_picked(&self, path: &Path, tip: &str, base: &str) -> Result<bool, GitError> {
        let found = output(&self.look(path).args(["cherry", base, tip]), "git cherry")?;
        let found = String::from_utf8_lossy(&found).into_owned();
        let mut left = found.lines().peekable();
        Ok(left.peek().is_some() && left.all(|commit| commit.starts_with('-')))
    }
}

/// A patch that is the same wherever it is made.
const PATCH: [&str; 7] =
    ["diff-tree", "-p", "-r", "--full-index", "--binary", "--no-renames", "--no-ext-diff"];

fn os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

/// What git notes of a step that made a commit, as opposed to one that only moved HEAD.
fn makes_a_commit(did: &str) -> bool {
    let action = did.split(':').next().unwrap_or_default();
    let first = action.split([' ', '-']).next().unwrap_or_default();
    let picks = ["(pick)", "(continue)", "(reword)", "(edit)", "(squash)", "(fixup)"];
    matches!(first, "commit" | "cherry" | "revert" | "am")
        || picks.iter().any(|pick| action.ends_with(pick))
}

#[cfg(test)]
mod tests {
    use super::makes_a_commit;

    #[test]
    fn commits_are_told_from_moves() {
        for made in [
            "commit: Fix it",
            "commit (amend): Fix it: now",
            "commit (merge): Merge branch 'x'",
            "cherry-pick: Fix",
            "revert: Revert \"x\"",
            "rebase (pick): Fix",
            "rebase -i (fixup): Fix",
            "pull --rebase origin main (pick): Fix",
            "am: Fix",
        ] {
            assert!(makes_a_commit(made), "{made}");
        }
        for moved in [
            "pull: Fast-forward",
            "pull origin main: Merge made by the 'ort' strategy.",
            "merge main: Fast-forward",
            "reset: moving to commit",
            "checkout: moving from a to commit",
            "rebase (start): checkout origin/main",
            "rebase (finish): returning to refs/heads/a",
            "",
        ] {
            assert!(!makes_a_commit(moved), "{moved}");
        }
    }
}
