//! The store against real files: what it keeps, what it refuses, and that reading leaves no trace.

use super::events::Outcome;
use super::*;
use crate::name::{Run, Uid};
use crate::record::{Applied, Books, Intent, IntentKind, Place, StopReason, Tombstone};
use crate::snapshot::ServerId;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

const MACHINE: &str = "m1";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn uid(n: u128) -> Uid {
    Uid::from_parts(1, n)
}

fn record(n: u128) -> Record {
    Record {
        uid: uid(n),
        name: format!("s{n}").parse().unwrap(),
        tmux_name: format!("shop/s{n}"),
        place: Place::Repository { repo: PathBuf::from("/srv/shop") },
        run: Run(1),
        runtime: None,
        ports: BTreeMap::new(),
        conversation: None,
        old_conversations: Vec::new(),
        applied: Applied::default(),
        protected_since: None,
        end: None,
        wish: None,
        books: Books::default(),
        conditions: BTreeMap::new(),
        created: at(0),
        gone_since: None,
        former: Vec::new(),
    }
}

fn tombstone(n: u128, second: i64) -> Tombstone {
    Tombstone {
        record: record(n),
        at: at(second),
        trash: Some(PathBuf::from("/srv/shop.worktrees/.trash/x")),
        branch: None,
        salvage: vec!["refs/fleet/salvage/x/head".to_owned()],
        screen: None,
    }
}

fn intent(n: u128) -> Intent {
    Intent { uid: uid(n), kind: IntentKind::Stop { reason: StopReason::Human }, done: Vec::new() }
}

fn event(n: usize) -> Event {
    let session = if n % 2 == 1 { "s1" } else { "" };
    let (session, verb) = (session.to_owned(), "create".to_owned());
    let outcome = if n % 2 == 1 { Outcome::Done } else { Outcome::NotAttempted };
    Event { at: at(0), session, verb, outcome, text: format!("event {n}") }
}

fn put(n: u128) -> Change {
    Change::Put(Box::new(record(n)))
}

fn bury(n: u128, second: i64) -> Change {
    Change::Bury(Box::new(tombstone(n, second)))
}

fn write_at(directory: &Path) -> Store {
    let lock = Lock::acquire(directory).unwrap();
    Store::open_to_write(directory, &lock, MACHINE).unwrap()
}

fn read_at(directory: &Path) -> Store {
    Store::open_to_read(directory).unwrap().unwrap()
}

/// A directory with a store in it that was closed.
fn closed(changes: &[Change]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write_at(directory.path()).write(changes).unwrap();
    directory
}

fn listing(directory: &Path) -> Vec<(PathBuf, SystemTime, u64)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        (entry.path(), metadata.modified().unwrap(), metadata.len())
    });
    let mut listing: Vec<_> = entries.collect();
    listing.sort();
    listing
}

#[test]
fn each_change_is_read_back() {
    let mut store = Store::in_memory().unwrap();
    let server = ServerId { pid: 7, started: 8, boot: "b".to_owned() };
    let revision = |digest: &str| Change::Revision { digest: digest.to_owned(), at: at(1) };
    let done = |act: &str| Change::Done { uid: uid(3), act: act.to_owned() };
    let batch = [
        put(1),
        put(2),
        Change::Put(Box::new(Record { run: Run(5), ..record(1) })),
        Change::Remove(uid(2)),
        bury(4, 10),
        bury(5, 20),
        bury(6, 30),
        Change::Unbury(uid(6)),
        Change::Begin(intent(9)),
        Change::Begin(intent(3)),
        done("worktree"),
        done("pane"),
        Change::Begin(intent(8)),
        Change::Finish(uid(8)),
        revision("aa"),
        revision("bb"),
        Change::Server(server.clone()),
        Change::Socket(PathBuf::from("/tmp/tmux-0/default")),
        Change::Manifest(PathBuf::from("/srv/shop/fleet.yaml")),
        Change::Ended(at(2)),
        Change::Ended(at(3)),
        Change::Event(event(1)),
    ];
    store.write(&batch).unwrap();
    let records = store.records().unwrap();
    assert_eq!(records.sessions.len(), 1);
    assert_eq!(records.sessions[&uid(1)], Record { run: Run(5), ..record(1) });
    assert_eq!(records.tombstones, [tombstone(5, 20), tombstone(4, 10)]);
    let acts = vec!["worktree".to_owned(), "pane".to_owned()];
    assert_eq!(records.intents, [intent(9), Intent { done: acts, ..intent(3) }]);
    assert_eq!((records.revision, records.digest.as_str()), (2, "bb"));
    assert_eq!(records.server, Some(server));
    assert_eq!(records.recent_ends, [at(2), at(3)]);
    assert_eq!(store.events(None, 9).unwrap(), [Kept { id: 1, event: event(1) }]);
    assert_eq!(store.socket().unwrap(), Some(PathBuf::from("/tmp/tmux-0/default")));
    assert_eq!(store.manifest().unwrap(), Some(PathBuf::from("/srv/shop/fleet.yaml")));
    let mut taken = Records::default();
    batch.iter().for_each(|change| taken.take(change));
    assert_eq!(format!("{taken:?}"), format!("{records:?}"));
}

