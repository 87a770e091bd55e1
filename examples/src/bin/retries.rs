//! What a handler can answer, and what happens then: retry, give up, wait, and go on in steps.
//!
//! Five jobs, one a way. Only errors use attempts: waiting (`snooze`) and going on (`continue_with`) do not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use job_core::envelope::DeathReason;
use job_core::{Client, Context, Job, JobError, Perform, QueueName};
use job_worker::Worker;
use serde::{Deserialize, Serialize};

const SHORT: Duration = Duration::from_millis(100);

/// The attempts of the runs of each job, in the order of the runs.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<BTreeMap<&'static str, Vec<u32>>>>);

impl Runs {
    /// Notes a run, and returns how many there were before it.
    fn note<J: Job>(&self, cx: &Context<J>) -> usize {
        println!("{} runs, attempt {} of {}", J::KIND, cx.attempt(), cx.max_attempts());
        let mut runs = self.0.lock().expect("no run panics");
        let attempts = runs.entry(J::KIND).or_default();
        attempts.push(cx.attempt());
        attempts.len() - 1
    }
}

/// Fails twice, then succeeds: any error is retried, here after a fixed delay.
#[derive(Job, Serialize, Deserialize)]
#[job(backoff = "fixed(100ms)", state(Runs))]
struct Flaky;

impl Perform for Flaky {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Runs>().note(&cx);
        if cx.attempt() < 3 {
            return Err("the server is busy".into());
        }
        Ok(())
    }
}

/// Fails each time, and is dead after its last attempt.
#[derive(Job, Serialize, Deserialize)]
#[job(max_attempts = 3, backoff = "fixed(100ms)", state(Runs))]
struct Hopeless;

impl Perform for Hopeless {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Runs>().note(&cx);
        Err(JobError::retry_in(SHORT, "the server is gone"))
    }
}

/// Sees that trying again is pointless, and is dead at once.
#[derive(Job, Serialize, Deserialize)]
#[job(state(Runs))]
struct Pointless;

impl Perform for Pointless {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Runs>().note(&cx);
        Err(JobError::discard("there is no such customer"))
    }
}

/// Waits for something that is not there yet; no error, so no attempt is used.
#[derive(Job, Serialize, Deserialize)]
#[job(state(Runs))]
struct Patient;

impl Perform for Patient {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        if cx.state::<Runs>().note(&cx) < 2 {
            return Err(JobError::snooze(SHORT));
        }
        Ok(())
    }
}

/// Does long work in steps: each run does one page and says where the next one begins. A crash repeats one page only.
#[derive(Job, Serialize, Deserialize)]
#[job(state(Runs))]
struct Import {
    pages: u32,
}

impl Perform for Import {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Runs>().note(&cx);
        let page: u32 = cx.cursor().unwrap_or(0);
        if page + 1 < self.pages {
            return Err(JobError::continue_with(page + 1));
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // A file, or RabbitMQ: `JOB_BROKER=amqp://localhost`.
    let url = std::env::var("JOB_BROKER").unwrap_or(format!("sqlite:{}/jobs.db", folder.path().display()));
    let client = Client::connect(&url).await?;
    client.enqueue(Flaky).await?;
    client.enqueue(Hopeless).await?;
    client.enqueue(Pointless).await?;
    client.enqueue(Patient).await?;
    client.enqueue(Import { pages: 4 }).await?;

    let runs = Runs::default();
    Worker::builder().client(client.clone()).state(runs.clone()).exit_when_idle().build()?.run().await?;

    let expected = BTreeMap::from([
        ("flaky", vec![1, 2, 3]),
        ("hopeless", vec![1, 2, 3]),
        ("pointless", vec![1]),
        ("patient", vec![1, 1, 1]),
        ("import", vec![1, 1, 1, 1]),
    ]);
    assert_eq!(*runs.0.lock().expect("no run panics"), expected);
    let expected = BTreeMap::from([
        ("hopeless".to_owned(), (DeathReason::Attempts, "the server is gone".to_owned())),
        ("pointless".to_owned(), (DeathReason::Discarded, "there is no such customer".to_owned())),
    ]);
    assert_eq!(dead_jobs(&client).await?, expected);
    client.close().await?;
    Ok(())
}

/// Returns the kind of each dead job, and why it is dead.
async fn dead_jobs(client: &Client) -> Result<BTreeMap<String, (DeathReason, String)>> {
    let inspect = client.broker().inspect().context("this broker cannot show its queues")?;
    let page = job_core::broker::Page { offset: 0, limit: 100 };
    let dead = inspect.peek(&QueueName::parse("default")?.dead(), page).await?;
    dead.into_iter()
        .map(|job| {
            let death = job.details.death.clone().context("a dead job says why")?;
            println!("{} is dead: {}", job.kind_str(), death.error);
            Ok((job.kind_str().to_owned(), (death.reason, death.error)))
        })
        .collect()
}
