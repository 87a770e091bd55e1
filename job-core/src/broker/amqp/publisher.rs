//! Publishes, and answers for each message what became of it: stored, certainly not stored, or nobody knows.
//!
//! Callers publish straight onto one shared channel: a task between them, which awaits each write in turn, is three times
//! slower. A message that RabbitMQ refuses is sent again on a new channel, until the deadline: one that was opened while
//! the leader of a queue was away refuses everything for as long as that node is.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::broker::amqp::declare::{Declarer, Thing};
use crate::broker::amqp::fault;
use crate::broker::amqp::lane::{Answer, Lane, Publish};
use crate::broker::amqp::link::{Link, Purpose};
use crate::broker::amqp::name::Names;
use crate::broker::amqp::options::AmqpOptions;
use crate::broker::amqp::route::{Route, dead, route};
use crate::broker::amqp::session::Session;
use crate::broker::amqp::wheel::{Geometry, SlotId};
use crate::broker::amqp::wire;
use crate::broker::{Outgoing, Stored};
use crate::clock::Clock;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::name::QueueName;

mod way;

use way::Way;

/// Messages of one call that are under way at once: more only add latency.
const WINDOW: usize = 1024;

/// Payload that is under way at once, of all callers, in KiB: the driver copies what waits to be written.
const BUDGET_KIB: usize = 64 * 1024;

/// The pause before a refused message is sent again is a random one in between.
const REFUSED_PAUSE_MIN: Duration = Duration::from_millis(200);
const REFUSED_PAUSE_MAX: Duration = Duration::from_millis(500);

/// The pause before the next try, when a channel was lost before anything was sent.
const UNSENT_PAUSE: Duration = Duration::from_millis(20);

/// Publishes by way of one link.
#[derive(Debug)]
pub(super) struct Publisher {
    link: Arc<Link>,
    declarer: Declarer,
    names: Arc<Names>,
    clock: Clock,
    patience: Duration,
    geometry: Geometry,
    way: Way,
    /// The way of events that must be heard, one at a time.
    strict: tokio::sync::Mutex<Way>,
    budget: Semaphore,
}

impl Publisher {
    /// Makes a publisher.
    pub(super) fn new(link: Arc<Link>, names: Arc<Names>, clock: Clock, options: &AmqpOptions) -> Self {
        let declarer = Declarer::new(Arc::clone(&names), options).probing(link.sibling(Purpose::Probe));
        Self {
            link,
            declarer,
            names,
            clock,
            patience: options.publish_patience,
            geometry: Geometry::of(options.slot_width),
            way: Way::default(),
            strict: tokio::sync::Mutex::default(),
            budget: Semaphore::new(BUDGET_KIB),
        }
    }

    /// Closes what it has beside its link.
    pub(super) async fn close(&self) {
        self.declarer.close().await;
    }

    /// Returns what makes that exist which messages need.
    pub(super) fn declarer(&self) -> &Declarer {
        &self.declarer
    }

    /// Publishes all of them, and answers in their order.
    pub(super) async fn publish_all(&self, messages: &[Outgoing]) -> Vec<Result<Stored>> {
        // Most callers have one.
        if let [message] = messages {
            return vec![self.publish(message).await];
        }
        let mut answers = Vec::with_capacity(messages.len());
        let mut under_way = FuturesOrdered::new();
        for message in messages {
            if under_way.len() == WINDOW {
                answers.extend(under_way.next().await);
            }
            under_way.push_back(self.publish(message));
        }
        while let Some(answer) = under_way.next().await {
            answers.push(answer);
        }
        answers
    }

    /// Publishes one.
    ///
    /// # Errors
    /// [`is_unconfirmed`](Error::is_unconfirmed) when nobody knows whether it was stored; it was not otherwise.
    pub(super) async fn publish(&self, message: &Outgoing) -> Result<Stored> {
        message.check()?;
        let route = route(message, &self.names, &self.geometry, || self.clock.now())?;
        if message.must_reach && message.target.queue().is_none() {
            let way = self.strict.lock().await;
            return self.send(&route, &message.envelope, &way, true).await;
        }
        self.send(&route, &message.envelope, &self.way, false).await
    }

