//! What the thread that writes shares with the rest of the process: who waits, who leads, how far the ledger is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::watch;

use crate::broker::sqlite::held::Held;
use crate::broker::sqlite::lead::Lead;

/// One per thread that writes.
#[derive(Debug)]
pub(super) struct Shared {
    consumers: Mutex<Vec<(Handle, Weak<Held>)>>,
    leads: Mutex<Vec<(Handle, Weak<Lead>)>>,
    handles: AtomicU64,
    pulse: watch::Sender<Pulse>,
    ledger_waiters: AtomicUsize,
}

/// One of the brokers that share a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(u64);

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
            handles: AtomicU64::new(0),
            pulse: watch::Sender::new(Pulse::default()),
            ledger_waiters: AtomicUsize::new(0),
        })
    }

    /// Returns a handle that no other broker has.
    pub(super) fn handle(&self) -> Handle {
        Handle(self.handles.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn add_consumer(&self, handle: Handle, held: &Arc<Held>) {
        add(&self.consumers, handle, held);
    }

    pub(super) fn add_lead(&self, handle: Handle, lead: &Arc<Lead>) {
        add(&self.leads, handle, lead);
    }

    pub(super) fn consumers(&self) -> Vec<Arc<Held>> {
        living(&self.consumers, |_| true)
    }

    pub(super) fn leads(&self) -> Vec<Arc<Lead>> {
        living(&self.leads, |_| true)
    }

    /// Ends the consumers and leaderships of one handle.
    pub(super) fn leave(&self, handle: Handle) {
        living(&self.leads, |owner| owner == handle).iter().for_each(|lead| lead.lose());
        living(&self.consumers, |owner| owner == handle).iter().for_each(|held| held.close());
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

fn add<T>(list: &Mutex<Vec<(Handle, Weak<T>)>>, handle: Handle, item: &Arc<T>) {
    let mut list = list.lock().expect("no code panics while it holds the list");
    list.retain(|(_, weak)| weak.strong_count() > 0);
    list.push((handle, Arc::downgrade(item)));
}

fn living<T>(list: &Mutex<Vec<(Handle, Weak<T>)>>, is_meant: impl Fn(Handle) -> bool) -> Vec<Arc<T>> {
    let list = list.lock().expect("no code panics while it holds the list");
    list.iter().filter(|(handle, _)| is_meant(*handle)).filter_map(|(_, weak)| weak.upgrade()).collect()
}
