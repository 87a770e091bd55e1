//! Dead jobs in an operator's hands: shown, brought back, changed and deleted, and never lost on the way.

use job_core::JobId;
use job_core::broker::{Outcome, Outgoing, Page, Window};
use job_core::envelope::{DeathReason, Envelope};
use job_core::name::{Kind, QueueName};
use job_core::topology::Topology;
use serde_json::{Value, json};

use crate::scene::{Scene, wait};

const EX_USAGE: i32 = 64;
const EX_DATAERR: i32 = 65;
const EX_NOINPUT: i32 = 66;
const EX_TEMPFAIL: i32 = 75;

fn default_queue() -> QueueName {
    QueueName::parse("default").expect("a queue's name")
}

/// Stores a job and lets it die, as a worker would.
async fn die(scene: &Scene, id: &str, payload: Value, error: &str) {
    scene.client.enqueue_raw("work", payload.to_string()).id(id).await.expect("stored");
    bury(scene, 1, |_| error).await;
}

/// Lets many good jobs die, with ids that count from 0000.
async fn die_many(scene: &Scene, jobs: usize, error: impl Fn(usize) -> &'static str) {
    let message = |n: usize| {
        let id = JobId::parse(&format!("{n:04}")).expect("an id");
        let kind = Kind::parse("work").expect("a kind");
        let envelope = Envelope::new(id, kind, good().to_string().into(), scene.client.broker().clock().now());
        Outgoing::to_queue(default_queue(), envelope)
    };
    let stored = scene.client.broker().publish((0..jobs).map(message).collect()).await;
    assert!(stored.iter().all(Result::is_ok));
    bury(scene, jobs, |id| error(id.parse().expect("a number"))).await;
}

/// Lets the next jobs die that wait, of which there are `count`.
async fn bury<'a>(scene: &Scene, count: usize, error: impl Fn(&str) -> &'a str) {
    let broker = scene.client.broker();
    broker.declare(&Topology::default().queue(default_queue())).await.expect("declared");
    // Not taken by its id: not every broker can.
    let mut consumer = broker.consume(&default_queue(), Window::exact(count)).await.expect("consumed");
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        deliveries.extend(consumer.next_many(count - deliveries.len()).await.expect("taken"));
    }
    consumer.close().await;
    let now = broker.clock().now();
    // All begin at once, and share a commit.
    let mut settled = Vec::new();
    for delivery in deliveries {
        let mut envelope = delivery.envelope;
        let error = error(&envelope.id.to_string());
        envelope.push_failure(now, error);
        envelope.declare_dead(now, DeathReason::Attempts, error);
        settled.push(delivery.settle.settle(Outcome::Dead { envelope }));
    }
    for settled in settled {
        settled.await.expect("settled");
    }
}

fn good() -> Value {
    json!({ "milliseconds": 0, "failures": 0 })
}

async fn ids(scene: &Scene, queue: &QueueName) -> Vec<String> {
    let inspect = scene.client.broker().inspect().expect("it can be inspected");
    let page = Page { offset: 0, limit: 100_000 };
    let mut ids: Vec<String> =
        inspect.peek(queue, page).await.expect("readable").iter().map(|e| e.id.to_string()).collect();
    ids.sort_unstable();
    ids
}

async fn waiting(scene: &Scene) -> Vec<String> {
    ids(scene, &default_queue()).await
}

