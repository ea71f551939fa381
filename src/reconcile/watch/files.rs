//! Changes of the files that decide about a fleet. Owns the inotify watches on their directories, and the
//! comparison of dates where there are none to be had. Invariant: a hint about a change comes after the
//! watch that will see the next one; what happens to other files in those directories wakes nobody.

use super::places::Places;
use super::{Hint, POLL, Task, tell};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

/// How long changes that follow another are collected: a loop that is busy must not find thousands of hints.
const BREATH: Duration = Duration::from_millis(50);
/// How often the way to a file may change while it is being watched.
const TRIES: usize = 5;

/// The files that are followed.
#[derive(Debug)]
pub(super) struct Files {
    shared: Arc<Shared>,
    _task: Task,
}

#[derive(Debug)]
struct Shared {
    hints: UnboundedSender<Hint>,
    /// What notify's thread and the task have to say to each other.
    told: Arc<Told>,
    armed: Mutex<Armed>,
}

#[derive(Debug, Default)]
struct Told {
    changed: Notify,
    places: Mutex<Places>,
    /// Directories that were removed or moved away.
    gone: Mutex<BTreeSet<PathBuf>>,
    failure: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Armed {
    files: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
    places: Places,
    /// `None` once it has failed: the files' dates are compared instead.
    watcher: Option<RecommendedWatcher>,
}

impl Files {
    pub(super) fn new(hints: UnboundedSender<Hint>) -> Self {
        let told = Arc::new(Told::default());
        let listener = Arc::clone(&told);
        let watcher = notify::recommended_watcher(move |event| listener.take(event));
        let (watcher, failure) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let (files, directories) = (BTreeSet::new(), BTreeSet::new());
        let armed = Armed { files, directories, places: Places::default(), watcher };
        let shared = Arc::new(Shared { hints, told, armed: Mutex::new(armed) });
        if let Some(cause) = failure {
            shared.lose(cause);
        }
        let task = Task::start(attend(Arc::clone(&shared)));
        Self { shared, _task: task }
    }

    pub(super) fn follow(&self, (files, directories): (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>)) {
        let mut armed = locked(&self.shared.armed);
        if (&armed.files, &armed.directories) != (files, directories) {
            armed.files.clone_from(files);
            armed.directories.clone_from(directories);
        }
        let first = armed.places == Places::default();
        // What was read before it was watched may have changed in between.
        if self.shared.arm(&mut armed) && !first {
            tell(&self.shared.hints, Hint::Manifest);
        }
    }
}

impl Told {
    /// Runs in notify's own thread.
    fn take(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) if !event.need_rescan() && !self.is_of_interest(&event) => return,
            Ok(_) => {}
            Err(error) => *locked(&self.failure) = Some(error.to_string()),
        }
        self.changed.notify_one();
    }

    fn is_of_interest(&self, event: &Event) -> bool {
        let places = locked(&self.places);
        let named = event.paths.iter().any(|path| places.tells(path));
        let listed = || event.paths.iter().any(|path| places.lists(path));
        match event.kind {
            EventKind::Create(_) => named || listed(),
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => named,
            EventKind::Access(_) => false,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                let watched = event.paths.iter().filter(|path| places.names.contains_key(*path));
                let gone: Vec<PathBuf> = watched.cloned().collect();
                let itself = !gone.is_empty();
                locked(&self.gone).extend(gone);
                named || itself || listed()
            }
            _ => named,
        }
    }
}

