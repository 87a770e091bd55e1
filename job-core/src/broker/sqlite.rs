//! The embedded broker: one SQLite file, written by one thread of each process.
//!
//! What was published is on the disk when `publish` answers; so is every retry, death and follower. A completion or a
//! claim may be lost with the power, and the job then runs again. Instants are kept to the microsecond. Network file
//! systems are not supported: their locks cannot be trusted.

mod backup;
mod catalog;
mod claim;
mod committer;
mod completion;
mod connection;
mod consumer;
mod declare;
mod engine;
mod fault;
mod group;
mod held;
mod inbox;
mod inspect;
mod keeper;
mod lead;
mod ledger;
mod lock;
mod op;
mod options;
mod outcome;
mod owner;
mod port;
mod row;
mod run;
mod schema;
mod session;
mod shared;
mod store;
mod wake;
mod writer;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::broker::{
    Backup, BoxFuture, Broker, Capabilities, Consumer, Delivery, Found, Inspect, Leadership, Ledger, Outgoing, Page,
    QueueStats, Stored, Which, Window,
};
use crate::clock::Clock;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::name::{JobId, QueueName};
use crate::topology::{Lifetime, Topology};

use consumer::{Outlet, SqliteConsumer};
use engine::Engine;
use held::Held;
use lead::{Lead, SqliteLeadership};
use ledger::SqliteLedger;
use op::Manner;
use shared::Handle;

pub use options::SqliteOptions;

/// So many messages are worth a commit of their own.
const MANY: usize = 64;

const CAPABILITIES: Capabilities = Capabilities {
    name: "sqlite",
    can_cancel: true,
    can_find: true,
    is_then_atomic: true,
    is_fire_exact: true,
    is_deduplicating: true,
    delay_min: Duration::ZERO,
    hold_max: None,
};

/// A broker in one file, which several processes of one machine may share.
///
/// Beside the file `jobs.db` stand `jobs.db-wal` and `jobs.db-shm`, which are part of the database, and the directory
/// `jobs.db.locks`, whose locked files tell which processes live. Processes that share the file must share its whole
/// directory: a container that mounts the file alone would give back what the others still run.
#[derive(Debug)]
pub struct SqliteBroker {
    engine: Arc<Engine>,
    handle: Handle,
    is_closed: AtomicBool,
    /// The queues that go with this handle.
    process_queues: Mutex<BTreeSet<QueueName>>,
}

impl SqliteBroker {
    /// Opens the file, and makes it when there is none; its directory must exist. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`is_invalid`](Error::is_invalid) when the directory is missing, [`is_denied`](Error::is_denied) when the file
    /// cannot be written, [`is_corrupt`](Error::is_corrupt) when it is damaged, of a newer version, or no database of
    /// ours: it is never changed then. [`is_rejected`](Error::is_rejected) also when another process keeps it locked.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions, clock: Clock) -> Result<Arc<Self>> {
        let engine = Engine::open(path.as_ref(), options, clock).await?;
        let handle = engine.shared.handle();
        Ok(Arc::new(Self { engine, handle, is_closed: AtomicBool::new(false), process_queues: Mutex::default() }))
    }

    /// Ends this process's part as a crash would, for tests: nothing is given back, its locks are free.
    #[doc(hidden)]
    pub fn kill(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.engine.kill();
    }

    fn lock_process_queues(&self) -> MutexGuard<'_, BTreeSet<QueueName>> {
        self.process_queues.lock().expect("no code panics while it holds the set")
    }

    /// Removes what goes with this handle. What fails here is removed when the process ends.
    fn remove_process_queues(&self) {
        let names = std::mem::take(&mut *self.lock_process_queues());
        if !names.is_empty() {
            let remove = move |session: &mut session::Session| {
                names.iter().try_for_each(|name| declare::undeclare(session, name))
            };
            self.engine.port.start(Manner::Publish, remove, |_| {});
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(self.engine.port.site.closed()) } else { Ok(()) }
    }

    fn error(&self, fault: &fault::Fault) -> Error {
        self.engine.port.site.error(fault)
    }

    async fn publish_all(&self, messages: Arc<Vec<Outgoing>>) -> Vec<Result<Stored>> {
        let count = messages.len();
        if self.check_open().is_err() {
            return (0..count).map(|_| Err(self.engine.port.site.closed())).collect();
        }
        let manner = if count >= MANY { Manner::PublishMany } else { Manner::Publish };
        let stored = self.engine.port.call(manner, move |session| store::publish_all(session, &messages));
        match stored.await {
            Ok(answers) => {
                answers.into_iter().map(|answer| answer.map(|copies| Stored { copies: Some(copies) })).collect()
            }
            Err(fault) => (0..count).map(|_| Err(self.error(&fault))).collect(),
        }
    }

    async fn consume_from(&self, queue: &QueueName, window: Window) -> Result<Box<dyn Consumer>> {
        self.check_open()?;
        let Engine { port, shared, clock, .. } = &*self.engine;
        let name = queue.clone();
        let found = port.call(Manner::Publish, move |session| declare::find_consumable(session, &name));
        let queue_number = found.await.map_err(|fault| self.error(&fault)).flatten()?;
        let held = Held::new(queue_number, window, clock.clone(), port.clone());
        shared.add_consumer(self.handle, &held);
        let outlet = Arc::new(Outlet { queue: queue.clone(), queue_number, clock: clock.clone(), port: port.clone() });
        Ok(Box::new(SqliteConsumer { held, outlet }))
    }

    fn try_lead(&self, role: &str) -> Result<Option<Box<dyn Leadership>>> {
        self.check_open()?;
        let Some(lead) = Lead::acquire(&self.engine.locks, role).map_err(|error| {
            Error::unavailable(format!("cannot lock a file in \"{}\"", self.engine.locks.display())).caused_by(error)
        })?
        else {
            return Ok(None);
        };
        self.engine.shared.add_lead(self.handle, &lead);
        Ok(Some(Box::new(SqliteLeadership { lead, role: role.to_owned(), port: self.engine.port.clone() })))
    }
}

