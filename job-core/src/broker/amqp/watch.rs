//! Notices a consumer to which nothing comes although something waits, whatever the cause.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::broker::amqp::intake::Intake;
use crate::clock::Clock;
use crate::error::Result;

/// The pause between the two readings that must agree. RabbitMQ answers 0 where it could not count, and counts what is
/// on its way to another consumer.
const READING_PAUSE: Duration = Duration::from_secs(2);

/// Ends when a reader waits in vain for `silence_max` while there is room in its window and messages are ready.
pub(super) async fn stuck(intake: &Intake, physical: &str, silence_max: Duration, clock: &Clock) {
    loop {
        clock.sleep(silence_max / 4).await;
        let Some(since) = intake.hungry_since() else { continue };
        let waited = clock.monotonic().saturating_duration_since(since);
        if waited < silence_max || !has_ready(intake, physical).await {
            continue;
        }
        clock.sleep(READING_PAUSE).await;
        if has_ready(intake, physical).await && intake.hungry_since() == Some(since) {
            tracing::warn!(target: "job", queue = physical, ?waited, "nothing comes although messages wait: consuming anew");
            return;
        }
    }
}

async fn has_ready(intake: &Intake, physical: &str) -> bool {
    // What cannot be asked is no reason: a connection that is lost is noticed elsewhere.
    ready(intake, physical).await.is_ok_and(|count| count > 0)
}

async fn ready(intake: &Intake, physical: &str) -> Result<u32> {
    let session = intake.session();
    let channel = session.channel().await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declare = channel.queue_declare(physical.into(), options, FieldTable::default());
    let queue = session.answer("count the messages of a queue", declare).await?;
    session.answer("close a channel", channel.close(200, "OK".into())).await?;
    Ok(queue.message_count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::amqp::scene::{broker_with, envelope, namespace, queue, within};
    use crate::broker::amqp::{AmqpOptions, node};
    use crate::broker::{Broker, Outcome, Outgoing, Window};
    use crate::topology::Topology;

    /// Ends all consumers of a queue within the broker, so that nobody is told.
    fn silence(physical: &str) {
        let eval = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup({{resource, <<\"/\">>, queue, <<\"{physical}\">>}}), \
             [{{ok, _, _}} = ra:process_command(amqqueue:get_pid(Q), \
             rabbit_fifo:make_checkout({{element(2, C), element(1, C)}}, cancel, #{{}})) || C <- rabbit_amqqueue:consumers(Q)], \
             length(rabbit_amqqueue:consumers(Q))."
        );
        assert_eq!(node::ctl(&["eval", &eval]).trim(), "0", "the consumers are gone");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_consumer_that_ended_silently_is_noticed_and_goes_on() {
        let namespace = namespace();
        let options = AmqpOptions { silence_max: Duration::from_secs(2), ..AmqpOptions::default() };
        let broker = broker_with(&namespace, options).await;
        let mail = queue("mail");
        within("declare", broker.declare(&Topology::default().queue(mail.clone()))).await.unwrap();
        let mut consumer = within("consume", broker.consume(&mail, Window::new(4))).await.unwrap();
        let send = async |text: &str| {
            let stored = broker.publish(vec![Outgoing::to_queue(mail.clone(), envelope(text))]).await;
            stored.into_iter().next().unwrap().unwrap();
        };
        send("before").await;
        let before = within("next", consumer.next_many(1)).await.unwrap().pop().unwrap();
        silence(&format!("{namespace}.mail"));
        send("after").await;
        let after = loop {
            let next = within("next", consumer.next_many(1)).await.unwrap().pop().unwrap();
            if next.envelope.payload == b"after" {
                break next;
            }
            // The channel of the silent one is closed, and what it held comes again.
            assert_eq!(next.envelope.payload, b"before");
        };
        within("settle", after.settle.settle(Outcome::Done { then: Vec::new() })).await.unwrap();
        drop(before);
    }
}
