//! `topology apply`: makes the queues and bindings of this program's jobs exist, as a deployment does before it publishes.

use job_core::client::Client;
use serde_json::json;

use crate::apply::Plan;
use crate::cli::args::OutputFlags;
use crate::cli::exit::Failure;
use crate::cli::output::{count, print_result};

pub(super) async fn apply(url: &str, output: OutputFlags) -> Result<(), Failure> {
    // Before anything is connected: a program without jobs must not leave a database behind.
    let plan = Plan::linked()?;
    let client = Client::connect(url).await?;
    let applied = plan.apply(&client).await;
    let closed = client.close().await;
    applied?;
    closed?;
    let (queues, bindings) = (plan.queues(), plan.topology.bindings.len());
    let text = format!("{} and {} exist", count(queues.len(), "queue"), count(bindings, "binding"));
    print_result(&text, &json!({ "queues": queues, "bindings": bindings }), output.json);
    Ok(())
}
