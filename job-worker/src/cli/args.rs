//! What can be written on the command line, and the environment variable behind each flag.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};

/// Runs background jobs, and shows what waits.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(super) struct Args {
    /// Where the jobs are: "sqlite:PATH"
    #[arg(long, env = "JOB_BROKER", default_value = "sqlite:jobs.db", value_name = "URL", global = true)]
    pub(super) broker: String,

    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run jobs until told to stop; the default
    Run(RunFlags),
    /// List the kinds of jobs that are linked into this program
    Kinds {
        /// Print JSON
        #[arg(long, env = "JOB_JSON", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
        json: bool,
    },
    /// List the queues and how much waits in them
    Queues {
        /// Print JSON
        #[arg(long, env = "JOB_JSON", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
        json: bool,
    },
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

    /// Stop when nothing is ready, delayed or running on the queues
    #[arg(long, env = "JOB_EXIT_WHEN_IDLE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) exit_when_idle: bool,

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

/// Adds the command `run` where none is written. A flag before a command belongs to all commands.
pub(super) fn with_default_command(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let is_general = |arg: &OsString| ["-h", "--help", "-V", "--version", "help"].iter().any(|g| arg == g);
    let names = ["run", "kinds", "queues"];
    let has_command = args.iter().skip(1).any(|arg| is_general(arg) || names.iter().any(|name| arg == name));
    // A first word that is no flag is a command, known or not: clap says which there are.
    let has_word = args.get(1).is_some_and(|arg| !arg.to_string_lossy().starts_with('-'));
    if !has_command && !has_word {
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
        check(&["w", "--broker", "sqlite:a.db", "queues"], &["w", "--broker", "sqlite:a.db", "queues"]);
        check(&["w", "--help"], &["w", "--help"]);
        check(&["w", "rnu"], &["w", "rnu"]);
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
