//! Counts the deliveries that this worker holds, so that a stop can wait for the last one.

use std::sync::Arc;

use tokio::sync::watch;

/// The count; cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct InFlight(Arc<watch::Sender<usize>>);

/// One held delivery, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(InFlight);

impl InFlight {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Counts one more.
    pub(crate) fn hold(&self) -> Held {
        self.0.send_modify(|count| *count += 1);
        Held(self.clone())
    }

    /// Returns the count.
    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until nothing is held.
    pub(crate) async fn wait_none(&self) {
        // The sender is `self`: it cannot be gone while this waits.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
