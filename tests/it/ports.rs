//! Ports: which one a session gets, that it keeps it, and that nobody gets one that somebody has.

use crate::fleets::{Kind, fleet, installation, now, record, records, session, snapshot};
use crate::shop::{SLEEP, Shop, json};
use fleetctl::manifest::fleet::{Fleet, PortPool};
use fleetctl::plan::{HoldReason, Note, Plan, Policy, Verdict, plan};
use fleetctl::record::Records;
use fleetctl::snapshot::{
    Blind, BranchSource, Commit, Ground, Observed, PortHolder, PortsSeen, Question, Snapshot,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpListener;

type Taken = BTreeMap<u16, PortHolder>;

fn pooled(names: &[(&str, &[&str])], pool: (u16, u16)) -> Fleet {
    let sessions = names.iter().map(|(name, ports)| {
        let mut session = session(name, Kind::Command);
        session.ports = ports.iter().map(ToString::to_string).collect();
        session
    });
    let mut fleet = fleet(sessions);
    fleet.settings.ports = Some(PortPool { first: pool.0, last: pool.1 });
    fleet
}

/// Plans with every question answered; `ports` is the answer about ports.
fn planned(fleet: &Fleet, records: &Records, ports: &Observed<PortsSeen>) -> Plan {
    let mut seen: Snapshot = snapshot(Vec::new(), Vec::new());
    loop {
        let made = plan(fleet, &seen, records, &Policy::new(installation()));
        if made.questions.is_empty() {
            return made;
        }
        for question in made.questions {
            match question {
                Question::Ports(at) => drop(seen.answers.ports.insert(at, ports.clone())),
                Question::Ground(at) => {
                    let commit = Commit { id: "c1".into(), time: now() };
                    let branch = BranchSource::New { base: "main".into(), at: commit };
                    let ground = Ground { branch, path_taken: false, checked_out: None };
                    drop(seen.answers.ground.insert(at, Observed::Known(ground)));
                }
                Question::Survivors(at) => {
                    drop(seen.answers.survivors.insert(at.uid, Observed::Known(Vec::new())));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn known(taken: Taken) -> Observed<PortsSeen> {
    Observed::Known(PortsSeen { taken })
}

fn ports(plan: &Plan, name: &str) -> Vec<(String, u16)> {
    let name = name.parse().expect("a name");
    let ports = plan.ports.get(&name).into_iter().flatten();
    ports.map(|(name, port)| (name.clone(), *port)).collect()
}

fn hold<'p>(plan: &'p Plan, name: &str) -> &'p HoldReason {
    let entry = plan.entries.iter().find(|entry| entry.name.as_str() == name).expect("it is there");
    match &entry.verdict {
        Verdict::Hold(hold) => &hold.reason,
        other => panic!("{name} is not held: {other:?}"),
    }
}

#[test]
fn each_name_gets_the_lowest_port_that_nobody_has() {
    let fleet = pooled(&[("a", &["web", "db"]), ("b", &["web"]), ("c", &[])], (41_000, 41_009));
    let other: PortHolder = PortHolder::Fleet("other".parse().expect("a name"));
    let taken = Taken::from([(41_000, PortHolder::Somebody), (41_002, other)]);
    let made = planned(&fleet, &Records::default(), &known(taken));
    assert_eq!(ports(&made, "a"), [("db".to_owned(), 41_003), ("web".to_owned(), 41_001)]);
    assert_eq!(ports(&made, "b"), [("web".to_owned(), 41_004)]);
    assert_eq!(ports(&made, "c"), []);
    let told = &made.entries[1].notes;
    assert_eq!(told, &[Note::Ports(BTreeMap::from([("web".to_owned(), 41_004)]))]);
}

#[test]
fn what_a_record_has_is_kept_and_given_to_nobody_else() {
    let fleet = pooled(&[("a", &["web", "db"]), ("b", &["web"])], (41_001, 41_003));
    let mut has = record(&fleet.sessions[0], 1);
    has.ports = BTreeMap::from([("web".to_owned(), 40_999), ("old".to_owned(), 41_001)]);
    let mut gone = record(&session("gone", Kind::Command), 2);
    gone.ports = BTreeMap::from([("web".to_owned(), 41_002)]);
    has.applied.in_place.clear();
    let (records, taken) = (records([has, gone]), Taken::from([(40_999, PortHolder::Somebody)]));
    let made = planned(&fleet, &records, &known(taken));
    let notes = &made.entries[0].notes;
    assert!(notes.contains(&Note::PortOutside { name: "web".into(), port: 40_999 }), "{notes:?}");
    assert_eq!(ports(&made, "a"), [("db".to_owned(), 41_003), ("web".to_owned(), 40_999)]);
    let HoldReason::NoPort { name, pool, by } = hold(&made, "b") else { panic!("{made:#?}") };
    assert_eq!((name.as_str(), *pool), ("web", Some((41_001, 41_003))));
    assert_eq!(by, &[("a".to_owned(), 2), ("gone".to_owned(), 1)]);
}

#[test]
fn who_needs_more_ports_than_there_are_is_told_of_those_it_would_have() {
    let fleet = pooled(&[("a", &["web"]), ("b", &["x", "y"])], (41_000, 41_001));
    let made = planned(&fleet, &Records::default(), &known(Taken::new()));
    let HoldReason::NoPort { name, by, .. } = hold(&made, "b") else { panic!("{made:#?}") };
    assert_eq!((name.as_str(), by), ("y", &vec![("a".to_owned(), 1), ("b".to_owned(), 1)]));
}

#[test]
fn without_a_look_at_the_ports_none_is_given() {
    let fleet = pooled(&[("a", &["web"]), ("b", &[])], (41_000, 41_001));
    let blind = Blind { what: "the ports of fleet x".into(), cause: "damaged".into() };
    let made = planned(&fleet, &Records::default(), &Observed::Unknown(blind.clone()));
    assert_eq!(hold(&made, "a"), &HoldReason::Unseen(blind));
    assert!(matches!(made.entries[1].verdict, Verdict::Do(_)), "{made:#?}");
}

/// A shop whose fleet has a pool of its own on this machine.
struct Harbour {
    shop: Shop,
    pool: (u16, u16),
}

impl Harbour {
    /// `test` tells the pools of tests that run side by side apart.
    fn new(test: u16, sessions: &str) -> Self {
        // Below the ports that the kernel gives out by itself, and apart from another run of these tests.
        let run = u16::try_from(std::process::id() % 60).expect("a small number");
        let first = 20_000 + run * 200 + test * 40;
        let harbour = Self { shop: Shop::new(""), pool: (first, first + 39) };
        harbour.edit(sessions);
        harbour
    }

    fn edit(&self, sessions: &str) {
        self.edit_with(sessions, self.pool);
    }

    fn edit_with(&self, sessions: &str, (first, last): (u16, u16)) {
        let text = format!("{}ports: {first}-{last}\n", self.shop.text(sessions));
        std::fs::write(self.shop.manifest(), text).expect("the manifest is written");
    }

    #[track_caller]
    fn apply(&self) {
        self.shop.run(&["apply", "--yes", "--max-decommission", "9"]).ok();
    }

    fn port(&self, session: &str, name: &str) -> u16 {
        let ports = self.shop.session(session)["record"]["ports"].clone();
        ports[name].as_u64().and_then(|port| u16::try_from(port).ok()).expect(name)
    }

    /// What a session wrote when it started last.
    fn said(&self, session: &str) -> String {
        let path = self.shop.worktree(session).join("target/said");
        crate::sandbox::eventually(crate::sandbox::SOON, "it has said so", || {
            std::fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))
        });
        let text = std::fs::read_to_string(&path).expect("it was there");
        std::fs::remove_file(path).expect("it goes");
        text.trim_end().to_owned()
    }
}

/// What is ignored is no work at risk.
const SAYS: &str = "command: 'mkdir -p target; echo ${port.web} $FLEET_PORT_WEB $PEER >target/said; exec sleep 100000'";

#[test]
fn a_session_keeps_its_ports_until_it_is_decommissioned() {
    let b = format!("b: {{{SAYS}, ports: [web], env: {{PEER: '${{sessions.a.port.db}}'}}}}");
    let both = format!("a: {{{SAYS}, ports: [web, db]}}\n{b}");
    let harbour = Harbour::new(0, &both);
    harbour.shop.run(&["diff"]).code(1).says("gets port");
    harbour.apply();
    let (web, db, of_b) =
        (harbour.port("a", "web"), harbour.port("a", "db"), harbour.port("b", "web"));
    assert!(web != db && db != of_b && web != of_b, "{web} {db} {of_b}");
    for port in [web, db, of_b] {
        assert!((harbour.pool.0..=harbour.pool.1).contains(&port), "{port}");
    }
    assert_eq!(harbour.said("a"), format!("{web} {web}"));
    assert_eq!(harbour.said("b"), format!("{of_b} {of_b} {db}"));
    harbour.shop.run(&["diff"]).ok();
    harbour.shop.run(&["describe", "a"]).ok().says(&format!("port {web} (web)"));
    harbour.shop.run(&["get", "-o", "wide"]).ok().says(&format!("db:{db} web:{web}"));
    for verb in [
        &["restart", "a"][..],
        &["stop", "a"],
        &["start", "a"],
        &["restart", "a", "--recreate", "-y"],
    ] {
        harbour.shop.run(verb).ok();
        assert_eq!((harbour.port("a", "web"), harbour.port("a", "db")), (web, db), "{verb:?}");
    }
    let b = format!("b: {{{SAYS}, ports: [web]}}");
    harbour.edit(&b);
    harbour.apply();
    harbour.edit(&format!("{b}\nc: {{{SLEEP}, ports: [x, y]}}"));
    harbour.apply();
    let mut again = [harbour.port("c", "x"), harbour.port("c", "y")];
    again.sort_unstable();
    let mut before = [web, db];
    before.sort_unstable();
    assert_eq!(again, before, "given back, and given again");
    harbour.shop.run(&["restore", "a"]).ok();
    let restored = harbour.shop.session("a")["record"]["ports"].clone();
    assert_eq!(restored, Value::Object(serde_json::Map::new()), "others have them by now");
}

#[test]
fn a_port_that_somebody_listens_on_is_not_given() {
    let harbour = Harbour::new(1, &format!("a: {{{SLEEP}, ports: [web]}}"));
    let (first, _) = harbour.pool;
    let held = TcpListener::bind(("127.0.0.1", first)).expect("nobody else listens there");
    harbour.edit_with(&format!("a: {{{SLEEP}, ports: [web]}}"), (first, first));
    let pid = format!("pid {}", std::process::id());
    harbour.shop.run(&["apply"]).code(4).says("no port of").says(&pid);
    harbour.edit(&format!("a: {{{SLEEP}, ports: [web]}}"));
    harbour.apply();
    assert_ne!(harbour.port("a", "web"), first);
    drop(held);

    // One that is kept is not exchanged, only told of.
    let kept = harbour.port("a", "web");
    harbour.shop.run(&["stop", "a"]).ok();
    let thief = TcpListener::bind(("0.0.0.0", kept)).expect("nobody listens there");
    let said = harbour.shop.run(&["start", "a"]).ok();
    said.says(&format!("port {kept} (web) is taken by {pid}"));
    assert_eq!(harbour.port("a", "web"), kept);
    drop(thief);
}

#[test]
fn a_name_more_is_taken_over_in_place_and_another_pool_moves_nobody() {
    let harbour = Harbour::new(2, &format!("a: {{{SLEEP}, ports: [web]}}"));
    harbour.apply();
    let (pid, web) = (harbour.shop.pid("a"), harbour.port("a", "web"));
    harbour.edit(&format!("a: {{{SLEEP}, ports: [db, web]}}"));
    harbour.apply();
    assert_eq!((harbour.shop.pid("a"), harbour.port("a", "web")), (pid, web));
    assert_ne!(harbour.port("a", "db"), web);
    harbour.edit_with(&format!("a: {{{SLEEP}, ports: [db, web]}}"), (web + 10, web + 20));
    harbour.shop.run(&["get"]).ok().says("not in the pool any more");
    harbour.apply();
    assert_eq!((harbour.shop.pid("a"), harbour.port("a", "web")), (pid, web));
    harbour.edit(&format!("a: {{{SLEEP}, ports: [db]}}"));
    harbour.apply();
    let left = harbour.shop.session("a")["record"]["ports"].clone();
    assert_eq!(left.as_object().map(serde_json::Map::len), Some(1), "{left}");
    assert_eq!(harbour.shop.pid("a"), pid);
}

#[test]
fn two_fleets_with_one_pool_share_no_port() {
    let harbour = Harbour::new(3, &format!("a: {{{SLEEP}, worktree: false, ports: [web, db]}}"));
    harbour.apply();
    harbour.shop.run(&["stop", "a"]).ok();
    let text = std::fs::read_to_string(harbour.shop.manifest()).expect("a manifest");
    let other = harbour.shop.top().join("other.yaml");
    std::fs::write(&other, text.replace("fleet: shop", "fleet: other")).expect("written");
    harbour.shop.run(&["apply", "-f", "other.yaml"]).ok();
    let theirs = json(&harbour.shop.run(&["get", "-f", "other.yaml", "-o", "json"]).ok());
    let theirs = &theirs["sessions"][0]["record"]["ports"];
    for port in [harbour.port("a", "web"), harbour.port("a", "db")] {
        assert!(theirs["web"] != port && theirs["db"] != port, "{port} of {theirs}");
    }
    let (first, last) = (harbour.port("a", "web"), harbour.port("a", "web"));
    let narrow = text.replace("fleet: shop", "fleet: third");
    let pool = format!("ports: {}-{}", harbour.pool.0, harbour.pool.1);
    let narrow = narrow.replace(&pool, &format!("ports: {first}-{last}"));
    std::fs::write(harbour.shop.top().join("third.yaml"), narrow).expect("written");
    harbour.shop.run(&["apply", "-f", "third.yaml"]).code(4).says("fleet shop 1");
}

#[test]
fn a_port_of_a_session_that_is_not_made_yet_starts_nobody_with_a_hole() {
    let wants = "b: {command: 'mkdir -p target; echo ${sessions.a.port.web} >target/said; exec sleep 100000'}";
    let harbour =
        Harbour::new(4, &format!("{wants}\na: {{{SLEEP}, ports: [web], state: stopped}}"));
    let said = harbour.shop.run(&["apply"]);
    assert_ne!(said.code, 0, "{said:#?}");
    said.says("${sessions.a.port.web}");
    assert!(harbour.shop.tmux_sessions().is_empty());
    harbour.edit(&format!("{wants}\na: {{{SLEEP}, ports: [web]}}"));
    let _ = harbour.shop.run(&["apply"]);
    harbour.apply();
    assert_eq!(harbour.said("b"), harbour.port("a", "web").to_string());
}
