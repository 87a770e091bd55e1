//! Kills the framework's processes under load, and proves from what they wrote down that nothing was lost or invented.
//!
//! One program, several roles, each a process of its own: producers, a relay, workers, an operator, and the director, who
//! starts and kills the others. Every process appends to a history of its own; the checker reads them when all is over.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod broker;
mod campaign;
mod check;
mod collect;
mod crew;
mod director;
mod events;
mod operate;
mod plan;
mod point;
mod process;
mod produce;
mod record;
mod relay;
mod report;
mod script;
mod tail;
mod work;

/// Exit code of a run that proved nothing.
const EX_VOID: u8 = 2;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole of it against a broker
    Direct(plan::Flags),
    /// Check the histories of an earlier run
    Check {
        /// The run's folder
        folder: PathBuf,
    },
    /// Publish jobs (the director starts this)
    Produce(produce::Flags),
    /// Move jobs on by `then` (the director starts this)
    Relay,
    /// Publish events (the director starts this)
    Tell(events::TellFlags),
    /// Redrive dead jobs (the director starts this)
    Operate,
}

fn main() -> ExitCode {
    // The worker's own command line, as every program of a user has it.
    if std::env::args().nth(1).is_some_and(|arg| arg == "run") {
        return job_worker::main(async |worker| match events::is_listener() {
            true => events::set_up(worker),
            false => work::set_up(worker),
        });
    }
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    runtime.block_on(execute(args.command)).unwrap_or_else(|error| failed(&error))
}

async fn execute(command: Command) -> Result<ExitCode, job_core::BoxError> {
    match command {
        Command::Direct(flags) if flags.events => events::direct(&flags).await,
        Command::Direct(flags) if flags.mutants => campaign::run(&flags).await,
        Command::Direct(flags) => direct(&flags.plan()?).await,
        Command::Check { folder } => Ok(report::print(&check::check(&record::read_folder(&folder)?))),
        Command::Produce(flags) => produce::run(&flags).await.map(|()| ExitCode::SUCCESS),
        Command::Tell(flags) => events::tell(&flags).await.map(|()| ExitCode::SUCCESS),
        Command::Operate => operate::run().await.map(|()| ExitCode::SUCCESS),
        Command::Relay => relay::run().await.map(|()| ExitCode::SUCCESS),
    }
}

async fn direct(plan: &plan::Plan) -> Result<ExitCode, job_core::BoxError> {
    let outcome = report::print(&director::run(plan).await?);
    director::tidy(plan, outcome)?;
    Ok(outcome)
}

fn failed(error: &job_core::BoxError) -> ExitCode {
    eprintln!("error: {error:?}");
    ExitCode::from(EX_VOID)
}
