//! Files and directories that only their owner reads. Owns how they are made; knows nothing of what they
//! hold. Invariant: such a file is there whole or not at all.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Puts contents in place in one step, mode 0600, over what was there.
///
/// # Errors
/// It could not be written beside its place, or not be moved there.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let part = path.with_added_extension("part");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(contents)?;
    std::fs::rename(&part, path)
}

/// Makes a directory, mode 0700, with its parents, if it is missing.
///
/// # Errors
/// It could not be made, or something else stands there.
pub fn make_directory_if_needed(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_is_its_owners_alone() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("a/b");
        make_directory_if_needed(&directory).unwrap();
        make_directory_if_needed(&directory).unwrap();
        let path = directory.join("file.txt");
        replace(&path, b"long").unwrap();
        replace(&path, b"x").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&directory)), (0o600, 0o700));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    }
}
