//! Takes the suspects of one queue, one at a time in the whole process, and hands them to the executor.
//!
//! Beside it normal work goes on; only jobs for which processes died wait, so that a death blames the right one.

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::{Broker, Consumer, Delivery, Window};
use job_core::clock::Clock;
use job_core::error::{Error, Result};
use job_core::name::QueueName;
use tokio::sync::OwnedRwLockWriteGuard;

use crate::executor::Executor;
use crate::executor::suspect::Lane;
use crate::hold;
use crate::shutdown::StopHandle;

/// How long the lane is kept for a job that was just stored for its run: another process may have taken it.
const ARMED_WAIT_MAX: Duration = Duration::from_secs(2);

/// The pause before a suspect asks again whether it may run; it doubles with each further one. Most wait for a move to the
/// lane, which takes milliseconds.
const PAUSE_FIRST: Duration = Duration::from_millis(5);

/// The pause is never more.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// The lane of one queue.
pub(crate) struct SuspectIntake {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) stop: StopHandle,
    pub(crate) clock: Clock,
    pub(crate) queue: QueueName,
}

impl SuspectIntake {
    /// Consumes until the worker drains.
    ///
    /// # Errors
    /// When the broker failed; the caller starts it again.
    pub(crate) async fn run(&self) -> Result<()> {
        while self.stop.wait_running().await {
            let mut consumer = self.broker.consume(&self.queue, Window::exact(1)).await?;
            let mut waiting = None;
            let result = tokio::select! {
                biased;
                () = self.stop.wait_not_running() => Ok(()),
                failed = self.take_all(&mut *consumer, &mut waiting) => failed,
            };
            waiting.into_iter().for_each(|delivery| self.executor.put_back(delivery));
            self.put_back(&mut *consumer).await;
            consumer.close().await;
            result?;
        }
        Ok(())
    }

    /// Puts back what was claimed and not begun: one that is stored for its run must not look as if its process had died.
    async fn put_back(&self, consumer: &mut dyn Consumer) {
        // What was read is started or put back without ever being pending.
        if let Some(Ok(deliveries)) = self.clock.timeout(Duration::ZERO, consumer.next_many(1)).await {
            deliveries.into_iter().for_each(|delivery| self.executor.put_back(delivery));
        }
    }

    /// Takes one job after the other. Cancelling it loses nothing: what waits is in `waiting`, and what was handed out runs
    /// on in a task of its own.
    async fn take_all(&self, consumer: &mut dyn Consumer, waiting: &mut Option<Delivery>) -> Result<()> {
        loop {
            let Some(delivery) = consumer.next_many(1).await?.pop() else {
                return Err(Error::unavailable(format!("the consumer of queue \"{}\" was closed", self.queue)));
            };
            let free = Arc::clone(&self.executor.lane).try_write_owned();
            if free.is_err() && is_counted(&delivery) {
                // A death of this process while it waits would be taken for its doing.
                self.executor.disarm(delivery);
                continue;
            }
            *waiting = Some(delivery);
            let alone = match free {
                Ok(alone) => Some(alone),
                Err(_) => {
                    tracing::debug!(queue = %self.queue, "a suspect waits until it may run alone");
                    self.wait_alone().await
                }
            };
            // One that waited for too long is put back by the caller.
            let Some((alone, delivery)) = alone.and_then(|alone| Some((alone, waiting.take()?))) else { return Ok(()) };
            let mut alone = self.run_one(delivery, alone).await?;
            while let Some(guard) = alone.take() {
                alone = self.take_one(consumer, guard).await?;
            }
        }
    }

    /// Waits until no job runs for which processes died. It asks again and again instead of standing in the lock's queue:
    /// there, all such jobs that come later would wait behind one that runs for hours. `None` when the broker would soon take
    /// away the job that waits for it.
    async fn wait_alone(&self) -> Option<OwnedRwLockWriteGuard<()>> {
        let begun = self.clock.monotonic();
        let wait_max = self.broker.capabilities().hold_max.map(hold::line_max);
        let mut pause = PAUSE_FIRST;
        loop {
            if let Ok(alone) = Arc::clone(&self.executor.lane).try_write_owned() {
                return Some(alone);
            }
            let waited = self.clock.monotonic().saturating_duration_since(begun);
            if wait_max.is_some_and(|wait_max| waited >= wait_max) {
                return None;
            }
            self.clock.sleep(pause).await;
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// Runs one job; returns the lane when it was only stored for its run, which must come before any other.
    async fn take_one(
        &self,
        consumer: &mut dyn Consumer,
        alone: OwnedRwLockWriteGuard<()>,
    ) -> Result<Option<OwnedRwLockWriteGuard<()>>> {
        let Some(taken) = self.clock.timeout(ARMED_WAIT_MAX, consumer.next_many(1)).await else {
            return Ok(None);
        };
        let Some(delivery) = taken?.pop() else {
            return Ok(None);
        };
        self.run_one(delivery, alone).await
    }

    /// Runs one job, or stores it for its run; returns the lane in that case.
    async fn run_one(
        &self,
        delivery: Delivery,
        alone: OwnedRwLockWriteGuard<()>,
    ) -> Result<Option<OwnedRwLockWriteGuard<()>>> {
        let run = tokio::spawn(Arc::clone(&self.executor).run_suspect(delivery, alone));
        match run.await {
            Ok(Lane::Armed(alone)) => Ok(Some(alone)),
            Ok(Lane::Over) => Ok(None),
            Err(error) => Err(Error::rejected(format!("a run of the suspect lane panicked: {error}"))),
        }
    }
}

/// Says whether the death of whoever holds it would count as one in a run alone.
fn is_counted(delivery: &Delivery) -> bool {
    delivery.envelope.details.is_armed && delivery.redeliveries == 0
}
