//! One `match` from acts to drivers. Batches of worktrees and of panes go side by side.

use super::Live;
use crate::causes::in_one_line;
use crate::git::GitError;
use crate::launch::Launch;
use crate::name::Uid;
use crate::paths::Paths;
use crate::private;
use crate::process::{Child, ending};
use crate::snapshot::RuntimeAt;
use crate::tmux::StartSpec;
use crate::world::{Act, ActError, AddWorktree, Done, StartPane};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many `git worktree add` run at once: two are 0.58 of one after the other on two cores, four 0.69.
const CHECKOUTS: usize = 2;

/// How long what is left of an earlier run has between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);

impl Live {
    pub(super) fn acts(&mut self, acts: &[Act]) -> Vec<Result<Done, ActError>> {
        if let Some(panes) = all(acts, |act| match act {
            Act::StartPane(start) => Some(start),
            _ => None,
        }) {
            return self.start_panes(&panes);
        }
        if let Some(adds) = all(acts, |act| match act {
            Act::AddWorktree(add) => Some(add),
            _ => None,
        }) {
            return self.add_worktrees(&adds);
        }
        acts.iter().map(|act| self.one(act)).collect()
    }

    fn start_panes(&self, starts: &[&StartPane]) -> Vec<Result<Done, ActError>> {
        let program = self.program.to_string_lossy();
        let specs: Vec<StartSpec> = starts
            .iter()
            .map(|start| StartSpec {
                pane: (*start).clone(),
                argv: vec![
                    program.clone().into_owned(),
                    "__launch".into(),
                    start.launch.to_string_lossy().into_owned(),
                    start.mark.run.to_string(),
                ],
            })
            .collect();
        self.tmux.start(&specs)
    }

    /// Makes worktrees side by side: each thread takes the next one that is left.
    fn add_worktrees(&self, adds: &[&AddWorktree]) -> Vec<Result<Done, ActError>> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut made = Vec::new();
            while let Some(add) = adds.get(next.fetch_add(1, Ordering::Relaxed)) {
                made.push((add.worktree.uid, self.add_worktree(add)));
            }
            made
        };
        let mut made: std::collections::BTreeMap<_, _> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..CHECKOUTS.min(adds.len())).map(|_| scope.spawn(work)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
        });
        adds.iter()
            .map(|add| {
                made.remove(&add.worktree.uid).unwrap_or_else(|| {
                    Err(ActError::Uncertain {
                        what: "git worktree add".into(),
                        cause: "its thread ended in a panic".into(),
                    })
                })
            })
            .collect()
    }

    fn add_worktree(&self, add: &AddWorktree) -> Result<Done, ActError> {
        let made = match self.git.add_worktree(add) {
            Err(GitError::HalfMade { .. }) => {
                self.git.discard_half_made(&add.worktree, &add.discard)?;
                self.git.add_worktree(add)
            }
            made => made,
        };
        let head = made?;
        let admin = self.git.admin_of(&add.worktree.path)?.ok_or_else(|| ActError::Uncertain {
            what: "git worktree add".into(),
            cause: format!("{} is not a linked worktree", add.worktree.path.display()),
        })?;
        Ok(Done::Added { head, admin })
    }

    fn one(&self, act: &Act) -> Result<Done, ActError> {
        match act {
            Act::Fetch { repo, base, max_age } => {
                return self.fetch(repo, base.as_deref(), *max_age);
            }
            Act::AddWorktree(add) => return self.add_worktree(add),
            Act::WriteLaunch { launch, setup_again } => self.write_launch(launch, *setup_again)?,
            Act::StartPane(start) => {
                return self.start_panes(&[start]).pop().unwrap_or(Err(ActError::NotAttempted));
            }
            Act::Remark { pane, mark } => return self.tmux.remark(pane, mark),
            Act::KeepScreen { pane, uid, to } => return self.tmux.keep_screen(pane, *uid, to),
            Act::EndRun(end) => return self.tmux.end_run(end),
            Act::EndSurvivors(runtime) => return end_survivors(runtime),
            Act::RemovePane { pane, uid } => return self.tmux.remove_pane(pane, *uid),
            Act::Teardown { .. } => teardown(act)?,
            Act::Salvage(worktree) => return Ok(Done::Salvaged(self.git.salvage(worktree)?)),
            Act::Trash { worktree, to, finish_only } => {
                if *finish_only && !lies_there(to)? {
                    return Err(ActError::Changed(format!("{}", to.display())));
                }
                let branch = self.git.trash(worktree, to)?;
                return Ok(Done::Trashed { branch });
            }
            Act::Untrash { worktree, from, branch, salvage } => {
                let attached = self.git.untrash(worktree, from, branch.as_ref(), salvage)?;
                return Ok(Done::Restored { attached });
            }
            Act::Rebuild { worktree, keep } => self.git.rebuild(worktree, keep)?,
            Act::Describe { worktree, json } => self.git.describe(worktree, json)?,
            Act::LetGo(worktree) => self.git.let_go(worktree)?,
            Act::Tidy { uid, all } => tidy(&self.paths, *uid, *all)?,
            Act::Unmark { pane, uid } => return self.tmux.unmark(pane, *uid),
            Act::EmptyTrash { worktree, path, salvage } => {
                self.git.empty_trash(path, worktree, salvage)?;
            }
        }
        Ok(Done::Plain)
    }

    /// Fetches, unless that was done or tried a short while ago: a stamp's age says when.
    fn fetch(&self, repo: &Path, base: Option<&str>, max_age: Duration) -> Result<Done, ActError> {
        let stamp = self.paths.fetched(repo);
        let failed = stamp.with_extension("failed");
        if is_younger(&stamp, max_age) || is_younger(&failed, max_age) {
            return Ok(Done::Plain);
        }
        let fetched = self.git.fetch(repo, base);
        let stamp = if fetched.is_ok() { &stamp } else { &failed };
        let stamped = write_private(stamp, b"").map_err(|error| ActError::Failed {
            what: format!("write {}", stamp.display()),
            cause: error.to_string(),
        });
        fetched?;
        stamped.map(|()| Done::Fetched)
    }

    fn write_launch(&self, launch: &Launch, setup_again: bool) -> Result<(), ActError> {
        let at = self.paths.launch(launch.uid);
        let written = serde_json::to_vec(launch)
            .map_err(std::io::Error::from)
            .and_then(|text| write_private(&at, &text))
            .and_then(|()| remove_if_there(&launch.report))
            .and_then(|()| match &launch.setup {
                Some(setup) if setup_again => remove_if_there(&setup.done),
                _ => Ok(()),
            });
        written.map_err(|error| ActError::Failed {
            what: format!("write {}", at.display()),
            cause: error.to_string(),
        })
    }
}

