//! One channel that consumes one queue, from its opening to its last acknowledgement.
//!
//! Acknowledgements are collected, and sent from the broker's own thread. They name deliveries by numbers that mean
//! something else on another channel: one that is over takes none. AMQP confirms no acknowledgement; one that is lost
//! with its connection brings the job back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::broker::amqp::ack_ring::{Acks, Collector, Issuer, Mark, Nudge, ack_ring};
use crate::broker::amqp::barrier;
use crate::broker::amqp::fault;
use crate::broker::amqp::flush::Flushes;
use crate::broker::amqp::session::Session;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::sabotage::{self, Mutant};

/// The longest that a finished delivery waits for company.
const COMPANY_MAX: Duration = Duration::from_millis(3);

/// One channel that consumes.
pub(super) struct Intake {
    session: Arc<Session>,
    channel: Channel,
    /// The queue's name on the broker.
    physical: String,
    consumer_tag: ShortString,
    prefetch: u16,
    clock: Clock,
    /// Something is to be acknowledged, or the channel is to end.
    wake: Notify,
    /// As much is to be acknowledged as is worth a frame at once.
    full: Notify,
    /// Those who wait until the queue has all that is acknowledged.
    flushes: Flushes,
    /// Handed out and not settled.
    outstanding: AtomicUsize,
    /// Nothing is handed out any more: the channel ends with the last settlement.
    is_retired: AtomicBool,
    /// We asked for the end of the deliveries.
    is_stopping: AtomicBool,
    /// The channel is to end now, whatever is not settled.
    closing: CancellationToken,
    /// The channel is over: what was not acknowledged goes back.
    over: CancellationToken,
    /// Since when a reader waits in vain.
    hungry: Mutex<Option<Instant>>,
}

/// What an opened channel gives to the one who reads it, and to the one who acknowledges.
pub(super) struct Opened {
    pub(super) intake: Arc<Intake>,
    pub(super) stream: Consumer,
    pub(super) issuer: Issuer,
    pub(super) collector: Collector,
}

/// The two ends of a broker.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// It is closed in order.
    pub(super) closing: CancellationToken,
    /// It ended as if by a crash.
    pub(super) killed: CancellationToken,
}

/// How to consume.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consume<'a> {
    /// The queue's name on the broker.
    pub(super) physical: &'a str,
    pub(super) queue: &'a QueueName,
    pub(super) prefetch: u16,
}

impl Intake {
    /// Opens a channel and begins to consume.
    ///
    /// # Errors
    /// [`is_invalid`](Error::is_invalid) when there is no such queue.
    pub(super) async fn open(session: Arc<Session>, consume: Consume<'_>, life: &Life, clock: Clock) -> Result<Opened> {
        let Consume { physical, queue, prefetch } = consume;
        let channel = session.channel().await?;
        let qos = channel.basic_qos(prefetch, BasicQosOptions::default());
        session.answer("set the window of a consumer", qos).await?;
        let options = BasicConsumeOptions::default();
        let consume = channel.basic_consume(physical.into(), "".into(), options, FieldTable::default());
        let what = format!("consume the queue \"{queue}\"");
        let stream = session.attempt(&what, consume).await?.map_err(|cause| {
            if fault::is_not_found(&cause) { undeclared(queue).caused_by(cause) } else { fault::error(&what, &cause) }
        })?;
        let intake = Self {
            session,
            consumer_tag: stream.tag(),
            channel,
            physical: physical.to_owned(),
            prefetch,
            clock,
            wake: Notify::new(),
            full: Notify::new(),
            flushes: Flushes::default(),
            outstanding: AtomicUsize::new(0),
            is_retired: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            closing: life.closing.clone(),
            over: life.killed.child_token(),
            hungry: Mutex::default(),
        };
        let (issuer, collector) = ack_ring(prefetch.into());
        Ok(Opened { intake: Arc::new(intake), stream, issuer, collector })
    }

    /// Says whether its deliveries can still be settled, as far as is known.
    pub(super) fn is_alive(&self) -> bool {
        !self.over.is_cancelled() && self.channel.status().connected() && self.session.is_alive()
    }

