//! Background jobs: what consumers and operators need. Runs jobs concurrently, with retries, timeouts, dead letters and
//! an orderly stop.
//!
//! A worker binary of your own is one line, [`main`]; an application that embeds a worker uses [`Worker::builder`].

// Ranks, lowest first: a module imports from the lines above its own only. `examples/tests/house` checks it.
//   config in_flight kind_limit pace shutdown slots
//   middleware verdict
//   roster
//   executor
//   idle intake monitor supervise
//   worker

pub mod config;
mod in_flight;
mod kind_limit;
pub mod logs;
pub mod metrics;
mod pace;
pub mod shutdown;
mod slots;

pub mod middleware;
pub mod verdict;

mod roster;

mod executor;

mod idle;
mod intake;
mod monitor;
mod supervise;

pub mod admin;

pub mod worker;

pub use config::{QueueConfig, WorkerConfig};
pub use shutdown::StopHandle;
pub use worker::{Stopped, Worker, WorkerBuilder};
