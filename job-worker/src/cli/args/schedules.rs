//! What can be written behind `schedules`.

use clap::Subcommand;

use crate::cli::args::OutputFlags;

/// What an operator asks of schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// List the schedules that workers have announced and clients have made
    List(OutputFlags),
    /// Print when a schedule runs next, by the clock of its zone and in UTC; or an expression that is not deployed
    Next(NextFlags),
    /// Enqueue its job once now, besides the ticks, and print the job's id
    Run(NameFlags),
    /// Let none of its ticks run until it is resumed
    Pause(NameFlags),
    /// Let its ticks run again, from the next one on
    Resume(NameFlags),
}

#[derive(Debug, clap::Args)]
pub(crate) struct NextFlags {
    /// The schedule, such as "nightly" or "shop/nightly"
    #[arg(required_unless_present = "cron", conflicts_with = "cron")]
    pub(crate) name: Option<String>,

    /// A cron expression instead, such as "0 3 * * *"
    #[arg(long, env = "JOB_CRON", value_name = "EXPRESSION")]
    pub(crate) cron: Option<String>,

    /// The time zone of the expression [default: UTC]
    #[arg(long, env = "JOB_TZ", value_name = "ZONE")]
    pub(crate) tz: Option<String>,

    /// How many runs to print
    #[arg(short = 'n', long, env = "JOB_COUNT", default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) count: u16,

    /// Begin after this instant instead of now, such as "2027-03-27T00:00:00Z"
    #[arg(long, env = "JOB_AFTER", value_name = "TIME")]
    pub(crate) after: Option<job_core::clock::Timestamp>,

    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NameFlags {
    /// The schedule, such as "nightly" or "shop/nightly"
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) output: OutputFlags,
}
