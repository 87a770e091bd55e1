//! Counters over everything that several producers publish: a listener to `#`, which none of them knows of.
//!
//! An event may come twice, so that counting is idempotent: each id counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use job_core::{Client, Context, Event, Job, JobError, JobId, Perform, Published};
use job_worker::{Worker, apply_topology};
use serde::{Deserialize, Serialize};

job_core::application!("tracking");

#[derive(Event, Serialize)]
#[event(topic = "web.page.viewed")]
struct PageViewed {
    page: String,
}

#[derive(Event, Serialize)]
#[event(topic = "shop.order.placed")]
struct OrderPlaced {
    cents: u32,
}

#[derive(Event, Serialize)]
#[event(topic = "mail.{outcome}")]
struct MailEnded {
    outcome: &'static str,
}

/// What was seen, by the name that events give themselves.
#[derive(Clone, Default)]
struct Counters(Arc<Mutex<BTreeMap<String, BTreeSet<JobId>>>>);

/// It listens to everything, and reads nothing of it but its name.
#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "#"), state(Counters))]
struct Count {}

impl Perform for Count {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let mut counters = cx.state::<Counters>().0.lock().expect("no run panics");
        counters.entry(cx.envelope().kind_str().to_owned()).or_default().insert(cx.id().clone());
        Ok(())
    }
}

/// Something is counted in money too, by another listener of the same program.
#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "shop.#"), state(Turnover))]
struct AddUp {
    cents: u32,
}

#[derive(Clone, Default)]
struct Turnover(Arc<Mutex<BTreeMap<JobId, u32>>>);

impl Perform for AddUp {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Turnover>().0.lock().expect("no run panics").insert(cx.id().clone(), self.cents);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // A file, or RabbitMQ: `JOB_BROKER=amqp://localhost`.
    let url = std::env::var("JOB_BROKER").unwrap_or(format!("sqlite:{}/jobs.db", folder.path().display()));
    let client = Client::connect(&url).await?;
    apply_topology(&client).await?;

    // Three producers at once; each would be a program of its own.
    let web = async {
        let views = (0..300).map(|n| PageViewed { page: format!("/product/{}", n % 7) });
        anyhow::Ok(ids(client.publish_many(views).await?))
    };
    let shop = async {
        let mut placed = Vec::new();
        for cents in [1000, 2500, 499] {
            placed.push(client.publish(OrderPlaced { cents }).await?);
        }
        anyhow::Ok(ids(placed))
    };
    let mail = async {
        let ended = ["delivered", "delivered", "bounced"].map(|outcome| MailEnded { outcome });
        anyhow::Ok(ids(client.publish_many(ended).await?))
    };
    let (viewed, placed, ended) = tokio::try_join!(web, shop, mail)?;

    let (counters, turnover) = (Counters::default(), Turnover::default());
    let worker = Worker::builder().client(client.clone()).state(counters.clone()).state(turnover.clone());
    worker.exit_when_idle().build()?.run().await?;

    let counters = counters.0.lock().expect("no run panics").clone();
    for (name, seen) in &counters {
        println!("{name}: {}", seen.len());
    }
    // On a broker that others use, `#` hears their events too: only our own are known to be there.
    for (name, published, count) in
        [("page_viewed", viewed, 300), ("order_placed", placed.clone(), 3), ("mail_ended", ended, 3)]
    {
        let seen = counters.get(name).map(|seen| seen.intersection(&published).count());
        assert_eq!(seen, Some(count), "{name}");
    }
    let turnover = turnover.0.lock().expect("no run panics").clone();
    let cents: u32 = turnover.iter().filter(|(id, _)| placed.contains(id)).map(|(_, cents)| cents).sum();
    assert_eq!(cents, 3999);
    client.close().await?;
    Ok(())
}

fn ids(published: Vec<Published>) -> BTreeSet<JobId> {
    published.into_iter().map(|published| published.id).collect()
}
