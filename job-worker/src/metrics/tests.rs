//! Pins what a scrape looks like, and what each observation does to it.

use std::time::Duration;

use job_core::Error;
use job_core::name::JobId;
use job_core::observation::SkipReason;

use super::*;

struct Scene {
    metrics: Metrics,
    queue: QueueName,
    kind: Kind,
    id: JobId,
}

impl Scene {
    fn new() -> Self {
        Self {
            metrics: Metrics::started_at("2026-01-01T12:00:00Z".parse().unwrap()),
            queue: QueueName::parse("mail").unwrap(),
            kind: Kind::parse("welcome").unwrap(),
            id: JobId::parse("job-1").unwrap(),
        }
    }

    fn run<'a>(&'a self, kind: &'a str) -> Run<'a> {
        Run { queue: &self.queue, kind, id: &self.id, sequence: 0, attempt: 1 }
    }

    fn enqueue(&self) {
        self.metrics.observe(&Observation::Enqueued { queue: &self.queue, kind: &self.kind, id: &self.id });
    }

    fn start(&self) {
        let wait = Duration::from_millis(750);
        self.metrics.observe(&Observation::Started { run: self.run("welcome"), wait });
    }

    fn finish(&self, kind: &str, outcome: FinishedOutcome) {
        self.metrics.observe(&Observation::Finished {
            run: self.run(kind),
            outcome,
            duration: Duration::from_millis(250),
            error: None,
            back_at: None,
        });
    }

    fn refuse(&self, kind: &str, reason: DeathReason) {
        self.metrics.observe(&Observation::Refused { run: self.run(kind), reason, error: "why" });
    }

    fn park(&self, kind: &str) {
        let back_at = "2026-01-01T12:01:00Z".parse().unwrap();
        self.metrics.observe(&Observation::Parked { run: self.run(kind), reason: "no handler", back_at });
    }

    fn settle_failed(&self, kind: &str) {
        let error = Error::lost("the delivery is somebody else's");
        self.metrics.observe(&Observation::SettleFailed { run: self.run(kind), error: &error });
    }

    fn value(&self, series: &str) -> Option<f64> {
        let text = self.metrics.render();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }
}