/// The acts as one kind, if they all are.
fn all<'a, T>(acts: &'a [Act], as_kind: impl Fn(&'a Act) -> Option<&'a T>) -> Option<Vec<&'a T>> {
    acts.iter().map(as_kind).collect()
}

fn teardown(act: &Act) -> Result<(), ActError> {
    let Act::Teardown { directory, run, timeout, fleet, session, uid } = act else {
        return Ok(());
    };
    for text in run {
        let what = format!("teardown `{}`", text.trim());
        let ended = Child::new("sh")
            .args(["-c", text])
            .directory(directory)
            .limit(*timeout)
            .without("TMUX")
            .without("TMUX_PANE")
            .env("FLEET_NAME", fleet.as_str())
            .env("FLEET_SESSION", session.as_str())
            .env("FLEET_WORKTREE", directory)
            .env("FLEET_UID", uid.to_string())
            .run()
            .map_err(|error| ActError::Failed { what: what.clone(), cause: in_one_line(&error) })?;
        if !ended.status.success() {
            let last = ended.stderr.lines().last().unwrap_or_default();
            let cause = format!("{}: {last}", ended.status);
            return Err(ActError::Failed { what, cause });
        }
    }
    Ok(())
}

/// A stamp of a time to come says nothing.
fn is_younger(stamp: &Path, age: Duration) -> bool {
    let touched = fs::metadata(stamp).and_then(|meta| meta.modified()).ok();
    touched.and_then(|touched| touched.elapsed().ok()).is_some_and(|passed| passed < age)
}

/// Writes a file of the fleet, and makes its directory.
fn write_private(at: &Path, text: &[u8]) -> std::io::Result<()> {
    at.parent().map_or(Ok(()), private::make_directory_if_needed)?;
    private::replace(at, text)
}

/// Ends what an earlier run left; what is still there afterwards keeps the next one from starting.
fn end_survivors(runtime: &RuntimeAt) -> Result<Done, ActError> {
    let what = "end what is left of an earlier run";
    let failed = |cause| ActError::Failed { what: what.into(), cause };
    let left = ending::end_survivors(runtime, GRACE).map_err(|error| failed(error.to_string()))?;
    match left.first() {
        None => Ok(Done::Plain),
        Some(process) => {
            Err(failed(format!("still running: pid {} ({})", process.pid, process.command)))
        }
    }
}

/// A move that cannot be looked at may have been made: that is no answer, and not a no.
fn lies_there(path: &Path) -> Result<bool, ActError> {
    path.try_exists().map_err(|error| ActError::Uncertain {
        what: format!("look for {}", path.display()),
        cause: error.to_string(),
    })
}

/// Removes what an incarnation has in the state directory; what is not there is passed over.
fn tidy(paths: &Paths, uid: Uid, all: bool) -> Result<(), ActError> {
    let mut removed = remove_if_there(&paths.launch(uid));
    if all {
        removed = removed
            .and_then(|()| remove_if_there(&paths.failure(uid)))
            .and_then(|()| remove_if_there(&paths.setup_done(uid)))
            .and_then(|()| remove_if_there(&paths.screen(uid)))
            .and_then(|()| empty_directory(&paths.agent_state(uid)));
    }
    removed.map_err(|error| ActError::Failed {
        what: format!("tidy up after {uid}"),
        cause: error.to_string(),
    })
}

#[expect(clippy::disallowed_methods, reason = "emptying the trash deletes directories")]
fn empty_directory(path: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_trash_that_cannot_be_looked_at_is_not_taken_for_empty() {
        let place = tempfile::tempdir().unwrap();
        let trash = place.path().join(".trash");
        assert_eq!(lies_there(&trash.join("api")), Ok(false));
        std::os::unix::fs::symlink(&trash, &trash).unwrap();
        assert!(matches!(lies_there(&trash.join("api")), Err(ActError::Uncertain { .. })));
    }
}
