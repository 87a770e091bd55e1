//! Follows outcomes until they are recorded, and tells of them: one task for all completions, as one for each costs more
//! than a job.
//!
//! They are followed in the order in which they began, which is the order in which brokers record them; one that takes
//! long delays only what is told of those behind it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use job_core::broker::{BoxFuture, Outgoing};
use job_core::clock::Timestamp;
use job_core::envelope::Envelope;
use job_core::error::Result;
use job_core::name::QueueName;
use job_core::observation::{FinishedOutcome, Observation, Run};
use job_core::sabotage::fail_point;

use crate::executor::{Company, Executor};
use crate::in_flight::Held;

/// An outcome on its way, and what is to be told.
pub(super) struct Settling {
    pub(super) settled: BoxFuture<'static, Result<()>>,
    pub(super) ended: Ended,
}

/// A run that is over.
pub(super) struct Ended {
    pub(super) queue: QueueName,
    pub(super) kind: &'static str,
    pub(super) envelope: Arc<Envelope>,
    pub(super) outcome: FinishedOutcome,
    pub(super) followers: Vec<Outgoing>,
    pub(super) duration: Duration,
    pub(super) error: Option<String>,
    pub(super) back_at: Option<Timestamp>,
    /// Kept until the outcome is recorded.
    #[expect(dead_code, reason = "they are held, not read")]
    pub(super) holds: (Company, Held),
}

/// The outcomes that are followed; as many as there are settlements that the broker has not answered.
#[derive(Default)]
pub(crate) struct Line(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    settlings: VecDeque<Settling>,
    /// A task follows them.
    is_followed: bool,
}

impl Executor {
    /// Tells of an outcome once it is recorded: now, if it is.
    pub(super) fn follow(self: &Arc<Self>, mut settling: Settling) {
        match settling.settled.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(settled) => self.tell_settled(&settling.ended, settled),
            // What comes back may be started again at once: its end must not wait behind those of others.
            Poll::Pending if settling.ended.outcome != FinishedOutcome::Completed => {
                let executor = Arc::clone(self);
                tokio::spawn(async move { executor.follow_here(settling).await });
            }
            Poll::Pending => {
                if self.line.push(settling) {
                    Following(Arc::clone(self)).spawn();
                }
            }
        }
    }

    /// Waits until an outcome is recorded, and tells of it.
    pub(super) async fn follow_here(&self, settling: Settling) {
        let settled = settling.settled.await;
        self.tell_settled(&settling.ended, settled);
    }

    fn tell_settled(&self, ended: &Ended, settled: Result<()>) {
        fail_point("settle.ended");
        let Ended { queue, kind, envelope, duration, error, back_at, .. } = ended;
        let run = Run { queue, kind, id: &envelope.id, sequence: envelope.sequence, attempt: envelope.attempt };
        let outcome = match &settled {
            Ok(()) => ended.outcome,
            Err(_) => FinishedOutcome::Unrecorded,
        };
        match &settled {
            Ok(()) => ended.followers.iter().for_each(|follower| self.observe_enqueued(follower)),
            Err(error) => self.observers.emit(&Observation::SettleFailed { run, error }),
        }
        let (duration, error, back_at) = (*duration, error.as_deref(), *back_at);
        self.observers.emit(&Observation::Finished { run, outcome, duration, error, back_at });
    }
}

impl Line {
    /// Adds one to the end, and says whether nobody follows them yet.
    fn push(&self, settling: Settling) -> bool {
        let mut waiting = self.lock();
        waiting.settlings.push_back(settling);
        !std::mem::replace(&mut waiting.is_followed, true)
    }

    /// Removes the first one; when there is none, nobody follows them any more.
    fn pop(&self) -> Option<Settling> {
        let mut waiting = self.lock();
        let first = waiting.settlings.pop_front();
        waiting.is_followed = first.is_some();
        first
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().expect("no code panics while it holds the line")
    }
}

/// The task that follows the line. An observer that panics ends it, and another one goes on with the next outcome.
struct Following(Arc<Executor>);

impl Following {
    fn spawn(self) {
        tokio::spawn(async move {
            while let Some(settling) = self.0.line.pop() {
                self.0.follow_here(settling).await;
            }
        });
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if std::thread::panicking() {
            Self(Arc::clone(&self.0)).spawn();
        }
    }
}
