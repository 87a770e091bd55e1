//! How long the jobs that were handed out have been running.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A run beyond this is long: it is not worth a commit less to keep jobs from other processes for that time.
const RUN_SHORT_MAX: Duration = Duration::from_millis(100);

/// The runs of one consumer, by the moment at which they were handed out.
#[derive(Debug, Default)]
pub(super) struct Runs {
    batches: VecDeque<Arc<Batch>>,
    counts: Arc<Counts>,
}

/// What the runs of a consumer change when they end.
#[derive(Debug, Default)]
struct Counts {
    running: AtomicUsize,
    was_long: AtomicBool,
}

/// Jobs that were handed out together.
#[derive(Debug)]
struct Batch {
    begun: Instant,
    left: AtomicUsize,
    counts: Arc<Counts>,
    /// The runs of all consumers.
    all: Arc<AtomicUsize>,
}

/// One run. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Run(Arc<Batch>);

impl Runs {
    /// Begins `count` runs, counted in `all` too.
    pub(super) fn begin(&mut self, count: usize, now: Instant, all: &Arc<AtomicUsize>) -> Vec<Run> {
        self.forget_finished();
        let (left, counts, all) = (AtomicUsize::new(count), Arc::clone(&self.counts), Arc::clone(all));
        self.counts.running.fetch_add(count, Ordering::Relaxed);
        all.fetch_add(count, Ordering::Relaxed);
        let batch = Arc::new(Batch { begun: now, left, counts, all });
        self.batches.push_back(Arc::clone(&batch));
        (0..count).map(|_| Run(Arc::clone(&batch))).collect()
    }

    /// Returns how many run.
    pub(super) fn count(&self) -> usize {
        self.counts.running.load(Ordering::Relaxed)
    }

    /// Says whether one runs for long, or one that ended since the last question did.
    pub(super) fn is_long(&mut self, now: Instant) -> bool {
        let is_running = |batch: &&Arc<Batch>| batch.left.load(Ordering::Relaxed) > 0;
        let oldest = self.batches.iter().find(is_running);
        let is_oldest_long = oldest.is_some_and(|batch| now.duration_since(batch.begun) > RUN_SHORT_MAX);
        self.counts.was_long.swap(false, Ordering::Relaxed) || is_oldest_long
    }

    /// Forgets batches of which nothing runs any more; what is left is at most one a running job.
    pub(super) fn forget_finished(&mut self) {
        while self.batches.front().is_some_and(|batch| batch.left.load(Ordering::Relaxed) == 0) {
            self.batches.pop_front();
        }
        if self.batches.len() > 2 * self.count() {
            self.batches.retain(|batch| batch.left.load(Ordering::Relaxed) > 0);
        }
    }
}

impl Run {
    /// Notes when it ended.
    pub(super) fn end(self, now: Instant) {
        if now.duration_since(self.0.begun) > RUN_SHORT_MAX {
            self.0.counts.was_long.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.left.fetch_sub(1, Ordering::Relaxed);
        self.0.counts.running.fetch_sub(1, Ordering::Relaxed);
        self.0.all.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(101);

    fn begun(count: usize) -> (Runs, Vec<Run>, Arc<AtomicUsize>, Instant) {
        let (mut runs, all, now) = (Runs::default(), Arc::default(), Instant::now());
        let begun = runs.begin(count, now, &all);
        (runs, begun, all, now)
    }

    #[test]
    fn a_run_is_long_while_it_runs_and_once_after_it_ended() {
        let (mut runs, mut begun, _, now) = begun(2);
        assert!(!runs.is_long(now));
        assert!(runs.is_long(now + LONG));
        begun.pop().unwrap().end(now + LONG);
        begun.pop().unwrap().end(now);
        assert!(runs.is_long(now + LONG));
        assert!(!runs.is_long(now + LONG));
    }

    #[test]
    fn one_long_run_leaves_no_trail_of_short_ones() {
        let (mut runs, long, all, now) = begun(1);
        for _ in 0..1000 {
            drop(runs.begin(5, now, &all));
        }
        assert!(runs.batches.len() <= 4, "{}", runs.batches.len());
        assert_eq!((runs.count(), all.load(Ordering::Relaxed)), (1, 1));
        drop(long);
        assert_eq!((runs.count(), all.load(Ordering::Relaxed)), (0, 0));
    }
}
