//! Writes into the ledger what differs from what stands there.

use std::collections::BTreeMap;

use job_core::broker::{Entry, Ledger};
use job_core::clock::Clock;
use job_core::error::Result;
use serde_json::Value;

/// Writes down what differs from what is known, key by key. `merge` makes the new value of the known one, if any.
///
/// # Errors
/// When the ledger cannot be read or written.
pub(crate) async fn announce(
    ledger: &dyn Ledger,
    clock: &Clock,
    keys: impl IntoIterator<Item = String>,
    merge: impl Fn(&str, Option<&Value>) -> Value,
) -> Result<()> {
    let known: BTreeMap<String, Entry> = ledger.read().await?.into_iter().map(|e| (e.key.clone(), e)).collect();
    for key in keys {
        let before = known.get(&key);
        let value = merge(&key, before.map(|entry| &entry.value));
        if before.is_some_and(|entry| entry.value == value) {
            continue;
        }
        // A removed entry is not read, and wins over lower versions: the time is above them all.
        let now = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
        let version = before.map_or(now, |entry| now.max(entry.version + 1));
        ledger.append(Entry { key, version, value }).await?;
    }
    Ok(())
}
