//! The place where a case runs: its processes, the messages that they send, and waits with a bound.

use std::time::Duration;

use chrono::SubsecRound;

use crate::broker::contract::fixture::{Fixture, Need, Process};
use crate::broker::contract::message::{envelope, mail, publish};
use crate::broker::contract::reader::Reader;
use crate::broker::contract::wait::eventually;
use crate::broker::{Outgoing, Stored};
use crate::clock::{Timestamp, later};
use crate::envelope::Envelope;
use crate::error::Result;
use crate::name::{ExchangeName, QueueName};
use crate::topology::Topology;

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

    /// Makes somebody else's exchange exist, under a name that no other case has: exchanges have no namespace but their own.
    pub(super) async fn own_exchange(&self) -> ExchangeName {
        let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(12).collect();
        let name = ExchangeName::parse(&format!("foreign-{name}")).expect("a valid exchange name");
        self.fixture.own_exchange(name.as_str()).await;
        name
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

    /// Begins to consume a queue.
    pub(super) async fn read(&self, queue: &QueueName) -> Reader {
        Reader::open(&self.broker, queue).await
    }

    /// Begins to consume [`mail`].
    pub(super) async fn read_mail(&self) -> Reader {
        self.read(&mail()).await
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
