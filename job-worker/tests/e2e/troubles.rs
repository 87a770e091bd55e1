//! Handlers that misbehave, and messages that cannot run: each is kept with its reason, and the worker runs on.

use job_core::envelope::DeathReason;
use serde_json::json;

use crate::scene::Scene;

/// Runs one job of a kind to its end, and returns why it is dead.
async fn check_death(kind: &str, payload: serde_json::Value, reason: DeathReason, error: &str) -> String {
    let scene = Scene::new().await;
    scene.enqueue(kind, payload.clone()).await;
    let good = scene.enqueue_work(0, 0).await.to_string();
    let ended = scene.run_until_idle(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(scene.history().faults(&[good]), Vec::<String>::new(), "the good job ran beside it");
    let dead = scene.dead("default").await;
    let [dead] = &dead[..] else {
        panic!("one job is dead, not {}", dead.len());
    };
    let death = dead.details.death.as_ref().expect("a reason");
    assert_eq!((death.reason, death.error.as_str()), (reason, error));
    assert_eq!(dead.payload, payload.to_string().into_bytes(), "its bytes are kept");
    ended.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_error_of_the_job() {
    let log = check_death("panics", json!(null), DeathReason::Attempts, "panicked: the handler is broken").await;
    assert!(log.contains("the handler is broken"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_never_returns_is_timed_out() {
    check_death("never_returns", json!(null), DeathReason::Attempts, "timed out after 300ms").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_handler_is_told_to_stop_and_settled_when_it_does() {
    let kind = "blocking_until_cancelled";
    let log = check_death(kind, json!(null), DeathReason::Attempts, "timed out after 300ms").await;
    assert!(
        log.contains("its timeout has passed, and its thread runs on; have the handler ask cx.is_cancelled()"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_decode_is_dead_at_once() {
    let error = "the payload does not decode as \"work\": missing field `failures` at line 1 column 18";
    check_death("work", json!({"milliseconds": 3}), DeathReason::Undecodable, error).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nested_too_deep_is_dead_at_once() {
    let deep: serde_json::Value = serde_json::from_str(&format!("{}{}", "[".repeat(65), "]".repeat(65))).expect("JSON");
    check_death("work", deep, DeathReason::TooDeep, "the payload is nested deeper than the worker's limit of 64").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_blocks_its_thread_is_told_of() {
    let scene = Scene::new().await;
    scene.enqueue("blocks_its_thread", json!(null)).await;
    let ended = scene.run_until_idle(&[]).await;
    assert_eq!(ended.code, Some(0));
    let says = "it blocks its async thread; say `blocking` in its #[job(…)] and implement PerformBlocking";
    assert!(ended.stderr.contains(says) && ended.stderr.contains("blocks_its_thread"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_is_parked_and_said_so() {
    let scene = Scene::on_file().await;
    let id = scene.enqueue("from_the_future", json!({"a": 1})).await;
    let worker = scene.start(&["run"]);
    worker.wait_log("no job of the kind").await;
    worker.signal("TERM");
    worker.wait().await;
    let inspect = scene.client.broker().inspect().expect("SQLite can be inspected");
    let found = inspect.find(&id).await.expect("readable").expect("it is kept");
    assert!(matches!(found.state, job_core::broker::JobState::Delayed(_)), "{:?}", found.state);
    assert_eq!((found.envelope.attempt, found.envelope.sequence), (1, 0));
}
