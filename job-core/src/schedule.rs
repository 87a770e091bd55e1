//! What recurs, and what becomes of a tick that cannot run as planned: plain data, without knowing when that is.
//!
//! The worker reads the expressions, and fires the ticks. Producers only write them down.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

mod entry;
mod linked;

pub use entry::{Origin, PauseEntry, RunEntry, ScheduleEntry, ScheduleKey, TickEntry};
pub use linked::{LinkedSchedule, boxed_job, default_job_without_schedule_with};

/// Longest name of a schedule, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Longest jitter: a day.
pub const JITTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Longest expression and name of a zone, in bytes: every process reads the whole ledger.
const TEXT_BYTES_MAX: usize = 512;

/// Most ticks that [`Missed::All`] makes up for.
pub const MISSED_MAX: u32 = 1000;

/// When a job is enqueued again and again, and what happens when that goes wrong.
///
/// ```
/// use std::time::Duration;
/// use job_core::schedule::{Missed, Schedule};
///
/// let nightly = Schedule::cron("0 3 * * *").zone("Europe/Berlin").missed(Missed::Skip);
/// let polling = Schedule::every(Duration::from_secs(300)).jitter(Duration::from_secs(20));
/// assert_ne!(nightly.recurrence, polling.recurrence);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// When.
    #[serde(flatten)]
    pub recurrence: Recurrence,
    /// What becomes of ticks that came while no worker fired them. Defaults to [`Missed::Once`].
    #[serde(default)]
    pub missed: Missed,
    /// What becomes of a tick while the job of the one before it has not ended. Defaults to [`Overlap::Allow`].
    #[serde(default)]
    pub overlap: Overlap,
    /// Each job is delayed by up to so many seconds, the same each time for the same tick. Defaults to 0.
    #[serde(default)]
    pub jitter_seconds: u64,
}

/// When something recurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recurrence {
    /// By the wall clocks of a time zone.
    Cron {
        /// Five fields as POSIX has them, six or seven as the cron crate has them, or a shorthand such as `@daily`.
        cron: String,
        /// A name of the IANA database, such as `Europe/Berlin`.
        zone: String,
    },
    /// By real time: at the multiples of the interval since 1970, UTC.
    Every {
        /// The interval, at least 1.
        every_seconds: u64,
    },
}

/// What becomes of ticks that came while no worker fired them. The latest one is not missed while it is at most a minute
/// late: another worker has taken over by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are gone.
    Skip,
    /// The latest of them runs at once, for all of them. The default.
    #[default]
    Once,
    /// The latest so many of them run at once, each with a job of its own; at most [`MISSED_MAX`].
    All(u32),
}

/// What becomes of a tick while the job of the one before it has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Both run. The default.
    #[default]
    Allow,
    /// The tick is left out, where the broker can look a job up by its id; elsewhere both run.
    Skip,
}

impl Schedule {
    /// Makes a schedule by a cron expression, in UTC.
    pub fn cron(expression: impl Into<String>) -> Self {
        Self::new(Recurrence::Cron { cron: expression.into(), zone: "UTC".into() })
    }

    /// Makes a schedule by an interval of whole seconds.
    pub fn every(interval: Duration) -> Self {
        // What is left of a second is told by `check`: it rounds up to a second that nobody asked for otherwise.
        let every_seconds = if interval.subsec_nanos() > 0 { 0 } else { interval.as_secs() };
        Self::new(Recurrence::Every { every_seconds })
    }

    fn new(recurrence: Recurrence) -> Self {
        Self { recurrence, missed: Missed::default(), overlap: Overlap::default(), jitter_seconds: 0 }
    }

    /// Sets the time zone whose wall clocks the expression means; an interval has none.
    #[must_use]
    pub fn zone(mut self, name: impl Into<String>) -> Self {
        if let Recurrence::Cron { zone, .. } = &mut self.recurrence {
            *zone = name.into();
        }
        self
    }

    /// Sets what becomes of missed ticks.
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// Sets what becomes of a tick while the job before it has not ended.
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Delays each job by up to so many whole seconds; a part of one counts as one.
    #[must_use]
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter_seconds = jitter.as_secs().saturating_add(u64::from(jitter.subsec_nanos() > 0));
        self
    }

    /// Checks all but the expression and the zone, which the worker reads.
    ///
    /// # Errors
    /// Says which bound is passed.
    pub fn check(&self) -> Result<()> {
        if let Recurrence::Every { every_seconds: 0 } = self.recurrence {
            return Err(Error::invalid("the interval of a schedule is whole seconds, at least 1"));
        }
        if let Recurrence::Cron { cron, zone } = &self.recurrence
            && cron.len().max(zone.len()) > TEXT_BYTES_MAX
        {
            return Err(Error::invalid(format!(
                "a cron expression, and the name of a zone, has at most {TEXT_BYTES_MAX} bytes"
            )));
        }
        if self.jitter_seconds > JITTER_MAX.as_secs() {
            return Err(Error::invalid(format!(
                "a jitter is at most {JITTER_MAX:?}; {} s is longer",
                self.jitter_seconds
            )));
        }
        match self.missed {
            Missed::All(max) if !(1..=MISSED_MAX).contains(&max) => {
                Err(Error::invalid(format!("missed runs are made up for by 1 to {MISSED_MAX} jobs, not by {max}")))
            }
            _ => Ok(()),
        }
    }
}

/// Checks the name of a schedule.
///
/// # Errors
/// When it is empty, too long, or has other characters than ASCII letters, digits, `_`, `-` and `.`.
pub fn check_name(name: &str) -> Result<()> {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !is_plain {
        return Err(Error::invalid(format!(
            "the schedule {name:?} has no name that can be; use 1 to {NAME_BYTES_MAX} ASCII letters, digits, '_', '-' and '.'"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schedules_are_written_in_few_words() {
        let nightly = Schedule::cron("0 3 * * *").zone("Europe/Berlin").missed(Missed::All(3));
        let written = json!({
            "cron": "0 3 * * *", "zone": "Europe/Berlin", "missed": {"all": 3}, "overlap": "allow", "jitter_seconds": 0
        });
        assert_eq!(serde_json::to_value(&nightly).unwrap(), written);
        assert_eq!(serde_json::from_value::<Schedule>(written).unwrap(), nightly);
        let short: Schedule = serde_json::from_value(json!({"every_seconds": 60})).unwrap();
        assert_eq!(short, Schedule::every(Duration::from_secs(60)));
    }

    #[test]
    fn bounds_are_checked() {
        let every = || Schedule::every(Duration::from_secs(1));
        assert!(every().check().is_ok());
        assert_eq!(every().jitter(Duration::from_millis(1500)).jitter_seconds, 2);
        for wrong in [
            Schedule::every(Duration::ZERO),
            Schedule::every(Duration::from_millis(1500)),
            every().missed(Missed::All(0)),
            every().missed(Missed::All(MISSED_MAX + 1)),
            every().jitter(JITTER_MAX + Duration::from_secs(1)),
            Schedule::cron("*".repeat(TEXT_BYTES_MAX + 1)),
            Schedule::cron("@daily").zone("x".repeat(TEXT_BYTES_MAX + 1)),
        ] {
            assert!(wrong.check().unwrap_err().is_invalid(), "{wrong:?}");
        }
        for name in ["", "a b", "a/b", "ä", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("nightly.report-2_b").is_ok());
    }
}
