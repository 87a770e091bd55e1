//! How exactly the delay wheel of RabbitMQ runs, how fast, and what it costs an idle worker.
//!
//! ```text
//! cargo bench -p job-core --features amqp --bench delay -- random [jobs] [seconds] [workers]
//! cargo bench -p job-core --features amqp --bench delay -- burst [jobs] [pairs]
//! cargo bench -p job-core --features amqp --bench delay -- idle [seconds]
//! cargo bench -p job-core --features amqp --bench delay -- outage [jobs] [seconds] [workers]
//! cargo bench -p job-core --features amqp --bench delay -- leader [jobs] [seconds] [workers]
//! ```
//! Without a command it runs the first three: 10 000 random delays between 1 and 90 s with three workers, seven times 20 000
//! jobs that are due in one second beside a raw loop that consumes, publishes, confirms and acknowledges, and 30 s of
//! idleness. `JOB_BROKER` names the RabbitMQ; `scripts/rabbitmq start` prints one.
//!
//! The others have nodes of their own: `outage` is `random` with a node that is killed in the middle and started again,
//! `leader` with three nodes, of which the one is killed that leads all slots. Both fail when a job is lost, early, or late
//! by more than the outage and 3 s.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach benchmarks")]

#[path = "../../tests/amqp_node/mod.rs"]
mod amqp_node;
#[path = "../../tests/amqp_delay/arrivals.rs"]
mod arrivals;
#[path = "../../tests/amqp_delay/depths.rs"]
mod depths;
#[path = "../../tests/amqp_delay/outage.rs"]
mod outage;
mod raw;

use std::time::Duration;

use job_core::broker::amqp::AmqpBroker;
use job_core::clock::Clock;

use arrivals::{Arrivals, delay, mail, process};
use outage::{Load, turning};
use raw::Raw;

const SECOND: Duration = Duration::from_secs(1);

/// As long as a pump needs to make all slots, and to sweep them once.
const SETTLED: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let number = |at: usize, default: usize| args.get(at).map_or(default, |text| text.parse().expect("a number"));
    let command = args.first().map(String::as_str);
    let load =
        Load { jobs: number(1, 10_000), delay_max: Duration::from_secs(number(2, 90) as u64), workers: number(3, 3) };
    match command {
        Some("outage") => return load.outlives_its_node("bench-outage").await,
        Some("leader") => return load.outlives_its_leader("bench-leader").await,
        _ => {}
    }
    let url = std::env::var("JOB_BROKER").expect("JOB_BROKER names no RabbitMQ; `scripts/rabbitmq start` prints one");
    if matches!(command, None | Some("random")) {
        random(&url, number(1, 10_000), number(2, 90), number(3, 3)).await;
    }
    if matches!(command, None | Some("burst")) {
        burst(&url, number(1, 20_000), number(2, 7)).await;
    }
    if matches!(command, None | Some("idle")) {
        idle(&url, number(1, 30)).await;
    }
}

/// Random delays from 1 s on.
async fn random(url: &str, jobs: usize, seconds: usize, workers: usize) {
    let (name, arrivals) = (namespace(), Arrivals::new());
    let mut brokers = Vec::new();
    for _ in 0..workers {
        let broker = process(url, &name, SECOND).await;
        arrivals.take_from(&broker);
        brokers.push(broker);
    }
    Clock::system().sleep(SETTLED).await;
    let most = Duration::from_secs(seconds as u64).max(SECOND);
    let ids = delay(&brokers[0], &mail(), jobs, |_| SECOND + (most - SECOND).mul_f64(fastrand::f64())).await;
    arrivals.wait(ids.len(), most + 300 * SECOND).await;
    let lateness = arrivals.check(&ids);
    println!("random: {jobs} delays of 1 to {seconds} s, {workers} workers: {lateness}");
}

/// Jobs that are all due at once, moved by one pump and by a raw loop in turns: of all pairs, the median of the ratios
/// counts.
async fn burst(url: &str, jobs: usize, pairs: usize) {
    let (name, raw) = (namespace(), Raw::connect(url).await);
    let broker = process(url, &name, SECOND).await;
    let _consumer = turning(&broker).await;
    Clock::system().sleep(SETTLED).await;
    let mut rates = Vec::new();
    for pair in 0..pairs {
        let [ours, theirs] = if pair % 2 == 0 {
            let ours = burst_by_pump(&broker, &raw, &name, jobs).await;
            [ours, burst_by_raw(&raw, &name, jobs).await]
        } else {
            let theirs = burst_by_raw(&raw, &name, jobs).await;
            [burst_by_pump(&broker, &raw, &name, jobs).await, theirs]
        };
        rates.push((ours, theirs));
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = rates.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[(values.len() - 1) / 2]
    };
    let (ours, theirs, share) = (median(|r| r.0), median(|r| r.1), median(|r| r.0 / r.1));
    println!("burst: {jobs} jobs, moved at {ours:.0}/s by one pump, at {theirs:.0}/s by a raw loop: {share:.2} of it");
}

async fn burst_by_pump(broker: &AmqpBroker, raw: &Raw, name: &str, jobs: usize) -> f64 {
    let due = Clock::system().now() + 12 * SECOND;
    let until = |_| (due - Clock::system().now()).to_std().unwrap_or_default();
    delay(broker, &mail(), jobs, until).await;
    let queue = format!("{name}.mail");
    let rate = raw.arrival_rate(&queue, jobs).await;
    raw.empty(&queue).await;
    rate
}

async fn burst_by_raw(raw: &Raw, name: &str, jobs: usize) -> f64 {
    let [source, target] = ["source", "target"].map(|queue| format!("{name}.{queue}"));
    raw.fill(&source, jobs, &["job-not-before", "job-destination"]).await;
    raw.make(&target).await;
    let (rate, ()) = tokio::join!(raw.arrival_rate(&target, jobs), raw.carry(&source, &target, jobs));
    raw.empty(&target).await;
    rate
}

/// The CPU time of a process that consumes an empty queue and turns the wheel.
async fn idle(url: &str, seconds: usize) {
    let broker = process(url, &namespace(), SECOND).await;
    let _consumer = turning(&broker).await;
    Clock::system().sleep(SETTLED).await;
    let before = cpu_seconds();
    Clock::system().sleep(Duration::from_secs(seconds as u64)).await;
    let share = (cpu_seconds() - before) / seconds as f64;
    println!("idle: one pump and one consumer use {:.2} % of a core", share * 100.0);
}

fn namespace() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(12).collect()
}

/// Returns the CPU time that this process has used.
fn cpu_seconds() -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // The 14th and 15th of all, of which the name is the 2nd.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS_A_SECOND
}
