//! What the thread that writes shares with the rest of the process: who waits, who leads, how far the ledger is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::watch;

use crate::broker::sqlite::held::Held;
use crate::broker::sqlite::lead::Lead;

/// One per thread that writes.
#[derive(Debug)]
pub(super) struct Shared {
    consumers: Mutex<Vec<Weak<Held>>>,
    leads: Mutex<Vec<Weak<Lead>>>,
    pulse: watch::Sender<Pulse>,
    ledger_waiters: AtomicUsize,
}

/// What those who wait for the ledger see.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulse {
    /// The number of the latest change.
    pub(super) ledger: i64,
    /// The thread that writes has ended.
    pub(super) is_ended: bool,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            consumers: Mutex::default(),
            leads: Mutex::default(),
            pulse: watch::Sender::new(Pulse::default()),
            ledger_waiters: AtomicUsize::new(0),
        })
    }

    pub(super) fn add_consumer(&self, held: &Arc<Held>) {
        add(&self.consumers, held);
    }

    pub(super) fn add_lead(&self, lead: &Arc<Lead>) {
        add(&self.leads, lead);
    }

    pub(super) fn consumers(&self) -> Vec<Arc<Held>> {
        living(&self.consumers)
    }

    pub(super) fn leads(&self) -> Vec<Arc<Lead>> {
        living(&self.leads)
    }

    /// Tells how far the ledger is.
    pub(super) fn set_ledger(&self, change: i64) {
        self.pulse.send_if_modified(|pulse| std::mem::replace(&mut pulse.ledger, change) != change);
    }

    /// Tells those who wait that nothing will come any more.
    pub(super) fn end(&self) {
        self.pulse.send_modify(|pulse| pulse.is_ended = true);
        self.leads().iter().for_each(|lead| lead.lose());
        self.consumers().iter().for_each(|held| held.close());
    }

    pub(super) fn is_ledger_awaited(&self) -> bool {
        self.ledger_waiters.load(Ordering::Relaxed) > 0
    }

    /// Returns what shows the ledger's progress, for as long as it is watched.
    pub(super) fn watch_ledger(&self) -> LedgerWatch<'_> {
        self.ledger_waiters.fetch_add(1, Ordering::Relaxed);
        LedgerWatch { shared: self, pulse: self.pulse.subscribe() }
    }
}

/// Lets the thread that writes look for changes by other processes, until it is dropped.
pub(super) struct LedgerWatch<'a> {
    shared: &'a Shared,
    pub(super) pulse: watch::Receiver<Pulse>,
}

impl Drop for LedgerWatch<'_> {
    fn drop(&mut self) {
        self.shared.ledger_waiters.fetch_sub(1, Ordering::Relaxed);
    }
}

fn add<T>(list: &Mutex<Vec<Weak<T>>>, item: &Arc<T>) {
    let mut list = list.lock().expect("no code panics while it holds the list");
    list.retain(|weak| weak.strong_count() > 0);
    list.push(Arc::downgrade(item));
}

fn living<T>(list: &Mutex<Vec<Weak<T>>>) -> Vec<Arc<T>> {
    list.lock().expect("no code panics while it holds the list").iter().filter_map(Weak::upgrade).collect()
}
