//! The tables, and the version by which a program knows whether it understands them.

use rusqlite::Connection;

use crate::broker::sqlite::fault::{Fault, FaultKind};

/// Marks a database as ours: "jobs" in ASCII.
pub(super) const APPLICATION_ID: i64 = 0x6a6f_6273;

/// The version of the tables below. Migrations only add; a program refuses a version above its own.
pub(super) const VERSION: i64 = 3;

/// A job's `state`: it can be delivered.
pub(super) const READY: i64 = 0;
/// A job's `state`: it is not due yet.
pub(super) const DELAYED: i64 = 1;
/// A job's `state`: the process `owner` has it, by its claim number `claim`.
pub(super) const CLAIMED: i64 = 2;

// Instants are microseconds since 1970. Indexes cost more than columns: the partial ones hold only what waits, and a
// claimed row stands in none but the unique one. A dead job is a row of the queue "<queue>.dead".
const TABLES: &str = "
CREATE TABLE queues(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, is_declared INTEGER NOT NULL) STRICT;
CREATE TABLE bindings(id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, pattern TEXT NOT NULL,
    UNIQUE(queue, pattern)) STRICT;
CREATE TABLE jobs(
    seq INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL,
    id ANY NOT NULL,
    state INTEGER NOT NULL,
    due INTEGER NOT NULL,
    owner INTEGER,
    claim INTEGER,
    attempt INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    redeliveries INTEGER NOT NULL,
    content INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    not_before INTEGER,
    kind TEXT,
    details TEXT,
    payload BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX jobs_id ON jobs(queue, id);
CREATE INDEX jobs_ready ON jobs(queue, due) WHERE state = 0;
CREATE INDEX jobs_delayed ON jobs(queue, due) WHERE state = 1;
CREATE TABLE owners(id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE ticks(schedule TEXT PRIMARY KEY, tick INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE ledger(key TEXT PRIMARY KEY, version INTEGER NOT NULL, value TEXT NOT NULL,
    change INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_change ON ledger(change);
";

/// What each version adds to the one before it, the second version first.
const MIGRATIONS: [&str; 2] = [
    // The process that a queue goes with, by its number in `owners`; such a queue has a negative id, which no other queue
    // will ever have. NULL for a durable one.
    "ALTER TABLE queues ADD COLUMN owner INTEGER;",
    // The id first: ids are made in order, so the copies of an event land side by side at the end of the index, and not on
    // as many pages as there are queues.
    "CREATE UNIQUE INDEX jobs_copies ON jobs(id, queue); DROP INDEX jobs_id;",
];

/// What a file holds before we touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet.
    Fresh,
    /// Our tables, of this version or an older one.
    Ours(i64),
}

/// Looks at the file without changing it.
pub(super) fn examine(conn: &Connection) -> Result<Found, Fault> {
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application != APPLICATION_ID {
        let is_fresh = application == 0 && version == 0 && tables == 0;
        return if is_fresh { Ok(Found::Fresh) } else { Err(Fault::new(FaultKind::Foreign, "")) };
    }
    if version > VERSION {
        let detail = format!("has schema version {version}, and this program knows {VERSION}");
        return Err(Fault::new(FaultKind::Newer, detail));
    }
    Ok(if tables == 0 { Found::Fresh } else { Found::Ours(version) })
}

/// Makes the tables, or adds what an older version has not, unless another process just did.
pub(super) fn create(conn: &Connection) -> Result<(), Fault> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let made = match examine(conn) {
        Ok(Found::Ours(version)) => migrate(conn, version),
        Ok(Found::Fresh) => conn
            .execute_batch(&format!("{TABLES} PRAGMA application_id = {APPLICATION_ID};"))
            .map_err(Fault::from)
            .and_then(|()| migrate(conn, 1)),
        Err(fault) => Err(fault),
    };
    let ended = made.and_then(|()| Ok(conn.execute_batch("COMMIT")?));
    if ended.is_err() && !conn.is_autocommit() {
        let _ = conn.execute_batch("ROLLBACK");
    }
    ended
}

fn migrate(conn: &Connection, version: i64) -> Result<(), Fault> {
    let missing = MIGRATIONS.iter().skip(usize::try_from(version - 1).unwrap_or(0));
    missing.into_iter().try_for_each(|migration| conn.execute_batch(migration))?;
    Ok(conn.execute_batch(&format!("PRAGMA user_version = {VERSION}"))?)
}
