//! What people and machines see: plans, tables, reports and progress, as text or JSON. Owns every word that a
//! plan is told in; calls no driver, reads no clock and no environment (a [`View`] carries both). Invariant:
//! a value of `env` is never in what it makes, and what it makes depends on its arguments alone.

pub mod compare;
pub mod describe;
pub mod events;
#[cfg(test)]
mod fixtures;
pub mod fleet;
pub mod github;
pub mod json;
pub mod layout;
pub mod lists;
pub mod markdown;
pub mod plan;
pub mod progress;
pub mod report;
pub mod style;
pub mod table;
pub mod words;

use jiff::Timestamp;
use std::path::{Component, Path, PathBuf};
use style::Style;

/// For whom something is rendered: where, when, and on what.
#[derive(Debug, Clone)]
pub struct View {
    /// Width and colour.
    pub style: Style,
    /// The time that ages are told from.
    pub now: Timestamp,
    /// The working directory: paths near it are told relative to it.
    pub directory: Option<PathBuf>,
    /// The user's home, told as `~`.
    pub home: Option<PathBuf>,
    /// What a command to be typed begins with: `fleetctl`, or `fleetctl -f other.yaml`.
    pub program: String,
    /// Tell of sessions that are as they should be, too.
    pub all: bool,
}

impl View {
    /// A view without terminal, colour or surroundings.
    #[must_use]
    pub fn plain(now: Timestamp) -> Self {
        Self {
            style: Style::PLAIN,
            now,
            directory: None,
            home: None,
            program: "fleetctl".to_owned(),
            all: false,
        }
    }

    /// A path as short as it stays true: relative where it is near, `~` under the home, else as it is.
    #[must_use]
    pub fn path(&self, path: &Path) -> String {
        let near = self.directory.as_deref().and_then(|base| relative(base, path));
        if let Some(near) = near {
            return near.display().to_string();
        }
        match self.home.as_deref().and_then(|home| path.strip_prefix(home).ok()) {
            Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Some(rest) => format!("~/{}", rest.display()),
            None => path.display().to_string(),
        }
    }

    /// A path as an argument of a command to be typed: short where it needs no quotes, else absolute and quoted.
    #[must_use]
    pub fn argument(&self, path: &Path) -> String {
        let bare = |text: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@%:,=~".contains(c))
        };
        let short = self.path(path);
        if bare(&short) {
            return short;
        }
        format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
    }

    /// A command of this program: `fleetctl start api`.
    #[must_use]
    pub fn command(&self, rest: &str) -> String {
        format!("{} {rest}", self.program)
    }

    /// The time from `then` to now; zero when `then` is later.
    #[must_use]
    pub fn since(&self, then: Timestamp) -> std::time::Duration {
        std::time::Duration::try_from(self.now.duration_since(then)).unwrap_or_default()
    }

    /// The time from now to `then`; zero when `then` has passed.
    #[must_use]
    pub fn until(&self, then: Timestamp) -> std::time::Duration {
        std::time::Duration::try_from(then.duration_since(self.now)).unwrap_or_default()
    }
}

/// `path` from `base`, when both are absolute and at most two steps up lead to it from other than the root.
fn relative(base: &Path, path: &Path) -> Option<PathBuf> {
    if !base.is_absolute() || !path.is_absolute() {
        return None;
    }
    let common = base.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = base.components().count() - common;
    if common < 2 || up > 2 {
        return None;
    }
    let mut near: PathBuf = std::iter::repeat_n(Component::ParentDir, up).collect();
    near.extend(path.components().skip(common));
    if near.as_os_str().is_empty() {
        near.push(".");
    }
    Some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View {
            directory: Some("/home/ana/shop".into()),
            home: Some("/home/ana".into()),
            ..View::plain(Timestamp::UNIX_EPOCH)
        }
    }

    #[test]
    fn a_path_in_a_command_is_quoted_where_a_shell_would_take_it_apart() {
        let view = view();
        assert_eq!(
            view.argument(Path::new("/home/ana/shop.worktrees/api")),
            "../shop.worktrees/api"
        );
        assert_eq!(view.argument(Path::new("/srv/my $x's")), r"'/srv/my $x'\''s'");
    }

    #[test]
    fn paths_are_told_as_short_as_they_stay_true() {
        let view = view();
        let told = |path: &str| view.path(Path::new(path));
        assert_eq!(told("/home/ana/shop/fleet.yaml"), "fleet.yaml");
        assert_eq!(told("/home/ana/shop"), ".");
        assert_eq!(told("/home/ana/shop.worktrees/api"), "../shop.worktrees/api");
        assert_eq!(told("/srv/docs"), "/srv/docs");
        assert_eq!(View { directory: None, ..view.clone() }.path(Path::new("/home/ana/x")), "~/x");
        assert_eq!(View { directory: None, ..view }.path(Path::new("/home/ana")), "~");
    }
}
