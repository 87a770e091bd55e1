//! Subscriptions as an operator sees them: applied before anything is published, shown, flagged, and removed on purpose.

use job_core::Event;
use job_core::broker::{Entry, Ledger};
use serde::Serialize;
use serde_json::{Value, json};

use crate::scene::Scene;

const EX_USAGE: i32 = 64;
const EX_NOINPUT: i32 = 66;
const EX_CONFIG: i32 = 78;

#[derive(Event, Serialize)]
#[event(topic = "member.7.updated")]
struct Updated {
    fails: bool,
}

async fn applied() -> Scene {
    let scene = Scene::on_file().await;
    let answer = scene.subscriber(&["topology", "apply", "--json"]).json();
    assert_eq!(answer, json!({ "queues": ["default", "shop.mirror"], "bindings": 2 }));
    scene
}

async fn publish(scene: &Scene, fails: bool) {
    let published = scene.client.publish(Updated { fails }).require_subscriber().await.expect("it is heard");
    assert_eq!(published.copies, Some(1));
}

fn row<'a>(rows: &'a Value, queue: &str) -> &'a Value {
    let found = rows.as_array().expect("an array").iter().find(|row| row["queue"] == queue);
    found.unwrap_or_else(|| panic!("no row of {queue} in {rows}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_hears_events_before_any_worker_runs() {
    let scene = applied().await;
    publish(&scene, false).await;
    let kinds = scene.stock(&["kinds", "--json"]).json();
    let mirror = kinds.as_array().expect("an array").iter().find(|row| row["kind"] == "mirror");
    assert_eq!(mirror.expect("it was announced")["queue"], "shop.mirror");
    let again = scene.subscriber(&["topology", "apply"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "2 queues and 2 bindings exist\n"));
    let ended = scene.subscriber(&["run", "--exit-when-idle"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let queues = scene.stock(&["queues", "--json"]).json();
    assert_eq!(row(&queues, "shop.mirror")["ready"], 0);
    assert_eq!(row(&queues, "shop.mirror")["subscription"], "consumed");
    let left: Vec<&Value> = queues.as_array().expect("an array").iter().map(|row| &row["queue"]).collect();
    assert!(left.iter().all(|name| !name.as_str().is_some_and(|name| name.starts_with("shop.invalidate"))), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_jobs_has_nothing_to_apply() {
    let scene = Scene::on_file().await;
    let answer = scene.stock(&["topology", "apply", "--broker", "sqlite:missing.db"]);
    assert_eq!(answer.code, Some(EX_CONFIG));
    assert!(answer.stderr.starts_with("error: no job types are linked"), "{}", answer.stderr);
    assert!(!scene.path("missing.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_shown_to_a_program_without_them() {
    let scene = applied().await;
    let mirror = json!({
        "queue": "shop.mirror", "kind": "mirror", "group": "shop", "ephemeral": false, "linked": false, "applied": true,
        "listens_to": "topic member.*.updated, fanout legacy at legacy", "last_consumed": null,
        "patterns": [
            {"topic": "member.*.updated"},
            {"foreign": {"exchange": "legacy", "pattern": {"fanout": "legacy"}}},
        ],
    });
    assert_eq!(scene.stock(&["topology", "show", "--json"]).json(), json!([mirror]));
    let shown = scene.subscriber(&["topology", "show", "--json"]).json();
    assert_eq!(row(&shown, "shop.mirror")["linked"], true);
    let invalidate = row(&shown, "shop.invalidate");
    assert_eq!((&invalidate["ephemeral"], &invalidate["applied"]), (&json!(true), &Value::Null));
    assert_eq!(row(&shown, "default")["kind"], Value::Null);
    let table = scene.stock(&["topology", "show"]).stdout;
    assert!(table.starts_with("QUEUE        KIND    LISTENS TO "), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_no_worker_consumes_is_flagged() {
    let scene = applied().await;
    let answer = scene.stock(&["queues", "--json"]);
    let note = "note: no worker consumes the subscription \"shop.mirror\" (none ever did), and it gathers events; start \
                one, or remove it with `topology prune shop.mirror`\n";
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), note));
    let queues: Value = serde_json::from_str(&answer.stdout).expect("JSON");
    assert_eq!(row(&queues, "shop.mirror")["subscription"], "abandoned");
    assert_eq!(row(&queues, "default")["subscription"], Value::Null);

    assert_eq!(scene.subscriber(&["run", "--exit-when-idle"]).code, Some(0));
    assert_eq!(scene.stock(&["queues"]).stderr, "");
    age(&*scene.client.broker().ledger()).await;
    let stderr = scene.stock(&["queues"]).stderr;
    assert!(stderr.contains("(the last did at 2026-01-01 00:00:00 UTC)"), "{stderr}");
}

/// Lets the latest sign of the mirror's workers be an old one.
async fn age(ledger: &dyn Ledger) {
    let entries = ledger.read().await.expect("readable");
    let entry = entries.into_iter().find(|entry| entry.key == "subscription/shop.mirror").expect("it is known");
    let mut value = entry.value;
    value["consumed_at"] = "2026-01-01T00:00:00Z".into();
    ledger.append(Entry { key: entry.key, version: entry.version + 1, value }).await.expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_removed_on_purpose_and_loses_nothing() {
    let scene = applied().await;
    publish(&scene, true).await;
    assert_eq!(scene.subscriber(&["run", "--exit-when-idle"]).code, Some(0));
    publish(&scene, false).await;
    publish(&scene, false).await;

    let unknown = "error: no subscription is known that has the queue \"shop.mirrr\"; `topology show` lists them\n";
    scene.stock(&["topology", "prune", "shop.mirrr", "--yes"]).assert_failed(&scene, EX_NOINPUT, unknown);
    let asked = scene.stock(&["topology", "prune", "shop.mirror"]);
    assert_eq!(asked.code, Some(EX_USAGE));
    let loss = "error: \"shop.mirror\" would get no more events (topic member.*.updated, fanout legacy at legacy), and 2 \
                events that wait there would not run, and there is no terminal to ask on; say --yes\n";
    assert!(asked.stderr.ends_with(loss), "{}", asked.stderr);
    assert!(scene.on_terminal(&["topology", "prune", "shop.mirror"], "no\n").contains("nothing was removed"));
    publish(&scene, false).await;

    let pruned = scene.stock(&["topology", "prune", "shop.mirror", "--yes", "--json"]);
    assert_eq!(pruned.code, Some(0), "{}", pruned.stderr);
    assert!(pruned.stderr.contains("one that starts again binds it again"), "{}", pruned.stderr);
    let answer: Value = serde_json::from_str(&pruned.stdout).expect("JSON");
    assert_eq!(answer, json!({ "pruned": "shop.mirror", "moved": 3, "kept_in": "shop.mirror.dead" }));

    assert_eq!(scene.client.publish(Updated { fails: false }).await.expect("stored").copies, Some(0));
    let reasons: Vec<&str> = scene
        .dead("shop.mirror")
        .await
        .iter()
        .filter_map(|e| e.details.death.as_ref())
        .map(|d| d.reason.as_str())
        .collect();
    assert_eq!(reasons, ["discarded", "unsubscribed", "unsubscribed", "unsubscribed"]);
    assert_eq!(scene.stock(&["topology", "show", "--json"]).json(), json!([]));
    let queues = scene.stock(&["queues", "--json"]).json();
    assert!(!queues.to_string().contains("\"shop.mirror\""), "{queues}");

    // It can be had again: the worker binds it, and the dead can be sent back.
    let retried = scene.stock(&["dead", "retry", "--error-contains", "removed by", "--json"]).json();
    assert_eq!(retried["retried"], 3, "{retried}");
    assert_eq!(scene.subscriber(&["run", "--exit-when-idle"]).code, Some(0));
    assert_eq!(scene.dead("shop.mirror").await.len(), 1);
    publish(&scene, false).await;
}
