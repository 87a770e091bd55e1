//! The arguments of queues and exchanges: one table, frozen, since a broker refuses to declare a queue again otherwise.
//!
//! | what | argument | value | why |
//! |---|---|---|---|
//! | work, suspect, dead, unrouted, slots | `x-queue-type` | `quorum` | classic queues of 3.13 and later confirm before the disk has it |
//! | work | `x-delivery-limit` | 1 000 | the backstop behind the poison lane; unset means none on 3.x, and 20 on 4.x |
//! | suspect, dead, unrouted, slots | `x-delivery-limit` | 10⁹ | browsing, pumping and every release count as a delivery, and none of them may drop a job |
//! | work, suspect | `x-dead-letter-exchange` | `jobs.dead` | where the broker itself puts what exceeds the limit |
//! | work, suspect | `x-dead-letter-routing-key` | the work queue | the key to which the dead queue is bound; without it the message's own key, a slot's or an event's, would count |
//! | work, suspect | `x-dead-letter-strategy` | `at-least-once` | the default, `at-most-once`, loses the message when its dead queue is not available |
//! | work, suspect | `x-overflow` | `reject-publish` | `at-least-once` silently falls back to `at-most-once` without it |
//! | work, suspect, dead, unrouted, slots | `x-consumer-timeout` | 86 400 000 ms | jobs longer than 30 minutes: honoured from 3.12 on, compared from 4.3 on, so it is there from the first day |
//! | ledger | `x-queue-type` | `stream` | all read all of it, and nobody takes anything away |
//! | ledger | `x-max-length-bytes` | 64 MiB | the cap; the snapshots within it hold every setting |
//! | ledger | `x-stream-max-segment-size-bytes` | 4 MiB | a stream is cut by whole segments, of 500 MB by default: the cap would be eight times exceeded before it counts |
//! | exchanges `jobs`, `jobs.only`, `jobs.dead` | `alternate-exchange` | `jobs.unrouted` | what no queue takes is kept; `mandatory` cannot be trusted with more than one message in flight |
//! | locks, queues of a process | `x-queue-type` | `classic` | where a virtual host's default is another type, an exclusive queue would be refused |
//!
//! A lock and a queue of a process are exclusive and not durable: their owner's connection is all there is to them. Events have no alternate exchange:
//! what nobody hears is gone, by design. Integers are written as signed 64-bit ones.
//!
//! What else is believed of RabbitMQ 3.10 and its driver, and the test that would show it wrong:
//!
//! | belief | so | test |
//! |---|---|---|
//! | a message that is sent again with its `x-death` is dropped as a circle | it is never carried on | `tests/amqp_circle.rs` |
//! | the alternate exchange takes what no queue takes, confirmed | no move of a job can block on a queue that is gone | `unrouted::tests::dead_and_delayed_jobs_find_their_way_too` |
//! | a return may sit on another message's confirm | `mandatory` counts only with one message in flight | the contract's `an_unheard_event_is_gone` |
//! | a consumer may end without an error | its queue is asked now and then whether it waits | `watch::tests::a_consumer_that_ended_silently_is_noticed_and_goes_on` |
//! | beyond 32 unapplied acknowledgements the rest is lost with its channel | a call that passes the queue's log comes before each end of a channel | `tests/amqp_once.rs` |
//! | a queue killed within a second of its making may come back without leader and content | it is bound when it is older | `amqp_faults`: `nothing_reaches_a_queue_before_it_would_outlive_its_node` |
//! | the driver's own recovery does not send the prefetch again | it is off: connections are made anew by `link` | `amqp_faults`: `a_killed_node_loses_nothing_and_all_come_back_by_themselves`; in `keeper`: `a_window_is_after_a_lost_connection_what_it_was` |

use lapin::ExchangeKind;
use lapin::types::{AMQPValue, FieldTable};

use crate::broker::amqp::name::Names;
use crate::name::QueueName;

/// Deliveries after which the broker itself takes a job out of its work queue.
pub(super) const WORK_DELIVERIES_MAX: i64 = 1000;

/// As good as no limit, where an unset one means 20 on some versions.
const DELIVERIES_UNLIMITED: i64 = 1_000_000_000;

/// A day, in milliseconds.
const CONSUMER_TIMEOUT_MS: i64 = 24 * 60 * 60 * 1000;

/// The most that a ledger holds.
pub(super) const LEDGER_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// The part of a ledger that is cut off at once.
pub(super) const LEDGER_SEGMENT_BYTES: u32 = 4 * 1024 * 1024;

/// The kinds of queues that are ours.
#[derive(Clone, Copy, Debug)]
pub(super) enum QueueKind<'a> {
    /// Jobs of this queue, or its retries.
    Work(&'a QueueName),
    /// The suspects of this queue.
    Suspect(&'a QueueName),
    /// Dead jobs.
    Dead,
    /// Jobs whose queue did not exist.
    Unrouted,
    /// A slot of the delay wheel, or the queue by which its pumps are counted.
    Slot,
    /// What a leader owns.
    Lock,
    /// Events for this process alone.
    Own,
}

/// The exchanges that are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    Jobs,
    Only,
    Dead,
    Unrouted,
    EventsTopic,
    EventsDirect,
    EventsHeaders,
    EventsFanout,
}

