//! A consumer with expectations: what it awaits must come, and nothing else may.

use std::sync::Arc;

use crate::broker::contract::message::{envelope, publish};
use crate::broker::contract::wait::eventually;
use crate::broker::{Broker, Consumer, Delivery, Outcome, Outgoing, Window};
use crate::envelope::Envelope;
use crate::name::QueueName;

/// More than any case stores, so that what should not be there is seen too.
const ALL: usize = 1000;

/// Takes deliveries of one queue.
///
/// A broker may claim ahead, so a case has one open reader per queue at a time, unless it drains them all.
pub(super) struct Reader {
    pub(super) consumer: Box<dyn Consumer>,
    broker: Arc<dyn Broker>,
    queue: QueueName,
}

impl Reader {
    pub(super) async fn open(broker: &Arc<dyn Broker>, queue: &QueueName) -> Self {
        let consume = broker.consume(queue, Window::new(4));
        let consumer = eventually("consume", consume).await.expect("the queue can be consumed");
        Self { consumer, broker: Arc::clone(broker), queue: queue.clone() }
    }

    /// Takes what comes next.
    pub(super) async fn next_many(&mut self, max: usize) -> Vec<Delivery> {
        let next = eventually("a delivery", self.consumer.next_many(max)).await;
        let deliveries = next.expect("an open consumer delivers");
        assert!(!deliveries.is_empty(), "an open consumer delivers something");
        assert!(deliveries.len() <= max, "{} deliveries where {max} were wanted", deliveries.len());
        for delivery in &deliveries {
            assert_eq!(delivery.queue, self.queue, "the queue of a delivery");
            assert_eq!(delivery.defect, None, "the defect of a message that was sound");
        }
        deliveries
    }

    /// Takes exactly this many.
    pub(super) async fn take(&mut self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.extend(self.next_many(count - taken.len()).await);
        }
        taken
    }

    pub(super) async fn one(&mut self) -> Delivery {
        self.take(1).await.remove(0)
    }

    /// Takes one and completes it.
    pub(super) async fn finish_one(&mut self) -> Envelope {
        let delivery = self.one().await;
        let envelope = delivery.envelope.clone();
        done(delivery).await;
        envelope
    }

    /// Takes exactly these, in any order, completes them, and checks that nothing else comes.
    pub(super) async fn finish_exactly(&mut self, expected: &[&Envelope]) {
        let mut missing: Vec<&Envelope> = expected.to_vec();
        while !missing.is_empty() {
            for delivery in self.next_many(ALL).await {
                let place = missing.iter().position(|envelope| **envelope == delivery.envelope);
                let place = place.unwrap_or_else(|| panic!("{delivery:?} came, and these were missing: {missing:?}"));
                missing.remove(place);
                done(delivery).await;
            }
        }
        self.nothing_else().await;
    }

    /// Checks that nothing can be delivered: a new message comes, and it comes alone, twice.
    pub(super) async fn nothing_else(&mut self) {
        for _ in 0..2 {
            let probe = envelope(&*self.broker, "probe");
            let message = Outgoing::to_queue(self.queue.clone(), probe.clone());
            publish(&*self.broker, message).await.expect("the probe is stored");
            for delivery in self.next_many(ALL).await {
                assert_eq!(delivery.envelope, probe, "came from {} where only the probe was expected", self.queue);
                done(delivery).await;
            }
        }
    }

    pub(super) async fn close(self) {
        eventually("close of a consumer", self.consumer.close()).await;
    }
}

/// Settles a delivery that is ours.
pub(super) async fn settle(delivery: Delivery, outcome: Outcome) {
    eventually("settle", delivery.settle.settle(outcome)).await.expect("a delivery of ours can be settled");
}

/// Completes a delivery that is ours.
pub(super) async fn done(delivery: Delivery) {
    settle(delivery, Outcome::Done { then: Vec::new() }).await;
}
