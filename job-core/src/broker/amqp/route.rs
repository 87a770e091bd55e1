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

/// Returns the way of a message that is sent now; only one with a delay asks when that is.
///
/// # Errors
/// When its fanout cannot be an exchange.
pub(super) fn route(
    message: &Outgoing,
    names: &Names,
    geometry: &Geometry,
    now: impl FnOnce() -> Timestamp,
) -> Result<Route> {
    let delay = message.envelope.not_before.map(|at| (at, now())).filter(|(at, now)| at > now);
    match &message.target {
        Target::Queue(queue) | Target::Only(queue) => Ok(match delay {
            Some((at, now)) => delayed(queue, at, names, geometry, now),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Envelope;
    use crate::name::{ExchangeName, JobId, Kind};

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn geometry() -> Geometry {
        Geometry::of(std::time::Duration::from_secs(1))
    }

    fn mail() -> QueueName {
        QueueName::parse("mail").unwrap()
    }

    fn routed(target: Target, not_before: Option<Timestamp>) -> Route {
        let mut envelope = Envelope::new(JobId::new(now()), Kind::parse("greet").unwrap(), Vec::new(), now());
        envelope.not_before = not_before;
        let message = Outgoing { target, envelope, must_reach: false };
        route(&message, &Names::new(Some("shop")), &geometry(), now).unwrap()
    }

    fn check(target: Target, exchange: &str, key: &str, needs: Option<Thing>) {
        let expected = Route { exchange: exchange.into(), key: key.into(), needs, destination: None };
        assert_eq!(routed(target, None), expected);
    }

    #[test]
    fn each_target_has_its_exchange() {
        check(Target::Queue(mail()), "shop.jobs", "shop.mail", None);
        check(Target::Only(mail()), "shop.jobs.only", "shop.mail", None);
        check(Target::Topic("a.b".into()), "shop.events", "a.b", Some(Thing::TopicEvents));
        check(Target::Direct("a".into()), "shop.events.direct", "a", Some(Thing::DirectEvents));
        check(Target::Headers, "shop.events.headers", "", Some(Thing::HeadersEvents));
        check(Target::Fanout("all".into()), "shop.events.all", "", Some(Thing::FanoutEvents("all".into())));
        let legacy = ExchangeName::parse("legacy").unwrap();
        check(Target::Topic("a".into()).at(legacy.clone()), "legacy", "a", Some(Thing::Foreign(legacy)));
    }

    #[test]
    fn a_delayed_job_goes_to_a_slot_and_no_further_than_its_own_queue() {
        let at = now() + chrono::TimeDelta::milliseconds(2500);
        let slot = geometry().place(at.timestamp_millis(), now().timestamp_millis());
        let expected = Route {
            exchange: "shop.jobs.only".into(),
            key: format!("shop.jobs.delay.v1.{}.{}", slot.level, slot.index),
            needs: Some(Thing::Slot { level: slot.level, index: slot.index }),
            destination: Some(mail()),
        };
        assert_eq!(routed(Target::Queue(mail()), Some(at)), expected);
        // A part of a millisecond counts as a whole one, here as in the header.
        let early = at - chrono::TimeDelta::microseconds(300);
        assert_eq!(routed(Target::Only(mail()), Some(early)), expected);
    }

    #[test]
    fn a_delay_that_is_over_is_none() {
        assert_eq!(routed(Target::Only(mail()), Some(now())), routed(Target::Only(mail()), None));
    }

    #[test]
    fn the_dead_of_a_queue_are_reached_by_the_name_of_its_work() {
        for queue in [mail(), mail().suspect(), mail().dead()] {
            let route = dead(&queue, &Names::new(None));
            assert_eq!((&*route.exchange, &*route.key), ("jobs.dead", "mail"));
            assert_eq!(route.needs, Some(Thing::Queue(mail().dead())));
        }
    }
}
