//! Leadership of roles: an exclusive queue, which lives exactly as long as its owner's connection.
//!
//! Each leadership has a connection of its own and publishes on it: what RabbitMQ has taken for dead can neither hold a
//! role nor fire. A leader that dies is followed as soon as RabbitMQ notices, at once for a process and after two to three
//! heartbeats for a machine. Ticks are written to the ledger behind their jobs, and never more than one is on its way there:
//! a successor after a crash may fire that one once more, under the same id. Where so many come that the ledger would grow
//! too fast, each schedule's latest is written once a minute, and before an orderly end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::QueueDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::amqp::argument::{self, QueueKind};
use crate::broker::amqp::fault;
use crate::broker::amqp::intake::Life;
use crate::broker::amqp::ledger::Log;
use crate::broker::amqp::link::{Link, Purpose};
use crate::broker::amqp::name::Names;
use crate::broker::amqp::options::AmqpOptions;
use crate::broker::amqp::publisher::Publisher;
use crate::broker::amqp::session::Session;
use crate::broker::amqp::url::AmqpUrl;
use crate::broker::{BoxFuture, Fire, Leadership, Outgoing};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};

use ticks::Ticks;

mod ticks;

/// The longest that the next tick waits until the one before it is written down.
const NOTE_MAX: Duration = Duration::from_secs(1);

/// The longest that the ledger may take before a new leader begins: its role is worth more.
const LEDGER_MAX: Duration = Duration::from_secs(5);

/// The longest that it may take before one ends, for each of the two things that it has to say.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// The role of the chores, beside those of users, which have a "/". Nobody waits for its end.
pub(super) const HOUSEKEEPING: &str = "housekeeping";

/// The part of a ledger's key that says of which schedule the latest tick is.
const TICK: &str = "fired/";

/// Becomes leader of roles for one broker.
#[derive(Clone)]
pub(super) struct Leaders {
    pub(super) url: Arc<AmqpUrl>,
    pub(super) names: Arc<Names>,
    pub(super) log: Arc<Log>,
    pub(super) life: Life,
    pub(super) handle: Handle,
    pub(super) clock: Clock,
    /// How long to wait for a connection, and how long a tick is tried to be published.
    pub(super) options: AmqpOptions,
    /// Those that are held, for the end of the broker.
    pub(super) held: Arc<Mutex<Vec<Weak<Held>>>>,
}

impl Leaders {
    /// Tries to become the leader of a role; `None` while there is one.
    ///
    /// # Errors
    /// When RabbitMQ cannot be asked.
    pub(super) async fn lead(&self, role: &str) -> Result<Option<AmqpLeadership>> {
        let link = Link::open(Purpose::Lead, Arc::clone(&self.url), self.handle.clone(), self.clock.clone());
        // Whoever gives up waiting must not leave a connection behind.
        let guard = CloseOnDrop { link: Arc::clone(&link), handle: self.handle.clone() };
        let session = link.session(self.options.connect_patience).await?;
        if !self.lock(&session, role).await? {
            return Ok(None);
        }
        let names = Arc::clone(&self.names);
        let held = Arc::new(Held {
            role: role.to_owned(),
            publisher: Publisher::new(link, names, self.clock.clone(), &self.options),
            session,
            notebook: tokio::sync::Mutex::default(),
            log: Arc::clone(&self.log),
            life: self.life.clone(),
            resigned: CancellationToken::new(),
            handle: self.handle.clone(),
            clock: self.clock.clone(),
            connection: guard,
        });
        held.recall().await;
        let mut all = self.all();
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&held));
        drop(all);
        Ok(Some(AmqpLeadership { held }))
    }

    /// Gives up all roles in order.
    pub(super) async fn resign(&self) {
        let all: Vec<Arc<Held>> = self.all().drain(..).filter_map(|held| held.upgrade()).collect();
        join_all(all.iter().map(|held| held.resign())).await;
    }

    /// Declares the queue of a role; `false` when it is somebody else's.
    async fn lock(&self, session: &Session, role: &str) -> Result<bool> {
        let channel = session.channel().await?;
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let arguments = argument::queue(QueueKind::Lock, &self.names);
        let what = format!("lead {role:?}");
        let declare = channel.queue_declare(self.names.lock(role).into(), options, arguments);
        match session.attempt(&what, declare).await? {
            Ok(_) => Ok(true),
            Err(cause) if is_locked(&cause) => Ok(false),
            Err(cause) => Err(fault::error(&what, &cause)),
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Leaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaders").field("url", &self.url).finish_non_exhaustive()
    }
}

fn is_locked(cause: &lapin::Error) -> bool {
    let kind = fault::protocol(cause).map(lapin::protocol::AMQPError::kind);
    matches!(kind, Some(AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED)))
}

/// One process's leadership of a role.
pub(super) struct AmqpLeadership {
    held: Arc<Held>,
}

