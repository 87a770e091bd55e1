//! The seam between the framework and whatever keeps its messages: a few deep traits, shaped for rows and for AMQP.
//!
//! Clients publish through it, workers consume, operators inspect. What each method means is defined by the contract
//! suite (feature `contract`), which every broker passes.

use std::future::{Future, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::topology::{Target, Topology};

#[cfg(feature = "amqp")]
pub mod amqp;
#[cfg(feature = "contract")]
pub mod contract;
mod inspect;
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use inspect::{Found, Inspect, JobState, Page, QueueStats, Which};

/// A boxed future, as the traits of this module return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps messages until they have run.
///
/// Cancelling a future of this trait leaves the effect unknown, unless its method says otherwise.
pub trait Broker: Send + Sync + 'static {
    /// Returns what this broker can do.
    fn capabilities(&self) -> Capabilities;

    /// Returns the clock by which it tells what is due.
    fn clock(&self) -> &Clock;

    /// Makes queues, their dead queues and bindings exist. Repeating it changes nothing, and nothing is ever removed. A
    /// queue of this process has no dead queue.
    ///
    /// # Errors
    /// When something of that name exists and differs, or the broker cannot be reached.
    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<()>>;

    /// Takes back what was declared of a queue: its bindings are gone, so that no event reaches it from now on, and it
    /// cannot be consumed anew. What a [durable](crate::topology::Lifetime::Durable) queue holds stays stored, for whoever
    /// takes it; a queue of this process is gone with all that it holds. An unknown queue is no error.
    ///
    /// # Errors
    /// [`is_unsupported`](Error::is_unsupported) where the broker cannot.
    fn undeclare<'a>(&'a self, queue: &'a QueueName) -> BoxFuture<'a, Result<()>> {
        let name = self.capabilities().name;
        Box::pin(ready(Err(Error::unsupported(format!("the broker \"{name}\" cannot remove the queue \"{queue}\"")))))
    }

    /// Stores messages, and answers for each, in order, once its fate is known: durable, rejected or unconfirmed.
    ///
    /// An id that its queue already holds is not stored again, where the broker
    /// [deduplicates](Capabilities::is_deduplicating). A queue that nobody declared yet keeps what it gets. A message
    /// whose `not_before` lies ahead is not delivered before then; only targets that name a queue take one.
    fn publish(&self, messages: Vec<Outgoing>) -> BoxFuture<'_, Vec<Result<Stored>>>;

    /// Stores messages that the caller keeps, as [`publish`](Self::publish) does. A broker that only reads them answers
    /// this without a copy of each.
    fn publish_shared(&self, messages: Arc<Vec<Outgoing>>) -> BoxFuture<'_, Vec<Result<Stored>>> {
        self.publish(messages.to_vec())
    }

    /// Begins to take deliveries from a queue. How far ahead the broker claims is its own business; what it claimed and
    /// did not hand out is given back when the consumer is closed or dropped.
    ///
    /// # Errors
    /// When the queue cannot be consumed, or nobody declared it.
    fn consume<'a>(&'a self, queue: &'a QueueName, window: Window) -> BoxFuture<'a, Result<Box<dyn Consumer>>>;

    /// Waits until what this process has settled before stays settled, even when it dies at once. Where recording an outcome
    /// does that by itself there is nothing to wait for; an acknowledgement of AMQP has no answer. It ends, too, when a
    /// connection is lost, whose deliveries come back in any case.
    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    /// Tries to become the only leader of a role among all processes; `None` while there is one, be it in this process.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    fn lead<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Box<dyn Leadership>>>>;

    /// Returns the log of settings that all processes share.
    fn ledger(&self) -> Arc<dyn Ledger>;

    /// Returns the operator's view, where the broker has one.
    fn inspect(&self) -> Option<&dyn Inspect>;

    /// Copies all that is stored, as of one moment, into a new file, while others go on. The file is there only once it
    /// is whole, on the disk and checked.
    ///
    /// # Errors
    /// [`is_unsupported`](Error::is_unsupported) where the broker keeps no file of its own,
    /// [`is_invalid`](Error::is_invalid) when the new file exists already or cannot be made there.
    fn backup<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, Result<Backup>> {
        let name = self.capabilities().name;
        let text = format!("the broker \"{name}\" cannot back up to \"{}\"; only \"sqlite\" can", file.display());
        Box::pin(ready(Err(Error::unsupported(text))))
    }

    /// Finishes what is under way and gives up the connection: consumers end, deliveries that are not settled go back to
    /// their queues, and leaderships are free. Later calls fail with [`is_unavailable`](Error::is_unavailable).
    fn close(&self) -> BoxFuture<'_, Result<()>>;
}

