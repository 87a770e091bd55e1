//! Since when the declarers of one broker know what they have declared: what one has known for long enough, all may trust.
//!
//! A pump sees all slots within seconds of its start; without it, the first job that is delayed into each of them would wait
//! until this process's publisher has known the slot for as long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::broker::amqp::declare::Thing;
use crate::broker::amqp::session::{Pulse, Session};

/// The ages; clones share them.
#[derive(Clone, Default)]
pub(super) struct Ages(Arc<Mutex<HashMap<Thing, Age>>>);

/// Since when a thing has been known, on a connection that must have lived since.
struct Age {
    since: Instant,
    pulse: Pulse,
}

impl Ages {
    /// Notes that a thing is known from now on, unless it has been for longer.
    pub(super) fn note(&self, thing: &Thing, session: &Session) {
        let mut ages = self.lock();
        if !ages.get(thing).is_some_and(|age| age.pulse.is_alive()) {
            ages.insert(thing.clone(), Age { since: session.clock().monotonic(), pulse: session.pulse() });
        }
    }

    /// Says whether a thing has been known for so long, on one connection that lives still.
    pub(super) fn is_older(&self, thing: &Thing, age_min: Duration, now: Instant) -> bool {
        let ages = self.lock();
        ages.get(thing).is_some_and(|age| age.pulse.is_alive() && now.saturating_duration_since(age.since) >= age_min)
    }

    /// Forgets all: something of it is gone.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Thing, Age>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Ages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ages").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::amqp::scene::{LIMIT, broker_with, envelope, namespace, queue, within};
    use crate::broker::amqp::{AmqpBroker, AmqpOptions};
    use crate::broker::{Broker, Outgoing, Window};
    use crate::clock::{Clock, later};
    use crate::topology::Topology;

    const YOUTH: Duration = Duration::from_secs(4);

    /// Publishes a job into a slot that this process's publisher has never used, and returns how long that took.
    async fn delay(broker: &AmqpBroker, number: u32) -> Duration {
        let clock = broker.clock();
        let begun = clock.monotonic();
        let mut job = envelope("later");
        // Each in a slot of level 2 of its own.
        job.not_before = Some(later(clock.now(), Duration::from_secs(300 + 256 * u64::from(number))));
        let stored = broker.publish(vec![Outgoing::to_queue(queue("mail"), job)]).await;
        stored.into_iter().next().expect("one answer").expect("stored");
        clock.monotonic().saturating_duration_since(begun)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_slot_that_the_pump_has_known_for_long_is_trusted_at_once() {
        let options = AmqpOptions { queue_youth: YOUTH, ..AmqpOptions::default() };
        let broker = broker_with(&namespace(), options).await;
        within("declare", broker.declare(&Topology::default().queue(queue("mail")))).await.unwrap();
        let first = within("publish", delay(&broker, 0)).await;
        assert!(first >= YOUTH, "nobody has known a slot for long yet: {first:?}");
        // Who consumes turns the wheel, and sees all slots soon.
        let _consumer = within("consume", broker.consume(&queue("mail"), Window::new(1))).await.unwrap();
        let mut took = Vec::new();
        let clock = Clock::system();
        let end = clock.monotonic() + LIMIT;
        while took.last().is_none_or(|last| *last >= YOUTH) {
            assert!(took.len() < 14 && clock.monotonic() < end, "each new slot is waited for: {took:?}");
            took.push(within("publish", delay(&broker, u32::try_from(took.len()).unwrap() + 1)).await);
        }
    }
}
