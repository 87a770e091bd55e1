//! Which events a binding takes: the matching rules of AMQP 0-9-1, used by the brokers that route by themselves.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::name::ExchangeName;
use crate::topology::{Target, check_fanout, check_key, not_an_event};

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
    /// As one of the above, of the events that reach an exchange which somebody else declared. See [`at`](Self::at).
    Foreign {
        /// The exchange.
        exchange: ExchangeName,
        /// Which of its events.
        pattern: Box<Pattern>,
    },
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

impl Pattern {
    /// Returns this pattern at somebody else's exchange.
    #[must_use]
    pub fn at(self, exchange: ExchangeName) -> Self {
        Self::Foreign { exchange, pattern: Box::new(self) }
    }

    /// Checks what every broker requires: a short key, and one exchange.
    ///
    /// # Errors
    /// When the key is longer than [`ROUTING_KEY_BYTES_MAX`](crate::topology::ROUTING_KEY_BYTES_MAX), or an exchange
    /// stands within an exchange.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Topic(key) | Self::Direct(key) => check_key("a binding key", key),
            Self::Fanout(name) => check_fanout(name),
            Self::Headers { .. } => Ok(()),
            Self::Foreign { exchange, pattern } => match **pattern {
                Self::Foreign { .. } => Err(not_an_event(exchange)),
                _ => pattern.check(),
            },
        }
    }

    /// Says whether an event published to `target` with `headers` is taken. Targets that name a queue never are.
    pub fn matches(&self, target: &Target, headers: &BTreeMap<String, String>) -> bool {
        match (self, target) {
            (Self::Topic(pattern), Target::Topic(key)) => topic_matches(pattern, key),
            (Self::Direct(bound), Target::Direct(key)) | (Self::Fanout(bound), Target::Fanout(key)) => bound == key,
            (Self::Headers { mode, values }, Target::Headers) => headers_match(*mode, values, headers),
            (Self::Foreign { exchange: bound, pattern }, Target::Foreign { exchange, target }) => {
                bound == exchange && pattern.matches(target, headers)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(key) => write!(f, "topic {key}"),
            Self::Direct(key) => write!(f, "direct {key}"),
            Self::Headers { mode, values } => {
                f.write_str(if *mode == HeadersMode::All { "all headers" } else { "any header" })?;
                values.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
            }
            Self::Fanout(name) => write!(f, "fanout {name}"),
            Self::Foreign { exchange, pattern } => write!(f, "{pattern} at {exchange}"),
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
    fn an_exchange_of_somebody_else_is_a_namespace_of_its_own() {
        let none = BTreeMap::new();
        let exchange = |name: &str| ExchangeName::parse(name).unwrap();
        let pattern = Pattern::Topic("a.*".into()).at(exchange("legacy"));
        let target = Target::Topic("a.b".into());
        assert!(pattern.matches(&target.clone().at(exchange("legacy")), &none));
        assert!(!pattern.matches(&target.clone().at(exchange("other")), &none));
        assert!(!pattern.matches(&target, &none));
        assert!(!Pattern::Topic("a.*".into()).matches(&target.clone().at(exchange("legacy")), &none));
        assert_eq!(pattern.to_string(), "topic a.* at legacy");
        assert!(pattern.check().is_ok() && pattern.at(exchange("other")).check().is_err());
        let queue = crate::name::QueueName::parse("mail").unwrap();
        assert!(Target::Only(queue).at(exchange("legacy")).check().is_err());
    }

    #[test]
    fn exchanges_do_not_mix() {
        let none = BTreeMap::new();
        assert!(!Pattern::Direct("a".into()).matches(&Target::Topic("a".into()), &none));
        assert!(!Pattern::Fanout("a".into()).matches(&Target::Direct("a".into()), &none));
        assert!(Pattern::Fanout("a".into()).matches(&Target::Fanout("a".into()), &none));
    }
}
