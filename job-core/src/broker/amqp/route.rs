//! Where a message goes on the broker: the exchange, the key, and what must be declared for it.

use crate::broker::Outgoing;
use crate::broker::amqp::declare::Thing;
use crate::broker::amqp::name::Names;
use crate::broker::amqp::wheel;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::name::QueueName;
use crate::topology::Target;

/// The way of one message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) exchange: String,
    pub(super) key: String,
    /// What must exist beside the exchanges of jobs.
    pub(super) needs: Option<Thing>,
    /// The queue behind the slot.
    pub(super) destination: Option<QueueName>,
}

/// Returns the way of a message that is sent at `now`.
///
/// # Errors
/// When its fanout cannot be an exchange.
pub(super) fn route(message: &Outgoing, names: &Names, now: Timestamp) -> Result<Route> {
    let event = |exchange: String, key: &str, needs: Thing| Route {
        exchange,
        key: key.to_owned(),
        needs: Some(needs),
        destination: None,
    };
    Ok(match &message.target {
        Target::Queue(queue) | Target::Only(queue) => match message.envelope.not_before.filter(|at| *at > now) {
            Some(at) => delayed(queue, at, names, now),
            None => {
                let is_first = matches!(message.target, Target::Queue(_));
                let exchange = if is_first { names.jobs() } else { names.only() };
                Route { exchange, key: names.queue(queue), needs: None, destination: None }
            }
        },
        Target::Topic(key) => event(names.events(), key, Thing::TopicEvents),
        Target::Direct(key) => event(names.events_direct(), key, Thing::DirectEvents),
        Target::Headers => event(names.events_headers(), "", Thing::HeadersEvents),
        Target::Fanout(name) => event(names.fanout(name)?, "", Thing::FanoutEvents(name.clone())),
    })
}

/// Returns the way of a dead job of a queue.
pub(super) fn dead(queue: &QueueName, names: &Names) -> Route {
    Route {
        exchange: names.dead_exchange(),
        key: names.queue(&queue.work()),
        needs: Some(Thing::Queue(queue.dead())),
        destination: None,
    }
}

/// Returns the way into the slot of an instant.
fn delayed(queue: &QueueName, at: Timestamp, names: &Names, now: Timestamp) -> Route {
    // Up, as in the header: a slot that turns a millisecond early would hand the job on for nothing.
    let due = at.timestamp_millis() + i64::from(!at.timestamp_subsec_micros().is_multiple_of(1000));
    let slot = wheel::place(due, now.timestamp_millis());
    Route {
        exchange: names.only(),
        key: names.slot(slot.level, slot.index),
        needs: Some(Thing::Slot { level: slot.level, index: slot.index }),
        destination: Some(queue.clone()),
    }
}
