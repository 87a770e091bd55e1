//! Queues that belong to one kind: their messages need not say of which kind they are.

use std::sync::{Arc, Mutex};

use job_core::broker::Outgoing;
use job_core::envelope::{Content, Envelope};
use job_core::topology::Topology;
use job_core::{Context, Job, JobError, JobId, Kind, Perform, QueueName};
use serde::{Deserialize, Serialize};

use crate::scene::Scene;

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

macro_rules! note {
    ($name:ident, $($options:tt)*) => {
        #[derive(Job, Serialize, Deserialize)]
        #[job($($options)*, state(Heard))]
        struct $name(String);

        impl Perform for $name {
            async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
                let line = format!("{} {}", stringify!($name), self.0);
                cx.state::<Heard>().0.lock().expect("no run panics").push(line);
                Ok(())
            }
        }
    };
}

note!(OwnNote, queue = "notes");
note!(Telegram, queue = "post");
note!(Postcard, queue = "post");
note!(Theirs, queue = "awesome_task_queue", external);

/// Sends "Hello" to a queue as each of these kinds, runs what is linked, and returns what ran.
async fn ran(linked: &[&str], queue: &str, sent: &[Option<&str>]) -> (Vec<String>, Scene) {
    let (scene, heard) = (Scene::new(), Heard::default());
    let queue = QueueName::parse(queue).expect("a name");
    scene.broker.declare(&Topology::default().queue(queue.clone())).await.expect("it can be declared");
    for kind in sent {
        let now = scene.broker.clock().now();
        let mut envelope = Envelope::new(JobId::new(now), Kind::parse("a").unwrap(), b"Hello".to_vec(), now);
        envelope.kind = kind.map(|kind| Kind::parse(kind).unwrap());
        envelope.content = Content::Text;
        let message = Outgoing::to_queue(queue.clone(), envelope);
        scene.broker.publish(vec![message]).await.remove(0).expect("it is stored");
    }
    let worker = scene.worker(linked).state(heard.clone());
    let worker = worker.only_queues(vec![job_worker::QueueConfig::new(queue.clone())]);
    let stop = worker.build().expect("a sound worker");
    let handle = stop.stop_handle();
    let running = tokio::spawn(stop.run());
    // What is parked never becomes idle: the queue is looked at instead.
    crate::scene::until("all have been looked at", || {
        let parked = scene.parked();
        heard.0.lock().expect("no run panics").len() + parked == sent.len()
    })
    .await;
    handle.drain();
    running.await.expect("it does not panic").expect("it ran");
    let mut lines = heard.0.lock().expect("no run panics").clone();
    lines.sort();
    (lines, scene)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_type_is_of_the_kind_to_which_its_queue_belongs() {
    let (ran, scene) = ran(&["own_note"], "notes", &[None, Some("own_note"), Some("telegram")]).await;
    assert_eq!(ran, ["OwnNote Hello", "OwnNote Hello"]);
    assert_eq!(scene.parked(), 1, "a type that is there wins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_type_in_a_queue_of_two_kinds_is_parked() {
    let (ran, scene) = ran(&["telegram", "postcard"], "post", &[None, Some("telegram"), Some("postcard")]).await;
    assert_eq!(ran, ["Postcard Hello", "Telegram Hello"]);
    assert_eq!(scene.parked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_s_queue_decides_the_kind_whatever_its_messages_say() {
    let (ran, scene) = ran(&["theirs"], "awesome_task_queue", &[None, Some("nobody-knows"), Some("own_note")]).await;
    assert_eq!(ran, ["Theirs Hello"; 3]);
    assert_eq!(scene.parked(), 0);
}
