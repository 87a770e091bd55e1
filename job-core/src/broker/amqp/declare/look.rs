//! Looks for what exists, and makes nothing.

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use crate::broker::amqp::declare::{Thing, Work};
use crate::broker::amqp::fault;
use crate::error::{Error, Result};
use crate::name::QueueName;

impl Work<'_> {
    /// Looks whether what a thing is about exists, where it may not be declared.
    pub(super) async fn check(mut self, thing: &Thing) -> Result<()> {
        let result = match thing {
            Thing::Base => self.find_exchange(&self.names.jobs()).await,
            Thing::Queue(queue) | Thing::Own(queue) => {
                self.find_declared(&self.names.queue(queue), queue.as_str()).await
            }
            Thing::Retry(queue) => self.find_declared(&self.names.queue(&queue.retry()), queue.retry().as_str()).await,
            Thing::Slot { level, index } => {
                let slot = self.names.slot(*level, *index);
                self.find_declared(&slot, &slot).await
            }
            Thing::Pumps => self.find_declared(&self.names.pumps(), &self.names.pumps()).await,
            Thing::Binding(binding) => {
                self.find_declared(&self.names.queue(&binding.queue), binding.queue.as_str()).await
            }
            Thing::TopicEvents => self.find_exchange(&self.names.events()).await,
            Thing::DirectEvents => self.find_exchange(&self.names.events_direct()).await,
            Thing::HeadersEvents => self.find_exchange(&self.names.events_headers()).await,
            Thing::FanoutEvents(name) => self.find_exchange(&self.names.fanout(name)?).await,
            Thing::Foreign(exchange) => self.find_exchange(exchange.as_str()).await,
        };
        self.end().await;
        result
    }

    pub(super) async fn find_queue(mut self, physical: &str, queue: &QueueName) -> Result<()> {
        let result = self.find_declared(physical, queue.as_str()).await;
        self.end().await;
        result
    }

    /// Says whether a queue exists.
    ///
    /// # Errors
    /// When RabbitMQ cannot be asked.
    pub(super) async fn has_queue(&mut self, physical: &str) -> Result<bool> {
        let found = self.find_declared(physical, physical).await;
        self.found(found)
    }

    /// Says whether an exchange exists.
    ///
    /// # Errors
    /// When RabbitMQ cannot be asked.
    pub(super) async fn has_exchange(&mut self, physical: &str) -> Result<bool> {
        let found = self.find_exchange(physical).await;
        self.found(found)
    }

    fn found(&mut self, found: Result<()>) -> Result<bool> {
        match found {
            Err(error) if error.is_invalid() => {
                // The answer that it is not there has closed the channel.
                self.channel = None;
                Ok(false)
            }
            found => found.map(|()| true),
        }
    }

    async fn find_declared(&mut self, physical: &str, shown: &str) -> Result<()> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let what = format!("look for the queue \"{shown}\"");
        let channel = self.channel().await?;
        let declare = channel.queue_declare(physical.into(), options, FieldTable::default());
        match self.session.attempt(&what, declare).await? {
            Ok(_) => Ok(()),
            Err(cause) if fault::is_not_found(&cause) => Err(Error::invalid(format!(
                "queue \"{shown}\" is not declared; add it to the topology before consuming"
            ))),
            Err(cause) => Err(fault::error(&what, &cause)),
        }
    }

    pub(super) async fn find_exchange(&mut self, physical: &str) -> Result<()> {
        let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let channel = self.channel().await?;
        // Of what kind it is does not matter to those who only look.
        let kind = lapin::ExchangeKind::Direct;
        let declare = channel.exchange_declare(physical.into(), kind, options, FieldTable::default());
        let what = format!("look for the exchange \"{physical}\"");
        match self.session.attempt(&what, declare).await? {
            Err(cause) if fault::is_not_found(&cause) => Err(Error::invalid(format!(
                "there is no exchange \"{physical}\"; whoever owns it must declare it before it is used"
            ))),
            found => found.map_err(|cause| fault::error(&what, &cause)),
        }
    }
}
