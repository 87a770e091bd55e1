//! Names on the wire: kinds, queues, exchanges and job ids, checked where they enter.
//!
//! A queue's physical name is its name on every broker, so the rules are those of the strictest one.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// Longest kind or queue name, in bytes. AMQP short strings end at 255; a namespace and a suffix need their share.
pub const NAME_BYTES_MAX: usize = 128;

/// Longest job id, in bytes: the limit of an AMQP short string.
pub const ID_BYTES_MAX: usize = 255;

/// Longest name of an exchange, in bytes: the limit of an AMQP short string.
pub const EXCHANGE_BYTES_MAX: usize = 255;

const RESERVED_PREFIXES: [&str; 2] = ["jobs.", "events."];
const RESERVED_SUFFIXES: [&str; 3] = [DEAD, SUSPECT, RETRY];
const DEAD: &str = ".dead";
const SUSPECT: &str = ".suspect";
const RETRY: &str = ".retry";

/// The name of a job's type on the wire, such as `resize_image`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kind(Arc<str>);

impl Kind {
    /// Checks and makes a kind: 1 to [`NAME_BYTES_MAX`] bytes of ASCII letters, digits, `_`, `-` and `.`.
    ///
    /// # Errors
    /// Names the kind and the rule it breaks.
    pub fn parse(text: &str) -> Result<Self> {
        check_characters("kind", text)?;
        Ok(Self(text.into()))
    }

    /// Returns the kind as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a queue, such as `images`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName(Arc<str>);

impl QueueName {
    /// Checks and makes the name of a work queue: 1 to [`NAME_BYTES_MAX`] bytes of ASCII letters, digits, `_`, `-` and
    /// `.`; no reserved prefix (`jobs.`, `events.`) and no reserved suffix (`.dead`, `.suspect`, `.retry`).
    ///
    /// # Errors
    /// Names the queue and the rule it breaks.
    pub fn parse(text: &str) -> Result<Self> {
        check_characters("queue", text)?;
        let reserved = RESERVED_PREFIXES
            .iter()
            .find(|p| text.starts_with(**p))
            .or_else(|| RESERVED_SUFFIXES.iter().find(|s| text.ends_with(**s)));
        if let Some(part) = reserved {
            return Err(Error::invalid(format!(
                "queue name \"{text}\" uses the reserved part \"{part}\"; choose another name"
            )));
        }
        Ok(Self(text.into()))
    }

    /// Checks and makes the name of any queue, a reserved one too, as operators and brokers name them.
    ///
    /// # Errors
    /// Names the queue and the rule it breaks.
    pub fn parse_any(text: &str) -> Result<Self> {
        check_characters("queue", text)?;
        Ok(Self(text.into()))
    }

    /// Returns the queue that keeps this queue's dead jobs; of a dead queue, itself.
    #[must_use]
    pub fn dead(&self) -> Self {
        self.with_suffix(DEAD)
    }

    /// Returns the queue in which this queue's suspects run one at a time.
    #[must_use]
    pub fn suspect(&self) -> Self {
        self.with_suffix(SUSPECT)
    }

    /// Returns the queue of ours in which retries of a queue wait that somebody else declared.
    #[must_use]
    pub fn retry(&self) -> Self {
        self.with_suffix(RETRY)
    }

    /// True for a queue that keeps dead jobs.
    pub fn is_dead(&self) -> bool {
        self.0.ends_with(DEAD)
    }

    /// True for a queue whose jobs run one at a time, as one of them is suspected of ending its process.
    pub fn is_suspect(&self) -> bool {
        self.0.ends_with(SUSPECT)
    }

    /// Returns the work queue behind a dead, suspect or retry queue; of a work queue, itself.
    #[must_use]
    pub fn work(&self) -> Self {
        RESERVED_SUFFIXES
            .iter()
            .find_map(|suffix| self.0.strip_suffix(suffix))
            .map_or_else(|| self.clone(), |base| Self(base.into()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn with_suffix(&self, suffix: &str) -> Self {
        if self.0.ends_with(suffix) {
            return self.clone();
        }
        Self(format!("{}{suffix}", self.work()).into())
    }
}

/// The name of an exchange that somebody else declared, such as `legacy.orders`: any name that AMQP allows, but none of
/// ours.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExchangeName(Arc<str>);

impl ExchangeName {
    /// Checks and makes a name: 1 to [`EXCHANGE_BYTES_MAX`] bytes of printable text, neither `jobs` nor `events`, nor
    /// beginning with `jobs.` or `events.`.
    ///
    /// # Errors
    /// Names the exchange and the rule it breaks.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > EXCHANGE_BYTES_MAX {
            return Err(Error::invalid(format!(
                "an exchange name has 1 to {EXCHANGE_BYTES_MAX} bytes, this one has {}",
                text.len()
            )));
        }
        if text.chars().any(char::is_control) {
            return Err(Error::invalid(format!("exchange name {text:?} has control characters; use printable text")));
        }
        if RESERVED_PREFIXES.iter().any(|p| text.starts_with(p) || text == p.trim_end_matches('.')) {
            return Err(Error::invalid(format!(
                "the exchange \"{text}\" is our own; leave the exchange out to use it"
            )));
        }
        Ok(Self(text.into()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a job: unique within its queue for as long as it is stored there.
///
/// Ids that the client makes are UUIDv7; foreign producers and `.id(…)` may use any text of up to [`ID_BYTES_MAX`]
/// bytes without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(Id);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Id {
    Uuid(Uuid),
    Text(Arc<str>),
}

impl JobId {
    /// Makes a new id, UUIDv7 (RFC 9562, 5.7) of the instant `now`.
    pub fn new(now: Timestamp) -> Self {
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let timestamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.timestamp_subsec_nanos());
        Self(Id::Uuid(Uuid::new_v7(timestamp)))
    }

    /// Checks and makes an id.
    ///
    /// # Errors
    /// When the text is empty, too long, or has control characters.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > ID_BYTES_MAX {
            return Err(Error::invalid(format!("a job id has 1 to {ID_BYTES_MAX} bytes, this one has {}", text.len())));
        }
        if text.chars().any(char::is_control) {
            return Err(Error::invalid(format!("job id {text:?} has control characters; use printable text")));
        }
        match Uuid::try_parse(text) {
            // Only the canonical form: anything else must come back as it was written.
            Ok(uuid) if uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text => Ok(Self(Id::Uuid(uuid))),
            _ => Ok(Self(Id::Text(text.into()))),
        }
    }

    /// Makes the id that follows from this one and `name`: UUIDv5 (RFC 9562, 5.5), the same each time.
    #[must_use]
    pub fn derive(&self, name: &str) -> Self {
        let namespace = match &self.0 {
            Id::Uuid(uuid) => *uuid,
            Id::Text(text) => Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()),
        };
        Self(Id::Uuid(Uuid::new_v5(&namespace, name.as_bytes())))
    }

