//! Counts the deliveries that this worker holds, so that a stop can wait for the last one.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The count; cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct InFlight(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    held: AtomicUsize,
    none: Notify,
}

/// One held delivery, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(InFlight);

impl InFlight {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Counts one more.
    pub(crate) fn hold(&self) -> Held {
        self.0.held.fetch_add(1, Ordering::Relaxed);
        Held(self.clone())
    }

    /// Returns the count.
    pub(crate) fn count(&self) -> usize {
        self.0.held.load(Ordering::Acquire)
    }

    /// Waits until nothing is held.
    pub(crate) async fn wait_none(&self) {
        loop {
            let mut none = pin!(self.0.none.notified());
            // Before the look: an end in between is not missed.
            none.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let count = &self.0.0;
        if count.held.fetch_sub(1, Ordering::AcqRel) == 1 {
            count.none.notify_waiters();
        }
    }
}
