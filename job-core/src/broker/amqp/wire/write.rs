//! An envelope as properties and headers.

use chrono::SubsecRound;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::Serialize;

use crate::broker::amqp::wire::{header, limit};
use crate::clock::Timestamp;
use crate::envelope::{Content, Death, Details, Envelope, Failure, cut};
use crate::error::{Error, Result};
use crate::name::{JobId, QueueName};

/// A persistent message, which a quorum queue takes all of them for, and other queues do not.
pub(super) const PERSISTENT: u8 = 2;

/// Returns all of an envelope but its payload, and the queue behind a slot where it goes to one.
///
/// # Errors
/// When the job's own metadata is too large for a frame. What the framework adds is shortened instead: a job that failed
/// must be storable.
pub(in crate::broker::amqp) fn properties(
    envelope: &Envelope,
    destination: Option<&QueueName>,
) -> Result<BasicProperties> {
    let content_type = match envelope.content {
        Content::Json => "application/json",
        Content::Text => "text/plain",
    };
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type(content_type.into())
        .with_message_id(ShortString::from(envelope.id.to_string()));
    if let Some(kind) = &envelope.kind {
        properties = properties.with_type(kind.as_str().into());
    }
    if let Ok(second) = u64::try_from(envelope.enqueued_at.timestamp()) {
        properties = properties.with_timestamp(second);
    }
    let table = headers(envelope, destination)?;
    Ok(if table.inner().is_empty() { properties } else { properties.with_headers(table) })
}

/// Returns the instant that a timestamp of whole seconds and an id give together.
pub(super) fn instant_of(second: i64, id: &JobId) -> Option<Timestamp> {
    let second = Timestamp::from_timestamp(second, 0)?;
    let exact = id.as_uuid_bytes().and_then(instant_of_v7).filter(|at| at.trunc_subsecs(0) == second);
    Some(exact.unwrap_or(second))
}

/// Returns the millisecond in the first 48 bits of a UUIDv7 (RFC 9562, 5.7).
fn instant_of_v7(bytes: &[u8; 16]) -> Option<Timestamp> {
    let is_v7 = bytes[6] >> 4 == 7;
    let millis = bytes[..6].iter().fold(0i64, |millis, byte| millis << 8 | i64::from(*byte));
    is_v7.then(|| Timestamp::from_timestamp_millis(millis)).flatten()
}

fn headers(envelope: &Envelope, destination: Option<&QueueName>) -> Result<FieldTable> {
    let mut table = Table::default();
    let at = envelope.enqueued_at;
    let told = if at.timestamp() < 0 { None } else { instant_of(at.timestamp(), &envelope.id) };
    if told.map(|told| told.timestamp_millis()) != Some(at.timestamp_millis()) {
        table.number(header::ENQUEUED_AT, at.timestamp_millis());
    }
    if let Some(at) = envelope.not_before {
        table.number(header::NOT_BEFORE, millis_up(at));
    }
    if let Some(queue) = destination {
        table.text(header::DESTINATION, queue.as_str());
    }
    if envelope.attempt != 1 {
        table.number(header::ATTEMPT, envelope.attempt.into());
    }
    table.count(header::SEQUENCE, envelope.sequence);
    // Comparing is cheaper than looking at each field, and most jobs have none of them.
    if envelope.details != Details::default() {
        table.details(&envelope.details)?;
    }
    Ok(table.0)
}

/// Rounded up, or a job would be early.
fn millis_up(at: Timestamp) -> i64 {
    at.timestamp_millis() + i64::from(!at.timestamp_subsec_nanos().is_multiple_of(1_000_000))
}

#[derive(Default)]
struct Table(FieldTable);