    /// Returns the sixteen bytes of an id that is a UUID, for compact storage.
    pub fn as_uuid_bytes(&self) -> Option<&[u8; 16]> {
        match &self.0 {
            Id::Uuid(uuid) => Some(uuid.as_bytes()),
            Id::Text(_) => None,
        }
    }

    /// Makes the id again from [`as_uuid_bytes`](Self::as_uuid_bytes).
    pub fn from_uuid_bytes(bytes: [u8; 16]) -> Self {
        Self(Id::Uuid(Uuid::from_bytes(bytes)))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Id::Uuid(uuid) => uuid.hyphenated().fmt(f),
            Id::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for JobId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

macro_rules! text_name {
    ($name:ident, $parse:path) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                $parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().into()
            }
        }
    };
}

text_name!(Kind, Kind::parse);
text_name!(QueueName, QueueName::parse_any);
text_name!(ExchangeName, ExchangeName::parse);

fn check_characters(what: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        return Err(Error::invalid(format!(
            "a {what} name has 1 to {NAME_BYTES_MAX} bytes, this one has {}",
            text.len()
        )));
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match text.chars().find(|c| !is_allowed(*c)) {
        None => Ok(()),
        Some(c) => Err(Error::invalid(format!(
            "{what} name {text:?} has the character {c:?}; use ASCII letters, digits, '_', '-' and '.'"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_queue_names_are_refused_where_users_write_them() {
        for text in ["jobs.ledger", "events.x", "mail.dead", "mail.suspect", "a.retry"] {
            let error = QueueName::parse(text).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            assert!(QueueName::parse_any(text).is_ok());
        }
    }

    #[test]
    fn our_own_exchanges_are_nobody_else_s() {
        for text in ["", "a\nb", "jobs", "events", "jobs.only", "events.direct", &"x".repeat(EXCHANGE_BYTES_MAX + 1)] {
            assert!(ExchangeName::parse(text).is_err(), "{text:?}");
        }
        for text in ["amq.topic", "jobsite", "Größe/1", &"x".repeat(EXCHANGE_BYTES_MAX)] {
            assert_eq!(ExchangeName::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn the_queues_around_a_queue_lead_back_to_it() {
        let mail = QueueName::parse("mail").unwrap();
        assert_eq!(mail.dead().as_str(), "mail.dead");
        assert_eq!(mail.dead().dead(), mail.dead());
        assert_eq!(mail.suspect().dead(), mail.dead());
        assert_eq!(mail.suspect().work(), mail);
        assert_eq!((mail.retry().as_str(), mail.retry().work()), ("mail.retry", mail.clone()));
        assert_eq!(mail.retry().dead(), mail.dead());
        assert!(mail.dead().is_dead() && !mail.is_dead());
    }

    #[test]
    fn names_outside_the_alphabet_are_refused_with_the_character() {
        for text in ["", "a b", "ä", "a/b", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(Kind::parse(text).is_err(), "{text:?}");
        }
        let error = Kind::parse("send mail").unwrap_err().to_string();
        assert_eq!(error, "kind name \"send mail\" has the character ' '; use ASCII letters, digits, '_', '-' and '.'");
    }

    #[test]
    fn ids_come_back_as_they_were_written() {
        for text in [
            "0193a1b2-0000-7000-8000-000000000001",
            "0193A1B2-0000-7000-8000-000000000001",
            "order 17",
            "{0193a1b2-0000-7000-8000-000000000001}",
        ] {
            assert_eq!(JobId::parse(text).unwrap().to_string(), text);
        }
        assert!(JobId::parse("").is_err());
        assert!(JobId::parse("a\nb").is_err());
    }

    #[test]
    fn derived_ids_repeat_and_differ_by_name() {
        let parent = JobId::parse("order 17").unwrap();
        assert_eq!(parent.derive("0/0"), parent.derive("0/0"));
        assert_ne!(parent.derive("0/0"), parent.derive("0/1"));
    }

    #[test]
    fn new_ids_sort_by_time() {
        let at = |text: &str| JobId::new(text.parse().unwrap());
        let early = at("2026-01-01T00:00:00Z");
        let late = at("2026-01-01T00:00:01Z");
        assert!(early < late);
        assert_ne!(early, at("2026-01-01T00:00:00Z"));
    }
}
