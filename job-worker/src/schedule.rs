//! Reads schedules: from the data that clients and workers write down to the instants at which their jobs are due.
//!
//! Pure; the scheduler acts upon it, and the command line shows it.

use std::time::Duration;

use job_core::error::{Error, Result};
use job_core::schedule::Schedule;
pub use job_core::schedule::{Missed, Overlap, Recurrence as RecurrenceData};
use job_schedule::{Mistake, Recurrence};

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
    let wrong = |mistake: Mistake| Error::invalid(mistake.to_string());
    match &schedule.recurrence {
        RecurrenceData::Cron { cron, zone } => {
            // First, as this knows best what is wrong with a text.
            let recurrence = Recurrence::cron(cron, zone).map_err(wrong)?;
            schedule.check().map(|()| recurrence)
        }
        RecurrenceData::Every { every_seconds } => {
            schedule.check()?;
            Recurrence::every(Duration::from_secs(*every_seconds)).map_err(wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use job_core::clock::{Clock, Timestamp};

    use super::*;

    /// Generous for a busy machine; a loop over all seconds of a century takes hours.
    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn hostile_schedules_are_answered_in_bounded_time() {
        let (commas, long) = (",".repeat(10_000), vec!["59"; 160].join(","));
        let wrong = ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 0 29 2 * 2100", "0 0 0 1 1 * 9999", &commas];
        let (long, dense) = (format!("{long} * * * *"), "* * * * * * 1970".to_owned());
        let right = [&*long, &dense, "59 59 23 31 12 * 2100", "0 0 0 29 2 SUN", "* * 29 2 *", "0 * 29 2 *"];
        let instants: [Timestamp; 4] = [
            Timestamp::MIN_UTC,
            "1970-01-01T00:00:00Z".parse().unwrap(),
            "2026-11-24T12:00:00Z".parse().unwrap(),
            "9999-12-31T23:59:59Z".parse().unwrap(),
        ];
        let clock = Clock::system();
        let begun = clock.monotonic();
        for expression in wrong {
            assert!(check(&Schedule::cron(expression)).unwrap_err().is_invalid(), "{expression}");
        }
        for (expression, zone) in right.iter().flat_map(|text| ["UTC", "Australia/Lord_Howe"].map(|zone| (text, zone)))
        {
            let schedule = Schedule::cron(*expression).zone(zone);
            for after in instants {
                assert!(next(&schedule, after, 3).unwrap().len() <= 3);
            }
            let found = due::due(&read(&schedule).unwrap(), Missed::All(1000), instants[1], instants[3]);
            assert!(found.fire.len() <= 1000, "{expression} in {zone}");
        }
        let taken = clock.monotonic() - begun;
        assert!(taken < LIMIT, "it took {taken:?}");
    }
}
