//! Puts a harness together: a worker's parts, a broker in memory, and a clock that stands still.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use job_core::broker::Broker;
use job_core::broker::memory::MemoryBroker;
use job_core::client::Client;
use job_core::clock::{Clock, Timestamp};
use job_core::context::Context;
use job_core::error::Result;
use job_core::job::Job;
use job_core::observation::Observer;
use job_core::perform::JobError;
use job_core::registry::Registry;
use tokio::sync::Mutex;

use crate::middleware::Middleware;
use crate::placement::Placement;
use crate::slots::Slots;
use crate::testing::drained::Tally;
use crate::testing::{Harness, at_once};
use crate::worker::{Worker, WorkerBuilder};

/// 2026-01-01, noon, in seconds since 1970.
const START_DEFAULT: i64 = 1_767_268_800;

/// Builds a [`Harness`].
#[must_use]
pub struct HarnessBuilder {
    worker: WorkerBuilder,
    registry: Option<Registry>,
    start: Timestamp,
}

impl HarnessBuilder {
    /// Provides a value of the application's state to the jobs that declare its type with `state(S)`.
    pub fn state<S: Any + Send + Sync>(mut self, state: S) -> Self {
        self.worker = self.worker.state(state);
        self
    }

    /// Gives the handler of a job that says `handler = "…"`.
    pub fn handle<J, F, Fut>(mut self, handler: F) -> Self
    where
        J: Job,
        F: Fn(J, Context<J>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        self.worker = self.worker.handle(handler);
        self
    }

    /// Adds a middleware inside those that were added before.
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.worker = self.worker.middleware(middleware);
        self
    }

    /// Adds an observer of everything that happens.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.worker = self.worker.observer(observer);
        self
    }

    /// Runs these job types instead of all that are linked.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Sets the instant at which the clock stands at first. Defaults to 2026-01-01, noon.
    pub fn start_at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// Makes the harness.
    ///
    /// # Errors
    /// When no job types are linked, two of them have one kind, or a job was given two handlers. A state that is missing
    /// is told of when a job comes that needs it.
    pub fn build(self) -> Result<Harness> {
        let broker = MemoryBroker::new(Clock::manual(self.start));
        let client = Client::new(Arc::clone(&broker) as _);
        let registry = self.registry.map_or_else(Registry::linked, Ok)?;
        let tally = Arc::new(Tally::default());
        let worker = self.worker.client(client.clone()).registry(registry.clone()).observer(Arc::clone(&tally) as _);
        let placement = Placement::new(&registry)?;
        let executor = worker.build_executor(&placement)?;
        // Events reach the subscriptions as if their workers had started once.
        at_once(broker.declare(&placement.topology(&placement.queues())))?;
        // One job after the other, whatever its queue.
        let slots = Slots::new(1, &[(1, None)]);
        Ok(Harness { broker, client, registry, placement, executor, slots, tally, turn: Mutex::default() })
    }
}

impl Default for HarnessBuilder {
    fn default() -> Self {
        let start = Timestamp::from_timestamp(START_DEFAULT, 0).expect("within the calendar");
        Self { worker: Worker::builder(), registry: None, start }
    }
}
