//! `topology`: what exists on the broker so that jobs and events reach their queues.
//!
//! Nothing is ever removed but by `prune`: a queue that is bound gets events whether or not anybody consumes it.

mod apply;
mod prune;
mod show;

use std::process::ExitCode;

use crate::cli::args::TopologyCommand;
use crate::cli::exit::Failure;

pub(super) async fn topology(url: &str, command: &TopologyCommand) -> Result<ExitCode, Failure> {
    match command {
        TopologyCommand::Apply(output) => apply::apply(url, *output).await.map(|()| ExitCode::SUCCESS),
        TopologyCommand::Show(output) => show::show(url, *output).await.map(|()| ExitCode::SUCCESS),
        TopologyCommand::Prune(flags) => prune::prune(url, flags).await,
    }
}
