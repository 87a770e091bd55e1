//! Turns observations into Prometheus metrics, and writes them as text.
//!
//! The worker hands one [`Metrics`] to its observers and to the admin server. An observation costs one look-up and a
//! few atomic operations. Memory is bounded whatever producers send: see [`PAIRS_MAX`]. It knows what this process did;
//! how much waits in a queue is the broker's to say.

mod family;
mod table;
mod tick;

use job_core::clock::{Clock, Timestamp};
use job_core::envelope::DeathReason;
use job_core::name::{Kind, QueueName};
use job_core::observation::{FinishedOutcome, Observation, Observer, Phase, Run};
use prometheus::{IntCounter, Registry, TextEncoder};

use crate::metrics::family::{Families, PHASES, RunSeries};
use crate::metrics::table::Table;
use crate::metrics::tick::{TickFamilies, TickSeries};

pub use crate::metrics::family::BUCKETS_SECONDS;
pub use crate::metrics::table::{OTHER, PAIRS_MAX, QUEUES_MAX};

/// The content type of [`Metrics::render`]: Prometheus' text format.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Counts what this process observes.
///
/// Labels are queue, kind and a few fixed words; never ids, errors or payloads. A kind becomes a label when this process
/// enqueues it, runs it or [declares](Self::declare) it. A foreign message with a kind that no handler knows counts as
/// `kind="other"`.
pub struct Metrics {
    registry: Registry,
    families: Families,
    enqueued: Table<IntCounter>,
    runs: Table<RunSeries>,
    schedules: TickFamilies,
    ticks: Table<TickSeries>,
}

impl Metrics {
    /// Makes metrics with a registry of their own, started now.
    pub fn new() -> Self {
        Self::started_at(Clock::system().now())
    }

    /// Writes zeros for the runs of a kind, so that rates and alerts work from its first run on, and so that what dies
    /// before any run of it (an undecodable payload) has its label. For each kind that the worker handles, at start.
    pub fn declare(&self, queue: &QueueName, kind: &Kind) {
        self.runs.admit(queue.as_str(), kind.as_str(), |_| {});
    }

    /// Writes every metric in Prometheus' text format, version 0.0.4.
    pub fn render(&self) -> String {
        // A scrape that breaks must not take the worker down: the text says why, and the scraper alerts.
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_else(|error| format!("metrics cannot be written: {error}\n"))
    }

    fn started_at(start: Timestamp) -> Self {
        let registry = Registry::new();
        let families = Families::register(&registry, start);
        let enqueued = families.enqueued.clone();
        let runs = families.runs.clone();
        let schedules = TickFamilies::register(&registry);
        let ticks = schedules.clone();
        Self {
            registry,
            families,
            enqueued: Table::new(move |queue, kind| enqueued.with_label_values(&[queue, kind])),
            runs: Table::new(move |queue, kind| runs.series(queue, kind)),
            schedules,
            ticks: Table::new(move |application, schedule| ticks.series(application, schedule)),
        }
    }

    fn started(&self, run: &Run<'_>, wait: std::time::Duration) {
        self.runs.admit(run.queue.as_str(), run.kind, |series| {
            series.started.inc();
            series.running.inc();
            series.wait.observe(wait.as_secs_f64());
        });
    }

    fn finished(&self, run: &Run<'_>, outcome: FinishedOutcome, duration: std::time::Duration) {
        self.runs.known(run.queue.as_str(), run.kind, |series| {
            series.running.dec();
            series.finished(outcome).inc();
            series.duration.observe(duration.as_secs_f64());
            if let FinishedOutcome::Dead(reason) = outcome {
                self.dead(series, reason);
            }
        });
    }

    fn refused(&self, run: &Run<'_>, reason: DeathReason) {
        self.runs.known(run.queue.as_str(), run.kind, |series| self.dead(series, reason));
    }

    fn dead(&self, series: &RunSeries, reason: DeathReason) {
        self.families.dead.with_label_values(&[&series.queue, &series.kind, reason.as_str()]).inc();
    }

    fn phase(&self, current: Phase) {
        for (phase, name) in PHASES {
            self.families.phase.with_label_values(&[name]).set(i64::from(phase == current));
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Metrics {
    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::Enqueued { queue, kind, .. } => {
                self.enqueued.admit(queue.as_str(), kind.as_str(), IntCounter::inc);
            }
            Observation::Started { run, wait } => self.started(run, *wait),
            Observation::Finished { run, outcome, duration, .. } => self.finished(run, *outcome, *duration),
            Observation::Refused { run, reason, .. } => self.refused(run, *reason),
            Observation::Parked { run, .. } => {
                self.runs.known(run.queue.as_str(), run.kind, |series| series.parked.inc());
            }
            Observation::SettleFailed { .. } => self.families.settle_failed.inc(),
            Observation::ComponentFailed { component, .. } => {
                self.families.component_failures.with_label_values(&[component]).inc();
            }
            Observation::Leads { application, is_leading } => {
                self.schedules.leader.with_label_values(&[application]).set(i64::from(*is_leading));
            }
            Observation::Ticked { application, schedule, tick, lateness } => {
                self.ticks.admit(application, schedule, |series| series.ticked(*tick, *lateness));
            }
            Observation::TicksSkipped { application, schedule, count, reason } => {
                self.ticks.admit(application, schedule, |series| series.skipped(*count, *reason));
            }
            Observation::Phase { phase, .. } => self.phase(*phase),
            // Overdue repeats while a run holds its thread: the logs have it, a count would mean nothing.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
