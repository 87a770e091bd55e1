//! Turns envelopes into AMQP messages, and messages of any origin into envelopes.
//!
//! The body is the job's own bytes, and all else is metadata that any language can write. What an ordinary job says of
//! itself fits into properties; the header table, which costs each client and the broker time, is there only when
//! something needs it. Version 1 is this table; a later version that must be understood says so in `job-version`.
//!
//! | property | what | when |
//! |---|---|---|
//! | `type` | the kind | a message without one takes its queue's own kind, where that has one |
//! | `message_id` | the job's id | without one, an id is made on arrival |
//! | `content_type` | `text/plain` is one JSON string; all else is JSON | always |
//! | `timestamp` | the second of the enqueue | always |
//! | `delivery_mode` | 2 | always |
//!
//! | header | type | what |
//! |---|---|---|
//! | `job-enqueued-at` | instant | when `timestamp` and a UUIDv7 id do not give back the millisecond |
//! | `job-not-before` | instant | rounded up; not started before |
//! | `job-destination` | text | the queue behind a slot of the wheel; only there |
//! | `job-attempt` | integer | the number of the next run, where it is not 1 |
//! | `job-sequence` | integer | deliberate turns so far |
//! | `job-max-attempts`, `job-expires` | integer, instant | what the enqueue chose |
//! | `job-crashes`, `job-armed` | integer, boolean | the poison lane's count |
//! | `job-cursor`, `job-stalls`, `job-snoozes`, `job-parked-since` | JSON, integers, instant | turns that are no failures |
//! | `job-failures`, `job-death` | JSON | what went wrong |
//! | `job-chain` | JSON | what follows |
//! | `job-version` | integer | 1 where it is missing |
//! | `traceparent`, `tracestate` | text | W3C trace context |
//! | others | any | the user's own, carried as text |
//!
//! An instant is an integer of milliseconds since 1970, or an AMQP timestamp. Any integer type will do. Unknown `job-*`
//! headers and what brokers add for themselves are not carried on: a RabbitMQ before 4.0 drops a message that comes by
//! with an old `x-death`. A header of ours that cannot be read is a defect: the message is kept, never run. All parts have
//! a limit, since the whole metadata has to fit into one frame, when the failure trail has grown, too.

mod carry;
mod header;
mod limit;
mod pass;
mod read;
mod render;
#[cfg(test)]
mod tests;
mod write;

pub(super) use carry::carried;
pub(super) use pass::{Onward, Way, passed, way};
pub(super) use read::{Received, is_json, received, says_json};
pub(super) use write::properties;
