//! The second look: what a plan asked for, and no more.

use super::{Live, probe};
use crate::git::{LOOKS, Occupant, Occupants};
use crate::name::Uid;
use crate::process::alive::{self, Inside};
use crate::snapshot::{
    Answers, Blind, Company, Evidence, Marked, Observed, PaneId, Question, TranscriptAt, Work,
    WorkAt,
};
use globset::GlobBuilder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A child of a fleetctl that is looking at the same worktree: `get -w`, say. One whose environment cannot be
/// read is not.
fn only_looks(pid: u32) -> bool {
    let (mark, value) = LOOKS;
    matches!(alive::carries(pid, mark, value), Ok(true))
}

impl Live {
    pub(super) fn answers(&self, questions: &BTreeSet<Question>) -> Answers {
        let mut answers = Answers { ready: self.probed(questions), ..Answers::default() };
        for question in questions {
            match question {
                Question::Work(at) => {
                    answers.work.insert(at.uid, self.work(at));
                }
                Question::Ground(at) => {
                    answers.ground.insert(at.clone(), self.git.ground(at));
                }
                Question::Company(pane) => {
                    answers.company.insert(pane.clone(), self.company(pane));
                }
                Question::Transcript(at) => {
                    answers.transcripts.insert(at.uid, self.transcript(at));
                }
                Question::Survivors(at) => {
                    answers.survivors.insert(at.uid, alive::survivors(at));
                }
                Question::Ports(at) => {
                    answers.ports.insert(at.clone(), self.ports(at));
                }
                Question::Merged(at) => {
                    answers.merged.insert(at.uid, self.git.merged(at));
                }
                Question::Ready(_) => {}
            }
        }
        answers
    }

    /// Probes side by side: each may take its time.
    fn probed(&self, questions: &BTreeSet<Question>) -> BTreeMap<Uid, Observed<bool>> {
        let asked = questions.iter().filter_map(|question| match question {
            Question::Ready(at) => Some(at),
            _ => None,
        });
        std::thread::scope(|scope| {
            let probes: Vec<_> =
                asked.map(|at| (at, scope.spawn(|| probe::ready(&self.tmux, at)))).collect();
            let given = probes.into_iter().map(|(at, probe)| {
                let blind = || Blind {
                    what: format!("whether {} is ready", at.session),
                    cause: "the look ended in a panic".into(),
                };
                (at.uid, probe.join().unwrap_or_else(|_| Observed::Unknown(blind())))
            });
            given.collect()
        })
    }

    /// A pane that is not marked has no company of ours.
    fn company(&self, pane: &PaneId) -> Observed<Company> {
        let seen = self.panes.iter().find(|seen| &seen.id == pane);
        match seen.map(|seen| &seen.mark) {
            Some(Marked::Yes(mark)) => self.tmux.company(pane, mark.uid),
            _ => Observed::Absent(Evidence::NotListed),
        }
    }

    fn work(&self, at: &WorkAt) -> Observed<Work> {
        self.git.work(at, &self.occupants(at))
    }

    /// Who stands in a worktree and does not end with its session.
    fn occupants(&self, at: &WorkAt) -> Occupants {
        let blind = |error: std::io::Error| Blind {
            what: format!("the processes in {}", at.path.display()),
            cause: error.to_string(),
        };
        let inside = at.path.canonicalize().and_then(|path| alive::inside(&path));
        let inside = match inside {
            Ok(inside) => inside,
            Err(error) => return Observed::Unknown(blind(error)),
        };
        let staying = inside
            .into_iter()
            .filter(|process| !at.sids.contains(&process.session) && !only_looks(process.pid));
        Observed::Known(staying.map(|process| self.occupant(process)).collect())
    }

    fn occupant(&self, process: Inside) -> Occupant {
        let Inside { pid, command, cwd: directory, .. } = process;
        match self.panes.iter().find(|pane| pane.pid == pid) {
            Some(pane) => Occupant::Pane { pane: pane.id.0.clone(), command, directory },
            None => Occupant::Process { pid, command, directory },
        }
    }

    fn transcript(&self, at: &TranscriptAt) -> Observed<bool> {
        for glob in &at.globs {
            match self.matches(glob) {
                Ok(true) => return Observed::Known(true),
                Ok(false) => {}
                Err(cause) => {
                    let what = format!("the conversation at {glob}");
                    return Observed::Unknown(Blind { what, cause });
                }
            }
        }
        Observed::Known(false)
    }

    /// Whether a file matches a glob whose fixed beginning may name variables.
    fn matches(&self, glob: &str) -> Result<bool, String> {
        let glob = self.expand(glob);
        let fixed: PathBuf = Path::new(&glob)
            .components()
            .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']))
            .collect();
        if fixed == Path::new(&glob) {
            return fixed.try_exists().map_err(|error| error.to_string());
        }
        let pattern = GlobBuilder::new(&glob)
            .literal_separator(true)
            .build()
            .map_err(|error| error.to_string())?
            .compile_matcher();
        let depth = Path::new(&glob).components().count() - fixed.components().count();
        for entry in walkdir::WalkDir::new(&fixed).max_depth(depth) {
            match entry {
                Ok(entry) if pattern.is_match(entry.path()) => return Ok(true),
                Ok(_) => {}
                Err(error) => match error.io_error().map(std::io::Error::kind) {
                    Some(std::io::ErrorKind::NotFound) => {}
                    _ => return Err(error.to_string()),
                },
            }
        }
        Ok(false)
    }

    /// Replaces `${NAME:-default}`, `${NAME}` and `$NAME` at the beginning.
    fn expand(&self, glob: &str) -> String {
        let Some(rest) = glob.strip_prefix('$') else { return glob.to_owned() };
        if let Some((inner, tail)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
            let value = self.env.get(name).filter(|value| !value.is_empty()).cloned();
            return value.unwrap_or_else(|| self.expand(default)) + tail;
        }
        let end = rest.find('/').unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        self.env.get(name).cloned().unwrap_or_default() + tail
    }
}
