//! The metric families: names, help, labels and buckets, as Prometheus' naming rules have them.

use job_core::clock::Timestamp;
use job_core::envelope::DeathReason;
use job_core::observation::{FinishedOutcome, Phase};
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// The upper bounds of the histograms' buckets, in seconds.
///
/// From 1 ms (below it the framework costs more than the job) to 10 min (the default timeout; what waits longer needs no
/// finer answer than "too long"). Steps of 2 to 3 keep a computed quantile within that factor of the truth; 18 bounds cost
/// a pair 42 series in its two histograms.
pub const BUCKETS_SECONDS: [f64; 18] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// The phases with their labels.
pub(super) const PHASES: [(Phase, &str); 5] = [
    (Phase::Starting, "starting"),
    (Phase::Running, "running"),
    (Phase::Quiet, "quiet"),
    (Phase::Draining, "draining"),
    (Phase::Stopped, "stopped"),
];

/// One of each, in the order of [`RunSeries::finished`]'s index.
const OUTCOMES: [FinishedOutcome; 8] = [
    FinishedOutcome::Completed,
    FinishedOutcome::Retried,
    FinishedOutcome::Snoozed,
    FinishedOutcome::Continued,
    FinishedOutcome::Dead(DeathReason::Attempts),
    FinishedOutcome::Released,
    FinishedOutcome::Unrecorded,
    FinishedOutcome::Forgotten,
];

/// Every family.
pub(super) struct Families {
    pub(super) enqueued: IntCounterVec,
    pub(super) runs: RunFamilies,
    pub(super) dead: IntCounterVec,
    pub(super) settle_failed: IntCounter,
    pub(super) component_failures: IntCounterVec,
    pub(super) phase: IntGaugeVec,
}

/// The families that a run touches; each (queue, kind) has a child in all of them.
#[derive(Clone)]
pub(super) struct RunFamilies {
    started: IntCounterVec,
    running: IntGaugeVec,
    finished: IntCounterVec,
    parked: IntCounterVec,
    duration: HistogramVec,
    wait: HistogramVec,
}

/// The children of one (queue, kind), looked up once.
pub(super) struct RunSeries {
    pub(super) queue: Box<str>,
    pub(super) kind: Box<str>,
    pub(super) started: IntCounter,
    pub(super) running: IntGauge,
    pub(super) parked: IntCounter,
    pub(super) duration: Histogram,
    pub(super) wait: Histogram,
    finished: [IntCounter; OUTCOMES.len()],
}

impl Families {
    /// Makes the families and registers them.
    pub(super) fn register(registry: &Registry, start: Timestamp) -> Self {
        let pair = &["queue", "kind"];
        constants(registry, start);
        Self {
            enqueued: counters(registry, "jobs_enqueued_total", "Jobs this process stored.", pair),
            runs: RunFamilies::register(registry),
            dead: counters(
                registry,
                "jobs_dead_total",
                "Jobs that will not run again, by reason.",
                &["queue", "kind", "reason"],
            ),
            settle_failed: settle_failed(registry),
            component_failures: counters(
                registry,
                "job_worker_component_failures_total",
                "Failures of parts of the worker, which were started again.",
                &["component"],
            ),
            phase: gauges(
                registry,
                "job_worker_phase",
                "1 for the phase this process is in, 0 for others.",
                &["phase"],
            ),
        }
    }
}

impl RunFamilies {
    fn register(registry: &Registry) -> Self {
        let pair = &["queue", "kind"];
        let outcome = &["queue", "kind", "outcome"];
        Self {
            started: counters(registry, "jobs_started_total", "Runs that began.", pair),
            running: gauges(registry, "jobs_running", "Runs in progress.", pair),
            finished: counters(registry, "jobs_finished_total", "Runs that ended, by outcome.", outcome),
            parked: counters(registry, "jobs_parked_total", "Jobs put aside without a run.", pair),
            duration: histograms(registry, "jobs_attempt_duration_seconds", "How long runs took.", pair),
            wait: histograms(registry, "jobs_wait_seconds", "How long jobs waited once they could have started.", pair),
        }
    }

    /// Makes the children of one (queue, kind), all zero.
    pub(super) fn series(&self, queue: &str, kind: &str) -> RunSeries {
        let pair = &[queue, kind];
        RunSeries {
            queue: queue.into(),
            kind: kind.into(),
            started: self.started.with_label_values(pair),
            running: self.running.with_label_values(pair),
            parked: self.parked.with_label_values(pair),
            duration: self.duration.with_label_values(pair),
            wait: self.wait.with_label_values(pair),
            finished: OUTCOMES.map(|outcome| self.finished.with_label_values(&[queue, kind, outcome.as_str()])),
        }
    }
}

impl RunSeries {
    /// Returns the counter of an outcome.
    pub(super) fn finished(&self, outcome: FinishedOutcome) -> &IntCounter {
        &self.finished[match outcome {
            FinishedOutcome::Completed => 0,
            FinishedOutcome::Retried => 1,
            FinishedOutcome::Snoozed => 2,
            FinishedOutcome::Continued => 3,
            FinishedOutcome::Dead(_) => 4,
            FinishedOutcome::Released => 5,
            FinishedOutcome::Unrecorded => 6,
            FinishedOutcome::Forgotten => 7,
        }]
    }
}

fn constants(registry: &Registry, start: Timestamp) {
    let help = "1; the label has the version of the worker's crate.";
    let info = gauges(registry, "job_worker_info", help, &["version"]);
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    let help = "When this process started to count, in seconds since 1970.";
    gauges(registry, "job_worker_start_time_seconds", help, &[]).with_label_values::<&str>(&[]).set(start.timestamp());
}

fn settle_failed(registry: &Registry) -> IntCounter {
    let help = "Outcomes that could not be recorded; such jobs may run again.";
    counters(registry, "jobs_settle_failed_total", help, &[]).with_label_values::<&str>(&[])
}

pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

pub(super) fn histograms(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(BUCKETS_SECONDS.to_vec());
    registered(registry, HistogramVec::new(options, labels))
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, family: prometheus::Result<C>) -> C {
    let family = family.expect("names and labels are constants that follow the rules");
    registry.register(Box::new(family.clone())).expect("no two families share a name");
    family
}
