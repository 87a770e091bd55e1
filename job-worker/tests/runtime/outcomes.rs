//! What a handler answers, and what becomes of the job.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use job_core::envelope::DeathReason;
use job_core::observation::FinishedOutcome::{Completed, Continued, Dead, Retried, Snoozed};
use job_core::{Context, Job, JobError, Perform, PerformBlocking};
use serde::{Deserialize, Serialize};

use crate::scene::Scene;

#[derive(Job, Serialize, Deserialize)]
#[job(max_attempts = 3, backoff = "fixed(1ms)")]
struct Flaky {
    failures: u32,
}

impl Perform for Flaky {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        assert_eq!(cx.max_attempts(), 3);
        if cx.attempt() <= self.failures { Err("not yet".into()) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_job_is_tried_again_and_then_dead() {
    let scene = Scene::new();
    scene.client.enqueue(Flaky { failures: 2 }).await.unwrap();
    scene.run(scene.worker(&["flaky"])).await;
    assert_eq!(scene.outcomes(), [(1, Retried), (2, Retried), (3, Completed)]);

    let scene = Scene::new();
    let id = scene.client.enqueue(Flaky { failures: 3 }).await.unwrap();
    scene.run(scene.worker(&["flaky"])).await;
    assert_eq!(scene.outcomes(), [(1, Retried), (2, Retried), (3, Dead(DeathReason::Attempts))]);
    let dead = scene.dead("default").await;
    assert_eq!((dead.len(), &dead[0].id), (1, &id));
    let errors: Vec<(u32, &str)> = dead[0].details.failures.iter().map(|f| (f.attempt, f.error.as_str())).collect();
    assert_eq!(errors, [(1, "not yet"), (2, "not yet"), (3, "not yet")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_may_have_other_attempts_than_its_type() {
    let scene = Scene::new();
    scene.client.enqueue_raw("flaky_twice", "null").max_attempts(2).await.unwrap();
    scene.run(scene.worker(&["flaky_twice"])).await;
    assert_eq!(scene.outcomes(), [(1, Retried), (2, Dead(DeathReason::Attempts))]);
}

#[derive(Job, Serialize, Deserialize)]
#[job(backoff = quickly)]
struct FlakyTwice;

fn quickly(attempt: u32, error: &str) -> Duration {
    assert_eq!((attempt, error), (1, "no"));
    Duration::from_millis(1)
}

impl Perform for FlakyTwice {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Err("no".into())
    }
}

#[derive(Job, Serialize, Deserialize)]
struct GivesUp;

impl Perform for GivesUp {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Err(JobError::discard("there is no such user"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_job_is_dead_after_one_run() {
    let scene = Scene::new();
    scene.client.enqueue(GivesUp).await.unwrap();
    scene.run(scene.worker(&["gives_up"])).await;
    assert_eq!(scene.outcomes(), [(1, Dead(DeathReason::Discarded))]);
    let death = scene.dead("default").await[0].details.death.clone().unwrap();
    assert_eq!(death.error, "there is no such user");
}

#[derive(Job, Serialize, Deserialize)]
struct Patient {
    snoozes: u32,
}

impl Perform for Patient {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        if cx.envelope().details.snoozes < self.snoozes {
            return Err(JobError::snooze(Duration::from_millis(1)));
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snoozed_job_comes_back_as_the_same_attempt() {
    let scene = Scene::new();
    scene.client.enqueue(Patient { snoozes: 2 }).await.unwrap();
    scene.run(scene.worker(&["patient"])).await;
    assert_eq!(scene.outcomes(), [(1, Snoozed), (1, Snoozed), (1, Completed)]);
}

/// Which pages the job of the test below saw, and with which idempotency keys.
static PAGES: Mutex<Vec<(u32, String)>> = Mutex::new(Vec::new());

#[derive(Job, Serialize, Deserialize)]
struct Paged {
    pages: u32,
}

impl Perform for Paged {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let page: u32 = cx.cursor().unwrap_or(0);
        let turn = cx.idempotency_key().replace(&cx.id().to_string(), "");
        PAGES.lock().unwrap().push((page, turn));
        if page < self.pages { Err(JobError::continue_with(page + 1)) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_handed_from_run_to_run() {
    let scene = Scene::new();
    scene.client.enqueue(Paged { pages: 2 }).await.unwrap();
    scene.run(scene.worker(&["paged"])).await;
    assert_eq!(scene.outcomes(), [(1, Continued), (1, Continued), (1, Completed)]);
    let pages = PAGES.lock().unwrap().clone();
    assert_eq!(pages, [(0, ":0".into()), (1, ":1".into()), (2, ":2".into())]);
}

#[derive(Job, Serialize, Deserialize)]
struct StandsStill;

impl Perform for StandsStill {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Err(JobError::continue_with("here"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_stands_still_is_dead() {
    let scene = Scene::new();
    scene.client.enqueue(StandsStill).await.unwrap();
    scene.run(scene.worker(&["stands_still"])).await;
    assert_eq!(scene.finished().len(), 101, "the first cursor is new, a hundred are not");
    let death = scene.dead("default").await[0].details.death.clone().unwrap();
    assert_eq!(death.error, "continued 100 times in a row with the same cursor");
}

static BLOCKING_RUNS: AtomicU32 = AtomicU32::new(0);

#[derive(Job, Serialize, Deserialize)]
#[job(blocking, max_attempts = 2, backoff = "fixed(1ms)")]
struct Computes;

impl PerformBlocking for Computes {
    fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        BLOCKING_RUNS.fetch_add(1, Ordering::Relaxed);
        assert!(cx.attempt() > 1, "the first run panics");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_job_runs_off_the_async_threads_and_may_panic() {
    let scene = Scene::new();
    scene.client.enqueue(Computes).await.unwrap();
    scene.run(scene.worker(&["computes"])).await;
    assert_eq!(scene.outcomes(), [(1, Retried), (2, Completed)]);
    assert_eq!(scene.finished()[0].error.as_deref(), Some("panicked: the first run panics"));
    assert_eq!(BLOCKING_RUNS.load(Ordering::Relaxed), 2);
}

#[derive(Job, Serialize, Deserialize)]
struct PanicsInDrop;

struct Trap;

impl Drop for Trap {
    fn drop(&mut self) {
        panic!("a trap");
    }
}

impl Perform for PanicsInDrop {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let _trap = (cx.attempt() == 1).then_some(Trap);
        Err(JobError::retry_in(Duration::from_millis(1), "unreachable by the first run"))?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_while_dropping_is_an_error_of_the_job_too() {
    let scene = Scene::new();
    scene.client.enqueue(PanicsInDrop).max_attempts(2).await.unwrap();
    let worker = scene.worker(&["panics_in_drop"]);
    scene.client.state(&job_core::JobId::parse("none").unwrap()).await.unwrap();
    // The default backoff would wait for a quarter of a minute after the panic: cancel the rest instead.
    let built = worker.build().unwrap();
    let stop = built.stop_handle();
    let runs = tokio::spawn(built.run());
    while scene.finished().is_empty() {
        tokio::task::yield_now().await;
    }
    stop.drain();
    runs.await.unwrap().unwrap();
    assert_eq!(scene.finished()[0].error.as_deref(), Some("panicked: a trap"));
}

#[derive(Job, Serialize, Deserialize)]
#[job(expires = "1h")]
struct Perishable;

impl Perform for Perishable {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_not_started_in_time_is_dead() {
    let scene = Scene::new();
    scene.client.enqueue(Perishable).await.unwrap();
    scene.client.enqueue(Perishable).expires(Duration::ZERO).await.unwrap();
    scene.run(scene.worker(&["perishable"])).await;
    assert_eq!(scene.outcomes(), [(1, Completed)]);
    let dead = scene.dead("default").await;
    assert_eq!(dead[0].details.death.as_ref().unwrap().reason, DeathReason::Expired);
}

/// The expansion once gave a type of its own this name, and a job that is called so did not compile.
#[derive(Job, Serialize, Deserialize)]
struct Probe;

impl Perform for Probe {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_may_have_a_name_that_the_expansion_would_like() {
    let scene = Scene::new();
    scene.client.enqueue(Probe).await.unwrap();
    scene.run(scene.worker(&["probe"])).await;
    assert_eq!(scene.outcomes(), [(1, Completed)]);
}
