//! Where to look for changes of a file: the directories on the way to it and the names in them that decide.
//! Owns the walk over symbolic links and over what is not there. Invariant: whatever replaces the file, or
//! makes it, is an event under one of these names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// The most links on one way, as the kernel has it.
const MOST_LINKS: usize = 40;
/// What in a git directory tells of another branch, or of the end of a rebase, merge or bisect.
const GIT_NAMES: [&str; 6] =
    ["HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "BISECT_LOG", "rebase-merge", "rebase-apply"];

/// Directories without links, each with the names that are of interest in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// The names by directory.
    pub names: BTreeMap<PathBuf, BTreeSet<OsString>>,
    /// Those of the directories in which any file that comes or goes is of interest.
    pub listed: BTreeSet<PathBuf>,
    /// Which directories these are: another may get the name of one that is moved away.
    pub identities: BTreeMap<PathBuf, Identity>,
}

/// A directory's device, inode, and birth where the file system knows it.
type Identity = Option<(u64, u64, Option<SystemTime>)>;

impl Places {
    /// The places of all these files and listed directories, as the file system is now.
    pub(super) fn of((files, directories): (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>)) -> Self {
        let mut walk = Walk::default();
        let mut ways = BTreeMap::new();
        for file in files {
            let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else { continue };
            let known = ways.entry(parent.to_owned());
            let place = known.or_insert_with(|| walk.go(Path::new("/"), parent)).clone();
            if let Some(place) = place {
                walk.go(&place, Path::new(name));
                // It may be a directory itself, whose end counts.
                walk.add(&place, name);
            }
        }
        let listed = directories.iter().filter_map(|way| walk.go(Path::new("/"), way));
        let listed: BTreeSet<PathBuf> = listed.collect();
        for place in &listed {
            walk.names.entry(place.clone()).or_default();
        }
        // A directory that holds none of them may go without a word: somebody may stand in it.
        let open = walk.names.keys().filter(|place| !walk.settled.contains(*place));
        for place in open.cloned().collect::<Vec<_>>() {
            if let (Some(parent), Some(name)) = (place.parent(), place.file_name()) {
                walk.add(parent, name);
            }
        }
        let identities = walk.names.keys().map(|place| (place.clone(), identity(place)));
        Self { identities: identities.collect(), names: walk.names, listed }
    }

    /// True when an event under this path is of interest.
    pub(super) fn tells(&self, path: &Path) -> bool {
        let named = || {
            let names = self.names.get(path.parent()?)?;
            Some(names.contains(path.file_name()?))
        };
        named().unwrap_or(false)
    }

    /// True when something is of interest that was not before, or is in another directory of that name.
    pub(super) fn exceed(&self, before: &Self) -> bool {
        let more = |(place, names): (&PathBuf, &BTreeSet<OsString>)| {
            let known = before.names.get(place).is_some_and(|known| names.is_subset(known));
            !known || self.identities.get(place) != before.identities.get(place)
        };
        self.names.iter().any(more) || !self.listed.is_subset(&before.listed)
    }

    /// True when whatever comes or goes under this path is of interest.
    pub(super) fn lists(&self, path: &Path) -> bool {
        path.parent().is_some_and(|place| self.listed.contains(place))
    }
}

/// What the ways to some files led past.
#[derive(Debug, Default)]
struct Walk {
    names: BTreeMap<PathBuf, BTreeSet<OsString>>,
    /// Directories in which something of interest is there.
    settled: BTreeSet<PathBuf>,
}

impl Walk {
    fn add(&mut self, place: &Path, name: &OsStr) {
        self.names.entry(place.to_owned()).or_default().insert(name.to_owned());
    }

    /// Goes down the way, through every link; gives where it led, if anywhere.
    fn go(&mut self, from: &Path, way: &Path) -> Option<PathBuf> {
        let mut place = from.to_owned();
        let mut rest: VecDeque<OsString> = parts(way);
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                place.pop();
                continue;
            }
            let next = place.join(&part);
            let meta = next.symlink_metadata();
            if meta.as_ref().is_ok_and(Metadata::is_dir) {
                place = next;
                continue;
            }
            self.add(&place, &part);
            self.settled.extend(meta.is_ok().then(|| place.clone()));
            if !meta.is_ok_and(|meta| meta.is_symlink()) {
                return None;
            }
            links += 1;
            let target = next.read_link().ok().filter(|_| links <= MOST_LINKS)?;
            if target.is_absolute() {
                place = PathBuf::from("/");
            }
            let mut further = parts(&target);
            further.append(&mut rest);
            rest = further;
        }
        Some(place)
    }
}

