//! What the harness must know of a broker: how its URL is made, what damage is, and how a process is robbed.
//!
//! The only file that knows one. Everything else speaks to the seam.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use job_core::BoxError;
use rusqlite::{Connection, OpenFlags};

/// How long the check of a database waits for those who write it.
const CHECK_PATIENCE: Duration = Duration::from_secs(20);

/// A broker that can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BrokerKind {
    /// The embedded broker
    Sqlite,
}

impl BrokerKind {
    /// Returns the URL of a fresh broker in a folder.
    pub(crate) fn url(self, folder: &Path) -> String {
        let Self::Sqlite = self;
        format!("sqlite:{}", database(folder).display())
    }

    /// Returns what the broker's own check finds wrong, if anything.
    pub(crate) fn damage(self, folder: &Path) -> Result<Option<String>, BoxError> {
        let Self::Sqlite = self;
        // By the same library as the director's client uses: it knows of both connections, so closing this one does not
        // drop the other one's locks.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(database(folder), flags)?;
        conn.busy_timeout(CHECK_PATIENCE)?;
        let verdict: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok((verdict != "ok").then_some(verdict))
    }

    /// Takes from a living process what tells the others that it lives, so that they take its jobs. False when it had
    /// nothing of the kind yet.
    pub(crate) fn rob(self, process: u32) -> io::Result<bool> {
        let Self::Sqlite = self;
        // One that was robbed a moment ago has only what is called "… (deleted)".
        let is_lock = |path: &PathBuf| path.to_string_lossy().contains(".locks/owner-") && path.exists();
        let open =
            fs::read_dir(format!("/proc/{process}/fd"))?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let locks: Vec<PathBuf> = open.filter(is_lock).collect();
        locks.iter().try_for_each(fs::remove_file)?;
        Ok(!locks.is_empty())
    }
}

fn database(folder: &Path) -> PathBuf {
    folder.join("jobs.db")
}
