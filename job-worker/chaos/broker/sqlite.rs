//! The embedded broker: what damage of its file is, and how a process is robbed of the lock that says that it lives.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use job_core::BoxError;
use rusqlite::{Connection, OpenFlags};

/// How long the check of a database waits for those who write it.
const CHECK_PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn url(folder: &Path) -> String {
    format!("sqlite:{}", database(folder).display())
}

pub(super) fn damage(folder: &Path) -> Result<Option<String>, BoxError> {
    // By the same library as the director's client uses: it knows of both connections, so closing this one does not
    // drop the other one's locks.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database(folder), flags)?;
    conn.busy_timeout(CHECK_PATIENCE)?;
    let verdict: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((verdict != "ok").then_some(verdict))
}

pub(super) fn rob(process: u32) -> io::Result<bool> {
    // One that was robbed a moment ago has only what is called "… (deleted)".
    let is_lock = |path: &PathBuf| path.to_string_lossy().contains(".locks/owner-") && path.exists();
    let open = fs::read_dir(format!("/proc/{process}/fd"))?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let locks: Vec<PathBuf> = open.filter(is_lock).collect();
    locks.iter().try_for_each(fs::remove_file)?;
    Ok(!locks.is_empty())
}

fn database(folder: &Path) -> PathBuf {
    folder.join("jobs.db")
}
