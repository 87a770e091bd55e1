//! Subscriptions as an operator of RabbitMQ sees them: applied before anything is published, flagged, and removed on
//! purpose, with what they hold.

use job_core::Event;
use serde::Serialize;
use serde_json::{Value, json};

use crate::amqp_node;
use crate::scene::{Scene, wait};

const EX_TEMPFAIL: i32 = 75;

#[derive(Event, Serialize)]
#[event(topic = "member.7.updated")]
struct Updated {
    fails: bool,
}

/// The mirror also listens to an exchange of somebody else, whom there must be.
async fn applied() -> Scene {
    let scene = Scene::on_rabbitmq().await;
    amqp_node::declare_exchange("legacy", "fanout");
    let answer = scene.subscriber(&["topology", "apply", "--json"]).json();
    assert_eq!(answer, json!({ "queues": ["default", "shop.mirror"], "bindings": 2 }));
    scene
}

async fn publish(scene: &Scene, fails: bool) {
    scene.client.publish(Updated { fails }).require_subscriber().await.expect("it is heard");
}

fn queues(scene: &Scene) -> Value {
    serde_json::from_str(&scene.stock(&["queues", "--json"]).stdout).expect("JSON")
}

fn row(rows: &Value, queue: &str) -> Option<Value> {
    rows.as_array().expect("an array").iter().find(|row| row["queue"] == queue).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_what_is_applied_hears_events_before_any_worker_runs() {
    let scene = applied().await;
    publish(&scene, false).await;
    let flagged = scene.stock(&["queues", "--json"]);
    assert!(
        flagged.stderr.contains("no worker consumes the subscription \"shop.mirror\" (none ever did)"),
        "{}",
        flagged.stderr
    );
    let mirror = row(&queues(&scene), "shop.mirror").expect("it is there");
    assert_eq!((&mirror["ready"], &mirror["subscription"]), (&json!(1), &json!("abandoned")));

    let ended = scene.subscriber(&["run", "--exit-when-idle"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = queues(&scene);
    let mirror = row(&rows, "shop.mirror").expect("it is there");
    assert_eq!((&mirror["ready"], &mirror["subscription"]), (&json!(0), &json!("consumed")));
    assert!(!rows.to_string().contains("shop.invalidate"), "a queue of a process is gone with it: {rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_a_subscription_is_removed_on_purpose_and_loses_nothing() {
    let scene = applied().await;
    for _ in 0..3 {
        publish(&scene, false).await;
    }
    let asked = scene.stock(&["topology", "prune", "shop.mirror"]);
    assert!(asked.stderr.contains("and 3 events that wait there would not run"), "{}", asked.stderr);
    publish(&scene, false).await;

    let pruned = scene.stock(&["topology", "prune", "shop.mirror", "--yes", "--json"]);
    assert_eq!(pruned.code, Some(0), "{}", pruned.stderr);
    let answer: Value = serde_json::from_str(&pruned.stdout).expect("JSON");
    assert_eq!(answer, json!({ "pruned": "shop.mirror", "moved": 4, "kept_in": "shop.mirror.dead" }));
    let error = scene.client.publish(Updated { fails: false }).require_subscriber().await.expect_err("nobody hears it");
    assert!(error.is_unheard(), "{error}");
    let reasons: Vec<String> = scene
        .dead("shop.mirror")
        .await
        .iter()
        .filter_map(|e| e.details.death.as_ref())
        .map(|d| d.reason.as_str().to_owned())
        .collect();
    assert_eq!(reasons, ["unsubscribed"; 4]);
    let rows = queues(&scene);
    assert_eq!((row(&rows, "shop.mirror"), row(&rows, "shop.mirror.suspect")), (None, None), "{rows}");
    assert_eq!(scene.stock(&["topology", "show", "--json"]).json(), json!([]));

    // It can be had again: the worker binds it, and the dead can be sent back.
    assert_eq!(scene.subscriber(&["topology", "apply"]).code, Some(0));
    let retried = scene.stock(&["dead", "retry", "--error-contains", "removed by", "--json"]).json();
    assert_eq!(retried["retried"], 4, "{retried}");
    assert_eq!(scene.subscriber(&["run", "--exit-when-idle"]).code, Some(0));
    assert_eq!(scene.dead("shop.mirror").await.len(), 0);
    publish(&scene, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_a_subscription_that_is_consumed_is_unbound_and_not_yet_gone() {
    let scene = applied().await;
    let worker = scene.start_subscriber(&["run"]);
    let consumed = async || row(&queues(&scene), "shop.mirror").is_some_and(|row| row["subscription"] == "consumed");
    wait("the worker consumes it", &consumed).await;
    let pruned = scene.stock(&["topology", "prune", "shop.mirror", "--yes"]);
    assert_eq!(pruned.code, Some(EX_TEMPFAIL), "{}", pruned.stderr);
    assert!(
        pruned.stderr.contains("it is still consumed; prune it again when its workers have stopped"),
        "{}",
        pruned.stderr
    );
    // The worker hears it by another subscription, and would fail it by this one.
    publish(&scene, true).await;
    worker.signal("TERM");
    assert_eq!(worker.wait().await.code, Some(0));
    assert_eq!(scene.dead("shop.mirror").await.len(), 0);
    let pruned = scene.stock(&["topology", "prune", "shop.mirror", "--yes", "--json"]);
    assert_eq!(pruned.code, Some(0), "{}", pruned.stderr);
    let answer: Value = serde_json::from_str(&pruned.stdout).expect("JSON");
    assert_eq!(answer["moved"], 0);
    assert_eq!(row(&queues(&scene), "shop.mirror"), None);
}
