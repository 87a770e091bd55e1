//! Checks cron expressions, zones and intervals as the worker will read them.
//!
//! The reading itself is `job-schedule`'s, for both: a proc-macro crate can neither export code nor use the worker's. It
//! comes with the feature `schedules`, since it builds a cron parser and the table of all time zones.

#[cfg(not(feature = "schedules"))]
mod absent;
#[cfg(feature = "schedules")]
mod present;

#[cfg(not(feature = "schedules"))]
pub(crate) use absent::{check_cron, check_every, check_zone};
#[cfg(feature = "schedules")]
pub(crate) use present::{check_cron, check_every, check_zone};

/// What is wrong, and at which byte of the text.
pub(crate) struct Wrong {
    pub(crate) what: String,
    pub(crate) at: Option<usize>,
}
