//! The harness for tests of jobs, and what it tells when an assertion fails.

use std::future::IntoFuture;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use job_core::broker::BoxFuture;
use job_core::context::Parts;
use job_core::envelope::DeathReason;
use job_core::perform::Next;
use job_core::{Context, Job, JobError, Perform, PerformBlocking, chain};
use job_worker::middleware::{Middleware, NextRun, RunResult};
use job_worker::testing::{Drained, Harness, HarnessBuilder};
use job_worker::{assert_enqueued, refute_enqueued};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::scene::registry;

const MINUTE: Duration = Duration::from_secs(60);
const NOTHING: Drained =
    Drained { completed: 0, retried: 0, snoozed: 0, continued: 0, dead: 0, forgotten: 0, parked: 0 };

fn harness(kinds: &[&str]) -> Harness {
    builder(kinds).build().unwrap()
}

fn builder(kinds: &[&str]) -> HarnessBuilder {
    Harness::builder().registry(registry(kinds))
}

/// Returns what a failing assertion says.
fn message_of(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).expect_err("the assertion must fail");
    *panic.downcast::<String>().expect("a message")
}

/// Fails until this attempt.
#[derive(Job, Serialize, Deserialize, Debug, PartialEq)]
#[job(max_attempts = 3, backoff = "fixed(1m)")]
struct Stubborn {
    succeeds_at: u32,
}

impl Perform for Stubborn {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        if cx.attempt() < self.succeeds_at { Err(format!("attempt {}", cx.attempt()).into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn retries_wait_until_time_is_moved_over_the_backoff() {
    let harness = harness(&["stubborn"]);
    harness.client().enqueue(Stubborn { succeeds_at: 3 }).await.unwrap();
    assert_eq!(harness.drain().await, Drained { retried: 1, ..NOTHING });
    assert_eq!(harness.drain().await, NOTHING, "time stands still");
    assert_enqueued!(harness, Stubborn { succeeds_at: 3 }, within = MINUTE);
    assert_eq!(harness.advance(MINUTE).await, Drained { retried: 1, ..NOTHING });
    assert_eq!(harness.advance(MINUTE - Duration::from_secs(1)).await, NOTHING);
    assert_eq!(harness.advance(Duration::from_secs(1)).await, Drained { completed: 1, ..NOTHING });
    assert!(harness.all_enqueued::<Stubborn>().is_empty());
}

#[tokio::test]
async fn all_that_happens_in_a_time_has_happened_after_it() {
    let harness = harness(&["stubborn"]);
    harness.client().enqueue(Stubborn { succeeds_at: 9 }).await.unwrap();
    let begun = harness.clock().now();
    assert_eq!(harness.advance(10 * MINUTE).await, Drained { retried: 2, dead: 1, ..NOTHING });
    assert_eq!(harness.clock().now(), begun + 10 * MINUTE);
    let dead = harness.dead();
    let death = dead[0].details.death.as_ref().unwrap();
    assert_eq!((dead.len(), death.reason, death.at), (1, DeathReason::Attempts, begun + 2 * MINUTE));
    let minutes: Vec<i64> = dead[0].details.failures.iter().map(|f| (f.at - begun).num_minutes()).collect();
    assert_eq!(minutes, [0, 1, 2]);
}

/// With jitter, the instants have nanoseconds that no clock shows.
#[derive(Job, Serialize, Deserialize)]
#[job(max_attempts = 6, backoff = "exponential(1s, max = 1h)")]
struct Jittery;

impl Perform for Jittery {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Err("no".into())
    }
}

#[tokio::test]
async fn time_moves_over_a_backoff_with_jitter() {
    let harness = harness(&["jittery"]);
    harness.client().enqueue(Jittery).await.unwrap();
    assert_eq!(harness.advance(60 * MINUTE).await, Drained { retried: 5, dead: 1, ..NOTHING });
}

#[tokio::test]
async fn a_delayed_job_is_due_when_its_time_has_come() {
    let harness = harness(&["stubborn"]);
    harness.client().enqueue(Stubborn { succeeds_at: 1 }).delay(2 * MINUTE).await.unwrap();
    assert_enqueued!(harness, Stubborn { .. });
    refute_enqueued!(harness, Stubborn { .. }, within = MINUTE);
    assert_eq!(harness.drain().await, NOTHING);
    assert_eq!(harness.advance(2 * MINUTE).await, Drained { completed: 1, ..NOTHING });
}

/// Makes children, and answers what it was asked to.
#[derive(Job, Serialize, Deserialize)]
#[job(queue = "parents")]
struct Couple {
    children: u32,
}

impl Perform for Couple {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        for n in 0..self.children {
            cx.client().enqueue(Child { n }).await?;
        }
        Ok(())
    }
}

#[derive(Job, Serialize, Deserialize, Debug, PartialEq)]
#[job(queue = "children", blocking)]
struct Child {
    n: u32,
}

impl PerformBlocking for Child {
    fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        assert_eq!(cx.queue().as_str(), "children");
        Ok(())
    }
}