    /// Publishes a dead job to the dead of its queue.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub(super) async fn bury(&self, queue: &QueueName, envelope: &Envelope) -> Result<()> {
        let route = dead(queue, &self.names);
        self.send(&route, envelope, &self.way, false).await.map(drop)
    }

    async fn send(&self, route: &Route, envelope: &Envelope, way: &Way, is_mandatory: bool) -> Result<Stored> {
        let deadline = self.clock.monotonic() + self.patience;
        let kib = u32::try_from((envelope.payload.len() / 1024 + 1).min(BUDGET_KIB)).expect("the budget is small");
        let _permit = match self.budget.try_acquire_many(kib) {
            Ok(permit) => permit,
            Err(_) => Box::pin(self.admit(kib, deadline)).await?,
        };
        let mut was_refused = false;
        loop {
            match self.attempt(way, route, envelope, is_mandatory, deadline).await {
                Ok(Answer::Confirmed) => return Ok(Stored { copies: None }),
                Ok(Answer::Unheard) => return Err(unheard(envelope)),
                Ok(Answer::Unknown(cause)) => return Err(lost().caused_by(cause)),
                Ok(Answer::Refused) => was_refused = true,
                Ok(Answer::Unsent) => {}
                // What was refused once may have been stored somewhere all the same.
                Err(error) if was_refused => return Err(refused().caused_by(error)),
                Err(error) => return Err(error),
            }
            let pause = if was_refused { refused_pause() } else { UNSENT_PAUSE };
            if self.left(deadline) <= pause {
                return Err(if was_refused { refused() } else { unreachable() });
            }
            Box::pin(self.clock.sleep(pause)).await;
        }
    }

    /// Sends it once.
    ///
    /// # Errors
    /// When nothing was sent, or no answer came in time.
    async fn attempt(
        &self,
        way: &Way,
        route: &Route,
        envelope: &Envelope,
        is_mandatory: bool,
        deadline: Instant,
    ) -> Result<Answer> {
        let lane = way.usable();
        // What is seldom needed is in boxes: a call has a thousand of these futures under way.
        let session = match &lane {
            Some(lane) => Arc::clone(&lane.session),
            None => Box::pin(self.link.session(self.left(deadline))).await?,
        };
        // Before anything is sent: a blocked connection would not even open a channel.
        if let Some(reason) = session.blocked() {
            return Box::pin(self.wait_unblocked(&session, &reason, deadline)).await;
        }
        let lane = match lane {
            Some(lane) => lane,
            None => Box::pin(self.open(way, session, deadline)).await?,
        };
        let (mut needs, mut key) = (route.needs.clone(), Cow::Borrowed(&*route.key));
        match &route.needs {
            Some(Thing::Slot { level, index }) => {
                let (wanted, now) = (SlotId { level: *level, index: *index }, self.clock.now().timestamp_millis());
                let slot = Box::pin(self.declarer.slot(&lane.session, wanted, &self.geometry, now)).await?;
                if slot != wanted {
                    (needs, key) = (Some(slot.into()), self.names.slot(slot.level, slot.index).into());
                }
            }
            Some(thing) if !self.declarer.has_ensured(&lane.session, thing) => {
                Box::pin(self.declarer.ensure(&lane.session, thing)).await?;
            }
            _ => {}
        }
        let publish = Publish {
            exchange: &route.exchange,
            key: &key,
            body: &envelope.payload,
            properties: wire::properties(envelope, route.destination.as_ref())?,
            is_mandatory,
        };
        // Pinned here: the timeout would have room for it twice.
        let publishing = pin!(lane.publish(publish));
        let answer = self.clock.timeout(self.left(deadline), publishing).await;
        match &answer {
            Some(Answer::Confirmed | Answer::Unheard) => {}
            Some(Answer::Unknown(cause)) if fault::is_not_found(cause) => {
                lane.spoil();
                self.declarer.forget();
            }
            _ => lane.spoil(),
        }
        if let (Some(Answer::Confirmed), Some(queue @ (Thing::Slot { .. } | Thing::Queue(_)))) = (&answer, &needs)
            && !Box::pin(self.declarer.outgrown(&lane.session, queue)).await
        {
            return Err(lost());
        }
        answer.ok_or_else(|| {
            Error::unconfirmed(format!("RabbitMQ did not confirm the message within {:?}", self.patience))
        })
    }

    /// Waits until RabbitMQ takes publishes again; the message was not sent by then.
    async fn wait_unblocked(&self, session: &Session, reason: &str, deadline: Instant) -> Result<Answer> {
        match self.clock.timeout(self.left(deadline), session.unblocked()).await {
            Some(()) => Ok(Answer::Unsent),
            None => Err(Error::unavailable(format!("RabbitMQ takes no messages at the moment: {reason}"))),
        }
    }

    async fn open(&self, way: &Way, session: Arc<Session>, deadline: Instant) -> Result<Arc<Lane>> {
        let open = way.open(session, &self.declarer);
        self.clock.timeout(self.left(deadline), open).await.unwrap_or_else(|| Err(unreachable()))
    }

    /// Waits until there is room for a payload.
    async fn admit(&self, kib: u32, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        let permit = self.clock.timeout(self.left(deadline), self.budget.acquire_many(kib)).await;
        let permit = permit.ok_or_else(|| Error::unavailable("too much is waiting to be sent to RabbitMQ already"))?;
        Ok(permit.expect("the budget is never closed"))
    }

    fn left(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.clock.monotonic())
    }
}

fn refused_pause() -> Duration {
    REFUSED_PAUSE_MIN + (REFUSED_PAUSE_MAX - REFUSED_PAUSE_MIN).mul_f64(fastrand::f64())
}

fn unheard(envelope: &Envelope) -> Error {
    Error::unheard(format!("no queue is bound that takes the event \"{}\"; nothing was stored", envelope.kind_str()))
}

fn lost() -> Error {
    Error::unconfirmed("the connection to RabbitMQ, or a channel of it, was lost before it confirmed")
}

fn refused() -> Error {
    Error::unconfirmed("RabbitMQ refuses the message (basic.nack): a queue is full, or has no leader at the moment")
}

fn unreachable() -> Error {
    Error::unavailable("there was no connection to RabbitMQ in time")
}
