//! The log of settings: a stream that every process reads from its first entry on, and is told of each new one.
//!
//! A stream is never consumed away, and its oldest part is cut off once it exceeds its cap. What counts is written again
//! before that happens: a snapshot holds the winning entry of each key with its original version, so that it changes
//! nothing wherever it lands, and two processes may well write one at once. A stream answers before the disk has it: a
//! power cut may cost the latest settings, never a job.
//!
//! **Reading to the end.** RabbitMQ tells how many entries a stream has up to five seconds late, and its offsets have
//! gaps, so neither tells where the end is. The first read of a process writes a mark of its own and waits until it comes
//! by: everything older has come by then, on whatever node. Later reads ask for the offset of the last entry, by a
//! consumer that begins there, and wait for that, and for what this process itself appended. On a cluster that may leave
//! out what another node confirmed within the last milliseconds; [`changed`](Ledger::changed) tells of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::broker::amqp::link::{self, Link};
use crate::broker::amqp::name::Names;
use crate::broker::amqp::session::ANSWER_MAX;
use crate::broker::{BoxFuture, Entry, Ledger};
use crate::clock::Clock;
use crate::error::{Error, Result};

mod book;
mod fence;
mod packet;
mod reader;
mod size;
mod writer;

pub(super) use size::Size;

use book::Book;
use packet::Packet;
use writer::Writer;

/// Keys that begin like this are the broker's own: no reader of the ledger sees them, or is woken by them.
const HIDDEN: &str = "broker/";

/// How long a mark may take: without one, reading goes on by the other way.
const MARK_MAX: Duration = Duration::from_secs(2);

/// The pause before the end is looked for once more.
const END_PAUSE: Duration = Duration::from_millis(200);

/// The stream as one process knows it.
pub(super) struct Log {
    link: Arc<Link>,
    names: Arc<Names>,
    size: Size,
    handle: Handle,
    clock: Clock,
    writer: Writer,
    book: Mutex<Book>,
    progress: watch::Sender<Progress>,
    is_reading: AtomicBool,
    /// A mark of ours has come by once.
    is_marked: AtomicBool,
    /// What this process appended since its last snapshot, in bytes: its reader may be far behind.
    unsaved: AtomicU64,
}

/// How far the reader has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// Grows with each entry that changed something for the readers of the ledger.
    change: u64,
    /// The offset of the latest entry on the present connection.
    offset: Option<u64>,
    /// The latest packet of this process.
    own: u64,
    is_closed: bool,
}

