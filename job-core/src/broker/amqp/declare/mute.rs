//! Keeps away from queues that have no leader.
//!
//! A quorum queue of RabbitMQ 3.10.8 whose node is killed within a second of the queue's making may have no leader ever
//! after, and one of a cluster has none while most of its nodes are away. Its channel does nothing else for a minute when
//! something is published to such a queue, nor does the connection soon after: one slot of 128 would stop all jobs. So a
//! queue of the wheel is asked on a channel of its own first, once a connection, and another slot does instead of one
//! that does not answer.

use std::time::Duration;

use crate::broker::amqp::barrier;
use crate::broker::amqp::declare::{Declarer, Thing, Work};
use crate::broker::amqp::name::Names;
use crate::broker::amqp::session::Session;
use crate::broker::amqp::wheel::{Geometry, SlotId};
use crate::error::{Error, Result};

/// How long a queue may take to answer. A leader is elected within half a second; a busy disk takes its time.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// How long a queue that did not answer is left alone.
const ALONE: Duration = Duration::from_secs(30);

impl Declarer {
    /// Declares a slot, and returns it, or another one that will do where it has no leader.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub(in crate::broker::amqp) async fn slot(
        &self,
        session: &Session,
        wanted: SlotId,
        geometry: &Geometry,
        now: i64,
    ) -> Result<SlotId> {
        let mut declared = self.ensure(session, &wanted.into()).await;
        for slot in geometry.instead_of(wanted, now) {
            if declared.is_ok() || !self.is_mute(session, &wanted.into()) {
                break;
            }
            declared = match self.ensure(session, &slot.into()).await {
                Ok(()) => return Ok(slot),
                error => error,
            };
        }
        declared.map(|()| wanted)
    }

    /// Says whether a thing was found to have no leader, a while ago at the most.
    pub(in crate::broker::amqp) fn is_mute(&self, session: &Session, thing: &Thing) -> bool {
        let now = session.clock().monotonic();
        self.lock().mute.get(thing).is_some_and(|since| now.saturating_duration_since(*since) < ALONE)
    }
}

impl Work<'_> {
    /// Has a queue of the wheel answer.
    ///
    /// # Errors
    /// When it does not.
    pub(super) async fn listen(&mut self, thing: &Thing) -> Result<()> {
        let Some(physical) = name(thing, self.names) else { return Ok(()) };
        let answers = self.answers(&physical).await?;
        let now = self.session.clock().monotonic();
        let mut known = self.declarer.lock();
        if answers {
            known.mute.remove(thing);
            return Ok(());
        }
        known.mute.insert(thing.clone(), now);
        Err(leaderless(&physical))
    }

    /// Says whether a queue answers, as far as we may ask it.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn answers(&mut self, physical: &str) -> Result<bool> {
        let channel = self.channel().await?;
        let answer = self.session.clock().timeout(ANSWER_MAX, barrier::pass(self.session, &channel, physical)).await;
        if let Some(Ok(())) = answer {
            return Ok(true);
        }
        // It is closed, or cannot be closed for as long as it waits.
        self.channel = None;
        match answer {
            Some(Err(error)) if !error.is_denied() => Err(error),
            Some(_) => Ok(true),
            None => {
                tracing::error!(target: "job", "{}", leaderless(physical));
                Ok(false)
            }
        }
    }
}

impl From<SlotId> for Thing {
    fn from(SlotId { level, index }: SlotId) -> Self {
        Self::Slot { level, index }
    }
}

fn name(thing: &Thing, names: &Names) -> Option<String> {
    match thing {
        Thing::Slot { level, index } => Some(names.slot(*level, *index)),
        Thing::Pumps => Some(names.pumps()),
        _ => None,
    }
}

pub(super) fn leaderless(physical: &str) -> Error {
    Error::unavailable(format!(
        "the queue \"{physical}\" has no leader; it has one again when most of its nodes run, or, where RabbitMQ was killed \
         right after the queue was made, by `rabbitmqctl eval 'ra:trigger_election({{list_to_atom(\"%2F_{physical}\"), \
         node()}}).'`"
    ))
}
