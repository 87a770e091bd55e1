//! A bounded table from (queue, kind) to the metrics of that pair, quick to read and impossible to flood.
//!
//! Kinds come from messages that anybody may have written, and a metric once made stays for the life of the process. So
//! a pair gets a row only where this process vouches for it ([`Table::admit`]), up to a cap; the rest shares a row.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use job_core::name::Kind;

/// Most (queue, kind) pairs with metrics of their own. Together with one row a queue for the rest these are 301 rows of at
/// most 61 series, so a scrape never exceeds 18 400 series or about 2 MB; a worker of twenty kinds has about a thousand.
pub const PAIRS_MAX: usize = 200;

/// Most queues with metrics of their own; the labels of further ones are [`OTHER`].
pub const QUEUES_MAX: usize = 100;

/// The label of what has none of its own.
pub const OTHER: &str = "other";

/// Maps a queue and a kind to a `T`. The hot path takes a read lock and hashes two short strings; nothing is copied.
pub(super) struct Table<T> {
    rows: RwLock<Rows<T>>,
    make: Box<Make<T>>,
}

/// Makes the metrics of a queue and a kind.
type Make<T> = dyn Fn(&str, &str) -> T + Send + Sync;

struct Rows<T> {
    queues: HashMap<Box<str>, HashMap<Box<str>, T>>,
    pairs: usize,
}

impl<T> Table<T> {
    pub(super) fn new(make: impl Fn(&str, &str) -> T + Send + Sync + 'static) -> Self {
        Self { rows: RwLock::new(Rows { queues: HashMap::new(), pairs: 0 }), make: Box::new(make) }
    }

    /// Acts on the row of the pair, made if there is room.
    pub(super) fn admit(&self, queue: &str, kind: &str, act: impl FnOnce(&T)) {
        self.with(queue, kind, true, act);
    }

    /// Acts on the row of the pair if there is one, else on the shared row of the queue.
    pub(super) fn known(&self, queue: &str, kind: &str, act: impl FnOnce(&T)) {
        self.with(queue, kind, false, act);
    }

    fn with(&self, queue: &str, kind: &str, is_vouched: bool, act: impl FnOnce(&T)) {
        // Nothing that runs under the lock can leave the rows half changed, so a poisoned one is as good as any.
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.get(queue, kind) {
            return act(row);
        }
        // Once the table is full this is where a flood ends: no write lock, no allocation.
        let (place_queue, place_kind) = rows.place(queue, kind, is_vouched);
        if let Some(row) = rows.get(place_queue, place_kind) {
            return act(row);
        }
        drop(rows);
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let (queue, kind) = rows.place(queue, kind, is_vouched);
        act(rows.get_or_insert(queue, kind, &self.make));
    }
}

impl<T> Rows<T> {
    fn get(&self, queue: &str, kind: &str) -> Option<&T> {
        self.queues.get(queue)?.get(kind)
    }

    /// Returns the labels under which a pair without a row counts.
    fn place<'a>(&self, queue: &'a str, kind: &'a str, is_vouched: bool) -> (&'a str, &'a str) {
        if !self.queues.contains_key(queue) && self.queues.len() >= QUEUES_MAX {
            return (OTHER, OTHER);
        }
        // A run's kind is any text: one that is no kind could break the terminal that shows it.
        let has_room = is_vouched && self.pairs < PAIRS_MAX && Kind::parse(kind).is_ok();
        (queue, if has_room { kind } else { OTHER })
    }

    fn get_or_insert(&mut self, queue: &str, kind: &str, make: impl FnOnce(&str, &str) -> T) -> &T {
        let kinds = self.queues.entry(queue.into()).or_default();
        if !kinds.contains_key(kind) && kind != OTHER {
            self.pairs += 1;
        }
        kinds.entry(kind.into()).or_insert_with(|| make(queue, kind))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    type Label = Mutex<String>;

    fn table() -> Table<(String, AtomicUsize)> {
        Table::new(|queue, kind| (format!("{queue}/{kind}"), AtomicUsize::new(0)))
    }

    fn admitted(table: &Table<(String, AtomicUsize)>, queue: &str, kind: &str) -> String {
        let label = Label::default();
        table.admit(queue, kind, |row| *label.lock().unwrap() = row.0.clone());
        label.into_inner().unwrap()
    }

    fn known(table: &Table<(String, AtomicUsize)>, queue: &str, kind: &str) -> String {
        let label = Label::default();
        table.known(queue, kind, |row| *label.lock().unwrap() = row.0.clone());
        label.into_inner().unwrap()
    }

    fn rows(table: &Table<(String, AtomicUsize)>) -> usize {
        table.rows.read().unwrap().queues.values().map(HashMap::len).sum()
    }

    #[test]
    fn a_pair_keeps_its_row() {
        let table = table();
        for _ in 0..3 {
            table.admit("mail", "welcome", |row| {
                row.1.fetch_add(1, Ordering::Relaxed);
            });
        }
        table.known("mail", "welcome", |row| assert_eq!(row.1.load(Ordering::Relaxed), 3));
        assert_eq!(rows(&table), 1);
    }

    #[test]
    fn nobody_vouches_for_a_foreign_kind() {
        let table = table();
        for i in 0..10_000 {
            assert_eq!(known(&table, "mail", &format!("foreign_{i}")), "mail/other");
        }
        assert_eq!(rows(&table), 1);
        assert_eq!(admitted(&table, "mail", "welcome"), "mail/welcome", "foreign kinds took no room");
    }

    #[test]
    fn kinds_beyond_the_cap_share_a_row() {
        let table = table();
        for i in 0..PAIRS_MAX {
            assert_eq!(admitted(&table, "mail", &format!("k{i}")), format!("mail/k{i}"));
        }
        assert_eq!(admitted(&table, "mail", "late"), "mail/other");
        assert_eq!(known(&table, "mail", "late"), "mail/other");
        assert_eq!(admitted(&table, "mail", "k7"), "mail/k7", "early ones keep theirs");
        assert_eq!(rows(&table), PAIRS_MAX + 1);
    }

    #[test]
    fn queues_beyond_the_cap_share_a_row() {
        let table = table();
        for i in 0..10 * QUEUES_MAX {
            admitted(&table, &format!("tenant_{i}"), "welcome");
        }
        assert_eq!(admitted(&table, "tenant_5000", "welcome"), "other/other");
        assert_eq!(rows(&table), QUEUES_MAX + 1);
    }

    #[test]
    fn text_that_is_no_kind_is_no_label() {
        let table = table();
        for kind in ["", "\x1b]0;owned\x07", "a b", "\u{202e}", &"k".repeat(200)] {
            assert_eq!(admitted(&table, "mail", kind), "mail/other");
        }
    }
}
