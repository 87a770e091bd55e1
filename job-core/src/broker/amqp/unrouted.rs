//! Moves jobs whose queue did not exist to their queue, once that exists.
//!
//! Safe to run anywhere and at the same time as others: RabbitMQ gives each message to one of them. A message is confirmed
//! in its queue before it is taken out here, so that a crash in between duplicates it and loses nothing. What cannot be
//! moved stays: in its place where there is little of it, and behind the rest where it would hide that.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation};

use crate::broker::Outgoing;
use crate::broker::amqp::barrier;
use crate::broker::amqp::declare::{Declarer, Thing};
use crate::broker::amqp::fault;
use crate::broker::amqp::link::Link;
use crate::broker::amqp::name::Names;
use crate::broker::amqp::options::AmqpOptions;
use crate::broker::amqp::publisher::Publisher;
use crate::broker::amqp::session::{ANSWER_MAX, Session};
use crate::broker::amqp::wire;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::sabotage;

/// Messages that one sweep holds at the most.
const WINDOW: u16 = 500;

/// A sweep ends when nothing comes for this long: others sweep, too.
const IDLE_MAX: Duration = Duration::from_millis(500);

/// What no job's queue is called.
const RESERVED: [&str; 2] = ["jobs.", "events."];

/// Moves what is unrouted.
#[derive(Debug)]
pub(super) struct Mover {
    pub(super) consuming: Arc<Link>,
    pub(super) publishing: Arc<Link>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) names: Arc<Names>,
    pub(super) options: AmqpOptions,
    pub(super) clock: Clock,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Messages that are in their queue now.
    pub(super) moved: u64,
    /// Messages that were looked at and stay.
    pub(super) left: u64,
}

/// Where a message belongs.
#[derive(Debug, PartialEq)]
enum Way {
    /// This queue.
    Queue(QueueName),
    /// A slot of the wheel, which is to be chosen anew.
    Slot(Box<Outgoing>),
}

impl Mover {
    /// Looks once at each message that waits now.
    ///
    /// # Errors
    /// When a connection is lost: what was not confirmed in its queue is still here.
    pub(super) async fn sweep(&self) -> Result<Sweep> {
        let session = self.consuming.session(ANSWER_MAX).await?;
        let waiting = ready(&session, &self.names.unrouted()).await?.unwrap_or(0);
        if waiting == 0 {
            return Ok(Sweep::default());
        }
        let publishing = self.publishing.session(ANSWER_MAX).await?;
        let channel = session.channel().await?;
        session.answer("set the window of a consumer", channel.basic_qos(WINDOW, BasicQosOptions::default())).await?;
        let consume = channel.basic_consume(
            self.names.unrouted().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut consumer = pin!(session.answer("look at what is unrouted", consume).await?);
        let mut round = Round::open(self, &session, publishing).await?;
        let mut held = Vec::new();
        // No more than waited at the beginning: a message that comes back here must not be moved in circles.
        for _ in 0..waiting {
            let Some(Some(Ok(delivery))) = self.clock.timeout(IDLE_MAX, consumer.next()).await else { break };
            if !round.take(&delivery).await? {
                held.push(delivery);
            }
            if held.len() >= WINDOW.into() {
                break;
            }
        }
        if held.len() >= WINDOW.into() {
            // They fill the window, and would hide what can be moved for ever. Not while we consume: they would come again.
            let cancel = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
            session.answer("stop a consumer", cancel).await?;
            round.put_behind(&held).await?;
        }
        barrier::pass(&session, &channel, &self.names.unrouted()).await?;
        // What was not moved goes back to its place.
        session.answer("close a channel", channel.close(200, "OK".into())).await?;
        Ok(round.sweep)
    }

    fn way(&self, delivery: &Delivery) -> Option<Way> {
        let queue = self.names.logical(delivery.routing_key.as_str())?;
        let received = wire::received(&delivery.properties, delivery.data.clone(), false, None, self.clock.now());
        if let Some(destination) = received.destination {
            // Its slot did not exist.
            let destination = QueueName::parse_any(&destination).ok()?;
            return Some(Way::Slot(Box::new(Outgoing::only(destination, received.envelope))));
        }
        if RESERVED.iter().any(|prefix| queue.as_str().starts_with(prefix)) {
            return None;
        }
        let is_dead = delivery.exchange.as_str() == self.names.dead_exchange();
        Some(Way::Queue(if is_dead { queue.dead() } else { queue }))
    }
}

/// One sweep under way.
struct Round<'a> {
    mover: &'a Mover,
    session: &'a Session,
    publishing: Arc<Session>,
    confirming: Channel,
    declarer: Declarer,
    known: HashMap<QueueName, bool>,
    sweep: Sweep,
}