#[test]
fn a_batch_that_fails_leaves_nothing_of_itself() {
    let mut store = Store::in_memory().unwrap();
    let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"/\xff"));
    let refused = store.write(&[put(1), Change::Socket(odd)]);
    assert!(matches!(refused, Err(StoreError::Text { .. })), "{refused:?}");
    assert!(store.records().unwrap().sessions.is_empty());
}

#[test]
fn ends_of_more_than_an_hour_ago_are_forgotten() {
    let mut store = Store::in_memory().unwrap();
    store.write(&[Change::Ended(at(0)), Change::Ended(at(90_000))]).unwrap();
    assert_eq!(store.records().unwrap().recent_ends, [at(90_000)]);
}

#[test]
fn the_oldest_events_go_and_those_of_one_session_can_be_had() {
    let mut store = Store::in_memory().unwrap();
    let many: Vec<Change> = (0..10_005).map(|n| Change::Event(event(n))).collect();
    store.write(&many).unwrap();
    let all = store.events(None, u32::MAX).unwrap();
    let kept = |n: usize| Kept { id: i64::try_from(n).unwrap() + 1, event: event(n) };
    assert_eq!((all.len(), &all[0], all.last()), (10_000, &kept(10_004), Some(&kept(5))));
    let one = store.events(Some("s1"), 2).unwrap();
    assert_eq!(one, [kept(10_003), kept(10_001)]);
    assert_eq!(store.events_after(Some("s1"), 10_002).unwrap(), [kept(10_003)]);
    assert_eq!(store.events_after(None, 10_003).unwrap(), [kept(10_003), kept(10_004)]);
    assert_eq!(store.last_event().unwrap(), 10_005);
}

#[test]
fn reading_leaves_no_trace() {
    let directory = closed(&[put(1)]);
    let before = listing(directory.path());
    let names: Vec<_> = before.iter().map(|entry| entry.0.file_name().unwrap()).collect();
    assert_eq!(names, ["fleet.db", "lock"]);
    let store = read_at(directory.path());
    assert_eq!(store.records().unwrap().sessions.len(), 1);
    drop(store);
    assert_eq!(listing(directory.path()), before);
}

#[test]
fn a_reader_cannot_write() {
    let directory = closed(&[]);
    let mut store = read_at(directory.path());
    let refused = store.write(&[put(1)]);
    assert!(matches!(refused, Err(StoreError::Denied(_))), "{refused:?}");
}

#[test]
fn where_there_is_no_store_none_is_made_by_reading() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("shop");
    assert!(Store::open_to_read(&missing).unwrap().is_none());
    assert!(!missing.exists());
    // What a writer leaves that is killed between the file and its first table.
    std::fs::write(directory.path().join("fleet.db"), "").unwrap();
    assert!(Store::open_to_read(directory.path()).unwrap().is_none());
}

#[test]
fn a_writer_without_a_change_leaves_no_trace() {
    let directory = closed(&[put(1)]);
    let before = listing(directory.path());
    let mut store = write_at(directory.path());
    assert_eq!(store.records().unwrap().sessions.len(), 1);
    store.write(&[]).unwrap();
    drop(store);
    assert_eq!(listing(directory.path()), before);
}

