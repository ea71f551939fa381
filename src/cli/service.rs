//! `controller install` and `uninstall`: a systemd user unit that keeps a controller running. Owns the unit's
//! text and whose a unit file is; starts and stops nothing. Invariant: a file that was not written here, or
//! was changed since, is neither overwritten nor removed.

use super::context::Context;
use super::desk::Desk;
use super::{guard, output};
use crate::error::{Exit, Failure};
use crate::manifest::peek::peek;
use crate::name::Name;
use crate::private;
use crate::render::View;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The first word of a unit's first line, before the digest of all that follows.
const SIGNATURE: &str = "# Written by fleetctl controller install: ";
/// Where fleetctl finds its programs, its state and tmux's sockets, and so the fleet itself.
const KEPT: [&str; 5] = ["PATH", "XDG_STATE_HOME", "TMUX_TMPDIR", "LANG", "FLEETCTL_LOG"];

/// Writes the unit and says how to start it.
///
/// # Errors
/// Usage: there is no valid manifest. Refused: a file of the user's is in the way. It could not be written.
pub fn install(desk: &Desk) -> Result<Exit, Failure> {
    guard::refuse_agents(desk)?;
    let (context, manifest, fleet) = (&desk.context, &desk.manifest, &desk.fleet.name);
    let unit = Unit::of(context, fleet);
    let text = signed(&unit_text(context, fleet, manifest)?);
    let known = unit.read()?;
    if known.as_deref() != Some(&text) {
        unit.refuse_foreign(known.as_deref(), "overwritten")?;
        unit.write(&text)?;
    }
    let done = if known.is_some() { "is written anew" } else { "is written" };
    let done = if known.as_deref() == Some(&text) { "is there already" } else { done };
    let name = &unit.name;
    output::out(&format!(
        "{} {done}\n\n\
         start it now and at every login:\n  \
         systemctl --user daemon-reload\n  \
         systemctl --user enable --now {name}\n\
         what it does:\n  \
         journalctl --user -u {name} -f\n\
         a user's services end with his last login, unless he lingers; so that they run from boot on:\n  \
         loginctl enable-linger {}\n\
         agents live on when it is stopped or started again.\n",
        view(context).path(&unit.path),
        context.user,
    ))?;
    if !runs_systemd() {
        output::warn(&without_systemd(&view(context), manifest));
    }
    Ok(Exit::Done)
}

/// Removes the unit.
///
/// # Errors
/// Refused: the file is the user's. It could not be removed.
pub fn uninstall(context: &Context) -> Result<Exit, Failure> {
    let unit = Unit::of(context, &fleet_of(context)?);
    let Some(known) = unit.read()? else {
        output::say(&format!("there is no {}", unit.path.display()));
        return Ok(Exit::Done);
    };
    unit.refuse_foreign(Some(&known), "removed")?;
    unit.remove()?;
    output::out(&format!(
        "{} is removed\n\nend it, if it runs (its agents live on):\n  systemctl --user stop {}\n  \
         systemctl --user daemon-reload\n",
        view(context).path(&unit.path),
        unit.name,
    ))?;
    Ok(Exit::Done)
}

/// The fleet's name, also of a manifest that is no longer valid.
///
/// # Errors
/// Usage: there is no manifest, or it does not tell.
pub fn fleet_of(context: &Context) -> Result<Name, Failure> {
    let manifest = context.manifest()?;
    let head = std::fs::read(&manifest).ok().and_then(|bytes| peek(&bytes));
    match head {
        Some(head) => Ok(head.fleet),
        None => Ok(super::load(context, &manifest)?.name),
    }
}

fn view(context: &Context) -> View {
    context.view(jiff::Timestamp::UNIX_EPOCH)
}

fn runs_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn without_systemd(view: &View, manifest: &Path) -> String {
    format!(
        "systemd does not run here, so nothing starts this unit. Whatever starts things at login or at boot \
         will do: it has to run\n  fleetctl -f {} controller\nand to start it again when it ends with \
         another exit code than 0; SIGTERM ends it, and agents live on",
        view.argument(manifest)
    )
}

/// A unit file.
struct Unit {
    name: String,
    path: PathBuf,
}

impl Unit {
    fn of(context: &Context, fleet: &Name) -> Self {
        let name = format!("fleetctl-{fleet}.service");
        Self { path: context.config.join("systemd/user").join(&name), name }
    }

    fn read(&self) -> Result<Option<String>, Failure> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    fn failed(&self, done: &str, error: &std::io::Error) -> Failure {
        let message = format!("{} cannot be {done}: {error}", self.path.display());
        Failure::new(Exit::Failed, message)
    }

