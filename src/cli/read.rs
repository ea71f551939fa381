//! The verbs that only read: `validate`, `diff`, `get`, `describe`, `version`, and the bare table.

use super::args::{Diff, DiffOutput, Get, Kind as List, ListOutput, PlanOutput, Target};
use super::context::Context;
use super::desk::Desk;
use super::source::{Source, Standing, said};
use super::{desk, output, trash, verdict};
use crate::error::{Exit, Failure};
use crate::manifest::places::Places;
use crate::plan::Plan;
use crate::render::View;
use crate::render::describe::{self as page, Event};
use crate::render::fleet::{Overview, SourceView, fleet_json, fleet_text};
use crate::render::github::{Place, plan_commands};
use crate::render::json::schema::Form;
use crate::render::markdown::plan_markdown;
use crate::render::plan::plan_text;
use crate::render::words::plural;
use crate::render::{json, lists, table};
use crate::store::Store;

/// How many events `describe` tells.
const EVENTS: u32 = 20;

/// `validate`: needs neither tmux nor git.
///
/// # Errors
/// Usage, with all problems.
pub fn validate(context: &Context, form: PlanOutput) -> Result<Exit, Failure> {
    if form == PlanOutput::Json {
        return validate_json(context);
    }
    let manifest = context.manifest()?;
    let fleet = super::check(context, &manifest)?
        .map_err(|problems| Failure::invalid_manifest(&problems, &context.error_style()))?;
    let shells = fleet.sessions.values().filter(|session| session.is_shell()).count();
    let agents = fleet.sessions.len() - shells;
    let files: Vec<String> = fleet
        .sources
        .iter()
        .map(|path| context.view(jiff::Timestamp::UNIX_EPOCH).path(path))
        .collect();
    output::out(&format!(
        "{} is valid: fleet {}, {}, {}\n",
        files.join(" + "),
        fleet.name,
        plural(agents, "agent"),
        plural(shells, "shell"),
    ))?;
    Ok(Exit::Done)
}

fn validate_json(context: &Context) -> Result<Exit, Failure> {
    let manifest = context.manifest()?;
    let reports = match super::check(context, &manifest)? {
        Ok(_) => Vec::new(),
        Err(problems) => problems.reports(),
    };
    output::out(&json::problems_json(&reports))?;
    Ok(if reports.is_empty() { Exit::Done } else { Exit::Usage })
}

/// `diff`.
///
/// # Errors
/// What keeps the fleet from being looked at.
pub fn diff(mut desk: Desk, asked: &Diff) -> Result<Exit, Failure> {
    let (_, plan) = desk.look()?;
    let view = desk.view();
    output::out(&match asked.output {
        DiffOutput::Text => plan_text(&plan, &view),
        DiffOutput::Json => json::plan_json(&plan, &view),
        DiffOutput::Markdown => plan_markdown(&plan, &desk.fleet, &view),
        DiffOutput::Github => annotated(&desk, &plan, &view),
    })?;
    Ok(verdict::of_diff(&plan, asked.fail_on))
}

fn annotated(desk: &Desk, plan: &Plan, view: &View) -> String {
    output::summarize(&desk.context, &plan_markdown(plan, &desk.fleet, view));
    // Of a manifest that changed meanwhile the lines are a little off, and nothing else.
    let lines = Places::read(&std::fs::read(&desk.manifest).unwrap_or_default());
    let top = crate::git::top_of(&desk.manifest);
    let below = top.as_deref().and_then(|top| desk.manifest.strip_prefix(top).ok());
    let file = below.unwrap_or(&desk.manifest).display().to_string();
    plan_commands(plan, &desk.fleet, &Place { file: &file, lines: &lines }, view)
}

/// The bare table: those who need a human first.
///
/// # Errors
/// What keeps the fleet from being looked at.
pub fn table(desk: Desk) -> Result<Exit, Failure> {
    get(desk, &Get { kind: List::Sessions, output: ListOutput::Table, watch: false })
}