impl<'a> Round<'a> {
    async fn open(mover: &'a Mover, session: &'a Session, publishing: Arc<Session>) -> Result<Self> {
        let confirming = publishing.channel().await?;
        let confirm = confirming.confirm_select(ConfirmSelectOptions::default());
        publishing.answer("turn on confirms", confirm).await?;
        let declarer = Declarer::new(Arc::clone(&mover.names), &mover.options);
        Ok(Self { mover, session, publishing, confirming, declarer, known: HashMap::new(), sweep: Sweep::default() })
    }

    /// Moves a message to where it belongs; returns whether that was possible.
    async fn take(&mut self, delivery: &Delivery) -> Result<bool> {
        let is_moved = match self.mover.way(delivery) {
            None => false,
            Some(Way::Slot(message)) => self.mover.publisher.publish(&message).await.map(|_| true)?,
            Some(Way::Queue(queue)) => {
                let is_there = self.is_there(&queue).await?;
                if is_there {
                    let names = &self.mover.names;
                    self.publish(&names.only(), &names.queue(&queue), delivery).await?;
                }
                is_there
            }
        };
        if is_moved {
            self.sweep.moved += 1;
            self.acknowledge(delivery).await?;
        } else {
            self.sweep.left += 1;
        }
        Ok(is_moved)
    }

    /// Sends messages their own way once more, at whose end they come behind all others here. RabbitMQ would put what is
    /// given back before them.
    async fn put_behind(&self, held: &[Delivery]) -> Result<()> {
        let names = &self.mover.names;
        let ours = [names.jobs(), names.only(), names.dead_exchange()];
        // Nobody knows whether somebody else's exchange still leads here: RabbitMQ confirms what goes nowhere.
        let to_here = names.unrouted();
        for delivery in held {
            let exchange = ours.iter().find(|exchange| **exchange == delivery.exchange.as_str()).unwrap_or(&to_here);
            self.publish(exchange, delivery.routing_key.as_str(), delivery).await?;
            self.acknowledge(delivery).await?;
        }
        Ok(())
    }

    /// Takes a message out that is confirmed elsewhere: a crash in between leaves two of it, the reverse would leave none.
    async fn acknowledge(&self, delivery: &Delivery) -> Result<()> {
        sabotage::fail_point("amqp.unrouted.confirmed");
        let ack = delivery.acker.ack(BasicAckOptions::default());
        self.session.answer("take out what was unrouted", ack).await.map(drop)
    }

    /// Says whether a queue exists and can be reached. Never makes one: its owner decides whether it is to be.
    async fn is_there(&mut self, queue: &QueueName) -> Result<bool> {
        if let Some(is_there) = self.known.get(queue) {
            return Ok(*is_there);
        }
        let names = &self.mover.names;
        // A queue of ours that stands in for somebody else's is bound to its key; the other must not be.
        let is_external = ready(self.session, &names.queue(&queue.retry())).await?.is_some();
        let is_there =
            is_external || (ready(self.session, &names.queue(queue)).await?.is_some() && self.bind(queue).await?);
        self.known.insert(queue.clone(), is_there);
        Ok(is_there)
    }

    /// Binds a queue as ours are: without that, what is published for it would come back here.
    async fn bind(&self, queue: &QueueName) -> Result<bool> {
        match self.declarer.ensure(self.session, &Thing::Queue(queue.clone())).await {
            Ok(()) => Ok(true),
            // It exists and is no queue of ours, or must not be bound.
            Err(error) if error.is_invalid() || error.is_denied() => {
                tracing::warn!(target: "job", %queue, %error, "unrouted jobs of this queue cannot be moved");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn publish(&self, exchange: &str, key: &str, delivery: &Delivery) -> Result<()> {
        let properties = wire::carried(&delivery.properties, |_| true);
        let publish = async {
            let options = BasicPublishOptions::default();
            let sent = self.confirming.basic_publish(exchange.into(), key.into(), options, &delivery.data, properties);
            sent.await?.await
        };
        match self.publishing.answer("move what was unrouted", publish).await? {
            Confirmation::Ack(_) => Ok(()),
            _ => Err(Error::unconfirmed("RabbitMQ refuses a message that was unrouted")),
        }
    }
}

/// Returns how many messages of a queue could be delivered now; `None` when there is no such queue.
///
/// # Errors
/// When RabbitMQ does not answer.
pub(super) async fn ready(session: &Session, physical: &str) -> Result<Option<u32>> {
    let channel = session.channel().await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let what = format!("look at the queue \"{physical}\"");
    let look = channel.queue_declare(physical.into(), options, FieldTable::default());
    match session.attempt(&what, look).await? {
        Ok(queue) => {
            session.answer("close a channel", channel.close(200, "OK".into())).await?;
            Ok(Some(queue.message_count()))
        }
        Err(cause) if fault::is_not_found(&cause) => Ok(None),
        Err(cause) => Err(fault::error(&what, &cause)),
    }
}

#[cfg(test)]
mod tests;
