//! The kinds that workers announce in the ledger, so that programs without the jobs' code know where each belongs.
//!
//! A worker writes at its start, and only what changed. A kind that no worker runs any more stays: jobs of it may wait.

use std::collections::BTreeMap;
use std::time::Duration;

use job_core::broker::{Entry, Ledger};
use job_core::clock::Clock;
use job_core::error::{Error, Result};
use job_core::name::QueueName;
use job_core::options::JobOptions;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::announcement;

const PREFIX: &str = "kind/";

/// What a worker announces of a kind. Fields are only ever added: programs of several versions read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KindEntry {
    /// Stands in the entry's key.
    #[serde(skip)]
    pub(crate) kind: String,
    pub(crate) queue: QueueName,
    pub(crate) max_attempts: u32,
    #[serde(default)]
    pub(crate) timeout_seconds: Option<f64>,
    #[serde(default)]
    pub(crate) expires_seconds: Option<f64>,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
}

impl KindEntry {
    /// Describes a kind by its queue and its type's options.
    pub(crate) fn new(kind: &str, aliases: &[&str], queue: QueueName, options: &JobOptions) -> Self {
        Self {
            kind: kind.into(),
            queue,
            max_attempts: options.max_attempts,
            timeout_seconds: options.timeout.map(|t| t.as_secs_f64()),
            expires_seconds: options.expires.map(|t| t.as_secs_f64()),
            aliases: aliases.iter().map(ToString::to_string).collect(),
        }
    }

    /// Returns within which time the first run must start, where the type says so.
    pub(crate) fn expires(&self) -> Option<Duration> {
        self.expires_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// True for its kind and for earlier names of it.
    pub(crate) fn is_named(&self, kind: &str) -> bool {
        self.kind == kind || self.aliases.iter().any(|alias| alias == kind)
    }
}

/// Writes down what differs from what is known.
///
/// # Errors
/// When the ledger cannot be read or written.
pub(crate) async fn announce(ledger: &dyn Ledger, clock: &Clock, kinds: &[KindEntry]) -> Result<()> {
    let values: BTreeMap<String, Value> = kinds
        .iter()
        .map(|kind| {
            let value = serde_json::to_value(kind)
                .map_err(|e| Error::invalid(format!("the kind \"{}\" cannot be announced", kind.kind)).caused_by(e))?;
            Ok((format!("{PREFIX}{}", kind.kind), value))
        })
        .collect::<Result<_>>()?;
    announcement::announce(ledger, clock, values.keys().cloned(), |key, _| values[key].clone()).await
}

/// Returns what workers announced, in the order of the kinds. What this version cannot read is left out.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) async fn announced(ledger: &dyn Ledger) -> Result<Vec<KindEntry>> {
    let read = |entry: Entry| {
        let kind = entry.key.strip_prefix(PREFIX)?.to_owned();
        let entry: KindEntry = serde_json::from_value(entry.value).ok()?;
        Some(KindEntry { kind, ..entry })
    };
    Ok(ledger.read().await?.into_iter().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use job_core::broker::Broker;
    use job_core::broker::memory::MemoryBroker;

    use super::*;

    fn kind(queue: &str) -> KindEntry {
        let options = JobOptions { expires: Some(Duration::from_secs(90)), ..JobOptions::DEFAULT };
        KindEntry::new("work", &["old_work"], QueueName::parse(queue).unwrap(), &options)
    }

    #[tokio::test]
    async fn what_is_announced_is_read_back_and_written_only_on_change() {
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let ledger = MemoryBroker::new(clock.clone()).ledger();
        announce(&*ledger, &clock, &[kind("mail")]).await.unwrap();
        let first = ledger.read().await.unwrap();
        announce(&*ledger, &clock, &[kind("mail")]).await.unwrap();
        assert_eq!(ledger.read().await.unwrap(), first);
        announce(&*ledger, &clock, &[kind("post")]).await.unwrap();
        assert_eq!(announced(&*ledger).await.unwrap(), [kind("post")]);
        assert_eq!(ledger.read().await.unwrap()[0].version, first[0].version + 1);
    }

    #[tokio::test]
    async fn what_another_version_wrote_is_read_as_far_as_it_is_understood() {
        let ledger = MemoryBroker::new(Clock::system()).ledger();
        for (key, value) in [
            ("kind/new", serde_json::json!({"queue": "a", "max_attempts": 3, "colour": "red"})),
            ("kind/strange", serde_json::json!(7)),
            ("pause/a", serde_json::json!({"queue": "a", "max_attempts": 3})),
        ] {
            ledger.append(Entry { key: key.into(), version: 1, value }).await.unwrap();
        }
        let kinds: Vec<String> = announced(&*ledger).await.unwrap().into_iter().map(|k| k.kind).collect();
        assert_eq!(kinds, ["new"]);
    }
}
