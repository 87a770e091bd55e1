//! Jobs that run one after the other: an order is reserved, paid, and shipped.
//!
//! Each step is a job of its own, with its own retries, and is enqueued when the one before it has completed. Where a step
//! dies, the rest stays with it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use job_core::broker::{JobState, Page};
use job_core::{Client, Context, Job, JobError, Perform, QueueName, chain};
use job_worker::Worker;
use serde::{Deserialize, Serialize};

/// What was done, in its order; here, a list instead of a warehouse and a bank.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, line: String) {
        println!("{line}");
        self.0.lock().expect("no run panics").push(line);
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(state(Log))]
struct Reserve {
    order: u32,
}

impl Perform for Reserve {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Log>().note(format!("order {}: reserved", self.order));
        Ok(())
    }
}

/// The bank is slow at first, and refuses cards that end with 0.
#[derive(Job, Serialize, Deserialize)]
#[job(queue = "payments", backoff = "fixed(50ms)", state(Log))]
struct Charge {
    order: u32,
    card: u64,
}

impl Perform for Charge {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        if self.card.is_multiple_of(10) {
            return Err(JobError::discard("the card was declined"));
        }
        if cx.attempt() == 1 {
            return Err("the bank is busy".into());
        }
        let tenant = cx.header("tenant").unwrap_or("nobody");
        cx.state::<Log>().note(format!("order {}: charged for {tenant} at attempt {}", self.order, cx.attempt()));
        Ok(())
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "parcels", state(Log))]
struct Ship {
    order: u32,
}

impl Perform for Ship {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Log>().note(format!("order {}: shipped", self.order));
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // A file, or RabbitMQ: `JOB_BROKER=amqp://localhost`.
    let url = std::env::var("JOB_BROKER").unwrap_or(format!("sqlite:{}/jobs.db", folder.path().display()));
    let client = Client::connect(&url).await?;
    let log = Log::default();
    let worker = || Worker::builder().client(client.clone()).state(log.clone()).exit_when_idle().build();

    // One enqueue for all three. Headers go along the chain; the other options are those of its first job.
    let order = chain![Reserve { order: 1 }, Charge { order: 1, card: 4711 }, Ship { order: 1 }];
    let id = client.enqueue_chain(order).header("tenant", "acme").await?;
    worker()?.run().await?;
    let expected = ["order 1: reserved", "order 1: charged for acme at attempt 2", "order 1: shipped"];
    assert_eq!(*log.0.lock().expect("no run panics"), expected);
    // Who knows the first id knows the others, too. RabbitMQ cannot look for one.
    let can_find = client.broker().capabilities().can_find;
    if can_find {
        assert_eq!(client.state(&id.derive("chain/2")).await?, None, "shipped, and forgotten");
    }

    // The same step by step; a step can have options of its own.
    let order = job_core::Chain::new(Reserve { order: 2 })
        .then_with(Charge { order: 2, card: 4710 }, |step| step.max_attempts(3).expires(Duration::from_secs(3600)))
        .then(Ship { order: 2 });
    let id = client.enqueue_chain(order).await?;
    worker()?.run().await?;
    if can_find {
        assert_eq!(client.state(&id.derive("chain/1")).await?, Some(JobState::Dead));
        assert_eq!(client.state(&id.derive("chain/2")).await?, None, "never enqueued");
    }
    ensure!(rest_of_dead_charge(&client).await? == ["ship"], "the dead charge keeps what follows it");
    client.close().await?;
    Ok(())
}

/// Returns the kinds that follow the charge which died; reviving it would go on with them.
async fn rest_of_dead_charge(client: &Client) -> Result<Vec<String>> {
    let inspect = client.broker().inspect().context("this broker can be inspected")?;
    let page = Page { offset: 0, limit: 1 };
    let dead = inspect.peek(&QueueName::parse("payments")?.dead(), page).await?;
    let chain = dead.first().and_then(|job| job.details.chain.as_ref()).context("it died in a chain")?;
    Ok(chain.rest.iter().map(|step| step.kind.as_str().to_owned()).collect())
}
