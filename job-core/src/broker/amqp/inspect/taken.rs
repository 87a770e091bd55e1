//! Messages in an operator's hands, each to be settled by itself, for good when the settlement is answered.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::broker::amqp::inspect::browse::{Browse, Message};
use crate::broker::amqp::publisher::Publisher;
use crate::broker::{BoxFuture, Delivery, Outcome, Outgoing, Settle};
use crate::error::{Error, Result};
use crate::sabotage;

/// Makes deliveries of what was taken. The channel ends with the last of them, and gives back what is not settled.
pub(super) fn deliveries(
    browse: Browse,
    found: Vec<Message>,
    publisher: Arc<Publisher>,
    handle: Handle,
) -> Vec<Delivery> {
    let queue = browse.queue.clone();
    let hand = Arc::new(Hand { browse: Arc::new(browse), publisher, handle });
    let delivery = |Message { tag, received }: Message| Delivery {
        envelope: received.envelope,
        queue: queue.clone(),
        redeliveries: received.redeliveries,
        defect: received.defect,
        settle: Box::new(Taken { hand: Arc::clone(&hand), tag }),
    };
    found.into_iter().map(delivery).collect()
}

/// What the messages of one look share.
struct Hand {
    browse: Arc<Browse>,
    publisher: Arc<Publisher>,
    handle: Handle,
}

impl Drop for Hand {
    fn drop(&mut self) {
        let browse = Arc::clone(&self.browse);
        self.handle.spawn(async move { browse.end().await });
    }
}

struct Taken {
    hand: Arc<Hand>,
    tag: u64,
}

impl Settle for Taken {
    fn settle(self: Box<Self>, outcome: Outcome) -> BoxFuture<'static, Result<()>> {
        let handle = self.hand.handle.clone();
        let queue = self.hand.browse.queue.clone();
        // A task, so that it goes on whether somebody waits for it or not.
        let recording = handle.spawn(async move { self.record(outcome).await });
        Box::pin(async move {
            let ended = || Error::lost(format!("a job of queue \"{queue}\" was given back when the broker was closed"));
            recording.await.unwrap_or_else(|_| Err(ended()))
        })
    }
}

impl Taken {
    async fn record(&self, outcome: Outcome) -> Result<()> {
        let Hand { browse, publisher, .. } = &*self.hand;
        if !browse.is_alive() {
            return Err(self.lost());
        }
        let stored = match outcome {
            Outcome::Release => return browse.nack(self.tag).await.map_err(|_| self.lost()),
            Outcome::Done { then } => self.publish(then).await,
            Outcome::Later { at, mut envelope } => {
                envelope.not_before = Some(at);
                publisher.publish(&Outgoing::only(browse.queue.clone(), envelope)).await.map(drop)
            }
            Outcome::Dead { envelope } => publisher.bury(&browse.queue, &envelope).await,
        };
        if let Err(error) = stored {
            // What it was to become is not kept, so it stays what it was.
            browse.nack(self.tag).await.map_err(|_| self.lost())?;
            return Err(error);
        }
        sabotage::fail_point("amqp.redrive.confirmed");
        browse.ack(self.tag).await.map_err(|_| self.lost())
    }

    async fn publish(&self, then: Vec<Outgoing>) -> Result<()> {
        // All of them before the first is sent: what is refused must not leave the others behind.
        then.iter().try_for_each(Outgoing::check)?;
        for message in then {
            self.hand.publisher.publish(&message).await?;
        }
        Ok(())
    }

    fn lost(&self) -> Error {
        let queue = &self.hand.browse.queue;
        Error::lost(format!("a job of queue \"{queue}\" was given back when its connection or channel ended"))
    }
}
