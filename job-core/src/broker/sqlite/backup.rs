//! Copies the database into a new file, as of one moment, while others go on.
//!
//! The copy is made beside its name, flushed and checked, and only then named: a file of that name is a whole backup.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use crate::broker::Backup;
use crate::broker::sqlite::connection::beside;
use crate::broker::sqlite::fault::{Fault, FaultKind, Site};
use crate::error::{Error, Result};

/// One copy on its way.
struct Copy {
    site: Arc<Site>,
    file: PathBuf,
    partial: PathBuf,
}

/// Copies the database into `file`, on a thread that may block.
pub(super) async fn backup(site: &Arc<Site>, file: &Path) -> Result<Backup> {
    let site = Arc::clone(site);
    let file = std::path::absolute(file).map_err(|error| unmakable(file, error))?;
    let closed = site.closed();
    let copy = Copy { partial: beside(&file, ".partial"), site, file };
    tokio::task::spawn_blocking(move || copy.run()).await.unwrap_or(Err(closed))
}

impl Copy {
    fn run(self) -> Result<Backup> {
        if fs::symlink_metadata(&self.file).is_ok() {
            return Err(self.exists());
        }
        self.reserve()?;
        let copied = self.fill().and_then(|()| self.check()).and_then(|backup| self.name().map(|()| backup));
        if copied.is_err() {
            // What is left of them is no backup.
            let _ = fs::remove_file(beside(&self.partial, "-journal"));
            let _ = fs::remove_file(&self.partial);
        }
        copied
    }

    /// Makes the file that is filled, as readable as the database is and not more.
    fn reserve(&self) -> Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
            if let Ok(metadata) = fs::metadata(&self.site.path) {
                options.mode(metadata.permissions().mode() & 0o777);
            }
        }
        match options.open(&self.partial) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::invalid(format!(
                "file \"{}\" exists: another backup is under way, or was interrupted; remove it if none is",
                self.partial.display()
            ))),
            Err(error) => Err(unmakable(&self.partial, error)),
        }
    }

    fn fill(&self) -> Result<()> {
        let partial = self.partial.to_str().ok_or_else(|| {
            Error::invalid(format!("file name \"{}\" is not UTF-8; choose another", self.file.display()))
        })?;
        let conn = self.open(&self.site.path)?;
        conn.execute("VACUUM INTO ?1", [partial]).map_err(|error| self.failed(error))?;
        // SQLite does not flush what it vacuums into.
        let file = OpenOptions::new().write(true).open(partial).and_then(|file| file.sync_all());
        file.map_err(|error| unmakable(&self.partial, error))
    }

    fn check(&self) -> Result<Backup> {
        let conn = self.open(&self.partial)?;
        let verdict = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
        let verdict = verdict.map_err(|error| self.failed(error))?;
        if verdict != "ok" {
            return Err(Error::corrupt(format!(
                "the copy of database \"{}\" is damaged; check both disks, and the database with \"PRAGMA integrity_check\"",
                self.site.path.display()
            ))
            .caused_by(verdict));
        }
        let jobs = conn.query_row("SELECT count(*) FROM jobs", [], |row| row.get::<_, i64>(0));
        let jobs = jobs.map_err(|error| self.failed(error))?.cast_unsigned();
        let bytes = fs::metadata(&self.partial).map_err(|error| unmakable(&self.partial, error))?.len();
        Ok(Backup { jobs, bytes })
    }

    /// Gives the copy its name, unless somebody else took that name in the meantime.
    fn name(&self) -> Result<()> {
        match fs::hard_link(&self.partial, &self.file) {
            Ok(()) => {
                let _ = fs::remove_file(&self.partial);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(self.exists()),
            // A file system without links: a rename would replace what is there.
            Err(_) if fs::symlink_metadata(&self.file).is_ok() => return Err(self.exists()),
            Err(_) => fs::rename(&self.partial, &self.file).map_err(|error| unmakable(&self.file, error))?,
        }
        flush_directory(&self.file).map_err(|error| unmakable(&self.file, error))
    }

    fn open(&self, path: &Path) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).map_err(|error| self.failed(error))?;
        conn.busy_timeout(self.site.busy_timeout).map_err(|error| self.failed(error))?;
        Ok(conn)
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
        let detail = error.to_string();
        let fault = Fault::from(error);
        if fault.is_damage() {
            return self.site.error(&fault);
        }
        let (from, to) = (self.site.path.display(), self.file.display());
        match fault.kind {
            FaultKind::Full => {
                Error::rejected(format!("disk full while writing \"{to}\"; free some space and try again"))
            }
            _ => Error::unavailable(format!("cannot copy database \"{from}\" to \"{to}\"")).caused_by(detail),
        }
    }

    fn exists(&self) -> Error {
        Error::invalid(format!("file \"{}\" exists already; name a new one", self.file.display()))
    }
}

fn unmakable(path: &Path, error: io::Error) -> Error {
    let text = format!("file \"{}\" cannot be written", path.display());
    let made = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::denied(text),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::rejected(text),
        _ => Error::invalid(text),
    };
    made.caused_by(error)
}

/// Flushes the name of a file: without it, a power cut may leave a backup that nobody finds.
#[cfg(unix)]
fn flush_directory(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

#[cfg(not(unix))]
fn flush_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
