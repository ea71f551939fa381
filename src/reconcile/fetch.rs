//! Which repositories are fetched: before a create, and for those who wait until their work is merged. Pure: a
//! remote base that may be older than the file allows is brought up to date, and a failing fetch blocks nothing.

use super::execute::step_of;
use crate::manifest::fleet::{Fleet, Worktree};
use crate::plan::{Plan, StepKind};
use crate::world::{Act, ActError, Done};
use std::collections::BTreeMap;
use std::time::Duration;

/// The fetches that a plan wants; all of them at once when `now` is set.
#[must_use]
pub fn of_plan(fleet: &Fleet, plan: &Plan, now: bool) -> Vec<Act> {
    let mut acts = BTreeMap::new();
    for entry in &plan.entries {
        let creates = step_of(entry).is_some_and(|step| {
            matches!(step.kind, StepKind::Create(_) | StepKind::Recreate { .. })
        });
        let Some(session) = fleet.sessions.get(&entry.name) else { continue };
        let waits = session.until.is_some() && entry.uid.is_some();
        if !creates && !waits {
            continue;
        }
        let Worktree::Own { base, .. } = &session.worktree else { continue };
        let base = base.clone().or_else(|| session.repo.base.clone());
        let age = if now { Some(Duration::ZERO) } else { session.repo.fetch };
        if let Some(max_age) = age {
            let act = Act::Fetch { repo: session.repo.path.clone(), base: base.clone(), max_age };
            acts.insert((session.repo.path.clone(), base), act);
        }
    }
    acts.into_values().collect()
}

/// True when a remote was asked, so that the next look may see something else.
#[must_use]
pub fn is_news(results: &[Result<Done, ActError>]) -> bool {
    results.iter().any(|result| matches!(result, Ok(Done::Fetched)))
}
