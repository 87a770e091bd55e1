//! Consumes a queue that somebody else declared, and beside it our own one in which its retries wait: to those who read,
//! they are one queue.

use std::task::{Context, Poll};

use crate::broker::amqp::consumer::AmqpConsumer;
use crate::broker::{BoxFuture, Consumer, Delivery};
use crate::error::Result;

/// Two queues in one.
pub(super) struct Pair {
    consumers: [AmqpConsumer; 2],
    /// The one that is asked first; they take turns, so that neither starves.
    first: usize,
}

impl Pair {
    pub(super) fn new(theirs: AmqpConsumer, ours: AmqpConsumer) -> Self {
        Self { consumers: [theirs, ours], first: 0 }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        // Both, so that either wakes.
        let [theirs, ours] = &mut self.consumers;
        match (theirs.poll_ready(cx), ours.poll_ready(cx)) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            (Poll::Ready(Ok(true)), _) | (_, Poll::Ready(Ok(true))) => Poll::Ready(Ok(true)),
            (Poll::Ready(Ok(false)), Poll::Ready(Ok(false))) => Poll::Ready(Ok(false)),
            _ => Poll::Pending,
        }
    }

    fn poll_many(&mut self, max: usize, cx: &mut Context<'_>) -> Poll<Result<Vec<Delivery>>> {
        let order = [self.first, 1 - self.first];
        let mut deliveries = Vec::new();
        let mut ended = 0;
        for index in order {
            if deliveries.len() == max {
                break;
            }
            match self.consumers[index].poll_many(max - deliveries.len(), cx) {
                Poll::Ready(Ok(more)) if more.is_empty() => ended += 1,
                Poll::Ready(Ok(more)) => deliveries.extend(more),
                // What was taken before must not be lost; the next call finds the failure again.
                Poll::Ready(Err(error)) if deliveries.is_empty() => return Poll::Ready(Err(error)),
                Poll::Ready(Err(_)) | Poll::Pending => {}
            }
        }
        if deliveries.is_empty() && ended < order.len() {
            return Poll::Pending;
        }
        self.first = order[1];
        Poll::Ready(Ok(deliveries))
    }
}

impl Consumer for Pair {
    fn ready(&mut self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(std::future::poll_fn(|cx| self.poll_ready(cx)))
    }

    fn next_many(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        // Nothing waits between taking and returning, so a cancelled call has lost nothing.
        Box::pin(std::future::poll_fn(move |cx| self.poll_many(max.max(1), cx)))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        let [theirs, ours] = self.consumers.map(|consumer| Box::new(consumer).close());
        Box::pin(async move {
            theirs.await;
            ours.await;
        })
    }
}