#[test]
fn a_reader_sees_a_live_writers_batches_and_leaves_its_files_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = write_at(directory.path());
    writer.write(&[put(1)]).unwrap();
    let reader = read_at(directory.path());
    writer.write(&[put(2)]).unwrap();
    assert_eq!(reader.records().unwrap().sessions.len(), 2);
    let before = listing(directory.path());
    drop(reader);
    assert_eq!(listing(directory.path()), before);
    writer.write(&[put(3)]).unwrap();
}

#[test]
fn what_a_killed_writer_committed_is_there_and_a_reader_leaves_it_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = write_at(directory.path());
    writer.write(&[put(1)]).unwrap();
    // A copy of the files is what a kill leaves.
    let killed = tempfile::tempdir().unwrap();
    for name in ["fleet.db", "fleet.db-wal"] {
        std::fs::copy(directory.path().join(name), killed.path().join(name)).unwrap();
    }
    let before = listing(killed.path());
    let reader = read_at(killed.path());
    assert_eq!(reader.records().unwrap().sessions.len(), 1);
    drop(reader);
    let mut after = listing(killed.path());
    after.retain(|(path, ..)| !path.ends_with("fleet.db-shm"));
    assert_eq!(after, before);
}

#[test]
fn only_the_owner_may_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = write_at(directory.path());
    store.write(&[put(1)]).unwrap();
    for (path, ..) in listing(directory.path()) {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_store_of_a_later_format_is_refused_and_stays_as_it_is() {
    let directory = closed(&[]);
    let connection = Connection::open(directory.path().join("fleet.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = listing(directory.path());
    let read = Store::open_to_read(directory.path());
    assert!(matches!(read, Err(StoreError::Newer { found: 99, .. })));
    let lock = Lock::acquire(directory.path()).unwrap();
    let written = Store::open_to_write(directory.path(), &lock, MACHINE);
    assert!(matches!(written, Err(StoreError::Newer { found: 99, .. })));
    assert_eq!(listing(directory.path()), before);
}

#[test]
fn a_store_of_another_machine_is_refused() {
    let directory = closed(&[]);
    let refused = read_at(directory.path()).refuse_other_machine("m2");
    assert!(matches!(refused, Err(StoreError::OtherMachine { .. })));
    read_at(directory.path()).refuse_other_machine(MACHINE).unwrap();
    let lock = Lock::acquire(directory.path()).unwrap();
    let written = Store::open_to_write(directory.path(), &lock, "m2");
    assert!(matches!(written, Err(StoreError::OtherMachine { .. })));
}

#[test]
fn an_installation_is_one_machine_one_user_one_directory() {
    let state = Path::new("/home/a/.local/state/fleetctl");
    let here = installation("abc\n", 1000, state);
    assert_eq!((here.0.len(), &here), (16, &installation("abc", 1000, state)));
    for other in [
        installation("abd", 1000, state),
        installation("abc", 1001, state),
        installation("abc", 1000, Path::new("/tmp")),
    ] {
        assert_ne!(here, other);
    }
}

#[test]
fn a_full_disk_is_told_from_other_failures_and_loses_nothing_that_was_there() {
    let mut store = Store::in_memory().unwrap();
    store.write(&[put(1)]).unwrap();
    let pages: i64 = store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let _most: i64 = store
        .connection
        .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get(0))
        .unwrap();
    let many: Vec<Change> = (2..200).map(put).collect();
    let full = store.write(&many);
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    assert_eq!(store.records().unwrap().sessions.len(), 1);
}

#[test]
fn a_damaged_store_and_one_that_is_no_file_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.db");
    std::fs::write(&path, "this is no database, and it is long enough to be seen as none").unwrap();
    let damaged = Store::open_to_read(directory.path());
    assert!(matches!(damaged, Err(StoreError::Damaged(_))), "{damaged:?}");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let denied = Store::open_to_read(directory.path());
    assert!(matches!(denied, Err(StoreError::Denied(_))), "{denied:?}");
}

#[test]
fn a_record_that_is_not_understood_is_an_error_and_not_an_absent_one() {
    let store = Store::in_memory().unwrap();
    store.connection.execute("INSERT INTO records VALUES ('x', '{}')", []).unwrap();
    assert!(matches!(store.records(), Err(StoreError::Content { table: "records", .. })));
}
