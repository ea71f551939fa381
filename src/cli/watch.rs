//! `get -w`: the list of sessions, then what changes of it. Invariant: a fleet at rest prints nothing, and a
//! look that fails is said once and looked past.

use super::args::{Get, Kind as List, ListOutput};
use super::desk::Desk;
use super::output;
use crate::error::{Exit, Failure};
use crate::name::Name;
use crate::plan::Plan;
use crate::process;
use crate::render::View;
use crate::render::json::{gone_line, session_line};
use crate::render::table::{self, Sheet, record_of};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often it looks.
const AGAIN: Duration = Duration::from_secs(1);

/// `get -w`.
///
/// # Errors
/// Usage for a list that cannot be watched; what keeps the fleet from being looked at the first time.
pub fn get(mut desk: Desk, args: &Get) -> Result<Exit, Failure> {
    let form = match (args.kind, args.output) {
        (List::Sessions, ListOutput::Table | ListOutput::Wide | ListOutput::Json) => args.output,
        _ => {
            let message = "-w watches sessions, as a table or as JSON";
            return Err(Failure::new(Exit::Usage, message).with_help("fleetctl get sessions -w"));
        }
    };
    let (_, plan) = desk.look()?;
    let wide = form == ListOutput::Wide;
    let view = desk.view();
    let json = form == ListOutput::Json;
    let mut watch = Watch {
        sheet: (!json).then(|| Sheet::of(&plan, &desk.records, wide, &view)),
        told: BTreeMap::new(),
    };
    let begun = match json {
        true => watch.news(&desk, &plan),
        false => {
            watch.news(&desk, &plan);
            table::sessions(&plan, &desk.records, wide, &view)
        }
    };
    let mut text = begun;
    let mut trouble = None;
    while text.is_empty() || output::feed(&text)? {
        process::pause(AGAIN);
        text = match desk.look_again() {
            Ok(plan) => {
                trouble = None;
                watch.news(&desk, &plan)
            }
            Err(failure) => {
                if trouble.as_ref() != Some(&failure.message) {
                    output::warn(&format!("{}; looking again", failure.message));
                    trouble = Some(failure.message);
                }
                String::new()
            }
        };
    }
    Ok(Exit::Done)
}

/// What is on the reader's screen.
struct Watch {
    /// `None` for JSON.
    sheet: Option<Sheet>,
    /// The line that was told of each session last, as it would be at the beginning of time: ages do not change it.
    told: BTreeMap<Name, String>,
}

impl Watch {
    /// What changed since it was told last, a line a session.
    fn news(&mut self, desk: &Desk, plan: &Plan) -> String {
        let view = desk.view();
        let ageless = View { now: Timestamp::UNIX_EPOCH, ..view.clone() };
        let mut lines = String::new();
        for entry in &plan.entries {
            let record = record_of(entry, &desk.records);
            let line = |view: &View| match &self.sheet {
                Some(sheet) => sheet.row(entry, record, view),
                None => session_line(plan, entry, &desk.records, view),
            };
            let key = line(&ageless);
            if self.told.get(&entry.name) != Some(&key) {
                lines.push_str(&line(&view));
                self.told.insert(entry.name.clone(), key);
            }
        }
        let there = |name: &Name| plan.entries.iter().any(|entry| entry.name == *name);
        let gone: Vec<Name> = self.told.keys().filter(|name| !there(name)).cloned().collect();
        for name in gone {
            self.told.remove(&name);
            lines.push_str(&match &self.sheet {
                Some(sheet) => sheet.gone(name.as_str(), &view),
                None => gone_line(plan, name.as_str()),
            });
        }
        lines
    }
}
