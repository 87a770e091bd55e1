//! The log of settings: one table, of which only the winning entry of each key is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::params;

use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::op::{Manner, Message};
use crate::broker::sqlite::port::Port;
use crate::broker::sqlite::session::Session;
use crate::broker::sqlite::shared::Shared;
use crate::broker::{BoxFuture, Entry, Ledger};
use crate::error::{Error, Result};

/// One reader of the log; it remembers how far it has read.
pub(super) struct SqliteLedger {
    port: Port,
    shared: Arc<Shared>,
    read: AtomicI64,
}

impl SqliteLedger {
    pub(super) fn new(port: Port, shared: Arc<Shared>) -> Self {
        Self { port, shared, read: AtomicI64::new(0) }
    }
}

impl Ledger for SqliteLedger {
    fn append(&self, entry: Entry) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let Ok(version) = i64::try_from(entry.version) else {
                return Err(Error::invalid(format!(
                    "the version of ledger entry {:?} exceeds {}",
                    entry.key,
                    i64::MAX
                )));
            };
            let appended = self.port.call(Manner::Publish, move |session| append(session, &entry, version));
            appended.await.map_err(|fault| self.port.site.error(&fault))
        })
    }

    fn read(&self) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async move {
            let read = self.port.call(Manner::Swift, |session| Ok((latest(session)?, entries(session)?)));
            let (change, entries) = read.await.map_err(|fault| self.port.site.error(&fault))?;
            self.read.store(change, Ordering::Relaxed);
            Ok(entries)
        })
    }

    fn changed(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut watch = self.shared.watch_ledger();
            self.port.send(Message::Nudge);
            let read = self.read.load(Ordering::Relaxed);
            let pulse = watch.pulse.wait_for(|pulse| pulse.is_ended || pulse.ledger > read).await;
            match pulse {
                Ok(pulse) if !pulse.is_ended => Ok(()),
                _ => Err(self.port.site.closed()),
            }
        })
    }
}

/// Returns the number of the latest change.
pub(super) fn latest(session: &Session) -> Result<i64, Fault> {
    let mut statement = session.conn.prepare_cached("SELECT coalesce(max(change), 0) FROM ledger")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

fn append(session: &mut Session, entry: &Entry, version: i64) -> Result<(), Fault> {
    // A removed key keeps its `null`, or an older entry would bring it back.
    let upsert = "INSERT INTO ledger(key, version, value, change) \
                  VALUES(?1, ?2, ?3, (SELECT coalesce(max(change), 0) + 1 FROM ledger)) \
                  ON CONFLICT(key) DO UPDATE SET version = excluded.version, value = excluded.value, \
                  change = excluded.change WHERE excluded.version > version";
    let added = session.conn.execute(upsert, params![entry.key, version, entry.value.to_string()])?;
    session.effects.has_ledger_entry |= added > 0;
    Ok(())
}

fn entries(session: &Session) -> Result<Vec<Entry>, Fault> {
    let mut statement = session.conn.prepare_cached("SELECT key, version, value FROM ledger ORDER BY key")?;
    let mut rows = statement.query([])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(2)?;
        let value = serde_json::from_str(&text).unwrap_or(serde_json::Value::Null);
        if !value.is_null() {
            let version = row.get::<_, i64>(1)?.cast_unsigned();
            entries.push(Entry { key: row.get(0)?, version, value });
        }
    }
    Ok(entries)
}
