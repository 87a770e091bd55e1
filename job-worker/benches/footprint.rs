//! What an idle worker costs, and how soon a job of another process starts. Prints one line a figure.
//!
//! `cargo bench -p job-worker --bench footprint [-- --seconds N]`: idles for N seconds (60 unless told otherwise), then
//! enqueues 1 000 jobs, 100 a second, from this process to a worker process on the same file.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use job_core::clock::Clock;
use job_core::{Client, Context, Job, JobError, Perform};
use job_worker::Worker;
use serde::{Deserialize, Serialize};

const JOBS: usize = 1000;
const WORKER: &str = "--worker";

/// Writes down how long it took from the enqueue to the start, in microseconds.
#[derive(Job, Serialize, Deserialize)]
struct Probe {
    sent_at: i64,
    results: PathBuf,
}

impl Perform for Probe {
    async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> {
        let late = Clock::system().now().timestamp_micros() - self.sent_at;
        let mut file = OpenOptions::new().append(true).create(true).open(self.results)?;
        file.write_all(format!("{late}\n").as_bytes())?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().position(|arg| arg == WORKER) {
        Some(at) => work(&args[at + 1]).await,
        None => measure(idle_seconds(&args)).await,
    }
    ExitCode::SUCCESS
}

async fn work(url: &str) {
    let client = Client::connect(url).await.expect("the file is there");
    Worker::builder().client(client).build().expect("a sound worker").run().await.expect("it runs");
}

async fn measure(idle: Duration) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let client = Client::connect(&url).await.expect("a fresh database");
    let worker = start(&url);
    let results = folder.path().join("results");
    probe(&client, &results, 1).await;
    footprint(&worker.0, idle).await;
    probe(&client, &results, JOBS).await;
    let mut late: Vec<i64> = read(&results).into_iter().skip(1).collect();
    late.sort_unstable();
    let milliseconds = |share: usize| format!("{:.1}", late[(late.len() - 1) * share / 100] as f64 / 1000.0);
    println!("start_latency p50={} ms p99={} ms max={} ms", milliseconds(50), milliseconds(99), milliseconds(100));
}

async fn footprint(worker: &Child, idle: Duration) {
    let before = cpu_ticks(worker.id());
    Clock::system().sleep(idle).await;
    let ticks = cpu_ticks(worker.id()) - before;
    println!("idle_cpu {:.2} s in {} s", ticks as f64 / 100.0, idle.as_secs());
    println!("idle_rss {:.1} MiB", resident_kib(worker.id()) as f64 / 1024.0);
}

/// Enqueues jobs, a hundred a second, and waits until all have started.
async fn probe(client: &Client, results: &Path, jobs: usize) {
    let clock = Clock::system();
    let expected = read(results).len() + jobs;
    for _ in 0..jobs {
        let sent_at = clock.now().timestamp_micros();
        client.enqueue(Probe { sent_at, results: results.into() }).await.expect("stored");
        clock.sleep(Duration::from_millis(10)).await;
    }
    while read(results).len() < expected {
        clock.sleep(Duration::from_millis(10)).await;
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(url: &str) -> Process {
    let program = std::env::current_exe().expect("this program");
    Process(Command::new(program).args([WORKER, url]).stdin(Stdio::null()).spawn().expect("it starts"))
}

fn read(results: &Path) -> Vec<i64> {
    let text = fs::read_to_string(results).unwrap_or_default();
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

/// User and system time in hundredths of a second: fields 14 and 15 of proc_pid_stat(5), after the command's name.
fn cpu_ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("the worker runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a line").split_whitespace().collect();
    fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
}

fn resident_kib(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the worker runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

fn idle_seconds(args: &[String]) -> Duration {
    let at = args.iter().position(|arg| arg == "--seconds");
    let seconds = at.map_or(60, |at| args[at + 1].parse().expect("--seconds takes a whole number"));
    Duration::from_secs(seconds)
}
