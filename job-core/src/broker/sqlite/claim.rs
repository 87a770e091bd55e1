//! Takes jobs for this process, and gives them back.
//!
//! A claim is fenced: whoever settles must name the owner and the claim number that the row still carries.

use rusqlite::{Statement, params};

use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::row::{COLUMNS, Row, limit, micros};
use crate::broker::sqlite::schema::{CLAIMED, DELAYED, READY};
use crate::broker::sqlite::session::Session;
use crate::sabotage;

/// What names a claimed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) seq: i64,
    pub(super) claim: i64,
}

/// The rows of one claim.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) claim: i64,
    pub(super) rows: Vec<Row>,
}

/// Claims the `count` jobs of a queue that have been due for longest.
pub(super) fn claim(session: &mut Session, queue: i64, count: usize) -> Result<Claimed, Fault> {
    promote(session, queue)?;
    let which = format!("SELECT seq FROM jobs WHERE queue = ?3 AND state = {READY} ORDER BY due, seq LIMIT ?4");
    mark(session, &which, params![queue, limit(count)])
}

/// Claims the `count` oldest waiting jobs of a queue, due or not.
pub(super) fn claim_first(session: &mut Session, queue: i64, count: usize) -> Result<Claimed, Fault> {
    // Two indexes, merged in their order.
    let which = format!(
        "SELECT seq FROM (SELECT due, seq FROM jobs WHERE queue = ?3 AND state = {READY} \
         UNION ALL SELECT due, seq FROM jobs WHERE queue = ?3 AND state = {DELAYED} ORDER BY 1, 2 LIMIT ?4)"
    );
    mark(session, &which, params![queue, limit(count)])
}

/// Claims the waiting job of a queue that has this id.
pub(super) fn claim_id(session: &mut Session, queue: i64, id: &dyn rusqlite::ToSql) -> Result<Claimed, Fault> {
    let which = format!("SELECT seq FROM jobs WHERE queue = ?3 AND id = ?4 AND state <> {CLAIMED}");
    mark(session, &which, params![queue, id])
}

/// Gives claimed rows of a queue back, as if they had not been claimed.
pub(super) fn release(session: &mut Session, queue: i64, tokens: &[Token]) -> Result<usize, Fault> {
    let now = micros(session.clock.now());
    let mut statement = session.conn.prepare_cached(&format!(
        "UPDATE jobs SET state = iif(due > ?4, {DELAYED}, {READY}), owner = NULL, claim = NULL \
         WHERE seq = ?1 AND owner = ?2 AND claim = ?3"
    ))?;
    let mut count = 0;
    for token in tokens {
        count += statement.execute(params![token.seq, session.owner, token.claim, now])?;
    }
    session.effects.wake(queue);
    sabotage::written("release");
    Ok(count)
}

/// Gives back whatever an owner has claimed, since it has lost it.
pub(super) fn reclaim(session: &mut Session, owner: i64) -> Result<usize, Fault> {
    let now = micros(session.clock.now());
    // Without an index, which each claim would pay for: a process dies rarely.
    let mut statement = session.conn.prepare_cached(&format!(
        "UPDATE jobs SET state = iif(due > ?2, {DELAYED}, {READY}), owner = NULL, claim = NULL, \
         redeliveries = redeliveries + 1 WHERE state = {CLAIMED} AND owner = ?1 RETURNING queue"
    ))?;
    let mut rows = statement.query(params![owner, now])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        session.effects.wake(row.get(0)?);
        count += 1;
    }
    Ok(count)
}

/// Makes ready what has become due: the index of ready jobs then needs no comparison of times.
fn promote(session: &mut Session, queue: i64) -> Result<(), Fault> {
    let now = micros(session.clock.now());
    let mut statement = session.conn.prepare_cached(&format!(
        "UPDATE jobs SET state = {READY} WHERE queue = ?1 AND state = {DELAYED} AND due <= ?2"
    ))?;
    statement.execute(params![queue, now])?;
    Ok(())
}

fn mark(session: &mut Session, which: &str, chosen: &[&dyn rusqlite::ToSql]) -> Result<Claimed, Fault> {
    session.claim += 1;
    let claim = session.claim;
    // Only under a name that is known: others who thought this process dead have forgotten it, and would never give back
    // what it claims before it notices.
    let mut statement = session.conn.prepare_cached(&format!(
        "UPDATE jobs SET state = {CLAIMED}, owner = ?1, claim = ?2 WHERE seq IN ({which}) \
         AND EXISTS (SELECT 1 FROM owners WHERE id = ?1) RETURNING {COLUMNS}"
    ))?;
    let mut all: Vec<&dyn rusqlite::ToSql> = vec![&session.owner, &claim];
    all.extend_from_slice(chosen);
    let mut rows = collect(&mut statement, &all)?;
    // RETURNING has no order of its own.
    rows.sort_unstable_by_key(|row| (row.due, row.seq));
    if !rows.is_empty() {
        sabotage::written("claim");
    }
    Ok(Claimed { claim, rows })
}

fn collect(statement: &mut Statement<'_>, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Row>, Fault> {
    let rows = statement.query_map(values, Row::read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
