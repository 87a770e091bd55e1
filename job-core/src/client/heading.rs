//! What all jobs of one kind have in common when they are enqueued: checked once, for however many.

use std::time::Duration;

use crate::error::Result;
use crate::name::{Kind, QueueName};
use crate::options::JobOptions;

/// The part of an envelope that its kind decides.
pub(super) struct Heading {
    pub(super) kind: Kind,
    pub(super) queue: QueueName,
    /// How long after its enqueue the job may start.
    pub(super) expires: Option<Duration>,
}

impl Heading {
    pub(super) fn new(kind: &str, options: JobOptions) -> Result<Self> {
        Ok(Self { kind: Kind::parse(kind)?, queue: options.queue_name(kind)?, expires: options.expires })
    }
}
