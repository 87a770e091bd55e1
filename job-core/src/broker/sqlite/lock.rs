//! Files that are locked for as long as a process lives: who owns claims, who leads.
//!
//! Never the database file itself: closing a second handle of it would drop the locks that SQLite holds on it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Attempts to lock a file that others remove at the same moment.
const RACES_MAX: usize = 16;

/// A file that this handle has locked. Closing it unlocks it; the file stays.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    file: File,
}

impl LockFile {
    /// Locks the file, creating it if need be; `None` while another handle has it, in this process or another.
    pub(super) fn acquire(path: &Path) -> io::Result<Option<Self>> {
        for _ in 0..RACES_MAX {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let lock = Self { path: path.to_owned(), file };
            // Somebody may have removed the file between opening and locking it: the lock would be on nothing.
            if lock.is_in_place() {
                return Ok(Some(lock));
            }
        }
        Ok(None)
    }

    /// True while the path still names the locked file.
    pub(super) fn is_in_place(&self) -> bool {
        let ours = self.file.metadata().ok().map(|m| identity(&m));
        ours.is_some() && ours == fs::metadata(&self.path).ok().map(|m| identity(&m))
    }

    /// Removes the file and unlocks it.
    pub(super) fn remove(self) {
        // While it is locked, so that nobody else can have locked it in between. A file left behind harms nobody.
        let _ = fs::remove_file(&self.path);
    }
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity(u64, u64);

/// Returns the identity of the file of that name; `None` when there is none.
pub(super) fn identity_of(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|m| identity(&m))
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity(metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Identity {
    // Open files cannot be removed or replaced there.
    Identity(0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_handles_of_one_process_exclude_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lead-a");
        let first = LockFile::acquire(&path).unwrap().unwrap();
        assert!(LockFile::acquire(&path).unwrap().is_none());
        drop(first);
        assert!(LockFile::acquire(&path).unwrap().is_some());
    }

    #[test]
    fn a_removed_lock_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner-1");
        let lock = LockFile::acquire(&path).unwrap().unwrap();
        assert!(lock.is_in_place());
        fs::remove_file(&path).unwrap();
        assert!(!lock.is_in_place());
    }
}
