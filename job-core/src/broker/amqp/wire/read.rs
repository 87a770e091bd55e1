//! A message of any origin as an envelope. Nothing in it makes this fail: what cannot be read is said, the rest is kept.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::broker::amqp::wire::write::instant_of;
use crate::broker::amqp::wire::{header, limit, render};
use crate::clock::Timestamp;
use crate::envelope::{Content, Details, ERROR_BYTES_MAX, Envelope, FAILURES_MAX, cut};
use crate::name::{JobId, Kind};
use crate::trace::TraceParent;

/// Longest part of a foreign text that a defect repeats.
const SHOWN_BYTES_MAX: usize = 80;

/// How much longer our JSON may be than what it was read from, at the most.
const GROWTH_MAX: usize = 8;

/// A message as it arrived.
#[derive(Debug, PartialEq)]
pub(in crate::broker::amqp) struct Received {
    /// The job.
    pub(in crate::broker::amqp) envelope: Envelope,
    /// What is wrong with the metadata; such a message must not run.
    pub(in crate::broker::amqp) defect: Option<String>,
    /// How often it was handed out before.
    pub(in crate::broker::amqp) redeliveries: u32,
    /// The queue behind the slot that it comes from. It means nothing in any other queue.
    pub(in crate::broker::amqp) destination: Option<String>,
}

/// Reads a message. `own_kind` is that of a queue that belongs to one kind, for messages that name none; `now` is for
/// those that do not say when they were enqueued.
pub(in crate::broker::amqp) fn received(
    properties: &BasicProperties,
    data: Vec<u8>,
    is_redelivered: bool,
    own_kind: Option<&Kind>,
    now: Timestamp,
) -> Received {
    let mut reader = Reader { table: properties.headers().as_ref(), defects: Defects::default() };
    let id = reader.id(properties, now);
    let envelope = Envelope {
        kind: reader.kind(properties, own_kind),
        payload: data,
        content: reader.content(properties),
        enqueued_at: reader.enqueued_at(properties, &id, now),
        not_before: reader.instant(header::NOT_BEFORE),
        attempt: reader.count(header::ATTEMPT, 1).unwrap_or(1),
        sequence: reader.count(header::SEQUENCE, 0).unwrap_or(0),
        details: reader.details(),
        id,
    };
    reader.version();
    let destination = reader.text(header::DESTINATION).map(str::to_owned);
    Received { envelope, destination, redeliveries: reader.redeliveries(is_redelivered), defect: reader.defects.0 }
}

/// Says whether a message itself says that its body is JSON.
pub(in crate::broker::amqp) fn says_json(properties: &BasicProperties) -> bool {
    filled(properties.content_type()).is_some_and(|media| media.to_ascii_lowercase().contains("json"))
}

/// Says whether a body is JSON.
pub(in crate::broker::amqp) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

struct Reader<'a> {
    table: Option<&'a FieldTable>,
    defects: Defects,
}

impl<'a> Reader<'a> {
    fn id(&mut self, properties: &BasicProperties, now: Timestamp) -> JobId {
        let Some(text) = filled(properties.message_id()) else {
            return JobId::new(now);
        };
        JobId::parse(text).unwrap_or_else(|error| {
            self.defects.add(format!("property \"message_id\": {error}"));
            // The same for each delivery of this message.
            JobId::parse("unreadable").expect("the text is a valid id").derive(text)
        })
    }

    fn kind(&mut self, properties: &BasicProperties, own_kind: Option<&Kind>) -> Option<Kind> {
        let Some(text) = filled(properties.kind()) else {
            return own_kind.cloned();
        };
        let kind = Kind::parse(text);
        kind.map_err(|error| self.defects.add(format!("property \"type\": {error}"))).ok().or_else(|| own_kind.cloned())
    }

    fn content(&mut self, properties: &BasicProperties) -> Content {
        let encoding = filled(properties.content_encoding()).unwrap_or("utf-8");
        if !["utf-8", "utf8", "identity"].iter().any(|known| encoding.eq_ignore_ascii_case(known)) {
            let shown = cut(encoding, SHOWN_BYTES_MAX);
            self.defects.add(format!("property \"content_encoding\" is {shown:?}; send plain UTF-8"));
        }
        let whole = filled(properties.content_type()).unwrap_or_default();
        let media = whole.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("text/plain") { Content::Text } else { Content::Json }
    }

    fn enqueued_at(&mut self, properties: &BasicProperties, id: &JobId, now: Timestamp) -> Timestamp {
        let second = properties.timestamp().and_then(|second| i64::try_from(second).ok());
        let told = second.and_then(|second| instant_of(second, id));
        self.instant(header::ENQUEUED_AT).or(told).unwrap_or(now)
    }

    fn details(&mut self) -> Details {
        if self.table.is_none() {
            return Details::default();
        }
        let mut details = Details {
            max_attempts: self.count(header::MAX_ATTEMPTS, 1),
            expires: self.instant(header::EXPIRES),
            crashes: self.count(header::CRASHES, 0).unwrap_or(0),
            is_armed: self.flag(header::ARMED),
            cursor: self.json(header::CURSOR, limit::CURSOR_BYTES_MAX),
            stalls: self.count(header::STALLS, 0).unwrap_or(0),
            snoozes: self.count(header::SNOOZES, 0).unwrap_or(0),
            parked_since: self.instant(header::PARKED_SINCE),
            failures: self.json(header::FAILURES, limit::FAILURES_BYTES_MAX).unwrap_or_default(),
            death: self.json(header::DEATH, limit::DEATH_BYTES_MAX),
            chain: self.json(header::CHAIN, limit::CHAIN_JSON_BYTES_MAX),
            // As W3C has it, a context that is none is ignored: it is no reason not to run.
            trace: self.quiet_text(header::TRACE_PARENT).and_then(|text| TraceParent::parse(text).ok()),
            trace_state: self
                .quiet_text(header::TRACE_STATE)
                .filter(|state| state.len() <= limit::TRACE_STATE_BYTES_MAX)
                .map(str::to_owned),
            headers: self.user(),
        };
        bound(&mut details);
        details
    }

