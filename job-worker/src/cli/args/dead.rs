//! What can be written after `dead`.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Subcommand};
use job_core::error::Result;
use job_core::name::{JobId, QueueName};

use crate::cli::args::OutputFlags;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List dead jobs, a page at a time, those that died first on top
    List(ListFlags),
    /// Show all that is known of a dead job: why, its failures, its headers and its payload
    Show(ShowFlags),
    /// Bring dead jobs back to their queues, with all their attempts
    Retry(RetryFlags),
    /// Bring a dead job back with another payload
    Edit(EditFlags),
    /// Delete dead jobs for ever
    Purge(PurgeFlags),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FilterFlags {
    /// Only the dead jobs of this queue
    #[arg(long, env = "JOB_QUEUE", value_parser = dead_queue)]
    pub(crate) queue: Option<QueueName>,

    /// Only those that died of an error with this text in it
    #[arg(long, env = "JOB_ERROR_CONTAINS", value_name = "TEXT")]
    pub(crate) error_contains: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListFlags {
    #[command(flatten)]
    pub(crate) filter: FilterFlags,

    /// Jobs to list at the most
    #[arg(long, env = "JOB_LIMIT", default_value = "50", value_name = "JOBS", value_parser = limit)]
    pub(crate) limit: usize,

    /// Jobs to skip
    #[arg(long, env = "JOB_OFFSET", default_value = "0", value_name = "JOBS")]
    pub(crate) offset: usize,

    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowFlags {
    /// The job's id
    #[arg(value_parser = JobId::parse)]
    pub(crate) id: JobId,

    /// The queue that it died in, where several have a dead job of that id
    #[arg(long, env = "JOB_QUEUE", value_parser = dead_queue)]
    pub(crate) queue: Option<QueueName>,

    /// Print the payload and nothing else, to the byte
    #[arg(long, env = "JOB_PAYLOAD", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(crate) payload: bool,

    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

/// Which dead jobs: one of the three.
#[derive(Debug, clap::Args)]
pub(crate) struct SelectionFlags {
    /// The id of one dead job
    #[arg(value_parser = JobId::parse)]
    pub(crate) id: Option<JobId>,

    /// All that are dead now
    #[arg(long, env = "JOB_ALL", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) filter: FilterFlags,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RetryFlags {
    #[command(flatten)]
    pub(crate) selection: SelectionFlags,

    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EditFlags {
    /// The job's id
    #[arg(value_parser = JobId::parse)]
    pub(crate) id: JobId,

    /// The new payload, such as '{"width": 200}'; "-" reads it from stdin
    #[arg(value_name = "JSON")]
    pub(crate) payload: String,

    /// The queue that it died in, where several have a dead job of that id
    #[arg(long, env = "JOB_QUEUE", value_parser = dead_queue)]
    pub(crate) queue: Option<QueueName>,

    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PurgeFlags {
    #[command(flatten)]
    pub(crate) selection: SelectionFlags,

    /// Do not ask
    #[arg(long, env = "JOB_YES", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

/// Takes "mail" and "mail.dead" for the same.
fn dead_queue(text: &str) -> Result<QueueName> {
    Ok(QueueName::parse_any(text)?.dead())
}

fn limit(text: &str) -> Result<usize, String> {
    const MAX: usize = 10_000;
    match text.parse() {
        Ok(limit) if (1..=MAX).contains(&limit) => Ok(limit),
        _ => Err(format!("use 1 to {MAX}, and --offset for the next page")),
    }
}
