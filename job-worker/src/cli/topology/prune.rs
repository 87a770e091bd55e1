//! `topology prune`: removes a subscription by an operator's decision, and only so.
//!
//! First its bindings go, so that nothing more comes; then what waits is moved, one by one and settled as any job, to the
//! dead jobs of its queue; and what is empty then is removed, where brokers keep it. A command that is killed half-way is
//! run again.

use std::process::ExitCode;

use futures_util::future::join_all;
use job_core::broker::{Broker, Inspect, Outcome, Which};
use job_core::envelope::DeathReason;
use job_core::error::Result;
use job_core::name::QueueName;
use job_core::registry::Registry;
use serde_json::json;

use crate::cli::args::PruneFlags;
use crate::cli::ask;
use crate::cli::exit::{Failure, say, unfinished};
use crate::cli::operator::Operator;
use crate::cli::output::{count, print_result};
use crate::placement::Placement;
use crate::subscription_log::{SubscriptionEntry, announced, forget};

/// Events that are taken at once.
const BATCH: usize = 100;

const WHY: &str = "its subscription was removed by `topology prune`";

/// What a queue and its suspect lane hold.
#[derive(Default)]
struct Held {
    waiting: u64,
    running: u64,
    /// One of them is still there.
    is_there: bool,
}

pub(super) async fn prune(url: &str, flags: &PruneFlags) -> Result<ExitCode, Failure> {
    Operator::run(url, async |operator| {
        let entry = known(operator, &flags.queue).await?;
        let held = Held::of(operator, &flags.queue).await?;
        warn(operator, &entry)?;
        let events = count(usize::try_from(held.waiting).unwrap_or(usize::MAX), "event");
        let loss = format!(
            "\"{}\" would get no more events ({}), and {events} that wait there would not run",
            entry.queue,
            listens_to(&entry)
        );
        if !flags.yes && !ask::confirm(&loss, &format!("{loss}. Remove it?"))? {
            say("nothing was removed");
            return Ok(ExitCode::SUCCESS);
        }
        let moved = remove(operator, &flags.queue).await?;
        report(flags, moved);
        if let Some(left) = Held::of(operator, &flags.queue).await?.left() {
            say(&format!("note: {left}; prune it again when its workers have stopped"));
            return Ok(unfinished());
        }
        let broker = operator.client.broker();
        forget(&*broker.ledger(), broker.clock(), &flags.queue).await?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

async fn known(operator: &Operator, queue: &QueueName) -> Result<SubscriptionEntry, Failure> {
    let known = announced(&*operator.client.broker().ledger()).await?;
    known.into_iter().find(|entry| entry.queue == *queue).ok_or_else(|| {
        Failure::missing(format!("no subscription is known that has the queue \"{queue}\"; `topology show` lists them"))
    })
}

/// Says what would bring the subscription back.
fn warn(operator: &Operator, entry: &SubscriptionEntry) -> Result<()> {
    let queue = &entry.queue;
    if let Some(at) = entry.consumed_at.filter(|_| !entry.is_abandoned(operator.clock().now())) {
        say(&format!("note: a worker consumed \"{queue}\" at {at}; one that starts again binds it again"));
    }
    if Placement::new(&Registry::linked()?)?.subscription(queue).is_some() {
        say(&format!("note: this program still listens to it; its workers bind \"{queue}\" again when they start"));
    }
    Ok(())
}

fn listens_to(entry: &SubscriptionEntry) -> String {
    let patterns: Vec<String> = entry.patterns.iter().map(ToString::to_string).collect();
    if patterns.is_empty() { "of what, is not known".into() } else { patterns.join(", ") }
}

async fn remove(operator: &Operator, queue: &QueueName) -> Result<u64> {
    let (broker, inspect) = (operator.client.broker(), operator.inspect()?);
    let queues = [queue.clone(), queue.suspect()];
    let mut moved = 0;
    for queue in &queues {
        broker.undeclare(queue).await?;
        moved += bury_all(&**broker, inspect, queue).await?;
        // Empty now: a broker that keeps what is not can remove it.
        broker.undeclare(queue).await?;
    }
    Ok(moved)
}

/// Moves all that waits to the dead jobs.
async fn bury_all(broker: &dyn Broker, inspect: &dyn Inspect, queue: &QueueName) -> Result<u64> {
    let mut moved = 0;
    loop {
        let taken = inspect.take(queue, Which::First(BATCH)).await?;
        if taken.is_empty() {
            return Ok(moved);
        }
        let now = broker.clock().now();
        let settled = join_all(taken.into_iter().map(|delivery| {
            let mut envelope = delivery.envelope;
            envelope.declare_dead(now, DeathReason::Unsubscribed, WHY);
            delivery.settle.settle(Outcome::Dead { envelope })
        }));
        for outcome in settled.await {
            match outcome {
                Ok(()) => moved += 1,
                Err(error) if error.is_lost() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn report(flags: &PruneFlags, moved: u64) {
    let queue = &flags.queue;
    let events = count(usize::try_from(moved).unwrap_or(usize::MAX), "event");
    let text = format!("removed \"{queue}\"; {events} that waited are kept in \"{}\"", queue.dead());
    print_result(&text, &json!({ "pruned": queue, "moved": moved, "kept_in": queue.dead() }), flags.output.json);
}

impl Held {
    async fn of(operator: &Operator, queue: &QueueName) -> Result<Self> {
        let stats = operator.inspect()?.queues().await?;
        let ours = stats.iter().filter(|stats| stats.name == *queue || stats.name == queue.suspect());
        Ok(ours.fold(Self::default(), |held, stats| Self {
            waiting: held.waiting + stats.ready.unwrap_or(0) + stats.delayed.unwrap_or(0),
            running: held.running + stats.running.unwrap_or(0),
            is_there: true,
        }))
    }

    /// Says what is left, if anything.
    fn left(&self) -> Option<String> {
        match (self.waiting + self.running, self.is_there) {
            (0, false) => None,
            (0, true) => Some("it is still consumed".into()),
            (events, _) => {
                let events = count(usize::try_from(events).unwrap_or(usize::MAX), "event");
                Some(format!("{events} of it run or came back meanwhile"))
            }
        }
    }
}