    fn refuse_foreign(&self, known: Option<&str>, done: &str) -> Result<(), Failure> {
        let whose = match known {
            None => return Ok(()),
            Some(text) if is_signed(text) => return Ok(()),
            Some(text) if text.starts_with(SIGNATURE) => "was changed since it was written",
            Some(_) => "is not of fleetctl's making",
        };
        let path = self.path.display();
        let message = format!("{path} {whose}; it is not {done}");
        let failure = Failure::new(Exit::Refused, message);
        Err(failure.with_help(format!("move it away first: mv {path} {path}.mine")).with_help(
            format!("changes of yours have a file beside it: systemctl --user edit {}", self.name),
        ))
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        private::make_directory_if_needed(directory)
            .and_then(|()| private::replace(&self.path, text.as_bytes()))
            .map_err(|error| self.failed("written", &error))
    }

    /// With the links by which systemd starts it.
    fn remove(&self) -> Result<(), Failure> {
        let failed = |error| self.failed("removed", &error);
        let wanted = self.path.with_file_name("default.target.wants").join(&self.name);
        if std::fs::read_link(&wanted).is_ok_and(|to| to == self.path) {
            std::fs::remove_file(&wanted).map_err(failed)?;
        }
        std::fs::remove_file(&self.path).map_err(failed)
    }
}

fn signed(text: &str) -> String {
    format!("{SIGNATURE}{}\n{text}", digest(text))
}

fn is_signed(text: &str) -> bool {
    text.strip_prefix(SIGNATURE)
        .and_then(|rest| rest.split_once('\n'))
        .is_some_and(|(given, rest)| given == digest(rest))
}

fn digest(text: &str) -> String {
    Sha256::digest(text)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unit_text(context: &Context, fleet: &Name, manifest: &Path) -> Result<String, Failure> {
    let program = path_text(&context.program)?;
    let manifest = path_text(manifest)?;
    let mut environment = String::new();
    for name in KEPT {
        if let Some(value) = context.env.get(name) {
            let line = quoted(&format!("{name}={value}"), Place::Environment);
            environment.push_str(&format!("Environment={line}\n"));
        }
    }
    let (program, manifest) = (quoted(program, Place::Program), quoted(manifest, Place::Argument));
    Ok(format!(
        "# Changes go into a file beside it: systemctl --user edit fleetctl-{fleet}.service\n\
         [Unit]\n\
         Description=fleetctl keeps the fleet {fleet}\n\
         \n\
         [Service]\n\
         Type=notify\n\
         ExecStart={program} -f {manifest} controller\n\
         ExecReload=/bin/kill -HUP $MAINPID\n\
         {environment}\
         # Only the controller: agents and their tmux server live on.\n\
         KillMode=process\n\
         Restart=on-failure\n\
         RestartSec=10\n\
         WatchdogSec=120\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n"
    ))
}

fn path_text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        let message = format!("{} is not UTF-8, which a unit file has to be", path.display());
        Failure::new(Exit::Failed, message)
    })
}

/// What in a unit file a word is for: systemd expands variables in arguments alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Program,
    Argument,
    Environment,
}

/// A word as a unit file has it.
fn quoted(word: &str, place: Place) -> String {
    let mut text = String::from("\"");
    for character in word.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '%' => text.push_str("%%"),
            '$' if place == Place::Argument => text.push_str("$$"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            control if control.is_ascii_control() => {
                text.push_str(&format!("\\x{:02x}", u32::from(control)));
            }
            plain => text.push(plain),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_a_unit_is_what_it_was() {
        for (word, place, expected) in [
            ("/a b/50%/f.yaml", Place::Argument, r#""/a b/50%%/f.yaml""#),
            (r#"/a"b\c"#, Place::Program, r#""/a\"b\\c""#),
            ("/$HOME", Place::Argument, r#""/$$HOME""#),
            ("/$HOME", Place::Program, r#""/$HOME""#),
            ("PATH=/$x:/b", Place::Environment, r#""PATH=/$x:/b""#),
            ("a\nb\u{1}", Place::Argument, r#""a\nb\x01""#),
        ] {
            assert_eq!(quoted(word, place), expected);
        }
    }

    #[test]
    fn a_unit_that_somebody_touched_is_his() {
        let text = signed("[Unit]\n");
        assert!(is_signed(&text));
        assert!(!is_signed(&text.replace("[Unit]", "[Unit]\nAfter=x")));
        assert!(!is_signed("[Unit]\n"));
        assert!(!is_signed(SIGNATURE));
    }
}