#[tokio::test]
async fn a_drain_runs_what_its_jobs_enqueue_too() {
    let harness = harness(&["couple", "child"]);
    harness.client().enqueue(Couple { children: 3 }).await.unwrap();
    assert_eq!(harness.drain().await, Drained { completed: 4, ..NOTHING });
}

#[tokio::test]
async fn performing_a_job_enqueues_its_children_and_runs_none() {
    let harness = harness(&["couple", "child"]);
    harness.perform(Couple { children: 2 }).await.unwrap();
    assert_eq!(harness.all_enqueued::<Child>(), [Child { n: 0 }, Child { n: 1 }]);
    assert_enqueued!(harness, Child { .. }, queue = "children", count = 2);
    assert_enqueued!(harness, Child { n } if *n > 0);
    refute_enqueued!(harness, Child { n: 2 });
    refute_enqueued!(harness, Child { .. }, queue = "parents");
    refute_enqueued!(harness, Couple { .. });
}

#[tokio::test]
async fn a_failing_assertion_tells_what_is_enqueued() {
    let harness = harness(&["couple", "child"]);
    let message = message_of(|| assert_enqueued!(harness, Child { n: 7 }));
    assert_eq!(message, "expected that an enqueued job matches `Child { n: 7 }`, found 0; nothing is enqueued");
    harness.client().enqueue(Child { n: 1 }).delay(MINUTE).await.unwrap();
    harness.client().enqueue(Couple { children: 0 }).await.unwrap();
    let message = message_of(|| assert_enqueued!(harness, Child { n: 1 }, queue = "children", within = MINUTE / 2));
    assert_eq!(
        message,
        "expected that an enqueued job matches `Child { n: 1 }`, in the queue \"children\", within 30s, found 0; these are enqueued:\n\
         \x20 child {\"n\":1} in the queue \"children\", due in 60s\n\
         \x20 couple {\"children\":0} in the queue \"parents\""
    );
    let message = message_of(|| refute_enqueued!(harness, Child { .. }));
    assert!(
        message.starts_with("expected that no enqueued job matches `Child { .. }`, found 1; these are"),
        "{message}"
    );
    let message = message_of(|| assert_enqueued!(harness, Child { .. }, count = 2));
    assert!(message.starts_with("expected that 2 jobs are enqueued that match `Child { .. }`, found 1"), "{message}");
}

#[derive(Job, Serialize, Deserialize)]
struct Answers(String);

