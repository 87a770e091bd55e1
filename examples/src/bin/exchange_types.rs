//! The four ways in which an event finds its listeners: by a topic, by an exact key, by headers, or to all of a fanout.

use std::sync::{Arc, Mutex};

use job_core::{Client, Context, Event, Job, JobError, Perform};
use job_worker::{Worker, apply_topology};
use serde::{Deserialize, Serialize};

job_core::application!("exchange-types");

/// Words with dots between them; a listener takes them by a pattern.
#[derive(Event, Serialize)]
#[event(topic = "order.{country}.placed")]
struct OrderPlaced {
    country: &'static str,
    id: u32,
}

/// One key, letter by letter.
#[derive(Event, Serialize)]
#[event(direct = "convert-{format}")]
struct Uploaded {
    format: &'static str,
    id: u32,
}

/// Headers, all or any of which a listener asks for.
#[derive(Event, Serialize)]
#[event(headers)]
struct Printed {
    #[event(header)]
    format: &'static str,
    #[event(header)]
    size: &'static str,
    id: u32,
}

/// No key at all.
#[derive(Event, Serialize)]
#[event(fanout = "prices")]
struct PricesChanged {
    id: u32,
}

/// Who heard what.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

/// A listener that notes what it hears.
macro_rules! listener {
    ($name:ident, $($on:tt)*) => {
        #[derive(Job, Serialize, Deserialize)]
        #[job($($on)*, state(Heard))]
        struct $name {
            id: u32,
        }

        impl Perform for $name {
            async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
                let heard = format!("{} {}", stringify!($name), self.id);
                cx.state::<Heard>().0.lock().expect("no run panics").push(heard);
                Ok(())
            }
        }
    };
}

listener!(EveryOrder, on(topic = "order.#"));
listener!(SwissOrder, on(topic = "order.ch.*"));
listener!(Pdf, on(direct = "convert-pdf"));
listener!(PdfOrPng, on(direct = "convert-pdf"), on(direct = "convert-png"));
listener!(PdfOnA4, on(headers(all, format = "pdf", size = "a4")));
listener!(PdfOrA4, on(headers(any, format = "pdf", size = "a4")));
listener!(ShopWindow, on(fanout = "prices"));
listener!(PriceList, on(fanout = "prices"));

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // A file, or RabbitMQ: `JOB_BROKER=amqp://localhost`.
    let url = std::env::var("JOB_BROKER").unwrap_or(format!("sqlite:{}/jobs.db", folder.path().display()));
    let client = Client::connect(&url).await?;
    apply_topology(&client).await?;

    client.publish_many([OrderPlaced { country: "ch", id: 1 }, OrderPlaced { country: "at", id: 2 }]).await?;
    client.publish_many([Uploaded { format: "pdf", id: 3 }, Uploaded { format: "png", id: 4 }]).await?;
    let printed = [("pdf", "a4", 5), ("pdf", "a5", 6), ("png", "a4", 7), ("png", "a5", 8)];
    client.publish_many(printed.map(|(format, size, id)| Printed { format, size, id })).await?;
    client.publish(PricesChanged { id: 9 }).await?;

    // Nobody listens to GIFs: such an event is gone, unless the publisher insists.
    client.publish(Uploaded { format: "gif", id: 10 }).await?;
    let error = client.publish(Uploaded { format: "gif", id: 11 }).require_subscriber().await;
    assert!(error.is_err_and(|error| error.is_unheard()));

    let heard = Heard::default();
    let worker = Worker::builder().client(client.clone()).state(heard.clone()).exit_when_idle().build()?;
    worker.run().await?;

    let mut heard = heard.0.lock().expect("no run panics").clone();
    heard.sort();
    println!("{}", heard.join("\n"));
    let expected = [
        "EveryOrder 1",
        "EveryOrder 2",
        "Pdf 3",
        "PdfOnA4 5",
        "PdfOrA4 5",
        "PdfOrA4 6",
        "PdfOrA4 7",
        "PdfOrPng 3",
        "PdfOrPng 4",
        "PriceList 9",
        "ShopWindow 9",
        "SwissOrder 1",
    ];
    assert_eq!(heard, expected);
    client.close().await?;
    Ok(())
}
