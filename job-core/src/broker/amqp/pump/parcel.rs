//! One message on its way from a slot, kept until it is confirmed elsewhere.

use lapin::BasicProperties;
use lapin::message::Delivery;

use crate::broker::amqp::lane::{Answer, Lane, Publish};
use crate::broker::amqp::name::Names;
use crate::broker::amqp::wheel::SlotId;
use crate::broker::amqp::wire::{self, Onward, Way};
use crate::name::QueueName;

/// A message that is being moved.
pub(super) struct Parcel {
    /// Its number on the channel by which it came.
    pub(super) tag: u64,
    pub(super) due: Option<i64>,
    pub(super) goal: Goal,
    /// The queue behind the slots.
    destination: Option<QueueName>,
    properties: BasicProperties,
    body: Vec<u8>,
}

/// Where a message is moved to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Goal {
    Slot(SlotId),
    Queue(QueueName),
    /// Nobody knows whose it is.
    Unrouted,
}

impl Parcel {
    /// Makes one of a message that leaves the wheel.
    pub(super) fn new(message: Delivery, way: Way) -> Self {
        let Delivery { delivery_tag: tag, properties, data: body, .. } = message;
        let goal = way.destination.clone().map_or(Goal::Unrouted, Goal::Queue);
        Self { tag, due: way.due, goal, destination: way.destination, properties, body }
    }

    /// Returns it on its way to a slot.
    pub(super) fn bound_for(self, slot: SlotId) -> Self {
        Self { goal: Goal::Slot(slot), ..self }
    }

    /// Says whether somebody put it into the slot who knew where it is going.
    pub(super) fn has_destination(&self) -> bool {
        self.destination.is_some()
    }

    /// Publishes it, and returns it with the answer.
    pub(super) async fn publish(self, lane: &Lane, names: &Names) -> (Self, Answer) {
        let (exchange, key, onward) = match &self.goal {
            Goal::Slot(slot) => (names.only(), names.slot(slot.level, slot.index), Onward::Slot),
            Goal::Queue(queue) => (names.only(), names.queue(queue), Onward::Out),
            // Without a key: nobody is to take the slot for its queue.
            Goal::Unrouted => (names.unrouted(), String::new(), Onward::Out),
        };
        let properties = wire::passed(&self.properties, onward);
        let publish = Publish { exchange: &exchange, key: &key, body: &self.body, properties, is_mandatory: false };
        let answer = lane.publish(publish).await;
        (self, answer)
    }
}
