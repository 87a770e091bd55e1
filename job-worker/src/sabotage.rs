//! Where a test build breaks a worker on purpose; see [`job_core::sabotage`]. Empty in every other build.

#[cfg(feature = "chaos")]
mod armed;
#[cfg(not(feature = "chaos"))]
mod idle;

#[cfg(feature = "chaos")]
pub(crate) use armed::{before_run, ignores_stop, outcome};
#[cfg(not(feature = "chaos"))]
pub(crate) use idle::{before_run, ignores_stop, outcome};
