//! Schedules: in the attribute of a job, in the worker's code, and made by a client while workers run.
//!
//! Two workers of one application share them; each tick has one job. Nothing here waits for a minute: the schedules run
//! every second or two.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use job_core::clock::Clock;
use job_core::schedule::{Missed, Schedule};
use job_core::{Client, Context, Job, JobError, JobId, Perform};
use job_worker::Worker;
use serde::{Deserialize, Serialize};

job_core::application!("shop");

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ticks that ran, by schedule.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<BTreeMap<String, Vec<JobId>>>>);

impl Log {
    fn note<J>(&self, cx: &Context<J>) {
        let (schedule, tick) = (cx.header("schedule").unwrap_or("none"), cx.header("schedule-tick").unwrap_or("none"));
        println!("{schedule}: the tick of {tick}");
        self.0.lock().expect("no run panics").entry(schedule.to_owned()).or_default().push(cx.id().clone());
    }

    fn count(&self, schedule: &str) -> usize {
        self.0.lock().expect("no run panics").get(schedule).map_or(0, Vec::len)
    }
}

/// Every second by the wall clocks of Berlin, and nightly by those of New York: the second schedule is called `report.2`.
#[derive(Default, Job, Serialize, Deserialize)]
#[job(state(Log))]
#[job(cron = "* * * * * *", tz = "Europe/Berlin")]
#[job(cron = "0 3 * * *", tz = "America/New_York", missed = "skip")]
struct Report {
    is_short: bool,
}

impl Perform for Report {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Log>().note(&cx);
        Ok(())
    }
}

/// Which shop is looked at is said where it is scheduled.
#[derive(Job, Serialize, Deserialize)]
#[job(state(Log))]
struct Sync {
    shop: String,
}

impl Perform for Sync {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Log>().note(&cx);
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
    let every = |seconds| Schedule::every(Duration::from_secs(seconds));

    let mut workers = Vec::new();
    for _ in 0..2 {
        let worker = Worker::builder()
            .client(client.clone())
            .state(log.clone())
            .schedule("sync-berlin", every(2).missed(Missed::Skip), || Sync { shop: "berlin".into() })
            .build()?;
        workers.push((worker.stop_handle(), tokio::spawn(worker.run())));
    }

    // While they run; the workers read such an expression, so one that people wrote is better checked first.
    let schedule = Schedule::cron("* * * * * *").zone("America/New_York");
    job_worker::schedule::check(&schedule)?;
    client.schedules().upsert("sync-york", schedule, Sync { shop: "york".into() }).await?;

    let names = ["shop/report", "shop/sync-berlin", "shop/sync-york"];
    let clock = Clock::system();
    let ran = clock.timeout(PATIENCE, async {
        while names.iter().any(|name| log.count(name) < 2) {
            clock.sleep(Duration::from_millis(20)).await;
        }
    });
    ensure!(ran.await.is_some(), "the schedules did not run twice each");

    // The one that leads stops: the other one goes on at once.
    let (stop, running) = workers.remove(0);
    stop.drain();
    running.await??;
    let before = log.count("shop/report");
    let went_on = clock.timeout(PATIENCE, async {
        while log.count("shop/report") < before + 2 {
            clock.sleep(Duration::from_millis(20)).await;
        }
    });
    ensure!(went_on.await.is_some(), "the other worker did not go on");
    ensure!(client.schedules().remove("sync-york").await?, "it was there");
    let (stop, running) = workers.remove(0);
    stop.drain();
    running.await??;

    for (schedule, mut ids) in std::mem::take(&mut *log.0.lock().expect("no run panics")) {
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        ensure!(ids.len() == count, "{schedule} ran a tick twice");
    }
    client.close().await?;
    Ok(())
}
