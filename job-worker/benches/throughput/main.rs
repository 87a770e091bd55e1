//! How fast jobs are stored and run, beside programs that use the broker's driver and nothing else.
//!
//! `cargo bench -p job-worker --bench throughput [-- BROKER…] [FIGURE…] [--quick]`: `sqlite` and `amqp` run every figure
//! of that broker, `sqlite.drain` only that one. Each figure is the median of the ratios of interleaved pairs; `--quick` takes
//! small sizes and few pairs, and shows only that the programs run. Nothing here judges a speed.

use std::process::ExitCode;

mod amqp;
mod figure;
mod job;
mod ours;
mod rival;
mod sample;
mod size;
mod sqlite;
mod suite;
mod usage;

use rival::Rival;
use size::Size;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, url, jobs] = args.as_slice()
        && flag == ours::ALONE
    {
        ours::drain_alone(url, jobs.parse().expect("a number of jobs"));
        return ExitCode::SUCCESS;
    }
    let size = if args.iter().any(|arg| arg == "--quick") { Size::QUICK } else { Size::FULL };
    // Cargo adds `--bench`.
    let wanted: Vec<String> = args.into_iter().filter(|arg| !arg.starts_with("--")).collect();
    let amqp = amqp::Amqp::default();
    let rivals: [&dyn Rival; 2] = [&sqlite::Sqlite, &amqp];
    let count: usize = rivals.iter().map(|rival| suite::run(*rival, size, &wanted)).sum();
    println!("conditions {}", usage::conditions());
    if count > 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("no figure has one of the names {wanted:?}; the figures are {}", suite::names(&rivals).join(", "));
    ExitCode::FAILURE
}
