//! Schedules under a clock that the tests move: one leader, its followers, missed ticks, and clocks that are set.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach their helpers")]

mod crew;
mod fleet;
mod policy;

job_core::application!("shop");