impl Broker for SqliteBroker {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn clock(&self) -> &Clock {
        &self.engine.clock
    }

    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.check_open()?;
            let of_process = topology.queues.iter().filter(|queue| queue.lifetime == Lifetime::Process);
            self.lock_process_queues().extend(of_process.map(|queue| queue.name.clone()));
            let topology = topology.clone();
            let declared = self.engine.port.call(Manner::Publish, move |session| declare::declare(session, &topology));
            declared.await.map_err(|fault| self.error(&fault)).flatten()
        })
    }

    fn undeclare<'a>(&'a self, queue: &'a QueueName) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.check_open()?;
            self.lock_process_queues().remove(queue);
            let queue = queue.clone();
            let undeclared = self.engine.port.call(Manner::Publish, move |session| declare::undeclare(session, &queue));
            undeclared.await.map_err(|fault| self.error(&fault))
        })
    }

    fn publish(&self, messages: Vec<Outgoing>) -> BoxFuture<'_, Vec<Result<Stored>>> {
        Box::pin(self.publish_all(Arc::new(messages)))
    }

    fn publish_shared(&self, messages: Arc<Vec<Outgoing>>) -> BoxFuture<'_, Vec<Result<Stored>>> {
        Box::pin(self.publish_all(messages))
    }

    fn consume<'a>(&'a self, queue: &'a QueueName, window: Window) -> BoxFuture<'a, Result<Box<dyn Consumer>>> {
        Box::pin(self.consume_from(queue, window))
    }

    fn lead<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Box<dyn Leadership>>>> {
        Box::pin(async move { self.try_lead(role) })
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(SqliteLedger::new(self.engine.port.clone(), Arc::clone(&self.engine.shared)))
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn backup<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, Result<Backup>> {
        Box::pin(async move {
            self.check_open()?;
            backup::backup(&self.engine.port.site, file).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if self.is_closed.swap(true, Ordering::AcqRel) {
                return Err(self.engine.port.site.closed());
            }
            self.remove_process_queues();
            self.engine.leave(self.handle).await;
            Ok(())
        })
    }
}

impl Inspect for SqliteBroker {
    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueStats>>> {
        Box::pin(async move {
            self.check_open()?;
            self.engine.reader.queues(&self.engine.clock).await
        })
    }

    fn peek<'a>(&'a self, queue: &'a QueueName, page: Page) -> BoxFuture<'a, Result<Vec<Envelope>>> {
        Box::pin(async move {
            self.check_open()?;
            self.engine.reader.peek(queue, page).await
        })
    }

    fn take<'a>(&'a self, queue: &'a QueueName, which: Which) -> BoxFuture<'a, Result<Vec<Delivery>>> {
        Box::pin(async move {
            self.check_open()?;
            inspect::take(&self.engine.port, &self.engine.clock, queue, which).await
        })
    }

    fn find<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Option<Found>>> {
        Box::pin(async move {
            self.check_open()?;
            self.engine.reader.find(id, &self.engine.clock).await
        })
    }
}

impl Drop for SqliteBroker {
    fn drop(&mut self) {
        if !*self.is_closed.get_mut() {
            self.remove_process_queues();
            self.engine.abandon(self.handle);
        }
    }
}
