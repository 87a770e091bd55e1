//! The mistakes of a newcomer, and what the worker says of them, to the letter.

use serde_json::json;

use crate::scene::Scene;

const EX_USAGE: i32 = 64;
const EX_DATAERR: i32 = 65;
const EX_CONFIG: i32 = 78;

const FORMS: &str =
    "use \"sqlite:jobs.db\" for a file, \"amqp://user:password@host/vhost\" for RabbitMQ, or \"memory:\" for a test";

async fn check(scene: &Scene, args: &[&str], code: i32, expected: &str) {
    let ended = scene.start(args).wait().await;
    let folder = scene.path("").display().to_string();
    assert_eq!(ended.stderr.replace(&folder, "DIR/"), expected);
    assert_eq!(ended.code, Some(code));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_queue_is_named_with_those_that_exist() {
    let scene = Scene::new().await;
    let expected = "error: no linked job has the queue \"defualt\"; the queues are \"default\"; a job enqueued to another \
                    one needs .queue(\"defualt\") on the worker\n";
    check(&scene, &["run", "--queues", "defualt"], EX_CONFIG, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_a_missing_folder_is_named() {
    let scene = Scene::new().await;
    let url = format!("sqlite:{}", scene.path("missing/jobs.db").display());
    let ended = scene.start(&["run", "--broker", &url]).wait().await;
    assert_eq!(ended.code, Some(EX_CONFIG), "{}", ended.stderr);
    assert!(ended.stderr.contains("missing"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_url_without_scheme_is_explained() {
    let scene = Scene::new().await;
    let expected = format!("error: broker URL \"jobs.db\" has no scheme; {FORMS}\n");
    check(&scene, &["run", "--broker", "jobs.db"], EX_CONFIG, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_scheme_is_named_without_its_password() {
    let scene = Scene::new().await;
    let expected = format!("error: no broker speaks \"redis:\"; {FORMS}\n");
    check(&scene, &["run", "--broker", "redis://user:secret@host"], EX_CONFIG, &expected).await;
}

/// A URL may hold a password, and help is read with others.
#[tokio::test(flavor = "multi_thread")]
async fn the_help_names_the_variable_of_the_broker_and_not_its_value() {
    let scene = Scene::new().await;
    for line in ["my-worker --help", "my-worker run --help"] {
        let shown = scene.shell(line);
        assert!(shown.contains("env: JOB_BROKER") && !shown.contains(&scene.url()), "{shown}");
        assert!(shown.contains("amqp://USER"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_left_alone() {
    let scene = Scene::new().await;
    let path = scene.path("notes.txt");
    let text = "not a database, ".repeat(100);
    std::fs::write(&path, &text).expect("writable");
    let url = format!("sqlite:{}", path.display());
    let ended = scene.start(&["run", "--broker", &url]).wait().await;
    assert_eq!(ended.code, Some(EX_DATAERR), "{}", ended.stderr);
    assert!(ended.stderr.contains("notes.txt"), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&path).expect("readable"), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_flag_and_a_wrong_value_are_usage_errors() {
    let scene = Scene::new().await;
    for args in [&["run", "--concurency", "3"][..], &["run", "--concurrency", "three"], &["rnu"]] {
        let ended = scene.start(args).wait().await;
        assert_eq!(ended.code, Some(EX_USAGE), "{}", ended.stderr);
        assert!(ended.stderr.contains(args.last().expect("an argument")) || ended.stderr.contains("--concurrency"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concurrency_of_zero_is_refused() {
    let scene = Scene::new().await;
    check(&scene, &["run", "--concurrency", "0"], EX_CONFIG, "error: concurrency is 0; use 1 to 10000\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_setting_of_the_program_is_told_as_it_says() {
    let scene = Scene::new().await;
    let status = scene.command(&["run"]).env_remove("JOB_TEST_HISTORY").output().expect("it runs");
    let expected = "error: the worker's setup failed\n  because: JOB_TEST_HISTORY names no file\n";
    assert_eq!(String::from_utf8_lossy(&status.stderr), expected);
    assert_eq!(status.status.code(), Some(EX_CONFIG));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_too_large_is_refused_before_it_is_sent() {
    let scene = Scene::new().await;
    let text = "x".repeat(256 * 1024);
    let error = scene.client.enqueue_raw("work", json!(text).to_string()).await.expect_err("too large");
    assert!(error.is_rejected());
    assert_eq!(
        error.to_string(),
        "job rejected: the payload of \"work\" has 262146 bytes, the limit is 262144; store the data elsewhere and enqueue where it is"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_refused_before_it_is_sent() {
    let scene = Scene::new().await;
    let error = scene.client.enqueue_raw("work", "{milliseconds: 3}").await.expect_err("no JSON");
    assert_eq!(error.to_string(), "job rejected: the payload of \"work\" is not JSON");
}
