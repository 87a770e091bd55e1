//! Reads schedules: from the data that clients and workers write down to the instants at which their jobs are due.
//!
//! Pure; the scheduler acts upon it, and the command line shows it.

use std::time::Duration;

use job_core::error::{Error, Result};
use job_core::schedule::Schedule;
pub use job_core::schedule::{Missed, Overlap, Recurrence as RecurrenceData};
use job_schedule::Recurrence;

pub(crate) mod due;
pub(crate) mod plan;

/// Checks a schedule: its expression, its zone and its bounds. For what people wrote, before
/// [`upsert`](job_core::client::Schedules::upsert), which cannot read expressions.
///
/// ```
/// use job_core::schedule::Schedule;
///
/// assert!(job_worker::schedule::check(&Schedule::cron("0 3 * * *").zone("Europe/Berlin")).is_ok());
/// let error = job_worker::schedule::check(&Schedule::cron("0 25 * * *")).unwrap_err();
/// assert_eq!(error.to_string(), "the hour \"25\" is wrong; it takes 0 to 23 (at character 3)");
/// ```
///
/// # Errors
/// Says what is wrong, and where.
pub fn check(schedule: &Schedule) -> Result<()> {
    read(schedule).map(drop)
}

/// Returns the first instants of a schedule after another one, at most `max`; fewer where no more come until 2100.
///
/// # Errors
/// As [`check`].
pub fn next(
    schedule: &Schedule,
    after: job_core::clock::Timestamp,
    max: usize,
) -> Result<Vec<job_core::clock::Timestamp>> {
    let recurrence = read(schedule)?;
    let following = std::iter::successors(recurrence.next_after(after), |at| recurrence.next_after(*at));
    Ok(following.take(max).collect())
}

pub(crate) fn read(schedule: &Schedule) -> Result<Recurrence> {
    schedule.check()?;
    let recurrence = match &schedule.recurrence {
        RecurrenceData::Cron { cron, zone } => Recurrence::cron(cron, zone),
        RecurrenceData::Every { every_seconds } => Recurrence::every(Duration::from_secs(*every_seconds)),
    };
    recurrence.map_err(|mistake| Error::invalid(mistake.to_string()))
}
