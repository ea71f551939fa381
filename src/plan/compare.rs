//! One manifest against another, without a look at any machine: what a merge would change. Owns what of a fleet
//! is compared and how grave a difference is. Pure, total, deterministic. Invariant: two manifests that compare
//! equal would be planned equally on every machine that had the first one applied.

use super::change::between;
use super::runs::fields_of;
use super::{Change, ChangeClass, Hint};
use crate::manifest::fleet::{AtRisk, Desired, Fleet, Prune, Repo, Session, Settings, Socket};
use crate::name::Name;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

/// All that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The fleet's name, and the one that it had.
    pub fleet: Name,
    /// `None`: there was no manifest.
    pub was: Option<Name>,
    /// What differs of the fleet as a whole, and of its repositories.
    pub settings: Vec<Setting>,
    /// One entry for each session that differs: in the order of the new file, then those that left it.
    pub sessions: Vec<Difference>,
    /// How many sessions are the same.
    pub same: usize,
    /// What a reader should know.
    pub hints: Vec<Hint>,
}

/// What differs of the fleet as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Field and values.
    pub change: Change,
    /// How grave it is.
    pub severity: Severity,
}

/// What differs of one session.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its name; the new one, when it has two.
    pub name: Name,
    /// What became of it.
    pub fate: Fate,
    /// Its fields; of a session that came all that it has, of one that left none.
    pub changes: Vec<Change>,
}

/// What became of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Added,
    /// It is in both, under one name.
    Changed,
    /// It has another name now, by `moved`.
    Renamed {
        /// The old one.
        from: Name,
    },
    /// It is gone.
    Removed {
        /// It was protected: it will be held, not decommissioned.
        protected: bool,
    },
    /// It is gone, and `removed: keep` lets go of it.
    LetGo,
}

/// What a difference does where the first manifest was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing now: said, or taken over at the next start.
    Note,
    /// Taken over in place.
    Update,
    /// Made and started.
    Create,
    /// Started again: it is no longer `stopped`.
    Start,
    /// Let go of; it runs on and is nobody's.
    Forget,
    /// Ended, worktree and conversation kept.
    Stop,
    /// Ended and started again.
    Restart,
    /// Protected and gone from the file: held.
    Hold,
    /// Decommissioned and made anew.
    Recreate,
    /// Decommissioned.
    Decommission,
}

/// How grave a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// There is none.
    Same,
    /// Nothing is ended by it.
    Mild,
    /// A running session is ended, and may go on.
    Disruptive,
    /// A worktree goes, or what kept it from going does.
    Destructive,
}

impl Difference {
    /// What it does where the first manifest was applied.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self.fate {
            Fate::Added => Effect::Create,
            Fate::Removed { protected: false } => Effect::Decommission,
            Fate::Removed { protected: true } => Effect::Hold,
            Fate::LetGo => Effect::Forget,
            Fate::Changed | Fate::Renamed { .. } => self.changes_effect(),
        }
    }

    fn changes_effect(&self) -> Effect {
        let any = |class| self.changes.iter().any(|change| change.class == class);
        let state = self.changes.iter().find(|change| change.field == STATE);
        match state.map(|change| change.to.is_some()) {
            _ if any(ChangeClass::Recreate) => Effect::Recreate,
            Some(true) => Effect::Stop,
            Some(false) => Effect::Start,
            None if any(ChangeClass::Restart) => Effect::Restart,
            None if any(ChangeClass::InPlace) => Effect::Update,
            None if matches!(self.fate, Fate::Renamed { .. }) => Effect::Update,
            None => Effect::Note,
        }
    }

    /// How grave it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let unprotected = |change: &Change| change.field == "protect" && change.to.is_none();
        match self.effect() {
            Effect::Decommission | Effect::Recreate | Effect::Hold => Severity::Destructive,
            _ if self.fate != Fate::Added && self.changes.iter().any(unprotected) => {
                Severity::Destructive
            }
            Effect::Restart | Effect::Stop | Effect::Forget => Severity::Disruptive,
            Effect::Note | Effect::Update | Effect::Create | Effect::Start => Severity::Mild,
        }
    }
}

impl Comparison {
    /// The gravest of all differences.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let settings = self.settings.iter().map(|setting| setting.severity);
        let all = self.sessions.iter().map(Difference::severity).chain(settings);
        all.max().unwrap_or(Severity::Same)
    }

    /// True when nothing differs.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.sessions.is_empty() && self.settings.is_empty()
    }
}

const STATE: &str = "state";

