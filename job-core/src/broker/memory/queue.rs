//! One queue in memory: the messages that wait in it, by due time and then by insertion, and the ids that it holds.

use std::collections::{BTreeMap, HashSet};

use crate::broker::Which;
use crate::clock::Timestamp;
use crate::envelope::Envelope;
use crate::name::JobId;

/// Messages of one queue. Claimed ones are elsewhere, but their ids are still held.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) is_declared: bool,
    /// The process that it goes with, where it is not durable.
    pub(super) owner: Option<u64>,
    waiting: BTreeMap<Position, Message>,
    ids: HashSet<JobId>,
}

/// One stored message.
pub(super) struct Message {
    pub(super) envelope: Envelope,
    pub(super) redeliveries: u32,
    position: Position,
}

/// Since when a message could be delivered, and the number of its insertion.
type Position = (Timestamp, u64);

impl Message {
    pub(super) fn new(envelope: Envelope, number: u64, now: Timestamp) -> Self {
        let due = match envelope.not_before {
            Some(at) if at > now => at,
            // A producer whose clock is ahead must not delay its jobs.
            _ => envelope.runnable_since().min(now),
        };
        Self { envelope, redeliveries: 0, position: (due, number) }
    }

    pub(super) fn due(&self) -> Timestamp {
        self.position.0
    }
}

impl Queue {
    /// Makes the queue of a process.
    pub(super) fn of_process(process: u64) -> Self {
        Self { owner: Some(process), ..Self::default() }
    }

    /// Adds a message unless its id is held; says whether it did.
    pub(super) fn store(&mut self, message: Message) -> bool {
        let is_new = self.ids.insert(message.envelope.id.clone());
        if is_new {
            self.give_back(message);
        }
        is_new
    }

    /// Lets a message whose id is held wait where it waited before.
    pub(super) fn give_back(&mut self, message: Message) {
        self.waiting.insert(message.position, message);
    }

    /// Removes a message and its id.
    pub(super) fn forget(&mut self, id: &JobId) {
        self.ids.remove(id);
        self.waiting.retain(|_, message| message.envelope.id != *id);
    }

    pub(super) fn remove_due(&mut self, max: usize, now: Timestamp) -> Vec<Message> {
        let count = self.ready(now).take(max).count();
        self.remove_first(count)
    }

    /// Removes waiting messages, due or not.
    pub(super) fn remove(&mut self, which: &Which) -> Vec<Message> {
        match which {
            Which::First(count) => self.remove_first(*count),
            Which::Id(id) => {
                self.waiting.extract_if(.., |_, message| message.envelope.id == *id).map(|(_, m)| m).collect()
            }
        }
    }

    /// Returns what could be delivered, in order.
    pub(super) fn ready(&self, now: Timestamp) -> impl Iterator<Item = &Message> {
        self.waiting().take_while(move |message| message.due() <= now)
    }

    /// Returns what waits, due or not, in order.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Message> {
        self.waiting.values()
    }

    fn remove_first(&mut self, count: usize) -> Vec<Message> {
        std::iter::from_fn(|| self.waiting.pop_first()).map(|(_, message)| message).take(count).collect()
    }
}
