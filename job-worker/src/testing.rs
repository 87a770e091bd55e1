//! Runs jobs in tests: on a broker in memory, under a clock of their own, by the code that runs them in a worker.
//!
//! A [`Harness`] shares nothing with others, so that tests run in parallel, and works in any tokio runtime. Every job
//! goes through its JSON. Time stands still unless the test moves it.
//!
//! ```standalone_crate
//! use job_core::{Context, Job, JobError, Perform};
//! use job_worker::testing::{Drained, Harness};
//! use job_worker::{assert_enqueued, refute_enqueued};
//! # use serde::{Deserialize, Serialize};
//!
//! #[derive(Job, Serialize, Deserialize)]
//! struct Greet { name: String }
//!
//! impl Perform for Greet {
//!     async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
//!         if self.name.is_empty() { Err("nobody to greet".into()) } else { Ok(()) }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let harness = Harness::new();
//! harness.client().enqueue(Greet { name: "Ada".into() }).await.unwrap();
//! assert_enqueued!(harness, Greet { name } if name == "Ada", queue = "default");
//! assert_eq!(harness.drain().await, Drained { completed: 1, ..Drained::default() });
//! refute_enqueued!(harness, Greet { .. });
//! assert!(harness.perform(Greet { name: String::new() }).await.is_err());
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use job_core::broker::memory::MemoryBroker;
use job_core::broker::{Broker, Delivery, Inspect, Page, QueueStats, Window};
use job_core::client::Client;
use job_core::clock::{Clock, Timestamp, duration_until, later};
use job_core::envelope::Envelope;
use job_core::error::Result;
use job_core::job::{Job, decode};
use job_core::name::QueueName;
use job_core::registry::Registry;
use job_core::topology::Topology;
use tokio::sync::Mutex;

use crate::executor::Executor;
use crate::placement::Placement;
use crate::slots::Slots;

mod builder;
mod drained;
mod expectation;
mod macros;
mod test_run;

pub use builder::HarnessBuilder;
pub use drained::Drained;
pub use expectation::Expectation;
pub use test_run::TestRun;

use drained::Tally;

/// Most runs of one [`drain`](Harness::drain) or [`advance`](Harness::advance): a job that enqueues itself has no end.
pub const RUNS_MAX: usize = 10_000;

/// How long one run may take in real time before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs jobs in a test, one after the other.
pub struct Harness {
    broker: Arc<MemoryBroker>,
    client: Client,
    registry: Registry,
    placement: Placement,
    executor: Arc<Executor>,
    slots: Arc<Slots>,
    tally: Arc<Tally>,
    /// Held by the one drain that runs.
    turn: Mutex<()>,
}

