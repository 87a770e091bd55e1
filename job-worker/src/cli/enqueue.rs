//! `enqueue`: stores a job whose type may live in another program.

use job_core::client::Client;
use job_core::clock::Clock;
use job_core::connect::connect_existing;
use serde_json::json;

use crate::catalogue::announced;
use crate::cli::args::EnqueueFlags;
use crate::cli::exit::Failure;
use crate::cli::kinds::{Known, linked, merge, unknown};
use crate::cli::{input, output};

pub(super) async fn enqueue(url: &str, flags: &EnqueueFlags) -> Result<(), Failure> {
    let payload = input::payload(&flags.payload)?;
    input::check(&flags.kind, &payload)?;
    let linked = linked()?;
    let is_known = linked.iter().any(|known| known.entry.is_named(&flags.kind)) || flags.queue.is_some();
    // What no program announced in a file that is not there must not leave that file behind.
    let client =
        if is_known { Client::connect(url).await? } else { Client::new(connect_existing(url, Clock::system()).await?) };
    let stored = store(&client, linked, flags, payload).await;
    let closed = client.close().await;
    let (id, queue) = stored?;
    closed?;
    let json = json!({ "id": id, "kind": flags.kind, "queue": queue });
    output::print_result(&id, &json, flags.output.json);
    Ok(())
}

/// Stores the job, and returns its id and its queue.
async fn store(
    client: &Client,
    linked: Vec<Known>,
    flags: &EnqueueFlags,
    payload: Vec<u8>,
) -> Result<(String, String), Failure> {
    let known = merge(linked, announced(&*client.broker().ledger()).await?);
    let entry = known.iter().map(|known| &known.entry).find(|entry| entry.is_named(&flags.kind));
    let Some(queue) = flags.queue.as_ref().or(entry.map(|entry| &entry.queue)) else {
        return Err(unknown(&flags.kind, &known));
    };
    let mut job = client.enqueue_raw(&flags.kind, payload).queue(queue.as_str());
    if let Some(expires) = entry.and_then(|entry| entry.expires()) {
        job = job.expires(expires);
    }
    if let Some(id) = &flags.id {
        job = job.id(&id.to_string());
    }
    job = match (flags.delay, flags.at) {
        (Some(delay), _) => job.delay(delay),
        (None, Some(at)) => job.at(at),
        (None, None) => job,
    };
    let id = job.await?;
    Ok((id.to_string(), queue.to_string()))
}
