//! Jobs that cannot run are kept with their reason: looked at, brought back once the cause is mended, or removed.
//!
//! An operator does the same with `my-worker dead list|show|retry|purge`; this is what those commands do.

use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use job_core::broker::{Delivery, Outcome, Outgoing, Page, Which};
use job_core::envelope::{DeathReason, Envelope};
use job_core::{Client, Context, Job, JobError, JobId, Perform, QueueName};
use job_worker::Worker;
use serde::{Deserialize, Serialize};

/// The mail server of this example, with what it has sent: it is down at first.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Option<Vec<String>>>>);

impl Server {
    fn start(&self) {
        *self.0.lock().expect("no run panics") = Some(Vec::new());
    }

    fn sent(&self) -> Option<Vec<String>> {
        self.0.lock().expect("no run panics").clone()
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "mail", max_attempts = 2, backoff = "fixed(10ms)", state(Server))]
struct SendMail {
    to: String,
}

impl Perform for SendMail {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        if !self.to.contains('@') {
            return Err(JobError::discard(format!("{:?} is no address", self.to)));
        }
        let mut server = cx.state::<Server>().0.lock().expect("no run panics");
        let sent = server.as_mut().ok_or("the mail server is down")?;
        println!("mail to {}", self.to);
        sent.push(self.to);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // A file, or RabbitMQ: `JOB_BROKER=amqp://localhost`.
    let url = std::env::var("JOB_BROKER").unwrap_or(format!("sqlite:{}/jobs.db", folder.path().display()));
    let client = Client::connect(&url).await?;
    let server = Server::default();
    let mail = QueueName::parse("mail")?;

    let sound = client.enqueue(SendMail { to: "ada@example.org".into() }).await?;
    let broken = client.enqueue(SendMail { to: "nowhere".into() }).await?;
    work(&client, &server).await?;

    let dead = dead(&client, &mail).await?;
    for envelope in &dead {
        let death = envelope.details.death.as_ref().context("a dead job has a reason")?;
        println!("{} is dead ({}): {}", envelope.id, death.reason.as_str(), death.error);
    }
    let reason = |id: &JobId| {
        let found = dead.iter().find(|envelope| envelope.id == *id)?;
        found.details.death.as_ref().map(|death| death.reason)
    };
    assert_eq!(reason(&sound), Some(DeathReason::Attempts));
    assert_eq!(reason(&broken), Some(DeathReason::Discarded));

    // The cause is mended: bring back what can run, and remove what never will.
    server.start();
    bring_back(&client, &mail, &sound).await?;
    remove(&client, &mail, &broken).await?;
    work(&client, &server).await?;

    assert_eq!(self::dead(&client, &mail).await?, []);
    assert_eq!(server.sent(), Some(vec!["ada@example.org".to_owned()]));
    client.close().await?;
    Ok(())
}

async fn work(client: &Client, server: &Server) -> anyhow::Result<()> {
    let worker = Worker::builder().client(client.clone()).state(server.clone()).exit_when_idle().build()?;
    worker.run().await?;
    Ok(())
}

async fn dead(client: &Client, queue: &QueueName) -> anyhow::Result<Vec<Envelope>> {
    let inspect = client.broker().inspect().context("this broker can be inspected")?;
    Ok(inspect.peek(&queue.dead(), Page { offset: 0, limit: 100 }).await?)
}

/// Begins a new life of a dead job, in the step that removes it from the dead: a crash never leaves neither.
async fn bring_back(client: &Client, queue: &QueueName, id: &JobId) -> anyhow::Result<()> {
    let delivery = take(client, queue, id).await?;
    let mut envelope = delivery.envelope.clone();
    envelope.revive();
    let then = vec![Outgoing::only(queue.clone(), envelope)];
    Ok(delivery.settle.settle(Outcome::Done { then }).await?)
}

async fn remove(client: &Client, queue: &QueueName, id: &JobId) -> anyhow::Result<()> {
    let delivery = take(client, queue, id).await?;
    Ok(delivery.settle.settle(Outcome::Done { then: vec![] }).await?)
}

async fn take(client: &Client, queue: &QueueName, id: &JobId) -> anyhow::Result<Delivery> {
    let inspect = client.broker().inspect().context("this broker can be inspected")?;
    inspect.take(&queue.dead(), Which::Id(id.clone())).await?.pop().context("the job is not dead")
}
