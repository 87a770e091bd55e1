//! Takes deliveries of one queue, as fast as there are slots, and hands them to the executor.
//!
//! Starts nothing once the worker is quiet or drains; what the consumer had claimed ahead goes back then. So it does when it
//! has waited for so long that the broker would soon take it away, and with it all that runs.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use job_core::broker::{Broker, Consumer, Window};
use job_core::clock::Clock;
use job_core::error::{Error, Result};
use tokio::sync::watch;

use crate::config::QueueConfig;
use crate::executor::Executor;
use crate::hold::{AHEAD_PER_SLOT_MAX, Unread};
use crate::sabotage;
use crate::shutdown::StopHandle;
use crate::slots::Slots;

/// The intake of one queue.
pub(crate) struct Intake {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) stop: StopHandle,
    pub(crate) clock: Clock,
    pub(crate) queue: QueueConfig,
    /// Which queue's share the slots count to.
    pub(crate) index: usize,
    /// How much this queue can run at once.
    pub(crate) window: Window,
    /// True from before the consumer is opened until after it is closed.
    pub(crate) is_consuming: watch::Sender<bool>,
}

impl Intake {
    /// Consumes until the worker drains.
    ///
    /// # Errors
    /// When the broker failed; the caller starts it again.
    pub(crate) async fn run(&self) -> Result<()> {
        while self.stop.wait_running().await {
            let _consuming = Consuming::begin(&self.is_consuming);
            let mut consumer = self.broker.consume(&self.queue.name, self.window).await?;
            let result = self.take_while_running(&mut *consumer).await;
            consumer.close().await;
            result?;
        }
        Ok(())
    }

    /// Waits until nothing is consumed any more, and all that was claimed ahead has been given back.
    pub(crate) async fn wait_stopped(&self) {
        // The sender is `self`: it cannot be gone while this waits.
        let _ = self.is_consuming.subscribe().wait_for(|is_consuming| !is_consuming).await;
    }

    /// Takes until the worker no longer runs, or what was claimed ahead has to go back.
    async fn take_while_running(&self, consumer: &mut dyn Consumer) -> Result<()> {
        let hold_max = self.broker.capabilities().hold_max;
        let mut unread = Unread::new(self.window.slots, self.clock.monotonic());
        loop {
            // Jobs that are ready at once would keep this task from ever giving others a turn.
            tokio::task::coop::consume_budget().await;
            tokio::select! {
                biased;
                () = self.stop.wait_not_running(), if !sabotage::ignores_stop() => return Ok(()),
                taken = self.take(consumer, &mut unread, hold_max) => taken?,
            }
            if self.left(&unread, hold_max).is_some_and(|left| left.is_zero()) {
                self.put_back(consumer).await;
                return Ok(());
            }
        }
    }

    /// Puts back what was claimed ahead, as far as it has arrived.
    async fn put_back(&self, consumer: &mut dyn Consumer) {
        let mut left = self.window.slots.saturating_mul(AHEAD_PER_SLOT_MAX);
        while left > 0 {
            let next = self.clock.timeout(Duration::ZERO, consumer.next_many(left)).await;
            let Some(Ok(deliveries)) = next.filter(|next| next.as_ref().is_ok_and(|next| !next.is_empty())) else {
                return;
            };
            left = left.saturating_sub(deliveries.len());
            deliveries.into_iter().for_each(|delivery| self.executor.put_back(delivery));
        }
    }

    /// Returns what is left of the time that something unread may wait; `None` where it may for ever.
    fn left(&self, unread: &Unread, hold_max: Option<Duration>) -> Option<Duration> {
        hold_max.map(|hold_max| unread.left(hold_max, self.clock.monotonic()))
    }

    /// Takes what is there, up to the free slots. Cancelling it loses nothing: what a consumer has handed out is started
    /// without ever being pending.
    async fn take(&self, consumer: &mut dyn Consumer, unread: &mut Unread, hold_max: Option<Duration>) -> Result<()> {
        let mut ready = consumer.ready();
        let is_open = match poll!(&mut ready) {
            Poll::Ready(is_open) => is_open?,
            Poll::Pending => {
                let is_open = ready.as_mut().await?;
                unread.none(self.clock.monotonic());
                is_open
            }
        };
        drop(ready);
        if !is_open {
            return Err(Error::unavailable(format!("the consumer of queue \"{}\" was closed", self.queue.name)));
        }
        let acquire = self.slots.acquire(self.index, self.window.slots);
        let slots = match self.left(unread, hold_max) {
            Some(left) => self.clock.timeout(left, acquire).await,
            None => Some(acquire.await),
        };
        let Some(mut slots) = slots else { return Ok(()) };
        let deliveries = consumer.next_many(slots.len()).await?;
        if hold_max.is_some() {
            unread.read(deliveries.len(), self.clock.monotonic());
        }
        for delivery in deliveries {
            let Some(slot) = slots.pop() else {
                // More than asked for: a broker's mistake. Dropping the delivery would strand it.
                return Err(Error::unavailable("the broker handed out more deliveries than asked for"));
            };
            self.executor.start(delivery, slot).await;
        }
        Ok(())
    }
}

/// Says that an intake consumes, until it is dropped; a panic says so too.
struct Consuming<'a>(&'a watch::Sender<bool>);

impl<'a> Consuming<'a> {
    fn begin(flag: &'a watch::Sender<bool>) -> Self {
        flag.send_replace(true);
        Self(flag)
    }
}

impl Drop for Consuming<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}