async fn dead(scene: &Scene) -> Vec<String> {
    ids(scene, &default_queue().dead()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_paged_and_filtered() {
    let scene = Scene::new().await;
    for (id, error) in [("a", "disk full"), ("b", "no route"), ("c", "disk full")] {
        die(&scene, id, good(), error).await;
    }
    let ids = |args: &[&str]| -> Vec<String> {
        let answer = scene.stock(&[&["dead", "list", "--json"], args].concat());
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        let rows: Vec<Value> = serde_json::from_str(&answer.stdout).expect("a JSON array");
        rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&[]), ["a", "b", "c"]);
    assert_eq!(ids(&["--limit", "2"]), ["a", "b"]);
    assert_eq!(ids(&["--limit", "2", "--offset", "2"]), ["c"]);
    assert_eq!(ids(&["--error-contains", "disk"]), ["a", "c"]);
    assert_eq!(ids(&["--error-contains", "disk", "--offset", "1"]), ["c"]);
    assert_eq!(ids(&["--queue", "default"]), ["a", "b", "c"]);
    assert_eq!(ids(&["--queue", "other"]), [""; 0]);
    let row = scene.stock(&["dead", "list", "--json", "--error-contains", "route"]).json();
    let expected = json!([{
        "id": "b", "kind": "work", "queue": "default", "reason": "attempts", "attempts": 1, "error": "no route",
        "dead_at": row[0]["dead_at"],
    }]);
    assert_eq!(row, expected);
    let page = scene.stock(&["dead", "list", "--limit", "1"]);
    assert_eq!(page.stderr, "note: there are more; the next page is --offset 1\n");
    assert!(page.stdout.starts_with("ID  KIND  QUEUE    REASON    ATTEMPTS  DEAD AT"), "{}", page.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_prints_the_whole_job() {
    let scene = Scene::new().await;
    die(&scene, "a", good(), "disk full").await;
    let shown = scene.stock(&["dead", "show", "a", "--json"]).json();
    assert_eq!(shown["payload"], good());
    assert_eq!(shown["failures"][0]["error"], "disk full");
    assert_eq!(scene.stock(&["dead", "show", "a", "--payload"]).stdout, good().to_string());
    let text = scene.stock(&["dead", "show", "a"]).stdout;
    assert!(
        text.contains("error        disk full\n") && text.contains(&format!("payload      {}\n", good())),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_job_runs_with_all_its_attempts() {
    let scene = Scene::new().await;
    die(&scene, "a", json!({ "milliseconds": 0, "failures": 2 }), "disk full").await;
    die(&scene, "b", good(), "disk full").await;
    let answer = scene.stock(&["dead", "retry", "a", "--json"]).json();
    assert_eq!(answer, json!({ "retried": 1, "jobs": [{ "id": "a", "queue": "default" }], "left": [] }));
    assert_eq!(dead(&scene).await, ["b"]);
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    assert_eq!(scene.history().faults(&["a".into()]), Vec::<String>::new());
    assert_eq!(scene.history().runs(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_by_error_takes_no_other_and_all_takes_every_batch() {
    const JOBS: usize = 1_100;
    let scene = Scene::on_file().await;
    die_many(&scene, JOBS, |n| if n % 100 == 99 { "no route" } else { "disk full" }).await;
    let routes: Vec<String> = (0..JOBS).filter(|n| n % 100 == 99).map(|n| format!("{n:04}")).collect();
    let answer = scene.stock(&["dead", "retry", "--error-contains", "route", "--json"]).json();
    assert_eq!(answer["retried"], routes.len());
    assert_eq!(waiting(&scene).await, routes);
    let answer = scene.stock(&["dead", "retry", "--all"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), "1089 dead jobs retried\n"));
    assert_eq!((waiting(&scene).await.len(), dead(&scene).await.len()), (JOBS, 0));
    assert_eq!(scene.stock(&["dead", "retry", "--all"]).stdout, "0 dead jobs retried\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_id_is_taken_by_a_living_one_stays_dead() {
    // On RabbitMQ a queue may hold an id twice: neither swallows the other.
    let scene = Scene::on_file().await;
    die(&scene, "a", good(), "disk full").await;
    let other = json!({ "milliseconds": 1, "failures": 0 });
    scene.client.enqueue_raw("work", other.to_string()).id("a").await.expect("stored");
    for args in [&["dead", "retry", "a"][..], &["dead", "retry", "--all"]] {
        let answer = scene.stock(args);
        let note = "note: job a stays dead: its queue \"default\" holds a job of the same id; try again when that one \
                    has ended\n";
        assert_eq!((answer.code, answer.stderr.as_str()), (Some(EX_TEMPFAIL), note));
        assert_eq!(answer.stdout, "0 dead jobs retried\n");
    }
    assert_eq!(scene.dead("default").await[0].payload, good().to_string().into_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_payload_is_checked_and_runs() {
    let scene = Scene::new().await;
    die(&scene, "a", json!({ "milliseconds": 0 }), "missing field").await;
    let wrong = r#"{"milliseconds": "many", "failures": 0}"#;
    scene.fixture(&["dead", "edit", "a", wrong]).assert_failed(
        &scene,
        EX_DATAERR,
        "error: the payload does not decode as \"work\" (fixture_worker::Work)\n  because: invalid type: string \"many\", \
         expected u64 at line 1 column 23\n",
    );
    let none =
        "error: the payload of \"work\" is not JSON\n  because: EOF while parsing an object at line 1 column 1\n";
    scene.stock(&["dead", "edit", "a", "{"]).assert_failed(&scene, EX_DATAERR, none);
    assert_eq!(dead(&scene).await, ["a"]);
    let answer = scene.stock_reading(&["dead", "edit", "a", "-", "--json"], &format!("{}\n", good())).json();
    assert_eq!(answer, json!({ "edited": 1, "jobs": [{ "id": "a", "queue": "default" }], "left": [] }));
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    assert_eq!(scene.history().faults(&["a".into()]), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_states_how_many_and_deletes_them_only_when_told() {
    let scene = Scene::on_file().await;
    for (id, error) in [("a", "disk full"), ("b", "no route"), ("c", "disk full")] {
        die(&scene, id, good(), error).await;
    }
    let refused = |jobs: &str| {
        format!("error: {jobs} would be deleted for ever, and there is no terminal to ask on; say --yes\n")
    };
    scene.stock(&["dead", "purge", "--all"]).assert_failed(&scene, EX_USAGE, &refused("3 dead jobs"));
    scene.stock(&["dead", "purge", "b"]).assert_failed(&scene, EX_USAGE, &refused("1 dead job"));
    assert_eq!(dead(&scene).await, ["a", "b", "c"]);
    let answer = scene.stock(&["dead", "purge", "--error-contains", "disk", "--yes"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), "2 dead jobs purged\n"));
    assert_eq!((dead(&scene).await, waiting(&scene).await), (vec!["b".to_owned()], Vec::new()));
    let answer = scene.stock(&["dead", "purge", "b", "--yes", "--json"]).json();
    assert_eq!(answer, json!({ "purged": 1, "jobs": [{ "id": "b", "queue": "default" }], "left": [] }));
    // Nothing to delete is nothing to ask.
    assert_eq!(scene.stock(&["dead", "purge", "--all"]).stdout, "0 dead jobs purged\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_on_a_terminal_asks() {
    let scene = Scene::new().await;
    die(&scene, "a", good(), "disk full").await;
    let answer = scene.on_terminal(&["dead", "purge", "--all"], "no\n");
    assert!(answer.contains("Delete 1 dead job for ever? Type \"yes\":"), "{answer}");
    assert!(answer.contains("nothing was deleted"), "{answer}");
    assert_eq!(dead(&scene).await, ["a"]);
    let answer = scene.on_terminal(&["dead", "purge", "--all"], "yes\n");
    assert!(answer.contains("1 dead job purged"), "{answer}");
    assert_eq!(dead(&scene).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_is_not_said_are_told() {
    let scene = Scene::new().await;
    let missing = "error: no job nobody is dead; `dead list` shows those that are\n";
    for args in [
        &["dead", "show", "nobody"][..],
        &["dead", "retry", "nobody"],
        &["dead", "edit", "nobody", "{}"],
        &["dead", "purge", "nobody"],
    ] {
        scene.stock(args).assert_failed(&scene, EX_NOINPUT, missing);
    }
    let elsewhere = "error: no job nobody is dead in queue \"mail\"; `dead list` shows those that are\n";
    scene.stock(&["dead", "show", "nobody", "--queue", "mail"]).assert_failed(&scene, EX_NOINPUT, elsewhere);
    let unsaid = "error: no dead job is named; give one's id, or say --all or --error-contains TEXT\n";
    scene.stock(&["dead", "retry"]).assert_failed(&scene, EX_USAGE, unsaid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_killed_loses_nothing() {
    const JOBS: usize = 1_000;
    let scene = Scene::on_file().await;
    die_many(&scene, JOBS, |_| "disk full").await;
    let count = async || (waiting(&scene).await.len(), dead(&scene).await.len());
    while dead(&scene).await.len() > JOBS / 4 {
        let before = count().await;
        let retry = scene.start(&["dead", "retry", "--all"]);
        wait("a retry takes or brings back some", || {
            let now = count();
            async move { now.await != before }
        })
        .await;
        retry.kill();
        wait("what it had taken comes back", || {
            let now = count();
            async move {
                let (waiting, dead) = now.await;
                waiting + dead == JOBS
            }
        })
        .await;
    }
    assert_eq!(scene.fixture(&["dead", "retry", "--all"]).code, Some(0));
    assert_eq!(count().await, (JOBS, 0));
}