/// What a broker can do beyond what all can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The broker's name in errors and logs, such as `sqlite`.
    pub name: &'static str,
    /// A waiting job can be cancelled by its id.
    pub can_cancel: bool,
    /// A job can be looked up by its id.
    pub can_find: bool,
    /// `Done { then }` stores the followers and forgets the job in one step: a crash never leaves both.
    pub is_then_atomic: bool,
    /// A tick fired twice is stored once, even when the leader changed in between.
    pub is_fire_exact: bool,
    /// A queue holds an id only once: what is published, released or reclaimed twice is there once.
    pub is_deduplicating: bool,
    /// The shortest delay; shorter ones are rounded up to it.
    pub delay_min: Duration,
    /// The longest that a process may hold a delivery before the broker gives it to another, the wait in the process
    /// counted; `None` is no limit.
    pub hold_max: Option<Duration>,
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Where it goes.
    pub target: Target,
    /// What goes there.
    pub envelope: Envelope,
    /// An event that no queue takes is refused with [`is_unheard`](Error::is_unheard), where it would be gone otherwise. A
    /// queue that holds its id already counts as one that takes it.
    pub must_reach: bool,
}

/// What a broker says of a message that it stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How many queues took a copy just now, where the broker can tell: 0 for an event that nobody subscribes to, and
    /// for an id that was already stored.
    pub copies: Option<u32>,
}

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Jobs in it, the dead ones too.
    pub jobs: u64,
    /// Its size.
    pub bytes: u64,
}

/// How much a consumer is going to run at once. The broker derives from it how far ahead it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Jobs that run at once, at least 1.
    pub slots: usize,
    /// The broker may claim more than the slots, to have the next jobs at hand.
    pub claims_ahead: bool,
}

impl Window {
    /// Makes the window of a consumer that runs so many jobs at once, with the next ones at hand.
    pub const fn new(slots: usize) -> Self {
        Self { slots, claims_ahead: true }
    }

    /// Makes the window of a consumer that never holds more than it runs.
    pub const fn exact(slots: usize) -> Self {
        Self { slots, claims_ahead: false }
    }
}

/// Deliveries of one queue.
pub trait Consumer: Send {
    /// Waits until [`next_many`](Self::next_many) would return at once; `false` when the consumer is closed.
    ///
    /// A worker waits here without holding a slot, so that an idle queue costs the busy ones nothing.
    ///
    /// # Errors
    /// When the broker failed for good; the caller consumes anew.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    fn ready(&mut self) -> BoxFuture<'_, Result<bool>>;

    /// Waits for at least one delivery and returns at most `max`; empty when the consumer is closed. What it returns
    /// counts as started.
    ///
    /// # Errors
    /// When the broker failed for good; the caller consumes anew.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    fn next_many(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>>;

