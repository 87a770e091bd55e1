//! Drains one slot: publishes each message to where it belongs, has that confirmed, and acknowledges it only then.
//!
//! A job whose queue does not take it is put aside, into a later slot, so that it stands in nobody's way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesOrdered, SelectAll};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};

use crate::broker::BoxFuture;
use crate::broker::amqp::declare::Thing;
use crate::broker::amqp::lane::{Answer, Lane};
use crate::broker::amqp::pump::parcel::{Goal, Parcel};
use crate::broker::amqp::pump::{Pump, look};
use crate::broker::amqp::session::Session;
use crate::broker::amqp::wheel::{Drain, SlotId, Step};
use crate::broker::amqp::wire;
use crate::error::{Error, Result};
use crate::sabotage;

/// A drain to which nothing comes for so long is over.
const IDLE_MAX: Duration = Duration::from_millis(100);

/// The longest wait for a confirm, and for a connection to publish by.
const CONFIRM_MAX: Duration = Duration::from_secs(15);

/// Refusals, each on a channel of its own, after which a queue is taken for full. A queue that has lost its leader has
/// another within half a second, and a channel that was opened before refuses for as long as that node is away.
const REFUSALS_MAX: u32 = 3;

/// The channels of one drain. Beyond that, what refuses once is taken for full.
const LANES_MAX: u32 = 12;

/// The pause after a refusal is a random one in between.
const REFUSED_PAUSE_MIN: Duration = Duration::from_millis(300);
const REFUSED_PAUSE_MAX: Duration = Duration::from_millis(500);

/// Messages that are taken, or confirms that are read, before the other gets its turn.
const BATCH: usize = 64;

/// One drain.
pub(super) struct Carrier<'a> {
    pump: &'a Arc<Pump>,
    session: Arc<Session>,
    channel: Channel,
    tags: Vec<ShortString>,
    lane: Arc<Lane>,
    lanes: u32,
    drain: Drain,
    moving: FuturesOrdered<BoxFuture<'static, (Parcel, Answer)>>,
    /// Not taken by their goals on the channel of now.
    refused: Vec<Parcel>,
    refusals: HashMap<Goal, u32>,
    /// Something is held, or was acknowledged out of its order: no acknowledgement may reach over it.
    has_gaps: bool,
    /// All up to this one are confirmed and not yet acknowledged.
    through: Option<u64>,
    is_failed: bool,
}

impl<'a> Carrier<'a> {
    /// Moves what is in a slot that holds `ready` messages.
    ///
    /// # Errors
    /// When some of it could not be moved. It is in the slot still.
    pub(super) async fn drain(pump: &'a Arc<Pump>, session: Arc<Session>, slot: SlotId, ready: u32) -> Result<()> {
        let mut carrier = Self {
            lane: open_lane(pump).await?,
            channel: session.channel().await?,
            drain: Drain::new(pump.geometry, slot, ready),
            pump,
            session,
            tags: Vec::new(),
            lanes: 1,
            moving: FuturesOrdered::new(),
            refused: Vec::new(),
            refusals: HashMap::new(),
            has_gaps: false,
            through: None,
            is_failed: false,
        };
        let result = carrier.run(&pump.names.slot(slot.level, slot.index)).await;
        carrier.end().await;
        result
    }

    async fn run(&mut self, slot: &str) -> Result<()> {
        let mut streams = SelectAll::new();
        streams.push(self.consume(slot, Drain::PREFETCH).await?);
        loop {
            if self.drain.needs_room() {
                streams.push(self.consume(slot, Drain::ROOM).await?);
                self.drain.make_room();
            }
            let takes = self.refused.is_empty() && !self.drain.is_over() && !self.pump.life.closing.is_cancelled();
            if self.moving.is_empty() {
                if !self.refused.is_empty() {
                    self.try_again().await?;
                    continue;
                }
                if !takes {
                    break;
                }
            }
            let patience = if self.moving.is_empty() { IDLE_MAX } else { CONFIRM_MAX };
            tokio::select! {
                biased;
                Some(moved) = self.moving.next(), if !self.moving.is_empty() => self.settle(moved).await?,
                taken = streams.next(), if takes => match taken {
                    Some(Ok(message)) => self.take_many(message, &mut streams).await?,
                    _ => return Err(look::lost()),
                },
                () = self.session.lost() => return Err(look::lost()),
                () = self.pump.clock.sleep(patience) => {
                    if !self.moving.is_empty() {
                        return Err(refused());
                    }
                    break;
                }
            }
        }
        self.finish().await
    }

    /// Begins to take messages, so many ahead.
    async fn consume(&mut self, slot: &str, prefetch: u16) -> Result<Consumer> {
        let qos = self.channel.basic_qos(prefetch, BasicQosOptions::default());
        self.session.answer("set the window of a drain", qos).await?;
        let options = BasicConsumeOptions::default();
        let consume = self.channel.basic_consume(slot.into(), "".into(), options, FieldTable::default());
        let stream = self.session.answer(&format!("drain the queue \"{slot}\""), consume).await?;
        self.tags.push(stream.tag());
        Ok(stream)
    }

    /// Takes a message, and what else is there.
    async fn take_many(&mut self, message: Delivery, streams: &mut SelectAll<Consumer>) -> Result<()> {
        self.take(message).await?;
        for _ in 1..BATCH {
            if self.drain.is_over() || self.drain.needs_room() {
                break;
            }
            let Some(Some(Ok(message))) = streams.next().now_or_never() else { break };
            self.take(message).await?;
        }
        Ok(())
    }

