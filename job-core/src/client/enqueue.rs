//! The builder of one job, which is awaited.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::{BoxFuture, Outgoing};
use crate::client::{Client, EnqueueError, check_payload_size, set_header};
use crate::clock::{Timestamp, later};
use crate::envelope::{Chained, Step};
use crate::error::{Error, Result};
use crate::name::{JobId, QueueName};
use crate::topology::Target;

/// A job about to be enqueued. Awaiting it sends it; a mistake in an option is the error of that await.
#[must_use = "a job is sent when this is awaited"]
pub struct Enqueue {
    client: Client,
    draft: Result<Outgoing>,
}

impl Enqueue {
    pub(crate) fn new(client: Client, draft: Result<Outgoing>) -> Self {
        Self { client, draft }
    }

    /// Does not start the job before `delay` has passed.
    pub fn delay(self, delay: Duration) -> Self {
        let at = later(self.client.broker().clock().now(), delay);
        self.at(at)
    }

    /// Does not start the job before `at`.
    pub fn at(self, at: Timestamp) -> Self {
        self.edit(|message| {
            message.envelope.not_before = Some(at);
            Ok(())
        })
    }

    /// Enqueues to another queue than the type's.
    pub fn queue(self, queue: &str) -> Self {
        self.edit(|message| {
            message.target = Target::Queue(QueueName::parse(queue)?);
            Ok(())
        })
    }

    /// Chooses the id. While a queue holds a job, the same id is not stored there again.
    pub fn id(self, id: &str) -> Self {
        self.edit(|message| {
            message.envelope.id = JobId::parse(id)?;
            Ok(())
        })
    }

    /// Adds a header: metadata that is carried with the job. `traceparent` and `tracestate` (W3C) are understood.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.edit(|message| set_header(&mut message.envelope, name, value))
    }

    /// Replaces the type's number of attempts, the first run counted; at least 1.
    pub fn max_attempts(self, attempts: u32) -> Self {
        self.edit(|message| {
            if attempts == 0 {
                return Err(Error::invalid("max_attempts is 0; a job has at least 1 attempt"));
            }
            message.envelope.details.max_attempts = Some(attempts);
            Ok(())
        })
    }

    /// Declares the job dead unless its first run starts within `duration`.
    pub fn expires(self, duration: Duration) -> Self {
        let at = later(self.client.broker().clock().now(), duration);
        self.edit(|message| {
            message.envelope.details.expires = Some(at);
            Ok(())
        })
    }

    /// Lets these steps follow the job.
    pub(crate) fn followed_by(self, rest: Result<Vec<Step>>) -> Self {
        let payload_bytes_max = self.client.settings.payload_bytes_max;
        self.edit(|message| {
            let chained = Chained { rest: rest?, ..Chained::default() };
            chained.check()?;
            for step in &chained.rest {
                check_payload_size(step.kind.as_str(), step.payload.len(), payload_bytes_max)?;
            }
            message.envelope.details.chain = (!chained.rest.is_empty()).then_some(chained);
            Ok(())
        })
    }

    /// Returns the message instead of sending it, for those who publish it by themselves.
    ///
    /// # Errors
    /// The first mistake in its options.
    pub fn into_message(self) -> Result<Outgoing> {
        self.draft
    }

    fn edit(mut self, change: impl FnOnce(&mut Outgoing) -> Result<()>) -> Self {
        self.draft = self.draft.and_then(|mut message| change(&mut message).map(|()| message));
        self
    }
}

impl IntoFuture for Enqueue {
    type Output = Result<JobId, EnqueueError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let client = self.client;
            let message = self.draft.map_err(|error| EnqueueError::new(error, None, &client))?;
            let messages = Arc::new(vec![message]);
            match client.send(&messages).await.pop().expect("one message has one answer") {
                Ok(_) => Ok(messages[0].envelope.id.clone()),
                Err(error) => Err(EnqueueError::new(error, Some(messages[0].clone()), &client)),
            }
        })
    }
}
