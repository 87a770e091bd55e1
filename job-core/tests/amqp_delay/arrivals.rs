//! Delayed jobs on their way, and when they arrive.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_core::broker::amqp::{AmqpBroker, AmqpOptions};
use job_core::broker::{Broker, Outcome, Outgoing, Window};
use job_core::clock::{Clock, Timestamp};
use job_core::envelope::Envelope;
use job_core::topology::Topology;
use job_core::{JobId, Kind, QueueName};
use tokio::sync::watch;

/// The queue that all tests delay jobs for.
pub(crate) fn mail() -> QueueName {
    QueueName::parse("mail").unwrap()
}

/// Connects one process to a namespace, whose wheel has finest slots of this width.
pub(crate) async fn process(url: &str, namespace: &str, slot_width: Duration) -> Arc<AmqpBroker> {
    let options = AmqpOptions { slot_width, ..AmqpOptions::default() };
    let broker = AmqpBroker::connect(&format!("{url}?namespace={namespace}"), options, Clock::system()).await.unwrap();
    let topology = Topology::default().queue(mail());
    broker.declare(&topology).await.unwrap();
    broker
}

/// Delays so many jobs, and returns their ids once all are stored.
pub(crate) async fn delay(
    broker: &AmqpBroker,
    queue: &QueueName,
    jobs: usize,
    delay: impl Fn(usize) -> Duration,
) -> Vec<JobId> {
    let messages: Vec<Outgoing> = (0..jobs).map(|job| message(queue, delay(job))).collect();
    let ids = messages.iter().map(|message| message.envelope.id.clone()).collect();
    for stored in broker.publish(messages).await {
        stored.unwrap();
    }
    ids
}

/// Makes a delayed job.
pub(crate) fn message(queue: &QueueName, delay: Duration) -> Outgoing {
    let now = Clock::system().now();
    let kind = Kind::parse("mail").unwrap();
    let mut envelope = Envelope::new(JobId::new(now), kind, b"{}".to_vec(), now);
    envelope.not_before = Some(now + delay);
    Outgoing::to_queue(queue.clone(), envelope)
}

/// Where all processes of a test write what they got.
#[derive(Clone)]
pub(crate) struct Arrivals {
    all: Arc<Mutex<HashMap<JobId, Vec<Arrival>>>>,
    count: watch::Sender<usize>,
}

#[derive(Clone, Copy)]
struct Arrival {
    due: Timestamp,
    at: Timestamp,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        Self { all: Arc::default(), count: watch::Sender::new(0) }
    }

    /// Takes what arrives at a process, for as long as that lives.
    pub(crate) fn take_from(&self, broker: &Arc<AmqpBroker>) {
        let (arrivals, broker) = (self.clone(), Arc::clone(broker));
        tokio::spawn(async move {
            while let Ok(mut consumer) = broker.consume(&mail(), Window::new(100)).await {
                while let Ok(deliveries) = consumer.next_many(100).await {
                    if deliveries.is_empty() {
                        return;
                    }
                    let at = Clock::system().now();
                    for delivery in deliveries {
                        // One that is lost comes again, and is counted again.
                        let _ = delivery.settle.settle(Outcome::Done { then: Vec::new() }).await;
                        // Not before: who has waited for it may close the process, which gives back what is not settled.
                        arrivals.note(&delivery.envelope, at);
                    }
                }
            }
        });
    }

    fn note(&self, envelope: &Envelope, at: Timestamp) {
        let due = envelope.not_before.expect("a delayed job tells when it was due");
        let mut all = self.all.lock().unwrap();
        all.entry(envelope.id.clone()).or_default().push(Arrival { due, at });
        self.count.send_replace(all.len());
    }

    /// Waits until so many jobs have arrived, each once at least.
    pub(crate) async fn wait(&self, jobs: usize, limit: Duration) {
        let mut count = self.count.subscribe();
        let all = Clock::system().timeout(limit, count.wait_for(|count| *count >= jobs)).await;
        assert!(all.is_some(), "{} of {jobs} jobs arrived within {limit:?}", *self.count.borrow());
    }

    /// Asserts that all arrived and none early, and returns how.
    pub(crate) fn check(&self, ids: &[JobId]) -> Lateness {
        let all = self.all.lock().unwrap();
        let stored: HashSet<&JobId> = ids.iter().collect();
        let lost = ids.iter().filter(|id| !all.contains_key(id)).count();
        let foreign = all.keys().filter(|id| !stored.contains(id)).count();
        assert_eq!((lost, foreign), (0, 0), "nothing is lost, and nothing invented");
        let mut late: Vec<i64> = all.values().map(|arrivals| arrivals[0].late()).collect();
        late.sort_unstable();
        let at = |part: usize| late[(late.len() - 1) * part / 1000];
        let lateness = Lateness {
            jobs: late.len(),
            min: at(0),
            p50: at(500),
            p99: at(990),
            max: at(1000),
            duplicates: all.values().map(|arrivals| arrivals.len() - 1).sum(),
        };
        println!("{lateness}");
        assert!(lateness.min >= 0, "none is early: {lateness:?}");
        lateness
    }

    /// Returns by how many milliseconds a job came late that nothing kept from coming since `back`, at the most.
    pub(crate) fn late_since(&self, back: Timestamp) -> i64 {
        let all = self.all.lock().unwrap();
        let late = all.values().map(|arrivals| (arrivals[0].at - arrivals[0].due.max(back)).num_milliseconds());
        late.max().unwrap_or_default()
    }
}

impl Arrival {
    fn late(self) -> i64 {
        (self.at - self.due).num_milliseconds()
    }
}

/// How late jobs were, in milliseconds.
#[derive(Debug)]
pub(crate) struct Lateness {
    pub(crate) jobs: usize,
    pub(crate) min: i64,
    pub(crate) p50: i64,
    pub(crate) p99: i64,
    pub(crate) max: i64,
    /// Arrivals beyond the first of each.
    pub(crate) duplicates: usize,
}

impl std::fmt::Display for Lateness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { jobs, min, p50, p99, max, duplicates } = self;
        write!(f, "{jobs} jobs, late by {min} ms at least, p50 {p50}, p99 {p99}, at most {max}; {duplicates} twice")
    }
}
