//! Schedules and delays under a clock that the tests move: one leader, its followers, missed ticks, clocks that are set.
//!
//! On memory and SQLite time stands still; on RabbitMQ it goes on, and the tests move the wall. The kills of leaders there
//! are among the end-to-end tests.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach their helpers")]

#[path = "../../../job-core/tests/amqp_node/mod.rs"]
mod amqp_node;
mod crew;
mod delay;
mod fleet;
mod policy;

job_core::application!("shop");
