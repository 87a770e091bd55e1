//! The runtime in one process, on the broker in memory: outcomes, options, limits, and what is checked at the start.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach their helpers")]

mod chains;
mod harness;
mod outcomes;
mod owned;
mod scene;
mod sharing;
mod start;
mod subscriptions;
mod telling;

job_core::application!("shop");
