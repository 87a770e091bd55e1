//! `queues`: how much waits where, and which subscriptions nobody consumes any more.

use job_core::broker::QueueStats;
use job_core::clock::Timestamp;
use serde_json::{Value, json};

use crate::cli::args::OutputFlags;
use crate::cli::exit::{Failure, say};
use crate::cli::operator::Operator;
use crate::cli::output::print_rows;
use crate::subscription_log::{SubscriptionEntry, announced};

pub(super) async fn list(url: &str, output: OutputFlags) -> Result<(), Failure> {
    Operator::run(url, async |operator| {
        let now = operator.clock().now();
        let subscriptions = announced(&*operator.client.broker().ledger()).await?;
        let subscription = |stats: &QueueStats| subscriptions.iter().find(|entry| entry.queue == stats.name);
        let stats = operator.inspect()?.queues().await?;
        let is_delayed_unknown = stats.iter().any(|stats| stats.delayed.is_none());
        let delayed = if is_delayed_unknown { operator.inspect()?.delayed().await? } else { None };
        let rows = stats.iter().map(|stats| row(stats, subscription(stats), now)).collect();
        let mut columns = vec!["queue", "ready", "delayed", "running", "oldest_ready_milliseconds"];
        // Most have none: a column of dashes would only be in the way.
        columns.extend((!subscriptions.is_empty()).then_some("subscription"));
        print_rows(rows, &columns, output.json);
        if let Some(delayed) = delayed.filter(|count| *count > 0) {
            let jobs = if delayed == 1 { "job is" } else { "jobs are" };
            say(&format!("note: {delayed} {jobs} not due yet; this broker does not tell for which queues"));
        }
        subscriptions.iter().filter(|entry| entry.is_abandoned(now)).for_each(tell_abandoned);
        Ok(())
    })
    .await
}

fn row(stats: &QueueStats, subscription: Option<&SubscriptionEntry>, now: Timestamp) -> Value {
    let age = stats.oldest_ready.map(|at| (now - at).num_milliseconds().max(0));
    json!({
        "queue": stats.name,
        "ready": stats.ready,
        "delayed": stats.delayed,
        "running": stats.running,
        "oldest_ready_milliseconds": age,
        "subscription": subscription.map(|entry| if entry.is_abandoned(now) { "abandoned" } else { "consumed" }),
        "last_consumed": subscription.and_then(|entry| entry.consumed_at),
    })
}

/// It gathers events all the time.
fn tell_abandoned(entry: &SubscriptionEntry) {
    let queue = &entry.queue;
    let since = entry.consumed_at.map_or_else(|| "none ever did".to_owned(), |at| format!("the last did at {at}"));
    say(&format!(
        "note: no worker consumes the subscription \"{queue}\" ({since}), and it gathers events; start one, or remove it \
         with `topology prune {queue}`"
    ));
}
