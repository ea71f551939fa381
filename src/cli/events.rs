//! `events`: what happened to a fleet, and what happens. Needs neither tmux nor a valid manifest, only the
//! fleet's name. Invariant: it reads, and holds nothing open between two looks at the store.

use super::args::{Events, LineOutput, Target};
use super::context::Context;
use super::output;
use crate::error::{Exit, Failure, Trouble};
use crate::manifest::peek::peek;
use crate::manifest::problem::nearest;
use crate::name::Name;
use crate::process;
use crate::render::View;
use crate::render::events::{Event, line};
use crate::render::json;
use crate::store::{Kept, Store, StoreError};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// How often the store is looked at for news.
const AGAIN: Duration = Duration::from_millis(250);

/// `events`.
///
/// # Errors
/// Usage: no fleet or no session of that name. What keeps the store from being read.
pub fn events(context: &Context, args: &Events) -> Result<Exit, Failure> {
    let (fleet, manifest) = fleet(context, args.session.as_ref())?;
    let directory = context.fleet_state(fleet.as_str());
    let session = args.session.as_ref().map(|target| target.name.to_string());
    let store = Store::open_to_read(&directory)?;
    if let Some(target) = &args.session {
        refuse_unknown(context, &target.name, (store.as_ref(), manifest))?;
    }
    let telling = Telling {
        directory,
        session,
        last: store.as_ref().map_or(Ok(0), Store::last_event)?,
        json: args.output == LineOutput::Json,
        view: context.view(jiff::Timestamp::UNIX_EPOCH),
    };
    let kept = match &store {
        Some(store) => store.events(telling.session.as_deref(), args.last)?,
        None => Vec::new(),
    };
    drop(store);
    let kept: Vec<Event> = kept.into_iter().rev().map(told).collect();
    if args.watch {
        return telling.follow(&kept);
    }
    match args.output {
        LineOutput::Json => output::out(&json::events_json(fleet.as_str(), &kept))?,
        LineOutput::Text => output::out(&telling.lines(&kept))?,
    }
    Ok(Exit::Done)
}

fn told(Kept { id, event }: Kept) -> Event {
    let outcome = event.outcome.to_string();
    Event { id, at: event.at, session: event.session, verb: event.verb, outcome, text: event.text }
}

/// The fleet that is asked for, and its manifest.
fn fleet(context: &Context, session: Option<&Target>) -> Result<(Name, PathBuf), Failure> {
    if let Some(fleet) = session.and_then(|target| target.fleet.clone()) {
        let manifest = context.clone().for_fleet(&fleet)?.manifest()?;
        return Ok((fleet, manifest));
    }
    let manifest = context.manifest()?;
    let head = std::fs::read(&manifest).ok().and_then(|bytes| peek(&bytes));
    let fleet = match head {
        Some(head) => head.fleet,
        None => super::load(context, &manifest)?.name,
    };
    Ok((fleet, manifest))
}

/// A name that neither the file nor the store has ever had is mistyped.
fn refuse_unknown(
    context: &Context,
    name: &Name,
    (store, manifest): (Option<&Store>, PathBuf),
) -> Result<(), Failure> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    if let Ok(fleet) = super::try_load(context, &manifest)? {
        known.extend(fleet.sessions.keys().map(ToString::to_string));
    }
    if let Some(store) = store {
        if !store.events(Some(name.as_str()), 1)?.is_empty() {
            return Ok(());
        }
        let records = store.records()?;
        let live = records.sessions.values();
        let gone = records.tombstones.iter().map(|stone| &stone.record);
        known.extend(live.chain(gone).map(|record| record.name.to_string()));
    }
    if known.contains(name.as_str()) {
        return Ok(());
    }
    let nearest = nearest(name.as_str(), known.iter().map(String::as_str)).map(str::to_owned);
    Err(Failure::from(Trouble::NoSession { name: name.to_string(), nearest }))
}

/// What was told, and where more comes from.
struct Telling {
    directory: PathBuf,
    session: Option<String>,
    /// The number of the last event that is known.
    last: i64,
    json: bool,
    view: View,
}

impl Telling {
    fn lines(&self, events: &[Event]) -> String {
        let line = |event: &Event| match self.json {
            true => json::event_line(event),
            false => line(event, &self.view),
        };
        events.iter().map(line).collect()
    }

    /// Tells what is there, then what comes, until nobody listens any more.
    fn follow(mut self, kept: &[Event]) -> Result<Exit, Failure> {
        let mut lines = self.lines(kept);
        while lines.is_empty() || output::feed(&lines)? {
            process::pause(AGAIN);
            let news: Vec<Event> = self.news()?.into_iter().map(told).collect();
            lines = self.lines(&news);
        }
        Ok(Exit::Done)
    }

    /// What came since the last look. A store that is not there yet, or is being written, has none.
    fn news(&mut self) -> Result<Vec<Kept>, Failure> {
        let store = match Store::open_to_read(&self.directory) {
            Ok(Some(store)) => store,
            Ok(None) | Err(StoreError::Busy(_) | StoreError::Older { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let last = store.last_event()?;
        if last < self.last {
            // Another store is there now: all of its events are new.
            self.last = 0;
        }
        let news = store.events_after(self.session.as_deref(), self.last)?;
        self.last = last.max(news.last().map_or(0, |kept| kept.id));
        Ok(news)
    }
}
