//! What can be written after `topology`.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Subcommand};
use job_core::name::QueueName;

use crate::cli::args::OutputFlags;

#[derive(Debug, Subcommand)]
pub(crate) enum TopologyCommand {
    /// Make the queues and bindings of this program's jobs exist, before anything is published to them
    Apply(OutputFlags),
    /// Show the queues of this program's jobs, and all subscriptions that are known
    Show(OutputFlags),
    /// Remove a subscription that nobody needs any more; what waits in it is kept among its dead jobs
    Prune(PruneFlags),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PruneFlags {
    /// The subscription's queue, such as "shop.mirror"
    #[arg(value_parser = QueueName::parse)]
    pub(crate) queue: QueueName,

    /// Do not ask
    #[arg(long, env = "JOB_YES", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) output: OutputFlags,
}
