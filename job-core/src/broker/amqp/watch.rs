//! Notices a consumer to which nothing comes although something waits, whatever the cause.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::broker::amqp::intake::Intake;
use crate::clock::Clock;
use crate::error::Result;

/// A reader that found nothing for this long has a look at its queue.
const HUNGRY_MAX: Duration = Duration::from_secs(60);

/// How often a reader is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// The pause between the two readings that must agree. RabbitMQ answers 0 where it could not count, and counts what is
/// on its way to another consumer.
const READING_PAUSE: Duration = Duration::from_secs(2);

/// Ends when a reader waits in vain for [`HUNGRY_MAX`] while there is room in its window and messages are ready.
pub(super) async fn stuck(intake: &Intake, physical: &str, clock: &Clock) {
    loop {
        clock.sleep(LOOK_EVERY).await;
        let Some(since) = intake.hungry_since() else { continue };
        let waited = clock.monotonic().saturating_duration_since(since);
        if waited < HUNGRY_MAX || !has_ready(intake, physical).await {
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
