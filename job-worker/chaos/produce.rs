//! The producer role: publishes the orders of its share at a steady rate, until it has made them all and is told that
//! it is enough.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use job_core::clock::Clock;
use job_core::{BoxError, Client, JobId};
use serde_json::json;
use tokio::task::JoinSet;

use crate::record::{Book, Event, hash};
use crate::relay;
use crate::script::{Expected, Order};

const TICK: Duration = Duration::from_millis(20);

/// Publishes that may be under way at once.
const UNDER_WAY_MAX: usize = 256;

/// What the director tells a producer.
#[derive(clap::Args)]
pub(crate) struct Flags {
    #[arg(long, env = "JOB_BROKER")]
    broker: String,
    #[arg(long)]
    seed: u64,
    /// The number of the first order
    #[arg(long)]
    first: u64,
    /// How far it is to the next one of this producer
    #[arg(long)]
    step: u64,
    /// How many orders to make at least
    #[arg(long)]
    count: u64,
    /// Orders a second
    #[arg(long)]
    rate: f64,
    /// How much longer each job takes than its script says
    #[arg(long)]
    stretch: u32,
    /// A file that says that it is enough, once it exists
    #[arg(long)]
    enough: PathBuf,
}

/// Publishes.
pub(crate) async fn run(flags: &Flags) -> Result<(), BoxError> {
    let (clock, book) = (Clock::system(), Arc::new(Book::of_this_process()?));
    let client = Client::connect(&flags.broker).await?.publish_deadline(Duration::from_secs(5));
    let begun = clock.monotonic();
    let (mut made, mut under_way) = (0, JoinSet::new());
    while made < flags.count || !flags.enough.exists() {
        let due = (clock.monotonic() - begun).as_secs_f64() * flags.rate;
        #[allow(clippy::cast_precision_loss, reason = "orders are few")]
        while (made as f64) < due && under_way.len() < UNDER_WAY_MAX {
            let order = Order::new(flags.seed, flags.first + made * flags.step).stretched(flags.stretch);
            under_way.spawn(publish(client.clone(), Arc::clone(&book), order, clock.clone()));
            made += 1;
        }
        while under_way.try_join_next().is_some() {}
        clock.sleep(TICK).await;
    }
    under_way.join_all().await;
    client.close().await?;
    Ok(())
}

async fn publish(client: Client, book: Arc<Book>, order: Order, clock: Clock) {
    let id = JobId::new(clock.now());
    let payload = order.script.payload();
    let expected = order.script.expected();
    let sent = if order.is_relayed {
        let follower = relay::follower(&id);
        let link = json!({ "then": payload }).to_string();
        book.note(invoked(&follower, &payload, expected, None, false));
        book.note(invoked(&id, &link, Expected::plain(), Some(&follower), false));
        client.enqueue_raw("link", link).queue(relay::QUEUE).id(&id.to_string()).await
    } else {
        book.note(invoked(&id, &payload, expected, None, order.delay.is_some()));
        let kind = if order.script.revivals > 0 { "repair" } else { "chore" };
        let draft = client.enqueue_raw(kind, payload).id(&id.to_string());
        match order.delay {
            Some(delay) => draft.delay(delay).await,
            None => draft.await,
        }
    };
    let id = id.to_string();
    book.note(match sent {
        Ok(_) => Event::Stored { id },
        Err(error) if error.is_unconfirmed() => Event::Unconfirmed { id },
        Err(error) => Event::Rejected { id, error: format!("{error:?}") },
    });
}

fn invoked(id: &JobId, payload: &str, expected: Expected, then: Option<&JobId>, is_delayed: bool) -> Event {
    let hash = hash(payload.as_bytes());
    Event::Invoked { id: id.to_string(), hash, expected, then: then.map(JobId::to_string), is_delayed }
}
