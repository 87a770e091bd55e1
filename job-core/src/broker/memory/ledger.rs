//! The log of settings in memory.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::broker::{BoxFuture, Entry, Ledger};
use crate::error::Result;

use crate::broker::memory::state::ProcessId;
use crate::broker::memory::store::{Store, changed};

/// One reader of the log; it remembers how far it has read.
pub(super) struct MemoryLedger {
    store: Arc<Store>,
    process: ProcessId,
    read: AtomicU64,
}

impl MemoryLedger {
    pub(super) fn new(store: Arc<Store>, process: ProcessId) -> Self {
        Self { store, process, read: AtomicU64::new(0) }
    }
}

impl Ledger for MemoryLedger {
    fn append(&self, entry: Entry) -> BoxFuture<'_, Result<()>> {
        Box::pin(ready(self.store.update_as(self.process, |state, _| {
            state.append(entry);
            Ok(())
        })))
    }

    fn read(&self) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(ready(self.store.read_as(self.process, |state, _| {
            self.read.store(state.ledger_revision, Ordering::Relaxed);
            state.ledger.values().filter(|entry| !entry.value.is_null()).cloned().collect()
        })))
    }

    fn changed(&self) -> BoxFuture<'_, Result<()>> {
        let mut changes = self.store.changes();
        Box::pin(async move {
            let is_news = || {
                let read = self.read.load(Ordering::Relaxed);
                self.store.read_as(self.process, |state, _| state.ledger_revision > read)
            };
            while !is_news()? {
                changed(&mut changes).await;
            }
            Ok(())
        })
    }
}
