//! Where a fleet keeps its files: `$XDG_STATE_HOME/fleetctl/<fleet>/`. Names only; does no I/O.

use crate::name::Uid;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The files of one fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    directory: PathBuf,
}

impl Paths {
    /// The files below a directory of the fleet's own.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The fleet's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory of all launch files.
    #[must_use]
    pub fn launches(&self) -> PathBuf {
        self.directory.join("launch")
    }

    /// The launch file of an incarnation.
    #[must_use]
    pub fn launch(&self, uid: Uid) -> PathBuf {
        self.launches().join(format!("{uid}.json"))
    }

    /// What `__launch` reports when its program did not come to run.
    #[must_use]
    pub fn failure(&self, uid: Uid) -> PathBuf {
        self.launches().join(format!("{uid}.failed"))
    }

    /// Written when all of `setup` succeeded.
    #[must_use]
    pub fn setup_done(&self, uid: Uid) -> PathBuf {
        self.launches().join(format!("{uid}.setup-done"))
    }

    /// The last screen of an incarnation.
    #[must_use]
    pub fn screen(&self, uid: Uid) -> PathBuf {
        self.directory.join("screens").join(format!("{uid}.txt"))
    }

    /// Touched when a repository was fetched.
    #[must_use]
    pub fn fetched(&self, repo: &Path) -> PathBuf {
        let digest = Sha256::digest(repo.as_os_str().as_encoded_bytes());
        let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join("fetched").join(name)
    }

    /// The directory of all directories of [`Self::agent_state`].
    #[must_use]
    pub fn agent_states(&self) -> PathBuf {
        self.directory.join("agents")
    }

    /// The directory in which an agent without ids of its own keeps its conversation.
    #[must_use]
    pub fn agent_state(&self, uid: Uid) -> PathBuf {
        self.agent_states().join(uid.to_string())
    }
}
