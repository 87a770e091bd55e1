//! What a test expects to be enqueued, and what it is told when that is not so.

use std::fmt::Write as _;
use std::time::Duration;

use job_core::clock::{duration_until, later};
use job_core::envelope::Envelope;
use job_core::job::Job;
use job_core::name::QueueName;

use crate::testing::Harness;

/// What is expected beyond the pattern; the macros `assert_enqueued!` and `refute_enqueued!` make it.
#[must_use]
pub struct Expectation<'a> {
    harness: &'a Harness,
    queue: Option<String>,
    within: Option<Duration>,
    count: Option<usize>,
}

impl<'a> Expectation<'a> {
    /// Expects something of a harness.
    pub fn of(harness: &'a Harness) -> Self {
        Self { harness, queue: None, within: None, count: None }
    }

    /// Expects it in this queue.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Expects it to be due after at most this time.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = Some(within);
        self
    }

    /// Expects exactly so many, where at least one is expected otherwise.
    pub fn count(mut self, count: usize) -> Self {
        self.count = Some(count);
        self
    }

    /// Asserts that matching jobs are enqueued: ready or delayed, not run yet.
    ///
    /// # Panics
    /// When they are not; it tells what is enqueued.
    #[track_caller]
    pub fn assert<J: Job>(self, pattern: &str, matches: impl Fn(&J) -> bool) {
        let found = self.found(matches);
        let (is_met, wanted) = match self.count {
            Some(count) => (found == count, format!("{count} jobs are enqueued that match")),
            None => (found > 0, "an enqueued job matches".to_owned()),
        };
        assert!(is_met, "expected that {wanted} `{pattern}`{}, found {found}; {}", self.terms(), self.listing());
    }

    /// Asserts that no matching job is enqueued.
    ///
    /// # Panics
    /// When one is; it tells what is enqueued.
    #[track_caller]
    pub fn refute<J: Job>(self, pattern: &str, matches: impl Fn(&J) -> bool) {
        let found = self.found(matches);
        assert!(
            found == 0,
            "expected that no enqueued job matches `{pattern}`{}, found {found}; {}",
            self.terms(),
            self.listing()
        );
    }

    fn found<J: Job>(&self, matches: impl Fn(&J) -> bool) -> usize {
        let enqueued = self.harness.enqueued_of::<J>();
        enqueued.iter().filter(|(job, queue, envelope)| self.is_met_by(queue, envelope) && matches(job)).count()
    }

    fn is_met_by(&self, queue: &QueueName, envelope: &Envelope) -> bool {
        let is_queue = self.queue.as_ref().is_none_or(|wanted| queue.as_str() == wanted);
        let now = self.harness.clock().now();
        is_queue && self.within.is_none_or(|within| envelope.runnable_since() <= later(now, within))
    }

    fn terms(&self) -> String {
        let mut terms = String::new();
        if let Some(queue) = &self.queue {
            let _ = write!(terms, ", in the queue \"{queue}\"");
        }
        if let Some(within) = self.within {
            let _ = write!(terms, ", within {within:?}");
        }
        terms
    }

    fn listing(&self) -> String {
        let enqueued = self.harness.enqueued();
        if enqueued.is_empty() {
            return "nothing is enqueued".to_owned();
        }
        let now = self.harness.clock().now();
        let mut text = "these are enqueued:".to_owned();
        for (queue, envelope) in &enqueued {
            let payload = String::from_utf8_lossy(&envelope.payload);
            let _ = write!(text, "\n  {} {payload} in the queue \"{queue}\"", envelope.kind_str());
            let wait = duration_until(now, envelope.runnable_since());
            if !wait.is_zero() {
                let _ = write!(text, ", due in {wait:?}");
            }
        }
        text
    }
}