impl Perform for Answers {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        match self.0.as_str() {
            "discard" => Err(JobError::discard("gone")),
            "panic" => panic!("a bug"),
            "context" => {
                assert_eq!((cx.attempt(), cx.max_attempts(), cx.cursor(), cx.header("a")), (3, 4, Some(7), Some("b")));
                Err(JobError::continue_with(8))
            }
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn performing_returns_what_the_handler_answered() {
    let harness = harness(&["answers"]);
    harness.perform(Answers(String::new())).await.unwrap();
    let error = harness.perform(Answers("discard".into())).await.unwrap_err();
    assert_eq!((error.next(), error.message()), (&Next::Discard, "gone".into()));
    let error = harness.perform(Answers("panic".into())).await.unwrap_err();
    assert_eq!((error.next(), error.message()), (&Next::Retry { delay: None }, "panicked: a bug".into()));
    let job = harness.perform(Answers("context".into()));
    let error = job.attempt(3).max_attempts(4).cursor(7).header("a", "b").await.unwrap_err();
    assert_eq!(error.next(), &Next::Continue(8.into()));
    assert_eq!(harness.drain().await, NOTHING, "nothing is left behind");
}

/// Writes what it does not read.
#[derive(Job, Serialize, Deserialize)]
struct OneWay {
    #[serde(rename(serialize = "written", deserialize = "read"))]
    value: u32,
}

impl Perform for OneWay {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_job_goes_through_its_json() {
    let harness = harness(&["one_way"]);
    let error = harness.perform(OneWay { value: 1 }).await.unwrap_err();
    assert_eq!(error.next(), &Next::Discard);
    assert!(error.message().contains("missing field `read`"), "{}", error.message());
    harness.client().enqueue(OneWay { value: 1 }).await.unwrap();
    assert_eq!(harness.drain().await, Drained { dead: 1, ..NOTHING });
}

/// Never ends by itself.
#[derive(Job, Serialize, Deserialize)]
#[job(timeout = "30s", max_attempts = 1, state(Arc<Notify>))]
struct Hangs;

impl Perform for Hangs {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Arc<Notify>>().notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_timeout_passes_on_the_harness_clock() {
    let begun = Arc::new(Notify::new());
    let harness = builder(&["hangs"]).state(Arc::clone(&begun)).build().unwrap();
    let wait = async {
        begun.notified().await;
        harness.clock().advance(Duration::from_secs(30));
    };
    let (result, ()) = tokio::join!(harness.perform(Hangs).into_future(), wait);
    assert_eq!(result.unwrap_err().message(), "timed out after 30s");
    harness.client().enqueue(Hangs).await.unwrap();
    let wait = async {
        begun.notified().await;
        harness.clock().advance(Duration::from_secs(30));
    };
    let (drained, ()) = tokio::join!(harness.drain(), wait);
    assert_eq!(drained, Drained { dead: 1, ..NOTHING });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_passes_on_another_thread_too() {
    let begun = Arc::new(Notify::new());
    let harness = builder(&["hangs"]).state(Arc::clone(&begun)).build().unwrap();
    // Often, as the clock may move before the executor has set its alarm.
    for _ in 0..200 {
        harness.client().enqueue(Hangs).await.unwrap();
        let wait = async {
            begun.notified().await;
            harness.clock().advance(Duration::from_secs(30));
        };
        let (drained, ()) = tokio::join!(harness.drain(), wait);
        assert_eq!(drained, Drained { dead: 1, ..NOTHING });
    }
}

#[tokio::test(start_paused = true)]
async fn tokios_own_paused_time_changes_nothing() {
    let harness = harness(&["child"]);
    harness.client().enqueue(Child { n: 0 }).await.unwrap();
    assert_eq!(harness.drain().await, Drained { completed: 1, ..NOTHING });
}

#[tokio::test]
async fn a_missing_state_is_told_of() {
    let harness = harness(&["hangs"]);
    harness.client().enqueue(Hangs).await.unwrap();
    let drain = tokio::spawn(async move { harness.drain().await });
    let panic = drain.await.unwrap_err().into_panic().downcast::<String>().unwrap();
    assert!(panic.contains("needs the state"), "{panic}");
}

#[derive(Job, Serialize, Deserialize)]
#[job(handler = "another crate")]
struct Foreign;

#[tokio::test]
async fn a_job_whose_handler_is_elsewhere_waits_or_is_given_one() {
    let harness = harness(&["foreign"]);
    harness.client().enqueue(Foreign).await.unwrap();
    assert_eq!(harness.drain().await, Drained { parked: 1, ..NOTHING });
    assert_enqueued!(harness, Foreign);

    let handler = |_: Foreign, _| async { Ok(()) };
    let harness = builder(&["foreign"]).handle(handler).build().unwrap();
    harness.client().enqueue(Foreign).await.unwrap();
    assert_eq!(harness.drain().await, Drained { completed: 1, ..NOTHING });
}

struct Counts(Arc<AtomicU32>);

impl Middleware for Counts {
    fn call<'a>(&'a self, _run: &'a Parts, next: NextRun<'a>) -> BoxFuture<'a, RunResult> {
        self.0.fetch_add(1, Ordering::Relaxed);
        next.run()
    }
}

#[tokio::test]
async fn every_run_is_in_the_middleware() {
    let runs = Arc::new(AtomicU32::new(0));
    let harness = builder(&["stubborn"]).middleware(Counts(Arc::clone(&runs))).build().unwrap();
    harness.perform(Stubborn { succeeds_at: 1 }).await.unwrap();
    harness.client().enqueue(Stubborn { succeeds_at: 1 }).await.unwrap();
    harness.drain().await;
    assert_eq!(runs.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_chain_is_drained_in_its_order() {
    let harness = harness(&["stubborn", "couple", "child"]);
    let chain = chain![Stubborn { succeeds_at: 2 }, Couple { children: 1 }];
    harness.client().enqueue_chain(chain).await.unwrap();
    harness.drain().await;
    refute_enqueued!(harness, Couple { .. });
    assert_eq!(harness.advance(MINUTE).await, Drained { completed: 3, ..NOTHING });
}

/// Enqueues itself for ever.
#[derive(Job, Serialize, Deserialize)]
struct Endless;

impl Perform for Endless {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.client().enqueue(Self).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_end_fails_the_test() {
    let harness = harness(&["endless"]);
    harness.client().enqueue(Endless).await.unwrap();
    let drain = tokio::spawn(async move { harness.drain().await });
    let panic = drain.await.unwrap_err().into_panic().downcast::<String>().unwrap();
    assert!(panic.starts_with("10000 runs and no end; the next is"), "{panic}");
}
