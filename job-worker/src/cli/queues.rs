//! `queues`: how much waits where.

use job_core::broker::QueueStats;
use job_core::clock::Timestamp;
use serde_json::{Value, json};

use crate::cli::args::OutputFlags;
use crate::cli::exit::Failure;
use crate::cli::operator::Operator;
use crate::cli::output::print_rows;

pub(super) async fn list(url: &str, output: OutputFlags) -> Result<(), Failure> {
    Operator::run(url, async |operator| {
        let now = operator.clock().now();
        let rows = operator.inspect()?.queues().await?.iter().map(|stats| row(stats, now)).collect();
        print_rows(rows, &["queue", "ready", "delayed", "running", "oldest_ready_milliseconds"], output.json);
        Ok(())
    })
    .await
}

fn row(stats: &QueueStats, now: Timestamp) -> Value {
    let age = stats.oldest_ready.map(|at| (now - at).num_milliseconds().max(0));
    json!({
        "queue": stats.name,
        "ready": stats.ready,
        "delayed": stats.delayed,
        "running": stats.running,
        "oldest_ready_milliseconds": age,
    })
}
