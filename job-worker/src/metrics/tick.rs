//! The metric families of schedules. Most of them are written by the worker that leads; when another one takes over, the
//! latest of all workers counts.

use std::time::Duration;

use job_core::clock::{Timestamp, later};
use job_core::observation::SkipReason;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use crate::metrics::family::{counters, gauges, histograms};

const REASONS: [SkipReason; 2] = [SkipReason::Missed, SkipReason::Overlap];

/// The families that a tick touches; each schedule has a child in all but the first.
#[derive(Clone)]
pub(super) struct TickFamilies {
    pub(super) leader: IntGaugeVec,
    lateness: HistogramVec,
    last_run: IntGaugeVec,
    skipped: IntCounterVec,
}

/// The children of one schedule, looked up once.
pub(super) struct TickSeries {
    lateness: Histogram,
    last_run: IntGauge,
    skipped: [IntCounter; REASONS.len()],
}

impl TickFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        let one = &["application", "schedule"];
        let help = "When the job of its latest tick was stored, in seconds since 1970.";
        Self {
            leader: gauges(
                registry,
                "jobs_schedule_leader",
                "1 while this process fires the application's ticks.",
                &["application"],
            ),
            lateness: histograms(
                registry,
                "jobs_schedule_lateness_seconds",
                "How much later than their ticks jobs were stored.",
                one,
            ),
            last_run: gauges(registry, "jobs_schedule_last_run_timestamp_seconds", help, one),
            skipped: counters(
                registry,
                "jobs_schedule_skipped_total",
                "Ticks that got no job, by reason.",
                &["application", "schedule", "reason"],
            ),
        }
    }

    pub(super) fn series(&self, application: &str, schedule: &str) -> TickSeries {
        let one = &[application, schedule];
        TickSeries {
            lateness: self.lateness.with_label_values(one),
            last_run: self.last_run.with_label_values(one),
            skipped: REASONS.map(|reason| self.skipped.with_label_values(&[application, schedule, reason.as_str()])),
        }
    }
}

impl TickSeries {
    pub(super) fn ticked(&self, tick: Timestamp, lateness: Duration) {
        self.lateness.observe(lateness.as_secs_f64());
        self.last_run.set(later(tick, lateness).timestamp());
    }

    pub(super) fn skipped(&self, count: usize, reason: SkipReason) {
        let index = match reason {
            SkipReason::Missed => 0,
            SkipReason::Overlap => 1,
        };
        self.skipped[index].inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}
