//! Appends to the stream, one message at a time, until RabbitMQ confirms it: a repetition does no harm here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::{BasicProperties, Channel, Confirmation};

use crate::broker::amqp::argument;
use crate::broker::amqp::ledger::{Packet, Size};
use crate::broker::amqp::link::Link;
use crate::broker::amqp::name::Names;
use crate::broker::amqp::session::Session;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::name::JobId;
use crate::sabotage;

/// The pause before another try, on a new channel: one that was opened while a leader is away refuses everything.
const PAUSE: Duration = Duration::from_millis(300);

/// A stream, too, confirms a persistent message only when it has written it.
const PERSISTENT: u8 = 2;

/// Appends for one process.
pub(super) struct Writer {
    link: Arc<Link>,
    names: Arc<Names>,
    size: Size,
    clock: Clock,
    /// Before the number of each message, so that a process knows its own.
    process: String,
    /// One at a time: a return can then only belong to the message that is under way.
    lane: tokio::sync::Mutex<Lane>,
    confirmed: AtomicU64,
}

#[derive(Default)]
struct Lane {
    open: Option<(Arc<Session>, Channel)>,
    /// The number of the latest message.
    number: u64,
}

impl Writer {
    pub(super) fn new(link: Arc<Link>, names: Arc<Names>, size: Size, clock: Clock) -> Self {
        let process = JobId::new(clock.now()).to_string();
        Self { link, names, size, clock, process, lane: tokio::sync::Mutex::default(), confirmed: AtomicU64::new(0) }
    }

    /// Returns the number of the latest confirmed message of this process.
    pub(super) fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Acquire)
    }

    /// Returns the number of a message, if it is of this process.
    pub(super) fn own(&self, properties: &BasicProperties) -> Option<u64> {
        let id = properties.message_id().as_ref()?.as_str();
        id.strip_prefix(&self.process)?.strip_prefix('/')?.parse().ok()
    }

    /// Appends within `patience`, and returns the message's number. Numbers come by in their order.
    ///
    /// # Errors
    /// [`is_unavailable`](Error::is_unavailable) when nothing was sent, and [`is_unconfirmed`](Error::is_unconfirmed)
    /// when nobody knows whether it was stored.
    pub(super) async fn send(&self, packet: &Packet, patience: Duration) -> Result<u64> {
        let deadline = self.clock.monotonic() + patience;
        let (kind, body) = packet.encode();
        let mut lane = self.lane.lock().await;
        lane.number += 1;
        let number = lane.number;
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_type(kind.into())
            .with_message_id(format!("{}/{number}", self.process).into())
            .with_content_type("application/json".into());
        let mut failure = None;
        loop {
            let attempt = self.attempt(&mut lane, &properties, &body, deadline).await;
            match attempt {
                Ok(()) => {
                    sabotage::fail_point("amqp.ledger.confirmed");
                    self.confirmed.store(number, Ordering::Release);
                    return Ok(number);
                }
                Err(error) => failure = Some(failure.filter(Error::is_unconfirmed).unwrap_or(error)),
            }
            lane.open = None;
            match failure {
                Some(error) if self.is_over(deadline) || error.is_denied() || error.is_invalid() => return Err(error),
                _ => self.clock.sleep(PAUSE).await,
            }
        }
    }

    async fn attempt(
        &self,
        lane: &mut Lane,
        properties: &BasicProperties,
        body: &[u8],
        deadline: Instant,
    ) -> Result<()> {
        let (session, channel) = match &lane.open {
            Some((session, channel)) if session.is_alive() && channel.status().connected() => (session, channel),
            _ => {
                let session = self.link.session(self.left(deadline)).await?;
                let channel = self.open(&session).await?;
                let (session, channel) = lane.open.insert((session, channel));
                (&*session, &*channel)
            }
        };
        if let Some(reason) = session.blocked() {
            return Err(Error::unavailable(format!("RabbitMQ takes no messages at the moment: {reason}")));
        }
        // Mandatory, as a stream that was deleted under us would swallow the message: one at a time, this can be trusted.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let publish = async {
            channel.basic_publish("".into(), self.names.ledger().into(), options, body, properties.clone()).await?.await
        };
        let unknown = || Error::unconfirmed("RabbitMQ did not confirm a setting");
        let confirmed = tokio::select! {
            biased;
            confirmed = self.clock.timeout(self.left(deadline), publish) => confirmed.ok_or_else(unknown)?,
            () = session.lost() => return Err(unknown()),
        };
        match confirmed {
            Ok(Confirmation::Ack(None)) => Ok(()),
            Ok(Confirmation::Ack(Some(_))) => Err(Error::unavailable("the ledger is gone from RabbitMQ")),
            Ok(_) => Err(Error::unconfirmed("RabbitMQ refuses a setting (basic.nack)")),
            Err(cause) => Err(unknown().caused_by(cause)),
        }
    }

    async fn open(&self, session: &Session) -> Result<Channel> {
        let channel = session.channel().await?;
        declare(session, &channel, &self.names, self.size).await?;
        session.answer("turn on confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(channel)
    }

    fn is_over(&self, deadline: Instant) -> bool {
        self.link.is_closed() || self.left(deadline) <= PAUSE
    }

    fn left(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.clock.monotonic())
    }
}

/// Makes the stream exist.
///
/// # Errors
/// When there is another queue of its name, or RabbitMQ does not answer.
pub(super) async fn declare(session: &Session, channel: &Channel, names: &Names, size: Size) -> Result<()> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let arguments = argument::ledger(size.bytes_max, size.segment_bytes);
    let what = format!("declare the ledger \"{}\"", names.ledger());
    session.answer(&what, channel.queue_declare(names.ledger().into(), options, arguments)).await.map(drop)
}
