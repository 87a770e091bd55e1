//! An orderly stop: what runs ends, what waits stays, and neither costs an attempt.

use serde_json::json;

use crate::scene::Scene;

const EX_TEMPFAIL: i32 = 75;

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_finishes_what_runs_and_starts_nothing() {
    let scene = Scene::new().await;
    for _ in 0..50 {
        scene.enqueue_work(300, 0).await;
    }
    let worker = scene.start(&["run", "--concurrency", "4"]);
    scene.wait_history("four jobs run", |history| history.runs() >= 4).await;
    worker.signal("TERM");
    assert_eq!(worker.wait().await.code, Some(0));
    let history = scene.history();
    assert_eq!(history.ended(), history.runs(), "each run ended");
    assert!(history.runs() < 50, "the rest did not start");
    let before = history.runs();
    assert_eq!(scene.run_until_idle(&["--concurrency", "50"]).await.code, Some(0));
    let history = scene.history();
    assert_eq!((history.ended(), history.runs()), (50, 50), "{before} of them before the stop");
    assert_eq!(history.duplicates(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_grace_goes_back_without_using_an_attempt() {
    let scene = Scene::on_file().await;
    let id = scene.enqueue_work(600_000, 0).await;
    let worker = scene.start(&["run", "--grace", "100ms"]);
    scene.wait_history("the job runs", |history| history.runs() == 1).await;
    worker.signal("TERM");
    let ended = worker.wait().await;
    assert_eq!(ended.code, Some(EX_TEMPFAIL), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 job had not ended and will run again"), "{}", ended.stderr);
    check_untouched(&scene, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_gives_back_at_once() {
    let scene = Scene::on_file().await;
    let id = scene.enqueue_work(600_000, 0).await;
    let worker = scene.start(&["run", "--grace", "10m"]);
    scene.wait_history("the job runs", |history| history.runs() == 1).await;
    worker.signal("INT");
    worker.wait_log("Draining").await;
    worker.signal("TERM");
    assert_eq!(worker.wait().await.code, Some(EX_TEMPFAIL));
    check_untouched(&scene, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_does_not_return_is_left_behind_and_said_so() {
    let scene = Scene::new().await;
    scene.enqueue("holds_its_thread", json!(null)).await;
    let worker = scene.start(&["run", "--grace", "100ms"]);
    scene.wait_history("the job runs", |history| history.runs() == 1).await;
    worker.signal("TERM");
    let ended = worker.wait().await;
    assert_eq!(ended.code, Some(EX_TEMPFAIL));
    assert!(ended.stderr.contains("1 job had not ended and will run again"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_worker_takes_nothing_until_it_goes_on() {
    let scene = Scene::new().await;
    let worker = scene.start(&["run"]);
    scene.enqueue_work(0, 0).await;
    scene.wait_history("the worker runs jobs", |history| history.ended() == 1).await;
    worker.signal("TSTP");
    worker.wait_log("Quiet").await;
    let id = scene.enqueue_work(0, 0).await.to_string();
    // Another worker, which is not quiet, gets the next job: the quiet one did not.
    let other = scene.start(&["run"]);
    let (quiet, busy) = (worker.id(), other.id());
    scene.wait_history("the other worker runs it", |history| history.has_started(&id)).await;
    assert_eq!(scene.history().process_of(&id), Some(busy));
    other.signal("TERM");
    other.wait().await;
    worker.signal("CONT");
    let id = scene.enqueue_work(0, 0).await.to_string();
    scene.wait_history("the first worker goes on", |history| history.has_started(&id)).await;
    assert_eq!(scene.history().process_of(&id), Some(quiet));
}

async fn check_untouched(scene: &Scene, id: &job_core::JobId) {
    let inspect = scene.client.broker().inspect().expect("SQLite can be inspected");
    let found = inspect.find(id).await.expect("readable").expect("it is still stored");
    assert_eq!(found.state, job_core::broker::JobState::Ready);
    assert_eq!((found.envelope.attempt, found.envelope.sequence), (1, 0));
}
