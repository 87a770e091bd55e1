//! What the tests of whole parts begin with: a broker on the shared node, in a namespace that nobody else has.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::amqp::{AmqpBroker, AmqpOptions, node};
use crate::clock::Clock;
use crate::envelope::Envelope;
use crate::name::{JobId, Kind, QueueName};

/// A bound on what should come true at once.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    Clock::system().timeout(LIMIT, future).await.unwrap_or_else(|| panic!("{what}: not within {LIMIT:?}"))
}

pub(super) async fn broker(namespace: &str) -> Arc<AmqpBroker> {
    broker_with(namespace, AmqpOptions::default()).await
}

pub(super) async fn broker_with(namespace: &str, options: AmqpOptions) -> Arc<AmqpBroker> {
    let url = format!("{}?namespace={namespace}", node::url());
    AmqpBroker::connect(&url, options, Clock::system()).await.expect("the node takes the connection")
}

pub(super) fn namespace() -> String {
    format!("unit-{}", JobId::new(Clock::system().now()))
}

pub(super) fn queue(name: &str) -> QueueName {
    QueueName::parse_any(name).expect("a queue's name")
}

pub(super) fn envelope(payload: &str) -> Envelope {
    let now = Clock::system().now();
    Envelope::new(JobId::new(now), Kind::parse("mail").expect("a kind"), payload.into(), now)
}
