//! Remembers which deliveries ran here and were settled, so that one that comes back is not run again.
//!
//! An acknowledgement of AMQP has no answer. When a connection ends, the broker hands out again what it had not heard of,
//! and this process is the one that knows better: it acknowledges such a delivery without running it. What was released
//! or moved is never remembered, since it has not run.
//!
//! A delivery that the broker hands out for the first time is always new, whatever its id: an id may be enqueued again
//! once its job is done. Such a job may be handed out twice as well; it is told from the one before by when it was
//! enqueued.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::clock::Timestamp;
use crate::envelope::Envelope;
use crate::name::{JobId, QueueName};

/// The latest deliveries that were settled. The broker can only hand out again what it held to be unsettled, so twice the
/// windows of all consumers are enough.
#[derive(Debug)]
pub(super) struct Settled {
    capacity: usize,
    order: VecDeque<Key>,
    /// How often each of the first `indexed` of them is there. The others join when somebody asks: of most, nobody does.
    index: HashMap<Key, usize>,
    indexed: usize,
}

/// One turn of a job: a retry or a deliberate new turn is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    queue: QueueName,
    id: JobId,
    sequence: u32,
    attempt: u32,
    enqueued_at: Timestamp,
}

impl Key {
    /// Makes the key of a delivery, as it arrived: what settles it may have changed the envelope.
    pub(super) fn new(queue: &QueueName, envelope: &Envelope) -> Self {
        let Envelope { id, sequence, attempt, enqueued_at, .. } = envelope;
        let (sequence, attempt, enqueued_at) = (*sequence, *attempt, *enqueued_at);
        Self { queue: queue.clone(), id: id.clone(), sequence, attempt, enqueued_at }
    }

    /// Says whether a message is this very turn of this job, be it in another queue.
    pub(super) fn is_turn(&self, envelope: &Envelope) -> bool {
        (&envelope.id, envelope.sequence, envelope.attempt) == (&self.id, self.sequence, self.attempt)
    }
}

impl Settled {
    /// Makes a memory of so many deliveries.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), order: VecDeque::new(), index: HashMap::new(), indexed: 0 }
    }

    /// Remembers a delivery that ran and was settled, and forgets the oldest one where there is no room.
    pub(super) fn remember(&mut self, key: Key) {
        if self.order.len() >= self.capacity {
            self.forget_oldest();
        }
        self.order.push_back(key);
    }

    /// Says whether a delivery has run and was settled here; `redeliveries` is what its broker says of it.
    pub(super) fn has(&mut self, key: &Key, redeliveries: u32) -> bool {
        if redeliveries == 0 {
            return false;
        }
        for key in self.order.range(self.indexed..) {
            *self.index.entry(key.clone()).or_default() += 1;
        }
        self.indexed = self.order.len();
        self.index.contains_key(key)
    }

    fn forget_oldest(&mut self) {
        let oldest = self.order.pop_front();
        if self.indexed == 0 {
            return;
        }
        self.indexed -= 1;
        if let Some(Entry::Occupied(mut count)) = oldest.map(|key| self.index.entry(key)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Kind;

    fn key(queue: &str, id: &str, sequence: u32, attempt: u32) -> Key {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let id = JobId::parse(id).unwrap();
        let mut envelope = Envelope::new(id, Kind::parse("mail").unwrap(), Vec::new(), now);
        (envelope.sequence, envelope.attempt) = (sequence, attempt);
        Key::new(&QueueName::parse(queue).unwrap(), &envelope)
    }

    #[test]
    fn only_the_very_turn_that_was_settled_is_known() {
        let mut settled = Settled::new(10);
        settled.remember(key("mail", "a", 1, 2));
        assert!(settled.has(&key("mail", "a", 1, 2), 1));
        for other in [key("audit", "a", 1, 2), key("mail", "b", 1, 2), key("mail", "a", 2, 2), key("mail", "a", 1, 3)] {
            assert!(!settled.has(&other, 1), "{other:?}");
        }
    }

    #[test]
    fn what_comes_for_the_first_time_is_new() {
        let mut settled = Settled::new(10);
        settled.remember(key("mail", "a", 0, 1));
        assert!(!settled.has(&key("mail", "a", 0, 1), 0));
    }

    #[test]
    fn an_id_that_was_enqueued_again_is_another_job() {
        let (queue, now) = (QueueName::parse("mail").unwrap(), "2026-01-01T00:00:00Z".parse().unwrap());
        let id = JobId::parse("a").unwrap();
        let mut envelope = Envelope::new(id, Kind::parse("mail").unwrap(), Vec::new(), now);
        let mut settled = Settled::new(10);
        settled.remember(Key::new(&queue, &envelope));
        assert!(settled.has(&Key::new(&queue, &envelope), 1));
        envelope.enqueued_at += chrono::TimeDelta::milliseconds(1);
        assert!(!settled.has(&Key::new(&queue, &envelope), 1));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        // Asked each time or in the end, the answers are the same.
        for asks_between in [true, false] {
            let mut settled = Settled::new(3);
            let mut has = |attempts: [u32; 3]| {
                for attempt in attempts {
                    settled.remember(key("mail", "a", 0, attempt));
                    assert!(!asks_between || settled.has(&key("mail", "a", 0, attempt), 1));
                }
                (0..9).filter(|n| settled.has(&key("mail", "a", 0, *n), 1)).collect::<Vec<u32>>()
            };
            assert_eq!(has([0, 1, 2]), [0, 1, 2]);
            assert_eq!(has([3, 4, 5]), [3, 4, 5]);
            assert_eq!(has([6, 6, 7]), [6, 7], "one that is settled twice is forgotten with its last");
            assert_eq!(has([7, 7, 8]), [7, 8]);
            assert_eq!(settled.index.len(), 2);
            assert_eq!((settled.order.len(), settled.indexed), (3, 3));
        }
    }
}
