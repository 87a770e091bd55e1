//! Background jobs: what consumers and operators need. Runs jobs concurrently, with retries, timeouts, dead letters and
//! an orderly stop.
//!
//! A worker binary of your own is one line, [`main`]; an application that embeds a worker uses [`Worker::builder`].

// Ranks, lowest first: a module imports from the lines above its own only. `examples/tests/house` checks it.
//   config in_flight kind_limit logs metrics pace sabotage shutdown slots
//   middleware signals verdict
//   roster
//   executor
//   admin idle intake monitor supervise
//   worker
//   cli

pub mod config;
mod in_flight;
mod kind_limit;
pub mod logs;
pub mod metrics;
mod pace;
mod sabotage;
pub mod shutdown;
mod slots;

pub mod middleware;
mod signals;
pub mod verdict;

mod roster;

mod executor;

pub mod admin;
mod idle;
mod intake;
mod monitor;
mod supervise;

pub mod worker;

mod cli;

pub use cli::main;
pub use config::{QueueConfig, WorkerConfig};
pub use shutdown::StopHandle;
pub use worker::{Stopped, Worker, WorkerBuilder};
