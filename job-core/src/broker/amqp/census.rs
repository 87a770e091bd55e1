//! Which queues and bindings there are: those that this process declared, and those that others wrote into the ledger.
//!
//! AMQP can list neither, so whoever declares one writes it down, in the background: nothing that runs jobs waits for it.
//! What is written stays: a queue that is gone is not found, and a binding that is gone can be removed once more. Who
//! declares a queue also fetches the jobs that came before it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::broker::amqp::ledger::Log;
use crate::broker::amqp::unrouted::Mover;
use crate::clock::Clock;
use crate::error::Result;
use crate::name::QueueName;
use crate::topology::{Binding, Lifetime, Pattern, Topology};

/// The beginnings of the ledger's keys that name queues and bindings.
const QUEUE: &str = "queue/";
const BINDING: &str = "binding/";

/// What is written of a queue that somebody else declared.
const EXTERNAL: &str = "external";

/// The longest wait for what is being written when the process ends.
const TELL_MAX: Duration = Duration::from_secs(5);

/// What one process knows of the queues.
#[derive(Debug)]
pub(super) struct Census {
    pub(super) log: Arc<Log>,
    pub(super) mover: Arc<Mover>,
    pub(super) tasks: TaskTracker,
    pub(super) handle: Handle,
    pub(super) declared: Mutex<Declared>,
}

/// What this process declared.
#[derive(Debug, Default)]
pub(super) struct Declared {
    queues: BTreeMap<QueueName, Owner>,
    bindings: HashSet<Binding>,
    /// Queues that this process took back.
    retired: BTreeSet<QueueName>,
}

/// Whose a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Us,
    SomebodyElse,
}

impl Census {
    /// Notes what was declared.
    pub(super) fn declared(&self, topology: &Topology) {
        let lasting = topology.queues.iter().filter(|queue| queue.lifetime == Lifetime::Durable);
        let mut queues = Vec::new();
        for queue in lasting.clone() {
            let owner = if queue.is_external { Owner::SomebodyElse } else { Owner::Us };
            queues.push((queue.name.clone(), owner));
            queues.extend(queue.is_external.then(|| (queue.name.retry(), Owner::Us)));
        }
        let bindings = topology.bindings.iter().filter(|binding| lasting.clone().any(|q| q.name == binding.queue));
        let news = {
            let mut declared = self.lock();
            queues.retain(|(name, owner)| {
                declared.retired.remove(name);
                declared.queues.insert(name.clone(), *owner).is_none()
            });
            let bindings = bindings.filter(|binding| declared.bindings.insert((*binding).clone())).cloned().collect();
            News { queues, bindings }
        };
        if !news.queues.is_empty() || !news.bindings.is_empty() {
            self.tasks.spawn_on(tell(news, Arc::clone(&self.log), Arc::clone(&self.mover)), &self.handle);
        }
    }

    /// Returns all queues that are known, without their dead.
    pub(super) fn queues(&self) -> BTreeMap<QueueName, Owner> {
        let noted = self.log.noted(QUEUE).into_iter();
        let mut queues: BTreeMap<QueueName, Owner> =
            noted.filter_map(|entry| Some((QueueName::parse_any(&entry.key).ok()?, owner(&entry.value)))).collect();
        queues.extend(self.lock().queues.iter().map(|(name, owner)| (name.clone(), *owner)));
        queues
    }

    /// Says whether somebody else declared a queue, as far as is known.
    pub(super) fn is_external(&self, queue: &QueueName) -> bool {
        self.queues().get(queue) == Some(&Owner::SomebodyElse)
    }

    /// Returns what a queue was ever bound to, as far as that was written down.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) async fn patterns(&self, queue: &QueueName) -> Result<Vec<Pattern>> {
        self.log.catch_up().await?;
        let noted = self.log.noted(BINDING).into_iter();
        let mut bindings: HashSet<Binding> =
            noted.filter_map(|entry| serde_json::from_value(entry.value).ok()).collect();
        bindings.extend(self.lock().bindings.iter().cloned());
        Ok(bindings.into_iter().filter(|binding| binding.queue == *queue).map(|binding| binding.pattern).collect())
    }

    /// Notes that a queue is taken back.
    pub(super) fn retire(&self, queue: &QueueName) {
        let mut declared = self.lock();
        declared.bindings.retain(|binding| binding.queue != *queue);
        declared.queues.remove(queue);
        declared.retired.insert(queue.clone());
    }

    /// Says whether this process took a queue back, and has not declared it since.
    pub(super) fn is_retired(&self, queue: &QueueName) -> bool {
        self.lock().retired.contains(queue)
    }

    /// Waits until what this process declared is written, and what came before its queue is in it; but not for long: another
    /// declares it, too.
    pub(super) async fn settle(&self, clock: &Clock) {
        self.tasks.close();
        let _ = clock.timeout(TELL_MAX, self.tasks.wait()).await;
    }

    fn lock(&self) -> MutexGuard<'_, Declared> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn owner(value: &Value) -> Owner {
    if value.as_str() == Some(EXTERNAL) { Owner::SomebodyElse } else { Owner::Us }
}

/// What is to be written.
struct News {
    queues: Vec<(QueueName, Owner)>,
    bindings: Vec<Binding>,
}

async fn tell(news: News, log: Arc<Log>, mover: Arc<Mover>) {
    if let Err(error) = write(&news, &log).await {
        tracing::debug!(target: "job", %error, "queues are not in the ledger yet");
    }
    if let Err(error) = mover.sweep().await {
        tracing::debug!(target: "job", %error, "unrouted jobs are left to the housekeeper");
    }
}

async fn write(news: &News, log: &Arc<Log>) -> Result<()> {
    log.catch_up().await?;
    let known = |prefix: &str| -> BTreeSet<String> { log.noted(prefix).into_iter().map(|entry| entry.key).collect() };
    let (queues, bindings) = (known(QUEUE), known(BINDING));
    for (queue, owner) in news.queues.iter().filter(|(queue, _)| !queues.contains(queue.as_str())) {
        let value = if *owner == Owner::SomebodyElse { json!(EXTERNAL) } else { json!(true) };
        log.note(&format!("{QUEUE}{queue}"), 1, value).await?;
    }
    for binding in &news.bindings {
        let value = serde_json::to_value(binding).expect("names and patterns are JSON");
        // One name for one binding, so that it is written once.
        let key = format!("{}/{}", binding.queue, Uuid::new_v5(&Uuid::NAMESPACE_OID, value.to_string().as_bytes()));
        if !bindings.contains(&key) {
            log.note(&format!("{BINDING}{key}"), 1, value).await?;
        }
    }
    Ok(())
}
