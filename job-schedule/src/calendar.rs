//! The wall-clock times of an expression, by the cron crate and without any time zone.
//!
//! The crate is asked in UTC only, where each wall-clock time comes exactly once: what it does about skipped and repeated
//! hours (it skips the day, and goes back in time) cannot happen there. What those mean is decided in `recurrence`.

use chrono::NaiveDateTime;
use cron::{Schedule, TimeUnitSpec};

use crate::expression;
use crate::mistake::Mistake;

/// Hours of a day.
const HOURS: u32 = 24;

/// The wall-clock times of one expression.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    /// A time is in it if it is in one of these.
    parts: Vec<Schedule>,
}

impl Calendar {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it has a mistake, or stands for no time at all, such as the 30th of February.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let calendar = Self { parts: expression::parse(text)? };
        // The crate's calendar begins in 1970 and ends in 2100, so that this search ends.
        match calendar.next_after(before_all()) {
            Some(_) => Ok(calendar),
            None => Err(Mistake::new(format!("{text:?} never comes: no year has such a day"))),
        }
    }

    /// Returns the first time after another one; none is later than the year 2100.
    pub(crate) fn next_after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let next = |part: &Schedule| part.after(&wall.and_utc()).next();
        self.parts.iter().filter_map(next).min().map(|at| at.naive_utc())
    }

    /// True when it has times in every hour of the day, so that it is about intervals rather than times of the day.
    pub(crate) fn is_hourly(&self) -> bool {
        self.parts.iter().all(|part| part.hours().count() == HOURS)
    }
}

fn before_all() -> NaiveDateTime {
    chrono::DateTime::UNIX_EPOCH.naive_utc() - chrono::Duration::seconds(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, after: &str, expected: &[&str]) {
        let calendar = Calendar::parse(expression).unwrap();
        let mut wall: NaiveDateTime = after.parse().unwrap();
        for time in expected {
            wall = calendar.next_after(wall).unwrap();
            assert_eq!(wall, time.parse().unwrap(), "{expression}");
        }
    }

    #[test]
    fn five_fields_are_posix_s() {
        check("0 3 * * 0", "2026-11-24T00:00:00", &["2026-11-29T03:00:00", "2026-12-06T03:00:00"]);
        // Day of month or day of week.
        check(
            "0 0 13 * 5",
            "2026-11-01T00:00:00",
            &["2026-11-06T00:00:00", "2026-11-13T00:00:00", "2026-11-20T00:00:00"],
        );
        check("0 0 25 * 5", "2026-11-21T00:00:00", &["2026-11-25T00:00:00", "2026-11-27T00:00:00"]);
        // A star is no restriction that could be fulfilled instead of another.
        check("0 0 */2 * 1", "2026-11-01T00:00:00", &["2026-11-09T00:00:00", "2026-11-23T00:00:00"]);
    }

    #[test]
    fn six_and_seven_fields_are_the_cron_crate_s() {
        check("30 0 3 * * 1", "2026-11-24T00:00:00", &["2026-11-29T03:00:30"]);
        // Day of month and day of week: a Friday the 13th.
        check("0 0 0 13 * FRI", "2026-11-14T00:00:00", &["2027-08-13T00:00:00"]);
        check("0 0 0 1 1 * 2030", "2026-11-14T00:00:00", &["2030-01-01T00:00:00"]);
    }

    #[test]
    fn shorthands_are_midnights_and_hours() {
        check("@weekly", "2026-11-24T00:00:00", &["2026-11-29T00:00:00"]);
        check("@Hourly", "2026-11-24T00:00:00", &["2026-11-24T01:00:00"]);
        check("@annually", "2026-11-24T00:00:00", &["2027-01-01T00:00:00"]);
    }

    #[test]
    fn days_that_no_year_has_are_refused() {
        for text in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 0 29 2 * 2027"] {
            let error = Calendar::parse(text).unwrap_err();
            assert!(error.to_string().ends_with("never comes: no year has such a day"), "{error}");
        }
        // It is or-ed: each Monday of February comes.
        check("0 0 30 2 1", "2026-11-24T00:00:00", &["2027-02-01T00:00:00"]);
    }

    #[test]
    fn leap_days_come() {
        check("0 0 29 2 *", "2026-11-24T00:00:00", &["2028-02-29T00:00:00", "2032-02-29T00:00:00"]);
        check("0 0 0 29 2 Sun", "2026-11-24T00:00:00", &["2032-02-29T00:00:00", "2060-02-29T00:00:00"]);
    }

    #[test]
    fn after_the_last_year_nothing_comes() {
        let calendar = Calendar::parse("0 0 * * *").unwrap();
        assert_eq!(calendar.next_after("2100-12-31T00:00:00".parse().unwrap()), None);
        assert_eq!(calendar.next_after("9999-01-01T00:00:00".parse().unwrap()), None);
    }
}
