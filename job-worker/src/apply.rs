//! Makes the queues and bindings of all linked jobs exist, before anything is published to them.

use job_core::client::Client;
use job_core::error::Result;
use job_core::name::QueueName;
use job_core::registry::Registry;
use job_core::topology::Topology;

use crate::catalogue::{self, KindEntry};
use crate::placement::Placement;
use crate::roster::check_registry;
use crate::subscription_log;

/// Makes the queues and bindings of all linked jobs exist, and returns what they are: what `topology apply` does, for
/// programs that publish before their workers have ever run. Ephemeral subscriptions are left to their processes.
///
/// # Errors
/// When no job types are linked, a subscription has no group, or the broker cannot be changed.
pub async fn apply_topology(client: &Client) -> Result<Topology> {
    let plan = Plan::linked()?;
    plan.apply(client).await?;
    Ok(plan.topology)
}

/// What is to be made.
pub(crate) struct Plan {
    placement: Placement,
    queues: Vec<QueueName>,
    kinds: Vec<KindEntry>,
    pub(crate) topology: Topology,
}

impl Plan {
    /// Makes the plan of what is linked into this program; no broker is asked.
    ///
    /// # Errors
    /// When no job types are linked, or a subscription has no group.
    pub(crate) fn linked() -> Result<Self> {
        let registry = Registry::linked()?;
        check_registry(&registry)?;
        let placement = Placement::new(&registry)?;
        let queues: Vec<QueueName> =
            placement.queues().into_iter().filter(|queue| !placement.is_of_process(queue)).collect();
        let durable = placement.iter().filter(|place| !placement.is_of_process(&place.queue));
        let jobs = durable.filter_map(|place| Some((registry.find(place.kind)?.job, &place.queue)));
        let kinds =
            jobs.map(|(job, queue)| KindEntry::new(job.kind, job.aliases, queue.clone(), &job.options)).collect();
        let topology = placement.topology(&queues);
        Ok(Self { placement, queues, kinds, topology })
    }

    /// Returns the queues, without those beside them for suspects.
    pub(crate) fn queues(&self) -> &[QueueName] {
        &self.queues
    }

    /// Makes everything exist, and tells of it in the ledger.
    ///
    /// # Errors
    /// When the broker cannot be changed.
    pub(crate) async fn apply(&self, client: &Client) -> Result<()> {
        client.broker().declare(&self.topology).await?;
        match self.announce(client).await {
            // Bound is bound; where there is no ledger, nobody could read of it.
            Err(error) if error.is_unsupported() => Ok(()),
            announced => announced,
        }
    }

    async fn announce(&self, client: &Client) -> Result<()> {
        let (ledger, clock) = (client.broker().ledger(), client.broker().clock());
        let subscriptions = subscription_log::durable(&self.placement, &self.queues, None);
        subscription_log::announce(&*ledger, clock, &subscriptions).await?;
        catalogue::announce(&*ledger, clock, &self.kinds).await
    }
}
