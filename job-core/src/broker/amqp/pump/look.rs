//! Looks at slots, and counts the pumps that turn.

use std::sync::Arc;

use lapin::options::{BasicConsumeOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};

use crate::broker::amqp::declare::Thing;
use crate::broker::amqp::fault;
use crate::broker::amqp::pump::Pump;
use crate::broker::amqp::session::Session;
use crate::broker::amqp::wheel::{PEEK, SlotId};
use crate::broker::amqp::wire;
use crate::error::{Error, Result};

/// What a look at a queue shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    /// Messages that nobody has taken.
    pub(super) ready: u32,
    pub(super) consumers: u32,
}

/// The channel by which a pump looks.
pub(super) struct Looker {
    pump: Arc<Pump>,
    session: Arc<Session>,
    channel: Channel,
    /// The consumer by which this pump is counted, and its channel.
    counted: Option<(Channel, Consumer)>,
}

impl Looker {
    /// Opens a channel.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn open(pump: &Arc<Pump>, session: &Arc<Session>) -> Result<Self> {
        // What leaves the wheel for a queue that does not exist must have a place to go.
        pump.declarer.ensure(session, &Thing::Base).await?;
        let channel = session.channel().await?;
        Ok(Self { pump: Arc::clone(pump), session: Arc::clone(session), channel, counted: None })
    }

    /// Looks at a slot, and makes it if it is not there: to look for what is not there closes the channel, and leaves an
    /// error in the broker's log, each second and slot. `None` when it has no leader.
    ///
    /// # Errors
    /// When RabbitMQ does not answer, or refuses: the channel is closed then.
    pub(super) async fn look(&self, slot: SlotId) -> Result<Option<Depth>> {
        self.depth(&slot.into(), self.pump.names.slot(slot.level, slot.index)).await
    }

    /// Returns how many pumps turn, this one included if it does.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(super) async fn turning(&self) -> Result<u32> {
        // Where they cannot be counted, all turn.
        Ok(self.depth(&Thing::Pumps, self.pump.names.pumps()).await?.map_or(0, |depth| depth.consumers))
    }

    /// Has this pump counted among those that turn, or not.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(super) async fn set_counted(&mut self, is_turning: bool) -> Result<()> {
        match (is_turning, self.counted.take()) {
            (true, None) if !self.pump.declarer.is_mute(&self.session, &Thing::Pumps) => {
                let channel = self.session.channel().await?;
                let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
                let queue = self.pump.names.pumps();
                let consume = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
                let consumer = self.session.answer("be counted among the pumps", consume).await?;
                self.counted = Some((channel, consumer));
            }
            (false, Some((channel, _))) => {
                self.session.answer("close a channel", channel.close(200, "OK".into())).await?;
            }
            (_, counted) => self.counted = counted,
        }
        Ok(())
    }

    /// Returns when some of a slot's messages are due. They go back behind all others.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(super) async fn peek(&self, slot: SlotId) -> Result<Vec<Option<i64>>> {
        let name = self.pump.names.slot(slot.level, slot.index);
        let mut seen = Vec::new();
        let mut last = None;
        while seen.len() < usize::from(PEEK) {
            let get = self.channel.basic_get(name.as_str().into(), BasicGetOptions { no_ack: false });
            let Some(message) = self.session.answer("look into a delay slot", get).await? else { break };
            seen.push(wire::way(&message.delivery.properties).due);
            last = Some(message.delivery.delivery_tag);
        }
        if let Some(tag) = last {
            let options = BasicNackOptions { multiple: true, requeue: true };
            self.session.answer("give back what was looked at", self.channel.basic_nack(tag, options)).await?;
        }
        Ok(seen)
    }

    async fn depth(&self, thing: &Thing, name: String) -> Result<Option<Depth>> {
        let declared = self.pump.declarer.ensure(&self.session, thing).await;
        if declared.is_err() && self.pump.declarer.is_mute(&self.session, thing) {
            return Ok(None);
        }
        declared?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let look = self.channel.queue_declare(name.as_str().into(), options, FieldTable::default());
        let what = format!("look at the queue \"{name}\"");
        let queue = self.session.attempt(&what, look).await?.map_err(|cause| {
            if fault::is_not_found(&cause) {
                // Somebody has deleted it: it is made anew by the next look.
                self.pump.declarer.forget();
            }
            fault::error(&what, &cause)
        })?;
        Ok(Some(Depth { ready: queue.message_count(), consumers: queue.consumer_count() }))
    }
}

/// Returns the error of a connection that was lost.
pub(super) fn lost() -> Error {
    Error::unavailable("the connection to RabbitMQ was lost")
}
