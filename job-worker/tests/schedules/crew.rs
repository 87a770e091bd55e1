//! Workers on one store under one clock, and what they have fired and run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_core::broker::Broker;
use job_core::broker::amqp::{AmqpBroker, AmqpOptions};
use job_core::broker::memory::MemoryBroker;
use job_core::broker::sqlite::{SqliteBroker, SqliteOptions};
use job_core::clock::{Clock, Timestamp, later};
use job_core::error::Result;
use job_core::observation::Observation;
use job_core::schedule::ScheduleKey;
use job_core::{Client, Context, Job, JobError, JobId, Perform};
use job_worker::{StopHandle, Stopped, Worker, WorkerBuilder};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::amqp_node;

/// How long something may take in real time: a bound on liveness, not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kind of store that several processes open.
#[derive(Clone)]
pub(crate) enum Store {
    Memory(Arc<MemoryBroker>),
    Sqlite(Arc<tempfile::TempDir>, Clock),
    /// On the shared node. Real time passes there: it could not work without.
    Rabbitmq(Arc<Namespace>, Clock),
}

/// A namespace that nobody else has, and that is gone with this value.
pub(crate) struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        amqp_node::forget(&self.0);
    }
}

impl Store {
    /// Those whose time stands still until a test moves it.
    pub(crate) fn exact(start: &str) -> [(Self, Clock); 2] {
        let (one, other) = (Clock::manual(at(start)), Clock::manual(at(start)));
        let folder = Arc::new(tempfile::tempdir().unwrap());
        [(Self::Memory(MemoryBroker::new(one.clone())), one), (Self::Sqlite(folder, other.clone()), other)]
    }

    pub(crate) fn all(start: &str) -> impl Iterator<Item = (Self, Clock)> {
        let namespace = Arc::new(Namespace(format!("schedules-{:016x}", fastrand::u64(..))));
        let clock = Clock::settable(at(start));
        Self::exact(start).into_iter().chain([(Self::Rabbitmq(namespace, clock.clone()), clock)])
    }

    /// Opens it as another process would.
    pub(crate) async fn open(&self) -> Process {
        match self {
            Self::Memory(broker) => Process::Memory(broker.another()),
            Self::Sqlite(folder, clock) => {
                let path = folder.path().join("jobs.db");
                let options = SqliteOptions { is_shared: false, ..SqliteOptions::default() };
                Process::Sqlite(SqliteBroker::open(path, options, clock.clone()).await.unwrap())
            }
            Self::Rabbitmq(namespace, clock) => {
                let url = format!("{}?namespace={}", amqp_node::url(), namespace.0);
                let broker = AmqpBroker::connect(&url, AmqpOptions::default(), clock.clone()).await;
                Process::Rabbitmq(broker.unwrap())
            }
        }
    }
}

#[derive(Clone)]
pub(crate) enum Process {
    Memory(Arc<MemoryBroker>),
    Sqlite(Arc<SqliteBroker>),
    Rabbitmq(Arc<AmqpBroker>),
}

impl Process {
    pub(crate) fn client(&self) -> Client {
        Client::new(match self {
            Self::Memory(broker) => Arc::clone(broker) as Arc<dyn Broker>,
            Self::Sqlite(broker) => Arc::clone(broker) as _,
            Self::Rabbitmq(broker) => Arc::clone(broker) as _,
        })
    }

    fn kill(&self) {
        match self {
            Self::Memory(broker) => broker.kill(),
            Self::Sqlite(broker) => broker.kill(),
            Self::Rabbitmq(broker) => broker.kill(),
        }
    }
}

/// Ids in the order in which something happened to them.
#[derive(Clone, Default)]
pub(crate) struct Ids(Arc<Mutex<Vec<JobId>>>);

impl Ids {
    pub(crate) fn push(&self, id: JobId) {
        self.0.lock().unwrap().push(id);
    }

    pub(crate) fn all(&self) -> Vec<JobId> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, id: &JobId) -> usize {
        self.all().iter().filter(|known| *known == id).count()
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(state(Ids))]
pub(crate) struct Beat;

impl Perform for Beat {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Ids>().push(cx.id().clone());
        Ok(())
    }
}

/// A worker that runs, in a process of its own as far as the broker can tell.
pub(crate) struct Member {
    process: Process,
    stop: StopHandle,
    running: JoinHandle<Result<Stopped>>,
}

/// Workers that come and go.
pub(crate) struct Crew {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    /// An application's own, beside the workers.
    pub(crate) client: Client,
    pub(crate) fired: Ids,
    pub(crate) ran: Ids,
    /// How many ticks were said to have got no job.
    pub(crate) skipped: Arc<AtomicUsize>,
}

impl Crew {
    pub(crate) async fn new((store, clock): (Store, Clock)) -> Self {
        let client = store.open().await.client();
        Self { store, clock, client, fired: Ids::default(), ran: Ids::default(), skipped: Arc::default() }
    }

    pub(crate) async fn hire(&self, build: impl FnOnce(WorkerBuilder) -> WorkerBuilder) -> Member {
        let process = self.store.open().await;
        let (fired, skipped) = (self.fired.clone(), Arc::clone(&self.skipped));
        let observer = move |observation: &Observation<'_>| match observation {
            Observation::Enqueued { id, .. } => fired.push((*id).clone()),
            Observation::TicksSkipped { count, .. } => {
                skipped.fetch_add(*count, Ordering::Relaxed);
            }
            _ => {}
        };
        let builder = Worker::builder().client(process.client()).state(self.ran.clone()).observer(Arc::new(observer));
        let worker = build(builder).build().unwrap();
        let stop = worker.stop_handle();
        Member { process, stop, running: tokio::spawn(worker.run()) }
    }

    /// Lets so much time go by, on the wall at least.
    pub(crate) fn advance(&self, duration: Duration) {
        match self.store {
            Store::Memory(_) | Store::Sqlite(..) => self.clock.advance(duration),
            Store::Rabbitmq(..) => self.clock.set_wall(later(self.clock.now(), duration)),
        }
    }

    /// Waits until the leader has looked at all schedules, by a run of the last one that is asked for.
    pub(crate) async fn settle(&self) {
        self.until_entry(&key("zz-marker").entry()).await;
        let id = self.client.schedules().run("zz-marker").await.unwrap();
        self.until("the marker", || self.fired.count(&id) > 0).await;
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let real = Clock::system();
        let waited = real.timeout(PATIENCE, async {
            while !is_so() {
                Clock::system().sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(waited.await.is_some(), "{what} did not happen by {}", self.clock.now());
    }

    /// Waits until a schedule has been seen by a leader.
    pub(crate) async fn until_known(&self, name: &str) {
        self.until_entry(&key(name).tick()).await;
    }

    async fn until_entry(&self, key: &str) {
        let ledger = self.client.broker().ledger();
        let real = Clock::system();
        let known = real.timeout(PATIENCE, async {
            while !ledger.read().await.unwrap().iter().any(|entry| entry.key == key) {
                ledger.changed().await.unwrap();
            }
        });
        assert!(known.await.is_some(), "{key} was not written");
    }
}

impl Member {
    /// Stops it in an orderly way.
    pub(crate) async fn stop(self) {
        self.stop.drain();
        let stopped = Clock::system().timeout(PATIENCE, self.running).await.expect("it stops").unwrap().unwrap();
        assert!(stopped.failure.is_none(), "{stopped:?}");
    }

    /// Ends it as a kill does.
    pub(crate) fn kill(self) {
        self.process.kill();
        self.running.abort();
    }
}

pub(crate) fn key(name: &str) -> ScheduleKey {
    ScheduleKey::new("shop", name).unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
