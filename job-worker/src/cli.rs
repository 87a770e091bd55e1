//! The command line of a worker binary: `run`, and what an operator asks of it.
//!
//! Data goes to stdout, everything else to stderr. Exit codes are those of sysexits; see [`exit`].

use std::process::ExitCode;

use clap::Parser;
use job_core::client::Client;
use job_core::error::{BoxError, Error};
use job_core::registry::Registry;

use crate::worker::WorkerBuilder;

mod args;
mod exit;
mod list;
mod run;

use args::{Args, Command};

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
    let result = match args.command {
        Command::Run(flags) => run::run(&args.broker, &flags, setup).await,
        Command::Kinds { json } => list_kinds(json),
        Command::Queues { json } => list_queues(&args.broker, json).await,
    };
    result.unwrap_or_else(|error| exit::failure(&error))
}

fn list_kinds(json: bool) -> Result<ExitCode, Error> {
    list::kinds(&Registry::linked()?, json);
    Ok(ExitCode::SUCCESS)
}

async fn list_queues(url: &str, json: bool) -> Result<ExitCode, Error> {
    let client = Client::connect(url).await?;
    let broker = client.broker();
    let inspect = broker.inspect().ok_or_else(|| {
        Error::unsupported(format!("the broker \"{}\" cannot list its queues", broker.capabilities().name))
    })?;
    list::queues(&inspect.queues().await?, broker.clock().now(), json);
    client.close().await?;
    Ok(ExitCode::SUCCESS)
}
