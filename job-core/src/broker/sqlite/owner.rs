//! Who has claimed: each open file has an owner, alive for as long as its lock file is locked.
//!
//! Any process gives back what a dead owner had; a live one is never doubted, however long its jobs take.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::broker::sqlite::claim::reclaim;
use crate::broker::sqlite::declare::remove_orphans;
use crate::broker::sqlite::fault::{Fault, FaultKind};
use crate::broker::sqlite::lock::LockFile;
use crate::broker::sqlite::session::Session;
use crate::sabotage;

/// This process as an owner of claims.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) id: i64,
    lock: LockFile,
}

impl Owner {
    /// Locks the file of a new owner. It claims nothing before [`register`] has made it known.
    pub(super) fn create(directory: &Path) -> Result<Self, Fault> {
        fs::create_dir_all(directory).map_err(from_io)?;
        loop {
            let id = fastrand::i64(1..);
            if let Some(lock) = LockFile::acquire(&file(directory, id)).map_err(from_io)? {
                return Ok(Self { id, lock });
            }
        }
    }

    /// True while others can see that it lives.
    pub(super) fn is_visible(&self) -> bool {
        self.lock.is_in_place()
    }

    /// Removes the lock file.
    pub(super) fn remove(self) {
        self.lock.remove();
    }
}

/// Makes the session's owner known, so that others give back what it had if it dies.
pub(super) fn register(session: &mut Session) -> Result<(), Fault> {
    session.conn.execute("INSERT OR IGNORE INTO owners(id) VALUES(?1)", [session.owner])?;
    sabotage::written("register");
    Ok(())
}

/// Gives back all that an owner had, and forgets it with the queues that went with it.
pub(super) fn retire(session: &mut Session, owner: i64) -> Result<usize, Fault> {
    let count = reclaim(session, owner)?;
    session.conn.execute("DELETE FROM owners WHERE id = ?1", [owner])?;
    remove_orphans(session)?;
    sabotage::written("retire");
    Ok(count)
}

/// Returns all owners that are known.
pub(super) fn known(session: &Session) -> Result<Vec<i64>, Fault> {
    let mut statement = session.conn.prepare_cached("SELECT id FROM owners")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Locks the file of an owner that does not live any more: whoever has the lock may give back what that one had.
pub(super) fn lock_dead(directory: &Path, owner: i64) -> Result<Option<LockFile>, Fault> {
    // A file that is missing counts as dead too: the database may have been copied without it.
    fs::create_dir_all(directory).map_err(from_io)?;
    LockFile::acquire(&file(directory, owner)).map_err(from_io)
}

fn file(directory: &Path, owner: i64) -> PathBuf {
    directory.join(format!("owner-{owner:016x}"))
}

fn from_io(error: io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FaultKind::Denied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FaultKind::Full,
        _ => FaultKind::Io,
    };
    Fault::new(kind, error.to_string())
}
