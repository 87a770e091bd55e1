//! Jobs that cannot run are kept with their reason: looked at, brought back once the cause is mended, or removed.
//!
//! An operator does the same with `my-worker dead list|show|retry|purge`; this is what those commands do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use job_core::broker::{Outcome, Outgoing, Page, Which};
use job_core::envelope::{DeathReason, Envelope};
use job_core::{Client, Context, Job, JobError, JobId, Perform, QueueName};
use job_worker::Worker;
use serde::{Deserialize, Serialize};

/// The mail server of this example: it is down at first.
#[derive(Clone, Default)]
struct Server(Arc<AtomicBool>);

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
        if !cx.state::<Server>().0.load(Ordering::Relaxed) {
            return Err("the mail server is down".into());
        }
        println!("mail to {}", self.to);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let client = Client::connect(&format!("sqlite:{}/jobs.db", folder.path().display())).await?;
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
    server.0.store(true, Ordering::Relaxed);
    bring_back(&client, &mail, &sound).await?;
    assert!(client.cancel(&broken).await?);
    work(&client, &server).await?;

    assert_eq!(self::dead(&client, &mail).await?, []);
    assert_eq!(client.state(&sound).await?, None, "it has run");
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

/// Begins a new life of a dead job, in the step that removes it from the dead: a crash leaves one of the two.
async fn bring_back(client: &Client, queue: &QueueName, id: &JobId) -> anyhow::Result<()> {
    let inspect = client.broker().inspect().context("this broker can be inspected")?;
    for delivery in inspect.take(&queue.dead(), Which::Id(id.clone())).await? {
        let mut envelope = delivery.envelope.clone();
        envelope.revive();
        let then = vec![Outgoing::only(queue.clone(), envelope)];
        delivery.settle.settle(Outcome::Done { then }).await?;
    }
    Ok(())
}
