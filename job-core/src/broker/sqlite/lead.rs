//! Leadership of roles: a locked file each, so that a leader that dies is followed at once.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::{OptionalExtension, params};
use tokio::sync::watch;

use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::lock::LockFile;
use crate::broker::sqlite::op::Manner;
use crate::broker::sqlite::port::Port;
use crate::broker::sqlite::row::micros;
use crate::broker::sqlite::session::Session;
use crate::broker::sqlite::store;
use crate::broker::{BoxFuture, Fire, Leadership, Outgoing};
use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// The lock behind one leadership.
#[derive(Debug)]
pub(super) struct Lead {
    lock: Mutex<Option<LockFile>>,
    is_lost: watch::Sender<bool>,
}

impl Lead {
    /// Locks the file of a role; `None` while somebody else leads.
    pub(super) fn acquire(directory: &Path, role: &str) -> io::Result<Option<Arc<Self>>> {
        let Some(lock) = LockFile::acquire(&directory.join(format!("lead-{}", file_name(role))))? else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Self { lock: Mutex::new(Some(lock)), is_lost: watch::Sender::new(false) })))
    }

    /// Gives the leadership up.
    pub(super) fn lose(&self) {
        self.lock().take();
        self.is_lost.send_replace(true);
    }

    /// Gives the leadership up if somebody removed its file: another one may have locked the next.
    pub(super) fn check(&self) {
        let is_held = self.lock().as_ref().is_some_and(LockFile::is_in_place);
        if !is_held {
            self.lose();
        }
    }

    fn is_held(&self) -> bool {
        self.check();
        !*self.is_lost.borrow()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<LockFile>> {
        self.lock.lock().expect("no code panics while it holds the lock")
    }
}

/// One process's leadership of a role.
pub(super) struct SqliteLeadership {
    pub(super) lead: Arc<Lead>,
    pub(super) role: String,
    pub(super) port: Port,
}

impl Leadership for SqliteLeadership {
    fn fire<'a>(&'a self, schedule: &'a str, tick: Timestamp, message: Outgoing) -> BoxFuture<'a, Result<Fire>> {
        Box::pin(async move {
            if !self.lead.is_held() {
                return Err(Error::lost(format!("the leadership of {:?} was lost", self.role)));
            }
            let name = schedule.to_owned();
            let fired = self.port.call(Manner::Publish, move |session| fire(session, &name, tick, &message));
            fired.await.map_err(|fault| self.port.site.error(&fault))?
        })
    }

    fn latest<'a>(&'a self, schedule: &'a str) -> BoxFuture<'a, Result<Option<Timestamp>>> {
        Box::pin(async move {
            let name = schedule.to_owned();
            let latest = self.port.call(Manner::Swift, move |session| latest(session, &name));
            let latest = latest.await.map_err(|fault| self.port.site.error(&fault))?;
            Ok(latest.and_then(Timestamp::from_timestamp_micros))
        })
    }

    fn lost(&self) -> BoxFuture<'_, ()> {
        let mut is_lost = self.lead.is_lost.subscribe();
        Box::pin(async move {
            // The sender lives in `self`.
            let _ = is_lost.wait_for(|is_lost| *is_lost).await;
        })
    }
}

fn fire(session: &mut Session, schedule: &str, tick: Timestamp, message: &Outgoing) -> Result<Result<Fire>, Fault> {
    let tick = micros(tick);
    if latest(session, schedule)?.is_some_and(|last| tick <= last) {
        return Ok(Ok(Fire::Stale));
    }
    if let Err(error) = store::publish(session, message)? {
        return Ok(Err(error));
    }
    let record = "INSERT INTO ticks(schedule, tick) VALUES(?1, ?2) ON CONFLICT(schedule) DO UPDATE SET tick = ?2";
    session.conn.execute(record, params![schedule, tick])?;
    Ok(Ok(Fire::Fired))
}

fn latest(session: &mut Session, schedule: &str) -> Result<Option<i64>, Fault> {
    let latest = "SELECT tick FROM ticks WHERE schedule = ?1";
    Ok(session.conn.query_row(latest, [schedule], |row| row.get(0)).optional()?)
}

/// Returns a role as part of a file's name, different for different roles.
fn file_name(role: &str) -> String {
    let plain = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    role.bytes().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_roles_have_different_files() {
        assert_eq!(file_name("scheduler"), "scheduler");
        assert_eq!(file_name("../a b%"), "%2e%2e%2fa%20b%25");
    }
}
