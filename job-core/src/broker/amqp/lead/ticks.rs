//! Which ticks of each schedule were fired, and when that is worth a line in the ledger. Pure.
//!
//! What is not written down when a leader dies, its successor may fire again. So each tick is written, but for those of
//! schedules so many or so dense that the ledger would grow faster than is good for all who read it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// A schedule's latest tick is written again after this time, whatever else is written.
const PERIOD: Duration = Duration::from_secs(60);

/// Most other lines in that time: one schedule that ticks each second has all its ticks written. At about 150 bytes a
/// line that is 13 MB a day at the most, and a snapshot of the ledger every seven hours.
const LINES_MAX: usize = 60;

/// The ticks of one role.
#[derive(Default)]
pub(super) struct Ticks {
    fired: HashMap<String, i64>,
    /// What is written down, and since when.
    written: HashMap<String, (i64, Option<Instant>)>,
    /// When the latest lines beyond the first were written.
    lines: VecDeque<Instant>,
}

impl Ticks {
    /// Learns what an earlier leader wrote down.
    pub(super) fn recall(&mut self, schedule: String, tick: i64) {
        self.fired.insert(schedule.clone(), tick);
        self.written.insert(schedule, (tick, None));
    }

    /// Returns the latest tick of a schedule that was fired.
    pub(super) fn latest(&self, schedule: &str) -> Option<i64> {
        self.fired.get(schedule).copied()
    }

    pub(super) fn is_stale(&self, schedule: &str, tick: i64) -> bool {
        self.latest(schedule).is_some_and(|fired| tick <= fired)
    }

    /// Notes a tick; true when it is to be written down now.
    pub(super) fn note(&mut self, schedule: &str, tick: i64, now: Instant) -> bool {
        self.fired.insert(schedule.to_owned(), tick);
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < PERIOD;
        while self.lines.front().is_some_and(|at| !is_recent(at)) {
            self.lines.pop_front();
        }
        let is_extra = self.written.get(schedule).and_then(|(_, at)| *at).is_some_and(|at| is_recent(&at));
        if is_extra {
            if self.lines.len() >= LINES_MAX {
                return false;
            }
            self.lines.push_back(now);
        }
        self.written.insert(schedule.to_owned(), (tick, Some(now)));
        true
    }

    /// Returns what is not written down.
    pub(super) fn unwritten(&self) -> Vec<(String, i64)> {
        let is_unwritten =
            |(schedule, tick): &(&String, &i64)| self.written.get(*schedule).is_none_or(|(written, _)| written < tick);
        self.fired.iter().filter(is_unwritten).map(|(schedule, tick)| (schedule.clone(), *tick)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn what_was_fired_is_stale_and_so_is_what_came_before() {
        let mut ticks = Ticks::default();
        ticks.recall("hourly".into(), 7);
        assert!(ticks.note("nightly", 3, Clock::system().monotonic()));
        let found = [("hourly", 7), ("hourly", 8), ("nightly", 2), ("nightly", 3), ("nightly", 4), ("other", 0)];
        assert_eq!(
            found.map(|(schedule, tick)| ticks.is_stale(schedule, tick)),
            [true, false, true, true, false, false]
        );
    }

    #[test]
    fn a_schedule_that_ticks_each_second_has_all_its_ticks_written() {
        let (mut ticks, start) = (Ticks::default(), Clock::system().monotonic());
        assert!((0..1000).all(|second| ticks.note(
            "dense",
            second,
            start + Duration::from_secs(second.unsigned_abs())
        )));
        assert_eq!(ticks.unwritten(), []);
    }

    #[test]
    fn many_dense_schedules_write_a_bounded_number_of_lines() {
        let (mut ticks, start) = (Ticks::default(), Clock::system().monotonic());
        let (schedules, minutes) = (100, 10);
        let mut lines = 0;
        for second in 0..60 * minutes {
            let now = start + Duration::from_secs(second);
            let written = (0..schedules).filter(|n| ticks.note(&format!("s{n}"), second.try_into().unwrap(), now));
            lines += written.count();
        }
        // Each schedule once a minute, and the extra ones.
        let most = usize::try_from(minutes).unwrap() * (schedules + LINES_MAX);
        assert!((schedules..=most).contains(&lines), "{lines} lines, at most {most}");
        assert!(!ticks.unwritten().is_empty(), "the last ones are left for the end of the leadership");
    }
}
