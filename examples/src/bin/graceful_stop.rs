//! Stops a worker in the middle of its work, as every deployment does, and shows that nothing is lost.
//!
//! Started without arguments, this program enqueues jobs, starts itself as the worker process, and sends it TERM while
//! jobs run. What runs is finished; what waits stays stored, with all its attempts, and runs in the next worker.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use job_core::{Client, Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

const JOBS: u32 = 20;
const CONCURRENCY: usize = 4;

#[derive(Job, Serialize, Deserialize)]
struct Work {
    number: u32,
}

impl Perform for Work {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        println!("begin {} attempt {}", self.number, cx.attempt());
        tokio::time::sleep(Duration::from_millis(300)).await;
        println!("end {}", self.number);
        Ok(())
    }
}

fn main() -> ExitCode {
    // This is all that a worker binary needs: it knows `run`, its flags, and what TERM means.
    if std::env::args().len() > 1 {
        return job_worker::main(async |worker| Ok(worker));
    }
    match demonstrate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn demonstrate() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // A file, or RabbitMQ: `JOB_BROKER=amqp://localhost`.
    let broker = std::env::var("JOB_BROKER").unwrap_or(format!("sqlite:{}/jobs.db", folder.path().display()));
    let client = Client::connect(&broker).await?;
    client.enqueue_many((0..JOBS).map(|number| Work { number })).await?;

    let mut first = WorkerProcess::start(&broker, &[])?;
    first.read_begun(CONCURRENCY)?;
    first.terminate()?;
    let first = first.finish()?;
    println!("stopped: {} of {JOBS} jobs are done, none was cut off", first.ended.len());
    assert_eq!(first.begun, first.ended, "what had begun is finished");
    ensure!(first.ended.len() < JOBS as usize, "the worker was stopped too late to show anything");
    let waiting = waiting(&client).await?;
    assert_eq!(waiting, u64::from(JOBS) - first.ended.len() as u64, "what had not begun is still stored");

    let second = WorkerProcess::start(&broker, &["--exit-when-idle"])?.finish()?;
    println!("started again: the other {} jobs are done", second.ended.len());
    assert_eq!(second.begun, second.ended);
    assert!(first.ended.is_disjoint(&second.ended), "nothing ran twice");
    assert_eq!(first.ended.len() + second.ended.len(), JOBS as usize, "nothing was lost");
    assert_eq!(first.attempts.union(&second.attempts).collect::<Vec<_>>(), [&1], "no attempt was used by waiting");
    client.close().await?;
    Ok(())
}

/// Returns how many jobs are ready, and asserts that none is left in any other state. What a broker cannot tell of a queue
/// it does not call 0.
async fn waiting(client: &Client) -> Result<u64> {
    let inspect = client.broker().inspect().context("this broker cannot count its jobs")?;
    let queues = inspect.queues().await?;
    let queue = queues.iter().find(|queue| queue.name.as_str() == "default").context("the queue is gone")?;
    assert_eq!((queue.running.unwrap_or(0), queue.delayed.unwrap_or(0)), (0, 0));
    queue.ready.context("this broker cannot count what is ready")
}

/// A worker in a process of its own, and what its jobs printed so far.
struct WorkerProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    report: Report,
}

#[derive(Default)]
struct Report {
    begun: BTreeSet<u32>,
    ended: BTreeSet<u32>,
    attempts: BTreeSet<u32>,
}

impl WorkerProcess {
    fn start(broker: &str, flags: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["run", "--broker", broker, "--concurrency", &CONCURRENCY.to_string()]).args(flags);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines(), report: Report::default() })
    }

    /// Reads on until so many jobs have begun.
    fn read_begun(&mut self, count: usize) -> Result<()> {
        while self.report.begun.len() < count {
            let line = self.lines.next().context("the worker ended too early")??;
            self.report.note(&line)?;
        }
        Ok(())
    }

    /// Asks the process to stop, as a service manager does.
    fn terminate(&self) -> Result<()> {
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status()?;
        ensure!(status.success(), "the worker cannot be told to stop");
        Ok(())
    }

    /// Waits for the end of the process, which must be a success.
    fn finish(mut self) -> Result<Report> {
        for line in self.lines {
            self.report.note(&line?)?;
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "the worker failed: {status}");
        Ok(self.report)
    }
}

impl Report {
    fn note(&mut self, line: &str) -> Result<()> {
        println!("  worker: {line}");
        match *line.split(' ').collect::<Vec<_>>() {
            ["begin", number, "attempt", attempt] => {
                self.begun.insert(number.parse()?);
                self.attempts.insert(attempt.parse()?);
            }
            ["end", number] => {
                self.ended.insert(number.parse()?);
            }
            _ => {}
        }
        Ok(())
    }
}
