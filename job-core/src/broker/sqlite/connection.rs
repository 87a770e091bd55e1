//! Opens the file: checks what it is before anything is changed, and sets what must not be left to defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::never;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::broker::sqlite::fault::{Fault, FaultKind, Site};
use crate::broker::sqlite::schema::{self, Found};

/// The oldest SQLite that is trusted: before it, resetting a WAL could corrupt the database.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// How long to wait before the lock is tried again.
const BUSY_STEP: Duration = Duration::from_millis(1);

/// Prepared statements kept, more than there are in this module.
const STATEMENTS_MAX: usize = 64;

/// Up to this size, a database is checked as a whole when it is opened: some 50 ms.
const CHECK_BYTES_MAX: i64 = 16 * 1024 * 1024;

/// Pages that the WAL collects before they are written back: four times SQLite's default. Writing back flushes twice, and
/// the thread that writes waits for it; 16 MiB take some 20 ms, and are read within 10 ms when the file is opened.
const WAL_PAGES: u32 = 4000;

/// The WAL file is cut to this size when it is started anew: what it grows to in any case.
const WAL_BYTES_KEPT: u64 = 16 * 1024 * 1024;

/// Opens the database for reading and writing, and makes it when there is none.
pub(super) fn open(site: &Site) -> Result<Connection, Fault> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        let detail = format!("SQLite {} is older than 3.51.3 and can corrupt a WAL", rusqlite::version());
        return Err(Fault::new(FaultKind::Statement, detail));
    }
    check_directory(&site.path)?;
    retry_busy(site.busy_timeout, || {
        let conn = open_once(&site.path)?;
        prepare(&conn)?;
        Ok(conn)
    })
}

/// Opens another connection to a database that is open already.
pub(super) fn open_reader(site: &Site) -> Result<Connection, Fault> {
    let conn = open_once(&site.path)?;
    conn.busy_timeout(site.busy_timeout)?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA mmap_size = 0;")?;
    Ok(conn)
}

/// Repeats `attempt` in steps of a millisecond while another process has the lock, for at most `limit`.
pub(super) fn retry_busy<T>(limit: Duration, mut attempt: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    // Counted in steps, not by a clock: a manual clock stands still while a lock is awaited.
    let mut left = limit.as_millis();
    loop {
        match attempt() {
            Err(fault) if fault.kind == FaultKind::Busy && left > 0 => pause(BUSY_STEP),
            other => return other,
        }
        left -= 1;
    }
}

/// Blocks this thread for a while.
fn pause(duration: Duration) {
    let _ = never::<()>().recv_timeout(duration);
}

/// Returns the path of the file beside the database that is named like it plus `suffix`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn check_directory(path: &Path) -> Result<(), Fault> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if directory.is_dir() {
        return Ok(());
    }
    Err(Fault::new(FaultKind::NoDirectory, directory.display().to_string()))
}

fn open_once(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    // SQLite falls back to reading a file that it may not write.
    if conn.is_readonly("main")? {
        return Err(Fault::new(FaultKind::Denied, ""));
    }
    conn.busy_timeout(Duration::ZERO)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;")?;
    Ok(conn)
}

fn prepare(conn: &Connection) -> Result<(), Fault> {
    // In one snapshot: tables that another process makes between two looks would seem to be somebody else's.
    let found = schema::examine(&*conn.unchecked_transaction()?)?;
    if found == Found::Fresh {
        // Only possible before the first table.
        conn.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = {WAL_BYTES_KEPT}; \
         PRAGMA wal_autocheckpoint = {WAL_PAGES};"
    ))?;
    match found {
        Found::Fresh => schema::create(conn),
        Found::Ours(version) => {
            check_content(conn)?;
            if version < schema::VERSION { schema::create(conn) } else { Ok(()) }
        }
    }
}

fn check_content(conn: &Connection) -> Result<(), Fault> {
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    if number("PRAGMA page_count")? * number("PRAGMA page_size")? > CHECK_BYTES_MAX {
        return Ok(());
    }
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(Fault::new(FaultKind::Corrupt, verdict)) }
}
