//! The command line of a worker binary: `run`, and what an operator asks of it.
//!
//! Data goes to stdout, everything else to stderr. Exit codes are those of sysexits; see [`exit`].

use std::process::ExitCode;

use clap::Parser;
use job_core::error::{BoxError, Error};

use crate::worker::WorkerBuilder;

mod args;
mod ask;
mod backup;
mod cancel;
mod completions;
mod dead;
mod enqueue;
mod exit;
mod input;
mod kinds;
mod live;
mod operator;
mod output;
mod queues;
mod run;
mod schedules;
mod topology;

use args::{Args, Command};
use exit::Failure;

/// Runs the command line of a worker binary, and returns its exit code. `setup` is called for `run` only: it gives the
/// worker its states, handlers and middleware.
///
/// ```no_run
/// // It takes over the process: signals, the exit code.
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     job_worker::main(async |worker| Ok(worker.state(String::from("a state that jobs declare"))))
/// }
/// ```
pub fn main<F>(setup: F) -> ExitCode
where
    F: AsyncFnOnce(WorkerBuilder) -> Result<WorkerBuilder, BoxError>,
{
    let args = match Args::try_parse_from(args::with_default_command(std::env::args_os())) {
        Ok(args) => args,
        Err(error) => return exit::usage(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("job-worker").build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failure(&Error::unavailable("cannot start the runtime").caused_by(error)),
    };
    let code = runtime.block_on(execute(args, setup));
    // Threads of blocking jobs that outlived the grace cannot be waited for: their jobs come back.
    runtime.shutdown_background();
    code
}

async fn execute<F>(args: Args, setup: F) -> ExitCode
where
    F: AsyncFnOnce(WorkerBuilder) -> Result<WorkerBuilder, BoxError>,
{
    let url = &args.broker;
    let result = match &args.command {
        Command::Run(flags) => run::run(url, flags, setup).await.map_err(Failure::from),
        Command::Dead(command) => dead::dead(url, command).await,
        Command::Schedules(command) => schedules::schedules(url, command).await,
        Command::Topology(command) => topology::topology(url, command).await,
        Command::Kinds(output) => done(kinds::list(url, *output).await),
        Command::Queues(output) => done(queues::list(url, *output).await),
        Command::Enqueue(flags) => done(enqueue::enqueue(url, flags).await),
        Command::Cancel(flags) => done(cancel::cancel(url, flags).await),
        Command::Backup(flags) => done(backup::backup(url, flags).await),
        Command::Completions(flags) => {
            completions::print(flags);
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(Failure::report)
}

fn done(result: Result<(), Failure>) -> Result<ExitCode, Failure> {
    result.map(|()| ExitCode::SUCCESS)
}
