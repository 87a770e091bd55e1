//! Subscriptions: each gets its own copy of an event, and runs it as any job.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_core::broker::memory::MemoryBroker;
use job_core::broker::sqlite::{SqliteBroker, SqliteOptions};
use job_core::broker::{Inspect, Outgoing};
use job_core::clock::Clock;
use job_core::envelope::{DeathReason, Envelope};
use job_core::observation::FinishedOutcome;
use job_core::topology::{Pattern, Target, Topology};
use job_core::{Context, Event, Job, JobError, JobId, Kind, Perform, QueueName};
use job_worker::testing::{Drained, Harness};
use job_worker::{StopHandle, Worker, WorkerConfig, assert_enqueued};
use serde::{Deserialize, Serialize};

use crate::scene::{Scene, registry};

#[derive(Event, Serialize)]
#[event(topic = "member.{id}.updated")]
struct ProfileUpdated {
    id: u64,
    name: &'static str,
    changed: [&'static str; 2],
}

const UPDATED: ProfileUpdated = ProfileUpdated { id: 7, name: "Ada", changed: ["name", "address"] };

/// What the handlers were given, in words.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, text: String) {
        self.0.lock().expect("no run panics while it holds this").push(text);
    }

    fn sorted(&self) -> Vec<String> {
        let mut seen = self.0.lock().expect("no run panics while it holds this").clone();
        seen.sort();
        seen
    }
}

#[derive(Job, Serialize, Deserialize, Debug)]
#[job(on(topic = "member.*.updated"), on(topic = "member.#"), max_attempts = 2, backoff = "fixed(1ms)", state(Seen))]
struct Mirror {
    name: String,
}

impl Perform for Mirror {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Seen>().note(format!("mirror {} {} {}", self.name, cx.queue(), cx.attempt()));
        if self.name == "Bob" { Err("it was told to fail".into()) } else { Ok(()) }
    }
}

#[derive(Job, Serialize, Deserialize, Debug)]
#[job(on(topic = "member.*.updated"), group = "search", expires = "1h", state(Seen))]
struct SearchIndex {
    id: u64,
}

impl Perform for SearchIndex {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Seen>().note(format!("index {} {}", self.id, cx.queue()));
        Ok(())
    }
}

#[derive(Job, Serialize, Deserialize, Debug)]
#[job(on(topic = "member.*.updated"), ephemeral, state(Seen))]
struct Invalidate {
    id: u64,
}

impl Perform for Invalidate {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Seen>().note(format!("invalidate {} {}", self.id, cx.queue()));
        match self.id {
            7 => Ok(()),
            8 => Err("it was told to fail".into()),
            _ => Err(JobError::snooze(Duration::from_secs(1))),
        }
    }
}

const KINDS: [&str; 2] = ["mirror", "search_index"];

fn queue(name: &str) -> QueueName {
    QueueName::parse(name).expect("a name")
}

/// Declares what the two durable subscriptions need, as `topology apply` does.
async fn apply(scene: &Scene) {
    let topic = |topic: &str| Pattern::Topic(topic.into());
    let topology = Topology::default()
        .bind(queue("shop.mirror"), topic("member.#"))
        .bind(queue("search.search_index"), topic("member.*.updated"));
    scene.broker.declare(&topology).await.expect("it can be declared");
}

