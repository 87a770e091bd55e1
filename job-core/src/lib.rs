//! Background jobs and events: what producers and brokers need.
//!
//! The glossary: a **job** is a command, kept until it has run. An **event** is an application's fan-out message. An
//! **observation** is what the runtime saw. A **delivery** is one message handed to one process. An **attempt** is one
//! numbered run. A **schedule** is recurrence, a **delay** is one-off. **Dead** is a job that will not run again unless
//! somebody decides so.
//!
//! The [guides](guide) show how it is used.

// Ranks, lowest first: a module imports from the lines above its own only. `examples/tests/house` checks it.
//   error sabotage
//   clock
//   application name trace
//   backoff topology
//   subscription
//   options
//   envelope
//   observation
//   broker
//   event job
//   schedule
//   chain compatibility
//   client
//   context
//   perform
//   registry
//   connect
//   guide

// The derive names this crate as a user's crate does, here too.
extern crate self as job_core;

pub mod application;
pub mod backoff;
pub mod broker;
pub mod chain;
pub mod client;
pub mod clock;
pub mod compatibility;
pub mod connect;
pub mod context;
pub mod envelope;
pub mod error;
pub mod event;
pub mod guide;
pub mod job;
pub mod name;
pub mod observation;
pub mod options;
pub mod perform;
pub mod registry;
/// Faults for tests of the tests; not for people.
#[doc(hidden)]
pub mod sabotage;
pub mod schedule;
pub mod subscription;
pub mod topology;
pub mod trace;

pub use chain::Chain;
pub use client::{Client, EnqueueError, EnqueueManyError, PublishError, PublishManyError, Published};
pub use context::Context;
pub use error::{BoxError, Error};
pub use event::Event;
pub use job::{AnyJob, Job};
pub use name::{ExchangeName, JobId, Kind, QueueName};
pub use perform::{JobError, Perform, PerformBlocking};

/// Derives [`Job`](trait@Job), and registers the type so that workers find it.
pub use job_macros::Job;

/// Derives [`Event`](trait@Event).
pub use job_macros::Event;

/// What derived code names; not for people.
#[doc(hidden)]
pub mod __private {
    pub use {inventory, serde, serde_json, typetag};

    pub use crate::backoff::Backoff;
    pub use crate::context::{Needs, StateNeed};
    pub use crate::error::Result as EventResult;
    pub use crate::event::{Event, KeyPart, at_exchange, key_of};
    pub use crate::job::{AnyJob, Job, JobType, PayloadResult, options_of, payload_of, read_job, write_job};
    pub use crate::options::JobOptions;
    pub use crate::perform::{HandlerProbe, HandlerProbeFallback};
    pub use crate::registry::{Descriptor, PerformFn, perform_async, perform_blocking};
    pub use crate::schedule::{LinkedSchedule, Missed, Overlap, boxed_job, default_job_without_schedule_with};
    pub use crate::subscription::{Source, Subscription};
    pub use crate::topology::{HeadersMode, Target};
}
