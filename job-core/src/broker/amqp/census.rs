//! Which queues there are: those that this process declared, and those that others wrote into the ledger.
//!
//! AMQP cannot list queues, so whoever declares one writes it down, in the background: nothing that runs jobs waits for
//! it. Who declares a queue also fetches the jobs that came before it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::broker::amqp::ledger::Log;
use crate::broker::amqp::unrouted::Mover;
use crate::name::QueueName;
use crate::topology::Topology;

/// The beginning of the ledger's keys that name queues.
const QUEUE: &str = "queue/";

/// What one process knows of the queues.
#[derive(Debug)]
pub(super) struct Census {
    pub(super) log: Arc<Log>,
    pub(super) mover: Arc<Mover>,
    pub(super) tasks: TaskTracker,
    pub(super) handle: Handle,
    pub(super) declared: Mutex<BTreeSet<QueueName>>,
}

impl Census {
    /// Notes what was declared.
    pub(super) fn declared(&self, topology: &Topology) {
        let own = topology.queues.iter().filter(|queue| !queue.is_external).map(|queue| &queue.name);
        let new: Vec<QueueName> = {
            let mut declared = self.lock();
            own.filter(|name| declared.insert((*name).clone())).cloned().collect()
        };
        if !new.is_empty() {
            self.tasks.spawn_on(tell(new, Arc::clone(&self.log), Arc::clone(&self.mover)), &self.handle);
        }
    }

    /// Returns all queues that are known, without their dead.
    pub(super) fn queues(&self) -> BTreeSet<QueueName> {
        let noted = self.log.noted(QUEUE);
        let mut queues: BTreeSet<QueueName> = noted.iter().filter_map(|e| QueueName::parse_any(&e.key).ok()).collect();
        queues.extend(self.lock().iter().cloned());
        queues
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<QueueName>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn tell(queues: Vec<QueueName>, log: Arc<Log>, mover: Arc<Mover>) {
    if let Err(error) = mover.sweep().await {
        tracing::debug!(target: "job", %error, "unrouted jobs are left to the housekeeper");
    }
    let told = async {
        log.catch_up().await?;
        let known: BTreeSet<String> = log.noted(QUEUE).into_iter().map(|entry| entry.key).collect();
        for queue in queues.iter().filter(|queue| !known.contains(queue.as_str())) {
            log.note(&format!("{QUEUE}{queue}"), 1, json!(true)).await?;
        }
        Ok::<(), crate::error::Error>(())
    };
    if let Err(error) = told.await {
        tracing::debug!(target: "job", %error, "queues are not in the ledger yet");
    }
}