/// Returns the arguments with which a queue is declared.
pub(super) fn queue(kind: QueueKind<'_>, names: &Names) -> FieldTable {
    match kind {
        QueueKind::Work(queue) => dead_lettered(quorum(WORK_DELIVERIES_MAX), queue, names),
        QueueKind::Suspect(queue) => dead_lettered(quorum(DELIVERIES_UNLIMITED), queue, names),
        QueueKind::Dead | QueueKind::Unrouted | QueueKind::Slot => quorum(DELIVERIES_UNLIMITED),
        QueueKind::Lock | QueueKind::Own => table(&[("x-queue-type", text("classic"))]),
    }
}

/// Returns the arguments of a ledger of another size, for tests that fill it.
pub(super) fn ledger(bytes_max: u32, segment_bytes: u32) -> FieldTable {
    table(&[
        ("x-queue-type", text("stream")),
        ("x-max-length-bytes", number(bytes_max.into())),
        ("x-stream-max-segment-size-bytes", number(segment_bytes.into())),
    ])
}

/// Returns how an exchange routes, and the arguments with which it is declared.
pub(super) fn exchange(exchange: Exchange, names: &Names) -> (ExchangeKind, FieldTable) {
    match exchange {
        Exchange::Jobs | Exchange::Only | Exchange::Dead => {
            (ExchangeKind::Direct, table(&[("alternate-exchange", text(&names.unrouted()))]))
        }
        Exchange::EventsDirect => (ExchangeKind::Direct, FieldTable::default()),
        Exchange::Unrouted | Exchange::EventsFanout => (ExchangeKind::Fanout, FieldTable::default()),
        Exchange::EventsTopic => (ExchangeKind::Topic, FieldTable::default()),
        Exchange::EventsHeaders => (ExchangeKind::Headers, FieldTable::default()),
    }
}

fn quorum(deliveries_max: i64) -> FieldTable {
    table(&[
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", number(deliveries_max)),
        ("x-consumer-timeout", number(CONSUMER_TIMEOUT_MS)),
    ])
}

fn dead_lettered(mut arguments: FieldTable, queue: &QueueName, names: &Names) -> FieldTable {
    for (name, value) in [
        ("x-dead-letter-exchange", names.dead_exchange()),
        ("x-dead-letter-routing-key", names.queue(&queue.work())),
        ("x-dead-letter-strategy", "at-least-once".into()),
        ("x-overflow", "reject-publish".into()),
    ] {
        arguments.insert(name.into(), text(&value));
    }
    arguments
}

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

fn number(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &FieldTable, expected: &[&str]) {
        let is = |value: &AMQPValue| match value {
            AMQPValue::LongString(text) => text.to_string(),
            AMQPValue::LongLongInt(number) => number.to_string(),
            other => panic!("{other:?} is of a type that is not frozen"),
        };
        let told: Vec<String> = arguments.into_iter().map(|(name, value)| format!("{name}={}", is(value))).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn every_queue_has_the_arguments_that_were_frozen() {
        let names = Names::new(Some("shop"));
        let mail = QueueName::parse("mail").unwrap();
        let retry = QueueName::parse_any("mail.retry").unwrap();
        let dead_lettered = |limit: &'static str| {
            [
                "x-consumer-timeout=86400000",
                "x-dead-letter-exchange=shop.jobs.dead",
                "x-dead-letter-routing-key=shop.mail",
                "x-dead-letter-strategy=at-least-once",
                limit,
                "x-overflow=reject-publish",
                "x-queue-type=quorum",
            ]
        };
        check(&queue(QueueKind::Work(&mail), &names), &dead_lettered("x-delivery-limit=1000"));
        check(&queue(QueueKind::Work(&retry), &names), &dead_lettered("x-delivery-limit=1000"));
        let unlimited = "x-delivery-limit=1000000000";
        check(&queue(QueueKind::Suspect(&mail), &names), &dead_lettered(unlimited));
        for kind in [QueueKind::Dead, QueueKind::Unrouted, QueueKind::Slot] {
            let expected = ["x-consumer-timeout=86400000", unlimited, "x-queue-type=quorum"];
            check(&queue(kind, &names), &expected);
        }
        let ledger = ["x-max-length-bytes=67108864", "x-queue-type=stream", "x-stream-max-segment-size-bytes=4194304"];
        check(&super::ledger(LEDGER_BYTES_MAX, LEDGER_SEGMENT_BYTES), &ledger);
        for kind in [QueueKind::Lock, QueueKind::Own] {
            check(&queue(kind, &names), &["x-queue-type=classic"]);
        }
    }

    #[test]
    fn jobs_have_a_way_out_when_no_queue_takes_them_and_events_have_none() {
        let names = Names::new(Some("shop"));
        for (which, kind) in [
            (Exchange::Jobs, ExchangeKind::Direct),
            (Exchange::Only, ExchangeKind::Direct),
            (Exchange::Dead, ExchangeKind::Direct),
        ] {
            let (told, arguments) = exchange(which, &names);
            assert_eq!(told, kind);
            check(&arguments, &["alternate-exchange=shop.jobs.unrouted"]);
        }
        for (which, kind) in [
            (Exchange::Unrouted, ExchangeKind::Fanout),
            (Exchange::EventsTopic, ExchangeKind::Topic),
            (Exchange::EventsDirect, ExchangeKind::Direct),
            (Exchange::EventsHeaders, ExchangeKind::Headers),
            (Exchange::EventsFanout, ExchangeKind::Fanout),
        ] {
            let (told, arguments) = exchange(which, &names);
            assert_eq!(told, kind);
            check(&arguments, &[]);
        }
    }
}
