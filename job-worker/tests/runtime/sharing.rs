//! State, middleware, handlers elsewhere, children, and the limits that jobs share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_core::broker::BoxFuture;
use job_core::clock::Clock;
use job_core::context::Parts;
use job_core::observation::FinishedOutcome::{Completed, Retried};
use job_core::{Context, Job, JobError, JobId, Perform, QueueName};
use job_worker::middleware::{Middleware, NextRun, RunResult};
use serde::{Deserialize, Serialize};

use crate::scene::Scene;

/// Counts how many runs there are, and how many at once at the most.
#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize, AtomicUsize)>);

impl Gauge {
    fn enter(&self) {
        let running = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(running, Ordering::SeqCst);
        self.0.2.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn most_at_once(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }

    fn runs(&self) -> usize {
        self.0.2.load(Ordering::SeqCst)
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(state(Gauge), concurrency = 2, queue = "narrow")]
struct Narrow;

impl Perform for Narrow {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Gauge>().enter();
        Clock::system().sleep(Duration::from_millis(5)).await;
        cx.state::<Gauge>().leave();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_never_runs_more_often_at_once_than_it_says() {
    let (scene, gauge) = (Scene::new(), Gauge::default());
    scene.client.enqueue_many((0..40).map(|_| Narrow)).await.unwrap();
    scene.run(scene.worker(&["narrow"]).state(gauge.clone())).await;
    assert_eq!((gauge.runs(), gauge.most_at_once()), (40, 2));
    assert!(scene.outcomes().iter().all(|outcome| *outcome == (1, Completed)));
}

#[derive(Job, Serialize, Deserialize)]
#[job(state(Gauge), queue = "wide")]
struct Wide;

impl Perform for Wide {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Gauge>().enter();
        Clock::system().sleep(Duration::from_millis(5)).await;
        cx.state::<Gauge>().leave();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_and_worker_bound_what_runs_at_once() {
    let (scene, gauge) = (Scene::new(), Gauge::default());
    scene.client.enqueue_many((0..40).map(|_| Wide)).await.unwrap();
    scene.run(scene.worker(&["wide"]).state(gauge.clone()).concurrency(3)).await;
    assert_eq!((gauge.runs(), gauge.most_at_once()), (40, 3));

    let (scene, gauge) = (Scene::new(), Gauge::default());
    scene.client.enqueue_many((0..40).map(|_| Wide)).await.unwrap();
    scene.run(scene.worker(&["wide"]).state(gauge.clone()).queue("wide=1/4")).await;
    assert_eq!((gauge.runs(), gauge.most_at_once()), (40, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_queue_takes_no_slot_from_a_busy_one() {
    let (scene, gauge) = (Scene::new(), Gauge::default());
    scene.client.enqueue_many((0..10).map(|_| Wide)).await.unwrap();
    scene.run(scene.worker(&["wide", "narrow"]).state(gauge.clone()).concurrency(1)).await;
    assert_eq!(gauge.runs(), 10);
}

struct Tally(Arc<Mutex<Vec<&'static str>>>, &'static str);

impl Middleware for Tally {
    fn call<'a>(&'a self, run: &'a Parts, next: NextRun<'a>) -> BoxFuture<'a, RunResult> {
        Box::pin(async move {
            self.0.lock().unwrap().push(self.1);
            if run.envelope.details.headers.contains_key("refuse") {
                return Err(JobError::retry_in(Duration::from_millis(1), "refused"));
            }
            next.run().await
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn middleware_wraps_every_run_from_the_outside_in() {
    let (scene, gauge, seen) = (Scene::new(), Gauge::default(), Arc::<Mutex<Vec<&str>>>::default());
    scene.client.enqueue(Wide).await.unwrap();
    let worker = scene.worker(&["wide"]).state(gauge.clone());
    let worker = worker.middleware(Tally(Arc::clone(&seen), "outer")).middleware(Tally(Arc::clone(&seen), "inner"));
    scene.run(worker).await;
    assert_eq!(*seen.lock().unwrap(), ["outer", "inner"]);
    assert_eq!(gauge.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_middleware_may_answer_in_the_place_of_the_handler() {
    let (scene, gauge, seen) = (Scene::new(), Gauge::default(), Arc::<Mutex<Vec<&str>>>::default());
    scene.client.enqueue(Wide).header("refuse", "yes").max_attempts(2).await.unwrap();
    scene.run(scene.worker(&["wide"]).state(gauge.clone()).middleware(Tally(seen, "outer"))).await;
    assert_eq!(gauge.runs(), 0);
    assert_eq!(scene.outcomes()[0], (1, Retried));
    assert_eq!(scene.dead("wide").await[0].details.death.as_ref().unwrap().error, "refused");
}

#[derive(Job, Serialize, Deserialize)]
#[job(handler = "this test", queue = "elsewhere")]
struct HandledElsewhere {
    text: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_may_be_given_to_the_worker() {
    let scene = Scene::new();
    scene.client.enqueue(HandledElsewhere { text: "hello".into() }).await.unwrap();
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let ear = Arc::clone(&heard);
    let worker = scene.worker(&["handled_elsewhere"]).handle(move |job: HandledElsewhere, cx| {
        let ear = Arc::clone(&ear);
        async move {
            assert_eq!(cx.queue().as_str(), "elsewhere");
            ear.lock().unwrap().push(job.text);
            Ok(())
        }
    });
    scene.run(worker).await;
    assert_eq!(*heard.lock().unwrap(), ["hello"]);
}

#[derive(Job, Serialize, Deserialize)]
#[job(max_attempts = 2, backoff = "fixed(1ms)", queue = "parents")]
struct Parent;

impl Perform for Parent {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        for _ in 0..3 {
            cx.client().enqueue_raw("child", "null").queue("children").await?;
        }
        if cx.attempt() == 1 { Err("after its children were made".into()) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_runs_again_makes_the_same_children() {
    let scene = Scene::new();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let parent = scene.client.enqueue(Parent).header("traceparent", trace).await.unwrap();
    scene.run(scene.worker(&["parent"])).await;
    assert_eq!(scene.outcomes(), [(1, Retried), (2, Completed)]);
    let children = scene.waiting(&QueueName::parse("children").unwrap()).await;
    let ids: BTreeSet<JobId> = children.iter().map(|c| c.id.clone()).collect();
    let expected: BTreeSet<JobId> = (0..3).map(|n| parent.derive(&format!("0/{n}"))).collect();
    assert_eq!(ids, expected);
    let parent_trace = job_core::trace::TraceParent::parse(trace).unwrap().trace_id();
    assert!(children.iter().all(|c| c.details.trace.is_some_and(|t| t.trace_id() == parent_trace)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_without_handler_here_is_parked_and_uses_no_attempt() {
    let (scene, gauge) = (Scene::new(), Gauge::default());
    let id = scene.client.enqueue_raw("from_the_future", "{}").queue("wide").await.unwrap();
    let worker = scene.worker(&["wide"]).state(gauge).build().unwrap();
    let stop = worker.stop_handle();
    let run = tokio::spawn(worker.run());
    let inspect = scene.broker.inspect().unwrap();
    let parked = loop {
        let found = inspect.find(&id).await.unwrap().unwrap();
        if found.envelope.details.parked_since.is_some() {
            break found;
        }
        tokio::task::yield_now().await;
    };
    stop.drain();
    run.await.unwrap().unwrap();
    assert!(matches!(parked.state, job_core::broker::JobState::Delayed(_)));
    assert_eq!((parked.envelope.attempt, parked.envelope.sequence), (1, 0));
}

#[derive(Job, Serialize, Deserialize)]
#[job(concurrency = 1, queue = "tight", expires = "30ms", state(Gauge))]
struct Tight;

impl Perform for Tight {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Gauge>().enter();
        assert!(cx.idempotency_key().ends_with(":0"), "waiting for the limit is no new turn");
        Clock::system().sleep(Duration::from_millis(200)).await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_its_kinds_limit_expires_all_the_same() {
    let (scene, gauge) = (Scene::new(), Gauge::default());
    scene
        .client
        .enqueue_many((0..4).map(|_| Tight).collect::<Vec<_>>())
        .each(|job| job.expires(Duration::from_millis(150)))
        .await
        .unwrap();
    scene.run(scene.worker(&["tight"]).state(gauge.clone())).await;
    assert_eq!(gauge.runs(), 1);
    let reasons: Vec<_> = scene.dead("tight").await.iter().map(|e| e.details.death.clone().unwrap().reason).collect();
    assert_eq!(reasons, [job_core::envelope::DeathReason::Expired; 3]);
}
