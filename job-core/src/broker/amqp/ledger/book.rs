//! What the ledger says: the winning entry of each key. Pure; merging is the same in whatever order snapshots come.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::broker::Entry;
use crate::broker::amqp::ledger::HIDDEN;

/// The winning entries, those that remove their key too: an older entry must not bring it back.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<String, Entry>,
    bytes: u64,
    since_snapshot: u64,
}

/// Returns what an entry takes in the stream, roughly.
pub(super) fn bytes(entry: &Entry) -> u64 {
    const FRAME: usize = 64;
    let bytes = entry.key.len() + entry.value.to_string().len() + FRAME;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Book {
    /// Adds an entry that came by; returns whether it changed what readers of the ledger see.
    pub(super) fn merge(&mut self, entry: Entry) -> bool {
        let added = bytes(&entry);
        self.since_snapshot += added;
        let before = self.entries.get(&entry.key);
        if before.is_some_and(|before| before.version >= entry.version) {
            return false;
        }
        self.bytes += added;
        self.bytes -= before.map_or(0, bytes);
        let is_public = !entry.key.starts_with(HIDDEN);
        self.entries.insert(entry.key.clone(), entry);
        is_public
    }

    /// Notes that all of the stream is going to come by once more.
    pub(super) fn begin_again(&mut self) {
        self.since_snapshot = 0;
    }

    /// Notes that a snapshot came to its end.
    pub(super) fn end_snapshot(&mut self) {
        self.since_snapshot = 0;
    }

    /// Returns what came by since the last snapshot.
    pub(super) fn since_snapshot(&self) -> u64 {
        self.since_snapshot
    }

    /// Returns what a snapshot takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn knows(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Returns all winning entries.
    pub(super) fn all(&self) -> Vec<Entry> {
        self.entries.values().cloned().collect()
    }

    /// Returns what readers of the ledger see.
    pub(super) fn public(&self) -> Vec<Entry> {
        self.entries.values().filter(|entry| !entry.key.starts_with(HIDDEN) && is_kept(entry)).cloned().collect()
    }

    /// Returns the entries whose keys begin like this, without that beginning.
    pub(super) fn with_prefix(&self, prefix: &str) -> Vec<Entry> {
        let from_there = self.entries.range(prefix.to_owned()..);
        let named = from_there.map_while(|(key, entry)| Some((key.strip_prefix(prefix)?, entry)));
        named.filter(|(_, entry)| is_kept(entry)).map(|(key, e)| Entry { key: key.into(), ..e.clone() }).collect()
    }
}

fn is_kept(entry: &Entry) -> bool {
    entry.value != Value::Null
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(key: &str, version: u64, value: Value) -> Entry {
        Entry { key: key.into(), version, value }
    }

    #[test]
    fn the_highest_version_wins_and_the_first_of_equal_ones() {
        let mut book = Book::default();
        for (version, value, changes) in [(3, 1, true), (3, 2, false), (2, 3, false), (4, 4, true)] {
            assert_eq!(book.merge(entry("a", version, json!(value))), changes);
        }
        assert_eq!(book.public(), [entry("a", 4, json!(4))]);
    }

    #[test]
    fn a_removed_key_stays_removed_and_is_in_the_snapshot() {
        let mut book = Book::default();
        assert!(book.merge(entry("a", 2, Value::Null)));
        assert!(!book.merge(entry("a", 1, json!(1))));
        assert_eq!((book.public(), book.all()), (Vec::new(), vec![entry("a", 2, Value::Null)]));
    }

    #[test]
    fn entries_of_the_broker_are_for_itself() {
        let mut book = Book::default();
        assert!(!book.merge(entry("broker/queue/mail", 1, json!(true))));
        assert!(!book.merge(entry("broker/queue/old", 1, Value::Null)));
        assert!(!book.merge(entry("broker/tick/x", 1, json!(1))));
        assert!(book.merge(entry("zebra", 1, json!(1))));
        assert_eq!(book.public(), [entry("zebra", 1, json!(1))]);
        assert_eq!(book.with_prefix("broker/queue/"), [entry("mail", 1, json!(true))]);
        assert_eq!(book.all().len(), 4);
    }

    #[test]
    fn sizes_follow_what_is_kept_and_what_comes_by() {
        let mut book = Book::default();
        for version in 1..=10 {
            book.merge(entry("a", version, json!("v".repeat(100))));
        }
        let one = bytes(&entry("a", 1, json!("v".repeat(100))));
        assert_eq!((book.bytes(), book.since_snapshot()), (one, 10 * one));
        book.end_snapshot();
        book.merge(entry("a", 11, json!("v")));
        assert_eq!((book.bytes(), book.since_snapshot()), (one - 99, one - 99));
    }
}
