//! The relay role: takes jobs of a queue of its own by the broker's seam, and is done with each by storing another.
//!
//! The worker settles nothing with `then`, so this is what tries that the follower of a job is stored with its end.

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::{Delivery, Outcome, Outgoing, Window};
use job_core::clock::Clock;
use job_core::envelope::Envelope;
use job_core::topology::Topology;
use job_core::{BoxError, Client, JobId, Kind, QueueName};
use serde::Deserialize;

use crate::record::{Book, Event, Settled, Turn, hash};

/// The queue of the relay.
pub(crate) const QUEUE: &str = "links";

/// The queue of the workers.
pub(crate) const CHORES: &str = "chores";

const SLOTS: usize = 8;
const RUN_MAX_MS: u64 = 30;

#[derive(Deserialize)]
struct Link {
    then: String,
}

/// Returns the id of the job that a link leads to.
pub(crate) fn follower(link: &JobId) -> JobId {
    link.derive("then")
}

/// Moves jobs on, until it is killed.
pub(crate) async fn run() -> Result<(), BoxError> {
    let url = std::env::var("JOB_BROKER")?;
    let (clock, book) = (Clock::system(), Arc::new(Book::of_this_process()?));
    let client = Client::connect(&url).await?;
    let queue = QueueName::parse(QUEUE)?;
    client.broker().declare(&Topology::default().queue(queue.clone())).await?;
    let mut consumer = client.broker().consume(&queue, Window { slots: SLOTS, claims_ahead: true }).await?;
    loop {
        let deliveries = consumer.next_many(SLOTS).await?;
        if deliveries.is_empty() {
            return Err("the relay's consumer was closed".into());
        }
        let runs =
            deliveries.into_iter().map(|delivery| tokio::spawn(pass(delivery, Arc::clone(&book), clock.clone())));
        for run in runs.collect::<Vec<_>>() {
            run.await??;
        }
    }
}

async fn pass(delivery: Delivery, book: Arc<Book>, clock: Clock) -> Result<(), BoxError> {
    let Delivery { envelope, settle, .. } = delivery;
    let turn = Turn::of(&envelope);
    book.note(Event::Started { turn: turn.clone(), hash: hash(&envelope.payload) });
    let Link { then } = serde_json::from_slice(&envelope.payload)?;
    clock.sleep(Duration::from_millis(fastrand::u64(0..=RUN_MAX_MS))).await;
    let next = Envelope::new(follower(&envelope.id), Kind::parse("chore")?, then.into_bytes(), clock.now());
    book.note(Event::Effect { id: turn.id.clone() });
    let then = vec![Outgoing::to_queue(QueueName::parse(CHORES)?, next)];
    match settle.settle(Outcome::Done { then }).await {
        Ok(()) => book.note(Event::Settled { turn, outcome: Settled::Gone }),
        Err(_) => book.note(Event::Unrecorded { turn }),
    }
    Ok(())
}
