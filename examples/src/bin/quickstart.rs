//! The whole framework on one screen: a job, the app that enqueues it, and the worker that runs it.

use std::sync::{Arc, Mutex};

use job_core::{Client, Context, Job, JobError, Perform};
use job_worker::Worker;
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(state(Outbox))]
struct SendMail {
    to: String,
}

impl Perform for SendMail {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        println!("mail to {}, attempt {}", self.to, cx.attempt());
        cx.state::<Outbox>().0.lock().expect("no run panics").push(self.to);
        Ok(())
    }
}

/// What the application shares with its jobs; here, a list instead of a mail server.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<Vec<String>>>);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // A file, or RabbitMQ: `JOB_BROKER=amqp://localhost`.
    let url = std::env::var("JOB_BROKER").unwrap_or(format!("sqlite:{}/jobs.db", folder.path().display()));
    let client = Client::connect(&url).await?;

    // The app. What is enqueued is on disk, and survives a crash.
    client.enqueue(SendMail { to: "ada@example.org".into() }).await?;
    client.enqueue(SendMail { to: "grace@example.org".into() }).await?;

    // The worker, usually a process of its own; see `graceful_stop`.
    let outbox = Outbox::default();
    let worker = Worker::builder().client(client.clone()).state(outbox.clone()).exit_when_idle().build()?;
    worker.run().await?;

    let mut sent = outbox.0.lock().expect("no run panics").clone();
    sent.sort();
    assert_eq!(sent, ["ada@example.org", "grace@example.org"]);
    client.close().await?;
    Ok(())
}
