//! The stage of a runtime test: a broker in memory, a worker on it, and the observations that it made.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_core::broker::memory::MemoryBroker;
use job_core::broker::{Broker, Page};
use job_core::clock::Clock;
use job_core::envelope::Envelope;
use job_core::observation::{FinishedOutcome, Observation};
use job_core::registry::Registry;
use job_core::{Client, JobId, QueueName};
use job_worker::{Worker, WorkerBuilder};

/// How long a worker may take to become idle: a bound on liveness, not a measure of speed.
fn patience() -> Duration {
    let factor = if std::env::var_os("CI").is_some() { 4 } else { 1 };
    Duration::from_secs(20) * factor
}

pub(crate) struct Scene {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) client: Client,
    finished: Arc<Mutex<Vec<Finished>>>,
    enqueued: Arc<Mutex<Vec<JobId>>>,
    started: Arc<Mutex<Vec<String>>>,
    parked: Arc<Mutex<usize>>,
}

/// A run that ended, as the observers were told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finished {
    pub(crate) kind: String,
    pub(crate) attempt: u32,
    pub(crate) outcome: FinishedOutcome,
    pub(crate) error: Option<String>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::on(MemoryBroker::new(Clock::system()))
    }

    pub(crate) fn on(broker: Arc<dyn Broker>) -> Self {
        Self {
            client: Client::new(Arc::clone(&broker)),
            broker,
            finished: Arc::default(),
            enqueued: Arc::default(),
            started: Arc::default(),
            parked: Arc::default(),
        }
    }

    /// Builds a worker for these kinds, which stops when it is idle.
    pub(crate) fn worker(&self, kinds: &[&str]) -> WorkerBuilder {
        let (finished, enqueued) = (Arc::clone(&self.finished), Arc::clone(&self.enqueued));
        let (started, parked) = (Arc::clone(&self.started), Arc::clone(&self.parked));
        let observer = move |observation: &Observation<'_>| {
            if let Observation::Started { run, .. } = observation {
                started.lock().expect("no test panics while it holds this").push(run.kind.to_owned());
            }
            if let Observation::Parked { .. } = observation {
                *parked.lock().expect("no test panics while it holds this") += 1;
            }
            if let Observation::Enqueued { id, .. } = observation {
                enqueued.lock().expect("no test panics while it holds this").push((*id).clone());
            }
            if let Observation::Finished { run, outcome, error, .. } = observation {
                finished.lock().expect("no test panics while it holds this").push(Finished {
                    kind: run.kind.to_owned(),
                    attempt: run.attempt,
                    outcome: *outcome,
                    error: error.map(str::to_owned),
                });
            }
        };
        Worker::builder()
            .client(self.client.clone())
            .registry(registry(kinds))
            .observer(Arc::new(observer))
            .exit_when_idle()
    }

    /// Runs a worker until nothing is left to do.
    pub(crate) async fn run(&self, worker: WorkerBuilder) {
        let worker = worker.build().expect("a sound worker");
        let stopped = Clock::system().timeout(patience(), worker.run()).await.expect("it becomes idle");
        assert_eq!(stopped.expect("it ran").unfinished, 0);
    }

    /// The runs that ended, in the order of their attempts and the last one last: a run's end is told after it was
    /// recorded, when the next run may have ended already.
    pub(crate) fn finished(&self) -> Vec<Finished> {
        let mut finished = self.finished.lock().expect("no test panics while it holds this").clone();
        let is_last = |outcome| matches!(outcome, FinishedOutcome::Completed | FinishedOutcome::Dead(_));
        finished.sort_by_key(|run| (run.attempt, is_last(run.outcome)));
        finished
    }

    /// The kinds of the runs, in the order in which they began. They ended in this order only where nothing came back or
    /// followed at once: a run's end is told after its outcome is recorded, and what that brings may be quicker.
    pub(crate) fn started(&self) -> Vec<String> {
        self.started.lock().expect("no test panics while it holds this").clone()
    }

    /// How many deliveries were parked.
    pub(crate) fn parked(&self) -> usize {
        *self.parked.lock().expect("no test panics while it holds this")
    }

    /// What the worker enqueued.
    pub(crate) fn enqueued(&self) -> Vec<JobId> {
        self.enqueued.lock().expect("no test panics while it holds this").clone()
    }

    pub(crate) fn outcomes(&self) -> Vec<(u32, FinishedOutcome)> {
        self.finished().iter().map(|f| (f.attempt, f.outcome)).collect()
    }

    pub(crate) async fn waiting(&self, queue: &QueueName) -> Vec<Envelope> {
        let inspect = self.broker.inspect().expect("memory can be inspected");
        inspect.peek(queue, Page { offset: 0, limit: 10_000 }).await.expect("readable")
    }

    pub(crate) async fn dead(&self, queue: &str) -> Vec<Envelope> {
        self.waiting(&QueueName::parse(queue).expect("a name").dead()).await
    }
}

/// Waits until a condition is true, and fails with `what` when it does not become so.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let clock = Clock::system();
    let waiting = async {
        while !condition() {
            clock.sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    assert!(clock.timeout(patience(), waiting).await.is_some(), "it did not come true that {what}");
}

/// The linked types of these kinds and no others.
pub(crate) fn registry(kinds: &[&str]) -> Registry {
    let linked = Registry::linked().expect("no two types of this test have one kind");
    let find = |kind: &&str| linked.find(kind).unwrap_or_else(|| panic!("no type has the kind {kind}"));
    Registry::of(kinds.iter().map(find)).expect("distinct")
}

#[allow(dead_code, reason = "the type of a client's error is part of what tests check")]
fn assert_traits() {
    fn is_error<E: std::error::Error + Send + Sync>() {}
    is_error::<job_core::EnqueueError>();
    is_error::<job_core::EnqueueManyError>();
}
