//! `topology apply`: makes the queues and bindings of this program's jobs exist, as a deployment does before it publishes.

use job_core::client::Client;
use job_core::error::Result;
use job_core::name::QueueName;
use job_core::registry::Registry;
use job_core::topology::Topology;
use serde_json::json;

use crate::catalogue::{self, KindEntry};
use crate::cli::args::OutputFlags;
use crate::cli::exit::Failure;
use crate::cli::kinds::linked;
use crate::cli::output::{count, print_result};
use crate::placement::Placement;
use crate::roster::check_registry;
use crate::subscription_log;

pub(super) async fn apply(url: &str, output: OutputFlags) -> Result<(), Failure> {
    let registry = Registry::linked()?;
    // Before anything is connected: a program without jobs must not leave a database behind.
    check_registry(&registry)?;
    let placement = Placement::new(&registry)?;
    let queues: Vec<QueueName> =
        placement.queues().into_iter().filter(|queue| !placement.is_of_process(queue)).collect();
    let kinds: Vec<KindEntry> = linked()?.into_iter().map(|known| known.entry).collect();
    let topology = placement.topology(&queues);
    let client = Client::connect(url).await?;
    let applied = declare(&client, &placement, &queues, &topology, &kinds).await;
    let closed = client.close().await;
    applied?;
    closed?;
    let bindings = topology.bindings.len();
    let text = format!("{} and {} exist", count(queues.len(), "queue"), count(bindings, "binding"));
    print_result(&text, &json!({ "queues": queues, "bindings": bindings }), output.json);
    Ok(())
}

async fn declare(
    client: &Client,
    placement: &Placement,
    queues: &[QueueName],
    topology: &Topology,
    kinds: &[KindEntry],
) -> Result<()> {
    let broker = client.broker();
    broker.declare(topology).await?;
    let (ledger, clock) = (broker.ledger(), broker.clock());
    subscription_log::announce(&*ledger, clock, &subscription_log::durable(placement, queues, None)).await?;
    catalogue::announce(&*ledger, clock, kinds).await
}
