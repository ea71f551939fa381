//! The environment of a program: what the pane was given, less what must not reach it, and the manifest's
//! values over that. Invariant: it hangs on the tmux server and the manifest, never on who ran fleetctl.

use super::{Launch, env_file};
use crate::manifest::template::late;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Variables by name.
pub type Environment = BTreeMap<OsString, OsString>;

/// Of a pane, and of no use to what runs in it: it would act on the fleet's own tmux server, or print
/// without colours because some server was started by a script.
const NEVER: [&str; 3] = ["TMUX", "TMUX_PANE", "NO_COLOR"];

/// The program's environment.
///
/// # Errors
/// [`env_file::EnvFileError`], when there is an `env_file` that cannot be used.
pub fn build(
    launch: &Launch,
    inherited: Vec<(OsString, OsString)>,
) -> Result<Environment, env_file::EnvFileError> {
    let pane: Environment = inherited.into_iter().collect();
    let mut environment = pane.clone();
    for name in NEVER.into_iter().chain(launch.unset.iter().map(String::as_str)) {
        environment.remove(OsStr::new(name));
    }
    set(&mut environment, "PWD", &launch.directory);
    environment.remove(OsStr::new("OLDPWD"));
    if let Some(path) = &launch.env_file {
        environment.extend(
            env_file::read(path)?.into_iter().map(|(name, value)| (name.into(), value.into())),
        );
    }
    for (name, value) in &launch.env {
        environment.insert(name.into(), expand_late(value, &pane));
    }
    set(&mut environment, "FLEET_NAME", launch.fleet.as_str());
    set(&mut environment, "FLEET_SESSION", launch.session.as_str());
    set(&mut environment, "FLEET_UID", launch.uid.to_string());
    set(&mut environment, "FLEET_FILE", &launch.manifest);
    set(&mut environment, "FLEET_WORKTREE", &launch.worktree);
    Ok(environment)
}

fn set(environment: &mut Environment, name: &str, value: impl AsRef<OsStr>) {
    environment.insert(name.into(), value.as_ref().to_owned());
}

/// Fills in `${env.NAME}` from the pane's variables; one that is not set is empty, as in a shell.
fn expand_late(value: &str, pane: &Environment) -> OsString {
    let filled = late(value, &|name| {
        let name = name.strip_prefix("env.")?;
        let value = pane.get(OsStr::new(name)).map(|value| value.to_string_lossy().into_owned());
        Some(value.unwrap_or_default())
    });
    filled.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::tests::launch;

    fn built(launch: &Launch, pane: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pane = pane.iter().map(|(k, v)| (OsString::from(k), OsString::from(v))).collect();
        let built = build(launch, pane).unwrap().into_iter();
        built.map(|(k, v)| (k.into_string().unwrap(), v.into_string().unwrap())).collect()
    }

    #[test]
    fn the_panes_own_variables_do_not_reach_the_program() {
        let mut launch = launch();
        launch.unset = vec!["CLAUDECODE".to_owned()];
        let names = ["TMUX", "TMUX_PANE", "NO_COLOR", "CLAUDECODE", "HOME"];
        let found = built(&launch, &names.map(|name| (name, "x")));
        let kept: Vec<&str> = names.into_iter().filter(|name| found.contains_key(*name)).collect();
        assert_eq!(kept, ["HOME"]);
        assert_eq!(found["FLEET_NAME"], "shop");
        assert_eq!(found["FLEET_UID"], launch.uid.to_string());
        assert_eq!(found["PWD"], "/w/api/web");
    }

    #[test]
    fn env_goes_over_env_file_and_marks_go_over_all() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "A=file\nB=file\nFLEET_UID=other\n").unwrap();
        let mut launch = launch();
        launch.env_file = Some(file.path().to_owned());
        launch.env.insert("A".to_owned(), "env".to_owned());
        let found = built(&launch, &[("A", "pane"), ("B", "pane"), ("C", "pane")]);
        assert_eq!((&*found["A"], &*found["B"], &*found["C"]), ("env", "file", "pane"));
        assert_eq!(found["FLEET_UID"], launch.uid.to_string());
    }

    #[test]
    fn the_panes_variables_are_filled_in_late() {
        let mut launch = launch();
        let value = "\u{1}env.HOME\u{2}/bin:\u{1}env.MISSING\u{2}:\u{1}env.PATH\u{2}";
        launch.env.insert("PATH".to_owned(), value.to_owned());
        let found = built(&launch, &[("HOME", "/h"), ("PATH", "/bin")]);
        assert_eq!(found["PATH"], "/h/bin::/bin");
    }
}
