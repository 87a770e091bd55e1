//! What each role does: enqueue, work, or both.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use job_core::{Client, JobId};
use job_worker::signals::Signals;
use job_worker::{Worker, WorkerBuilder};

use crate::args::Args;
use crate::inspection::inspect;
use crate::order;
use crate::progress::Progress;
use crate::resize_photo::ResizePhoto;
use crate::tally::Tally;

/// Enqueues, works until everything is done, and checks the result.
pub(crate) async fn both(args: &Args) -> Result<()> {
    let client = Client::connect(&args.broker).await?;
    let (ids, jobs) = enqueue(&client, args).await?;
    let tally = Arc::new(Tally::new(Progress::new(jobs.len()), &ids));
    work(worker_builder(&client, &tally).exit_when_idle(), &tally).await?;
    let dead = inspect(&client, &tally, &ids, &jobs).await?;
    ensure!(dead == 0 || args.photos.is_some(), "{dead} jobs for the photographs of the example are dead");
    client.close().await?;
    Ok(())
}

/// Enqueues and answers at once.
pub(crate) async fn app(args: &Args) -> Result<()> {
    let client = Client::connect(&args.broker).await?;
    enqueue(&client, args).await?;
    client.close().await?;
    Ok(())
}

/// Works until it is stopped, or idle where that is the end.
pub(crate) async fn worker(args: &Args) -> Result<()> {
    let client = Client::connect(&args.broker).await?;
    let tally = Arc::new(Tally::new(Progress::new(0), &[]));
    let builder = worker_builder(&client, &tally);
    work(if args.exit_when_idle { builder.exit_when_idle() } else { builder }, &tally).await?;
    client.close().await?;
    Ok(())
}

async fn enqueue(client: &Client, args: &Args) -> Result<(Vec<JobId>, Vec<ResizePhoto>)> {
    let jobs = order::jobs(args.photos(), &args.out, &args.widths)?;
    let start = Instant::now();
    let ids = client.enqueue_many(jobs.iter().cloned()).await?;
    println!("enqueued={} milliseconds={}", ids.len(), start.elapsed().as_millis());
    Ok((ids, jobs))
}

fn worker_builder(client: &Client, tally: &Arc<Tally>) -> WorkerBuilder {
    // Each job computes: more of them than processors would only wait, each with its photograph in memory.
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    Worker::builder()
        .client(client.clone())
        .state(tally.progress().clone())
        .observer(Arc::clone(tally) as _)
        .concurrency(jobs)
}

/// Runs a worker to its end, and prints what it did.
async fn work(builder: WorkerBuilder, tally: &Tally) -> Result<()> {
    let worker = builder.build()?;
    let signals = tokio::spawn(Signals::install()?.pass_to(worker.stop_handle()));
    tally.progress().print("working; Ctrl-C stops when what runs is finished");
    let stopped = worker.run().await?;
    signals.abort();
    tally.progress().finish();
    println!("{tally}");
    match stopped.failure {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
