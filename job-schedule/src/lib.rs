//! When a schedule runs: cron expressions and intervals, in time zones whose clocks change.
//!
//! The derive checks with this crate what the worker later runs by it, so that what compiles also runs; a proc-macro
//! crate can neither export code nor use the worker's. Pure: it reads no clock, and knows nothing of jobs.

// Ranks, lowest first: a module imports from the lines above its own only. `examples/tests/house` checks it.
//   mistake weekday
//   zone
//   expression
//   calendar
//   recurrence

mod calendar;
mod expression;
mod mistake;
mod recurrence;
mod weekday;
mod zone;

pub use expression::EXPRESSION_BYTES_MAX;
pub use mistake::Mistake;
pub use recurrence::{EVERY_MAX, Recurrence, TICKS_MAX};