    /// The user's headers, as many as can be kept; a message with more than are allowed is not run.
    fn user(&mut self) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::new();
        let (mut count, mut bytes, mut kept) = (0, 0, 0);
        for (name, value) in self.table.into_iter().flatten().filter(|(name, _)| header::is_of_user(name.as_str())) {
            let text = render::render(value);
            count += 1;
            bytes += name.as_str().len() + text.len();
            kept += name.as_str().len() + text.len() + limit::HEADER_BYTES;
            if count <= limit::HEADERS_KEPT_MAX && kept <= limit::HEADERS_KEPT_BYTES_MAX {
                headers.insert(name.to_string(), text);
            }
        }
        let (count_max, bytes_max) = (limit::HEADERS_RUN_MAX, limit::HEADERS_RUN_BYTES_MAX);
        if count > count_max || bytes > bytes_max {
            self.defects.add(format!(
                "the message has {count} headers of {bytes} bytes; a job carries at most {count_max} of {bytes_max} bytes"
            ));
        }
        headers
    }

    fn version(&mut self) {
        let version = self.count(header::VERSION, 1).unwrap_or(header::VERSION_WRITTEN);
        if version > header::VERSION_WRITTEN {
            self.defects.add(format!(
                "header \"{}\" is {version}, and this version of the framework reads {} only; update it",
                header::VERSION,
                header::VERSION_WRITTEN
            ));
        }
    }

    fn redeliveries(&self, is_redelivered: bool) -> u32 {
        let counted = self.find(header::DELIVERY_COUNT).and_then(render::integer);
        // Classic queues do not count.
        counted.map_or(u32::from(is_redelivered), |count| u32::try_from(count.max(0)).unwrap_or(u32::MAX))
    }

    fn find(&self, name: &str) -> Option<&'a AMQPValue> {
        self.table?.inner().get(name)
    }

    fn count(&mut self, name: &str, min: u32) -> Option<u32> {
        let value = self.find(name)?;
        let count = render::integer(value).and_then(|number| u32::try_from(number).ok()).filter(|count| *count >= min);
        if count.is_none() {
            self.defects.wrong(name, value, &format!("an integer from {min} to {}", u32::MAX));
        }
        count
    }

    fn instant(&mut self, name: &str) -> Option<Timestamp> {
        let value = self.find(name)?;
        let millis = match value {
            AMQPValue::Timestamp(second) => i64::try_from(*second).ok().and_then(|second| second.checked_mul(1000)),
            value => render::integer(value),
        };
        if millis.is_none() {
            self.defects.wrong(name, value, "an integer of milliseconds since 1970");
        }
        // What lies outside of the calendar is its nearest end.
        let nearest = |millis: i64| if millis < 0 { Timestamp::MIN_UTC } else { Timestamp::MAX_UTC };
        millis.map(|millis| Timestamp::from_timestamp_millis(millis).unwrap_or_else(|| nearest(millis)))
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.find(name) {
            None => false,
            Some(AMQPValue::Boolean(is_so)) => *is_so,
            Some(value) => {
                self.defects.wrong(name, value, "a boolean");
                false
            }
        }
    }

    fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.find(name)?;
        let text = render::text(value);
        if text.is_none() {
            self.defects.wrong(name, value, "text");
        }
        text
    }

    fn quiet_text(&self, name: &str) -> Option<&'a str> {
        self.find(name).and_then(render::text)
    }

    fn json<T: DeserializeOwned + Serialize>(&mut self, name: &str, bytes_max: usize) -> Option<T> {
        let text = self.text(name)?;
        let mut bytes = text.len();
        if bytes <= bytes_max {
            let parsed = serde_json::from_str(text);
            let value =
                parsed.map_err(|error| self.defects.add(format!("header \"{name}\" cannot be read: {error}"))).ok()?;
            // "1e15" comes out as a longer number, and what was read must never be too large to be sent on.
            if bytes <= bytes_max / GROWTH_MAX {
                return Some(value);
            }
            bytes = serde_json::to_vec(&value).map_or(usize::MAX, |json| json.len());
            if bytes <= bytes_max {
                return Some(value);
            }
        }
        self.defects.add(format!("header \"{name}\" has {bytes} bytes; expected at most {bytes_max}"));
        None
    }
}

/// Makes foreign errors as short as ours are.
fn bound(details: &mut Details) {
    if details.failures.len() > FAILURES_MAX {
        details.failures.drain(1..=details.failures.len() - FAILURES_MAX);
    }
    let errors = details.failures.iter_mut().map(|failure| &mut failure.error);
    for error in errors.chain(details.death.iter_mut().map(|death| &mut death.error)) {
        if error.len() > ERROR_BYTES_MAX {
            *error = cut(error, ERROR_BYTES_MAX);
        }
    }
}

fn filled(property: &Option<ShortString>) -> Option<&str> {
    property.as_ref().map(ShortString::as_str).filter(|text| !text.is_empty())
}

/// The first thing that is wrong; one is enough not to run.
#[derive(Default)]
struct Defects(Option<String>);

impl Defects {
    fn add(&mut self, defect: String) {
        self.0.get_or_insert(defect);
    }

    fn wrong(&mut self, name: &str, value: &AMQPValue, expected: &str) {
        let shown = cut(&render::render(value), SHOWN_BYTES_MAX);
        self.add(format!("header \"{name}\" is {}, {shown:?}; expected {expected}", render::type_name(value)));
    }
}
