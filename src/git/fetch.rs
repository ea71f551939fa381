//! Fetches. Owns the only use of the network; never prompts, and prunes nothing. Invariant: it changes no
//! branch of the user's.

use super::{Git, GitError, line, output};
use std::path::Path;
use std::time::Duration;

/// The limit of one fetch.
const LIMIT: Duration = Duration::from_secs(60);

impl Git {
    /// Fetches from the remote that `base` names (`origin/main`); from `origin` for the default base. Does
    /// nothing when the base names no remote.
    ///
    /// # Errors
    /// [`GitError::Run`] after 60 s, [`GitError::Refused`] when the remote cannot be reached.
    pub fn fetch(&self, repo: &Path, base: Option<&str>) -> Result<(), GitError> {
        let remotes = line(&self.look(repo).arg("remote"), "git remote")?;
        let base = base.unwrap_or("origin/HEAD");
        let base = base.strip_prefix("refs/remotes/").unwrap_or(base);
        let is_named = |remote: &&str| {
            base.strip_prefix(*remote).is_some_and(|branch| branch.starts_with('/'))
        };
        let Some(remote) = remotes.lines().filter(is_named).max_by_key(|remote| remote.len())
        else {
            return Ok(());
        };
        let quiet = ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "fetch", "--quiet"];
        let only = ["--no-write-fetch-head", "--no-recurse-submodules", "--", remote];
        // Without these ssh would ask on the terminal that fleetctl runs in.
        let child = self.act(repo).env("SSH_ASKPASS", "false").env("SSH_ASKPASS_REQUIRE", "force");
        output(&child.args(quiet).args(only).limit(LIMIT), "git fetch").map(drop)
    }
}
