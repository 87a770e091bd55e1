//! RabbitMQ takes away what a process holds for too long, and with it all that runs on the same channel. Nothing is held for
//! so long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_core::broker::{Outgoing, Window};
use job_core::clock::Clock;
use job_core::envelope::Envelope;
use job_core::name::{Kind, QueueName};
use job_core::registry::Registry;
use job_core::{Client, Context, Job, JobError, JobId, Perform};
use job_worker::{QueueConfig, Worker};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::amqp_node::Node;
use crate::scene::{Process, Scene, wait};

/// What the node of this test lets a process hold a delivery for.
const LIMIT: Duration = Duration::from_secs(12);

/// Ids of runs, in the order in which they began.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<Vec<JobId>>>);

impl Runs {
    fn note<J>(&self, cx: &Context<J>) {
        self.0.lock().expect("no run panics").push(cx.id().clone());
    }

    fn ids(&self) -> Vec<JobId> {
        let mut ids = self.0.lock().expect("no run panics").clone();
        ids.sort_unstable();
        ids
    }
}

/// Keeps the only slot busy.
#[derive(Job, Serialize, Deserialize)]
#[job(queue = "steady", timeout = "5s", state(Runs))]
struct Steady {}

impl Perform for Steady {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Runs>().note(&cx);
        Clock::system().sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

/// Gets the slot when ten others had it, and is running when the limit of what waits behind it is over.
#[derive(Job, Serialize, Deserialize)]
#[job(queue = "rare", timeout = "5s", state(Runs))]
struct Rare {}

impl Perform for Rare {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Runs>().note(&cx);
        Clock::system().sleep(Duration::from_secs(4)).await;
        Ok(())
    }
}

fn worker(client: &Client, runs: &Runs) -> Worker {
    let linked = Registry::linked().expect("distinct kinds");
    let kinds = ["steady", "rare"].map(|kind| linked.find(kind).expect("it is linked"));
    let queues = ["steady=10", "rare=1"].map(|queue| QueueConfig::parse(queue).expect("a queue"));
    let worker = Worker::builder().client(client.clone()).registry(Registry::of(kinds).expect("distinct kinds"));
    worker.state(runs.clone()).concurrency(1).only_queues(queues.into()).build().expect("a sound worker")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_twice_for_what_waited_behind_it() {
    let node = Node::single("e2e-hold");
    let milliseconds = LIMIT.as_millis();
    let set = format!(
        "application:set_env(rabbit, consumer_timeout, {milliseconds}), \
         application:set_env(rabbit, channel_tick_interval, 500)."
    );
    node.ctl(1, &["eval", &set]);
    let url = format!("{}?consumer_timeout={}s", node.url(), LIMIT.as_secs());
    let clients = [Client::connect(&url).await.expect("connected"), Client::connect(&url).await.expect("connected")];
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(clients[0].enqueue(Steady {}).await.expect("stored"));
    }
    for _ in 0..6 {
        ids.push(clients[0].enqueue(Rare {}).await.expect("stored"));
    }
    ids.sort_unstable();
    let runs = Runs::default();
    let mut running = Vec::new();
    for client in &clients {
        let worker = worker(client, &runs);
        running.push((worker.stop_handle(), tokio::spawn(worker.run())));
    }
    let mut last = 0;
    // Patience for each step: all of it takes a while.
    while last < ids.len() {
        wait("another job runs", || {
            let count = runs.ids().len();
            async move { count > last }
        })
        .await;
        last = runs.ids().len();
    }
    for (stop, running) in running {
        stop.drain();
        running.await.expect("no panic").expect("it ran");
    }
    assert_eq!(runs.ids(), ids, "each ran once");
}

/// A suspect that is stored for its run, in the hands of a worker that cannot begin it: a job for which a process died runs
/// there, and no suspect runs beside it.
async fn waiting_suspect(scene: &Scene) -> Process {
    let long = scene.enqueue_work(600_000, 0).await.to_string();
    let victim = scene.start(&["run"]);
    scene.wait_history("the job runs", |history| history.has_started(&long)).await;
    victim.signal("KILL");
    drop(victim);
    let worker = scene.start(&["run", "--grace", "100ms", "--log", "job_worker=debug"]);
    scene.wait_history("the job runs again", |history| history.runs() == 2).await;
    let broker = scene.client.broker();
    let now = broker.clock().now();
    let payload = json!({ "milliseconds": 0, "failures": 0 }).to_string().into_bytes();
    let mut suspect = Envelope::new(JobId::new(now), Kind::parse("work").expect("a kind"), payload, now);
    suspect.details.crashes = 1;
    suspect.details.is_armed = true;
    let stored = broker.publish(vec![Outgoing::only(lane(), suspect)]).await;
    stored.into_iter().next().expect("one answer").expect("stored");
    // It went back once, without its count, and was taken again.
    worker.wait_log("a suspect waits until it may run alone").await;
    worker
}

fn lane() -> QueueName {
    QueueName::parse("default").expect("a name").suspect()
}

/// Returns how often the suspect was handed out, its crashes, and whether the next run is among them.
async fn found(scene: &Scene) -> (u32, u32, bool) {
    let mut consumer = scene.client.broker().consume(&lane(), Window::exact(1)).await.expect("it is there");
    let found = consumer.next_many(1).await.expect("taken").pop().expect("it is kept");
    (found.redeliveries, found.envelope.details.crashes, found.envelope.details.is_armed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_that_waits_when_its_worker_stops_is_not_blamed() {
    let scene = Scene::on_rabbitmq().await;
    let worker = waiting_suspect(&scene).await;
    worker.signal("TERM");
    worker.wait().await;
    assert_eq!(found(&scene).await, (0, 0, false), "as if nobody had taken it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_that_waits_when_its_worker_is_killed_is_not_blamed() {
    let scene = Scene::on_rabbitmq().await;
    let worker = waiting_suspect(&scene).await;
    worker.signal("KILL");
    drop(worker);
    assert_eq!(found(&scene).await, (1, 0, false), "handed out, and not counted as a run alone");
}
