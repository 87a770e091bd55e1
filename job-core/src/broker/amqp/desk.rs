//! What the settlements of one consumer need: where to store what becomes of a delivery, and what to remember of it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::broker::amqp::intake::Intake;
use crate::broker::amqp::pace::Pace;
use crate::broker::amqp::publisher::Publisher;
use crate::broker::amqp::settled::{Key, Settled};
use crate::broker::{Outgoing, Window};
use crate::clock::Clock;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::name::QueueName;

/// The pause before an outcome that nobody confirmed is published again.
const UNCONFIRMED_PAUSE: Duration = Duration::from_millis(200);

/// Whose queue a consumer has, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Ours, kept until an operator removes it.
    Durable,
    /// It goes with this process: nothing is kept beyond a run.
    OfProcess,
    /// Somebody else's, as it is.
    External,
}

/// What the settlements of one broker share.
#[derive(Clone, Debug)]
pub(super) struct Office {
    pub(super) publisher: Arc<Publisher>,
    pub(super) settled: Arc<Mutex<Settled>>,
    /// Settlements under way.
    pub(super) tasks: TaskTracker,
    pub(super) handle: Handle,
    pub(super) clock: Clock,
    /// How long an outcome is tried to be stored.
    pub(super) patience: Duration,
}

/// One consumer's part of it.
#[derive(Debug)]
pub(super) struct Desk {
    queue: QueueName,
    nature: Nature,
    office: Office,
    pace: Pace,
    /// The pace has changed.
    pub(super) changed: Notify,
    /// The channel that is read now.
    current: Mutex<Weak<Intake>>,
}

/// What is to be stored before a delivery is acknowledged.
pub(super) enum Errand {
    Publish(Outgoing),
    /// Among the dead of its queue.
    Bury(Envelope),
}

impl Desk {
    pub(super) fn new(queue: QueueName, nature: Nature, window: Window, office: Office) -> Arc<Self> {
        Arc::new(Self {
            queue,
            nature,
            office,
            pace: Pace::new(window),
            changed: Notify::new(),
            current: Mutex::default(),
        })
    }

    pub(super) fn queue(&self) -> &QueueName {
        &self.queue
    }

    pub(super) fn nature(&self) -> Nature {
        self.nature
    }

    /// Returns how many deliveries the consumer is to hold at the most.
    pub(super) fn prefetch(&self) -> u16 {
        self.pace.prefetch()
    }

    /// Stores what becomes of a delivery, and insists until that is confirmed or the delivery is lost. What nobody
    /// confirmed is sent again under the same id: a second copy can be noticed, a lost outcome could not.
    ///
    /// # Errors
    /// When it was not stored in time, or nobody knows.
    pub(super) async fn run(&self, intake: &Intake, errand: Errand) -> Result<()> {
        let Office { publisher, clock, patience, .. } = &self.office;
        let begun = clock.monotonic();
        loop {
            let answer = match &errand {
                Errand::Publish(message) => publisher.publish(message).await.map(drop),
                Errand::Bury(envelope) => publisher.bury(&self.queue, envelope).await,
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
        self.office.tasks.spawn_on(future, &self.office.handle)
    }

    /// Notes which channel is read now.
    pub(super) fn set_current(&self, intake: &Arc<Intake>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(intake);
    }

    /// Returns the channel that is read now.
    pub(super) fn current(&self) -> Option<Arc<Intake>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    pub(super) fn note_run(&self, begun: Instant) {
        if self.pace.note(self.office.clock.monotonic().saturating_duration_since(begun)) {
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

    /// Says whether a delivery has run and was settled here; `redeliveries` is what RabbitMQ says of it.
    pub(super) fn has_settled(&self, key: &Key, redeliveries: u32) -> bool {
        redeliveries > 0 && self.settled().has(key, redeliveries)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.office.clock
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, Settled> {
        self.office.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
