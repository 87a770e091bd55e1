//! The subscriptions that are known in the ledger: whose they are, what they listen to, and when a worker last said that it
//! consumes them.
//!
//! `topology apply` and workers write, operators read. An entry stays until `topology prune` removes it: the queue gets
//! events all that time. Ephemeral subscriptions have none, as nothing of them outlives their process.

use std::collections::BTreeMap;
use std::time::Duration;

use job_core::broker::{Entry, Ledger};
use job_core::clock::{Clock, Timestamp, later};
use job_core::error::Result;
use job_core::name::QueueName;
use job_core::topology::Pattern;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::announcement;
use crate::placement::{Place, Placement, Subscribed};

const PREFIX: &str = "subscription/";

/// How often a worker says that it consumes a subscription.
pub(crate) const SIGN_PERIOD: Duration = Duration::from_secs(3600);

/// A subscription of which no worker said so for this long is consumed by none: two signs were missed.
pub(crate) const SIGN_AGE_MAX: Duration = Duration::from_secs(2 * 3600 + 600);

/// What is known of a subscription. Fields are only ever added: programs of several versions read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SubscriptionEntry {
    /// Stands in the entry's key.
    #[serde(skip, default = "unnamed")]
    pub(crate) queue: QueueName,
    pub(crate) group: String,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) patterns: Vec<Pattern>,
    /// When a worker last said that it consumes it.
    #[serde(default)]
    pub(crate) consumed_at: Option<Timestamp>,
}

fn unnamed() -> QueueName {
    QueueName::parse_any("unnamed").expect("a valid name")
}

impl SubscriptionEntry {
    fn new(place: &Place, subscribed: &Subscribed, consumed_at: Option<Timestamp>) -> Self {
        Self {
            queue: place.queue.clone(),
            group: subscribed.group.into(),
            kind: place.kind.into(),
            patterns: subscribed.patterns.clone(),
            consumed_at,
        }
    }

    /// True when no worker consumes it, as far as their signs tell.
    pub(crate) fn is_abandoned(&self, now: Timestamp) -> bool {
        self.consumed_at.is_none_or(|at| later(at, SIGN_AGE_MAX) < now)
    }
}

/// Returns the durable ones among the subscriptions of these queues.
pub(crate) fn durable<'a>(
    placement: &Placement,
    queues: impl IntoIterator<Item = &'a QueueName>,
    consumed_at: Option<Timestamp>,
) -> Vec<SubscriptionEntry> {
    let found = queues.into_iter().filter_map(|queue| placement.subscription(queue));
    let durable = found.filter(|(_, subscribed)| !subscribed.is_ephemeral);
    durable.map(|(place, subscribed)| SubscriptionEntry::new(place, subscribed, consumed_at)).collect()
}

/// Returns the entries as of an instant at which a worker consumes them.
pub(crate) fn consumed(entries: &[SubscriptionEntry], now: Timestamp) -> Vec<SubscriptionEntry> {
    entries.iter().map(|entry| SubscriptionEntry { consumed_at: Some(now), ..entry.clone() }).collect()
}

/// Writes down what differs from what is known. A subscription that is consumed by nobody yet keeps the last sign of those
/// who did.
///
/// # Errors
/// When the ledger cannot be read or written.
pub(crate) async fn announce(ledger: &dyn Ledger, clock: &Clock, entries: &[SubscriptionEntry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let entries: BTreeMap<String, &SubscriptionEntry> = entries.iter().map(|e| (key(&e.queue), e)).collect();
    let merge = |key: &str, known: Option<&Value>| {
        let mut entry = entries[key].clone();
        let known = known.and_then(|value| serde_json::from_value::<SubscriptionEntry>(value.clone()).ok());
        entry.consumed_at = entry.consumed_at.or_else(|| known.and_then(|known| known.consumed_at));
        serde_json::to_value(entry).expect("names, patterns and instants are JSON")
    };
    announcement::announce(ledger, clock, entries.keys().cloned(), merge).await
}

/// Returns the known subscriptions, in the order of their queues. What this version cannot read is left out.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) async fn announced(ledger: &dyn Ledger) -> Result<Vec<SubscriptionEntry>> {
    let read = |entry: Entry| {
        let queue = QueueName::parse_any(entry.key.strip_prefix(PREFIX)?).ok()?;
        let entry: SubscriptionEntry = serde_json::from_value(entry.value).ok()?;
        Some(SubscriptionEntry { queue, ..entry })
    };
    Ok(ledger.read().await?.into_iter().filter_map(read).collect())
}

/// Removes a subscription.
///
/// # Errors
/// When the ledger cannot be read or written.
pub(crate) async fn forget(ledger: &dyn Ledger, clock: &Clock, queue: &QueueName) -> Result<()> {
    announcement::announce(ledger, clock, [key(queue)], |_, _| Value::Null).await
}

fn key(queue: &QueueName) -> String {
    format!("{PREFIX}{queue}")
}

#[cfg(test)]
mod tests {
    use job_core::broker::Broker;
    use job_core::broker::memory::MemoryBroker;

    use super::*;

    #[tokio::test]
    async fn a_subscription_is_abandoned_when_two_signs_are_missed() {
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let ledger = MemoryBroker::new(clock.clone()).ledger();
        let queue = QueueName::parse("shop.mirror").unwrap();
        let entry = |consumed_at| SubscriptionEntry {
            queue: queue.clone(),
            group: "shop".into(),
            kind: "mirror".into(),
            patterns: vec![Pattern::Topic("a.*".into())],
            consumed_at,
        };
        announce(&*ledger, &clock, &[entry(None)]).await.unwrap();
        assert_eq!(announced(&*ledger).await.unwrap(), [entry(None)]);
        assert!(entry(None).is_abandoned(clock.now()), "nobody ever consumed it");

        let begun = clock.now();
        announce(&*ledger, &clock, &[entry(Some(begun))]).await.unwrap();
        // As a deployment does, between two signs.
        announce(&*ledger, &clock, &[entry(None)]).await.unwrap();
        let kept = announced(&*ledger).await.unwrap().remove(0);
        assert_eq!(kept, entry(Some(begun)));
        clock.advance(2 * SIGN_PERIOD);
        assert!(!kept.is_abandoned(clock.now()));
        clock.advance(SIGN_PERIOD);
        assert!(kept.is_abandoned(clock.now()));

        forget(&*ledger, &clock, &queue).await.unwrap();
        assert_eq!(announced(&*ledger).await.unwrap(), []);
        // What is removed wins over what is announced in the same millisecond.
        clock.advance(Duration::from_millis(1));
        announce(&*ledger, &clock, &[entry(None)]).await.unwrap();
        assert_eq!(announced(&*ledger).await.unwrap(), [entry(None)]);
    }
}
