//! Where a message goes on the broker: the exchange, the key, and what must be declared for it.

use crate::broker::Outgoing;
use crate::broker::amqp::declare::Thing;
use crate::broker::amqp::name::Names;
use crate::broker::amqp::wheel::Geometry;
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
pub(super) fn route(message: &Outgoing, names: &Names, geometry: &Geometry, now: Timestamp) -> Result<Route> {
    match &message.target {
        Target::Queue(queue) | Target::Only(queue) => Ok(match message.envelope.not_before.filter(|at| *at > now) {
            Some(at) => delayed(queue, at, names, geometry, now),
            None => {
                let is_first = matches!(message.target, Target::Queue(_));
                let exchange = if is_first { names.jobs() } else { names.only() };
                Route { exchange, key: names.queue(queue), needs: None, destination: None }
            }
        }),
        event => event_route(event, names),
    }
}

fn event_route(target: &Target, names: &Names) -> Result<Route> {
    let (exchange, needs) = match target {
        Target::Topic(_) => (names.events(), Thing::TopicEvents),
        Target::Direct(_) => (names.events_direct(), Thing::DirectEvents),
        Target::Headers => (names.events_headers(), Thing::HeadersEvents),
        Target::Fanout(name) => (names.fanout(name)?, Thing::FanoutEvents(name.clone())),
        Target::Foreign { exchange, target } => {
            let needs = Some(Thing::Foreign(exchange.clone()));
            return Ok(Route { exchange: exchange.as_str().to_owned(), needs, ..event_route(target, names)? });
        }
        Target::Queue(queue) | Target::Only(queue) => {
            unreachable!("\"{queue}\" is no event's target, as was checked")
        }
    };
    let key = match target {
        Target::Topic(key) | Target::Direct(key) => key.clone(),
        _ => String::new(),
    };
    Ok(Route { exchange, key, needs: Some(needs), destination: None })
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
fn delayed(queue: &QueueName, at: Timestamp, names: &Names, geometry: &Geometry, now: Timestamp) -> Route {
    // Up, as in the header: a slot that turns a millisecond early would hand the job on for nothing.
    let due = at.timestamp_millis() + i64::from(!at.timestamp_subsec_micros().is_multiple_of(1000));
    let slot = geometry.place(due, now.timestamp_millis());
    Route {
        exchange: names.only(),
        key: names.slot(slot.level, slot.index),
        needs: Some(Thing::Slot { level: slot.level, index: slot.index }),
        destination: Some(queue.clone()),
    }
}
