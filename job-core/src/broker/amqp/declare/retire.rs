//! Takes back what was declared of a queue, by an operator's decision only.
//!
//! AMQP cannot list the bindings of a queue, so those that programs wrote down are removed; what is not known of ends with
//! the queue itself. A queue is deleted only while nothing is in it and nobody consumes it: until then it stays, unbound,
//! for whoever takes out what it holds.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::broker::amqp::declare::event::rule;
use crate::broker::amqp::declare::{Declarer, Work};
use crate::broker::amqp::fault;
use crate::broker::amqp::session::Session;
use crate::error::Result;
use crate::name::QueueName;
use crate::topology::Pattern;

/// The pause between the two readings that must agree before a queue counts as empty: one reading of 0 proves nothing.
const READING_PAUSE: Duration = Duration::from_millis(100);

impl Declarer {
    /// Unbinds a queue from the events of these patterns and from the exchanges of jobs, and deletes it if it is empty and
    /// not consumed.
    ///
    /// # Errors
    /// When RabbitMQ cannot be asked.
    pub(in crate::broker::amqp) async fn retire(
        &self,
        session: &Session,
        queue: &QueueName,
        patterns: &[Pattern],
    ) -> Result<()> {
        let physical = self.names.queue(queue);
        let mut work = self.work(session);
        if work.has_queue(&physical).await? {
            for pattern in patterns {
                let exchange = work.exchange_of(pattern)?;
                let (key, arguments) = rule(pattern);
                work.unbind(&physical, &exchange, key, arguments).await?;
            }
            for exchange in [self.names.jobs(), self.names.only()] {
                work.unbind(&physical, &exchange, &physical, FieldTable::default()).await?;
            }
            work.delete_if_unused(&physical).await?;
        }
        work.end().await;
        // It is to be made anew when somebody declares it.
        self.forget();
        Ok(())
    }
}

impl Work<'_> {
    async fn unbind(&mut self, queue: &str, exchange: &str, key: &str, arguments: FieldTable) -> Result<()> {
        let what = format!("unbind the queue \"{queue}\" from the exchange \"{exchange}\"");
        let channel = self.channel().await?;
        let unbind = channel.queue_unbind(queue.into(), exchange.into(), key.into(), arguments);
        match self.session.attempt(&what, unbind).await? {
            Err(cause) if fault::is_not_found(&cause) => {
                // An exchange that is gone took its bindings with it. The answer has closed the channel.
                self.channel = None;
                Ok(())
            }
            unbound => unbound.map_err(|cause| fault::error(&what, &cause)),
        }
    }

    async fn delete_if_unused(&mut self, physical: &str) -> Result<()> {
        for _ in 0..2 {
            if self.is_used(physical).await? {
                return Ok(());
            }
            self.session.clock().sleep(READING_PAUSE).await;
        }
        match self.delete(physical).await? {
            0 => {}
            count => {
                tracing::error!(target: "job", queue = physical, count, "events came while their queue was deleted")
            }
        }
        Ok(())
    }

    async fn is_used(&mut self, physical: &str) -> Result<bool> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let channel = self.channel().await?;
        let look = channel.queue_declare(physical.into(), options, FieldTable::default());
        let queue = self.session.answer(&format!("look at the queue \"{physical}\""), look).await?;
        Ok(queue.message_count() > 0 || queue.consumer_count() > 0)
    }
}
