//! Background jobs: what consumers and operators need. Runs jobs concurrently, with retries, timeouts, dead letters and
//! an orderly stop.
//!
//! A worker binary of your own is one line, [`main`]; an application that embeds a worker uses [`Worker::builder`].
//! Tests of jobs use [`testing::Harness`].

// Ranks, lowest first: a module imports from the lines above its own only. `examples/tests/house` checks it.
//   announcement config hold in_flight kind_limit logs metrics pace placement sabotage shutdown slots
//   catalogue middleware schedule signals subscription_log verdict
//   roster
//   apply executor
//   admin idle intake lane monitor scheduler supervise
//   worker
//   testing
//   cli

mod announcement;
mod catalogue;
pub mod config;
mod hold;
mod in_flight;
mod kind_limit;
pub mod logs;
pub mod metrics;
mod pace;
mod placement;
mod sabotage;
pub mod shutdown;
mod slots;
mod subscription_log;

pub mod middleware;
pub mod schedule;
pub mod signals;
pub mod verdict;

mod roster;

mod apply;

mod executor;

pub mod admin;
mod idle;
mod intake;
mod lane;
mod monitor;
mod scheduler;
mod supervise;

pub mod worker;

pub mod testing;

mod cli;

pub use apply::apply_topology;
pub use cli::main;
pub use config::{QueueConfig, Scheduling, WorkerConfig};
pub use shutdown::StopHandle;
pub use worker::{Stopped, Worker, WorkerBuilder};

/// The README's programs, compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
