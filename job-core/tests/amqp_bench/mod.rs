//! What the tests of the RabbitMQ broker share: a broker in a namespace of its own, messages, and waits with a bound.

#![allow(dead_code, reason = "each test program uses its part")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::SubsecRound;
use job_core::broker::amqp::{AmqpBroker, AmqpOptions};
use job_core::broker::{Broker, Consumer, Delivery, Outcome, Outgoing, Stored, Window};
use job_core::clock::Clock;
use job_core::envelope::Envelope;
use job_core::error::Result;
use job_core::name::{JobId, Kind, QueueName};
use job_core::topology::Topology;

/// The longest wait for something that must happen; a node that restarts on a busy machine takes a while.
pub(crate) const LIVENESS: Duration = Duration::from_secs(60);

/// Returns a URL with a namespace that no other test has.
pub(crate) fn namespaced(url: &str) -> String {
    let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(12).collect();
    format!("{url}?namespace={name}")
}

pub(crate) async fn connect(url: &str) -> Arc<AmqpBroker> {
    AmqpBroker::connect(url, AmqpOptions::default(), Clock::system()).await.expect("the node takes the connection")
}

/// Connects, and declares a queue.
pub(crate) async fn connect_mail(url: &str) -> Arc<AmqpBroker> {
    let broker = connect(url).await;
    broker.declare(&Topology::default().queue(mail())).await.expect("the queue is declared");
    broker
}

pub(crate) fn mail() -> QueueName {
    QueueName::parse("mail").expect("a valid name")
}

pub(crate) fn envelope(payload: &str) -> Envelope {
    // In whole milliseconds, as they come back.
    let now = Clock::system().now().trunc_subsecs(3);
    Envelope::new(JobId::new(now), Kind::parse("greet").expect("a valid kind"), payload.as_bytes().to_vec(), now)
}

/// Publishes one message to the queue.
pub(crate) async fn publish(broker: &AmqpBroker, envelope: &Envelope) -> Result<Stored> {
    let message = Outgoing::to_queue(mail(), envelope.clone());
    within("an answer to a publish", broker.publish(vec![message])).await.remove(0)
}

pub(crate) async fn send(broker: &AmqpBroker, payload: &str) -> Envelope {
    let envelope = envelope(payload);
    publish(broker, &envelope).await.expect("the message is stored");
    envelope
}

pub(crate) async fn consume(broker: &AmqpBroker) -> Box<dyn Consumer> {
    within("a consumer", broker.consume(&mail(), Window::new(4))).await.expect("the queue can be consumed")
}

pub(crate) async fn one(consumer: &mut dyn Consumer) -> Delivery {
    let mut taken = within("a delivery", consumer.next_many(1)).await.expect("an open consumer delivers");
    assert_eq!(taken.len(), 1, "one delivery was asked for");
    taken.remove(0)
}

pub(crate) async fn settle(delivery: Delivery, outcome: Outcome) -> Result<()> {
    within("an answer to a settlement", delivery.settle.settle(outcome)).await
}

pub(crate) async fn done(delivery: Delivery) -> Result<()> {
    settle(delivery, Outcome::Done { then: Vec::new() }).await
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = Clock::system().timeout(LIVENESS, future).await;
    ended.unwrap_or_else(|| panic!("{what}: nothing within {LIVENESS:?}"))
}

/// Looks again and again until a look finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            Clock::system().sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}
