//! Counts what is delayed. RabbitMQ knows that for all queues together: it lies in the slots of the wheel.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::broker::amqp::declare::Thing;
use crate::broker::amqp::fault;
use crate::broker::amqp::inspect::Inspector;
use crate::broker::amqp::session::Session;
use crate::broker::amqp::wheel::{SlotId, V1};
use crate::error::Result;

/// Looks at slots, on a channel that is made again when it was closed.
struct Count<'a> {
    inspector: &'a Inspector,
    session: &'a Session,
    channel: Option<Channel>,
}

impl Inspector {
    /// Returns how many messages are not due yet, whatever queue they are for. A slot that is being emptied counts as one
    /// at least: what a pump holds is neither there nor in its queue.
    ///
    /// To look for a slot that was never made closes a channel and leaves an error in RabbitMQ's log: who looks again and
    /// again makes them.
    ///
    /// # Errors
    /// When RabbitMQ cannot be asked.
    pub(in crate::broker::amqp) async fn delayed(&self, makes_slots: bool) -> Result<u64> {
        let session = self.session().await?;
        let mut count = Count { inspector: self, session: &session, channel: None };
        let mut delayed = 0;
        for slot in (0..V1.levels).flat_map(|level| V1.level(level)) {
            if makes_slots {
                let SlotId { level, index } = slot;
                self.declarer.ensure(&session, &Thing::Slot { level, index }).await?;
            }
            delayed += count.look(slot).await?;
        }
        if let Some(channel) = count.channel {
            session.answer("close a channel", channel.close(200, "OK".into())).await?;
        }
        Ok(delayed)
    }
}

impl Count<'_> {
    async fn look(&mut self, slot: SlotId) -> Result<u64> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.session.channel().await?,
        };
        let name = self.inspector.names.slot(slot.level, slot.index);
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let what = format!("look at the queue \"{name}\"");
        let look = channel.queue_declare(name.into(), options, FieldTable::default());
        match self.session.attempt(&what, look).await? {
            Ok(queue) => {
                self.channel = Some(channel);
                Ok(queue.message_count().max(queue.consumer_count().min(1)).into())
            }
            // Nobody has put anything there yet. The answer has closed the channel.
            Err(cause) if fault::is_not_found(&cause) => Ok(0),
            Err(cause) => Err(fault::error(&what, &cause)),
        }
    }
}