impl Table {
    fn details(&mut self, details: &Details) -> Result<()> {
        if let Some(attempts) = details.max_attempts {
            self.number(header::MAX_ATTEMPTS, attempts.into());
        }
        if let Some(at) = details.expires {
            self.number(header::EXPIRES, at.timestamp_millis());
        }
        self.count(header::CRASHES, details.crashes);
        if details.is_armed {
            self.0.insert(header::ARMED.into(), AMQPValue::Boolean(true));
        }
        self.bounded(header::CURSOR, details.cursor.as_ref(), limit::CURSOR_BYTES_MAX)?;
        self.count(header::STALLS, details.stalls);
        self.count(header::SNOOZES, details.snoozes);
        if let Some(at) = details.parked_since {
            self.number(header::PARKED_SINCE, at.timestamp_millis());
        }
        self.failures(&details.failures);
        self.death(details.death.as_ref());
        self.bounded(header::CHAIN, details.chain.as_ref(), limit::CHAIN_JSON_BYTES_MAX)?;
        if let Some(trace) = details.trace {
            self.text(header::TRACE_PARENT, &trace.to_string());
        }
        if let Some(state) = details.trace_state.as_ref().filter(|s| s.len() <= limit::TRACE_STATE_BYTES_MAX) {
            self.text(header::TRACE_STATE, state);
        }
        self.user(details)
    }

    fn number(&mut self, name: &str, value: i64) {
        self.0.insert(name.into(), AMQPValue::LongLongInt(value));
    }