/// `get`.
///
/// # Errors
/// What keeps the fleet from being looked at.
pub fn get(mut desk: Desk, args: &Get) -> Result<Exit, Failure> {
    match args.kind {
        List::Trash => return trash::list(desk, args.output),
        List::Fleet => return fleet(&desk, args.output),
        List::Sessions | List::Worktrees | List::Holds => {}
    }
    let (_, plan) = desk.look()?;
    output::out(&listed(&desk, &plan, args))?;
    Ok(if verdict::cannot_see(&plan) { Exit::CannotObserve } else { Exit::Done })
}

/// `get fleet`: looks at no machine.
fn fleet(desk: &Desk, form: ListOutput) -> Result<Exit, Failure> {
    let (context, records) = (&desk.context, &desk.records);
    let source = match Source::of(context, &desk.manifest) {
        None => None,
        Some(source) => {
            let standing = source.standing(context)?;
            let held = said(&source, &standing);
            let Standing { head, taken, trusted, always, reached, .. } = standing;
            Some(SourceView { taken, head, trusted, always, reached, held })
        }
    };
    let overview = Overview {
        fleet: desk.fleet.name.to_string(),
        manifest: desk.manifest.display().to_string(),
        revision: records.revision,
        new_revision: records.digest != desk.fleet.digest,
        sessions: desk.fleet.sessions.len(),
        live: records.sessions.len(),
        source,
    };
    output::out(&match form {
        ListOutput::Table | ListOutput::Wide => fleet_text(&overview, &desk.view()),
        ListOutput::Json => fleet_json(&overview),
        ListOutput::Name => format!("{}\n", overview.fleet),
        ListOutput::Path => format!("{}\n", overview.manifest),
    })?;
    Ok(Exit::Done)
}

fn listed(desk: &Desk, plan: &Plan, args: &Get) -> String {
    let (records, view) = (&desk.records, desk.view());
    let wide = args.output == ListOutput::Wide;
    match (args.output, args.kind) {
        (ListOutput::Name, _) => lists::names(plan),
        (ListOutput::Path, _) => lists::paths(plan, records),
        (ListOutput::Json, List::Holds) => json::holds_json(plan, records, &view),
        (ListOutput::Json, _) => json::sessions_json(plan, records, &view),
        (ListOutput::Table | ListOutput::Wide, List::Sessions) => {
            table::sessions(plan, records, wide, &view)
        }
        (ListOutput::Table | ListOutput::Wide, List::Worktrees) => {
            lists::worktrees(plan, records, wide, &view)
        }
        (ListOutput::Table | ListOutput::Wide, List::Holds) => lists::holds(plan, wide, &view),
        (ListOutput::Table | ListOutput::Wide, List::Trash | List::Fleet) => String::new(),
    }
}

/// `describe`.
///
/// # Errors
/// Usage for an unknown name; what keeps the fleet from being looked at.
pub fn describe(mut desk: Desk, target: &Target) -> Result<Exit, Failure> {
    let name = desk.name(target.name.as_str())?;
    let (_, plan) = desk.look()?;
    let entry = plan.entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{name} is neither in the file nor live"))
    })?;
    let record = desk.records.by_name(&name);
    let events = events(&desk, name.as_str())?;
    output::out(&page::describe(entry, record, &events, &desk.view()))?;
    Ok(Exit::Done)
}

fn events(desk: &Desk, name: &str) -> Result<Vec<Event>, Failure> {
    let Some(store) = Store::open_to_read(desk.paths.directory())? else { return Ok(Vec::new()) };
    let events = store.events(Some(name), EVENTS)?;
    Ok(events
        .into_iter()
        .map(|kept| kept.event)
        .map(|event| Event { at: event.at, text: format!("{}: {}", event.verb, event.text) })
        .collect())
}

/// `schema`.
///
/// # Errors
/// When nothing can be written.
pub fn schema(form: Form) -> Result<Exit, Failure> {
    output::out(&json::schema::schema(form))?;
    Ok(Exit::Done)
}

/// `version`.
///
/// # Errors
/// When nothing can be written.
pub fn version() -> Result<Exit, Failure> {
    let others = desk::versions().join("\n");
    output::out(&format!("fleetctl {}\n{others}\n", env!("CARGO_PKG_VERSION")))?;
    Ok(Exit::Done)
}
