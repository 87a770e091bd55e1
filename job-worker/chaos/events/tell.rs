//! The teller role: publishes events at a steady rate until it is told that it is enough.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use job_core::clock::Clock;
use job_core::{BoxError, Client, JobId};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::record::{Book, Event};
use crate::script::Expected;

const TICK: Duration = Duration::from_millis(20);

/// Publishes that may be under way at once.
const UNDER_WAY_MAX: usize = 256;

/// What the director tells a teller.
#[derive(clap::Args)]
pub(crate) struct TellFlags {
    #[arg(long, env = "JOB_BROKER")]
    broker: String,
    /// The word of the topic that names the teller
    #[arg(long)]
    source: u32,
    /// Events a second
    #[arg(long)]
    rate: f64,
    /// A file that says that it is enough, once it exists
    #[arg(long)]
    enough: PathBuf,
}

#[derive(job_core::Event, Serialize)]
#[event(topic = "chaos.{source}.happened")]
struct Happened {
    source: u32,
    key: String,
}

/// Publishes.
pub(crate) async fn tell(flags: &TellFlags) -> Result<(), BoxError> {
    let (clock, book) = (Clock::system(), Arc::new(Book::of_this_process()?));
    let client = Client::connect(&flags.broker).await?.publish_deadline(Duration::from_secs(5));
    let begun = clock.monotonic();
    let (mut made, mut under_way) = (0.0, JoinSet::new());
    while !flags.enough.exists() {
        let due = (clock.monotonic() - begun).as_secs_f64() * flags.rate;
        while made < due && under_way.len() < UNDER_WAY_MAX {
            let event = Happened { source: flags.source, key: JobId::new(clock.now()).to_string() };
            under_way.spawn(publish(client.clone(), Arc::clone(&book), event));
            made += 1.0;
        }
        while under_way.try_join_next().is_some() {}
        clock.sleep(TICK).await;
    }
    under_way.join_all().await;
    client.close().await?;
    Ok(())
}

async fn publish(client: Client, book: Arc<Book>, event: Happened) {
    let id = event.key.clone();
    let expected = Expected::plain();
    book.note(Event::Invoked { id: id.clone(), hash: 0, expected, then: None, is_delayed: false });
    book.note(match client.publish(event).await {
        Ok(_) => Event::Stored { id },
        Err(error) if error.is_unconfirmed() => Event::Unconfirmed { id },
        Err(error) => Event::Rejected { id, error: format!("{error:?}") },
    });
}