    fn count(&mut self, name: &str, value: u32) {
        if value != 0 {
            self.number(name, value.into());
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), AMQPValue::LongString(value.into()));
    }

    fn bounded(&mut self, name: &str, value: Option<&impl Serialize>, max: usize) -> Result<()> {
        let Some(value) = value else {
            return Ok(());
        };
        let text = json(value);
        if text.len() > max {
            return Err(Error::invalid(format!(
                "header \"{name}\" takes {} bytes, and {max} fit beside the others into an AMQP frame; store the data \
                 elsewhere, and in the job where it is",
                text.len()
            )));
        }
        self.text(name, &text);
        Ok(())
    }

    fn failures(&mut self, failures: &[Failure]) {
        // Ten failures of a hundred bytes stay below the limit, even where JSON takes six for each of these bytes.
        const ERROR_BYTES: usize = 128;
        if failures.is_empty() {
            return;
        }
        let mut text = json(&failures);
        if text.len() > limit::FAILURES_BYTES_MAX {
            let short = |failure: &Failure| Failure { error: cut(&failure.error, ERROR_BYTES), ..failure.clone() };
            text = json(&failures.iter().map(short).collect::<Vec<_>>());
        }
        if text.len() <= limit::FAILURES_BYTES_MAX {
            self.text(header::FAILURES, &text);
        }
    }

    fn death(&mut self, death: Option<&Death>) {
        let Some(death) = death else {
            return;
        };
        let error = cut(&death.error, limit::DEATH_BYTES_MAX / 8);
        self.text(header::DEATH, &json(&Death { error, ..death.clone() }));
    }

    fn user(&mut self, details: &Details) -> Result<()> {
        let mut bytes = 0;
        // A name that is ours or a broker's would change what the message is.
        for (name, value) in details.headers.iter().filter(|(name, _)| header::is_of_user(name)) {
            let Ok(name) = ShortString::try_new(name.as_str()) else {
                return Err(Error::invalid(format!(
                    "header name {name:?} has more than the 255 bytes that AMQP takes"
                )));
            };
            bytes += name.as_str().len() + value.len() + limit::HEADER_BYTES;
            self.0.insert(name, AMQPValue::LongString(value.as_str().into()));
        }
        if bytes > limit::HEADERS_KEPT_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the job's headers take {bytes} bytes, and {} fit into an AMQP frame; put large values into the job itself",
                limit::HEADERS_KEPT_BYTES_MAX
            )));
        }
        Ok(())
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("metadata are maps with text keys, numbers and text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::DeathReason;
    use crate::name::Kind;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn envelope(now: Timestamp) -> Envelope {
        Envelope::new(JobId::new(now), Kind::parse("mail").unwrap(), b"{}".to_vec(), now)
    }

    fn names(envelope: &Envelope) -> Vec<String> {
        let properties = properties(envelope, None).unwrap();
        properties.headers().iter().flatten().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn an_ordinary_job_needs_no_header() {
        let envelope = envelope(at("2026-01-01T00:00:00.123456Z"));
        let properties = properties(&envelope, None).unwrap();
        assert_eq!(*properties.headers(), None);
        assert_eq!(properties.delivery_mode(), &Some(2));
        assert_eq!(properties.kind().as_ref().unwrap().as_str(), "mail");
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), envelope.id.to_string());
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
        assert_eq!(properties.timestamp(), &Some(1_767_225_600));
    }

    #[test]
    fn the_instant_of_the_enqueue_is_a_header_only_where_it_is_not_told_otherwise() {
        let mut envelope = envelope(at("2026-01-01T00:00:00.123Z"));
        assert!(names(&envelope).is_empty());
        envelope.enqueued_at = at("2026-01-01T00:00:00.124Z");
        assert_eq!(names(&envelope), ["job-enqueued-at"]);
        envelope.id = JobId::parse("order 17").unwrap();
        assert_eq!(names(&envelope), ["job-enqueued-at"]);
        // A whole second needs no id, and an id of another second is none of its time.
        envelope.enqueued_at = at("2026-01-01T00:00:05Z");
        assert!(names(&envelope).is_empty());
        envelope.enqueued_at = at("1969-12-31T23:59:59Z");
        assert_eq!(names(&envelope), ["job-enqueued-at"]);
    }

    #[test]
    fn a_due_instant_is_rounded_up() {
        for (text, millis) in
            [("1970-01-01T00:00:00.001Z", 1), ("1970-01-01T00:00:00.001000001Z", 2), ("1969-12-31T23:59:59.999500Z", 0)]
        {
            assert_eq!(millis_up(at(text)), millis, "{text}");
        }
        assert_eq!(millis_up(Timestamp::MAX_UTC), Timestamp::MAX_UTC.timestamp_millis() + 1);
    }

    #[test]
    fn no_header_of_a_broker_is_carried_on() {
        let mut envelope = envelope(at("2026-01-01T00:00:00Z"));
        for name in ["x-death", "x-first-death-queue", "x-delivery-count", "CC", "BCC", "job-attempt", "traceparent"] {
            envelope.details.headers.insert(name.into(), "old".into());
        }
        envelope.details.headers.insert("x-datadog-trace-id".into(), "1".into());
        assert_eq!(names(&envelope), ["x-datadog-trace-id"]);
    }

    #[test]
    fn the_trail_of_errors_is_shortened_where_it_does_not_fit() {
        let mut envelope = envelope(at("2026-01-01T00:00:00Z"));
        for attempt in 1..=10 {
            envelope.attempt = attempt;
            envelope.push_failure(envelope.enqueued_at, &"\u{1}".repeat(1024));
        }
        envelope.declare_dead(envelope.enqueued_at, DeathReason::Attempts, &"\u{1}".repeat(1024));
        let properties = properties(&envelope, None).unwrap();
        let length = |name| match properties.headers().as_ref().unwrap().inner().get(name).unwrap() {
            AMQPValue::LongString(text) => text.len(),
            other => panic!("{other:?}"),
        };
        assert!(length("job-failures") <= limit::FAILURES_BYTES_MAX);
        assert!(length("job-death") <= limit::DEATH_BYTES_MAX);
    }

    #[test]
    fn what_cannot_fit_is_refused_with_its_size() {
        let mut large = envelope(at("2026-01-01T00:00:00Z"));
        large.details.cursor = Some("c".repeat(limit::CURSOR_BYTES_MAX).into());
        let error = properties(&large, None).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("\"job-cursor\" takes 32770 bytes"), "{error}");
        let mut large = envelope(at("2026-01-01T00:00:00Z"));
        large.details.headers.insert("h".into(), "v".repeat(limit::HEADERS_KEPT_BYTES_MAX));
        assert!(properties(&large, None).unwrap_err().to_string().contains("take 24583 bytes"));
        let mut large = envelope(at("2026-01-01T00:00:00Z"));
        large.details.headers.insert("h".repeat(256), String::new());
        assert!(properties(&large, None).unwrap_err().is_invalid());
    }
}
