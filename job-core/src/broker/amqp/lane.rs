//! One channel in confirm mode, which many callers share.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind, PublisherConfirm};

use crate::broker::amqp::session::Session;
use crate::error::Result;
use crate::sabotage;

/// A channel that confirms what it takes.
pub(super) struct Lane {
    pub(super) session: Arc<Session>,
    channel: Channel,
    /// Held while a publish gets its number and its place among the frames; see [`publish`](Self::publish).
    order: Mutex<()>,
    is_spoiled: AtomicBool,
}

/// One message on its way.
pub(super) struct Publish<'a> {
    pub(super) exchange: &'a str,
    pub(super) key: &'a str,
    pub(super) body: &'a [u8],
    pub(super) properties: BasicProperties,
    /// It is to be refused when no queue takes it. Only one at a time on a channel: the driver may give what comes back to
    /// the answer of another message.
    pub(super) is_mandatory: bool,
}

/// What the driver says when a message is written.
type Sent = lapin::Result<PublisherConfirm>;

/// What became of one publish.
#[derive(Debug)]
pub(super) enum Answer {
    /// RabbitMQ answers for it.
    Confirmed,
    /// No queue takes it; only a [mandatory](Publish::is_mandatory) one is answered so.
    Unheard,
    /// RabbitMQ does not answer for it.
    Refused,
    /// Nothing of it was sent.
    Unsent,
    /// Nobody knows.
    Unknown(lapin::Error),
}

impl Lane {
    /// Opens a channel.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn open(session: Arc<Session>) -> Result<Self> {
        let channel = session.channel().await?;
        session.answer("turn on confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(Self { session, channel, order: Mutex::default(), is_spoiled: AtomicBool::new(false) })
    }

    /// Says whether it can be published on.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_spoiled.load(Ordering::Acquire) && self.channel.status().connected() && self.session.is_alive()
    }

    /// Sees to it that nobody begins to publish on it any more. What is under way is still answered.
    pub(super) fn spoil(&self) {
        self.is_spoiled.store(true, Ordering::Release);
    }

    /// Publishes and waits for the answer; the caller bounds the wait.
    pub(super) fn publish<'a>(&'a self, publish: Publish<'a>) -> impl Future<Output = Answer> + Send + 'a {
        let Publish { exchange, key, body, properties, is_mandatory } = publish;
        let options = BasicPublishOptions { mandatory: is_mandatory, ..BasicPublishOptions::default() };
        // In a box, and out of the one that waits: it holds a kilobyte, and is over long before the answer comes.
        let sending = Box::pin(self.channel.basic_publish(exchange.into(), key.into(), options, body, properties));
        self.send(sending, is_mandatory)
    }

    async fn send(&self, mut sending: Pin<Box<impl Future<Output = Sent> + Send>>, is_mandatory: bool) -> Answer {
        // The driver numbers a publish and queues its frames in two steps of its first poll. Two threads between them
        // would swap the messages behind two numbers: a confirm would then answer for the other one, which may be lost.
        let begun = std::future::poll_fn(|cx| {
            let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
            Poll::Ready(sending.as_mut().poll(cx))
        });
        let sent = match begun.await {
            Poll::Ready(sent) => sent,
            Poll::Pending => sending.as_mut().await,
        };
        drop(sending);
        let confirm = match sent {
            Ok(confirm) => confirm,
            Err(cause) if is_unsent(&cause) => return Answer::Unsent,
            Err(cause) => return Answer::Unknown(cause),
        };
        sabotage::fail_point("amqp.publish.sent");
        match confirm.await {
            Ok(Confirmation::Ack(Some(_))) if is_mandatory => Answer::Unheard,
            Ok(Confirmation::Ack(_)) => {
                sabotage::fail_point("amqp.publish.confirmed");
                Answer::Confirmed
            }
            Ok(Confirmation::Nack(_) | Confirmation::NotRequested) => Answer::Refused,
            Err(cause) => Answer::Unknown(cause),
        }
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Says whether the driver refused a publish before it queued anything. A channel that is closed later ends publishes
/// with the same kind of error, but under another name.
fn is_unsent(cause: &lapin::Error) -> bool {
    matches!(cause.kind(), ErrorKind::InvalidChannelState(_, "basic.publish"))
}
