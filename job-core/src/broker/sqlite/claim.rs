//! Takes jobs for this process, and gives them back.
//!
//! A claim is fenced: whoever settles must name the owner and the claim number that the row still carries.

use rusqlite::params;

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
    let which = format!("queue = ?1 AND state = {READY} ORDER BY due, seq LIMIT ?2");
    take(session, &which, params![queue, limit(count)])
}

/// Claims the `count` oldest waiting jobs of a queue, due or not.
pub(super) fn claim_first(session: &mut Session, queue: i64, count: usize) -> Result<Claimed, Fault> {
    // Two indexes, merged in their order.
    let which = format!(
        "seq IN (SELECT seq FROM (SELECT due, seq FROM jobs WHERE queue = ?1 AND state = {READY} \
         UNION ALL SELECT due, seq FROM jobs WHERE queue = ?1 AND state = {DELAYED} ORDER BY 1, 2 LIMIT ?2)) \
         ORDER BY due, seq"
    );
    take(session, &which, params![queue, limit(count)])
}

/// Claims the waiting job of a queue that has this id.
pub(super) fn claim_id(session: &mut Session, queue: i64, id: &dyn rusqlite::ToSql) -> Result<Claimed, Fault> {
    take(session, &format!("queue = ?1 AND id = ?2 AND state <> {CLAIMED}"), params![queue, id])
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

fn take(session: &mut Session, which: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Claimed, Fault> {
    session.claim += 1;
    let claim = session.claim;
    // Only under a name that is known: others who thought this process dead have forgotten it, and would never give back
    // what it claims before it notices.
    let mut is_known = session.conn.prepare_cached("SELECT 1 FROM owners WHERE id = ?1")?;
    let rows = match is_known.exists([session.owner])? {
        true => read(session, which, values)?,
        false => Vec::new(),
    };
    mark(session, claim, &rows)?;
    if !rows.is_empty() {
        sabotage::written("claim");
    }
    Ok(Claimed { claim, rows })
}

fn read(session: &Session, which: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Row>, Fault> {
    let mut statement = session.conn.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE {which}"))?;
    let mut found = statement.query(values)?;
    let mut rows: Vec<Row> = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(Row::read_after(rows.last(), row)?);
    }
    Ok(rows)
}

/// Row by row: that is faster than one statement which finds the rows and returns them as they are then.
fn mark(session: &Session, claim: i64, rows: &[Row]) -> Result<(), Fault> {
    let sql = format!("UPDATE jobs SET state = {CLAIMED}, owner = ?1, claim = ?2 WHERE seq = ?3");
    let mut statement = session.conn.prepare_cached(&sql)?;
    statement.raw_bind_parameter(1, session.owner)?;
    statement.raw_bind_parameter(2, claim)?;
    for row in rows {
        statement.raw_bind_parameter(3, row.seq)?;
        statement.raw_execute()?;
    }
    Ok(())
}