fn identity(place: &Path) -> Identity {
    let meta = place.symlink_metadata().ok()?;
    Some((meta.dev(), meta.ino(), meta.created().ok()))
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}

/// The files that tell when the repository around a manifest changes branch, or is done with a rebase, merge
/// or bisect; none outside of one.
#[must_use]
pub fn head_of(manifest: &Path) -> Vec<PathBuf> {
    let entry = manifest.ancestors().skip(1).map(|above| above.join(".git")).find(|at| at.exists());
    let Some(entry) = entry else { return Vec::new() };
    let directory = match std::fs::read_to_string(&entry) {
        // A linked worktree has a file that names its own git directory.
        Ok(text) => match text.strip_prefix("gitdir: ") {
            Some(named) => entry.with_file_name(named.trim_end()),
            None => return Vec::new(),
        },
        Err(_) => entry,
    };
    GIT_NAMES.iter().map(|name| directory.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn at(root: &Path, file: &str) -> (PathBuf, PathBuf) {
        let top = root.canonicalize().unwrap();
        (top.clone(), top.join(file))
    }

    fn of(file: &Path) -> Places {
        Places::of((&BTreeSet::from([file.to_owned()]), &BTreeSet::new()))
    }

    #[test]
    fn a_file_is_watched_in_its_own_directory_alone() {
        let root = tempfile::tempdir().unwrap();
        let (top, file) = at(root.path(), "fleet.yaml");
        fs::write(&file, "").unwrap();
        let places = of(&file);
        assert_eq!(places.names.keys().collect::<Vec<_>>(), [&top]);
        assert!(places.tells(&file) && !places.tells(&top.join("other")) && !places.tells(&top));
    }

    #[test]
    fn every_link_on_the_way_and_what_it_points_to_are_watched() {
        let root = tempfile::tempdir().unwrap();
        let (top, link) = at(root.path(), "a/fleet.yaml");
        fs::create_dir_all(top.join("a")).unwrap();
        fs::create_dir_all(top.join("v1/x")).unwrap();
        fs::write(top.join("v1/x/real"), "").unwrap();
        symlink("../now/x/real", &link).unwrap();
        symlink("v1", top.join("now")).unwrap();
        let places = of(&link);
        for name in ["a/fleet.yaml", "now", "v1/x/real"] {
            assert!(places.tells(&top.join(name)), "{name}: {places:?}");
        }
        assert_eq!(places.names.len(), 3);
    }

    #[test]
    fn what_is_not_there_is_awaited_where_it_would_be_made() {
        let root = tempfile::tempdir().unwrap();
        let (top, file) = at(root.path(), "a/b/fleet.yaml");
        assert!(of(&file).tells(&top.join("a")));
        fs::create_dir_all(top.join("a/b")).unwrap();
        let places = of(&file);
        assert!(places.tells(&file) && places.tells(&top.join("a/b")), "{places:?}");
    }

    #[test]
    fn links_in_a_circle_end() {
        let root = tempfile::tempdir().unwrap();
        let (top, link) = at(root.path(), "a");
        symlink("b", &link).unwrap();
        symlink("a", top.join("b")).unwrap();
        assert!(of(&link).tells(&top.join("b")));
    }

    #[test]
    fn the_head_of_a_linked_worktree_lies_in_its_own_git_directory() {
        let root = tempfile::tempdir().unwrap();
        let (top, _) = at(root.path(), "");
        fs::create_dir_all(top.join("w/deep")).unwrap();
        assert!(head_of(&top.join("w/deep/fleet.yaml")).iter().all(|at| !at.starts_with(&top)));
        fs::write(top.join("w/.git"), "gitdir: /r/.git/worktrees/w\n").unwrap();
        let heads = head_of(&top.join("w/deep/fleet.yaml"));
        assert_eq!(heads[0], Path::new("/r/.git/worktrees/w/HEAD"));
        fs::create_dir_all(top.join("w/deep/.git")).unwrap();
        assert_eq!(head_of(&top.join("w/deep/fleet.yaml"))[0], top.join("w/deep/.git/HEAD"));
    }
}
