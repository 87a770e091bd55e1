//! A job as brokers carry it: the user's bytes, untouched, and what the framework knows about them.
//!
//! Brokers store and return envelopes; only clients make them, and only the worker changes them. Their instants are kept
//! to the millisecond at least.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::name::{JobId, Kind};
use crate::trace::TraceParent;

mod chained;

pub use chained::{CHAIN_BYTES_MAX, CHAIN_STEPS_MAX, Chained, Step};

/// Largest payload that a client sends unless told otherwise: 256 KiB, the limit of the strictest hosted queues.
pub const PAYLOAD_BYTES_MAX_DEFAULT: usize = 256 * 1024;

/// Most user headers of a job.
pub const HEADERS_MAX: usize = 32;

/// Most bytes of a job's user headers, names and values together.
pub const HEADERS_BYTES_MAX: usize = 8 * 1024;

/// Failures kept with a job: the first, and the latest nine.
pub const FAILURES_MAX: usize = 10;

/// Longest error text kept with a job, in bytes; the rest is cut.
pub const ERROR_BYTES_MAX: usize = 1024;

const HEADER_PREFIXES_RESERVED: [&str; 2] = ["job-", "x-"];
// The last two make RabbitMQ copy the message, or close the channel where they are no array.
const HEADERS_RESERVED: [&str; 4] = ["traceparent", "tracestate", "CC", "BCC"];

/// One job on its way: payload and metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Identifies the job within its queue, over all its attempts.
    pub id: JobId,
    /// The name of the job's type; `None` when a foreign producer gave none.
    pub kind: Option<Kind>,
    /// The job's own bytes, never changed after the enqueue.
    pub payload: Vec<u8>,
    /// How the payload is written.
    pub content: Content,
    /// When the job was enqueued, by the producer's clock.
    pub enqueued_at: Timestamp,
    /// The job is not started before this instant.
    pub not_before: Option<Timestamp>,
    /// The number of the next run, from 1.
    pub attempt: u32,
    /// Grows with each deliberate new turn after a run: continue, snooze, redrive. From 0.
    pub sequence: u32,
    /// What only few jobs have.
    pub details: Details,
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// `application/json`: the job's own JSON. The default.
    #[default]
    Json,
    /// `text/plain`: decodes as one JSON string.
    Text,
}

/// The part of an envelope that is empty for most jobs. Stores keep it as JSON, and only when it is not the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Replaces the type's number of attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// The job is dead unless its first run starts by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// How often a process died while it ran this job alone.
    #[serde(skip_serializing_if = "is_zero")]
    pub crashes: u32,
    /// `crashes` counts the coming run already; only the death of its process leaves that so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_armed: bool,
    /// Where `continue_with` left off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<serde_json::Value>,
    /// How often in a row `continue_with` gave the cursor that it already had.
    #[serde(skip_serializing_if = "is_zero")]
    pub stalls: u32,
    /// How often the job was snoozed.
    #[serde(skip_serializing_if = "is_zero")]
    pub snoozes: u32,
    /// Since when the job waits for a worker that knows its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked_since: Option<Timestamp>,
    /// What went wrong so far, oldest first; see [`FAILURES_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// Why the job is dead, once it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub death: Option<Death>,
    /// What follows once the job has completed, where it is part of a chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chained>,
    /// The W3C trace context of the enqueue.
    #[serde(skip_serializing_if = "Option::is_none", with = "trace_text")]
    pub trace: Option<TraceParent>,
    /// The vendor part of the trace context, carried unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_state: Option<String>,
    /// The user's own metadata.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// One failed run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The number of the run.
    pub attempt: u32,
    /// When it ended.
    pub at: Timestamp,
    /// The error's text, at most [`ERROR_BYTES_MAX`] bytes.
    pub error: String,
}

/// Why a job is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// The class of the reason.
    pub reason: DeathReason,
    /// The reason in words, at most [`ERROR_BYTES_MAX`] bytes.
    pub error: String,
    /// When it was declared dead.
    pub at: Timestamp,
}

/// The classes of reasons for which a job is declared dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeathReason {
    /// Its last attempt failed.
    Attempts,
    /// Its handler gave it up (`JobError::discard`).
    Discarded,
    /// Its first run did not start in time.
    Expired,
    /// Its payload or metadata cannot be read.
    Undecodable,
    /// Its payload or headers exceed the worker's limits.
    TooLarge,
    /// Its payload is nested deeper than the worker's limit.
    TooDeep,
    /// No worker knew its kind for a day.
    UnknownKind,
    /// It kept coming back without progress: a cursor that stands still, or too many snoozes.
    Stalled,
    /// The process died each time it ran alone.
    Poison,
    /// It is an event whose subscription an operator removed.
    Unsubscribed,
}

impl DeathReason {
    /// Returns the reason as it stands on the wire and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Discarded => "discarded",
            Self::Expired => "expired",
            Self::Undecodable => "undecodable",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::UnknownKind => "unknown_kind",
            Self::Stalled => "stalled",
            Self::Poison => "poison",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

impl Details {
    /// True for those of most jobs, which have nothing special.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Envelope {
    /// Makes the envelope of a new job.
    pub fn new(id: JobId, kind: Kind, payload: Vec<u8>, now: Timestamp) -> Self {
        Self {
            id,
            kind: Some(kind),
            payload,
            content: Content::Json,
            enqueued_at: now,
            not_before: None,
            attempt: 1,
            sequence: 0,
            details: Details::default(),
        }
    }

