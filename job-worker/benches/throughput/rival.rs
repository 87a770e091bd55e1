//! What a broker brings to be measured: places to store jobs in, and raw programs that do the same work there.

use std::time::Duration;

use crate::size::Size;

/// A broker, and its raw programs.
pub(crate) trait Rival {
    /// Returns the first word of its figures.
    fn name(&self) -> &'static str;

    /// Returns which of the figures it takes.
    fn figures(&self) -> &'static [&'static str];

    /// Returns how much of each is measured.
    fn size(&self, size: Size) -> Size {
        size
    }

    /// Returns the ways to drain: `""` for the one of our durability, and names of others.
    fn drains(&self) -> &'static [&'static str];

    /// Makes an empty place, which is gone when it is dropped.
    fn place(&self) -> Box<dyn Place + '_>;
}

/// A place for jobs. Ours and the raw program never share one: each has its own layout.
pub(crate) trait Place {
    /// Returns the URL by which a client of ours connects to it.
    fn url(&self) -> String;

    /// Returns the process that keeps the jobs, where that is not this one.
    fn server(&self) -> Option<u32> {
        None
    }

    /// Says whether a run is over only when the worker has stopped and the place is empty, not as soon as all jobs have run.
    fn is_over_when_empty(&self) -> bool {
        false
    }

    /// Waits until our client's jobs are gone.
    fn wait_empty(&self) {}

    /// Makes the raw program's layout, and stores jobs that are not measured.
    fn prepare(&self, jobs: usize);

    /// Stores jobs one by one, each confirmed before the next.
    fn enqueue_one_by_one(&self, jobs: usize);

    /// Stores jobs for as many callers at once, each of which waits for its confirmation.
    fn enqueue_for_callers(&self, jobs: usize, callers: usize);

    /// Stores jobs as fast as a single caller can.
    fn enqueue_many(&self, jobs: usize);

    /// Stores events as fast as a single caller can, a copy of each in each of these queues.
    fn publish(&self, events: usize, queues: &[String]);

    /// Takes and completes all jobs, so many as were prepared.
    fn drain(&self, jobs: usize, way: &str);

    /// Returns how long jobs took from before they were stored until they were claimed, one stored each `every`.
    fn latencies(&self, jobs: usize, every: Duration) -> Vec<Duration>;
}
