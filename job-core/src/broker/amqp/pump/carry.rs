//! Drains one slot: publishes each message to where it belongs, has that confirmed, and acknowledges it only then.
//!
//! A job whose queue does not take it is put aside, into a later slot, so that it stands in nobody's way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, SelectAll};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};

use crate::broker::BoxFuture;
use crate::broker::amqp::barrier;
use crate::broker::amqp::declare::Thing;
use crate::broker::amqp::lane::{Answer, Lane};
use crate::broker::amqp::pump::parcel::{Goal, Parcel};
use crate::broker::amqp::pump::receipt::Receipts;
use crate::broker::amqp::pump::{Pump, look};
use crate::broker::amqp::session::Session;
use crate::broker::amqp::wheel::{Drain, SlotId, Step};
use crate::broker::amqp::wire;
use crate::error::{Error, Result};
use crate::sabotage;

/// A drain to which nothing comes for so long is over.
const IDLE_MAX: Duration = Duration::from_millis(100);

/// The longest wait for the next confirm, and for a connection to publish by.
const CONFIRM_MAX: Duration = Duration::from_secs(15);

/// How often a drain that waits for confirms looks whether RabbitMQ takes publishes at all.
const CONFIRM_LOOK: Duration = Duration::from_secs(1);

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
    slot_id: SlotId,
    /// The slot's name on the broker.
    slot: String,
    lane: Arc<Lane>,
    lanes: u32,
    drain: Drain,
    moving: FuturesUnordered<BoxFuture<'static, (Parcel, Answer)>>,
    /// Not taken by their goals on the channel of now.
    refused: Vec<Parcel>,
    refusals: HashMap<Goal, u32>,
    receipts: Receipts,
    /// When something was last confirmed, or RabbitMQ last took no publishes.
    heard: Instant,
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
            slot_id: slot,
            slot: pump.names.slot(slot.level, slot.index),
            lanes: 1,
            moving: FuturesUnordered::new(),
            refused: Vec::new(),
            refusals: HashMap::new(),
            receipts: Receipts::default(),
            heard: pump.clock.monotonic(),
            is_failed: false,
        };
        let carried = carrier.carry().await;
        let finished = carrier.finish().await;
        carrier.end().await;
        carried.and(finished)
    }

    async fn carry(&mut self) -> Result<()> {
        let mut streams = SelectAll::new();
        streams.push(self.consume(Drain::PREFETCH).await?);
        loop {
            if self.drain.needs_room() {
                streams.push(self.consume(Drain::ROOM).await?);
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
            tokio::select! {
                biased;
                Some(moved) = self.moving.next(), if !self.moving.is_empty() => self.settle(moved).await?,
                taken = streams.next(), if takes => match taken {
                    Some(Ok(message)) => self.take_many(message, &mut streams).await?,
                    _ => return Err(look::lost()),
                },
                () = self.session.lost() => return Err(look::lost()),
                () = self.pump.clock.sleep(IDLE_MAX), if self.moving.is_empty() => break,
                () = self.pump.clock.sleep(CONFIRM_LOOK), if !self.moving.is_empty() => {
                    if !self.is_patient() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins to take messages, so many ahead.
    async fn consume(&mut self, prefetch: u16) -> Result<Consumer> {
        let qos = self.channel.basic_qos(prefetch, BasicQosOptions::default());
        self.session.answer("set the window of a drain", qos).await?;
        let options = BasicConsumeOptions::default();
        let consume = self.channel.basic_consume(self.slot.as_str().into(), "".into(), options, FieldTable::default());
        self.session.answer(&format!("drain the queue \"{}\"", self.slot), consume).await
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
        self.receipts.open(message.delivery_tag);
        match self.drain.take(way.due, self.pump.now()) {
            Step::Hold => {}
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
        let slot = self.pump.declarer.slot(&self.session, slot, &self.pump.geometry, self.pump.now()).await?;
        if slot == self.slot_id {
            // Where its own slot has no leader: published here it would come round again at once, without end.
            self.drain.hold();
        } else {
            self.send(parcel.bound_for(slot));
        }
        Ok(())
    }

    fn send(&mut self, parcel: Parcel) {
        let (lane, pump) = (Arc::clone(&self.lane), Arc::clone(self.pump));
        let session = Arc::clone(&self.session);
        if self.moving.is_empty() {
            self.heard = self.pump.clock.monotonic();
        }
        self.moving.push(Box::pin(async move {
            let (parcel, answer) = parcel.publish(&lane, &pump.names).await;
            match (&answer, &parcel.goal) {
                (Answer::Confirmed, &Goal::Slot(SlotId { level, index }))
                    if !pump.declarer.outgrown(&session, &Thing::Slot { level, index }).await =>
                {
                    (parcel, Answer::Refused)
                }
                _ => (parcel, answer),
            }
        }));
    }

    /// Acknowledges what was moved.
    async fn settle(&mut self, moved: (Parcel, Answer)) -> Result<()> {
        self.heard = self.pump.clock.monotonic();
        let mut noted = self.note(moved);
        for _ in 1..BATCH {
            let Some(Some(moved)) = self.moving.next().now_or_never() else { break };
            noted = noted.and(self.note(moved));
        }
        // Also where the connection that publishes was just lost: what is confirmed would be moved a second time.
        self.flush().await?;
        noted
    }

    fn note(&mut self, (parcel, answer): (Parcel, Answer)) -> Result<()> {
        match answer {
            Answer::Confirmed => {
                sabotage::fail_point("amqp.pump.confirmed");
                self.refusals.remove(&parcel.goal);
                self.receipts.confirm(parcel.tag);
            }
            Answer::Unknown(_) if !self.lane.session.is_alive() => return Err(look::lost()),
            _ => self.refused.push(parcel),
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let due = self.receipts.take();
        self.acknowledge(due).await
    }

    async fn acknowledge(&mut self, due: Vec<(u64, bool)>) -> Result<()> {
        for (tag, multiple) in due {
            let ack = self.channel.basic_ack(tag, BasicAckOptions { multiple });
            self.session.answer("acknowledge what was moved", ack).await?;
        }
        Ok(())
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

    /// Ends the drain in order, however it went: what is under way is still confirmed and acknowledged, as it would be
    /// moved a second time otherwise. What is held goes back when the channel closes.
    async fn finish(&mut self) -> Result<()> {
        let landed = self.land().await;
        let rest = self.receipts.take_rest();
        self.acknowledge(rest).await?;
        barrier::pass(&self.session, &self.channel, &self.slot).await?;
        landed?;
        if self.is_failed || !self.refused.is_empty() { Err(refused()) } else { Ok(()) }
    }

    /// Waits for what is under way, as long as there is somebody to acknowledge it to.
    async fn land(&mut self) -> Result<()> {
        while !self.moving.is_empty() && self.is_open() {
            tokio::select! {
                biased;
                // One that will not be confirmed changes nothing for the others.
                Some(moved) = self.moving.next() => drop(self.settle(moved).await),
                () = self.session.lost() => return Err(look::lost()),
                () = self.pump.clock.sleep(CONFIRM_LOOK) => {
                    if !self.is_patient() {
                        return Err(refused());
                    }
                }
            }
        }
        Ok(())
    }

    /// Says whether what is under way may still be confirmed. What was sent just before RabbitMQ ran short of something waits
    /// in the connection, and is stored when that is over, or some time later: given back before, it would be moved once
    /// more.
    fn is_patient(&mut self) -> bool {
        let session = &self.lane.session;
        if session.is_alive() && session.blocked().is_some() && !self.pump.life.closing.is_cancelled() {
            self.heard = self.pump.clock.monotonic();
        }
        session.is_alive() && self.pump.clock.monotonic().saturating_duration_since(self.heard) < CONFIRM_MAX
    }

    fn is_open(&self) -> bool {
        self.channel.status().connected() && self.session.is_alive()
    }

    async fn end(&mut self) {
        if self.is_open() {
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
