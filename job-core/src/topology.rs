//! What exists on a broker: queues, and the bindings by which published events reach them.
//!
//! Data and the matching rules of AMQP 0-9-1, used by the brokers that route by themselves. Declares nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::name::QueueName;

/// Longest routing key or binding pattern, in bytes: an AMQP short string.
pub const ROUTING_KEY_BYTES_MAX: usize = 255;

/// What a program needs to exist before it publishes or consumes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The queues to declare.
    pub queues: Vec<Queue>,
    /// The bindings to add; declaring never removes one.
    pub bindings: Vec<Binding>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name, the same on every broker.
    pub name: QueueName,
    /// Somebody else declared it: it is checked, never declared or changed.
    pub is_external: bool,
}

/// A rule by which a queue gets a copy of matching events. Several matching rules of one queue give one copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Binding {
    /// The queue that gets the copies.
    pub queue: QueueName,
    /// Which events it gets.
    pub pattern: Pattern,
}

/// Which events a binding takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Topic events whose key matches: words between dots, `*` for one word, `#` for any number of them.
    Topic(String),
    /// Direct events with exactly this key.
    Direct(String),
    /// Headers events that have all, or any, of these headers.
    Headers {
        /// How many of the headers must be there.
        mode: HeadersMode,
        /// The headers and their values.
        values: BTreeMap<String, String>,
    },
    /// All events of the fanout of this name.
    Fanout(String),
}

/// How many of a binding's headers an event must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadersMode {
    /// Each of them; `x-match: all`. A binding without headers takes every event.
    All,
    /// One of them; `x-match: any`. A binding without headers takes none.
    Any,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A queue, as a first publish; a shadow may copy it.
    Queue(QueueName),
    /// One queue and nothing else: retries, delay exits, redrives, moves, chain steps.
    Only(QueueName),
    /// Each queue bound to a matching topic pattern.
    Topic(String),
    /// Each queue bound to this key.
    Direct(String),
    /// Each queue bound to matching headers; the event's are the envelope's headers.
    Headers,
    /// Each queue bound to the fanout of this name.
    Fanout(String),
}

impl Topology {
    /// Adds a queue that is ours, once.
    #[must_use]
    pub fn queue(mut self, name: QueueName) -> Self {
        if !self.queues.iter().any(|q| q.name == name) {
            self.queues.push(Queue { name, is_external: false });
        }
        self
    }

    /// Adds a binding, and its queue, once.
    #[must_use]
    pub fn bind(self, queue: QueueName, pattern: Pattern) -> Self {
        let mut topology = self.queue(queue.clone());
        let binding = Binding { queue, pattern };
        if !topology.bindings.contains(&binding) {
            topology.bindings.push(binding);
        }
        topology
    }
}

impl Target {
    /// Returns the queue of a target that names one.
    pub fn queue(&self) -> Option<&QueueName> {
        match self {
            Self::Queue(queue) | Self::Only(queue) => Some(queue),
            Self::Topic(_) | Self::Direct(_) | Self::Headers | Self::Fanout(_) => None,
        }
    }

    /// Checks the length of the routing key.
    ///
    /// # Errors
    /// When the key is longer than [`ROUTING_KEY_BYTES_MAX`].
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Topic(key) | Self::Direct(key) | Self::Fanout(key) if key.len() > ROUTING_KEY_BYTES_MAX => {
                Err(Error::invalid(format!(
                    "a routing key has at most {ROUTING_KEY_BYTES_MAX} bytes, this one has {}",
                    key.len()
                )))
            }
            _ => Ok(()),
        }
    }
}

impl Pattern {
    /// Says whether an event published to `target` with `headers` is taken. Targets that name a queue never are.
    pub fn matches(&self, target: &Target, headers: &BTreeMap<String, String>) -> bool {
        match (self, target) {
            (Self::Topic(pattern), Target::Topic(key)) => topic_matches(pattern, key),
            (Self::Direct(bound), Target::Direct(key)) | (Self::Fanout(bound), Target::Fanout(key)) => bound == key,
            (Self::Headers { mode, values }, Target::Headers) => headers_match(*mode, values, headers),
            _ => false,
        }
    }
}

