//! The place where a case runs: its processes, the messages that they send, and waits with a bound.

use std::collections::BTreeMap;
use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use chrono::SubsecRound;

use crate::broker::contract::{Fixture, LIVENESS, Need, Process};
use crate::broker::{Broker, Outgoing, Stored};
use crate::clock::{Clock, Timestamp, later};
use crate::envelope::Envelope;
use crate::error::Result;
use crate::name::{JobId, Kind, QueueName};
use crate::topology::Topology;

/// The pause between two looks at a condition that cannot be awaited.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The fixture of one case, and what it can do.
pub(super) struct Bench {
    fixture: Box<dyn Fixture>,
}

impl Bench {
    pub(super) fn new(fixture: Box<dyn Fixture>) -> Self {
        Self { fixture }
    }

    /// Opens a process that has declared nothing.
    pub(super) async fn open(&self) -> Process {
        self.fixture.open().await
    }

    /// Opens a process that has declared the queue [`mail`].
    pub(super) async fn open_mail(&self) -> Process {
        let process = self.open().await;
        process.declare(Topology::default().queue(mail())).await;
        process
    }

    pub(super) async fn pass(&self, duration: Duration) {
        self.fixture.pass(duration).await;
    }

    pub(super) fn delay(&self) -> Duration {
        self.fixture.delay()
    }

    /// Kills a process and lets the others notice.
    pub(super) async fn kill(&self, process: Process) {
        (process.kill)().await;
        self.pass(self.fixture.death_notice()).await;
    }

    pub(super) fn has(&self, need: Need) -> bool {
        !self.fixture.lacks().contains(&need)
    }

    /// Checks how many queues took a copy, where the broker can tell.
    pub(super) fn check_copies(&self, stored: Stored, copies: u32) {
        match stored.copies {
            None => assert!(!self.has(Need::Counts), "a broker that can count says how many copies it stored"),
            Some(told) => assert_eq!(told, copies, "copies stored"),
        }
    }
}

impl Process {
    /// Makes a new message, due at once.
    pub(super) fn envelope(&self, payload: &str) -> Envelope {
        envelope(&*self.broker, payload)
    }

    /// Makes a new message, due after a delay.
    pub(super) fn delayed(&self, payload: &str, delay: Duration) -> Envelope {
        let mut envelope = self.envelope(payload);
        envelope.not_before = Some(later(self.now(), delay));
        envelope
    }

    /// Returns the broker's time, in whole milliseconds: a store need not keep more.
    pub(super) fn now(&self) -> Timestamp {
        self.broker.clock().now().trunc_subsecs(3)
    }

    pub(super) async fn declare(&self, topology: Topology) {
        eventually("declare", self.broker.declare(&topology)).await.expect("the topology can be declared");
    }

    /// Publishes one message, and answers what the broker did.
    pub(super) async fn publish(&self, message: Outgoing) -> Result<Stored> {
        publish(&*self.broker, message).await
    }

    /// Publishes a message to a queue, which must take it.
    pub(super) async fn send(&self, queue: &QueueName, envelope: &Envelope) -> Stored {
        let message = Outgoing::to_queue(queue.clone(), envelope.clone());
        self.publish(message).await.expect("the message is stored")
    }

    /// Publishes a new message to [`mail`].
    pub(super) async fn send_mail(&self, payload: &str) -> Envelope {
        let envelope = self.envelope(payload);
        self.send(&mail(), &envelope).await;
        envelope
    }

    /// Ends as an orderly program does.
    pub(super) async fn close(self) {
        eventually("close", self.broker.close()).await.expect("the broker closes");
    }
}

/// Checks that the fixture's list of what it lacks is the truth: a case must not be skipped by mistake.
pub(super) async fn its_capabilities_are_those_that_the_fixture_tells(bench: Bench) {
    let process = bench.open().await;
    let capabilities = process.broker.capabilities();
    for need in [Need::Dedup, Need::FireExact, Need::Find, Need::Cancel] {
        assert_eq!(need.is_met_by(&capabilities), Some(bench.has(need)), "{need:?}");
    }
    assert!(!capabilities.name.is_empty(), "a broker has a name");
    assert!(capabilities.delay_min <= bench.delay(), "the fixture's delay is one that the broker keeps");
}

/// The queue of most cases.
pub(super) fn mail() -> QueueName {
    queue("mail")
}

pub(super) fn queue(name: &str) -> QueueName {
    QueueName::parse(name).expect("a valid queue name")
}

pub(super) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn envelope(broker: &dyn Broker, payload: &str) -> Envelope {
    let now = broker.clock().now().trunc_subsecs(3);
    let kind = Kind::parse("greet").expect("a valid kind");
    Envelope::new(JobId::new(now), kind, payload.as_bytes().to_vec(), now)
}

pub(super) async fn publish(broker: &dyn Broker, message: Outgoing) -> Result<Stored> {
    let mut answers = eventually("publish", broker.publish(vec![message])).await;
    assert_eq!(answers.len(), 1, "one answer for one message");
    answers.remove(0)
}

/// Returns the bound of a wait for something that must happen.
pub(super) fn liveness() -> Duration {
    if std::env::var_os("CI").is_some() { LIVENESS * 4 } else { LIVENESS }
}

/// Waits for a future that must end.
pub(super) async fn eventually<T>(what: &str, future: impl Future<Output = T>) -> T {
    let limit = liveness();
    match Clock::system().timeout(limit, future).await {
        Some(output) => output,
        None => panic!("{what}: nothing happened within {limit:?}"),
    }
}

/// Waits until looking finds something.
pub(super) async fn eventually_some<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            Clock::system().sleep(LOOK_EVERY).await;
        }
    })
    .await
}

/// Polls a future once, so that it has begun to wait; fails when it did not have to.
pub(super) async fn begin_to_wait<F: Future + Unpin>(what: &str, future: &mut F) {
    let is_ready = std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())).await;
    assert!(!is_ready, "{what}: ended before there was a reason");
}