/// A role that is held.
pub(super) struct Held {
    role: String,
    publisher: Publisher,
    session: Arc<Session>,
    /// Locked while a tick is fired: one that is under way must be known to the next.
    notebook: tokio::sync::Mutex<Notebook>,
    log: Arc<Log>,
    life: Life,
    resigned: CancellationToken,
    handle: Handle,
    clock: Clock,
    connection: CloseOnDrop,
}

#[derive(Default)]
struct Notebook {
    ticks: Ticks,
    /// Writes the latest one down.
    note: Option<JoinHandle<()>>,
}

impl Held {
    fn is_held(&self) -> bool {
        !self.resigned.is_cancelled() && !self.life.killed.is_cancelled() && self.session.is_alive()
    }

    /// Reads which ticks were fired before.
    async fn recall(&self) {
        // A ledger that cannot be read may cost a repeated tick, which has the same id; no leader would cost them all.
        if let Some(Err(error)) = self.clock.timeout(LEDGER_MAX, self.log.catch_up()).await {
            tracing::warn!(target: "job", role = self.role, %error, "cannot read which ticks were fired");
        }
        let mut notebook = self.notebook.lock().await;
        for entry in self.log.noted(TICK) {
            if let Some(tick) = entry.value.as_i64() {
                notebook.ticks.recall(entry.key, tick);
            }
        }
    }

    async fn fire(self: &Arc<Self>, schedule: &str, tick: Timestamp, message: Outgoing) -> Result<Fire> {
        message.check()?;
        let tick = tick.timestamp_micros();
        let mut notebook = self.notebook.lock().await;
        if !self.is_held() {
            return Err(Error::lost(format!("the leadership of {:?} was lost", self.role)));
        }
        if notebook.ticks.is_stale(schedule, tick) {
            return Ok(Fire::Stale);
        }
        if let Some(note) = notebook.note.take() {
            // Else all ticks of a burst would be fired again by the successor of a leader that dies in it.
            let _ = self.clock.timeout(NOTE_MAX, note).await;
        }
        self.publisher.publish(&message).await?;
        if notebook.ticks.note(schedule, tick, self.clock.monotonic()) {
            let (held, schedule) = (Arc::clone(self), schedule.to_owned());
            // Not waited for: the tick is fired, whatever becomes of its note.
            notebook.note = Some(self.handle.spawn(async move { held.write(&schedule, tick).await }));
        }
        Ok(Fire::Fired)
    }

    async fn write(&self, schedule: &str, tick: i64) {
        let version = u64::try_from(tick).unwrap_or(0);
        if let Err(error) = self.log.note(&format!("{TICK}{schedule}"), version, json!(tick)).await {
            tracing::debug!(target: "job", schedule, %error, "the latest tick is not written down");
        }
    }

    /// Gives the role up: writes down the latest ticks, tells those who wait for the role, and frees it.
    async fn resign(&self) {
        // First: nothing is fired any more.
        self.resigned.cancel();
        if self.session.is_alive() {
            let farewell = async {
                let mut notebook = self.notebook.lock().await;
                for (schedule, tick) in notebook.ticks.unwritten() {
                    self.write(&schedule, tick).await;
                }
                if let Some(note) = notebook.note.take() {
                    let _ = note.await;
                }
            };
            let _ = self.clock.timeout(FAREWELL_MAX, farewell).await;
        }
        self.connection.link.close().await;
        if self.role == HOUSEKEEPING {
            return;
        }
        let version = u64::try_from(self.clock.now().timestamp_micros()).unwrap_or(0);
        let key = format!("released/{}", self.role);
        let _ = self.clock.timeout(FAREWELL_MAX, self.log.tell(&key, version, json!(true))).await;
    }
}

impl Leadership for AmqpLeadership {
    fn fire<'a>(&'a self, schedule: &'a str, tick: Timestamp, message: Outgoing) -> BoxFuture<'a, Result<Fire>> {
        Box::pin(self.held.fire(schedule, tick, message))
    }

    fn latest<'a>(&'a self, schedule: &'a str) -> BoxFuture<'a, Result<Option<Timestamp>>> {
        Box::pin(async move {
            let latest = self.held.notebook.lock().await.ticks.latest(schedule);
            Ok(latest.and_then(Timestamp::from_timestamp_micros))
        })
    }

    fn lost(&self) -> BoxFuture<'_, ()> {
        let Held { session, resigned, life, .. } = &*self.held;
        Box::pin(async move {
            tokio::select! {
                () = session.lost() => {}
                () = resigned.cancelled() => {}
                () = life.killed.cancelled() => {}
            }
        })
    }
}

impl Drop for AmqpLeadership {
    fn drop(&mut self) {
        if self.held.is_held() {
            let held = Arc::clone(&self.held);
            self.held.handle.spawn(async move { held.resign().await });
        }
    }
}

/// Closes a connection once nobody needs it.
struct CloseOnDrop {
    link: Arc<Link>,
    handle: Handle,
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let link = Arc::clone(&self.link);
        self.handle.spawn(async move { link.close().await });
    }
}

#[cfg(test)]
mod tests;