/// Matches word by word, in time proportional to the product of the lengths: a naive search explodes on many `#`.
fn topic_matches(pattern: &str, key: &str) -> bool {
    let key: Vec<&str> = words(key);
    // reachable[i]: the pattern read so far can match the first i words of the key.
    let mut reachable = vec![false; key.len() + 1];
    reachable[0] = true;
    for word in words(pattern) {
        if word == "#" {
            let first = reachable.iter().position(|r| *r).unwrap_or(reachable.len());
            reachable[first..].fill(true);
            continue;
        }
        for i in (0..key.len()).rev() {
            reachable[i + 1] = reachable[i] && (word == "*" || word == key[i]);
        }
        reachable[0] = false;
    }
    reachable[key.len()]
}

/// Splits as RabbitMQ does: an empty key has no words, while "a." has two of which one is empty.
fn words(text: &str) -> Vec<&str> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split('.').collect()
}

fn headers_match(mode: HeadersMode, values: &BTreeMap<String, String>, headers: &BTreeMap<String, String>) -> bool {
    // A binding's own "x-…" headers take no part, as in RabbitMQ's modes `all` and `any`.
    let mut counted = values.iter().filter(|(name, _)| !name.starts_with("x-"));
    let is_equal = |(name, value): (&String, &String)| headers.get(name) == Some(value);
    match mode {
        HeadersMode::All => counted.all(is_equal),
        HeadersMode::Any => counted.any(is_equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_topic(pattern: &str, key: &str, expected: bool) {
        let is_match = Pattern::Topic(pattern.into()).matches(&Target::Topic(key.into()), &BTreeMap::new());
        assert_eq!(is_match, expected, "{pattern:?} on {key:?}");
    }

    #[test]
    fn topics_match_word_by_word() {
        for (pattern, key, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#", "", true),
            ("*", "", false),
            ("#.c", "a.b.c", true),
            ("#.c", "a.b", false),
            ("a.#.#.d", "a.d", true),
            ("*.#", "a", true),
            ("a..b", "a..b", true),
            ("a.*.b", "a..b", true),
        ] {
            check_topic(pattern, key, expected);
        }
    }

    #[test]
    fn many_wildcards_take_no_exponential_time() {
        let pattern = "#.".repeat(60) + "z";
        check_topic(&pattern, &"a.".repeat(100), false);
    }

    #[test]
    fn headers_match_all_or_any() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
        };
        let check = |mode, values: &[(&str, &str)], headers: &[(&str, &str)], expected: bool| {
            let pattern = Pattern::Headers { mode, values: map(values) };
            assert_eq!(pattern.matches(&Target::Headers, &map(headers)), expected, "{mode:?} {values:?}");
        };
        let pdf_a4 = [("format", "pdf"), ("size", "a4")];
        check(HeadersMode::All, &pdf_a4, &pdf_a4, true);
        check(HeadersMode::All, &pdf_a4, &pdf_a4[..1], false);
        check(HeadersMode::Any, &pdf_a4, &pdf_a4[..1], true);
        check(HeadersMode::Any, &pdf_a4, &[("size", "a5")], false);
        check(HeadersMode::All, &[], &pdf_a4, true);
        check(HeadersMode::Any, &[], &pdf_a4, false);
    }

    #[test]
    fn exchanges_do_not_mix() {
        let none = BTreeMap::new();
        assert!(!Pattern::Direct("a".into()).matches(&Target::Topic("a".into()), &none));
        assert!(!Pattern::Fanout("a".into()).matches(&Target::Direct("a".into()), &none));
        assert!(Pattern::Fanout("a".into()).matches(&Target::Fanout("a".into()), &none));
    }
}
