//! Takes messages of a queue into one's hands, on a channel whose end gives all of them back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::Mutex;

use crate::broker::amqp::barrier;
use crate::broker::amqp::session::Session;
use crate::broker::amqp::wire::{self, Received};
use crate::clock::Clock;
use crate::error::Result;
use crate::name::{JobId, QueueName};

/// Nothing more comes after this time: others may have taken what was counted.
const IDLE_MAX: Duration = Duration::from_millis(500);

/// The most payload that is held at once: 64 MiB.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// A channel that holds messages.
pub(super) struct Browse {
    pub(super) queue: QueueName,
    pub(super) session: Arc<Session>,
    channel: Channel,
    consumer: lapin::Consumer,
    /// The queue's name on the broker.
    physical: String,
    expected: u16,
    /// Acknowledgements that were sent.
    sent: AtomicU64,
    /// So many of them the queue has taken.
    taken: Mutex<u64>,
    clock: Clock,
}

/// One message that is held.
pub(super) struct Message {
    pub(super) tag: u64,
    pub(super) received: Received,
}

/// Which messages are kept in hand.
pub(super) enum Wanted {
    All,
    /// The first one of this id.
    Id(JobId),
}

impl Browse {
    pub(super) async fn open(
        session: Arc<Session>,
        queue: QueueName,
        physical: &str,
        expected: u16,
        clock: Clock,
    ) -> Result<Self> {
        let channel = session.channel().await?;
        let qos = channel.basic_qos(expected, BasicQosOptions::default());
        session.answer("set the window of a consumer", qos).await?;
        let what = format!("look into the queue \"{queue}\"");
        let consume =
            channel.basic_consume(physical.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let consumer = session.answer(&what, consume).await?;
        let (physical, sent, taken) = (physical.to_owned(), AtomicU64::default(), Mutex::default());
        Ok(Self { queue, session, channel, consumer, physical, expected, sent, taken, clock })
    }

    /// Returns what was expected, or what there is of it, and gives back at once what is not wanted.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn gather(&self, wanted: Wanted) -> Result<Vec<Message>> {
        let mut consumer = self.consumer.clone();
        let (mut found, mut others, mut bytes) = (Vec::new(), Vec::new(), 0);
        while found.len() + others.len() < usize::from(self.expected) && bytes < BYTES_MAX {
            let Some(Some(next)) = self.clock.timeout(IDLE_MAX, consumer.next()).await else { break };
            let delivery = self.session.answer("look into a queue", async { next }).await?;
            bytes += delivery.data.len();
            let now = self.clock.now();
            let received = wire::received(&delivery.properties, delivery.data, delivery.redelivered, None, now);
            let message = Message { tag: delivery.delivery_tag, received };
            match &wanted {
                Wanted::Id(id) if message.received.envelope.id != *id => others.push(message.tag),
                Wanted::Id(_) => {
                    found.push(message);
                    break;
                }
                Wanted::All => found.push(message),
            }
        }
        if !found.is_empty() {
            self.stop(found.len() + others.len(), &mut consumer, &mut others).await?;
        }
        // Otherwise the channel ends soon, and gives them back to their places.
        if !others.is_empty() && !found.is_empty() {
            try_join_all(others.into_iter().map(|tag| self.nack(tag))).await?;
        }
        Ok(found)
    }

    /// Stops the deliveries; what came too much is among the others.
    async fn stop(&self, seen: usize, consumer: &mut lapin::Consumer, others: &mut Vec<u64>) -> Result<()> {
        let cancel = self.channel.basic_cancel(self.consumer.tag(), lapin::options::BasicCancelOptions::default());
        self.session.answer("stop looking into a queue", cancel).await?;
        let mut late = usize::from(self.expected).saturating_sub(seen);
        while late > 0 {
            let Some(Some(Ok(delivery))) = self.clock.timeout(IDLE_MAX, consumer.next()).await else { break };
            others.push(delivery.delivery_tag);
            late -= 1;
        }
        Ok(())
    }

    /// Takes a message out of its queue, for good when this is answered.
    ///
    /// # Errors
    /// When the connection is lost, and with it the message.
    pub(super) async fn ack(&self, tag: u64) -> Result<()> {
        let ack = self.channel.basic_ack(tag, BasicAckOptions::default());
        self.session.answer("take a message out", ack).await?;
        let number = self.sent.fetch_add(1, Ordering::AcqRel) + 1;
        let mut taken = self.taken.lock().await;
        if *taken < number {
            // One for all that were sent by now.
            let sent = self.sent.load(Ordering::Acquire);
            barrier::pass(&self.session, &self.channel, &self.physical).await?;
            *taken = sent;
        }
        Ok(())
    }

    /// Gives a message back.
    ///
    /// # Errors
    /// When the connection is lost, which gives it back, too.
    pub(super) async fn nack(&self, tag: u64) -> Result<()> {
        let options = BasicNackOptions { multiple: false, requeue: true };
        self.session.answer("give a message back", self.channel.basic_nack(tag, options)).await
    }

    pub(super) fn is_alive(&self) -> bool {
        self.channel.status().connected() && self.session.is_alive()
    }

    /// Gives back what is left.
    pub(super) async fn end(&self) {
        // A connection that is lost has given it back.
        let _ = self.session.answer("close a channel", self.channel.close(200, "OK".into())).await;
    }
}
