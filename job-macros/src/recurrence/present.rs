//! The checks of a build with the feature `schedules`.

use std::time::Duration;

use job_schedule::{Mistake, Recurrence};

use crate::recurrence::Wrong;

/// Checks an expression.
pub(crate) fn check_cron(expression: &str) -> Result<(), Wrong> {
    Recurrence::cron(expression, "UTC").map(drop).map_err(|mistake| wrong(&mistake))
}

/// Checks the name of a zone.
pub(crate) fn check_zone(zone: &str) -> Result<(), Wrong> {
    Recurrence::cron("@daily", zone).map(drop).map_err(|mistake| wrong(&mistake))
}

/// Checks an interval.
pub(crate) fn check_every(interval: Duration) -> Result<(), Wrong> {
    Recurrence::every(interval).map(drop).map_err(|mistake| wrong(&mistake))
}

fn wrong(mistake: &Mistake) -> Wrong {
    Wrong { what: mistake.to_string(), at: mistake.position() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_expressions_are_refused_before_they_are_read() {
        let (commas, zone) = (",".repeat(10_000), "x".repeat(1_000_000));
        for text in [&*commas, &"*".repeat(1_000_000), "0 0 30 2 *", "0 0 0 1 1 * 9999"] {
            assert!(check_cron(text).is_err(), "{:?}", &text[..text.len().min(40)]);
        }
        let wrong = check_cron(&commas).err().map(|wrong| wrong.what).unwrap();
        assert_eq!(wrong, "a cron expression has at most 512 bytes, this one has 10000");
        assert!(check_zone(&zone).err().is_some_and(|wrong| wrong.what.len() < 300));
    }
}
