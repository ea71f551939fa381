//! A fleet in a sandbox: one repository, one manifest, the real binary, and eyes for what came of it.
#![expect(clippy::unwrap_used, reason = "a test ends where its fixture fails")]

use super::sandbox::{Output, SOON, Sandbox, eventually};
use fleetctl::process::{alive, ending};
use fleetctl::snapshot::{Marked, Observed, Pane, PaneState, Process};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A sandbox with the repository `shop` and its `fleet.yaml`.
pub struct Stage {
    sandbox: Sandbox,
}

impl Deref for Stage {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

/// Everything below some directories: when each file was changed, and how long it is.
pub type Listing = BTreeMap<PathBuf, (SystemTime, u64)>;

impl Stage {
    /// A fleet of these sessions, not yet applied. `text` follows `version`, `fleet` and `tmux`.
    pub fn new(text: &str) -> Self {
        let stage = Self { sandbox: Sandbox::new() };
        stage.repo("shop");
        stage.git(stage.top(), &["config", "core.excludesFile", "/dev/null"]);
        stage.fleet(text);
        stage
    }

    /// A fleet of these sessions, applied.
    #[track_caller]
    pub fn applied(text: &str) -> Self {
        let stage = Self::new(text);
        stage.apply(&[]).ok();
        stage
    }

    /// Writes the manifest anew.
    pub fn fleet(&self, text: &str) {
        self.fleet_at("shop/fleet.yaml", "shop", text);
    }

    /// Writes the manifest of another fleet.
    pub fn fleet_at(&self, file: &str, name: &str, text: &str) {
        let socket = self.socket();
        let head = format!("version: 1\nfleet: {name}\ntmux: {{socket: {}}}\n", socket.display());
        self.write(file, &(head + text + "\n"));
    }

    /// Writes the manifest anew and applies it.
    #[track_caller]
    pub fn becomes(&self, text: &str) -> Output {
        self.fleet(text);
        self.apply(&["--yes"])
    }

    pub fn top(&self) -> PathBuf {
        self.path("shop")
    }

    pub fn worktree(&self, session: &str) -> PathBuf {
        self.path("shop.worktrees").join(session)
    }

    /// Runs a verb in the repository.
    pub fn verb(&self, args: &[&str]) -> Output {
        self.fleetctl_in(self.top(), args)
    }

    pub fn apply(&self, args: &[&str]) -> Output {
        self.verb(&[&["apply"], args].concat())
    }

    pub fn diff(&self) -> Output {
        self.verb(&["diff"])
    }

    /// Nothing is left to do.
    #[track_caller]
    pub fn converged(&self) {
        self.diff().ok();
    }

    /// All panes of a session that carry its mark.
    pub fn panes_of(&self, fleet: &str, session: &str) -> Vec<Pane> {
        let server = match self.driver().look(None) {
            Observed::Known(server) => server,
            Observed::Absent(_) => return Vec::new(),
            Observed::Unknown(blind) => panic!("{blind:?}"),
        };
        let is_its = |pane: &Pane| match &pane.mark {
            Marked::Yes(mark) => mark.fleet.as_str() == fleet && mark.session.as_str() == session,
            Marked::No | Marked::Garbled => false,
        };
        server.panes.into_iter().filter(is_its).collect()
    }

    /// The one pane of a session.
    #[track_caller]
    pub fn pane_of(&self, session: &str) -> Pane {
        let mut panes = self.panes_of("shop", session);
        assert_eq!(panes.len(), 1, "panes of {session}: {panes:#?}");
        panes.remove(0)
    }

    /// The pid of a session that runs.
    #[track_caller]
    pub fn pid(&self, session: &str) -> u32 {
        let pane = self.pane_of(session);
        assert_eq!(pane.state, PaneState::Alive, "{session}");
        pane.pid
    }

    #[track_caller]
    pub fn uid(&self, session: &str) -> String {
        match self.pane_of(session).mark {
            Marked::Yes(mark) => mark.uid.to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub fn runs(&self, session: &str) -> bool {
        self.panes_of("shop", session).iter().any(|pane| pane.state == PaneState::Alive)
    }

    /// Waits until a session's own process is over and tmux knows how it ended.
    #[track_caller]
    pub fn ends(&self, session: &str) -> PaneState {
        eventually(SOON, &format!("the end of {session}"), || {
            let _ = self.tmux(&["run-shell", "-b", "true"]);
            matches!(self.pane_of(session).state, PaneState::Exited(_) | PaneState::Killed(_))
        });
        self.pane_of(session).state
    }

    /// Waits for a file that a session is to write.
    #[track_caller]
    pub fn writes(&self, path: impl AsRef<Path>) -> String {
        let path = path.as_ref();
        eventually(SOON, &path.display().to_string(), || {
            std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n'))
        });
        std::fs::read_to_string(path).unwrap()
    }

    pub fn process(&self, pid: u32) -> Option<Process> {
        alive::process(pid, &alive::boot_id().unwrap()).unwrap()
    }

    /// Ends a process of this sandbox's.
    pub fn kill(&self, pid: u32, signal: rustix::process::Signal) {
        let process = self.process(pid).expect("it runs");
        ending::signal(&process, signal).unwrap();
    }

    /// Ends this sandbox's own tmux server.
    pub fn end_server(&self) {
        self.tmux(&["kill-server"]).ok();
        eventually(SOON, "no server", || self.tmux(&["-N", "list-sessions"]).code != 0);
    }

    /// Nothing was made, changed or removed since.
    #[track_caller]
    pub fn is_unchanged_since(&self, before: &Listing) {
        let after = self.listing();
        let paths = before.keys().chain(after.keys());
        let changed: Vec<_> = paths.filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty(), "written: {changed:#?}");
    }

    /// Every file of the state directory, the repository and the worktrees.
    pub fn listing(&self) -> Listing {
        let mut listing = Listing::new();
        for top in ["state", "shop", "shop.worktrees"] {
            for item in walkdir::WalkDir::new(self.path(top)).into_iter().filter_map(Result::ok) {
                let meta = item.metadata().unwrap();
                // Readers of the store come and go in its directory; what they leave is what counts.
                let of = match meta.is_dir() {
                    true => (SystemTime::UNIX_EPOCH, 0),
                    false => (meta.modified().unwrap(), meta.len()),
                };
                listing.insert(item.path().to_owned(), of);
            }
        }
        listing
    }
}
