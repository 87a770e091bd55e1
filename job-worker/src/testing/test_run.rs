//! One run of one job, for the test of its handler.

use std::future::IntoFuture;

use job_core::broker::BoxFuture;
use job_core::envelope::Envelope;
use job_core::error::Result;
use job_core::job::{Job, encode};
use job_core::name::{JobId, Kind, QueueName};
use job_core::perform::JobError;
use serde::Serialize;

use crate::testing::Harness;
use crate::verdict::Ending;

/// A job about to be run once, without being enqueued. Awaiting it runs it, and returns what its handler answered.
#[must_use = "a job is run when this is awaited"]
pub struct TestRun<'a> {
    harness: &'a Harness,
    envelope: Result<(Envelope, QueueName)>,
}

impl<'a> TestRun<'a> {
    pub(super) fn new<J: Job>(harness: &'a Harness, job: &J) -> Self {
        let envelope = || {
            let now = harness.clock().now();
            let envelope = Envelope::new(JobId::new(now), Kind::parse(J::KIND)?, encode(job)?, now);
            let queue = match harness.placement.of(J::KIND) {
                Some(place) => place.queue.clone(),
                None => J::OPTIONS.queue_name(J::KIND)?,
            };
            Ok((envelope, queue))
        };
        Self { harness, envelope: envelope() }
    }

    /// Makes it the run of this number; the first is 1.
    pub fn attempt(self, attempt: u32) -> Self {
        self.edit(|envelope| envelope.attempt = attempt)
    }

    /// Replaces the type's number of attempts.
    pub fn max_attempts(self, attempts: u32) -> Self {
        self.edit(|envelope| envelope.details.max_attempts = Some(attempts))
    }

    /// Gives it the cursor of an earlier `continue_with`.
    ///
    /// # Panics
    /// When the cursor cannot be written as JSON.
    pub fn cursor(self, cursor: impl Serialize) -> Self {
        let cursor = serde_json::to_value(cursor).expect("a cursor is written as JSON");
        self.edit(|envelope| {
            envelope.details.cursor = Some(cursor);
            envelope.sequence = 1;
        })
    }

    /// Gives it a header, as at the enqueue.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.edit(|envelope| {
            envelope.details.headers.insert(name.to_owned(), value.to_owned());
        })
    }

    fn edit(mut self, change: impl FnOnce(&mut Envelope)) -> Self {
        if let Ok((envelope, _)) = &mut self.envelope {
            change(envelope);
        }
        self
    }
}

impl<'a> IntoFuture for TestRun<'a> {
    type Output = Result<(), JobError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (envelope, queue) = self.envelope.map_err(JobError::discard)?;
            match self.harness.executor.run_once(envelope, queue).await {
                Ok(ending) => answer(ending),
                Err(problem) => panic!("{problem}"),
            }
        })
    }
}

/// Returns what a handler answered, or the error that the worker takes for its answer.
fn answer(ending: Ending) -> Result<(), JobError> {
    match ending {
        Ending::Completed => Ok(()),
        Ending::Failed(error) => Err(error),
        Ending::Panicked(message) => Err(format!("panicked: {message}").into()),
        Ending::TimedOut(limit) => Err(format!("timed out after {limit:?}").into()),
        Ending::Unrunnable(_, error) => Err(JobError::discard(error)),
        Ending::Interrupted => Err("the harness was stopped".into()),
    }
}
