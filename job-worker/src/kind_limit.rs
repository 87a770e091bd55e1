//! The limit of a kind in this process: a few jobs wait in line for it, further ones go back to their queue.
//!
//! The line keeps the limit busy; going back keeps a long queue of one kind from blocking all others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The permits of a kind, and the line before them.
#[derive(Debug)]
pub(crate) struct KindLimit {
    permits: Arc<Semaphore>,
    line: AtomicUsize,
    line_max: usize,
}

/// What a job of a limited kind gets.
pub(crate) enum Admission {
    /// It may run.
    Run(OwnedSemaphorePermit),
    /// It may wait in line.
    Wait(Place),
    /// The line is full.
    GoBack,
}

/// A place in the line, given up when it is dropped.
pub(crate) struct Place(Arc<KindLimit>);

impl KindLimit {
    /// Makes a limit of `concurrency` runs at once, with a line as long.
    pub(crate) fn new(concurrency: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(concurrency)),
            line: AtomicUsize::new(0),
            line_max: concurrency,
        })
    }

    /// Admits a job, without waiting.
    pub(crate) fn admit(self: &Arc<Self>) -> Admission {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Admission::Run(permit);
        }
        let joined =
            self.line.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.line_max).then_some(n + 1));
        if joined.is_ok() { Admission::Wait(Place(Arc::clone(self))) } else { Admission::GoBack }
    }

    /// Waits for the permit, not in the line.
    pub(crate) async fn permit(&self) -> OwnedSemaphorePermit {
        let permits = Arc::clone(&self.permits);
        permits.acquire_owned().await.expect("the semaphore is never closed")
    }
}

impl Place {
    /// Waits for the permit.
    pub(crate) async fn permit(self) -> OwnedSemaphorePermit {
        self.0.permit().await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.line.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_line_is_as_long_as_the_limit() {
        let limit = KindLimit::new(1);
        let Admission::Run(permit) = limit.admit() else { panic!("the first one runs") };
        let Admission::Wait(place) = limit.admit() else { panic!("the second one waits") };
        assert!(matches!(limit.admit(), Admission::GoBack));
        drop(permit);
        let permit = place.permit().await;
        assert!(matches!(limit.admit(), Admission::Wait(_)));
        drop(permit);
        assert!(matches!(limit.admit(), Admission::Run(_)));
    }
}
