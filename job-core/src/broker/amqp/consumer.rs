//! Hands out the messages of one queue, on the caller's own thread. It outlives its channels: when one ends, it waits for
//! the next.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::broker::amqp::ack_ring::Issuer;
use crate::broker::amqp::desk::Desk;
use crate::broker::amqp::intake::Intake;
use crate::broker::amqp::outlet::{Taken, deliver};
use crate::broker::{BoxFuture, Consumer, Delivery};
use crate::error::Result;

/// One channel's stream, and what is needed to take from it.
pub(super) struct Source {
    pub(super) intake: Arc<Intake>,
    pub(super) stream: lapin::Consumer,
    pub(super) issuer: Issuer,
}

/// Takes from one queue.
pub(super) struct AmqpConsumer {
    pub(super) desk: Arc<Desk>,
    /// New channels, from whoever keeps this consumer; ends when there will be none.
    pub(super) arrivals: mpsc::UnboundedReceiver<Result<Source>>,
    /// The channels that are read: one, or also the one before it while its last messages are taken.
    pub(super) sources: Vec<Source>,
    /// What was taken to see whether there is something.
    pub(super) peeked: Option<Taken>,
    /// Tells the keeper that nobody reads any more.
    pub(super) left: CancellationToken,
}

impl AmqpConsumer {
    /// Takes in new channels; `true` at the end of all.
    fn poll_arrivals(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        while let Poll::Ready(arrival) = self.arrivals.poll_recv(cx) {
            let Some(source) = arrival else {
                // The broker closes, and gives back what was not handed out.
                self.sources.clear();
                self.peeked = None;
                return Ok(true);
            };
            self.sources.push(source?);
        }
        Ok(false)
    }

    /// Takes what is there.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Taken> {
        if let Some(taken) = self.peeked.take().filter(|taken| taken.intake.is_alive()) {
            return Poll::Ready(taken);
        }
        let mut next = 0;
        while let Some(source) = self.sources.get_mut(next) {
            match source.poll_take(cx) {
                Poll::Ready(Some(taken)) => return Poll::Ready(taken),
                Poll::Ready(None) => self.sources.remove(next).intake.note_end(),
                Poll::Pending => next += 1,
            }
        }
        Poll::Pending
    }

    /// Polls whether there is something; see [`ready`](Consumer::ready).
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        if self.poll_arrivals(cx)? {
            return Poll::Ready(Ok(false));
        }
        self.poll_take(cx).map(|taken| {
            self.peeked = Some(taken);
            Ok(true)
        })
    }

    /// Polls for what is there; see [`next_many`](Consumer::next_many).
    pub(super) fn poll_many(&mut self, max: usize, cx: &mut Context<'_>) -> Poll<Result<Vec<Delivery>>> {
        // Once for all of them: it costs as much as a message.
        if self.poll_arrivals(cx)? {
            return Poll::Ready(Ok(Vec::new()));
        }
        let mut deliveries = Vec::new();
        while deliveries.len() < max {
            match self.poll_take(cx) {
                Poll::Ready(taken) => deliveries.extend(deliver(&self.desk, taken)),
                Poll::Pending if deliveries.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(deliveries))
    }

    /// Gives up all channels: what was not handed out goes back, and each ends with its last settlement.
    fn leave(&mut self) -> impl Future<Output = ()> + Send + 'static {
        self.left.cancel();
        self.arrivals.close();
        while let Ok(source) = self.arrivals.try_recv() {
            self.sources.extend(source);
        }
        let peeked = self.peeked.take();
        let sources = std::mem::take(&mut self.sources);
        async move {
            if let Some(taken) = peeked {
                let _ = taken.intake.release(taken.mark).await;
            }
            for source in sources {
                source.retire().await;
            }
        }
    }
}

impl Source {
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Taken>> {
        if self.intake.is_over() {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.stream).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => {
                self.intake.note_hunger(false);
                let mark = self.issuer.issue(message.delivery_tag);
                Poll::Ready(Some(Taken { intake: Arc::clone(&self.intake), mark, message }))
            }
            Poll::Ready(Some(Err(_)) | None) => Poll::Ready(None),
            Poll::Pending => {
                self.intake.note_hunger(true);
                Poll::Pending
            }
        }
    }

    /// Stops the deliveries and gives back those that nobody has.
    async fn retire(mut self) {
        if self.intake.stop().await.is_err() {
            return self.intake.end();
        }
        let mut undelivered = Vec::new();
        loop {
            let next = std::future::poll_fn(|cx| Pin::new(&mut self.stream).poll_next(cx)).await;
            match next {
                Some(Ok(message)) => undelivered.push(message.delivery_tag),
                Some(Err(_)) | None => break,
            }
        }
        self.intake.retire(undelivered).await;
    }
}

impl Consumer for AmqpConsumer {
    fn ready(&mut self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(std::future::poll_fn(|cx| self.poll_ready(cx)))
    }

    fn next_many(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        // Nothing waits between taking and returning, so a cancelled call has lost nothing.
        Box::pin(std::future::poll_fn(move |cx| self.poll_many(max.max(1), cx)))
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        let desk = Arc::clone(&self.desk);
        let leaving = desk.spawn(self.leave());
        Box::pin(async move {
            // A broker that has ended has given back all by itself.
            let _ = leaving.await;
        })
    }
}

impl Drop for AmqpConsumer {
    fn drop(&mut self) {
        let desk = Arc::clone(&self.desk);
        drop(desk.spawn(self.leave()));
    }
}
