//! The operator's side of the seam: what waits where, and taking it into one's own hands.

use crate::broker::{BoxFuture, Delivery};
use crate::clock::Timestamp;
use crate::envelope::Envelope;
use crate::error::Result;
use crate::name::{JobId, QueueName};

/// The operator's view. Redriving, editing, purging and moving are `take`, publish and `Done`.
pub trait Inspect: Send + Sync {
    /// Returns all queues that are declared or hold something, the dead ones too, in the order of their names.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueStats>>>;

    /// Returns how many messages are not due yet, of all queues together; `None` where the broker cannot tell. One may know
    /// this without knowing [of which queues](QueueStats::delayed).
    ///
    /// # Errors
    /// When the broker cannot be asked.
    fn delayed(&self) -> BoxFuture<'_, Result<Option<u64>>> {
        Box::pin(async move {
            let queues = self.queues().await?;
            // A queue whose delayed messages are unknown makes the sum unknown.
            Ok(queues.iter().map(|stats| stats.delayed).sum())
        })
    }

    /// Returns a page of what waits in a queue, due or not, without taking it, in the order of being due.
    ///
    /// # Errors
    /// When the broker cannot be asked, or this queue cannot be browsed.
    fn peek<'a>(&'a self, queue: &'a QueueName, page: Page) -> BoxFuture<'a, Result<Vec<Envelope>>>;

    /// Takes waiting messages, due or not, to settle them; none that runs. Such a settlement is durable, whatever the
    /// outcome.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    fn take<'a>(&'a self, queue: &'a QueueName, which: Which) -> BoxFuture<'a, Result<Vec<Delivery>>>;

    /// Looks up a job by its id, in all queues, the dead ones last; `None` when none holds it: it is done, cancelled, or
    /// never was.
    ///
    /// # Errors
    /// [`is_unsupported`](crate::error::Error::is_unsupported) without [`can_find`](crate::broker::Capabilities::can_find).
    fn find<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Option<Found>>>;
}

/// What is known of a queue. What a broker cannot tell is `None`, never 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// The queue.
    pub name: QueueName,
    /// Messages that could be delivered now.
    pub ready: Option<u64>,
    /// Messages that are not due yet.
    pub delayed: Option<u64>,
    /// Messages that are handed out and not settled.
    pub running: Option<u64>,
    /// Since when the oldest ready message could have been delivered.
    pub oldest_ready: Option<Timestamp>,
}

impl QueueStats {
    /// True when the queue is known to hold nothing.
    pub fn is_empty(&self) -> bool {
        [self.ready, self.delayed, self.running].iter().all(|count| *count == Some(0))
    }
}

/// A page of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Messages to skip.
    pub offset: usize,
    /// Messages to return at the most.
    pub limit: usize,
}

/// Which of a queue's messages to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this id.
    Id(JobId),
    /// The oldest ones, at most this many.
    First(usize),
}

/// A job that was looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The queue that holds it.
    pub queue: QueueName,
    /// What it is doing.
    pub state: JobState,
    /// The job.
    pub envelope: Envelope,
}

/// What a stored job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It could be started now.
    Ready,
    /// It is not due before this instant.
    Delayed(Timestamp),
    /// A process has it.
    Running,
    /// It is kept among the dead.
    Dead,
}
