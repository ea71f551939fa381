//! `controller status`: does a controller keep this fleet, and how does it fare? Asks the controller itself.
//! Invariant: one that does not answer is told apart from none.

use super::args::PlanOutput;
use super::context::Context;
use super::output;
use super::service::fleet_of;
use crate::error::{Exit, Failure};
use crate::name::Name;
use crate::paths::Paths;
use crate::reconcile::turn::{Hello, Line};
use crate::render::View;
use jiff::Timestamp;
use serde::Serialize;

/// Tells of the fleet's controller.
///
/// # Errors
/// There is none (1), or it does not answer (8).
pub fn status(context: &Context, form: PlanOutput) -> Result<Exit, Failure> {
    let fleet = fleet_of(context)?;
    let paths = Paths::new(context.fleet_state(fleet.as_str()));
    let called = Line::call(paths.directory()).map_err(|error| {
        let message = format!("the controller of fleet {fleet} does not answer: {error}");
        Failure::new(Exit::CannotObserve, message)
    })?;
    let hello = called.map(|line| line.hello);
    let view = context.view(Timestamp::UNIX_EPOCH);
    output::out(&match form {
        PlanOutput::Text => text(&fleet, hello.as_ref(), &view),
        PlanOutput::Json => json(&fleet, hello.as_ref())?,
    })?;
    Ok(if hello.is_some() { Exit::Done } else { Exit::Differs })
}

fn text(fleet: &Name, hello: Option<&Hello>, view: &View) -> String {
    let Some(hello) = hello else {
        let start = view.command("controller");
        return format!("no controller keeps fleet {fleet}; to have it kept: {start}\n");
    };
    let mut text = format!(
        "fleet {fleet} is kept by a controller\n\
         pid        {}\n\
         version    {}\n\
         manifest   {}\n\
         since      {:.0}\n\
         passes     {}",
        hello.pid,
        hello.version,
        view.path(&hello.manifest),
        hello.since,
        hello.passes,
    );
    let mut also = |told: &str| text.push_str(told);
    if let Some(last) = hello.last_pass {
        also(&format!(", the last one at {last:.0}"));
    }
    also("\n");
    if let Some((since, why)) = &hello.failing {
        also(&format!("manifest not good since {since:.0}: {why}\n"));
    }
    if let Some(pid) = hello.lent {
        also(&format!("a verb has its turn: pid {pid}\n"));
    }
    text
}

/// The answer for machines.
#[derive(Serialize)]
struct Status<'a> {
    format_version: u32,
    fleet: &'a Name,
    running: bool,
    controller: Option<&'a Hello>,
}

fn json(fleet: &Name, hello: Option<&Hello>) -> Result<String, Failure> {
    let status = Status { format_version: 1, fleet, running: hello.is_some(), controller: hello };
    serde_json::to_string_pretty(&status)
        .map(|text| text + "\n")
        .map_err(|error| Failure::new(Exit::Failed, format!("the status cannot be told: {error}")))
}