/// Compares two manifests; `None` stands for a file that is not there yet.
#[must_use]
pub fn compare(from: Option<&Fleet>, to: &Fleet) -> Comparison {
    let none = indexmap::IndexMap::new();
    let old = from.map_or(&none, |fleet| &fleet.sessions);
    let moves = moves(from, to);
    let was: HashMap<&Name, &Name> = moves.iter().map(|(from, to)| (*to, *from)).collect();
    let mut sessions = Vec::new();
    let mut matched: Vec<(&Session, &Session)> = Vec::new();
    for (name, session) in &to.sessions {
        let before = was.get(name).copied().unwrap_or(name);
        // A name that moved away and came back stands for another session.
        let came = before == name && moves.contains_key(name);
        let Some(under) = old.get(before).filter(|_| !came) else {
            let (fate, changes) = (Fate::Added, added(session));
            sessions.push(Difference { name: name.clone(), fate, changes });
            continue;
        };
        matched.push((under, session));
        let changes = changed(under, session, &moves);
        let fate = match before == name {
            true => Fate::Changed,
            false => Fate::Renamed { from: before.clone() },
        };
        if !changes.is_empty() || fate != Fate::Changed {
            sessions.push(Difference { name: name.clone(), fate, changes });
        }
    }
    let same = matched.len() - sessions.iter().filter(|one| one.fate != Fate::Added).count();
    let kept: HashSet<&Name> = matched.iter().map(|(under, _)| &under.name).collect();
    let gone = old.values().filter(|session| !kept.contains(&session.name));
    sessions.extend(gone.map(|session| left(session, to)));
    let mut settings = from.map(|from| settings(from, to)).unwrap_or_default();
    settings.extend(from.map(|from| repositories(from, to, &matched)).unwrap_or_default());
    let hints = hints(from, to, &sessions);
    let was = from.map(|fleet| fleet.name.clone());
    Comparison { fleet: to.name.clone(), was, settings, sessions, same, hints }
}

/// The renames that the new file gives, where the old one has the name and the new one no longer means it.
fn moves<'f>(from: Option<&'f Fleet>, to: &'f Fleet) -> HashMap<&'f Name, &'f Name> {
    let Some(from) = from else { return HashMap::new() };
    let known = |moved: &&crate::manifest::fleet::Moved| {
        moved.from != moved.to
            && from.sessions.contains_key(&moved.from)
            && to.sessions.contains_key(&moved.to)
            && !from.moved.contains(moved)
            // A name that another session keeps cannot be given away.
            && (!from.sessions.contains_key(&moved.to) || to.moved.iter().any(|m| m.from == moved.to))
    };
    to.moved.iter().filter(known).map(|moved| (&moved.from, &moved.to)).collect()
}

fn added(session: &Session) -> Vec<Change> {
    let mut fields = fields_of(session);
    fields.extend(state(Desired::Running, session.state));
    fields
}

fn changed(from: &Session, to: &Session, moves: &HashMap<&Name, &Name>) -> Vec<Change> {
    let same_owner = |old: &str, new: &str| {
        moves.iter().any(|(from, to)| from.as_str() == old && to.as_str() == new)
    };
    let mut changes = between(&from.applied, &to.applied, same_owner);
    changes.extend(state(from.state, to.state));
    changes
}

fn state(from: Desired, to: Desired) -> Option<Change> {
    let word = |state| match state {
        Desired::Running => None,
        Desired::Stopped => Some("stopped".to_owned()),
    };
    (from != to).then(|| Change {
        field: STATE.to_owned(),
        from: word(from),
        to: word(to),
        class: ChangeClass::InPlace,
    })
}

fn left(session: &Session, to: &Fleet) -> Difference {
    let keeps = to.removed.iter().any(|removed| removed.session == session.name && removed.keep);
    let fate = match keeps {
        true => Fate::LetGo,
        false => Fate::Removed { protected: session.protect },
    };
    Difference { name: session.name.clone(), fate, changes: Vec::new() }
}

/// One that left and one that came, alike in what they run and the only ones that are.
fn hints(from: Option<&Fleet>, to: &Fleet, sessions: &[Difference]) -> Vec<Hint> {
    let mut left: BTreeMap<Likeness<'_>, Vec<&Name>> = BTreeMap::new();
    let mut came: BTreeMap<Likeness<'_>, Vec<&Name>> = BTreeMap::new();
    for one in sessions {
        let (fleet, names) = match one.fate {
            Fate::Removed { .. } => (from, &mut left),
            Fate::Added => (Some(to), &mut came),
            Fate::Changed | Fate::Renamed { .. } | Fate::LetGo => continue,
        };
        if let Some(session) = fleet.and_then(|fleet| fleet.sessions.get(&one.name)) {
            names.entry(likeness(session)).or_default().push(&one.name);
        }
    }
    let pairs = left.iter().filter_map(|(like, from)| {
        match (from.as_slice(), came.get(like)?.as_slice()) {
            ([from], [to]) => Some(Hint::PerhapsMoved { from: (*from).clone(), to: (*to).clone() }),
            _ => None,
        }
    });
    pairs.collect()
}

