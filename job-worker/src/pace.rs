//! How long the first poll of a kind's runs takes: quick ones are polled where they were decoded, others are spawned.
//!
//! A job that is ready at once costs no task then, and one that computes does not hold up the jobs behind it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Runs that are spawned before a kind can count as quick.
const SAMPLES_MIN: u32 = 32;

/// Longest average first poll of a quick kind.
const QUICK_MAX: Duration = Duration::from_micros(50);

/// The moving average of a kind's first polls. Lost updates between threads only blur it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    samples: AtomicU32,
    average_nanos: AtomicU64,
}

impl Pace {
    /// True when runs of this kind may be polled in place.
    pub(crate) fn is_quick(&self) -> bool {
        self.samples.load(Ordering::Relaxed) >= SAMPLES_MIN
            && Duration::from_nanos(self.average_nanos.load(Ordering::Relaxed)) <= QUICK_MAX
    }

    /// Takes a first poll into the average, with a weight of one eighth.
    pub(crate) fn record(&self, first_poll: Duration) {
        let nanos = u64::try_from(first_poll.as_nanos()).unwrap_or(u64::MAX);
        let average = self.average_nanos.load(Ordering::Relaxed);
        self.average_nanos.store(average - average / 8 + nanos / 8, Ordering::Relaxed);
        if self.samples.load(Ordering::Relaxed) < SAMPLES_MIN {
            self.samples.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_quick_after_many_quick_polls_and_slow_after_one_slow_one() {
        let pace = Pace::default();
        for _ in 0..SAMPLES_MIN {
            assert!(!pace.is_quick());
            pace.record(Duration::from_micros(5));
        }
        assert!(pace.is_quick());
        pace.record(Duration::from_millis(1));
        assert!(!pace.is_quick());
        (0..40).for_each(|_| pace.record(Duration::from_micros(5)));
        assert!(pace.is_quick());
    }
}
