//! What a job's type says about how it is run: the plain data behind `#[job(…)]`.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::subscription::Subscription;

/// The queue of a job that names none.
pub const QUEUE_DEFAULT: &str = "default";

/// Runs of a job that does not say how many it has.
pub const MAX_ATTEMPTS_DEFAULT: u32 = 20;

/// Longest run of a job that does not say how long it may take.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);

/// The options of a job's type, constant over the life of the program.
#[derive(Clone, Copy, Debug)]
pub struct JobOptions {
    /// The queue in which the job waits. Defaults to [`QUEUE_DEFAULT`].
    pub queue: &'static str,
    /// How often the job is run at the most, the first run counted. Defaults to [`MAX_ATTEMPTS_DEFAULT`].
    pub max_attempts: u32,
    /// How long to wait after a failed run. Defaults to [`Backoff::Polynomial`].
    pub backoff: Backoff,
    /// How long one run may take; `None` is for ever. Defaults to [`TIMEOUT_DEFAULT`].
    pub timeout: Option<Duration>,
    /// The job is dead unless its first run starts within this time of being enqueued. Defaults to `None`.
    pub expires: Option<Duration>,
    /// How many of this kind run at once in a process; `None` is no limit of its own. Defaults to `None`.
    pub concurrency: Option<usize>,
    /// The handler blocks its thread, and runs on the blocking pool. Defaults to false.
    pub is_blocking: bool,
    /// Somebody else declared the queue; it is used as it is. Defaults to false.
    pub is_external: bool,
    /// The events that are jobs of this type. Defaults to `None`.
    pub subscription: Option<Subscription>,
}

impl JobOptions {
    /// The options of a bare `#[derive(Job)]`.
    pub const DEFAULT: Self = Self {
        queue: QUEUE_DEFAULT,
        max_attempts: MAX_ATTEMPTS_DEFAULT,
        backoff: Backoff::Polynomial,
        timeout: Some(TIMEOUT_DEFAULT),
        expires: None,
        concurrency: None,
        is_blocking: false,
        is_external: false,
        subscription: None,
    };

    /// Returns the queue, the default one where it was left empty.
    pub const fn queue_or_default(&self) -> &'static str {
        if self.queue.is_empty() { QUEUE_DEFAULT } else { self.queue }
    }

    /// Returns the queue in which jobs of a kind wait that has these options.
    ///
    /// # Errors
    /// When the name is invalid, the subscription has no group, or it has a queue in each process.
    pub fn queue_name(&self, kind: &str) -> Result<QueueName> {
        match &self.subscription {
            None => QueueName::parse_any(self.queue_or_default()),
            Some(subscription) if subscription.is_ephemeral => Err(Error::invalid(format!(
                "the job \"{kind}\" is an ephemeral subscription, whose queues go with their processes; publish an event \
                 that it listens to"
            ))),
            Some(subscription) => subscription
                .queue(kind)
                .map_err(|e| Error::invalid(format!("the subscription \"{kind}\" has no queue")).caused_by(e)),
        }
    }
}

impl Default for JobOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}
