//! Where the repository around a file stands: its branch, and what is under way. Reads files alone, so that a
//! look costs next to nothing. Invariant: what cannot be read is unknown, not "no repository".

use super::entry::head_in;
use super::risk::UNDER_WAY;
use super::{Git, GitError};
use crate::snapshot::{Blind, Checkout, Evidence, Head, Observed};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

impl Git {
    /// The checkout that a file lies in.
    #[must_use]
    pub fn checkout_around(&self, file: &Path) -> Observed<Checkout> {
        let unknown = |cause: String| {
            Observed::Unknown(Blind {
                what: format!("the repository of {}", file.display()),
                cause,
            })
        };
        match git_directory(file) {
            Ok(None) => Observed::Absent(Evidence::NotListed),
            Ok(Some(directory)) => match standing(&directory) {
                // A reftable repository keeps its HEAD elsewhere.
                Ok(Checkout { head: Head::Unreadable, .. }) => match self.head_by_git(file) {
                    Ok(checkout) => Observed::Known(checkout),
                    Err(error) => unknown(error.line()),
                },
                Ok(checkout) => Observed::Known(checkout),
                Err(error) => unknown(error.to_string()),
            },
            Err(error) => unknown(error.to_string()),
        }
    }

    fn head_by_git(&self, file: &Path) -> Result<Checkout, GitError> {
        let directory = file.parent().unwrap_or(file);
        let ask = self.look(directory).args(["rev-parse", "--abbrev-ref", "HEAD"]);
        let branch = super::line(&ask, "git rev-parse")?;
        Ok(Checkout { head: Head::Branch(branch), under_way: None })
    }
}

/// The git directory of the worktree that a file lies in.
fn git_directory(file: &Path) -> Result<Option<PathBuf>, Error> {
    for above in file.ancestors().skip(1) {
        let entry = above.join(".git");
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => return Ok(Some(entry)),
            Ok(_) => {
                let text = std::fs::read_to_string(&entry)?;
                let named = text.strip_prefix("gitdir: ").map(str::trim_end);
                let odd = || Error::new(ErrorKind::InvalidData, "its .git file names no directory");
                return Ok(Some(above.join(named.ok_or_else(odd)?)));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::NotADirectory => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn standing(directory: &Path) -> Result<Checkout, Error> {
    let mut under_way = None;
    for (mark, operation) in UNDER_WAY {
        if directory.join(mark).try_exists()? {
            under_way = Some(operation.to_owned());
            break;
        }
    }
    Ok(Checkout { head: head_in(directory), under_way })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_and_what_is_under_way_are_read_without_git() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("ops/fleet.yaml");
        std::fs::create_dir_all(top.path().join(".git/rebase-merge")).unwrap();
        std::fs::create_dir(top.path().join("ops")).unwrap();
        std::fs::write(top.path().join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        let found = Git::new().checkout_around(&file);
        let under_way = Some("rebase".to_owned());
        let expected = Checkout { head: Head::Branch("main".into()), under_way };
        assert_eq!(found, Observed::Known(expected));
    }

    #[test]
    fn a_file_outside_of_any_repository_has_none_and_a_broken_one_is_unknown() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("fleet.yaml");
        assert_eq!(Git::new().checkout_around(&file), Observed::Absent(Evidence::NotListed));
        std::fs::write(top.path().join(".git"), "nonsense").unwrap();
        assert!(matches!(Git::new().checkout_around(&file), Observed::Unknown(_)));
    }
}
