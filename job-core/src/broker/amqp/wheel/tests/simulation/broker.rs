//! The slots of a simulated broker.

use std::collections::{BTreeMap, VecDeque};

use crate::broker::amqp::wheel::geometry::SlotId;

/// A copy of a job that is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) job: usize,
    pub(crate) hops: i64,
}

/// Queues, in the order of their messages, without those that a pump has taken.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    queues: BTreeMap<SlotId, VecDeque<Message>>,
    consumers: BTreeMap<SlotId, usize>,
}

impl Broker {
    pub(crate) fn push(&mut self, slot: SlotId, message: Message) {
        self.queues.entry(slot).or_default().push_back(message);
    }

    pub(crate) fn push_front(&mut self, slot: SlotId, message: Message) {
        self.queues.entry(slot).or_default().push_front(message);
    }

    pub(crate) fn pop(&mut self, slot: SlotId) -> Option<Message> {
        self.queues.get_mut(&slot)?.pop_front()
    }

    pub(crate) fn ready(&self, slot: SlotId) -> usize {
        self.queues.get(&slot).map_or(0, VecDeque::len)
    }

    /// Returns what a peek at so many messages sees; they go back behind all others.
    pub(crate) fn peek(&mut self, slot: SlotId, count: usize) -> Vec<Message> {
        let Some(queue) = self.queues.get_mut(&slot) else { return Vec::new() };
        let seen: Vec<Message> = queue.drain(..count.min(queue.len())).collect();
        queue.extend(&seen);
        seen
    }

    pub(crate) fn consumers(&self, slot: SlotId) -> usize {
        self.consumers.get(&slot).copied().unwrap_or(0)
    }

    pub(crate) fn attach(&mut self, slot: SlotId) {
        *self.consumers.entry(slot).or_default() += 1;
    }

    pub(crate) fn detach(&mut self, slot: SlotId) {
        *self.consumers.get_mut(&slot).expect("it was attached") -= 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.values().all(VecDeque::is_empty)
    }

    /// Returns the slots that hold something.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = SlotId> {
        self.queues.iter().filter(|(_, queue)| !queue.is_empty()).map(|(slot, _)| *slot)
    }
}