impl Harness {
    /// Makes a harness for jobs that need no state; [`builder`](Self::builder) takes more.
    ///
    /// # Panics
    /// When no job types are linked, or two of them have one kind.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build().expect("the linked job types fit together")
    }

    /// Begins to build a harness.
    pub fn builder() -> HarnessBuilder {
        HarnessBuilder::default()
    }

    /// Returns the client to enqueue with; hand it to the code under test.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the harness's clock, which moves only by [`advance`](Self::advance) and by its own
    /// [`Clock::advance`], which runs nothing.
    pub fn clock(&self) -> &Clock {
        self.broker.clock()
    }

    /// Runs one job as a worker would, middleware, limits and timeout included, and returns what its handler answered.
    /// Nothing is enqueued for it, and its outcome changes nothing. A panic and a timeout are errors, as in a worker; a
    /// job that cannot be read again from its JSON is a discard.
    ///
    /// # Panics
    /// When the job cannot run here: it has no handler, or needs a state that the harness was not given.
    pub fn perform<J: Job>(&self, job: J) -> TestRun<'_> {
        TestRun::new(self, &job)
    }

    /// Runs what is ready in any queue, and what becomes ready by that, until nothing is. Time stands still: retries,
    /// delayed and snoozed jobs wait.
    ///
    /// A handler that waits for time to pass on this clock needs another task that moves it meanwhile.
    ///
    /// # Panics
    /// After [`RUNS_MAX`] runs, when a run takes more than a minute, and when a job needs a state that the harness was
    /// not given.
    pub async fn drain(&self) -> Drained {
        let _turn = self.turn.lock().await;
        self.run_ready(&mut 0).await;
        self.tally.take()
    }

    /// Lets time pass: drains now and at each instant at which something becomes due, in order, until `duration` is
    /// over. A failing job is thus retried as often as its backoff allows in that time.
    ///
    /// # Panics
    /// As [`drain`](Self::drain).
    pub async fn advance(&self, duration: Duration) -> Drained {
        let _turn = self.turn.lock().await;
        let end = later(self.clock().now(), duration);
        let mut runs = 0;
        self.run_ready(&mut runs).await;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.move_to(due);
            self.run_ready(&mut runs).await;
        }
        self.move_to(end);
        self.tally.take()
    }

    /// Returns the jobs of a type that are ready or delayed, in the order of their queues and of being due.
    ///
    /// # Panics
    /// When the payload of one does not decode.
    pub fn all_enqueued<J: Job>(&self) -> Vec<J> {
        self.enqueued_of::<J>().into_iter().map(|(job, _, _)| job).collect()
    }

    /// Returns the dead jobs, in the order of their queues and deaths; `details.death` says why.
    pub fn dead(&self) -> Vec<Envelope> {
        self.waiting(QueueName::is_dead).into_iter().map(|(_, envelope)| envelope).collect()
    }

    fn enqueued_of<J: Job>(&self) -> Vec<(J, QueueName, Envelope)> {
        let place = self.placement.of(J::KIND).filter(|place| place.subscription.is_some());
        let is_one = |queue: &QueueName, envelope: &Envelope| {
            if let Some(place) = place {
                return *queue == place.queue;
            }
            let kind = envelope.kind_str();
            kind == J::KIND || J::ALIASES.contains(&kind)
        };
        let decoded = |(queue, envelope): (QueueName, Envelope)| match decode(&envelope) {
            Ok(job) => (job, queue, envelope),
            Err(error) => panic!("an enqueued \"{}\" does not decode: {error}", J::KIND),
        };
        self.enqueued().into_iter().filter(|(queue, envelope)| is_one(queue, envelope)).map(decoded).collect()
    }

    fn enqueued(&self) -> Vec<(QueueName, Envelope)> {
        self.waiting(|queue| !queue.is_dead())
    }

    fn waiting(&self, is_wanted: impl Fn(&QueueName) -> bool) -> Vec<(QueueName, Envelope)> {
        let queues = self.queues().into_iter().map(|stats| stats.name).filter(is_wanted);
        queues.flat_map(|queue| self.peek(&queue, usize::MAX).into_iter().map(move |e| (queue.clone(), e))).collect()
    }

    fn queues(&self) -> Vec<QueueStats> {
        at_once(self.broker.queues()).expect("nobody closes the harness's broker")
    }

    fn peek(&self, queue: &QueueName, limit: usize) -> Vec<Envelope> {
        at_once(self.broker.peek(queue, Page { offset: 0, limit })).expect("nobody closes the harness's broker")
    }

    /// Returns when the next delayed job is due, in the whole microseconds in which the clock moves.
    fn next_due(&self) -> Option<Timestamp> {
        let queues = self.queues().into_iter().filter(|stats| !stats.name.is_dead());
        let due = queues.filter_map(|stats| self.peek(&stats.name, 1).first()?.not_before).min()?;
        let past = Duration::from_nanos(u64::from(due.timestamp_subsec_nanos() % 1000));
        Some(if past.is_zero() { due } else { later(due, Duration::from_micros(1) - past) })
    }

    fn move_to(&self, at: Timestamp) {
        self.clock().advance(duration_until(self.clock().now(), at));
    }

    async fn run_ready(&self, runs: &mut usize) {
        loop {
            let ready = |stats: &QueueStats| !stats.name.is_dead() && stats.ready.unwrap_or(0) > 0;
            let Some(stats) = self.queues().into_iter().find(ready) else {
                return;
            };
            for delivery in self.take(&stats.name).await.expect("nobody closes the harness's broker") {
                *runs += 1;
                assert!(*runs <= RUNS_MAX, "{RUNS_MAX} runs and no end; the next is {:?}", delivery.envelope);
                self.run(delivery).await;
            }
        }
    }

    /// Takes one job, as a worker's consumer does.
    async fn take(&self, queue: &QueueName) -> Result<Vec<Delivery>> {
        if !self.placement.is_of_process(queue) {
            self.broker.declare(&Topology::default().queue(queue.clone())).await?;
        }
        let mut consumer = self.broker.consume(queue, Window::exact(1)).await?;
        // Ready at once: nobody else consumes here.
        let deliveries = consumer.next_many(1).await?;
        consumer.close().await;
        Ok(deliveries)
    }

    async fn run(&self, delivery: Delivery) {
        let kind = delivery.envelope.kind_str().to_owned();
        self.check_state(&delivery);
        let slot = self.slots.acquire(0, 1).await.pop().expect("one slot was asked for");
        self.executor.start(delivery, slot).await;
        let ended = Clock::system().timeout(PATIENCE, self.executor.in_flight.wait_none()).await;
        assert!(ended.is_some(), "a \"{kind}\" still runs after {PATIENCE:?} of real time");
    }

    /// A job whose handler is here can run, or the test forgot something. One whose handler is elsewhere waits.
    fn check_state(&self, delivery: &Delivery) {
        let subscription = self.placement.subscription(&delivery.queue).map(|(place, _)| place.kind);
        let kind = subscription.unwrap_or(delivery.envelope.kind_str());
        let has_handler = self.registry.find(kind).is_some_and(|descriptor| descriptor.perform.is_some());
        if let (true, Err(problem)) = (has_handler, self.executor.roster.find(&delivery.queue, &delivery.envelope)) {
            panic!("{problem}");
        }
    }
}

impl Default for Harness {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("clock", self.clock()).finish_non_exhaustive()
    }
}

/// Returns the answer of the broker in memory, which never waits to look.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("the broker in memory answers at once"),
    }
}