#[test]
fn a_scrape_reads_like_this() {
    let scene = Scene::new();
    scene.metrics.observe(&Observation::Phase { phase: Phase::Starting, detail: "" });
    scene.metrics.observe(&Observation::Phase { phase: Phase::Running, detail: "" });
    scene.enqueue();
    for outcome in [FinishedOutcome::Retried, FinishedOutcome::Dead(DeathReason::Attempts)] {
        scene.start();
        scene.finish("welcome", outcome);
    }
    scene.start();
    scene.metrics.observe(&Observation::ComponentFailed { component: "intake", error: "x", failures: 1 });
    assert_eq!(scene.metrics.render(), include_str!("scrape.txt").replace("VERSION", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_schedule_s_ticks_are_told_by_the_worker_that_leads() {
    let metrics = Metrics::new();
    let value = |series: &str| {
        let text = metrics.render();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse::<f64>().ok())
    };
    let (application, schedule) = ("shop", "nightly");
    let tick = "2026-01-01T12:00:00Z".parse().unwrap();
    metrics.observe(&Observation::Leads { application, is_leading: true });
    for lateness in [Duration::from_millis(20), Duration::from_secs(4)] {
        metrics.observe(&Observation::Ticked { application, schedule, tick, lateness });
    }
    metrics.observe(&Observation::TicksSkipped { application, schedule, count: 3, reason: SkipReason::Missed });
    let labels = r#"application="shop",schedule="nightly""#;
    for (series, expected) in [
        (r#"jobs_schedule_leader{application="shop"}"#.to_owned(), 1.0),
        (format!("jobs_schedule_lateness_seconds_bucket{{{labels},le=\"0.025\"}}"), 1.0),
        (format!("jobs_schedule_lateness_seconds_sum{{{labels}}}"), 4.02),
        (format!("jobs_schedule_last_run_timestamp_seconds{{{labels}}}"), 1_767_268_804.0),
        (r#"jobs_schedule_skipped_total{application="shop",reason="missed",schedule="nightly"}"#.to_owned(), 3.0),
        (r#"jobs_schedule_skipped_total{application="shop",reason="overlap",schedule="nightly"}"#.to_owned(), 0.0),
    ] {
        assert_eq!(value(&series), Some(expected), "{series}");
    }
    metrics.observe(&Observation::Leads { application, is_leading: false });
    assert_eq!(value(r#"jobs_schedule_leader{application="shop"}"#), Some(0.0));
}

#[test]
fn a_declared_kind_starts_at_zero() {
    let scene = Scene::new();
    scene.metrics.declare(&scene.queue, &scene.kind);
    assert_eq!(scene.value(r#"jobs_finished_total{kind="welcome",outcome="dead",queue="mail"}"#), Some(0.0));
    assert_eq!(scene.value(r#"jobs_attempt_duration_seconds_count{kind="welcome",queue="mail"}"#), Some(0.0));
}

#[test]
fn a_run_whose_outcome_is_lost_is_no_longer_running() {
    let running = r#"jobs_running{kind="welcome",queue="mail"}"#;
    let scene = Scene::new();
    scene.start();
    assert_eq!(scene.value(running), Some(1.0));
    scene.settle_failed("welcome");
    scene.finish("welcome", FinishedOutcome::Unrecorded);
    assert_eq!(scene.value(running), Some(0.0));
    assert_eq!(scene.value("jobs_settle_failed_total"), Some(1.0));
    assert_eq!(scene.value(r#"jobs_finished_total{kind="welcome",outcome="unrecorded",queue="mail"}"#), Some(1.0));
}

#[test]
fn a_job_that_never_ran_is_dead_and_neither_running_nor_finished() {
    let scene = Scene::new();
    scene.metrics.declare(&scene.queue, &scene.kind);
    scene.refuse("welcome", DeathReason::Undecodable);
    assert_eq!(scene.value(r#"jobs_running{kind="welcome",queue="mail"}"#), Some(0.0));
    assert_eq!(scene.value(r#"jobs_finished_total{kind="welcome",outcome="dead",queue="mail"}"#), Some(0.0));
    assert_eq!(scene.value(r#"jobs_attempt_duration_seconds_count{kind="welcome",queue="mail"}"#), Some(0.0));
    assert_eq!(scene.value(r#"jobs_dead_total{kind="welcome",queue="mail",reason="undecodable"}"#), Some(1.0));
}

#[test]
fn foreign_kinds_share_one_label() {
    let scene = Scene::new();
    for i in 0..1000 {
        let kind = format!("foreign_{i}");
        scene.park(&kind);
        scene.settle_failed(&kind);
        scene.refuse(&kind, DeathReason::UnknownKind);
    }
    scene.metrics.declare(&scene.queue, &scene.kind);
    scene.park("welcome");
    assert_eq!(scene.value(r#"jobs_parked_total{kind="other",queue="mail"}"#), Some(1000.0));
    assert_eq!(scene.value(r#"jobs_parked_total{kind="welcome",queue="mail"}"#), Some(1.0));
    assert_eq!(scene.value(r#"jobs_dead_total{kind="other",queue="mail",reason="unknown_kind"}"#), Some(1000.0));
    assert!(!scene.metrics.render().contains("foreign_"));
}

#[test]
fn many_threads_lose_no_count() {
    let scene = Scene::new();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..1000 {
                    scene.start();
                    scene.finish("welcome", FinishedOutcome::Completed);
                }
            });
        }
    });
    assert_eq!(scene.value(r#"jobs_finished_total{kind="welcome",outcome="completed",queue="mail"}"#), Some(4000.0));
    assert_eq!(scene.value(r#"jobs_wait_seconds_count{kind="welcome",queue="mail"}"#), Some(4000.0));
    assert_eq!(scene.value(r#"jobs_running{kind="welcome",queue="mail"}"#), Some(0.0));
}
