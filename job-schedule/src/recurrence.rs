//! The instants of a schedule, and what a change of the clocks does to them.
//!
//! A cron expression that has times in every hour of the day is about real time: nothing runs for what a zone skips, and
//! what a zone repeats runs in both passes. Every other one is about times of the day: a skipped time runs at the first
//! valid instant after the gap (several as one), a repeated one in its first pass only. An interval is real time always.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::calendar::Calendar;
use crate::mistake::Mistake;
use crate::zone::{first_at, first_change, offset, parse, wall};

/// Longest interval: a year of 366 days, as the message says.
pub const EVERY_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Most instants that [`Recurrence::latest`] returns.
pub const TICKS_MAX: usize = 1000;

/// The window in which [`Recurrence::latest`] looks first; each next one is twice as long.
const WINDOW_MIN: TimeDelta = TimeDelta::minutes(1);

/// When something recurs.
#[derive(Clone, Debug)]
pub struct Recurrence(Form);

#[derive(Clone, Debug)]
enum Form {
    Cron { expression: String, calendar: Calendar, zone: Tz },
    Every { seconds: i64 },
}

impl Recurrence {
    /// Reads a cron expression, and the name of the time zone whose wall clocks it means.
    ///
    /// # Errors
    /// Says what is wrong, and where.
    pub fn cron(expression: &str, zone: &str) -> Result<Self, Mistake> {
        let calendar = Calendar::parse(expression)?;
        Ok(Self(Form::Cron { expression: expression.trim().to_owned(), calendar, zone: parse(zone)? }))
    }

    /// Checks an interval: whole seconds, at most [`EVERY_MAX`]. Its instants are the multiples of it since 1970, UTC, so
    /// that everybody who asks agrees.
    ///
    /// # Errors
    /// Says what to write.
    pub fn every(interval: Duration) -> Result<Self, Mistake> {
        let seconds = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX);
        if seconds < 1 || interval.subsec_nanos() > 0 {
            return Err(Mistake::new(format!("an interval is whole seconds, at least 1; {interval:?} is not")));
        }
        if interval > EVERY_MAX {
            return Err(Mistake::new(format!("an interval is at most 366 days, not {interval:?}")));
        }
        Ok(Self(Form::Every { seconds }))
    }

    /// Returns the first instant after another one; `None` where there is none until the year 2100.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.0 {
            Form::Every { seconds } => {
                let next = after.timestamp().div_euclid(*seconds).checked_add(1)?.checked_mul(*seconds)?;
                DateTime::from_timestamp(next, 0)
            }
            Form::Cron { calendar, zone, .. } => {
                // No calendar begins before 1970: what changed in the centuries until then need not be walked through.
                let after = after.max(DateTime::UNIX_EPOCH - TimeDelta::days(2));
                match calendar.is_hourly() {
                    true => next_in_real_time(calendar, *zone, after),
                    false => next_time_of_day(calendar, *zone, after),
                }
            }
        }
    }

    /// Returns the latest instants within `(after, until]`, at most `max` and [`TICKS_MAX`], in their order.
    pub fn latest(&self, after: DateTime<Utc>, until: DateTime<Utc>, max: usize) -> Vec<DateTime<Utc>> {
        let max = max.min(TICKS_MAX);
        let most = max * 2 + 1;
        let mut window = WINDOW_MIN;
        // Behind the one there are too few, and behind the other too many: a calendar may have been dense, and be over.
        let (mut few, mut many) = (until, None);
        // A long outage has millions of them: look back only as far as needed.
        loop {
            let from = match many {
                Some(many) => many + (few - many) / 2,
                None => until.checked_sub_signed(window).map_or(after, |from| from.max(after)),
            };
            let ticks = self.first(from, until, most + 1);
            if ticks.len() > most {
                many = Some(from);
            } else if ticks.len() >= max || from <= after {
                return ticks[ticks.len().saturating_sub(max)..].to_vec();
            } else {
                few = from;
                window = window * 2;
            }
        }
    }

    /// Returns the first instants within `(after, until]`, at most `max`.
    fn first(&self, after: DateTime<Utc>, until: DateTime<Utc>, max: usize) -> Vec<DateTime<Utc>> {
        let following = std::iter::successors(self.next_after(after), |at| self.next_after(*at));
        following.take_while(|at| *at <= until).take(max).collect()
    }

    /// Returns the zone in which people think of it.
    pub fn zone(&self) -> Tz {
        match &self.0 {
            Form::Cron { zone, .. } => *zone,
            Form::Every { .. } => Tz::UTC,
        }
    }
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Cron { expression, zone, .. } => write!(f, "{expression} {zone}"),
            Form::Every { seconds } => write!(f, "every {seconds} s"),
        }
    }
}

/// A wall clock that goes back shows again only what it has shown: those times are not after `after`, and are passed by.
fn next_time_of_day(calendar: &Calendar, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut time = wall(zone, after);
    loop {
        time = calendar.next_after(time)?;
        if let Some(at) = first_at(zone, time).filter(|at| *at > after) {
            return Some(at);
        }
    }
}

