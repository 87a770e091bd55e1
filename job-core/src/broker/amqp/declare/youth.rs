//! Waits until a queue is old enough for its node's death.
//!
//! A quorum queue of RabbitMQ 3.10.8 whose node is killed within a second of the queue's first declaration was seen to
//! come back without a leader, and without what it had confirmed; whoever consumes or publishes hangs for a minute at a
//! time. So a queue of jobs is made first, and bound only once it is old enough: until then, nothing reaches it, and jobs
//! for it wait among the unrouted. Its dead queue is made after that, so that others see by it that the queue is old.
//!
//! Slots and dead queues are not waited for: what they confirm counts as stored only once this process has known them for
//! a while, and the connection lives still.

use std::time::Duration;

use crate::broker::amqp::argument::QueueKind;
use crate::broker::amqp::declare::mute::leaderless;
use crate::broker::amqp::declare::{Declarer, Thing, Work, kind_of};
use crate::broker::amqp::session::Session;
use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::topology::{Lifetime, Topology};

impl Declarer {
    /// Makes the new queues of a topology, and waits once for all of them.
    ///
    /// # Errors
    /// When one cannot be made, or the connection is lost.
    pub(super) async fn raise(&self, session: &Session, topology: &Topology) -> Result<()> {
        let is_of_process = |name: &QueueName| {
            let declared = topology.queues.iter().find(|queue| queue.name == *name);
            declared.map_or_else(|| self.own.has(name), |queue| queue.lifetime == Lifetime::Process)
        };
        let ours =
            topology.queues.iter().map(|queue| if queue.is_external { queue.name.retry() } else { queue.name.clone() });
        let bound = topology.bindings.iter().map(|binding| binding.queue.clone());
        let queues: Vec<QueueName> =
            ours.chain(bound).filter(|queue| !queue.is_dead() && !is_of_process(queue)).collect();
        let _turn = self.turn.lock().await;
        let mut work = self.work(session);
        let raised = work.raise(&queues).await;
        work.end().await;
        match raised {
            // Each is then looked for by itself: somebody else may have made it.
            Err(error) if error.is_denied() => Ok(()),
            raised => raised,
        }
    }

    /// Waits until a thing that was [ensured](Self::ensure) is old enough for its node's death; `false` when the connection
    /// was lost before, and with it, maybe, what the thing had confirmed.
    pub(in crate::broker::amqp) async fn outgrown(&self, session: &Session, thing: &Thing) -> bool {
        if session.is_alive() && self.ages.is_older(thing, self.youth, session.clock().monotonic()) {
            return true;
        }
        let since = {
            let known = self.lock();
            if known.grown.contains(thing) {
                return true;
            }
            known.things.get(thing).copied().filter(|_| known.generation == session.generation())
        };
        let clock = session.clock();
        // One that was forgotten meanwhile begins anew.
        let since = since.unwrap_or_else(|| clock.monotonic());
        let is_alive = lives_on(session, self.youth.saturating_sub(clock.monotonic() - since)).await;
        if is_alive {
            self.lock().grown.insert(thing.clone());
        }
        is_alive
    }
}

impl Work<'_> {
    /// Makes queues of jobs that may be young, and lets them grow old.
    pub(super) async fn raise(&mut self, queues: &[QueueName]) -> Result<()> {
        let mut young = Vec::new();
        for queue in queues {
            let is_old = self.declarer.lock().grown.contains(&Thing::Queue(queue.clone()));
            let physical = self.names.queue(queue);
            // A suspects' queue shares its dead queue with the work queue, which says nothing of it.
            let sign = if queue.is_suspect() { physical.clone() } else { self.names.queue(&queue.dead()) };
            let is_old = is_old || (self.has_queue(&physical).await? && self.has_queue(&sign).await?);
            if !is_old {
                self.queue(&physical, kind_of(queue)).await?;
                young.push(physical);
            }
        }
        if !young.is_empty() {
            self.grow().await?;
        }
        for physical in young {
            // One that an earlier death has left without a leader is not bound: what is published for it is kept elsewhere.
            if !self.answers(&physical).await? {
                return Err(leaderless(&physical));
            }
        }
        let grown = queues.iter().map(|queue| Thing::Queue(queue.clone()));
        self.declarer.lock().grown.extend(grown);
        Ok(())
    }

    /// Makes the queue of jobs that have none, and lets it grow old. The last of the exchanges is the sign that it is.
    pub(super) async fn raise_unrouted(&mut self, physical: &str) -> Result<()> {
        let is_old = self.declarer.lock().grown.contains(&Thing::Base);
        let sign = self.names.dead_exchange();
        let is_old = is_old || (self.has_queue(physical).await? && self.has_exchange(&sign).await?);
        self.queue(physical, QueueKind::Unrouted).await?;
        if !is_old {
            self.grow().await?;
        }
        self.declarer.lock().grown.insert(Thing::Base);
        Ok(())
    }

    async fn grow(&self) -> Result<()> {
        if lives_on(self.session, self.declarer.youth).await {
            return Ok(());
        }
        Err(Error::unavailable("the connection to RabbitMQ was lost while new queues were made"))
    }
}

/// Says whether a connection is still there after a while.
async fn lives_on(session: &Session, duration: Duration) -> bool {
    tokio::select! {
        () = session.clock().sleep(duration) => session.is_alive(),
        () = session.lost() => false,
    }
}
