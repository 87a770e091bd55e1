//! Finds the end of the stream, so that a reader knows when it has come there.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::broker::amqp::ledger::{Size, writer};
use crate::broker::amqp::name::Names;
use crate::broker::amqp::session::{ANSWER_MAX, Session};
use crate::clock::Clock;
use crate::error::{Error, Result};

/// A stream that says nothing within this time is empty: nothing tells so, and the others answer within milliseconds.
const EMPTY_AFTER: Duration = Duration::from_secs(1);

/// The pause before another try, where a node has no replica yet.
const PAUSE: Duration = Duration::from_millis(100);

/// More entries than one chunk of the stream has.
const PREFETCH: u16 = 10_000;

/// Where a consumer begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    First,
    Last,
}

/// Returns the offset of the last entry; `None` for an empty stream.
///
/// # Errors
/// When RabbitMQ does not answer.
pub(super) async fn end(session: &Session, names: &Names, size: Size, clock: &Clock) -> Result<Option<u64>> {
    let (channel, consumer) = consume(session, names, size, Begin::Last, clock).await?;
    let mut consumer = pin!(consumer);
    let first = tokio::select! {
        biased;
        first = clock.timeout(EMPTY_AFTER, consumer.next()) => first,
        () = session.lost() => return Err(Error::unavailable("cannot read the ledger: the connection was lost")),
    };
    let mut latest = match first {
        None => None,
        Some(Some(Ok(delivery))) => offset(&delivery),
        Some(_) => return Err(Error::unavailable("cannot read the ledger: RabbitMQ ended the consumer")),
    };
    if latest.is_some() {
        // What began to come is a chunk, and comes whole; an answer behind it says that it is over.
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let look = channel.queue_declare(names.ledger().into(), passive, FieldTable::default());
        session.answer("look at the ledger", look).await?;
        while let Some(Some(Ok(delivery))) = consumer.next().now_or_never() {
            latest = offset(&delivery).or(latest);
        }
    }
    session.answer("close a channel", channel.close(200, "OK".into())).await?;
    Ok(latest)
}

/// Begins to consume the stream.
///
/// # Errors
/// When RabbitMQ does not answer, or this node has no part in the stream.
pub(super) async fn consume(
    session: &Session,
    names: &Names,
    size: Size,
    begin: Begin,
    clock: &Clock,
) -> Result<(Channel, lapin::Consumer)> {
    let deadline = clock.monotonic() + ANSWER_MAX;
    loop {
        let consumed = try_to_consume(session, names, size, begin).await;
        match consumed {
            // A stream that was declared a moment ago has not begun on all nodes of a cluster.
            Err(error) if error.is_invalid() && !is_over(clock, deadline) => clock.sleep(PAUSE).await,
            Err(error) if error.is_invalid() => {
                return Err(Error::invalid(format!(
                    "this node of RabbitMQ has no part in the stream \"{}\"; add one: rabbitmq-streams add_replica",
                    names.ledger()
                ))
                .caused_by(error));
            }
            consumed => return consumed,
        }
    }
}

fn is_over(clock: &Clock, deadline: Instant) -> bool {
    clock.monotonic() >= deadline
}

async fn try_to_consume(
    session: &Session,
    names: &Names,
    size: Size,
    begin: Begin,
) -> Result<(Channel, lapin::Consumer)> {
    let channel = session.channel().await?;
    writer::declare(session, &channel, names, size).await?;
    session.answer("set the prefetch", channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
    let mut arguments = FieldTable::default();
    let from = match begin {
        Begin::First => "first",
        Begin::Last => "last",
    };
    arguments.insert("x-stream-offset".into(), AMQPValue::LongString(from.into()));
    let consume = channel.basic_consume(names.ledger().into(), "".into(), BasicConsumeOptions::default(), arguments);
    let consumer = session.answer("read the ledger", consume).await?;
    Ok((channel, consumer))
}

/// Returns the place of an entry in its stream.
pub(super) fn offset(delivery: &Delivery) -> Option<u64> {
    let headers = delivery.properties.headers().as_ref()?;
    u64::try_from(headers.inner().get("x-stream-offset")?.as_long_long_int()?).ok()
}
