//! Stores messages: finds the queues they reach, and inserts a row into each.

use rusqlite::params;

use crate::broker::Outgoing;
use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::row::{StoredId, encode_content, encode_details, micros, micros_up, waiting_state};
use crate::broker::sqlite::session::Session;
use crate::envelope::Envelope;
use crate::error::Result;
use crate::name::Kind;
use crate::sabotage;

const INSERT: &str = "INSERT INTO jobs(queue, id, state, due, attempt, sequence, redeliveries, content, enqueued_at, \
                      not_before, kind, details, payload) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10, ?11, ?12) \
                      ON CONFLICT(queue, id) DO NOTHING";

/// Stores one message, and returns how many queues took a copy; the inner error says why none was allowed to.
pub(super) fn publish(session: &mut Session, message: &Outgoing) -> Result<Result<u32>, Fault> {
    let queues = match route(session, message)? {
        Ok(queues) => queues,
        Err(error) => return Ok(Err(error)),
    };
    let copies = insert(session, &queues, &message.envelope)?;
    sabotage::written("publish");
    Ok(Ok(copies))
}

/// Returns the queues that a message reaches.
pub(super) fn route(session: &mut Session, message: &Outgoing) -> Result<Result<Vec<i64>>, Fault> {
    if let Err(error) = message.check() {
        return Ok(Err(error));
    }
    let Some(name) = message.target.queue() else {
        let queues = session.catalog.route(&session.conn, &message.target, &message.envelope.details.headers)?;
        return Ok(message.check_reach(queues.len()).map(|()| queues));
    };
    Ok(Ok(vec![session.catalog.ensure(&session.conn, name)?]))
}

/// Stores a copy in each of the queues, and returns how many did not hold its id before.
pub(super) fn insert(session: &mut Session, queues: &[i64], envelope: &Envelope) -> Result<u32, Fault> {
    let now = micros(session.clock.now());
    let due = match envelope.not_before.map(micros_up) {
        Some(at) if at > now => at,
        // A producer whose clock is ahead must not delay its jobs.
        _ => micros(envelope.runnable_since()).min(now),
    };
    let details = encode_details(&envelope.details);
    let mut statement = session.conn.prepare_cached(INSERT)?;
    let mut copies = 0;
    for queue in queues {
        let added = statement.execute(params![
            queue,
            StoredId(&envelope.id),
            waiting_state(due, now),
            due,
            envelope.attempt,
            envelope.sequence,
            encode_content(envelope.content),
            micros(envelope.enqueued_at),
            envelope.not_before.map(micros),
            envelope.kind.as_ref().map(Kind::as_str),
            details,
            envelope.payload,
        ])?;
        if added > 0 {
            copies += 1;
            session.effects.wake(*queue);
        }
    }
    Ok(copies)
}
