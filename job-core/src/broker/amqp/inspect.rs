//! The operator's view, as far as AMQP can tell: how many wait, and what is in dead queues and in `jobs.unrouted`.
//!
//! Looking at a message means taking it and giving it back, which counts as a delivery and disturbs the order. Queues of
//! jobs that run are therefore not browsed: a look must not bring a job nearer to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::broker::amqp::census::{Census, Owner};
use crate::broker::amqp::declare::Declarer;
use crate::broker::amqp::link::Link;
use crate::broker::amqp::name::Names;
use crate::broker::amqp::publisher::Publisher;
use crate::broker::amqp::session::{ANSWER_MAX, Session};
use crate::broker::amqp::unrouted;
use crate::broker::{Delivery, Page, QueueStats, Which};
use crate::clock::Clock;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::name::QueueName;

mod browse;
mod delayed;
mod taken;

use browse::{Browse, Wanted};

/// The queue of jobs whose queue did not exist, as operators call it.
const UNROUTED: &str = "jobs.unrouted";

/// The most that is looked at.
const BROWSE_MAX: u16 = 10_000;

/// The pause before a queue that seems empty is asked again: RabbitMQ says 0, too, when a queue did not answer in time.
const ZERO_PAUSE: Duration = Duration::from_millis(20);

/// Looks at queues, by a connection of its own.
pub(super) struct Inspector {
    pub(super) link: Arc<Link>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) census: Arc<Census>,
    /// Declares on the link of this.
    pub(super) declarer: Declarer,
    pub(super) names: Arc<Names>,
    pub(super) handle: Handle,
    pub(super) clock: Clock,
}

impl Inspector {
    /// Returns all queues that exist, as far as they are known.
    ///
    /// # Errors
    /// When RabbitMQ cannot be asked.
    pub(super) async fn queues(&self) -> Result<Vec<QueueStats>> {
        // Else a job that came before its queue is in neither for a moment.
        self.census.settle(&self.clock).await;
        self.census.log.catch_up().await?;
        let session = self.session().await?;
        let mut queues: BTreeMap<QueueName, Owner> = self.census.queues();
        queues.extend(queues.keys().map(|queue| (queue.dead(), Owner::Us)).collect::<Vec<_>>());
        queues.extend(QueueName::parse_any(UNROUTED).map(|queue| (queue, Owner::Us)));
        let mut all = Vec::with_capacity(queues.len());
        for (name, owner) in queues {
            let physical = if owner == Owner::Us { self.names.queue(&name) } else { name.as_str().to_owned() };
            if let Some(ready) = self.ready(&session, &physical).await? {
                all.push(QueueStats { name, ready: Some(ready), delayed: None, running: None, oldest_ready: None });
            }
        }
        Ok(all)
    }

    /// Shows what waits in a queue, the oldest first.
    ///
    /// # Errors
    /// [`is_unsupported`](Error::is_unsupported) for a queue of jobs that run.
    pub(super) async fn peek(&self, queue: &QueueName, page: Page) -> Result<Vec<Envelope>> {
        self.check(queue)?;
        let session = self.session().await?;
        // All of it, for one order: giving back scrambles what the next look at the first of them would find.
        let Some(browse) = self.browse(&session, queue, BROWSE_MAX).await? else { return Ok(Vec::new()) };
        let mut all: Vec<Envelope> =
            browse.gather(Wanted::All).await?.into_iter().map(|m| m.received.envelope).collect();
        all.sort_by_cached_key(|envelope| {
            let died = envelope.details.death.as_ref().map(|death| death.at);
            (died.unwrap_or(envelope.enqueued_at), envelope.id.clone())
        });
        // Dropped with its channel, which gives everything back.
        browse.end().await;
        Ok(all.into_iter().skip(page.offset).take(page.limit).collect())
    }

    /// Takes messages of a queue, to settle them.
    ///
    /// # Errors
    /// [`is_unsupported`](Error::is_unsupported) for a queue of jobs that run.
    pub(super) async fn take(&self, queue: &QueueName, which: Which) -> Result<Vec<Delivery>> {
        self.check(queue)?;
        let (window, wanted) = match which {
            Which::First(0) => return Ok(Vec::new()),
            Which::First(count) => (u16::try_from(count).unwrap_or(BROWSE_MAX).min(BROWSE_MAX), Wanted::All),
            Which::Id(id) => (BROWSE_MAX, Wanted::Id(id)),
        };
        let session = self.session().await?;
        let Some(browse) = self.browse(&session, queue, window).await? else { return Ok(Vec::new()) };
        let found = browse.gather(wanted).await?;
        Ok(taken::deliveries(browse, found, Arc::clone(&self.publisher), self.handle.clone()))
    }

    async fn browse(&self, session: &Arc<Session>, queue: &QueueName, window: u16) -> Result<Option<Browse>> {
        let physical = self.names.queue(queue);
        let waiting = self.ready(session, &physical).await?.unwrap_or(0);
        if waiting > BROWSE_MAX.into() && window == BROWSE_MAX {
            tracing::warn!(target: "job", %queue, waiting, "only the first {BROWSE_MAX} are looked at");
        }
        if waiting == 0 {
            return Ok(None);
        }
        let expected = window.min(u16::try_from(waiting).unwrap_or(u16::MAX));
        Browse::open(Arc::clone(session), queue.clone(), &physical, expected, self.clock.clone()).await.map(Some)
    }

    async fn ready(&self, session: &Session, physical: &str) -> Result<Option<u64>> {
        let mut ready = unrouted::ready(session, physical).await?;
        if ready == Some(0) {
            self.clock.sleep(ZERO_PAUSE).await;
            ready = unrouted::ready(session, physical).await?;
        }
        Ok(ready.map(u64::from))
    }

    /// Checks that a queue can be browsed: nothing runs from it, or will.
    fn check(&self, queue: &QueueName) -> Result<()> {
        if queue.is_dead() || queue.as_str() == UNROUTED || self.census.is_retired(queue) {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "on RabbitMQ the jobs in \"{queue}\" cannot be looked at: each look would count as a delivery; only dead \
             queues, such as \"{}\", and \"{UNROUTED}\" can",
            queue.dead()
        )))
    }

    async fn session(&self) -> Result<Arc<Session>> {
        self.link.session(ANSWER_MAX).await
    }
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector").field("link", &self.link).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
