//! What an operator may ask of the broker: see [`inspect`](crate::broker::amqp::inspect) for how it is found out.

use std::future::ready;
use std::sync::atomic::Ordering;

use crate::broker::amqp::AmqpBroker;
use crate::broker::{BoxFuture, Delivery, Found, Inspect, Page, QueueStats, Which};
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::name::{JobId, QueueName};

impl Inspect for AmqpBroker {
    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueStats>>> {
        Box::pin(async move {
            self.check_open()?;
            self.realm.inspector.queues().await
        })
    }

    fn delayed(&self) -> BoxFuture<'_, Result<Option<u64>>> {
        Box::pin(async move {
            self.check_open()?;
            // Who turns the wheel makes its slots in any case.
            let makes_slots = self.is_turning.load(Ordering::Acquire);
            self.realm.inspector.delayed(makes_slots).await.map(Some)
        })
    }

    fn peek<'a>(&'a self, queue: &'a QueueName, page: Page) -> BoxFuture<'a, Result<Vec<Envelope>>> {
        Box::pin(async move {
            self.check_open()?;
            self.realm.inspector.peek(queue, page).await
        })
    }

    fn take<'a>(&'a self, queue: &'a QueueName, which: Which) -> BoxFuture<'a, Result<Vec<Delivery>>> {
        Box::pin(async move {
            self.check_open()?;
            self.realm.inspector.take(queue, which).await
        })
    }

    fn find<'a>(&'a self, id: &'a JobId) -> BoxFuture<'a, Result<Option<Found>>> {
        let text = format!("on RabbitMQ the job {id} cannot be looked up: AMQP finds no message by its id");
        Box::pin(ready(Err(Error::unsupported(text))))
    }
}
