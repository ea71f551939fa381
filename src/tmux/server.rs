//! The birth of a server. Owns the environment that all later panes inherit: that of the user's login
//! shell, whoever runs fleetctl. Invariant: a server is never a child of the scope that fleetctl runs in
//! where systemd offers one of its own.

use super::command::List;
use super::{LOGIN_LIMIT, Tmux, TmuxError};
use crate::process::{Child, find_program};
use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What a login begins with; a login shell's own files set the rest.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Variables that tell who the user is and where his desktop is; all others are the caller's own affair.
const KEPT: [&str; 14] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "TMUX_TMPDIR",
    "SSH_AUTH_SOCK",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
];

/// How the user logs in.
#[derive(Debug, Clone)]
pub struct Login {
    /// His shell, absolute.
    shell: PathBuf,
    /// What the shell begins with.
    env: Vec<(OsString, OsString)>,
    /// `systemd-run`, where a user manager runs.
    scope: Option<PathBuf>,
}

impl Login {
    /// The login of the user whose environment this is.
    #[must_use]
    pub fn of(caller: &[(OsString, OsString)]) -> Self {
        let value = |wanted: &str| {
            let pair = caller.iter().find(|(name, value)| name == wanted && !value.is_empty());
            pair.map(|(_, value)| value.clone())
        };
        let shell = value("SHELL").map_or_else(|| PathBuf::from("/bin/sh"), PathBuf::from);
        let mut env: Vec<(OsString, OsString)> =
            caller.iter().filter(|(name, _)| is_kept(name)).cloned().collect();
        env.push(("PATH".into(), PATH.into()));
        let scope = value("XDG_RUNTIME_DIR")
            .filter(|dir| Path::new("/run/systemd/system").is_dir() && has_manager(Path::new(dir)))
            .and_then(|_| find_program("systemd-run", OsStr::new(PATH)));
        Self { shell, env, scope }
    }

    /// The shell and its arguments up to the program that it is to become.
    fn argv(&self) -> Vec<OsString> {
        let name = self.shell.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let (shell, script): (&Path, &str) = match name {
            "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" => {
                (&self.shell, "exec \"$0\" \"$@\"")
            }
            "fish" => (&self.shell, "exec $argv"),
            _ => (Path::new("/bin/sh"), "exec \"$0\" \"$@\""),
        };
        vec![shell.into(), "-l".into(), "-c".into(), script.into()]
    }
}

fn is_kept(name: &OsStr) -> bool {
    let name = name.to_str().unwrap_or_default();
    KEPT.contains(&name) || name.starts_with("LC_") || name.starts_with("XDG_")
}

fn has_manager(runtime: &Path) -> bool {
    runtime.join("systemd/private").exists()
}

impl Tmux {
    /// Runs the list, and starts a server for it if there is none.
    pub(super) fn begin(&self, list: &List) -> Result<Vec<u8>, TmuxError> {
        self.make_place();
        let mut program = self.options.login.argv();
        program.push(self.options.program.clone().into());
        program.extend(self.address());
        program.extend(list.argv().into_iter().map(OsString::from));
        if let Some(systemd) = &self.options.login.scope {
            let scope = ["--user", "--scope", "--quiet", "--collect", "--"];
            match self.run(&self.login(Child::new(systemd).args(scope).args(&program)), list.verb())
            {
                // Any word of tmux's own is an answer; all else is the scope's failure.
                Err(TmuxError::Refused { said, .. }) if !said.starts_with("duplicate session") => {
                    tracing::warn!(%said, "no scope of its own for the tmux server");
                }
                answered => return answered,
            }
        }
        let (shell, args) = program.split_first().unwrap_or((&program[0], &[]));
        self.run(&self.login(Child::new(shell).args(args)), list.verb())
    }

    /// Makes the socket's directory, as `tmux -L` does and `tmux -S` does not.
    fn make_place(&self) {
        let Some(place) = self.options.socket.parent().filter(|place| !place.exists()) else {
            return;
        };
        // tmux itself says what is wrong with a place that could not be made.
        if let Err(error) = DirBuilder::new().mode(0o700).create(place) {
            tracing::debug!(%error, place = %place.display(), "no directory for the socket");
        }
    }

    fn login(&self, child: Child) -> Child {
        let env = self.options.login.env.clone();
        let home = env.iter().find(|(name, _)| name == "HOME").map(|(_, home)| home.clone());
        let home = home.map(PathBuf::from).filter(|home| home.is_dir());
        child.only_env(env).directory(home.unwrap_or_else(|| "/".into())).limit(LOGIN_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn a_login_keeps_who_the_user_is_and_nothing_of_where_fleetctl_runs() {
        let login = Login::of(&caller(&[
            ("HOME", "/home/a"),
            ("PATH", "/venv/bin:/usr/bin"),
            ("VIRTUAL_ENV", "/venv"),
            ("FLEET_UID", "x"),
            ("TMUX", "/s,1,0"),
            ("LC_ALL", "C.UTF-8"),
        ]));
        assert_eq!(
            login.env,
            caller(&[("HOME", "/home/a"), ("LC_ALL", "C.UTF-8"), ("PATH", PATH)])
        );
    }

    #[test]
    fn a_shell_that_is_not_known_to_take_a_login_command_is_left_to_sh() {
        let argv = |shell: &str| Login::of(&caller(&[("SHELL", shell)])).argv();
        assert_eq!(argv("/usr/bin/nu")[0], "/bin/sh");
        assert_eq!(argv("/usr/bin/fish")[3], "exec $argv");
        assert_eq!(argv("/usr/bin/zsh")[0], "/usr/bin/zsh");
    }
}
