//! The raw programs' table, and how they open it.

use std::path::Path;

use rusqlite::Connection;

/// Stores a job.
pub(super) const INSERT: &str = "INSERT INTO jobs(queue, state, kind, payload) VALUES('default', 0, ?1, ?2)";

/// Stores a copy of an event.
pub(super) const INSERT_COPY: &str = "INSERT INTO jobs(queue, state, kind, payload) VALUES(?3, 0, ?1, ?2)";

/// Claims the oldest ready jobs.
pub(super) const CLAIM: &str = "UPDATE jobs SET state = 1 WHERE id IN \
    (SELECT id FROM jobs WHERE queue = 'default' AND state = 0 ORDER BY id LIMIT ?1) RETURNING id, kind, payload";

/// Removes a job that is done.
pub(super) const DELETE: &str = "DELETE FROM jobs WHERE id = ?1";

pub(super) fn create(path: &Path) {
    let table = "CREATE TABLE jobs(id INTEGER PRIMARY KEY, queue TEXT NOT NULL, state INTEGER NOT NULL, \
                 kind TEXT NOT NULL, payload BLOB NOT NULL); CREATE INDEX ready ON jobs(queue, id) WHERE state = 0;";
    open(path, "FULL").execute_batch(table).expect("a new table");
}

/// Opens the file with this `synchronous`.
pub(super) fn open(path: &Path, synchronous: &str) -> Connection {
    let conn = Connection::open(path).expect("the file can be opened");
    conn.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};")).expect("settings");
    conn
}
