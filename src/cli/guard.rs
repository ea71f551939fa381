//! What no verb may do, whatever the plan says: an agent approving itself, a manifest or a tmux server that
//! is not the fleet's. Invariant: it refuses before anything is opened for writing.

use super::desk::Desk;
use crate::error::{Exit, Failure, Trouble};
use crate::name::Uid;
use crate::snapshot::{Marked, Observed};
use crate::store::Store;

/// Inside an agent's session only reading verbs work. A guard against honest mistakes, not a sandbox.
///
/// # Errors
/// Refused.
pub fn refuse_agents(desk: &Desk) -> Result<(), Failure> {
    let Some(uid) = desk.context.inside else { return Ok(()) };
    if is_shell(desk, uid) {
        return Ok(());
    }
    let record = desk.records.sessions.get(&uid);
    let session = record.map_or_else(|| "of an agent".into(), |record| record.name.to_string());
    Err(Failure::from(Trouble::InsideSession { session }))
}

/// A shell session is its human's. A uid that nobody knows is taken for an agent's.
fn is_shell(desk: &Desk, uid: Uid) -> bool {
    if let Some(record) = desk.records.sessions.get(&uid) {
        return record.applied.parting.shell;
    }
    desk.context.known_fleets().iter().any(|(fleet, _)| {
        let store = Store::open_to_read(&desk.context.fleet_state(fleet)).ok().flatten();
        let records = store.and_then(|store| store.records().ok());
        records
            .and_then(|records| records.sessions.get(&uid).map(|r| r.applied.parting.shell))
            .unwrap_or(false)
    })
}

/// A fleet belongs to the manifest that it was first applied from.
///
/// # Errors
/// Refused, unless the fleet is taken over.
pub fn refuse_other_manifest(desk: &Desk, take_over: bool) -> Result<(), Failure> {
    match &desk.applied_from {
        Some(known) if *known != desk.manifest && !take_over => {
            let fleet = desk.fleet.name.clone();
            Err(Failure::from(Trouble::OtherManifest { fleet, recorded: known.clone() }))
        }
        _ => Ok(()),
    }
}

/// While runtimes of the fleet live on one tmux server, another one is refused.
///
/// # Errors
/// Refused.
pub fn refuse_other_socket(desk: &Desk) -> Result<(), Failure> {
    let Some(recorded) = desk.recorded_socket.as_ref().filter(|known| **known != desk.socket)
    else {
        return Ok(());
    };
    let old = desk.live.on_socket(recorded);
    let living = match old.look(desk.records.server.as_ref()) {
        Observed::Absent(_) => 0,
        Observed::Known(server) => server
            .panes
            .iter()
            .filter(|pane| match &pane.mark {
                Marked::Yes(mark) => desk.records.sessions.contains_key(&mark.uid),
                Marked::No | Marked::Garbled => false,
            })
            .count(),
        Observed::Unknown(blind) => {
            return Err(Failure::new(
                Exit::CannotObserve,
                format!(
                    "the fleet lives on {}, which cannot be seen: {}",
                    recorded.display(),
                    blind.cause
                ),
            ));
        }
    };
    if living == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        format!(
            "{living} sessions of this fleet live on another tmux socket: {}",
            recorded.display()
        ),
    )
    .with_help("put that socket back into the file, or stop them first: fleetctl stop NAME"))
}
