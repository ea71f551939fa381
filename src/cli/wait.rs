//! `wait`: until sessions come to a state, or cannot any more. It only looks, whoever it is that acts.
//! Invariant: a session that could not be seen is neither there nor gone.

use super::args::{State, Target, Wait};
use super::desk::Desk;
use super::output;
use crate::error::{Exit, Failure, Trouble};
use crate::name::Name;
use crate::plan::Plan;
use crate::plan::wait::{Awaited, Judgement, Obstacle, judge};
use crate::process;
use crate::render::words::wait as words;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often it looks.
const AGAIN: Duration = Duration::from_millis(500);

/// `wait`.
///
/// # Errors
/// Usage for an unknown name; failed when a state is out of reach; the timeout, or that something was not seen
/// until then.
pub fn wait(mut desk: Desk, args: &Wait) -> Result<Exit, Failure> {
    let awaited: Vec<Awaited> = args.states.iter().map(|state| of(*state)).collect();
    let begun = Instant::now();
    let (_, plan) = desk.look()?;
    let names = chosen(&desk, args, &plan)?;
    let mut waiting = Waiting { names, awaited, any: args.any };
    let mut seen = Ok(plan);
    loop {
        match waiting.take(&desk, seen.as_ref().ok())? {
            Step::Done => return Ok(Exit::Done),
            Step::On => {}
        }
        let left = args.timeout.0.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(waiting.in_vain(seen.err()));
        }
        process::pause(AGAIN.min(left));
        seen = desk.look_again();
    }
}

fn of(state: State) -> Awaited {
    match state {
        State::Synced => Awaited::Synced,
        State::Running => Awaited::Running,
        State::Ready => Awaited::Ready,
        State::Idle => Awaited::Idle,
        State::Waiting => Awaited::Waiting,
        State::Stopped => Awaited::Stopped,
        State::Completed => Awaited::Completed,
        State::Finished => Awaited::Finished,
        State::Gone => Awaited::Gone,
    }
}

/// The sessions to wait for. One that is not known is gone already, if that is what is waited for.
fn chosen(desk: &Desk, args: &Wait, plan: &Plan) -> Result<BTreeMap<Name, Judgement>, Failure> {
    let name = |target: &Target| match desk.name(target.name.as_str()) {
        Err(_) if args.states.contains(&State::Gone) => Ok(target.name.clone()),
        name => name,
    };
    let mut names = args.names.iter().map(name).collect::<Result<Vec<Name>, Failure>>()?;
    if !args.selectors.is_empty() {
        let labelled = desk.fleet.sessions.values().filter(|session| {
            args.selectors.iter().all(|label| session.labels.get(&label.key) == Some(&label.value))
        });
        names.extend(labelled.map(|session| session.name.clone()));
        if names.is_empty() {
            return Err(Failure::new(Exit::Usage, "no session has these labels")
                .with_help("the sessions are listed by: fleetctl get"));
        }
    } else if names.is_empty() {
        names.extend(plan.entries.iter().map(|entry| entry.name.clone()));
    }
    Ok(names.into_iter().map(|name| (name, Judgement::NotYet)).collect())
}

/// Whether the wait is over.
enum Step {
    Done,
    On,
}

/// What is waited for still, with what the last look said of it.
struct Waiting {
    names: BTreeMap<Name, Judgement>,
    awaited: Vec<Awaited>,
    /// One session is enough.
    any: bool,
}

impl Waiting {
    /// Takes a look; `None` when it failed.
    fn take(&mut self, desk: &Desk, plan: Option<&Plan>) -> Result<Step, Failure> {
        let Some(plan) = plan else {
            self.names.values_mut().for_each(|judged| *judged = Judgement::Unseen);
            return Ok(Step::On);
        };
        for (name, judged) in &mut self.names {
            let entry = plan.entries.iter().find(|entry| entry.name == *name);
            *judged = judge(entry, &self.awaited);
            if let Judgement::Reached(state) = judged {
                output::out(&format!("{name}: {}\n", words::awaited(*state)))?;
                if self.any {
                    return Ok(Step::Done);
                }
            }
        }
        self.names.retain(|_, judged| !matches!(judged, Judgement::Reached(_)));
        let mut never = self.names.iter().filter_map(|(name, judged)| match judged {
            Judgement::Never(why) => Some((name, why)),
            Judgement::Reached(_) | Judgement::NotYet | Judgement::Unseen => None,
        });
        let all = never.clone().count() == self.names.len();
        match never.next() {
            Some((name, why)) if all || !self.any => Err(self.out_of_reach(desk, name, why)),
            None if all => Ok(Step::Done),
            Some(_) | None => Ok(Step::On),
        }
    }

    fn out_of_reach(&self, desk: &Desk, name: &Name, why: &Obstacle) -> Failure {
        let wanted = words::any_of(&self.awaited);
        let message = format!("{name} does not come to be {wanted}: {}", words::obstacle(why));
        let failure = Failure::new(Exit::Failed, message);
        match words::way_out(why) {
            Some(verb) => failure.with_help(desk.view().command(&format!("{verb} {name}"))),
            None => failure,
        }
    }

    /// What is said when the time is over.
    fn in_vain(&self, last: Option<Failure>) -> Failure {
        let named = |wanted: &dyn Fn(&Judgement) -> bool| -> String {
            let names = self.names.iter().filter(|(_, judged)| wanted(judged));
            names.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let unseen = named(&|judged| *judged == Judgement::Unseen);
        let wanted = words::any_of(&self.awaited);
        if unseen.is_empty() {
            let what = format!("{} to be {wanted}", named(&|_| true));
            return Failure::from(Trouble::WaitedInVain { what });
        }
        let message = format!("whether {unseen} came to be {wanted} could not be seen");
        let failure = Failure::new(Exit::CannotObserve, message);
        match last {
            Some(last) => failure.with_help(last.message),
            None => failure.with_help("fleetctl describe tells what is known of a session"),
        }
    }
}
