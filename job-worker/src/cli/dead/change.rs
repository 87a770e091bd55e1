//! Takes dead jobs and settles them: back to their queue, with another payload or not, or deleted.

use futures_util::future::join_all;
use job_core::broker::{Inspect, JobState, Outcome, Outgoing, Which};
use job_core::envelope::{Content, Envelope};
use job_core::error::Result;
use job_core::name::{JobId, QueueName};

use crate::cli::dead::selection::Selection;
use crate::cli::dead::walk::{Walk, dead_queues};
use crate::cli::exit::Failure;
use crate::cli::operator::Operator;

/// What becomes of the selected jobs.
pub(super) enum Change {
    Retry,
    Edit(Vec<u8>),
    Purge,
}

/// A job and the dead queue that it was in.
pub(super) struct Handled {
    pub(super) id: JobId,
    pub(super) queue: QueueName,
}

/// What was done.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) done: Vec<Handled>,
    /// Jobs that stay dead: their queue holds another job of the same id, which would swallow them.
    pub(super) left: Vec<Handled>,
}

/// Changes jobs.
pub(super) struct Changer<'a> {
    pub(super) operator: &'a Operator,
    pub(super) inspect: &'a dyn Inspect,
    pub(super) selection: &'a Selection,
    pub(super) change: Change,
}

enum Step {
    Done,
    Left,
    /// It is somebody else's by now, or not the one that was chosen any more.
    Gone,
}

impl Changer<'_> {
    /// Changes one job.
    pub(super) async fn one(&self, queue: QueueName, id: JobId) -> Result<Tally> {
        let mut tally = Tally::default();
        let step = self.step(&queue, &id).await?;
        tally.add(step, Handled { id, queue });
        Ok(tally)
    }

    /// Changes all that are selected, batch by batch. A failure ends it, with what was done until then.
    pub(super) async fn all(&self) -> Result<(Tally, Option<Failure>), Failure> {
        let queues = dead_queues(self.inspect, self.selection.queue.as_ref()).await?;
        let mut tally = Tally::default();
        loop {
            let before = tally.done.len();
            tally.left.clear();
            let mut walk = Walk::new(self.inspect, &queues);
            if let Err(error) = self.pass(&mut walk, &mut tally).await {
                return Ok((tally, Some(error.into())));
            }
            // What others removed meanwhile made the walk skip some: it ends when there was nothing to do.
            if tally.done.len() == before {
                return Ok((tally, None));
            }
        }
    }

    async fn pass(&self, walk: &mut Walk<'_>, tally: &mut Tally) -> Result<()> {
        while let Some((queue, batch)) = walk.next().await? {
            let ids = batch.iter().filter(|envelope| self.selection.matches(envelope)).map(|envelope| &envelope.id);
            // All at once, so that they share commits.
            let steps = join_all(ids.map(async |id| (id.clone(), self.step(&queue, id).await))).await;
            let before = tally.done.len();
            let mut failed = Ok(());
            for (id, step) in steps {
                match step {
                    Ok(step) => tally.add(step, Handled { id, queue: queue.clone() }),
                    Err(error) => failed = Err(error),
                }
            }
            failed?;
            walk.removed(tally.done.len() - before);
        }
        Ok(())
    }

    async fn step(&self, queue: &QueueName, id: &JobId) -> Result<Step> {
        if !matches!(self.change, Change::Purge) && self.is_alive(queue, id).await? {
            return Ok(Step::Left);
        }
        let Some(delivery) = self.inspect.take(queue, Which::Id(id.clone())).await?.pop() else {
            return Ok(Step::Gone);
        };
        // It may have run and died again since it was chosen.
        let is_chosen = self.selection.matches(&delivery.envelope);
        let outcome = if is_chosen { self.outcome(queue, delivery.envelope) } else { Outcome::Release };
        // Nothing is awaited between taking and this; from here on the broker either records it or gives the job back.
        match delivery.settle.settle(outcome).await {
            Ok(()) if is_chosen => Ok(Step::Done),
            Ok(()) => Ok(Step::Gone),
            Err(error) if error.is_lost() => Ok(Step::Gone),
            Err(error) => Err(error),
        }
    }

    fn outcome(&self, queue: &QueueName, mut envelope: Envelope) -> Outcome {
        envelope.revive();
        match &self.change {
            Change::Purge => return Outcome::Done { then: Vec::new() },
            Change::Retry => {}
            Change::Edit(payload) => {
                envelope.payload.clone_from(payload);
                envelope.content = Content::Json;
            }
        }
        // One step with the end of the dead record, or the job's new life follows first: never neither.
        Outcome::Done { then: vec![Outgoing::only(queue.work(), envelope)] }
    }

    /// Says whether the job's queue holds a living one of its id: storing it there again would store nothing.
    async fn is_alive(&self, queue: &QueueName, id: &JobId) -> Result<bool> {
        if !self.operator.client.broker().capabilities().can_find {
            return Ok(false);
        }
        let found = self.inspect.find(id).await?;
        Ok(found.is_some_and(|found| found.state != JobState::Dead && found.queue == queue.work()))
    }
}

impl Tally {
    fn add(&mut self, step: Step, job: Handled) {
        match step {
            Step::Done => self.done.push(job),
            Step::Left => self.left.push(job),
            Step::Gone => {}
        }
    }
}
