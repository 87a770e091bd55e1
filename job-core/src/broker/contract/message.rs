//! The messages and names that cases use.

use std::collections::BTreeMap;

use chrono::SubsecRound;

use crate::broker::contract::wait::eventually;
use crate::broker::{Broker, Outgoing, Stored};
use crate::envelope::Envelope;
use crate::error::Result;
use crate::name::{JobId, Kind, QueueName};

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