impl Log {
    /// Makes the ledger of a process. Nothing is read, or even declared, before somebody asks for something. No job must
    /// depend on its connection: RabbitMQ ends the whole of it over a stream that somebody else declares just now.
    pub(super) fn new(link: Arc<Link>, names: Arc<Names>, size: Size, handle: Handle, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            writer: Writer::new(Arc::clone(&link), Arc::clone(&names), size, clock.clone()),
            link,
            names,
            size,
            handle,
            clock,
            book: Mutex::default(),
            progress: watch::Sender::default(),
            is_reading: AtomicBool::new(false),
            is_marked: AtomicBool::new(false),
            unsaved: AtomicU64::new(0),
        })
    }

    /// Returns a new reader of the log.
    pub(super) fn ledger(self: &Arc<Self>) -> Arc<dyn Ledger> {
        Arc::new(AmqpLedger { log: Arc::clone(self), read: AtomicU64::new(0) })
    }

    /// Adds an entry of the broker's own; a lower version than the known one changes nothing.
    ///
    /// # Errors
    /// When nobody knows whether it was stored.
    pub(super) async fn note(self: &Arc<Self>, key: &str, version: u64, value: Value) -> Result<()> {
        self.append(Entry { key: format!("{HIDDEN}{key}"), version, value }).await
    }

    /// Adds an entry for all readers of the ledger.
    ///
    /// # Errors
    /// When nobody knows whether it was stored.
    pub(super) async fn tell(self: &Arc<Self>, key: &str, version: u64, value: Value) -> Result<()> {
        self.append(Entry { key: key.to_owned(), version, value }).await
    }

    /// Returns the broker's own entries whose keys begin like this, without that beginning.
    pub(super) fn noted(&self, prefix: &str) -> Vec<Entry> {
        self.book().with_prefix(&format!("{HIDDEN}{prefix}"))
    }

    /// Reads to the end, as far as that can be told.
    ///
    /// # Errors
    /// When RabbitMQ cannot be asked.
    pub(super) async fn catch_up(self: &Arc<Self>) -> Result<()> {
        self.begin_to_read();
        if !self.is_marked.load(Ordering::Acquire) {
            match self.writer.send(&Packet::Mark, MARK_MAX).await {
                Ok(mark) => {
                    self.wait("read the ledger", |progress| progress.own >= mark).await?;
                    self.is_marked.store(true, Ordering::Release);
                    return Ok(());
                }
                // Without a right to write, or while RabbitMQ takes no publishes, there is still the other way.
                Err(error) => tracing::debug!(target: "job", %error, "the ledger is read without a mark"),
            }
        }
        let own = self.writer.confirmed();
        let end = self.find_end().await?;
        let is_there = |progress: &Progress| end.is_none() || progress.offset >= end;
        self.wait("read the ledger", |progress| progress.own >= own && is_there(progress)).await.map(drop)
    }

    /// Finds the end of the stream, over the loss of a connection.
    async fn find_end(&self) -> Result<Option<u64>> {
        let deadline = self.clock.monotonic() + ANSWER_MAX;
        loop {
            let found = match self.link.session(ANSWER_MAX).await {
                Ok(session) => fence::end(&session, &self.names, self.size, &self.clock).await,
                Err(error) => Err(error),
            };
            let is_over = self.link.is_closed() || self.clock.monotonic() >= deadline;
            match found {
                Err(error) if error.is_unavailable() && !is_over => self.clock.sleep(END_PAUSE).await,
                found => return found,
            }
        }
    }

    /// Writes a snapshot, if so much was appended since the last one that the next is due.
    ///
    /// # Errors
    /// When nobody knows whether it was stored.
    pub(super) async fn write_snapshot_when_due(self: &Arc<Self>) -> Result<()> {
        if self.book().since_snapshot() < self.size.snapshot_bytes {
            return Ok(());
        }
        self.write_snapshot().await
    }

    /// Ends all waits.
    pub(super) fn close(&self) {
        self.progress.send_modify(|progress| progress.is_closed = true);
    }

    /// Closes the connection.
    pub(super) async fn hang_up(&self) {
        self.link.close().await;
    }

    async fn append(self: &Arc<Self>, entry: Entry) -> Result<()> {
        self.check(&entry)?;
        let added = book::bytes(&entry);
        self.writer.send(&Packet::Entries(vec![entry]), ANSWER_MAX).await?;
        let unsaved = self.unsaved.fetch_add(added, Ordering::AcqRel) + added;
        // The housekeeping leader writes them long before; where there is none, nobody else does.
        if self.book().since_snapshot().max(unsaved) >= u64::from(self.size.bytes_max / 4) {
            self.write_snapshot().await?;
        }
        Ok(())
    }

    /// Writes all that counts once more, behind what is there: a book that misses some of it would lose that.
    async fn write_snapshot(self: &Arc<Self>) -> Result<()> {
        self.unsaved.store(0, Ordering::Release);
        self.catch_up().await?;
        let packets = Packet::snapshot(self.book().all());
        for packet in packets {
            self.writer.send(&packet, ANSWER_MAX).await?;
        }
        Ok(())
    }

    fn check(&self, entry: &Entry) -> Result<()> {
        if self.progress.borrow().is_closed {
            return Err(link::closed());
        }
        let bytes = book::bytes(entry);
        if bytes > self.size.entry_bytes_max {
            return Err(Error::invalid(format!(
                "ledger entry {:?} has {bytes} bytes, and an entry has at most {}; store the data elsewhere",
                entry.key, self.size.entry_bytes_max
            )));
        }
        let book = self.book();
        let settings_max = u64::from(self.size.bytes_max / 4);
        if book.bytes() > settings_max && !book.knows(&entry.key) {
            return Err(Error::invalid(format!(
                "the ledger holds {} bytes of settings, and takes no new key beyond {settings_max}",
                book.bytes()
            )));
        }
        Ok(())
    }

    fn begin_to_read(self: &Arc<Self>) {
        if !self.is_reading.swap(true, Ordering::AcqRel) {
            self.handle.spawn(reader::read(Arc::clone(self)));
        }
    }

    async fn wait(&self, what: &str, mut is_met: impl FnMut(&Progress) -> bool) -> Result<Progress> {
        let mut progress = self.progress.subscribe();
        let met = progress.wait_for(|progress| progress.is_closed || is_met(progress));
        let met = self.clock.timeout(ANSWER_MAX, met).await;
        match met.map(|met| met.map(|progress| *progress)) {
            Some(Ok(progress)) if !progress.is_closed => Ok(progress),
            Some(_) => Err(link::closed()),
            None => Err(Error::unavailable(format!("cannot {what}: its end did not come within {ANSWER_MAX:?}"))),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("name", &self.names.ledger()).field("size", &self.size).finish_non_exhaustive()
    }
}

/// One reader of the log; it remembers how far it has read.
struct AmqpLedger {
    log: Arc<Log>,
    read: AtomicU64,
}

impl Ledger for AmqpLedger {
    fn append(&self, entry: Entry) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if entry.key.starts_with(HIDDEN) {
                let key = entry.key;
                return Err(Error::invalid(format!(
                    "ledger key {key:?} is the broker's own; choose another beginning"
                )));
            }
            self.log.begin_to_read();
            self.log.append(entry).await
        })
    }

    fn read(&self) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async move {
            self.log.catch_up().await?;
            // The book is changed before its change is counted: what comes in between is read, and told of once more.
            let change = self.log.progress.borrow().change;
            let entries = self.log.book().public();
            self.read.store(change, Ordering::Relaxed);
            Ok(entries)
        })
    }

    fn changed(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.log.begin_to_read();
            let mut progress = self.log.progress.subscribe();
            let read = self.read.load(Ordering::Relaxed);
            // The sender lives in the log.
            match progress.wait_for(|progress| progress.is_closed || progress.change > read).await {
                Ok(progress) if !progress.is_closed => Ok(()),
                _ => Err(link::closed()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
