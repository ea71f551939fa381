//! Which ports of this machine are taken: by who listens on them, and by what other fleets of this user have
//! given away. Invariant: a fleet whose ports cannot be read makes the answer unknown.

use super::Live;
use crate::name::Name;
use crate::process::ports::{is_taken, listeners};
use crate::snapshot::{Blind, Observed, PortHolder, PortsAt, PortsSeen};
use crate::store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

impl Live {
    /// Looks at ports, the lowest first, until as many free ones are found as are wanted.
    pub(super) fn ports(&self, at: &PortsAt) -> Observed<PortsSeen> {
        self.try_ports(at).map_or_else(Observed::Unknown, Observed::Known)
    }

    fn try_ports(&self, at: &PortsAt) -> Result<PortsSeen, Blind> {
        let others = others(self.paths.directory())?;
        let mut listened = BTreeSet::new();
        let mut seen = PortsSeen::default();
        let mut look = |port: u16, seen: &mut PortsSeen| -> Result<bool, Blind> {
            if let Some(fleet) = others.get(&port) {
                seen.taken.insert(port, PortHolder::Fleet(fleet.clone()));
                return Ok(true);
            }
            let taken = is_taken(port).map_err(|error| Blind {
                what: format!("port {port}"),
                cause: error.to_string(),
            })?;
            if taken {
                listened.insert(port);
            }
            Ok(taken)
        };
        for port in &at.kept {
            look(*port, &mut seen)?;
        }
        let mut free = 0;
        let (first, last) = at.pool.unwrap_or((1, 0));
        for port in (first..=last).filter(|port| !at.given.contains(port)) {
            if free == at.wanted {
                break;
            }
            free += usize::from(!look(port, &mut seen)?);
        }
        let mut known = listeners(&listened);
        seen.taken.extend(listened.into_iter().map(|port| {
            let holder = known.remove(&port);
            let process = holder.map(|(pid, command)| PortHolder::Process { pid, command });
            (port, process.unwrap_or(PortHolder::Somebody))
        }));
        Ok(seen)
    }
}

/// The ports that the other fleets beside a fleet's directory have given away.
fn others(own: &Path) -> Result<BTreeMap<u16, Name>, Blind> {
    let mut ports = BTreeMap::new();
    let Some(Ok(beside)) = own.parent().map(std::fs::read_dir) else { return Ok(ports) };
    let fleets = beside.filter_map(Result::ok).filter(|entry| entry.path() != own);
    for fleet in fleets {
        let name = fleet.file_name().to_str().and_then(|name| name.parse::<Name>().ok());
        let Some(name) = name else { continue };
        let records = match Store::open_to_read(&fleet.path()) {
            Ok(Some(store)) => store.records(),
            // Those of before had no ports to give.
            Ok(None) | Err(StoreError::Older { .. }) => continue,
            Err(error) => Err(error),
        };
        let records = records.map_err(|error| Blind {
            what: format!("the ports of fleet {name}"),
            cause: error.to_string(),
        })?;
        let given = records.sessions.values().flat_map(|record| record.ports.values());
        ports.extend(given.map(|port| (*port, name.clone())));
    }
    Ok(ports)
}
