//! What no verb may do, whatever the plan says: an agent approving itself, a manifest or a tmux server that
//! is not the fleet's. Invariant: it refuses before anything is opened for writing.

use super::desk::Desk;
use crate::error::{Exit, Failure, Trouble};
use crate::snapshot::{Marked, Observed};

/// Inside an agent's session only reading verbs work. A guard against honest mistakes, not a sandbox.
///
/// # Errors
/// Refused.
pub fn refuse_agents(desk: &Desk) -> Result<(), Failure> {
    match &desk.inside {
        Some(inside) if !inside.shell => {
            let name = inside.name.as_ref();
            let session = name.map_or_else(|| "of an agent".into(), ToString::to_string);
            Err(Failure::from(Trouble::InsideSession { session }))
        }
        _ => Ok(()),
    }
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