/// What two texts of one session have in common.
type Likeness<'l> = (Option<&'l String>, Option<&'l str>, Option<&'l String>);

fn likeness(session: &Session) -> Likeness<'_> {
    let applied = &session.applied;
    let (repo, command) = (applied.recreate.get("repo"), applied.restart.get("command"));
    (repo, applied.builtin.as_deref(), command)
}

fn setting(field: &str, severity: Severity, values: (Option<String>, Option<String>)) -> Setting {
    let (from, to) = values;
    let change = Change { field: field.to_owned(), from, to, class: ChangeClass::InPlace };
    Setting { change, severity }
}

fn settings(from: &Fleet, to: &Fleet) -> Vec<Setting> {
    let (old, new) = (&from.settings, &to.settings);
    let mut found = Vec::new();
    let mut put = |field: &str, severity, (from, to): (String, String)| {
        if from != to {
            found.push(setting(field, severity, (Some(from), Some(to))));
        }
    };
    // Under another name, or on another server, all is made anew beside what there was.
    put("fleet", Severity::Destructive, (from.name.to_string(), to.name.to_string()));
    put("tmux.socket", Severity::Destructive, (socket(from), socket(to)));
    let grave = |laxer| if laxer { Severity::Destructive } else { Severity::Mild };
    let laxer = old.at_risk == AtRisk::Keep && new.at_risk == AtRisk::Archive;
    put("at_risk", grave(laxer), (at_risk(old), at_risk(new)));
    let sooner = match (old.prune, new.prune) {
        (_, Prune::Manual) => false,
        (Prune::Manual, Prune::After(_)) => true,
        (Prune::After(old), Prune::After(new)) => new < old,
    };
    put("prune", grave(sooner), (prune(old), prune(new)));
    let numbers = [
        ("max_running", old.max_running, new.max_running),
        ("max_starting", old.max_starting, new.max_starting),
    ];
    for (field, old, new) in numbers {
        put(field, Severity::Mild, (old.to_string(), new.to_string()));
    }
    found
}

fn at_risk(settings: &Settings) -> String {
    match settings.at_risk {
        AtRisk::Keep => "keep".to_owned(),
        AtRisk::Archive => "archive".to_owned(),
    }
}

fn prune(settings: &Settings) -> String {
    match settings.prune {
        Prune::Manual => "manual".to_owned(),
        Prune::After(after) => format!("{}s", after.as_secs()),
    }
}

fn socket(fleet: &Fleet) -> String {
    match &fleet.settings.socket {
        Socket::Default => "(your own)".to_owned(),
        Socket::Name(name) => name.clone(),
        Socket::Path(path) => written(fleet, path),
    }
}

/// What differs of repositories that sessions of both files work in.
fn repositories(from: &Fleet, to: &Fleet, matched: &[(&Session, &Session)]) -> Vec<Setting> {
    let mut pairs: BTreeMap<String, (&Repo, &Repo)> = BTreeMap::new();
    for (old, new) in matched {
        let (before, after) = (old.applied.recreate.get("repo"), new.applied.recreate.get("repo"));
        // Another repository is a change of the session.
        if before == after {
            let name = after.map_or(".", String::as_str);
            pairs.entry(name.to_owned()).or_insert((&old.repo, &new.repo));
        }
    }
    let mut changes = Vec::new();
    for (name, (old, new)) in pairs {
        let mut put = |field: &str, from: Option<String>, to: Option<String>| {
            if from != to {
                let field = format!("repos[{name}].{field}");
                changes.push(setting(&field, Severity::Mild, (from, to)));
            }
        };
        put("path", Some(written(from, &old.path)), Some(written(to, &new.path)));
        put("base", old.base.clone(), new.base.clone());
        let trees =
            |fleet: &Fleet, repo: &Repo| repo.worktrees.as_deref().map(|path| written(fleet, path));
        put("worktrees", trees(from, old), trees(to, new));
        let fetch = |repo: &Repo| {
            Some(repo.fetch.map_or("never".to_owned(), |every| format!("{}s", every.as_secs())))
        };
        put("fetch", fetch(old), fetch(new));
    }
    changes
}

/// A path as a manifest would have it: relative to itself. Two files in two places may mean the same.
fn written(fleet: &Fleet, path: &Path) -> String {
    let Some(directory) = fleet.sources.first().and_then(|manifest| manifest.parent()) else {
        return path.display().to_string();
    };
    let common = directory.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    if common < 2 {
        return path.display().to_string();
    }
    let up = directory.components().count() - common;
    let mut made: PathBuf = std::iter::repeat_n(Component::ParentDir, up).collect();
    made.extend(path.components().skip(common));
    if made.as_os_str().is_empty() { ".".to_owned() } else { made.display().to_string() }
}
