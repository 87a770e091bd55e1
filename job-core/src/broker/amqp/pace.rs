//! How far ahead a consumer reads: far while runs are short, so that none waits for the network; near while they are
//! long, as whatever is held here cannot run elsewhere. Pure.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::broker::Window;

/// Deliveries per slot before anything is known of how long they take, those that run counted.
const AHEAD_PER_SLOT_MIN: usize = 2;

/// Deliveries per slot at the most.
const AHEAD_PER_SLOT_MAX: usize = 10;

/// Deliveries of one consumer at the most, however many slots it has; and its slots alone if those are more.
const AHEAD_MAX: usize = 2000;

/// A run beyond this is long.
const RUN_SHORT_MAX: Duration = Duration::from_millis(100);

/// Short runs in a row, per slot, after which a consumer reads far ahead. Each change costs a consumer on the broker.
const SHORT_PER_SLOT: usize = 10;

/// The width of one consumer's window, by the runs that it has seen.
#[derive(Debug)]
pub(super) struct Pace {
    near: u16,
    far: u16,
    short_enough: u32,
    short_in_row: AtomicU32,
}

impl Pace {
    pub(super) fn new(window: Window) -> Self {
        let slots = window.slots.max(1);
        let ahead = |per_slot: usize| slots.saturating_mul(per_slot).min(AHEAD_MAX.max(slots));
        let (near, far) = match window.claims_ahead {
            true => (ahead(AHEAD_PER_SLOT_MIN), ahead(AHEAD_PER_SLOT_MAX)),
            false => (slots, slots),
        };
        // The protocol's number has 16 bits, and 0 would mean no limit.
        let width = |deliveries| u16::try_from(deliveries).unwrap_or(u16::MAX);
        Self {
            near: width(near),
            far: width(far),
            short_enough: u32::try_from(slots.saturating_mul(SHORT_PER_SLOT)).unwrap_or(u32::MAX),
            short_in_row: AtomicU32::new(0),
        }
    }

    /// Notes how long a run took; returns whether that changes the window.
    pub(super) fn note(&self, run: Duration) -> bool {
        if run > RUN_SHORT_MAX {
            return self.short_in_row.swap(0, Ordering::AcqRel) >= self.short_enough;
        }
        // Stands still once it is enough: it must not wrap around in a week.
        let before = self.short_in_row.load(Ordering::Acquire);
        before < self.short_enough && self.short_in_row.fetch_add(1, Ordering::AcqRel) + 1 == self.short_enough
    }

    /// Returns how many deliveries the consumer holds at the most.
    pub(super) fn prefetch(&self) -> u16 {
        if self.short_in_row.load(Ordering::Acquire) >= self.short_enough { self.far } else { self.near }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_millis(101);

    #[test]
    fn a_consumer_reads_far_ahead_after_many_short_runs_and_near_after_a_long_one() {
        let pace = Pace::new(Window::new(100));
        assert_eq!(pace.prefetch(), 200);
        let changes: Vec<bool> = (0..2000).map(|_| pace.note(SHORT)).collect();
        assert_eq!(changes.iter().filter(|is_change| **is_change).count(), 1);
        assert_eq!(pace.prefetch(), 1000);
        assert!(pace.note(LONG));
        assert!(!pace.note(LONG));
        assert_eq!(pace.prefetch(), 200);
    }

    #[test]
    fn an_exact_window_never_grows() {
        let pace = Pace::new(Window::exact(3));
        (0..1000).for_each(|_| _ = pace.note(SHORT));
        assert_eq!(pace.prefetch(), 3);
    }

    #[test]
    fn windows_stay_within_the_protocol() {
        assert_eq!(Pace::new(Window::new(0)).prefetch(), 2);
        assert_eq!(Pace::new(Window::new(3000)).prefetch(), 3000);
        assert_eq!(Pace::new(Window::new(100_000)).prefetch(), u16::MAX);
    }
}