/// From change to change of the offset: between two of them, wall clocks are even.
fn next_in_real_time(calendar: &Calendar, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (mut from, mut behind) = (after, wall(zone, after));
    loop {
        let time = calendar.next_after(behind)?;
        let at = (time - offset(zone, from)).and_utc();
        match first_change(zone, from, at) {
            None => return Some(at),
            Some(change) => (from, behind) = (change, wall(zone, change) - TimeDelta::seconds(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn check(recurrence: &Recurrence, after: &str, expected: &[&str]) {
        let mut at = utc(after);
        for text in expected {
            at = recurrence.next_after(at).unwrap();
            assert_eq!(at, utc(text), "{recurrence} in UTC");
        }
    }

    fn cron(expression: &str, zone: &str) -> Recurrence {
        Recurrence::cron(expression, zone).unwrap()
    }

    #[test]
    fn a_skipped_time_runs_at_the_end_of_the_gap() {
        let nightly = cron("30 2 * * *", "Europe/Berlin");
        check(
            &nightly,
            "2026-03-28T00:00:00Z",
            &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        );
        // Several of them as one, and one that is at the gap's end anyway with them.
        let often = cron("*/20 2,3 * * *", "Europe/Berlin");
        check(&often, "2026-03-28T23:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z"]);
        // Half an hour is skipped on Lord Howe Island.
        check(&cron("15 2 * * *", "Australia/Lord_Howe"), "2026-10-03T10:00:00Z", &["2026-10-03T15:30:00Z"]);
    }

    #[test]
    fn a_repeated_time_runs_once() {
        let nightly = cron("30 2 * * *", "Europe/Berlin");
        check(&nightly, "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        // Asked within the second pass, too.
        check(&nightly, "2026-10-25T01:10:00Z", &["2026-10-26T01:30:00Z"]);
        check(
            &cron("0,30 1-3 * * *", "Europe/Berlin"),
            "2026-10-25T00:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"],
        );
    }

    #[test]
    fn what_has_times_in_every_hour_goes_by_real_time() {
        let half_past = cron("30 * * * *", "Europe/Berlin");
        check(&half_past, "2026-03-29T00:00:00Z", &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]);
        check(
            &half_past,
            "2026-10-25T00:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
        );
        let quarters = cron("*/15 * * * *", "Australia/Lord_Howe");
        check(
            &quarters,
            "2026-04-04T14:30:00Z",
            &["2026-04-04T14:45:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z"],
        );
    }

    #[test]
    fn intervals_are_multiples_since_1970() {
        let every = Recurrence::every(Duration::from_secs(300)).unwrap();
        check(&every, "2026-11-24T10:04:59.9Z", &["2026-11-24T10:05:00Z", "2026-11-24T10:10:00Z"]);
        check(&every, "1969-12-31T23:59:59Z", &["1970-01-01T00:00:00Z"]);
        for wrong in [Duration::ZERO, Duration::from_millis(1500), EVERY_MAX + Duration::from_secs(1), Duration::MAX] {
            assert!(Recurrence::every(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_latest_of_a_long_time_are_found_without_walking_through_it() {
        let (after, until) = (utc("2000-01-01T00:00:00Z"), utc("2026-11-24T12:00:00.5Z"));
        let every = Recurrence::every(Duration::from_secs(1)).unwrap();
        assert_eq!(every.latest(after, until, 1), [utc("2026-11-24T12:00:00Z")]);
        assert_eq!(every.latest(after, until, usize::MAX).len(), TICKS_MAX);
        let yearly = cron("@yearly", "UTC");
        assert_eq!(yearly.latest(after, until, 2), [utc("2025-01-01T00:00:00Z"), utc("2026-01-01T00:00:00Z")]);
        assert_eq!(yearly.latest(after, until, 100).len(), 26);
        assert!(yearly.latest(until, after, 100).is_empty());
        assert!(yearly.latest(after, until, 0).is_empty());
    }

    #[test]
    fn the_latest_of_a_dense_time_that_is_over_are_found_without_walking_through_it() {
        let (after, until) = (utc("2000-01-01T00:00:00Z"), utc("2026-11-24T12:00:00Z"));
        let dense = cron("* * * * * * 2000-2010", "Europe/Berlin");
        let latest = dense.latest(after, until, 3);
        assert_eq!(latest, [57, 58, 59].map(|second| utc(&format!("2010-12-31T22:59:{second}Z"))));
        assert_eq!(dense.latest(after, until, TICKS_MAX).len(), TICKS_MAX);
        assert_eq!(dense.latest(after, utc("2000-01-01T00:00:02Z"), TICKS_MAX).len(), 2);
    }

    #[test]
    fn the_ends_of_time_are_no_panic() {
        for recurrence in [cron("* * * * *", "Asia/Kolkata"), cron("0 3 * * *", "Asia/Kolkata")] {
            assert_eq!(recurrence.next_after(utc("9999-12-31T00:00:00Z")), None);
            assert_eq!(recurrence.next_after(utc("2101-01-01T00:00:00Z")), None);
            assert!(recurrence.next_after(utc("0001-01-01T00:00:00Z")).is_some());
        }
    }
}