    /// Stops taking deliveries and gives back what was not handed out; those handed out can still be settled.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// One message handed to this process, to be settled once.
pub struct Delivery {
    /// The message.
    pub envelope: Envelope,
    /// The queue that it was taken from, and the way back.
    pub queue: QueueName,
    /// How often it was handed to a process that then died or lost it.
    pub redeliveries: u32,
    /// What is wrong with its metadata, where some of it could not be read. Such a message is kept, never run.
    pub defect: Option<String>,
    /// The way to settle it.
    pub settle: Box<dyn Settle>,
}

/// Settles one delivery.
pub trait Settle: Send + Sync {
    /// Records the outcome; the future ends when it is recorded as durably as that outcome needs. The recording begins
    /// with the call, not with the first poll, and goes on when the future is dropped.
    ///
    /// # Errors
    /// [`is_lost`](Error::is_lost) when the delivery had become somebody else's; nothing was recorded then. When a
    /// follower is invalid nothing was recorded either, and the delivery has gone back to its queue.
    fn settle(self: Box<Self>, outcome: Outcome) -> BoxFuture<'static, Result<()>>;
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It has run, and is forgotten. `then` is stored with that: a crash never loses the followers of a job that is
    /// gone.
    Done {
        /// What follows.
        then: Vec<Outgoing>,
    },
    /// It comes back to its queue at an instant, as this envelope, whose `not_before` becomes that instant.
    Later {
        /// When.
        at: Timestamp,
        /// What it is then; its id is the same.
        envelope: Envelope,
    },
    /// It goes to its queue's dead jobs, as this envelope. It replaces one of its id there, taken or not: a job that dies
    /// while its old record is being redriven must outlive that record.
    Dead {
        /// What is kept.
        envelope: Envelope,
    },
    /// It goes back unchanged, as if it had not been handed out.
    Release,
}

/// The one leadership of a role. Dropping it gives it up.
pub trait Leadership: Send + Sync {
    /// Publishes the message of a schedule's tick, unless that tick or a later one was fired before.
    ///
    /// # Errors
    /// When nobody knows whether it was stored, or the leadership was lost. A message that is refused uses up no tick.
    fn fire<'a>(&'a self, schedule: &'a str, tick: Timestamp, message: Outgoing) -> BoxFuture<'a, Result<Fire>>;

    /// Returns the latest tick of a schedule that was fired, by whomever, as far as the broker knows.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    fn latest<'a>(&'a self, schedule: &'a str) -> BoxFuture<'a, Result<Option<Timestamp>>>;

    /// Ends when the leadership is lost.
    fn lost(&self) -> BoxFuture<'_, ()>;
}

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fire {
    /// Its message is stored.
    Fired,
    /// It, or a later one, was fired before.
    Stale,
}

/// A small durable log of settings that every process of a broker reads.
pub trait Ledger: Send + Sync {
    /// Adds an entry. Per key, the highest version wins; an equal or lower version changes nothing.
    ///
    /// # Errors
    /// When nobody knows whether it was stored.
    fn append(&self, entry: Entry) -> BoxFuture<'_, Result<()>>;

    /// Returns the winning entry of each key, in the order of the keys, without those that were removed.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self) -> BoxFuture<'_, Result<Vec<Entry>>>;

    /// Ends when an entry was added, by any process, since the latest [`read`](Self::read) of this handle.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    fn changed(&self) -> BoxFuture<'_, Result<()>>;
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is about, such as `pause/images`.
    pub key: String,
    /// Which of several entries of a key counts.
    pub version: u64,
    /// The setting; `null` removes it.
    pub value: serde_json::Value,
}

impl Outgoing {
    /// Makes the message of a job's first publish.
    pub fn to_queue(queue: QueueName, envelope: Envelope) -> Self {
        Self { target: Target::Queue(queue), envelope, must_reach: false }
    }

    /// Makes a message that reaches one queue and nothing else.
    pub fn only(queue: QueueName, envelope: Envelope) -> Self {
        Self { target: Target::Only(queue), envelope, must_reach: false }
    }

    /// Makes the message of an event, which reaches whoever is bound, if anybody.
    pub fn event(target: Target, envelope: Envelope) -> Self {
        Self { target, envelope, must_reach: false }
    }

    /// Checks that enough queues take it, for brokers that route by themselves.
    ///
    /// # Errors
    /// [`is_unheard`](Error::is_unheard) when none does and one must.
    pub(crate) fn check_reach(&self, queues: usize) -> Result<()> {
        if queues > 0 || !self.must_reach {
            return Ok(());
        }
        let kind = self.envelope.kind_str();
        Err(Error::unheard(format!("no queue is bound that takes the event \"{kind}\"; nothing was stored")))
    }

    /// Checks what every broker requires: a short routing key, and no delay where none is possible.
    ///
    /// # Errors
    /// Says what is wrong with the message.
    pub fn check(&self) -> Result<()> {
        self.target.check()?;
        if self.target.queue().is_none() && self.envelope.not_before.is_some() {
            return Err(Error::invalid(
                "an event cannot be delayed; publish it when it happens, or enqueue a delayed job that publishes it",
            ));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("envelope", &self.envelope)
            .field("queue", &self.queue)
            .field("redeliveries", &self.redeliveries)
            .field("defect", &self.defect)
            .finish_non_exhaustive()
    }
}
