//! TCP ports of this machine: whether somebody listens on one, and who. Invariant: a port is called free only
//! when it could be listened on, on every address.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

/// Whether a port cannot be listened on, on all addresses or on the loopback one.
///
/// # Errors
/// What keeps this from being tried, which tells nothing of the port.
pub fn is_taken(port: u16) -> std::io::Result<bool> {
    let addresses: [SocketAddr; 3] = [
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv4Addr::UNSPECIFIED, port).into(),
        (Ipv6Addr::UNSPECIFIED, port).into(),
    ];
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Ok(true),
            // A machine without IPv6.
            Err(error) if address.is_ipv6() => tracing::debug!(%error, "IPv6 is not looked at"),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// The processes that listen on ports, as far as this user may see them: pid and command by port.
#[must_use]
pub fn listeners(ports: &BTreeSet<u16>) -> BTreeMap<u16, (u32, String)> {
    let mut inodes = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        inodes.extend(text.lines().filter_map(listening).filter(|(_, port)| ports.contains(port)));
    }
    let mut found = BTreeMap::new();
    if inodes.is_empty() {
        return found;
    }
    let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    for process in processes {
        let pid = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(pid) = pid else { continue };
        for port in held(&process.path(), &inodes) {
            let command = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            found.entry(port).or_insert((pid, command.trim().to_owned()));
        }
    }
    found
}

/// The socket and the port of a line of the kernel's table that tells of a listener.
fn listening(line: &str) -> Option<(u64, u16)> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    (state == LISTEN).then_some((inode, u16::from_str_radix(port, 16).ok()?))
}

fn held(process: &Path, inodes: &BTreeMap<u64, u16>) -> Vec<u16> {
    let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten();
    let sockets = descriptors.filter_map(|entry| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        inode.parse::<u64>().ok()
    });
    sockets.filter_map(|inode| inodes.get(&inode).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_on_whatever_address_it_listens() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(is_taken(port).unwrap(), "{address}");
            let (pid, command) = listeners(&BTreeSet::from([port])).remove(&port).unwrap();
            assert_eq!(pid, std::process::id());
            assert!(!command.is_empty());
        }
    }

    #[test]
    fn a_line_of_the_kernels_table_is_read() {
        let line = "   1: 0100007F:A028 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0";
        assert_eq!(listening(line), Some((31_337, 41_000)));
        assert_eq!(listening(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(listening("  sl  local_address rem_address   st"), None);
    }
}