    /// Returns since when the job could have been started: when it was due, or else enqueued.
    pub fn runnable_since(&self) -> Timestamp {
        self.not_before.map_or(self.enqueued_at, |at| at.max(self.enqueued_at))
    }

    /// Returns the kind as text, `unknown` when there is none.
    pub fn kind_str(&self) -> &str {
        self.kind.as_ref().map_or("unknown", Kind::as_str)
    }

    /// Remembers that the current attempt failed.
    pub fn push_failure(&mut self, at: Timestamp, error: &str) {
        let failures = &mut self.details.failures;
        if failures.len() >= FAILURES_MAX {
            // The first failure often is the one that explains the others: it stays.
            failures.remove(1);
        }
        failures.push(Failure { attempt: self.attempt, at, error: cut(error, ERROR_BYTES_MAX) });
    }

    /// Writes down why the job is dead.
    pub fn declare_dead(&mut self, at: Timestamp, reason: DeathReason, error: &str) {
        self.not_before = None;
        self.details.death = Some(Death { reason, error: cut(error, ERROR_BYTES_MAX), at });
    }

    /// Begins a new life after an operator's decision: attempts start at 1, the next sequence, no death.
    pub fn revive(&mut self) {
        self.attempt = 1;
        self.sequence = self.sequence.saturating_add(1);
        self.not_before = None;
        let details = &mut self.details;
        details.death = None;
        details.crashes = 0;
        details.is_armed = false;
        details.stalls = 0;
        details.snoozes = 0;
        details.parked_since = None;
        details.expires = None;
    }
}

/// Checks the user's headers against the limits and the reserved names.
///
/// # Errors
/// Names the header and the rule it breaks.
pub fn check_headers(headers: &BTreeMap<String, String>) -> Result<()> {
    if headers.len() > HEADERS_MAX {
        return Err(Error::invalid(format!(
            "a job carries at most {HEADERS_MAX} headers, this one has {}",
            headers.len()
        )));
    }
    let bytes: usize = headers.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes > HEADERS_BYTES_MAX {
        return Err(Error::invalid(format!(
            "a job's headers have at most {HEADERS_BYTES_MAX} bytes, these have {bytes}; put large values into the job itself"
        )));
    }
    headers.keys().try_for_each(|name| check_header_name(name))
}

fn check_header_name(name: &str) -> Result<()> {
    let is_reserved = HEADERS_RESERVED.contains(&name) || HEADER_PREFIXES_RESERVED.iter().any(|p| name.starts_with(p));
    if is_reserved {
        return Err(Error::invalid(format!(
            "header name {name:?} is reserved (\"job-…\", \"x-…\", \"traceparent\", \"tracestate\", \"CC\", \"BCC\"); choose another name"
        )));
    }
    let is_plain = |b: u8| b.is_ascii_graphic();
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_plain) {
        return Err(Error::invalid(format!("header name {name:?} is not 1 to 128 visible ASCII characters")));
    }
    Ok(())
}

/// Returns at most `bytes` bytes of `text`, cut between characters and marked with `…` where it was cut.
pub fn cut(text: &str, bytes: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(MARK.len()));
    format!("{}{MARK}", &text[..end])
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

mod trace_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use crate::trace::TraceParent;

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(trace: &Option<TraceParent>, s: S) -> Result<S::Ok, S::Error> {
        match trace {
            Some(trace) => s.collect_str(trace),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<TraceParent>, D::Error> {
        let text = Option::<String>::deserialize(d)?;
        text.map(|text| TraceParent::parse(&text)).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Envelope::new(JobId::new(now), Kind::parse("a").unwrap(), b"{}".to_vec(), now)
    }

    #[test]
    fn the_first_failure_and_the_latest_ones_are_kept() {
        let mut envelope = envelope();
        for attempt in 1..=30 {
            envelope.attempt = attempt;
            envelope.push_failure(envelope.enqueued_at, "boom");
        }
        let attempts: Vec<u32> = envelope.details.failures.iter().map(|f| f.attempt).collect();
        assert_eq!(attempts, [1, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
    }

    #[test]
    fn default_details_are_an_empty_object_and_full_ones_round_trip() {
        assert_eq!(serde_json::to_string(&Details::default()).unwrap(), "{}");
        let mut envelope = envelope();
        envelope.push_failure(envelope.enqueued_at, "boom");
        envelope.declare_dead(envelope.enqueued_at, DeathReason::Attempts, "boom");
        envelope.details.trace =
            Some(TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap());
        envelope.details.cursor = Some(serde_json::json!({"page": 3}));
        let text = serde_json::to_string(&envelope.details).unwrap();
        assert_eq!(serde_json::from_str::<Details>(&text).unwrap(), envelope.details);
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        assert_eq!(cut("äöü", 6), "äöü");
        assert_eq!(cut("äöüß", 7), "äö…");
    }

    #[test]
    fn reserved_and_excessive_headers_are_refused() {
        let one = |name: &str| BTreeMap::from([(name.to_owned(), "v".to_owned())]);
        for name in ["job-kind", "x-death", "traceparent", "CC", "", "a b"] {
            assert!(check_headers(&one(name)).is_err(), "{name}");
        }
        assert!(check_headers(&one("tenant")).is_ok());
        let many = (0..=HEADERS_MAX).map(|n| (format!("h{n}"), String::new())).collect();
        assert!(check_headers(&many).is_err());
        let large = BTreeMap::from([("h".to_owned(), "v".repeat(HEADERS_BYTES_MAX))]);
        assert!(check_headers(&large).is_err());
    }
}
