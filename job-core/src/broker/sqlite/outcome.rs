//! Records what became of a claimed row, in the transaction that also stores what follows from it.

use rusqlite::params;

use crate::broker::sqlite::claim::{Token, release};
use crate::broker::sqlite::completion::Deletion;
use crate::broker::sqlite::declare::is_of_process;
use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::row::{encode_content, encode_details, micros, micros_up, waiting_state};
use crate::broker::sqlite::session::Session;
use crate::broker::sqlite::store;
use crate::broker::{Outcome, Outgoing};
use crate::clock::Timestamp;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::name::{Kind, QueueName};
use crate::sabotage::{self, Mutant};

const REWRITE: &str = "UPDATE OR REPLACE jobs SET queue = ?4, state = ?5, due = ?6, attempt = ?7, sequence = ?8, \
                       content = ?9, not_before = ?10, kind = ?11, details = ?12, payload = ?13, redeliveries = 0, \
                       owner = NULL, claim = NULL WHERE seq = ?1 AND owner = ?2 AND claim = ?3";

/// How a settlement ended.
#[derive(Debug)]
pub(super) enum Settled {
    /// It is recorded.
    Recorded,
    /// The row was no longer ours.
    Lost,
    /// What was to follow cannot be stored; the job is given back.
    Refused(Error),
}

/// Where a claimed row stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) queue: QueueName,
    pub(super) queue_number: i64,
    pub(super) token: Token,
}

/// Records an outcome.
pub(super) fn record(session: &mut Session, place: &Place, outcome: &Outcome) -> Result<Settled, Fault> {
    let count = match outcome {
        Outcome::Later { .. } | Outcome::Dead { .. } if is_of_process(place.queue_number) => {
            return finish(session, place, &[]);
        }
        Outcome::Done { then } => return finish(session, place, then),
        Outcome::Later { at, envelope } => rewrite(session, place.token, place.queue_number, *at, Some(*at), envelope)?,
        Outcome::Dead { envelope } => {
            let dead = session.catalog.ensure(&session.conn, &place.queue.dead())?;
            let now = session.clock.now();
            rewrite(session, place.token, dead, now, envelope.not_before, envelope)?
        }
        Outcome::Release => release(session, place.queue_number, &[place.token])?,
    };
    Ok(if count == 1 { Settled::Recorded } else { Settled::Lost })
}

fn finish(session: &mut Session, place: &Place, then: &[Outgoing]) -> Result<Settled, Fault> {
    let mut routes = Vec::with_capacity(then.len());
    for message in then {
        match store::route(session, message)? {
            Ok(queues) => routes.push(queues),
            Err(error) => {
                // Kept by nobody, the job would wait for this process to end.
                release(session, place.queue_number, &[place.token])?;
                return Ok(Settled::Refused(error));
            }
        }
    }
    if !Deletion::new(&session.conn, session.owner)?.delete(place.token)? {
        return Ok(Settled::Lost);
    }
    let then = if sabotage::is_on(Mutant::ForgetThen) { &[] } else { then };
    for (message, queues) in then.iter().zip(&routes) {
        store::insert(session, queues, &message.envelope)?;
    }
    if !then.is_empty() {
        sabotage::written("then");
    }
    Ok(Settled::Recorded)
}

fn rewrite(
    session: &mut Session,
    token: Token,
    queue: i64,
    at: Timestamp,
    not_before: Option<Timestamp>,
    envelope: &Envelope,
) -> Result<usize, Fault> {
    let now = micros(session.clock.now());
    let due = micros_up(at);
    let mut statement = session.conn.prepare_cached(&sabotage::fence(REWRITE))?;
    let count = statement.execute(params![
        token.seq,
        session.owner,
        token.claim,
        queue,
        waiting_state(due, now),
        due,
        envelope.attempt,
        envelope.sequence,
        encode_content(envelope.content),
        not_before.map(micros),
        envelope.kind.as_ref().map(Kind::as_str),
        encode_details(&envelope.details),
        envelope.payload,
    ])?;
    session.effects.wake(queue);
    sabotage::written(if envelope.details.death.is_some() { "dead" } else { "later" });
    Ok(count)
}
