//! Our side of each figure, by the URL of whatever broker: a client stores, a worker with its metrics runs.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use job_core::clock::Clock;
use job_core::error::Result;
use job_core::observation::Observer;
use job_core::topology::{Pattern, Topology};
use job_core::{Client, Job, QueueName};
use job_worker::metrics::Metrics;
use job_worker::{StopHandle, Stopped, Worker, WorkerBuilder};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::job::{Arrivals, Noop, Tally, Waiting};
use crate::rival::Place;
use crate::sample::{Sample, Stopwatch};
use crate::usage;

/// What makes this program a worker that measures itself.
pub(crate) const ALONE: &str = "--drain-alone";

/// Jobs that run at once.
const CONCURRENCY: usize = 100;

/// Jobs of one call of `enqueue_many`.
const MANY: usize = 10_000;

/// Stores jobs that are not measured.
pub(crate) fn prepare(place: &dyn Place, jobs: usize) {
    store_many(place, jobs, Noop::new);
}

/// As [`prepare`], jobs that wait once.
pub(crate) fn prepare_waiting(place: &dyn Place, jobs: usize) {
    store_many(place, jobs, Waiting::new);
}

pub(crate) fn enqueue_one_by_one(place: &dyn Place, jobs: usize) -> Sample {
    with_client(&place.url(), async |client| {
        let watch = Stopwatch::start(place.server());
        for account in 0..jobs {
            client.enqueue(Noop::new(account)).await.expect("it is stored");
        }
        watch.stop(jobs)
    })
}

pub(crate) fn enqueue_for_callers(place: &dyn Place, jobs: usize, callers: usize) -> Sample {
    with_client(&place.url(), async |client| {
        let watch = Stopwatch::start(place.server());
        let call = |caller: usize| {
            let client = client.clone();
            tokio::spawn(async move {
                for account in (caller..jobs).step_by(callers) {
                    client.enqueue(Noop::new(account)).await.expect("it is stored");
                }
            })
        };
        let tasks: Vec<JoinHandle<()>> = (0..callers).map(call).collect();
        for task in tasks {
            task.await.expect("the caller has ended");
        }
        watch.stop(jobs)
    })
}

pub(crate) fn enqueue_many(place: &dyn Place, jobs: usize) -> Sample {
    store_many(place, jobs, Noop::new)
}

fn store_many<J: Job>(place: &dyn Place, jobs: usize, job: fn(usize) -> J) -> Sample {
    with_client(&place.url(), async |client| {
        let watch = Stopwatch::start(place.server());
        for begin in (0..jobs).step_by(MANY) {
            let batch = begin..jobs.min(begin + MANY);
            client.enqueue_many(batch.map(job)).await.expect("they are stored");
        }
        watch.stop(jobs)
    })
}

/// Binds the queues, and publishes events to all of them.
pub(crate) fn publish(place: &dyn Place, events: usize, queues: &[String]) -> Sample {
    with_client(&place.url(), async |client| {
        let bind = |topology: Topology, name: &String| {
            topology.bind(QueueName::parse(name).expect("a queue's name"), Pattern::Fanout("noops".into()))
        };
        let topology = queues.iter().fold(Topology::default(), bind);
        client.broker().declare(&topology).await.expect("they are bound");
        let watch = Stopwatch::start(place.server());
        for begin in (0..events).step_by(MANY) {
            let batch = begin..events.min(begin + MANY);
            client.publish_many(batch.map(Noop::new)).await.expect("they are stored");
        }
        watch.stop(events)
    })
}

/// Runs jobs until so many are done; others may be left.
pub(crate) fn drain(place: &dyn Place, jobs: usize) -> Sample {
    with_client(&place.url(), async |client| {
        let watch = Stopwatch::start(place.server());
        let worker = run_jobs(&client, jobs).await;
        if !place.is_over_when_empty() {
            let sample = watch.stop(jobs);
            worker.stop().await;
            return sample;
        }
        worker.stop().await;
        place.wait_empty();
        watch.stop(jobs)
    })
}

/// Starts a worker, and returns it when it has run so many jobs.
async fn run_jobs(client: &Client, jobs: usize) -> Running {
    let tally = Arc::new(Tally::new(jobs));
    let worker = start(worker(client, Arc::new(Arrivals::new())).observer(Arc::clone(&tally) as Arc<dyn Observer>));
    tally.over.notified().await;
    worker
}

/// Returns how long jobs took from before they were stored until their handlers started, one stored each `every`.
pub(crate) fn latencies(place: &dyn Place, jobs: usize, every: Duration) -> Vec<Duration> {
    with_client(&place.url(), async |client| {
        let clock = Clock::system();
        let arrivals = Arc::new(Arrivals::new());
        let tally = Arc::new(Tally::new(jobs));
        let builder = worker(&client, Arc::clone(&arrivals)).observer(Arc::clone(&tally) as Arc<dyn Observer>);
        let worker = start(builder);
        let begun = clock.monotonic();
        for turn in 0..u32::try_from(jobs).expect("few") {
            clock.sleep((begun + every * (turn + 1)).saturating_duration_since(clock.monotonic())).await;
            client.enqueue(arrivals.probe()).await.expect("it is stored");
        }
        tally.over.notified().await;
        worker.stop().await;
        arrivals.take()
    })
}

/// Drains in a process of its own, and returns the peak of its resident size in MiB.
pub(crate) fn rss_peak_mib(place: &dyn Place, jobs: usize) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args([ALONE, &place.url(), &jobs.to_string()]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim().parse().unwrap_or_else(|_| panic!("no size: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// What the process of its own does.
pub(crate) fn drain_alone(url: &str, jobs: usize) {
    with_client(url, async |client| run_jobs(&client, jobs).await.stop().await);
    println!("{:.1}", usage::rss_peak_mib());
}

struct Running {
    task: JoinHandle<Result<Stopped>>,
    stop: StopHandle,
}

impl Running {
    async fn stop(self) {
        self.stop.drain();
        let stopped = self.task.await.expect("no panic").expect("it has run");
        assert_eq!(stopped.unfinished, 0);
    }
}

fn worker(client: &Client, arrivals: Arc<Arrivals>) -> WorkerBuilder {
    let metrics: Arc<dyn Observer> = Arc::new(Metrics::new());
    Worker::builder().client(client.clone()).concurrency(CONCURRENCY).state(arrivals).observer(metrics)
}

fn start(builder: WorkerBuilder) -> Running {
    let worker = builder.build().expect("a sound worker");
    let stop = worker.stop_handle();
    Running { task: tokio::spawn(worker.run()), stop }
}

fn with_client<T>(url: &str, work: impl AsyncFnOnce(Client) -> T) -> T {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = Client::connect(url).await.expect("the broker is there");
        let output = work(client.clone()).await;
        client.close().await.expect("it is closed");
        output
    })
}
