//! Asks the broker what is left: whether jobs still wait or run, and which are dead.

use job_core::broker::{Inspect, Page, QueueStats};
use job_core::{BoxError, Client, QueueName};

use crate::operate;
use crate::plan::Plan;
use crate::record::{Book, Event};
use crate::relay;

/// Dead jobs of a queue that can be looked at: those of a file, and those of a broker that is browsed by taking and giving
/// back.
const DEAD_MAX: [usize; 2] = [1_000_000, 10_000];

/// Settings and leaderships, which stay.
const NO_JOBS: [&str; 2] = ["jobs.ledger", "jobs.lock."];

/// Returns the queues in which something waits or runs, and how much. The dead that are to be redriven wait, too.
pub(crate) async fn waiting(client: &Client, plan: &Plan) -> Result<Vec<(String, u64)>, BoxError> {
    let queues = match plan.broker.queues(&plan.folder)? {
        Some(queues) => queues,
        None => counted(client).await?,
    };
    let redriven = QueueName::parse(operate::QUEUE)?.dead();
    let is_work = |name: &str| {
        let is_other = name.ends_with(".dead") || NO_JOBS.iter().any(|other| name.starts_with(other));
        !is_other || name == redriven.as_str()
    };
    // A broker that names no queue has not counted.
    if !queues.iter().any(|(name, _)| name == relay::CHORES) {
        return Ok(vec![(relay::CHORES.to_owned(), 1)]);
    }
    Ok(queues.into_iter().filter(|(name, count)| *count > 0 && is_work(name)).collect())
}

async fn counted(client: &Client) -> Result<Vec<(String, u64)>, BoxError> {
    let held = |queue: &QueueStats| [queue.ready, queue.delayed, queue.running].into_iter().flatten().sum::<u64>();
    let queues = inspect(client)?.queues().await?;
    Ok(queues.iter().map(|queue| (queue.name.to_string(), held(queue))).collect())
}

/// Writes down which jobs are dead. In one page: not every broker leaves what was looked at in its place.
pub(crate) async fn note_dead(client: &Client, plan: &Plan, book: &Book) -> Result<(), BoxError> {
    let limit = DEAD_MAX[usize::from(!plan.broker.is_atomic())];
    for queue in [relay::QUEUE, relay::CHORES, operate::QUEUE] {
        let dead = QueueName::parse(queue)?.dead();
        let page = inspect(client)?.peek(&dead, Page { offset: 0, limit }).await?;
        if page.len() == limit {
            return Err(format!("{limit} jobs or more are dead, too many to look at").into());
        }
        page.iter().for_each(|envelope| book.note(Event::Dead { id: envelope.id.to_string() }));
    }
    Ok(())
}

fn inspect(client: &Client) -> Result<&dyn Inspect, BoxError> {
    client.broker().inspect().ok_or_else(|| "this broker cannot say what is left".into())
}
