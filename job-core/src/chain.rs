//! Jobs that run one after the other: the first is enqueued, the others travel with it as data.
//!
//! When a job of a chain has completed, its worker stores the next one in the same step. The worker needs the next job's
//! code no more than the broker does. A dead job keeps what follows it, and goes on with it once it is revived; who
//! cancels a job cancels what follows it.

use std::time::Duration;

use crate::broker::Outgoing;
use crate::clock::{Timestamp, later};
use crate::envelope::{Chained, Envelope, Step};
use crate::error::{Error, Result};
use crate::job::{Job, encode};
use crate::name::{Kind, QueueName};
use crate::options::JobOptions;
use crate::trace::TraceParent;

/// Jobs that run one after the other, each when the one before it has completed. Made by [`chain!`](crate::chain!) or
/// step by step, and sent by [`Client::enqueue_chain`](crate::Client::enqueue_chain).
///
/// At most [`CHAIN_STEPS_MAX`](crate::envelope::CHAIN_STEPS_MAX) jobs follow the first one, with
/// [`CHAIN_BYTES_MAX`](crate::envelope::CHAIN_BYTES_MAX) bytes in all. A mistake is the error of the enqueue.
#[must_use = "a chain is sent by `client.enqueue_chain(…)`"]
pub struct Chain {
    pub(crate) first: First,
    pub(crate) rest: Result<Vec<Step>>,
}

/// The job that is enqueued, as a client needs it.
pub(crate) struct First {
    pub(crate) kind: &'static str,
    pub(crate) options: JobOptions,
    pub(crate) payload: Result<Vec<u8>>,
}

/// A step of a chain about to be added, with options of its own.
#[must_use]
pub struct ChainStep(Result<Step>);

/// Makes a [`Chain`](struct@crate::chain::Chain) of jobs of any types, at least one.
///
/// ```standalone_crate
/// # use job_core::{Client, Context, Job, JobError, Perform, chain};
/// # #[derive(Job, serde::Serialize, serde::Deserialize)]
/// # struct Charge { order: u64 }
/// # impl Perform for Charge { async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> { Ok(()) } }
/// # #[derive(Job, serde::Serialize, serde::Deserialize)]
/// # struct Ship { order: u64 }
/// # impl Perform for Ship { async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> { Ok(()) } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect("memory:").await?;
/// let id = client.enqueue_chain(chain![Charge { order: 7 }, Ship { order: 7 }]).await?;
/// assert!(client.state(&id).await?.is_some());
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! chain {
    () => {
        ::core::compile_error!("a chain has at least one job; write chain![First { … }, Next { … }]")
    };
    ($first:expr $(, $next:expr)* $(,)?) => {
        $crate::chain::Chain::new($first)$(.then($next))*
    };
}

impl Chain {
    /// Begins a chain with a job.
    pub fn new<J: Job>(job: J) -> Self {
        Self { first: First { kind: J::KIND, options: J::OPTIONS, payload: encode(&job) }, rest: Ok(Vec::new()) }
    }

    /// Adds a job that is enqueued when the one before it has completed.
    pub fn then<J: Job>(self, job: J) -> Self {
        self.then_with(job, |step| step)
    }

    /// Adds a job with options of its own, such as `.then_with(job, |step| step.max_attempts(3))`.
    pub fn then_with<J: Job>(mut self, job: J, change: impl FnOnce(ChainStep) -> ChainStep) -> Self {
        self.rest = self.rest.and_then(|mut rest| {
            rest.push(change(ChainStep(step(&job))).0?);
            Ok(rest)
        });
        self
    }
}

impl ChainStep {
    /// Enqueues the job to another queue than the type's.
    pub fn queue(self, queue: &str) -> Self {
        self.edit(|step| {
            step.queue = QueueName::parse(queue)?;
            Ok(())
        })
    }

    /// Replaces the type's number of attempts, the first run counted; at least 1.
    pub fn max_attempts(self, attempts: u32) -> Self {
        self.edit(|step| {
            if attempts == 0 {
                return Err(Error::invalid("max_attempts is 0; a job has at least 1 attempt"));
            }
            step.max_attempts = Some(attempts);
            Ok(())
        })
    }

    /// Declares the job dead unless its first run starts within `duration` of the completion of the one before it.
    pub fn expires(self, duration: Duration) -> Self {
        self.edit(|step| {
            step.expires = Some(duration);
            Ok(())
        })
    }

    fn edit(self, change: impl FnOnce(&mut Step) -> Result<()>) -> Self {
        Self(self.0.and_then(|mut step| change(&mut step).map(|()| step)))
    }
}

/// Makes the message of the step that follows a job which has completed; `None` when none does.
///
/// Its id is derived from that of the chain's first job, so that a completion which is repeated after a crash stores
/// nothing twice while the first follower is stored. It continues the trace and carries the user's headers on.
///
/// # Errors
/// When the step is none that a client would have sent.
pub fn follower(envelope: &Envelope, now: Timestamp) -> Result<Option<Outgoing>> {
    let details = &envelope.details;
    let Some((chained, step)) = details.chain.as_ref().and_then(|chained| Some((chained, chained.rest.first()?)))
    else {
        return Ok(None);
    };
    chained.check()?;
    let first = chained.first.as_ref().unwrap_or(&envelope.id);
    let place = chained.place.saturating_add(1);
    let id = first.derive(&format!("chain/{place}"));
    let mut next = Envelope::new(id, step.kind.clone(), step.payload.clone().into_bytes(), now);
    next.details.max_attempts = step.max_attempts;
    next.details.expires = step.expires.map(|duration| later(now, duration));
    next.details.trace = details.trace.map(TraceParent::child);
    next.details.trace_state.clone_from(&details.trace_state);
    next.details.headers.clone_from(&details.headers);
    next.details.chain = Some(Chained { first: Some(first.clone()), place, rest: chained.rest[1..].to_vec() });
    let message = Outgoing::only(step.queue.clone(), next);
    message.check()?;
    Ok(Some(message))
}

fn step<J: Job>(job: &J) -> Result<Step> {
    let payload = String::from_utf8(encode(job)?)
        .map_err(|error| Error::invalid(format!("the job \"{}\" is written as no text", J::KIND)).caused_by(error))?;
    Ok(Step {
        kind: Kind::parse(J::KIND)?,
        queue: J::OPTIONS.queue_name(J::KIND)?,
        payload,
        expires: J::OPTIONS.expires,
        max_attempts: None,
    })
}

#[cfg(test)]
mod tests;
