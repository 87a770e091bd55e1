//! The queues that go with this process: exclusive ones of the connection that consumes.
//!
//! They are gone when that connection ends, and are made again with the next one, with all their bindings. What is
//! published in between is missed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lapin::options::QueueDeleteOptions;

use crate::broker::amqp::argument::QueueKind;
use crate::broker::amqp::declare::{Declarer, Work};
use crate::broker::amqp::session::Session;
use crate::error::Result;
use crate::name::QueueName;
use crate::topology::{Binding, Pattern};

/// What is to be made again with each connection.
#[derive(Debug, Default)]
pub(super) struct Own(Mutex<HashMap<QueueName, Vec<Pattern>>>);

impl Own {
    pub(super) fn add(&self, queue: &QueueName) {
        self.lock().entry(queue.clone()).or_default();
    }

    pub(super) fn has(&self, queue: &QueueName) -> bool {
        self.lock().contains_key(queue)
    }

    /// Notes a binding, where it is one of such a queue.
    pub(super) fn bind(&self, binding: &Binding) {
        let mut own = self.lock();
        if let Some(patterns) = own.get_mut(&binding.queue).filter(|patterns| !patterns.contains(&binding.pattern)) {
            patterns.push(binding.pattern.clone());
        }
    }

    fn bindings(&self, queue: &QueueName) -> Vec<Binding> {
        let patterns = self.lock().get(queue).cloned().unwrap_or_default();
        patterns.into_iter().map(|pattern| Binding { queue: queue.clone(), pattern }).collect()
    }

    fn remove(&self, queue: &QueueName) {
        self.lock().remove(queue);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueueName, Vec<Pattern>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Declarer {
    /// Says whether a queue goes with this process.
    pub(in crate::broker::amqp) fn is_own(&self, queue: &QueueName) -> bool {
        self.own.has(queue)
    }

    /// Removes a queue of this process, with all that it holds.
    ///
    /// # Errors
    /// When RabbitMQ cannot be asked.
    pub(in crate::broker::amqp) async fn remove_own(&self, session: &Session, queue: &QueueName) -> Result<()> {
        // First, or a new connection would make it again meanwhile.
        self.own.remove(queue);
        let mut work = self.work(session);
        let deleted = work.delete(&self.names.queue(queue)).await;
        work.end().await;
        self.forget();
        deleted.map(drop)
    }
}

impl Work<'_> {
    /// Makes a queue of this process, with the bindings that it had on the connection before.
    pub(super) async fn own_queue(&mut self, queue: &QueueName) -> Result<()> {
        let physical = self.names.queue(queue);
        self.queue(&physical, QueueKind::Own).await?;
        self.bind_by_name(&physical).await?;
        let bindings = self.declarer.own.bindings(queue);
        if !bindings.is_empty() {
            tracing::warn!(target: "job", %queue, "made again after a lost connection: events in between were missed");
        }
        for binding in bindings {
            self.bind_events(&binding).await?;
        }
        Ok(())
    }

    /// Deletes a queue; returns how many messages went with it.
    pub(super) async fn delete(&mut self, physical: &str) -> Result<u32> {
        let channel = self.channel().await?;
        let delete = channel.queue_delete(physical.into(), QueueDeleteOptions::default());
        self.session.answer(&format!("delete the queue \"{physical}\""), delete).await
    }
}
