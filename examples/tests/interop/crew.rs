//! The jobs and listeners in Rust, and workers that run them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use job_core::clock::Clock;
use job_core::{Client, Context, Job, JobError, Perform};
use job_worker::{QueueConfig, StopHandle, Stopped, Worker};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

/// How long a condition may take to come true: a bound on liveness, not a measure of speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What ran, in no order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().expect("no run panics").push(line);
    }

    fn sorted(&self) -> Vec<String> {
        let mut lines = self.0.lock().expect("no run panics").clone();
        lines.sort();
        lines
    }

    /// Waits until exactly this has run.
    pub(crate) async fn wait_for(&self, expected: &[&str]) {
        let clock = Clock::system();
        let reached = async {
            while self.sorted() != expected {
                clock.sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(clock.timeout(PATIENCE, reached).await.is_some(), "{:?} ran, not {expected:?}", self.sorted());
    }
}

/// A message of somebody else's queue: its text is all of it.
#[derive(Job, Serialize, Deserialize)]
#[job(queue = "awesome_task_queue", external, max_attempts = 2, backoff = "fixed(1s)", state(Log))]
struct Greeting(String);

impl Perform for Greeting {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Log>().add(format!("greeting {}", self.0));
        if self.0 == "Hello again" && cx.attempt() == 1 {
            return Err("it is tried again".into());
        }
        Ok(())
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "mail", state(Log))]
struct SendWelcome {
    member: u64,
    name: String,
}

impl Perform for SendWelcome {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Log>().add(format!("welcome {} {}", self.member, self.name));
        Ok(())
    }
}

/// Its handler is a program in Ruby.
#[derive(Job, Serialize, Deserialize)]
#[job(queue = "reports", handler = "a program in Ruby")]
pub(crate) struct MakeReport {
    pub(crate) month: String,
}

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.*.updated"), group = "mirror", state(Log))]
struct CopyProfile {
    member: u64,
}

impl Perform for CopyProfile {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Log>().add(format!("mirror {}", self.member));
        Ok(())
    }
}

/// Another kind with the same pattern.
#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.*.updated"), group = "audit", state(Log))]
struct CountChange {
    changed: Vec<String>,
}

impl Perform for CountChange {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Log>().add(format!("audit {:?}", self.changed));
        Ok(())
    }
}

/// A worker of one queue.
pub(crate) struct Crew {
    pub(crate) log: Log,
    stop: StopHandle,
    running: JoinHandle<job_core::error::Result<Stopped>>,
}

impl Crew {
    pub(crate) async fn start(client: &Client, queue: &str) -> Self {
        let log = Log::default();
        let worker = Worker::builder().client(client.clone()).state(log.clone());
        let worker = worker.only_queues(vec![QueueConfig::parse(queue).unwrap()]).build().unwrap();
        Self { log, stop: worker.stop_handle(), running: tokio::spawn(worker.run()) }
    }

    pub(crate) async fn stop(self) {
        self.stop.drain();
        let stopped = self.running.await.unwrap().unwrap();
        assert!(stopped.failure.is_none() && stopped.unfinished == 0, "{stopped:?}");
    }
}
