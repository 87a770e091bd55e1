//! The operator role: redrives every dead job of one queue, by the operator's side of the seam.

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::{Delivery, Inspect, Outcome, Outgoing, Which};
use job_core::clock::Clock;
use job_core::topology::Topology;
use job_core::{BoxError, Client, QueueName};
use tokio::task::JoinSet;

use crate::record::{Book, Event, Turn};

/// The queue whose dead are redriven.
pub(crate) const QUEUE: &str = "repairs";

/// Dead jobs that are taken at once.
const BATCH: usize = 20;

/// Between two looks at the dead: a look gives back nothing, so it costs little.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a job is held at the most: long enough for a kill to find it in the operator's hands.
const HOLD_MAX_MS: u64 = 30;

/// Redrives, until it is killed.
pub(crate) async fn run() -> Result<(), BoxError> {
    let url = std::env::var("JOB_BROKER")?;
    let (clock, book) = (Clock::system(), Arc::new(Book::of_this_process()?));
    let client = Client::connect(&url).await?;
    let queue = QueueName::parse(QUEUE)?;
    client.broker().declare(&Topology::default().queue(queue.clone())).await?;
    let inspect = client.broker().inspect().ok_or("this broker has no dead jobs to redrive")?;
    loop {
        // A broker that is away comes back: the dead are still there then.
        if let Ok(dead) = take(inspect, &queue).await {
            let redrives = dead.into_iter().map(|job| redrive(job, queue.clone(), Arc::clone(&book), clock.clone()));
            redrives.collect::<JoinSet<()>>().join_all().await;
        }
        clock.sleep(PAUSE).await;
    }
}

async fn take(inspect: &dyn Inspect, queue: &QueueName) -> job_core::error::Result<Vec<Delivery>> {
    inspect.take(&queue.dead(), Which::First(BATCH)).await
}

async fn redrive(job: Delivery, queue: QueueName, book: Arc<Book>, clock: Clock) {
    let Delivery { mut envelope, settle, .. } = job;
    let turn = Turn::of(&envelope);
    book.note(Event::Redriving { turn: turn.clone() });
    clock.sleep(Duration::from_millis(fastrand::u64(0..=HOLD_MAX_MS))).await;
    envelope.revive();
    let then = vec![Outgoing::only(queue, envelope)];
    book.note(match settle.settle(Outcome::Done { then }).await {
        Ok(()) => Event::Redriven { turn },
        Err(_) => Event::Unredriven { turn },
    });
}