impl Shared {
    /// Watches what is to be watched now, as the file system is when it returns. True when that is more than
    /// before.
    fn arm(&self, armed: &mut Armed) -> bool {
        let mut more = false;
        for round in 0..TRIES {
            let places = Places::of((&armed.files, &armed.directories));
            let gone = std::mem::take(&mut *locked(&self.told.gone));
            if places == armed.places && gone.is_empty() {
                return more;
            }
            let Some(watcher) = armed.watcher.as_mut() else { return more };
            more |= places.exceed(&armed.places);
            // The names first: an event that comes at once must find them.
            *locked(&self.told.places) = places.clone();
            let same = |place: &PathBuf| {
                !gone.contains(place)
                    && places.identities.get(place) == armed.places.identities.get(place)
            };
            let (kept, old): (Vec<_>, Vec<_>) =
                armed.places.names.keys().cloned().partition(|place| same(place));
            for place in old {
                let unwatched = watcher.unwatch(&place);
                tracing::debug!(place = %place.display(), ?unwatched, "no longer watched");
            }
            let new = places.names.keys().filter(|place| !kept.contains(place));
            let failure = new.filter_map(|place| watch(watcher, place)).next();
            armed.places = places;
            if let Some(cause) = failure {
                armed.watcher = None;
                self.lose(cause);
                return true;
            }
            tracing::debug!(round, places = armed.places.names.len(), "files are watched");
        }
        armed.watcher = None;
        self.lose("the way to the manifest changes all the time".to_owned());
        true
    }

    fn lose(&self, cause: String) {
        tell(&self.hints, Hint::Blind { what: "the manifest's files", cause });
        // The task may wait for events that no longer come.
        self.told.changed.notify_one();
    }
}

/// Watches one directory, or says why not. One that went meanwhile is seen by the next look at the way.
fn watch(watcher: &mut RecommendedWatcher, place: &Path) -> Option<String> {
    let error = watcher.watch(place, RecursiveMode::NonRecursive).err()?;
    let gone = match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotADirectory,
        _ => false,
    };
    (!gone).then(|| match error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "no inotify watch is left (sysctl fs.inotify.max_user_watches)".to_owned()
        }
        _ => error.to_string(),
    })
}

/// Answers events, and compares dates once there are none.
async fn attend(shared: Arc<Shared>) {
    let mut last = Vec::new();
    loop {
        if locked(&shared.armed).watcher.is_some() {
            shared.told.changed.notified().await;
            shared.answer();
            tokio::time::sleep(BREATH).await;
            continue;
        }
        let now = dates(&locked(&shared.armed));
        if now != last {
            last = now;
            tell(&shared.hints, Hint::Manifest);
        }
        tokio::time::sleep(POLL).await;
    }
}

impl Shared {
    fn answer(&self) {
        let mut armed = locked(&self.armed);
        if let Some(cause) = locked(&self.told.failure).take() {
            armed.watcher = None;
            self.lose(cause);
        }
        self.arm(&mut armed);
        drop(armed);
        tell(&self.hints, Hint::Manifest);
    }
}

/// What changes with a file's content, by the file that its name leads to.
type Date = Option<(u64, u64, i64, i64)>;

fn dates(armed: &Armed) -> Vec<Date> {
    let date = |file: &PathBuf| {
        let meta = file.metadata().ok()?;
        Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
    };
    armed.files.iter().chain(&armed.directories).map(date).collect()
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_fails_is_said_once_and_made_up_for_by_dates() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("fleet.yaml");
        std::fs::write(&file, "1").unwrap();
        let (sender, mut hints) = tokio::sync::mpsc::unbounded_channel();
        let files = Files::new(sender);
        let (followed, none) = (BTreeSet::from([file.clone()]), BTreeSet::new());
        files.follow((&followed, &none));
        for _ in 0..2 {
            files.shared.told.take(Err(notify::Error::generic("no more watches")));
        }
        let said = hints.recv().await.unwrap();
        assert!(
            matches!(&said, Hint::Blind { cause, .. } if cause == "no more watches"),
            "{said:?}"
        );
        assert_eq!(hints.recv().await, Some(Hint::Manifest));
        for round in 0..3 {
            std::fs::write(&file, "x".repeat(round + 2)).unwrap();
            assert_eq!(hints.recv().await, Some(Hint::Manifest));
            files.follow((&followed, &none));
            let hint = tokio::time::timeout(POLL * 3, hints.recv()).await;
            assert!(round == 0 || hint.is_err(), "{hint:?}");
        }
    }
}
