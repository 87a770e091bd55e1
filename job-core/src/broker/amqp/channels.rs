//! The channels of one process that consume, to have all of them flushed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::future::join_all;

use crate::broker::amqp::intake::Intake;

/// The channels; cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub(super) struct Channels(Arc<Mutex<Vec<Weak<Intake>>>>);

impl Channels {
    pub(super) fn add(&self, intake: &Arc<Intake>) {
        let mut channels = self.lock();
        channels.retain(|channel| channel.strong_count() > 0);
        channels.push(Arc::downgrade(intake));
    }

    /// Has each channel send what it is to acknowledge, and waits until the queues have it.
    pub(super) async fn flush(&self) {
        let channels: Vec<Arc<Intake>> = self.lock().iter().filter_map(Weak::upgrade).collect();
        join_all(channels.iter().map(|channel| channel.flush())).await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Intake>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::amqp::scene::{broker, envelope, namespace, queue, within};
    use crate::broker::{Broker, Outcome, Outgoing, Window};
    use crate::topology::Topology;

    /// Settles one of two deliveries, dies, and returns what comes then, up to a message that is sent last.
    async fn comes_after_a_death(is_flushed: bool) -> Vec<String> {
        let namespace = namespace();
        let (victim, mail) = (broker(&namespace).await, queue("mail"));
        within("declare", victim.declare(&Topology::default().queue(mail.clone()))).await.unwrap();
        let send = async |broker: &dyn Broker, payload| {
            let message = Outgoing::to_queue(mail.clone(), envelope(payload));
            within("publish", broker.publish(vec![message])).await.remove(0).unwrap();
        };
        for payload in ["open", "settled"] {
            send(&*victim, payload).await;
        }
        let mut consumer = within("consume", victim.consume(&mail, Window::new(4))).await.unwrap();
        let mut taken = Vec::new();
        while taken.len() < 2 {
            taken.extend(within("next", consumer.next_many(2)).await.unwrap());
        }
        within("settle", taken.remove(1).settle.settle(Outcome::Done { then: Vec::new() })).await.unwrap();
        if is_flushed {
            within("flush", victim.flush()).await;
        }
        victim.kill();
        let heir = broker(&namespace).await;
        let mut consumer = within("consume", heir.consume(&mail, Window::new(4))).await.unwrap();
        let mut come = Vec::new();
        while !come.iter().any(|payload| payload == "open") {
            for delivery in within("next", consumer.next_many(4)).await.unwrap() {
                come.push(String::from_utf8(delivery.envelope.payload.clone()).unwrap());
                within("settle", delivery.settle.settle(Outcome::Done { then: Vec::new() })).await.unwrap();
            }
        }
        send(&*heir, "last").await;
        while come.last().is_none_or(|payload| payload != "last") {
            let next = within("next", consumer.next_many(4)).await.unwrap();
            come.extend(next.iter().map(|delivery| String::from_utf8(delivery.envelope.payload.clone()).unwrap()));
        }
        come
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_settled_before_a_flush_does_not_come_again() {
        assert_eq!(comes_after_a_death(true).await, ["open", "last"]);
        assert_eq!(
            comes_after_a_death(false).await,
            ["open", "settled", "last"],
            "it had to wait behind what was open"
        );
    }
}
