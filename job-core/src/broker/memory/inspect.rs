//! The operator's view of the broker in memory.

use std::future::ready;

use crate::broker::{BoxFuture, Delivery, Found, Inspect, JobState, Page, QueueStats, Which};
use crate::clock::Timestamp;
use crate::envelope::Envelope;
use crate::error::Result;
use crate::name::{JobId, QueueName};

use crate::broker::memory::MemoryBroker;
use crate::broker::memory::consumer::delivery;
use crate::broker::memory::queue::{Message, Queue};
use crate::broker::memory::state::State;

impl Inspect for MemoryBroker {
    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueStats>>> {
        Box::pin(ready(self.store.read_as(self.process, |state, now| {
            let stats = state.queues.iter().map(|(name, queue)| (queue.is_declared, stats(state, name, queue, now)));
            stats.filter(|(is_declared, stats)| *is_declared || !stats.is_empty()).map(|(_, stats)| stats).collect()
        })))
    }

    fn peek<'a>(&'a self, queue: &'a QueueName, page: Page) -> BoxFuture<'a, Result<Vec<Envelope>>> {
        Box::pin(ready(self.store.read_as(self.process, |state, _| {
            let waiting = state.queues.get(queue).into_iter().flat_map(Queue::waiting);
            waiting.skip(page.offset).take(page.limit).map(|message| message.envelope.clone()).collect()
        })))
    }

    fn take<'a>(&'a self, queue: &'a QueueName, which: Which) -> BoxFuture<'a, Result<Vec<Delivery>>> {
        Box::pin(ready(self.store.update_as(self.process, |state, _| {
            let messages = state.queues.get_mut(queue).map(|queue| queue.remove(&which)).unwrap_or_default();
            let claimed = state.claim(self.process, queue, messages);
            Ok(claimed.into_iter().map(|claimed| delivery(&self.store, queue, claimed)).collect())
        })))
    }

    fn find<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Option<Found>>> {
        Box::pin(ready(self.store.read_as(self.process, |state, now| {
            running(state, id).or_else(|| waiting(state, id, now, false)).or_else(|| waiting(state, id, now, true))
        })))
    }
}

fn stats(state: &State, name: &QueueName, queue: &Queue, now: Timestamp) -> QueueStats {
    let count = |n: usize| u64::try_from(n).ok();
    let ready = queue.ready(now).count();
    QueueStats {
        name: name.clone(),
        ready: count(ready),
        delayed: count(queue.waiting().count() - ready),
        running: count(state.claims.values().filter(|claim| claim.queue == *name).count()),
        oldest_ready: queue.ready(now).next().map(Message::due),
    }
}

fn running(state: &State, id: &JobId) -> Option<Found> {
    let claim = state.claims.values().find(|claim| claim.message.envelope.id == *id)?;
    let envelope = claim.message.envelope.clone();
    Some(Found { queue: claim.queue.clone(), state: JobState::Running, envelope })
}

/// Looks among the live or the dead: a job that was redriven is its new life, not a copy that is about to go.
fn waiting(state: &State, id: &JobId, now: Timestamp, is_dead: bool) -> Option<Found> {
    let mut queues = state.queues.iter().filter(|(name, _)| name.is_dead() == is_dead);
    queues.find_map(|(name, queue)| {
        let message = queue.waiting().find(|message| message.envelope.id == *id)?;
        let state = match message.due() {
            _ if is_dead => JobState::Dead,
            at if at > now => JobState::Delayed(at),
            _ => JobState::Ready,
        };
        Some(Found { queue: name.clone(), state, envelope: message.envelope.clone() })
    })
}