async fn check_each_gets_each_event(scene: Scene) {
    let seen = Seen::default();
    apply(&scene).await;
    // Nobody runs yet: what is bound misses nothing.
    let published = scene.client.publish(UPDATED).await.expect("it is stored");
    assert_eq!(published.copies, Some(2));
    scene.run(scene.worker(&KINDS).state(seen.clone())).await;
    assert_eq!(seen.sorted(), ["index 7 search.search_index", "mirror Ada shop.mirror 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_subscription_gets_each_event_once_and_reads_what_it_cares_for() {
    check_each_gets_each_event(Scene::new()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jobs.db");
    let broker = SqliteBroker::open(path, SqliteOptions::default(), Clock::system()).await.expect("it opens");
    check_each_gets_each_event(Scene::on(broker)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_binds_what_it_consumes_and_tells_of_it() {
    let scene = Scene::new();
    let run = async || scene.run(scene.worker(&KINDS).state(Seen::default())).await;
    assert_eq!(scene.client.publish(UPDATED).await.expect("it is stored").copies, Some(0));
    run().await;
    assert_eq!(scene.client.publish(UPDATED).require_subscriber().await.expect("it is heard").copies, Some(2));
    run().await;
    let entries = scene.broker.ledger().read().await.expect("readable");
    let mut told: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    told.retain(|key| key.starts_with("subscription/"));
    assert_eq!(told, ["subscription/search.search_index", "subscription/shop.mirror"]);
    let mirror = entries.iter().find(|entry| entry.key == "subscription/shop.mirror").expect("it is told");
    assert_eq!(mirror.value["group"], "shop");
    assert_eq!(mirror.value["patterns"], serde_json::json!([{"topic": "member.*.updated"}, {"topic": "member.#"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_decides_the_kind_whatever_the_event_calls_itself() {
    let scene = Scene::new();
    let seen = Seen::default();
    apply(&scene).await;
    for kind in [None, Some("search_index"), Some("nobody-knows")] {
        let now = scene.broker.clock().now();
        let mut event = Envelope::new(JobId::new(now), Kind::parse("a").unwrap(), br#"{"name":"Eve"}"#.to_vec(), now);
        event.kind = kind.map(|kind| Kind::parse(kind).unwrap());
        let message = Outgoing::event(Target::Topic("member.left".into()), event);
        scene.broker.publish(vec![message]).await.remove(0).expect("it is stored");
    }
    scene.run(scene.worker(&KINDS).state(seen.clone())).await;
    assert_eq!(seen.sorted(), ["mirror Eve shop.mirror 1"; 3]);
    assert!(scene.finished().iter().all(|run| run.kind == "mirror"), "{:?}", scene.finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_reaches_only_its_own_queue_and_the_dead_are_its_own() {
    let scene = Scene::new();
    let seen = Seen::default();
    apply(&scene).await;
    scene.client.publish(ProfileUpdated { name: "Bob", ..UPDATED }).await.expect("it is stored");
    scene.run(scene.worker(&KINDS).state(seen.clone())).await;
    let expected = ["index 7 search.search_index", "mirror Bob shop.mirror 1", "mirror Bob shop.mirror 2"];
    assert_eq!(seen.sorted(), expected);
    assert_eq!(scene.dead("shop.mirror").await.len(), 1);
    assert_eq!(scene.dead("search.search_index").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_does_not_decode_is_dead_in_its_own_queue() {
    let scene = Scene::new();
    apply(&scene).await;
    scene.client.publish(OtherEvent { id: "seven" }).await.expect("it is stored");
    scene.run(scene.worker(&KINDS).state(Seen::default())).await;
    for name in ["shop.mirror", "search.search_index"] {
        let dead = scene.dead(name).await;
        let reasons: Vec<_> = dead.iter().map(|e| e.details.death.as_ref().map(|death| death.reason)).collect();
        assert_eq!(reasons, [Some(DeathReason::Undecodable)], "{name}");
    }
}

#[derive(Event, Serialize)]
#[event(topic = "member.x.updated")]
struct OtherEvent {
    id: &'static str,
}

#[tokio::test]
async fn a_subscription_s_own_limit_of_waiting_counts_from_the_publish() {
    let harness = Harness::builder().registry(registry(&KINDS)).state(Seen::default()).build().expect("sound");
    harness.client().publish(UPDATED).await.expect("it is stored");
    assert_enqueued!(harness, SearchIndex { id: 7 }, queue = "search.search_index");
    assert_enqueued!(harness, Mirror { name } if name == "Ada", queue = "shop.mirror", count = 1);
    harness.clock().advance(Duration::from_secs(3601));
    assert_eq!(harness.drain().await, Drained { completed: 1, dead: 1, ..Drained::default() });
    assert_eq!(harness.dead()[0].details.death.as_ref().map(|death| death.reason), Some(DeathReason::Expired));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_of_an_ephemeral_subscription_gets_each_event_and_keeps_none() {
    let memory = MemoryBroker::new(Clock::system());
    let publisher = Scene::on(memory.another());
    let seen = Seen::default();
    let scenes = [Scene::on(memory.another()), Scene::on(memory.another())];
    let worker = |scene: &Scene| {
        // Not until it is idle: both have to live when the events come.
        let worker = scene.worker(&["invalidate"]).state(seen.clone()).config(WorkerConfig::default());
        worker.build().expect("a sound worker")
    };
    let workers = [worker(&scenes[0]), worker(&scenes[1])];
    let stops = workers.each_ref().map(Worker::stop_handle);
    let bound = async || {
        let queues = memory.queues().await.expect("readable");
        queues.iter().filter(|stats| stats.name.as_str().starts_with("shop.invalidate.")).count()
    };
    let publish = async {
        eventually(async || bound().await == 2).await;
        for id in [7, 8, 9] {
            let published = publisher.client.publish(ProfileUpdated { id, ..UPDATED }).await.expect("it is stored");
            assert_eq!(published.copies, Some(2));
        }
        eventually(async || scenes.iter().all(|scene| scene.finished().len() == 3)).await;
        stops.iter().for_each(StopHandle::drain);
    };
    let [one, two] = workers;
    let (one, two, ()) = tokio::join!(one.run(), two.run(), publish);
    assert_eq!((one.expect("it ran").unfinished, two.expect("it ran").unfinished), (0, 0));
    let expected: Vec<String> =
        [7, 7, 8, 8, 9, 9].map(|id| format!("invalidate {id} shop.invalidate")).into_iter().collect();
    assert_eq!(seen.sorted(), expected);
    for scene in &scenes {
        let outcomes: Vec<FinishedOutcome> = scene.finished().iter().map(|run| run.outcome).collect();
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == FinishedOutcome::Forgotten).count(), 2);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == FinishedOutcome::Completed).count(), 1);
    }
    // Nothing is left of them, while the processes go on.
    assert_eq!(bound().await, 0);
    assert_eq!(publisher.client.publish(UPDATED).await.expect("it is stored").copies, Some(0));
}

/// Waits until something is true, with a bound.
async fn eventually(condition: impl AsyncFn() -> bool) {
    let clock = Clock::system();
    let waiting = async {
        while !condition().await {
            clock.sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(clock.timeout(Duration::from_secs(80), waiting).await.is_some(), "it did not come true");
}

#[tokio::test]
async fn the_harness_runs_ephemeral_subscriptions_too() {
    let seen = Seen::default();
    let harness = Harness::builder().registry(registry(&["invalidate"])).state(seen.clone()).build().expect("sound");
    harness.client().publish(UPDATED).await.expect("it is stored");
    harness.client().publish(ProfileUpdated { id: 8, ..UPDATED }).await.expect("it is stored");
    assert_enqueued!(harness, Invalidate { .. }, count = 2);
    assert_eq!(harness.drain().await, Drained { completed: 1, forgotten: 1, ..Drained::default() });
    assert!(harness.perform(Invalidate { id: 8 }).await.is_err());
    assert_eq!(harness.dead(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_subscription_is_named_without_its_process() {
    let scene = Scene::new();
    let queues = vec![job_worker::QueueConfig::parse("shop.invalidate").expect("a queue")];
    let worker = scene.worker(&["invalidate", "mirror"]).state(Seen::default()).only_queues(queues);
    scene.run(worker).await;
    let names: Vec<String> = scene
        .broker
        .inspect()
        .expect("memory")
        .queues()
        .await
        .expect("readable")
        .into_iter()
        .map(|s| s.name.to_string())
        .collect();
    assert_eq!(names, [""; 0], "the mirror's queue was not asked for, the other is gone");
}
