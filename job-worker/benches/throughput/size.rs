//! How much is measured: enough to tell a few per cent apart, or just enough to see that it runs.

/// Numbers of jobs, and of interleaved pairs.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) pairs: usize,
    pub(crate) enqueue_one: usize,
    pub(crate) enqueue_by_64: usize,
    pub(crate) enqueue_many: usize,
    /// Events, each of which is copied to ten queues.
    pub(crate) publish: usize,
    pub(crate) drain: usize,
    /// Jobs that wait in the small and in the large queue, and how many of each are drained.
    pub(crate) waiting_few: usize,
    pub(crate) waiting_many: usize,
    pub(crate) waiting_drained: usize,
    pub(crate) latency: usize,
}

impl Size {
    pub(crate) const FULL: Self = Self {
        pairs: 7,
        enqueue_one: 3_000,
        enqueue_by_64: 30_000,
        enqueue_many: 100_000,
        publish: 20_000,
        drain: 100_000,
        waiting_few: 10_000,
        waiting_many: 1_000_000,
        waiting_drained: 9_000,
        latency: 200,
    };

    pub(crate) const QUICK: Self = Self {
        pairs: 3,
        enqueue_one: 100,
        enqueue_by_64: 1_000,
        enqueue_many: 2_000,
        publish: 400,
        drain: 2_000,
        waiting_few: 1_000,
        waiting_many: 10_000,
        waiting_drained: 900,
        latency: 20,
    };
}
