//! A message that passes a slot of the wheel: where it is going and when, and what of it goes on. It is moved as it is,
//! never read as a job: what a later version writes arrives, whoever turns the wheel.

use lapin::BasicProperties;
use lapin::types::AMQPValue;

use crate::broker::amqp::wire::carry::carried;
use crate::broker::amqp::wire::{header, render};
use crate::name::QueueName;

/// What a message in a slot says of its way.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::broker::amqp) struct Way {
    /// When it is due, in milliseconds since 1970; one that does not say is due.
    pub(in crate::broker::amqp) due: Option<i64>,
    /// The queue behind the slots. A message without one was not put there by us.
    pub(in crate::broker::amqp) destination: Option<QueueName>,
}

/// Where a message goes from a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker::amqp) enum Onward {
    /// To another slot.
    Slot,
    /// Out of the wheel.
    Out,
}

/// Reads where a message is going.
pub(in crate::broker::amqp) fn way(properties: &BasicProperties) -> Way {
    let find = |name| properties.headers().as_ref().and_then(|table| table.inner().get(name));
    let due = find(header::NOT_BEFORE).and_then(|value| match value {
        AMQPValue::Timestamp(second) => i64::try_from(*second).ok().and_then(|second| second.checked_mul(1000)),
        value => render::integer(value),
    });
    let destination = find(header::DESTINATION).and_then(render::text);
    Way {
        // Half of what there is: nothing that is computed from it overflows.
        due: due.map(|due| due.clamp(0, i64::MAX / 2)),
        destination: destination.and_then(|text| QueueName::parse_any(text).ok()),
    }
}

/// Returns the properties with which a message goes on.
pub(in crate::broker::amqp) fn passed(properties: &BasicProperties, onward: Onward) -> BasicProperties {
    carried(properties, |name| onward == Onward::Slot || name != header::DESTINATION)
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldTable;

    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    fn text(value: &str) -> AMQPValue {
        AMQPValue::LongString(value.into())
    }

    fn check(entries: &[(&str, AMQPValue)], due: Option<i64>, destination: Option<&str>) {
        let way = way(&BasicProperties::default().with_headers(table(entries)));
        let destination = destination.map(|text| QueueName::parse_any(text).unwrap());
        assert_eq!(way, Way { due, destination }, "{entries:?}");
    }

    #[test]
    fn a_message_tells_where_it_goes_and_when() {
        check(&[], None, None);
        let destination = ("job-destination", text("mail"));
        check(&[("job-not-before", AMQPValue::LongLongInt(1500)), destination.clone()], Some(1500), Some("mail"));
        check(&[("job-not-before", AMQPValue::Timestamp(2)), destination.clone()], Some(2000), Some("mail"));
        check(&[("job-not-before", text("soon")), destination], None, Some("mail"));
        check(&[("job-not-before", AMQPValue::LongLongInt(i64::MIN))], Some(0), None);
        check(&[("job-not-before", AMQPValue::LongLongInt(i64::MAX))], Some(i64::MAX / 2), None);
        check(&[("job-destination", text(&"q".repeat(300)))], None, None);
    }

    #[test]
    fn what_brokers_add_stays_behind_and_all_else_goes_on() {
        let ours = [("job-attempt", AMQPValue::LongLongInt(2)), ("job-not-before", AMQPValue::LongLongInt(5))];
        let foreign = [("job-of-tomorrow", text("x")), ("tenant", text("a"))];
        let way = ("job-destination", text("mail"));
        let added = [("x-death", AMQPValue::Void), ("x-delivery-count", AMQPValue::LongLongInt(1)), ("CC", text("b"))];
        let all = [&ours[..], &foreign, std::slice::from_ref(&way), &added].concat();
        let bare =
            BasicProperties::default().with_message_id("1".into()).with_type("mail".into()).with_app_id("shop".into());
        let kept = |entries: &[(&str, AMQPValue)]| bare.clone().with_delivery_mode(2).with_headers(table(entries));
        let message = bare.clone().with_headers(table(&all));
        for message in [message.clone(), message.with_user_id("eve".into()).with_expiration("1".into())] {
            let out = [&ours[..], &foreign].concat();
            assert_eq!(passed(&message, Onward::Out), kept(&out));
            assert_eq!(passed(&message, Onward::Slot), kept(&[&out[..], std::slice::from_ref(&way)].concat()));
        }
    }
}