    async fn take(&mut self, message: Delivery) -> Result<()> {
        let way = wire::way(&message.properties);
        match self.drain.take(way.due, self.pump.now()) {
            Step::Hold => self.has_gaps = true,
            Step::Go(slot) => self.go(Parcel::new(message, way), slot).await?,
            Step::Leave => self.leave(Parcel::new(message, way)).await?,
        }
        Ok(())
    }

    /// Sends a message to its queue, or aside if that does not take it.
    async fn leave(&mut self, parcel: Parcel) -> Result<()> {
        if self.is_full(&parcel.goal) && parcel.has_destination() {
            let slot = self.drain.aside(parcel.due, self.pump.now(), fastrand::f64());
            return self.go(parcel, slot).await;
        }
        self.send(parcel);
        Ok(())
    }

    /// Sends a message to another slot.
    async fn go(&mut self, parcel: Parcel, slot: SlotId) -> Result<()> {
        let SlotId { level, index } = slot;
        self.pump.declarer.ensure(&self.session, &Thing::Slot { level, index }).await?;
        self.send(parcel.bound_for(slot));
        Ok(())
    }

    fn send(&mut self, parcel: Parcel) {
        let (lane, pump) = (Arc::clone(&self.lane), Arc::clone(self.pump));
        self.moving.push_back(Box::pin(async move { parcel.publish(&lane, &pump.names).await }));
    }

    /// Acknowledges what was moved.
    async fn settle(&mut self, moved: (Parcel, Answer)) -> Result<()> {
        self.note(moved).await?;
        for _ in 1..BATCH {
            let Some(Some(moved)) = self.moving.next().now_or_never() else { break };
            self.note(moved).await?;
        }
        self.flush().await
    }

    async fn note(&mut self, (parcel, answer): (Parcel, Answer)) -> Result<()> {
        match answer {
            Answer::Confirmed => {
                sabotage::fail_point("amqp.pump.confirmed");
                self.refusals.remove(&parcel.goal);
                if self.has_gaps {
                    return self.ack(parcel.tag, false).await;
                }
                self.through = Some(parcel.tag);
            }
            Answer::Unknown(_) if !self.lane.session.is_alive() => return Err(look::lost()),
            _ => {
                self.has_gaps = true;
                self.refused.push(parcel);
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        match self.through.take() {
            Some(tag) => self.ack(tag, true).await,
            None => Ok(()),
        }
    }

    async fn ack(&mut self, tag: u64, multiple: bool) -> Result<()> {
        let ack = self.channel.basic_ack(tag, BasicAckOptions { multiple });
        self.session.answer("acknowledge what was moved", ack).await
    }

    /// Waits a moment, and sends what was refused by another channel, or aside.
    async fn try_again(&mut self) -> Result<()> {
        let refused = std::mem::take(&mut self.refused);
        for goal in refused.iter().map(|parcel| parcel.goal.clone()).collect::<HashSet<_>>() {
            *self.refusals.entry(goal).or_default() += 1;
        }
        self.lanes += 1;
        let pause = REFUSED_PAUSE_MIN + (REFUSED_PAUSE_MAX - REFUSED_PAUSE_MIN).mul_f64(fastrand::f64());
        self.pump.clock.sleep(pause).await;
        self.lane = open_lane(self.pump).await?;
        for parcel in refused {
            match parcel.goal {
                Goal::Slot(_) if self.is_full(&parcel.goal) => {
                    // Not even a slot takes it: it stays where it is.
                    self.drain.hold();
                    self.is_failed = true;
                }
                Goal::Slot(slot) => self.go(parcel, slot).await?,
                Goal::Queue(_) | Goal::Unrouted => self.leave(parcel).await?,
            }
        }
        Ok(())
    }

    fn is_full(&self, goal: &Goal) -> bool {
        let limit = if self.lanes > LANES_MAX { 1 } else { REFUSALS_MAX };
        self.refusals.get(goal).is_some_and(|refusals| *refusals >= limit)
    }

    /// Ends the drain in order. What is held goes back when the channel closes.
    async fn finish(&mut self) -> Result<()> {
        self.flush().await?;
        for tag in std::mem::take(&mut self.tags) {
            // It is answered: a channel that is closed right behind its acknowledgements may lose them.
            let cancel = self.channel.basic_cancel(tag, BasicCancelOptions::default());
            self.session.answer("end a drain", cancel).await?;
        }
        if self.is_failed { Err(refused()) } else { Ok(()) }
    }

    async fn end(&mut self) {
        if self.channel.status().connected() && self.session.is_alive() {
            // What cannot be closed ends with its connection; either way what it holds goes back.
            let _ = self.session.answer("close a channel", self.channel.close(200, "OK".into())).await;
        }
    }
}

async fn open_lane(pump: &Pump) -> Result<Arc<Lane>> {
    let session = pump.publishing.session(CONFIRM_MAX).await?;
    if let Some(reason) = session.blocked() {
        return Err(Error::unavailable(format!("RabbitMQ takes no messages at the moment: {reason}")));
    }
    Ok(Arc::new(Lane::open(session).await?))
}

fn refused() -> Error {
    Error::unconfirmed("RabbitMQ did not confirm what was moved: a queue is full, or has no leader at the moment")
}
