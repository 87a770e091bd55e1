//! Makes deliveries of the messages of one queue, and sends back what is not to run now.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::amqp::ack_ring::Mark;
use crate::broker::amqp::desk::{Desk, Nature};
use crate::broker::amqp::intake::Intake;
use crate::broker::amqp::settle::AmqpSettle;
use crate::broker::amqp::settled::Key;
use crate::broker::amqp::wire;
use crate::broker::{Delivery, Outcome};
use crate::clock::later;
use crate::envelope::Content;

/// How early a message may be: clocks differ, and a pump's may be ahead. What is earlier goes back into its slot.
const EARLY_MAX: Duration = Duration::from_secs(1);

/// A message as it came from a channel.
pub(super) struct Taken {
    pub(super) intake: Arc<Intake>,
    pub(super) mark: Mark,
    pub(super) message: lapin::message::Delivery,
}

/// Makes a delivery; `None` for a message that is not to run now: it has run, or is not due.
pub(super) fn deliver(desk: &Arc<Desk>, taken: Taken) -> Option<Delivery> {
    let Taken { intake, mark, message } = taken;
    let now = desk.clock().now();
    let received = wire::received(&message.properties, message.data, message.redelivered, None, now);
    let mut envelope = received.envelope;
    if desk.nature() == Nature::External && !wire::says_json(&message.properties) && !wire::is_json(&envelope.payload) {
        envelope.content = Content::Text;
    }
    intake.hand_out();
    let key = Key::new(desk.queue(), &envelope);
    let settle = AmqpSettle { intake, desk: Arc::clone(desk), mark: Some(mark), key, begun: desk.clock().monotonic() };
    if desk.has_settled(&settle.key, received.redeliveries) {
        tracing::debug!(target: "job", queue = %desk.queue(), id = %envelope.id, "came again after it was settled");
        settle.skip();
        return None;
    }
    if let Some(at) = envelope.not_before.filter(|at| *at > later(now, EARLY_MAX)) {
        let back = Box::new(settle).record(Outcome::Later { at, envelope });
        // What cannot be put back is released, and comes here again.
        drop(desk.spawn(back));
        return None;
    }
    Some(Delivery {
        envelope,
        queue: desk.queue().clone(),
        redeliveries: received.redeliveries,
        defect: received.defect,
        settle: Box::new(settle),
    })
}