    /// Declares the channel over: its deliveries belong to the queue again.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    /// Says whether the channel is known to be over: cheaper than [`is_alive`](Self::is_alive), and later.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Ends when the channel is over.
    pub(super) async fn over(&self) {
        tokio::select! {
            () = self.over.cancelled() => {}
            () = self.session.lost() => self.over.cancel(),
        }
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(super) fn prefetch(&self) -> u16 {
        self.prefetch
    }

    /// Notes that a delivery is handed out.
    pub(super) fn hand_out(&self) {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that a delivery that was handed out is settled, or never will be.
    pub(super) fn take_back(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 && self.is_retired.load(Ordering::Acquire) {
            self.wake.notify_one();
        }
    }

    /// Has a delivery acknowledged, soon.
    pub(super) fn finish(&self, mark: Mark) {
        self.nudge(mark.done());
    }

    /// Gives a delivery back to its queue.
    ///
    /// # Errors
    /// When the channel is over, which gives it back as well.
    pub(super) async fn release(&self, mark: Mark) -> Result<()> {
        self.give_back(mark.tag()).await?;
        self.nudge(mark.gone());
        Ok(())
    }

    /// Gives back what never was handed out.
    ///
    /// # Errors
    /// When the channel is over, which gives it back as well.
    pub(super) async fn give_back(&self, tag: u64) -> Result<()> {
        let options = BasicNackOptions { multiple: false, requeue: true };
        self.session.answer("give a delivery back", self.channel.basic_nack(tag, options)).await?;
        sabotage::fail_point("amqp.release.sent");
        Ok(())
    }

    /// Notes whether a reader that looked found nothing.
    pub(super) fn note_hunger(&self, is_hungry: bool) {
        let mut hungry = self.hungry.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_hungry {
            *hungry = None;
        } else if hungry.is_none() {
            *hungry = Some(self.clock.monotonic());
        }
    }

    /// Returns since when a reader waits in vain although there is room in the window.
    pub(super) fn hungry_since(&self) -> Option<Instant> {
        let has_room = self.outstanding.load(Ordering::Acquire) < usize::from(self.prefetch);
        self.hungry.lock().unwrap_or_else(PoisonError::into_inner).filter(|_| has_room)
    }

    /// Stops the deliveries: the stream ends behind those that are on their way.
    ///
    /// # Errors
    /// When the channel is over.
    pub(super) async fn stop(&self) -> Result<()> {
        self.is_stopping.store(true, Ordering::Release);
        let cancel = self.channel.basic_cancel(self.consumer_tag.clone(), BasicCancelOptions::default());
        self.session.answer("stop a consumer", cancel).await
    }

    /// Lets the channel end once all that was handed out is settled. What never was goes back at once, each by itself:
    /// the numbers between them belong to jobs that run.
    pub(super) async fn retire(&self, undelivered: Vec<u64>) {
        if self.outstanding.load(Ordering::Acquire) > 0 {
            // A channel that is lost has given them back.
            let _ = try_join_all(undelivered.into_iter().map(|tag| self.give_back(tag))).await;
        }
        self.let_end();
    }

    fn let_end(&self) {
        self.is_retired.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Notes that the stream has ended. An end that nobody asked for is the end of the channel.
    pub(super) fn note_end(&self) {
        if self.is_stopping.load(Ordering::Acquire) { self.let_end() } else { self.end() }
    }

    /// Acknowledges what is finished, until the channel ends.
    pub(super) async fn acknowledge(self: Arc<Self>, mut collector: Collector) {
        let mut look_again = None;
        while !self.is_finished() && self.wait_for_work(look_again).await {
            let flushes = self.flushes.take();
            let sent = if flushes.is_empty() {
                let acks = collector.collect(self.clock.monotonic());
                look_again = acks.look_again;
                self.send(acks).await
            } else {
                look_again = None;
                self.settle_all(&mut collector).await
            };
            if sent.is_err() {
                break;
            }
            flushes.answer();
        }
        // A channel that cannot end in order has lost its deliveries already.
        if self.is_alive() && self.settle_all(&mut collector).await.is_ok() {
            sabotage::fail_point("amqp.drain.acknowledged");
        }
        self.over.cancel();
        if self.channel.status().connected() && self.session.is_alive() {
            // What ended silently still holds deliveries on the broker's side.
            let _ = self.session.answer("close a channel", self.channel.close(200, "OK".into())).await;
        }
    }

    /// Waits until the queue has every acknowledgement that can be sent.
    async fn settle_all(&self, collector: &mut Collector) -> Result<()> {
        self.send(collector.flush(self.clock.monotonic())).await?;
        barrier::pass(&self.session, &self.channel, &self.physical).await
    }

    /// Waits until the queue has what was finished before, or the channel is over, which gives it back.
    pub(super) async fn flush(&self) {
        let flushed = self.flushes.ask();
        self.full.notify_one();
        tokio::select! {
            () = self.over() => {}
            () = flushed => {}
        }
    }

    /// Waits until there is something to do; `false` when the channel is over.
    async fn wait_for_work(&self, look_again: Option<Duration>) -> bool {
        tokio::select! {
            biased;
            () = self.over() => false,
            () = self.closing.cancelled() => true,
            () = self.full.notified() => true,
            () = self.wake.notified() => {
                // Not when it is to end: nobody else finishes anything then.
                if !self.is_finished() {
                    let _ = self.clock.timeout(COMPANY_MAX, self.full.notified()).await;
                }
                true
            }
            () = self.clock.sleep(look_again.unwrap_or_default()), if look_again.is_some() => true,
        }
    }

    fn is_finished(&self) -> bool {
        let is_retired = self.is_retired.load(Ordering::Acquire) && self.outstanding.load(Ordering::Acquire) == 0;
        is_retired || self.closing.is_cancelled()
    }

    async fn send(&self, acks: Acks) -> Result<()> {
        if let Some(tag) = acks.through {
            self.ack(tag, true).await?;
        }
        // At once: each waits until it is written.
        try_join_all(acks.alone.into_iter().map(|tag| self.ack(tag, false))).await?;
        Ok(())
    }

    async fn ack(&self, tag: u64, multiple: bool) -> Result<()> {
        let multiple = multiple || sabotage::is_on(Mutant::AckOverGap);
        self.session.answer("acknowledge", self.channel.basic_ack(tag, BasicAckOptions { multiple })).await?;
        sabotage::fail_point("amqp.ack.sent");
        Ok(())
    }

    /// Acknowledges whatever has this number, for the mutant that does so.
    pub(super) async fn acknowledge_by_number(&self, tag: u64) {
        let _ = self.ack(tag, false).await;
    }

    fn nudge(&self, nudge: Nudge) {
        match nudge {
            Nudge::No => {}
            Nudge::First => self.wake.notify_one(),
            Nudge::Full => self.full.notify_one(),
        }
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake")
            .field("session", &self.session)
            .field("prefetch", &self.prefetch)
            .finish_non_exhaustive()
    }
}

/// Returns the error of a queue that does not exist.
pub(super) fn undeclared(queue: &QueueName) -> Error {
    Error::invalid(format!("queue \"{queue}\" is not declared; add it to the topology before consuming"))
}
