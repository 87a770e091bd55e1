//! Remembers which deliveries ran here and were settled, so that one that comes back is not run again.
//!
//! An acknowledgement of AMQP has no answer. When a connection ends, the broker hands out again what it had not heard of,
//! and this process is the one that knows better: it acknowledges such a delivery without running it. What was released
//! or moved is never remembered, since it has not run.
//!
//! A delivery that the broker hands out for the first time is always new, whatever its id: an id may be enqueued again
//! once its job is done. Such a job may be handed out twice as well; it is told from the one before by when it was
//! enqueued.

use std::collections::{HashSet, VecDeque};

use crate::clock::Timestamp;
use crate::envelope::Envelope;
use crate::name::{JobId, QueueName};

/// The latest deliveries that were settled. The broker can only hand out again what it held to be unsettled, so twice the
/// windows of all consumers are enough.
#[derive(Debug)]
pub(super) struct Settled {
    capacity: usize,
    known: HashSet<Key>,
    order: VecDeque<Key>,
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
        Self { capacity: capacity.max(1), known: HashSet::new(), order: VecDeque::new() }
    }

    /// Remembers a delivery that ran and was settled, and forgets the oldest one where there is no room.
    pub(super) fn remember(&mut self, key: Key) {
        if self.known.contains(&key) {
            return;
        }
        if self.order.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(key.clone());
        self.order.push_back(key);
    }

    /// Says whether a delivery has run and was settled here; `redeliveries` is what its broker says of it.
    pub(super) fn has(&self, key: &Key, redeliveries: u32) -> bool {
        redeliveries > 0 && self.known.contains(key)
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
        let mut settled = Settled::new(3);
        let has =
            |settled: &Settled| -> Vec<u32> { (0..6).filter(|n| settled.has(&key("mail", "a", 0, *n), 1)).collect() };
        for attempt in [0, 1, 1, 1, 2] {
            settled.remember(key("mail", "a", 0, attempt));
        }
        assert_eq!(has(&settled), [0, 1, 2], "one that is known takes no second place");
        settled.remember(key("mail", "a", 0, 3));
        assert_eq!(has(&settled), [1, 2, 3]);
        settled.remember(key("mail", "a", 0, 4));
        assert_eq!(has(&settled), [2, 3, 4]);
        assert_eq!(settled.known.len(), settled.order.len());
    }
}
