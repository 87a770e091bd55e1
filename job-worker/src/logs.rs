//! Turns observations into structured log events, and writes events to stderr as text or JSON.
//!
//! [`LogObserver`] works with any `tracing` subscriber, [`init`] installs ours. At the default level, info, a job that
//! goes well leaves no line: one would cost more than the rest of a small job. Payloads are not
//! logged, but for what an error's own text quotes of them.

mod format;

use std::error::Error as _;
use std::fmt;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use job_core::Error;
use job_core::clock::Timestamp;
use job_core::observation::{FinishedOutcome, Observation, Observer, Run};
use tracing::{debug, error, info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

pub use crate::logs::format::LogFormat;

/// What is logged where neither the caller nor `RUST_LOG` says so. The driver of RabbitMQ calls each end of a connection an
/// error, an orderly one too; what is lost is told by the broker.
const FILTER_DEFAULT: &str = "info,lapin=off";

/// Installs a subscriber for the whole process that writes to stderr.
///
/// `filter` is in the syntax of `RUST_LOG` (`info,job_worker=debug`); `None` takes that variable. Defaults to
/// `info`, without the driver of RabbitMQ.
/// Colours are used for text on a terminal, unless `NO_COLOR` is set. A stderr that is closed or full loses lines and
/// nothing else.
///
/// # Errors
/// Says which filter cannot be read, or that a subscriber is installed already.
pub fn init(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    init_with(format, filter, stderr)
}

/// As [`init`], to a stderr that is shared with something else.
pub(crate) fn init_with<W>(format: LogFormat, filter: Option<&str>, writer: W) -> Result<(), String>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let variable = std::env::var("RUST_LOG").ok();
    let filter = parse_filter(filter.or(variable.as_deref()).unwrap_or_default())?;
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let subscriber = format::subscriber(format, filter, !is_plain && stderr().is_terminal(), writer);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| {
        "a log subscriber is already installed; do not install logs where the application has its own".into()
    })
}

/// Logs observations: what failed as warnings and errors, what went well for those who debug.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogObserver;

/// Logs one event about a run: its level, the run, further fields and a message.
macro_rules! log_run {
    ($level:ident, $run:expr, $($rest:tt)+) => {
        $level!(queue = $run.queue.as_str(), kind = $run.kind, id = %$run.id, attempt = $run.attempt, $($rest)+)
    };
}

impl Observer for LogObserver {
    fn observe(&self, observation: &Observation<'_>) {
        match *observation {
            Observation::Enqueued { queue, kind, id } => {
                debug!(queue = queue.as_str(), kind = kind.as_str(), %id, "job enqueued");
            }
            Observation::Started { run, wait } => log_run!(debug, run, wait = seconds(wait), "run started"),
            Observation::Finished { run, outcome, duration, error, back_at } => {
                finished(run, outcome, duration, error, back_at);
            }
            Observation::Refused { run, reason, error } => {
                log_run!(error, run, reason = reason.as_str(), error, "job is dead without a run");
            }
            Observation::Parked { run, reason, back_at } => {
                log_run!(warn, run, reason, ?back_at, "job put aside without a run");
            }
            Observation::SettleFailed { run, error } => {
                log_run!(warn, run, error = %Chain(error), "outcome not recorded; the job may run again");
            }
            Observation::Overdue { run, duration, what } => {
                log_run!(warn, run, what, seconds = seconds(duration), "run is overdue");
            }
            Observation::ComponentFailed { component, error, failures } => {
                error!(component, error, failures, "a part of the worker failed");
            }
            Observation::Leads { application, is_leading } => {
                let message = if is_leading { "this worker fires the schedules now" } else { "it fires them no more" };
                info!(application, "{message}");
            }
            Observation::Ticked { application, schedule, tick, lateness } => {
                debug!(application, schedule, ?tick, lateness = seconds(lateness), "tick fired");
            }
            Observation::TicksSkipped { application, schedule, count, reason } => {
                warn!(application, schedule, count, reason = reason.as_str(), "ticks got no job");
            }
            Observation::Phase { phase, detail } => {
                info!(?phase, detail = (!detail.is_empty()).then_some(detail), "worker entered a phase");
            }
            // A newer job-core: what this version does not know it cannot word.
            _ => {}
        }
    }
}

fn finished(
    run: Run<'_>,
    outcome: FinishedOutcome,
    duration: Duration,
    error: Option<&str>,
    back_at: Option<Timestamp>,
) {
    let back_at = back_at.map(tracing::field::debug);
    match outcome {
        FinishedOutcome::Retried => {
            log_run!(warn, run, error, back_at, seconds = seconds(duration), "run failed; the job comes back");
        }
        FinishedOutcome::Dead(reason) => {
            log_run!(error, run, reason = reason.as_str(), error, seconds = seconds(duration), "job is dead");
        }
        FinishedOutcome::Forgotten => {
            log_run!(warn, run, error, seconds = seconds(duration), "run failed; nothing of it is kept");
        }
        _ => {
            let outcome = outcome.as_str();
            log_run!(debug, run, outcome, error, back_at, seconds = seconds(duration), "run finished");
        }
    }
}

/// Reads a filter; a blank one is the default, as an empty `RUST_LOG` is.
fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    let text = if text.trim().is_empty() { FILTER_DEFAULT } else { text };
    EnvFilter::builder().parse(text).map_err(|error| {
        format!("log filter {text:?} cannot be read: {error}; write it like \"info,job_worker=debug\"")
    })
}

/// Rounds to microseconds: more digits only make lines longer.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

/// Writes an error with its causes.
struct Chain<'a>(&'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
