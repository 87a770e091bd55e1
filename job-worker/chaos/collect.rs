//! Asks the broker what is left: whether jobs still wait or run, and which are dead.

use job_core::broker::{Inspect, Page, QueueStats};
use job_core::{BoxError, Client, QueueName};

use crate::record::{Book, Event};
use crate::relay;

const PAGE: usize = 1000;

/// Returns the queues in which something waits or runs, and how much.
pub(crate) async fn waiting(client: &Client) -> Result<Vec<(String, u64)>, BoxError> {
    let held = |queue: &QueueStats| [queue.ready, queue.delayed, queue.running].into_iter().flatten().sum::<u64>();
    let queues = inspect(client)?.queues().await?;
    let work = queues.iter().filter(|queue| !queue.name.is_dead());
    Ok(work.map(|queue| (queue.name.to_string(), held(queue))).filter(|(_, count)| *count > 0).collect())
}

/// Writes down which jobs are dead.
pub(crate) async fn note_dead(client: &Client, book: &Book) -> Result<(), BoxError> {
    for queue in [relay::QUEUE, relay::CHORES] {
        let dead = QueueName::parse(queue)?.dead();
        let mut offset = 0;
        loop {
            let page = inspect(client)?.peek(&dead, Page { offset, limit: PAGE }).await?;
            page.iter().for_each(|envelope| book.note(Event::Dead { id: envelope.id.to_string() }));
            offset += page.len();
            if page.len() < PAGE {
                break;
            }
        }
    }
    Ok(())
}

fn inspect(client: &Client) -> Result<&dyn Inspect, BoxError> {
    client.broker().inspect().ok_or_else(|| "this broker cannot say what is left".into())
}
