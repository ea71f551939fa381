//! Ports: the fleet's pool, and the names of those that a session gets of it. Owns their forms. Invariant: a
//! pool is never empty, and no port of it needs a privilege.

use super::fleet::PortPool;
use super::problem::{Code, Problem};
use super::raw::Node;
use super::read::{Here, Reader, Written};
use super::source::At;
use crate::name::Name;

/// The lowest port that any user may listen on.
const LOWEST: u16 = 1024;

/// The fleet's `ports: 41000-41999`.
pub fn pool(node: &Node, reader: &mut Reader, here: Here) -> Option<PortPool> {
    let text = reader.text("ports", node, here)?;
    let problem = |message: &str| Problem::new(Code::BadValue, message).at(text.at).help(POOL);
    let ends = text.value.split_once('-').map(|(first, last)| (port(first), port(last)));
    match ends {
        Some((Some(first), Some(last))) if first > last => {
            reader.problem(problem("`ports` begins after its end"));
            None
        }
        Some((Some(first), Some(last))) if first >= LOWEST => Some(PortPool { first, last }),
        Some((Some(_), Some(_))) => {
            reader.problem(problem("`ports` begins below 1024, where only root may listen"));
            None
        }
        Some(_) | None => {
            reader.problem(problem("`ports` is no range of ports"));
            None
        }
    }
}

const POOL: &str = "a range between 1024 and 65535: `ports: 41000-41999`";

fn port(text: &str) -> Option<u16> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A session's `ports: [web, db]`; `key` is where the field stands, and `pooled` that the fleet has a pool.
pub fn names(written: Vec<Written>, key: At, pooled: bool, reader: &mut Reader) -> Vec<String> {
    let mut kept: Vec<Written> = Vec::with_capacity(written.len());
    if !pooled && !written.is_empty() {
        let message = "the fleet has no ports to give";
        let help = "give it a pool at the top level: `ports: 41000-41999`";
        reader.problem(Problem::new(Code::MissingField, message).at(key).help(help));
    }
    for name in written {
        if let Some(first) = kept.iter().find(|known| known.value == name.value) {
            let message = format!("two ports are called `{}`", name.value);
            let problem = Problem::new(Code::SameName, message).at(name.at);
            reader.problem(problem.also(first.at, "the first"));
            continue;
        }
        if !is_name(&name.value) {
            let message = format!("`{}` is no name of a port", name.value);
            let problem = Problem::new(Code::BadName, message).at(name.at);
            reader.problem(problem.help("a letter, then a-z, 0-9 and `-`: `web`, `db`"));
        }
        kept.push(name);
    }
    kept.into_iter().map(|name| name.value).collect()
}

/// The rules for sessions, and a letter first: a number would be taken for a port.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.parse::<Name>().is_ok()
}

/// The variable that tells a program its port: `FLEET_PORT_WEB`.
#[must_use]
pub fn variable(name: &str) -> String {
    format!("FLEET_PORT_{}", name.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_digits_alone() {
        assert_eq!(port(" 80 "), Some(80));
        for odd in ["", "+80", "8 0", "65536", "x"] {
            assert_eq!(port(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_name_makes_a_variable() {
        assert_eq!(variable("web-admin"), "FLEET_PORT_WEB_ADMIN");
        assert!(is_name("a") && is_name("db2") && is_name("a-b"));
        for odd in ["", "2", "Web", "a_b", "-a", "a-"] {
            assert!(!is_name(odd), "{odd}");
        }
    }
}
