//! Makes three sizes of each photograph as background jobs: the main example.
//!
//! ```text
//! image_processing                    enqueues, works until everything is done, and checks the result
//! image_processing --role worker      works until it is stopped (INT or TERM), in a process of its own
//! image_processing --role app         enqueues and answers at once
//! ```
//! Each size of each photograph is one job. A broken photograph ends dead with the reason; the others go on. Running it
//! again makes the same files again; jobs that an earlier run left in the broker are worked off as well.

// Ranks, lowest first: a module imports from the lines above its own only. `examples/tests/house` checks it.
//   args photo progress
//   resize_photo
//   order
//   tally
//   inspection
//   role

use anyhow::Result;
use clap::Parser;

use crate::args::{Args, Role};

mod args;
mod inspection;
mod order;
mod photo;
mod progress;
mod resize_photo;
mod role;
mod tally;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    match args.role {
        Role::Both => role::both(&args).await,
        Role::App => role::app(&args).await,
        Role::Worker => role::worker(&args).await,
    }
}
