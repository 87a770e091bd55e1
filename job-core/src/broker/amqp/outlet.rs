//! Makes deliveries of the messages of one queue, and keeps what their settlements need.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::broker::amqp::ack_ring::Mark;
use crate::broker::amqp::intake::Intake;
use crate::broker::amqp::pace::Pace;
use crate::broker::amqp::publisher::Publisher;
use crate::broker::amqp::settle::AmqpSettle;
use crate::broker::amqp::settled::{Key, Settled};
use crate::broker::amqp::wire;
use crate::broker::{Delivery, Outcome, Outgoing, Window};
use crate::clock::{Clock, later};
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::name::QueueName;

/// How early a message may be: clocks differ, and a pump's may be ahead. What is earlier goes back into its slot.
const EARLY_MAX: Duration = Duration::from_secs(1);

/// The pause before an outcome that nobody confirmed is published again.
const UNCONFIRMED_PAUSE: Duration = Duration::from_millis(200);

/// What the settlements of one broker share.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    pub(super) publisher: Arc<Publisher>,
    pub(super) settled: Arc<Mutex<Settled>>,
    /// Settlements under way.
    pub(super) tasks: TaskTracker,
    pub(super) handle: Handle,
    pub(super) clock: Clock,
    /// How long an outcome is tried to be stored.
    pub(super) patience: Duration,
}

/// One consumer's way out.
#[derive(Debug)]
pub(super) struct Outlet {
    queue: QueueName,
    desk: Desk,
    pace: Pace,
    /// The pace has changed.
    pub(super) changed: Notify,
}

/// A message as it came from a channel.
pub(super) struct Taken {
    pub(super) intake: Arc<Intake>,
    pub(super) mark: Mark,
    pub(super) message: lapin::message::Delivery,
}

/// What is to be stored before a delivery is acknowledged.
pub(super) enum Errand {
    Publish(Outgoing),
    /// Among the dead of its queue.
    Bury(Envelope),
}

impl Outlet {
    pub(super) fn new(queue: QueueName, window: Window, desk: Desk) -> Arc<Self> {
        Arc::new(Self { queue, desk, pace: Pace::new(window), changed: Notify::new() })
    }

    pub(super) fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// Returns how many deliveries the consumer is to hold at the most.
    pub(super) fn prefetch(&self) -> u16 {
        self.pace.prefetch()
    }

    /// Makes a delivery; `None` for a message that is not to run now: it has run, or is not due.
    pub(super) fn deliver(self: &Arc<Self>, taken: Taken) -> Option<Delivery> {
        let Taken { intake, mark, message } = taken;
        let now = self.desk.clock.now();
        let received = wire::received(&message.properties, message.data, message.redelivered, None, now);
        let envelope = received.envelope;
        intake.hand_out();
        let key = Key::new(&self.queue, &envelope);
        let settle =
            AmqpSettle { intake, outlet: Arc::clone(self), mark: Some(mark), key, begun: self.desk.clock.monotonic() };
        if received.redeliveries > 0 && self.settled().has(&settle.key, received.redeliveries) {
            tracing::debug!(target: "job", queue = %self.queue, id = %envelope.id, "came again after it was settled");
            settle.skip();
            return None;
        }
        if let Some(at) = envelope.not_before.filter(|at| *at > later(now, EARLY_MAX)) {
            let back = Box::new(settle).record(Outcome::Later { at, envelope });
            // What cannot be put back is released, and comes here again.
            drop(self.spawn(back));
            return None;
        }
        Some(Delivery {
            envelope,
            queue: self.queue.clone(),
            redeliveries: received.redeliveries,
            defect: received.defect,
            settle: Box::new(settle),
        })
    }

    /// Stores what becomes of a delivery, and insists until that is confirmed or the delivery is lost. What nobody
    /// confirmed is sent again under the same id: a second copy can be noticed, a lost outcome could not.
    ///
    /// # Errors
    /// When it was not stored in time, or nobody knows.
    pub(super) async fn run(&self, intake: &Intake, errand: Errand) -> Result<()> {
        let Desk { publisher, clock, patience, .. } = &self.desk;
        let begun = clock.monotonic();
        loop {
            let answer = match &errand {
                Errand::Publish(message) => publisher.publish(message.clone()).await.map(drop),
                Errand::Bury(envelope) => publisher.bury(&self.queue, envelope.clone()).await,
            };
            let is_open = answer.as_ref().is_err_and(Error::is_unconfirmed) && intake.is_alive();
            if !is_open || clock.monotonic().saturating_duration_since(begun) >= *patience {
                return answer;
            }
            clock.sleep(UNCONFIRMED_PAUSE).await;
        }
    }

    /// Starts a settlement, which goes on when nobody waits for it.
    pub(super) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.desk.tasks.spawn_on(future, &self.desk.handle)
    }

    pub(super) fn note_run(&self, begun: Instant) {
        if self.pace.note(self.desk.clock.monotonic().saturating_duration_since(begun)) {
            self.changed.notify_one();
        }
    }

    /// Remembers that a delivery has run and is settled.
    pub(super) fn remember(&self, key: &Key) {
        self.settled().remember(key.clone());
    }

    pub(super) fn lost(&self) -> Error {
        Error::lost(format!("a job of queue \"{}\" was given back when its connection or channel ended", self.queue))
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, Settled> {
        self.desk.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
