//! Puts an image on a disk, opens it as an application would after the power came back, and reads what is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use job_core::broker::sqlite::{SqliteBroker, SqliteOptions};
use job_core::clock::Clock;
use job_core::name::JobId;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::disk::Image;
use crate::promise::Content;
use crate::script::payload;

/// The name of the database.
pub(crate) const DATABASE: &str = "jobs.db";

/// Writes an image to an empty directory, opens it with the broker, and returns what it holds, or what is wrong with it.
pub(crate) async fn revive(image: &Image, directory: &Path) -> Result<Content, String> {
    for (name, bytes) in image {
        fs::write(directory.join(name), bytes).expect("the image can be written");
    }
    let path = directory.join(DATABASE);
    let options = SqliteOptions { is_shared: false, ..SqliteOptions::default() };
    let opened = SqliteBroker::open(&path, options, Clock::system()).await;
    let broker = opened.map_err(|error| format!("the broker does not open it: {error} ({error:?})"))?;
    // As a crash would: closing would give back what an owner had, and fold the WAL.
    broker.kill();
    read(&path)
}

/// Reads a database, and checks it as a whole.
fn read(path: &Path) -> Result<Content, String> {
    let conn = Connection::open(path).map_err(|error| error.to_string())?;
    let verdict: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|error| format!("integrity_check: {error}"))?;
    if verdict != "ok" {
        return Err(format!("integrity_check: {verdict}"));
    }
    let mut content = jobs(&conn).map_err(|error| error.to_string())?;
    let others =
        [("SELECT key, version FROM ledger", "ledger/"), ("SELECT schedule, tick / 1000000 FROM ticks", "tick/")];
    for (sql, prefix) in others {
        let found = numbers(&conn, sql).map_err(|error| error.to_string())?;
        content.extend(found.into_iter().map(|(name, number)| (format!("{prefix}{name}"), format!("#{number}"))));
    }
    Ok(content)
}

fn jobs(conn: &Connection) -> rusqlite::Result<Content> {
    let mut statement = conn.prepare(
        "SELECT jobs.id, queues.name, jobs.attempt, jobs.payload FROM jobs JOIN queues ON queues.id = jobs.queue
         ORDER BY queues.name",
    )?;
    let mut rows = statement.query([])?;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let id = match row.get(0)? {
            Value::Text(text) => text,
            Value::Blob(bytes) if bytes.len() == 16 => {
                JobId::from_uuid_bytes(bytes.try_into().expect("sixteen bytes are a UUID")).to_string()
            }
            other => format!("{other:?}"),
        };
        let (queue, attempt, bytes): (String, u32, Vec<u8>) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let damage = if bytes == payload(&id) { "" } else { "!payload" };
        found.entry(id).or_default().push(format!("{queue}#{attempt}{damage}"));
    }
    Ok(found.into_iter().map(|(id, states)| (id, states.join("+"))).collect())
}

fn numbers(conn: &Connection, sql: &str) -> rusqlite::Result<Vec<(String, i64)>> {
    let mut statement = conn.prepare(sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
