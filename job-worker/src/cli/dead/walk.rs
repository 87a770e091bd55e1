//! Goes through the dead queues in bounded batches, and takes nothing.

use std::collections::VecDeque;

use job_core::broker::{Inspect, JobState, Page, QueueStats};
use job_core::envelope::Envelope;
use job_core::error::Result;
use job_core::name::{JobId, QueueName};

use crate::cli::dead::selection::Selection;
use crate::cli::operator::Operator;

/// Jobs that are held in memory at once: at 256 KiB each, the client's limit, at most 128 MiB.
pub(super) const BATCH: usize = 500;

/// A walk through queues, batch by batch.
pub(super) struct Walk<'a> {
    inspect: &'a dyn Inspect,
    queues: VecDeque<QueueName>,
    offset: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(inspect: &'a dyn Inspect, queues: &[QueueStats]) -> Self {
        Self { inspect, queues: queues.iter().map(|stats| stats.name.clone()).collect(), offset: 0 }
    }

    /// Returns the next batch of one queue; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<(QueueName, Vec<Envelope>)>> {
        while let Some(queue) = self.queues.front() {
            let batch = self.inspect.peek(queue, Page { offset: self.offset, limit: BATCH }).await?;
            if !batch.is_empty() {
                self.offset += batch.len();
                return Ok(Some((queue.clone(), batch)));
            }
            self.queues.pop_front();
            self.offset = 0;
        }
        Ok(None)
    }

    /// Says how many of the last batch are gone: what stood behind them has moved up.
    pub(super) fn removed(&mut self, count: usize) {
        self.offset = self.offset.saturating_sub(count);
    }
}

/// Returns the dead queues, or the one that was named.
pub(super) async fn dead_queues(inspect: &dyn Inspect, only: Option<&QueueName>) -> Result<Vec<QueueStats>> {
    let mut queues = inspect.queues().await?;
    queues.retain(|stats| only.map_or_else(|| stats.name.is_dead(), |only| stats.name == *only));
    Ok(queues)
}

/// Counts what is selected.
pub(super) async fn count(inspect: &dyn Inspect, selection: &Selection) -> Result<usize> {
    let queues = dead_queues(inspect, selection.queue.as_ref()).await?;
    let mut walk = Walk::new(inspect, &queues);
    let mut count = 0;
    while let Some((_, batch)) = walk.next().await? {
        count += batch.iter().filter(|envelope| selection.matches(envelope)).count();
    }
    Ok(count)
}

/// Finds a dead job by its id, in one queue or in all.
pub(super) async fn locate(
    operator: &Operator,
    id: &JobId,
    queue: Option<&QueueName>,
) -> Result<Option<(QueueName, Envelope)>> {
    let inspect = operator.inspect()?;
    if operator.client.broker().capabilities().can_find
        && let Some(found) = inspect.find(id).await?
        && found.state == JobState::Dead
        && queue.is_none_or(|queue| *queue == found.queue)
    {
        return Ok(Some((found.queue, found.envelope)));
    }
    // A job of that id may live, or be dead in another queue: those hide it.
    let queues = dead_queues(inspect, queue).await?;
    let mut walk = Walk::new(inspect, &queues);
    while let Some((queue, batch)) = walk.next().await? {
        if let Some(envelope) = batch.into_iter().find(|envelope| envelope.id == *id) {
            return Ok(Some((queue, envelope)));
        }
    }
    Ok(None)
}
