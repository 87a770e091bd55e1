//! Settles one delivery: what is to be kept is confirmed first, and only then the delivery acknowledged.

use std::future::ready;
use std::sync::Arc;
use std::time::Instant;

use crate::broker::amqp::ack_ring::Mark;
use crate::broker::amqp::desk::{Desk, Errand, Nature};
use crate::broker::amqp::intake::Intake;

use crate::broker::amqp::settled::Key;
use crate::broker::{BoxFuture, Outcome, Outgoing, Settle};
use crate::error::{Error, Result};
use crate::sabotage::{self, Mutant};

/// One delivery in somebody's hands. Dropped unsettled, it goes back when its channel ends.
pub(super) struct AmqpSettle {
    pub(super) intake: Arc<Intake>,
    pub(super) desk: Arc<Desk>,
    pub(super) mark: Option<Mark>,
    pub(super) key: Key,
    pub(super) begun: Instant,
}

impl Settle for AmqpSettle {
    fn settle(self: Box<Self>, outcome: Outcome) -> BoxFuture<'static, Result<()>> {
        self.desk.note_run(self.begun);
        match outcome {
            // An acknowledgement has no answer to wait for: it goes out with its neighbours.
            Outcome::Done { then } if then.is_empty() => Box::pin(ready(self.done())),
            outcome => {
                let desk = Arc::clone(&self.desk);
                // A task, so that it goes on whether somebody waits for it or not.
                let recording = desk.spawn(self.record(outcome));
                Box::pin(async move {
                    // A broker that ended has given everything back.
                    recording.await.unwrap_or_else(|_| Err(desk.lost()))
                })
            }
        }
    }
}

impl AmqpSettle {
    /// Acknowledges without a run: it has run before.
    pub(super) fn skip(mut self) {
        self.acknowledge();
    }

    fn done(mut self) -> Result<()> {
        // Lost or not, it has run: should it come here again, it need not.
        self.desk.remember(&self.key);
        if !self.intake.is_alive() {
            self.acknowledge_elsewhere();
            return Err(self.desk.lost());
        }
        self.acknowledge();
        Ok(())
    }

    pub(super) async fn record(mut self: Box<Self>, outcome: Outcome) -> Result<()> {
        if !self.intake.is_alive() {
            return Err(self.desk.lost());
        }
        if sabotage::is_on(Mutant::AckBeforeConfirm) && matches!(outcome, Outcome::Later { .. } | Outcome::Dead { .. })
        {
            self.acknowledge();
        }
        if self.desk.nature() == Nature::OfProcess && matches!(outcome, Outcome::Later { .. } | Outcome::Dead { .. }) {
            // There is no place where it could be kept.
            self.acknowledge();
            return Ok(());
        }
        let is_over = self.is_over_with(&outcome);
        let recorded = match outcome {
            Outcome::Release => return self.release().await,
            Outcome::Done { then } => self.publish_then(then).await,
            Outcome::Later { at, mut envelope } => {
                envelope.not_before = Some(at);
                let again = Errand::Publish(Outgoing::only(self.desk.queue().clone(), envelope));
                self.desk.run(&self.intake, again).await.inspect(|()| sabotage::fail_point("amqp.later.confirmed"))
            }
            Outcome::Dead { envelope } => {
                let bury = Errand::Bury(envelope);
                self.desk.run(&self.intake, bury).await.inspect(|()| sabotage::fail_point("amqp.dead.confirmed"))
            }
        };
        if let Err(error) = recorded {
            // What it was to become is not kept, so it stays what it was.
            return Err(self.release().await.err().filter(Error::is_lost).unwrap_or(error));
        }
        if is_over {
            self.desk.remember(&self.key);
        }
        // Recorded, whatever becomes of the acknowledgement.
        self.acknowledge();
        Ok(())
    }

    /// Says whether this very turn of the job is over, so that a second copy of it need not run. It is not where it comes
    /// back, or goes elsewhere, as the same turn; and a dead job may be put back by anybody, with any tool.
    fn is_over_with(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Done { then } => !then.iter().any(|message| self.key.is_turn(&message.envelope)),
            Outcome::Later { envelope, .. } => !self.key.is_turn(envelope),
            Outcome::Dead { .. } | Outcome::Release => false,
        }
    }

    async fn publish_then(&self, then: Vec<Outgoing>) -> Result<()> {
        // All of them before the first is sent: what is refused must not leave the others behind.
        then.iter().try_for_each(Outgoing::check)?;
        for message in then {
            self.desk.run(&self.intake, Errand::Publish(message)).await?;
            sabotage::fail_point("amqp.then.confirmed");
        }
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        match self.mark.take() {
            Some(mark) => self.intake.release(mark).await.map_err(|_| self.desk.lost()),
            None => Ok(()),
        }
    }

    /// Takes the number of a lost delivery for one of the next channel, under [`Mutant::AckAcrossGenerations`].
    fn acknowledge_elsewhere(&mut self) {
        let mark = self.mark.take().filter(|_| sabotage::is_on(Mutant::AckAcrossGenerations));
        if let Some((mark, next)) = mark.zip(self.desk.current()) {
            drop(self.desk.spawn(async move { next.acknowledge_by_number(mark.tag()).await }));
        }
    }

    fn acknowledge(&mut self) {
        if let Some(mark) = self.mark.take() {
            self.intake.finish(mark);
        }
    }
}

impl Drop for AmqpSettle {
    fn drop(&mut self) {
        self.intake.take_back();
    }
}
