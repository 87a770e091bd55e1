//! What can go wrong with the file, and what the caller may conclude from it.
//!
//! A fault is cheap to copy, since one failed commit answers a whole group.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::ErrorCode;

use crate::error::Error;

/// One failure of the database.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    detail: String,
}

/// The classes of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Another process kept its lock for too long; nothing was written.
    Busy,
    /// No space was left; nothing was written.
    Full,
    /// Reading or writing failed before the commit; nothing was written.
    Io,
    /// The commit failed in a way that leaves its effect unknown.
    Unknown,
    /// The content of the file contradicts itself.
    Corrupt,
    /// The file is no SQLite database.
    NotDatabase,
    /// The file is the database of some other program.
    Foreign,
    /// The file was written by a newer version of this crate.
    Newer,
    /// The process may not write the file or its directory.
    Denied,
    /// The file's directory does not exist.
    NoDirectory,
    /// The file was removed or replaced while it was open.
    Gone,
    /// The broker was closed.
    Closed,
    /// A statement failed: a value beyond SQLite's limits, or a mistake of ours.
    Statement,
}

/// Which file it is about, for the words of an error.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) path: PathBuf,
    pub(super) busy_timeout: Duration,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// Returns the fault of a commit that failed this way.
    pub(super) fn at_commit(self) -> Self {
        match self.kind {
            FaultKind::Io | FaultKind::Statement => Self { kind: FaultKind::Unknown, ..self },
            _ => self,
        }
    }

    /// True when the same may succeed later, without anybody changing the data.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self.kind,
            FaultKind::Busy
                | FaultKind::Full
                | FaultKind::Io
                | FaultKind::Unknown
                | FaultKind::Gone
                | FaultKind::Denied
        )
    }

    /// True when nothing may be written any more.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self.kind, FaultKind::Corrupt | FaultKind::NotDatabase)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => FaultKind::Busy,
            Some(ErrorCode::DiskFull) => FaultKind::Full,
            Some(ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed) => FaultKind::Io,
            Some(ErrorCode::DatabaseCorrupt) => FaultKind::Corrupt,
            Some(ErrorCode::NotADatabase) => FaultKind::NotDatabase,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => FaultKind::Denied,
            _ => FaultKind::Statement,
        };
        Self::new(kind, error.to_string())
    }
}

impl Site {
    /// Says that the broker was closed.
    pub(super) fn closed(&self) -> Error {
        self.error(&Fault::new(FaultKind::Closed, ""))
    }

    /// Puts a fault into words.
    pub(super) fn error(&self, fault: &Fault) -> Error {
        let path = self.path.display();
        let error = match fault.kind {
            FaultKind::Busy => Error::rejected(format!(
                "database \"{path}\" stayed locked by another process for {:?}; end its transaction, or raise busy_timeout",
                self.busy_timeout
            )),
            FaultKind::Full => {
                Error::rejected(format!("disk full while writing database \"{path}\"; free some space and try again"))
            }
            FaultKind::Io => Error::unavailable(format!("cannot read or write database \"{path}\"; check its disk")),
            FaultKind::Unknown => Error::unconfirmed(format!(
                "a commit to database \"{path}\" failed half-way; check its disk, and publish again under the same id"
            )),
            FaultKind::Corrupt => Error::corrupt(format!(
                "database \"{path}\" is damaged; stop all programs that use it, keep a copy of its files, and restore a \
                 backup or try \"sqlite3 {path} .recover\""
            )),
            FaultKind::NotDatabase => Error::corrupt(format!(
                "file \"{path}\" is not an SQLite database; check the path, or restore a backup"
            )),
            FaultKind::Foreign => Error::corrupt(format!(
                "database \"{path}\" belongs to another program; choose a file of its own for the jobs"
            )),
            FaultKind::Newer => Error::corrupt(format!(
                "database \"{path}\" {}; update this program before it opens the file",
                fault.detail
            )),
            FaultKind::Denied => Error::denied(format!(
                "database \"{path}\" cannot be written; allow this user to write the file and its directory"
            )),
            FaultKind::NoDirectory => Error::invalid(format!(
                "directory \"{}\" of database \"{path}\" does not exist; create it first",
                fault.detail
            )),
            FaultKind::Gone => Error::unavailable(format!(
                "database \"{path}\" was removed or replaced while it was open; put it back, or restart to begin anew"
            )),
            FaultKind::Closed => Error::unavailable(format!("the broker of database \"{path}\" is closed")),
            FaultKind::Statement => Error::unavailable(format!("database \"{path}\" refused a statement")),
        };
        let is_whole = matches!(fault.kind, FaultKind::Newer | FaultKind::NoDirectory) || fault.detail.is_empty();
        if is_whole { error } else { error.caused_by(fault.detail.clone()) }
    }
}
