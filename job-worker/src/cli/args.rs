//! What can be written on the command line, and the environment variable behind each flag.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use job_core::clock::Timestamp;
use job_core::name::{JobId, QueueName};

mod dead;
mod schedules;
mod topology;

pub(super) use dead::{
    DeadCommand, EditFlags, FilterFlags, ListFlags, PurgeFlags, RetryFlags, SelectionFlags, ShowFlags,
};
pub(super) use schedules::{NameFlags, NextFlags, SchedulesCommand};
pub(super) use topology::{PruneFlags, TopologyCommand};

/// Runs background jobs, shows what waits, and puts right what failed.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(super) struct Args {
    /// Where the jobs are: "sqlite:PATH"
    // Its value in the environment may hold a password, which the help would show.
    #[arg(
        long,
        env = "JOB_BROKER",
        hide_env_values = true,
        default_value = "sqlite:jobs.db",
        value_name = "URL",
        global = true
    )]
    #[cfg_attr(feature = "amqp", arg(help = "Where the jobs are: \"sqlite:PATH\" or \"amqp://USER:PASSWORD@HOST\""))]
    pub(super) broker: String,

    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run jobs until told to stop; the default
    Run(RunFlags),
    /// List the kinds of jobs: those linked into this program, and those that workers have announced
    Kinds(OutputFlags),
    /// List the queues and how much waits in them
    Queues(OutputFlags),
    /// Store a job, and print its id
    Enqueue(EnqueueFlags),
    /// Look at dead jobs, and decide what becomes of them
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Make queues and bindings exist, show them, and remove subscriptions
    #[command(subcommand)]
    Topology(TopologyCommand),
    /// Show what recurs and when it runs next, and run, pause or resume it
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    /// Cancel a job that has not started
    Cancel(CancelFlags),
    /// Copy all jobs into a new file while workers go on (SQLite)
    Backup(BackupFlags),
    /// Print the script that completes this program's commands in a shell
    Completions(CompletionsFlags),
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct OutputFlags {
    /// Print JSON
    #[arg(long, env = "JOB_JSON", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RunFlags {
    /// Queues to take jobs from, such as "mail=3,images=1/2" (weight 1, at most 2 at once); all by default
    #[arg(long, env = "JOB_QUEUES", value_delimiter = ',', value_name = "NAME[=WEIGHT[/JOBS]]")]
    pub(super) queues: Vec<String>,

    /// Jobs that run at once [default: 16]
    #[arg(long, env = "JOB_CONCURRENCY", value_name = "JOBS")]
    pub(super) concurrency: Option<usize>,

    /// How long running jobs may finish after a stop was asked for [default: 25s]
    #[arg(long, env = "JOB_GRACE", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) grace: Option<Duration>,

    /// Stop when nothing is ready, delayed or running on the queues; on RabbitMQ, delayed on any queue of the namespace
    #[arg(long, env = "JOB_EXIT_WHEN_IDLE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) exit_when_idle: bool,

    /// Run jobs only; another worker of the application must fire its schedules
    #[arg(long, env = "JOB_NO_SCHEDULE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, conflicts_with = "only_schedule")]
    pub(super) no_schedule: bool,

    /// Fire schedules only, and run no jobs
    #[arg(long, env = "JOB_ONLY_SCHEDULE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) only_schedule: bool,

    /// Serve /metrics, /livez and /readyz there, such as "127.0.0.1:9090"
    #[arg(long, env = "JOB_ADMIN", value_name = "ADDR")]
    pub(super) admin: Option<SocketAddr>,

    /// How log lines are written
    #[arg(long, env = "JOB_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(super) log_format: LogFormatFlag,

    /// What is logged, such as "debug" or "job_worker=debug,warn" [default: info]
    #[arg(long, env = "RUST_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormatFlag {
    /// One line of text an event
    Text,
    /// One JSON object an event
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct EnqueueFlags {
    /// The kind of the job, such as "resize_image"
    pub(super) kind: String,

    /// The job itself, such as '{"width": 200}'; "-" reads it from stdin
    #[arg(value_name = "JSON")]
    pub(super) payload: String,

    /// Do not start it before this time has passed, such as "10m"
    #[arg(long, env = "JOB_DELAY", value_name = "DURATION", value_parser = humantime::parse_duration, conflicts_with = "at")]
    pub(super) delay: Option<Duration>,

    /// Do not start it before this instant, such as "2027-01-31T08:00:00Z"
    #[arg(long, env = "JOB_AT", value_name = "TIME")]
    pub(super) at: Option<Timestamp>,

    /// The queue, where it is not that of the kind
    #[arg(long, env = "JOB_QUEUE", value_parser = QueueName::parse)]
    pub(super) queue: Option<QueueName>,

    /// The id [default: a new one]. While a queue holds a job, the same id is not stored there again
    #[arg(long, env = "JOB_ID", value_parser = JobId::parse)]
    pub(super) id: Option<JobId>,

    #[command(flatten)]
    pub(super) output: OutputFlags,
}

#[derive(Debug, clap::Args)]
pub(super) struct CancelFlags {
    /// The job's id
    #[arg(value_parser = JobId::parse)]
    pub(super) id: JobId,

    #[command(flatten)]
    pub(super) output: OutputFlags,
}

#[derive(Debug, clap::Args)]
pub(super) struct BackupFlags {
    /// The file to make; one that exists is never replaced
    pub(super) file: PathBuf,

    #[command(flatten)]
    pub(super) output: OutputFlags,
}

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsFlags {
    /// The shell
    pub(super) shell: Shell,
}

/// Adds the command `run` where none is written. A flag before a command belongs to all commands.
pub(super) fn with_default_command(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let mut words = args.iter().skip(1).map(|arg| arg.to_string_lossy());
    let first = loop {
        match words.next() {
            // Its value is no command, whatever it is called.
            Some(word) if word == "--broker" => drop(words.next()),
            Some(word) if word.starts_with("--broker=") => {}
            other => break other,
        }
    };
    // A word that is no flag is a command, known or not: clap says which there are.
    let has_command =
        first.is_some_and(|word| !word.starts_with('-') || ["-h", "--help", "-V", "--version"].contains(&&*word));
    if !has_command {
        args.insert(1.min(args.len()), "run".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn check(args: &[&str], expected: &[&str]) {
        let args = with_default_command(args.iter().map(OsString::from));
        assert_eq!(args, expected.iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn run_is_the_default_command() {
        check(&["w"], &["w", "run"]);
        check(&["w", "--queues", "mail"], &["w", "run", "--queues", "mail"]);
        check(&["w", "--queues", "dead"], &["w", "run", "--queues", "dead"]);
        check(&["w", "--broker", "sqlite:a.db"], &["w", "run", "--broker", "sqlite:a.db"]);
        check(&["w", "--broker", "sqlite:a.db", "queues"], &["w", "--broker", "sqlite:a.db", "queues"]);
        check(&["w", "--broker=sqlite:a.db", "dead", "list"], &["w", "--broker=sqlite:a.db", "dead", "list"]);
        check(&["w", "--help"], &["w", "--help"]);
        check(&["w", "rnu"], &["w", "rnu"]);
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_flag_can_be_set_in_the_environment() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments().filter(|arg| arg.get_long().is_some()) {
                let is_clap_s = ["help", "version"].contains(&arg.get_id().as_str());
                assert!(is_clap_s || arg.get_env().is_some(), "{} {:?}", command.get_name(), arg.get_long());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Args::command());
    }
}
