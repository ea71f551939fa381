//! The way of a path below a top directory, its links followed by hand. Owns what "inside" means; touches no
//! file itself. Invariant: nothing outside of the top is so much as looked at, and `.git` is outside.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// Links on one way: git follows no more either.
const MOST_LINKS: usize = 32;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// Anything that is neither of the others.
    File,
    /// A directory.
    Directory,
    /// A link, and what it says.
    Link(PathBuf),
    /// Nothing.
    Missing,
}

/// Why a way leads nowhere.
#[derive(Debug)]
pub enum Astray<E> {
    /// It leads out of the top, or into `.git`.
    Outside,
    /// There are too many links on it.
    Links,
    /// There is nothing at its end.
    Missing,
    /// It could not be looked at.
    Unseen(E),
}

/// Where a relative path leads, free of links, `.` and `..`, and what stands there.
///
/// # Errors
/// [`Astray`].
pub fn follow<E>(
    path: &Path,
    mut look: impl FnMut(&Path) -> Result<Stand, E>,
) -> Result<(PathBuf, Stand), Astray<E>> {
    let mut rest: VecDeque<OsString> = parts(path)?;
    let mut at = PathBuf::new();
    let mut links = 0;
    let mut stand = Stand::Directory;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            if !at.pop() {
                return Err(Astray::Outside);
            }
            stand = Stand::Directory;
            continue;
        }
        if part.eq_ignore_ascii_case(".git") {
            return Err(Astray::Outside);
        }
        if stand != Stand::Directory {
            return Err(Astray::Missing);
        }
        at.push(&part);
        stand = look(&at).map_err(Astray::Unseen)?;
        match &stand {
            Stand::Missing => return Err(Astray::Missing),
            Stand::File | Stand::Directory => {}
            Stand::Link(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Astray::Links);
                }
                for part in parts(target)?.into_iter().rev() {
                    rest.push_front(part);
                }
                at.pop();
                stand = Stand::Directory;
            }
        }
    }
    Ok((at, stand))
}

/// The parts of a relative path; one from the root leads out.
fn parts<E>(path: &Path) -> Result<VecDeque<OsString>, Astray<E>> {
    let mut parts = VecDeque::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push_back(name.to_owned()),
            Component::ParentDir => parts.push_back(OsStr::new("..").to_owned()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(Astray::Outside),
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> String {
        let mut looked = Vec::new();
        let led = follow(Path::new(path), |at| {
            looked.push(at.display().to_string());
            Ok::<_, ()>(match at.to_str().unwrap() {
                "a" | "a/b" | "d" => Stand::Directory,
                "a/f" | "a/b/g" => Stand::File,
                "in" => Stand::Link("a/b".into()),
                "a/up" => Stand::Link("../a/./b/../f".into()),
                "out" => Stand::Link("../etc".into()),
                "root" => Stand::Link("/etc/passwd".into()),
                "git" => Stand::Link(".GIT".into()),
                "round" => Stand::Link("d/round".into()),
                "d/round" => Stand::Link("../round".into()),
                _ => Stand::Missing,
            })
        });
        assert!(looked.iter().all(|at| !at.contains("etc") && !at.contains("git/")), "{looked:?}");
        match led {
            Ok((at, stand)) => format!("{} {stand:?}", at.display()),
            Err(astray) => format!("{astray:?}"),
        }
    }

    #[test]
    fn links_are_followed_as_far_as_they_stay_inside() {
        assert_eq!(found("a/f"), "a/f File");
        assert_eq!(found("in/g"), "a/b/g File");
        assert_eq!(found("a/up"), "a/f File");
        assert_eq!(found("a/b/.."), "a Directory");
        assert_eq!(found("in/../f"), "a/f File");
        assert_eq!(found("a/f/x"), "Missing");
        assert_eq!(found("no/where"), "Missing");
    }

    #[test]
    fn nothing_outside_is_looked_at() {
        for path in ["..", "a/../../x", "/etc/passwd", "out/passwd", "root", ".git/config", "git/x"]
        {
            assert_eq!(found(path), "Outside", "{path}");
        }
        assert_eq!(found("a/.Git/config"), "Outside");
        assert_eq!(found("round"), "Links");
    }
}
