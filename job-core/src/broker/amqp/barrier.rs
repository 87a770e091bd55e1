//! Waits until a quorum queue has what a channel has acknowledged.
//!
//! Beyond 32 acknowledgements that a queue has not yet taken, RabbitMQ's channel keeps the further ones to itself until it
//! hears from the queue, and loses them when it ends before: all of those jobs come again. A call that RabbitMQ's channel
//! answers by itself proves nothing of the queue. One that goes through the queue's log does: it comes behind what the
//! queue was told before, and the channel has heard of that when it turns to the next call.
//! (`rabbit_fifo_client` of RabbitMQ 3.10.8: `settle`, `checkout` and `handle_ra_event`.)

use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::broker::amqp::session::Session;
use crate::error::Result;

/// Waits until the queue of this name on the broker has taken what was acknowledged by this channel.
///
/// # Errors
/// When the connection or the channel is lost: nobody knows what the queue has taken.
pub(super) async fn pass(session: &Session, channel: &Channel, physical: &str) -> Result<()> {
    const WHAT: &str = "have acknowledgements reach their queue";
    // A consumer is made in the log. This one gets nothing.
    let consume = channel.basic_consume(physical.into(), "".into(), BasicConsumeOptions::default(), no_credit());
    let consumer = session.answer(WHAT, consume).await?;
    // The consumer is promised before it is made: what is answered next comes behind it.
    let cancel = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
    session.answer(WHAT, cancel).await
}

/// Returns the arguments of a consumer that is never given anything.
fn no_credit() -> FieldTable {
    let mut credit = FieldTable::default();
    credit.insert("credit".into(), AMQPValue::LongLongInt(0));
    credit.insert("drain".into(), AMQPValue::Boolean(false));
    let mut arguments = FieldTable::default();
    arguments.insert("x-credit".into(), AMQPValue::FieldTable(credit));
    arguments
}
