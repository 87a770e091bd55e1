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
