//! The operator's view. Reads go over a connection of their own, so that a long look holds up no job.

use std::sync::{Arc, Mutex};

use rusqlite::{Connection, Row as SqlRow, params};

use crate::broker::sqlite::claim::{Claimed, Token, claim_first, claim_id};
use crate::broker::sqlite::connection::open_reader;
use crate::broker::sqlite::consumer::Outlet;
use crate::broker::sqlite::fault::{Fault, Site};
use crate::broker::sqlite::op::Manner;
use crate::broker::sqlite::port::Port;
use crate::broker::sqlite::row::{COLUMNS, Row, StoredId, instant, limit, micros};
use crate::broker::sqlite::schema::{CLAIMED, DELAYED, READY};
use crate::broker::{Delivery, Found, JobState, Page, QueueStats, Which};
use crate::clock::Clock;
use crate::envelope::Envelope;
use crate::error::Result;
use crate::name::{JobId, QueueName};

/// Reads beside the thread that writes.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    site: Arc<Site>,
    conn: Arc<Mutex<Option<Connection>>>,
}

impl Reader {
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self { site, conn: Arc::default() }
    }

    /// Closes the connection; the next read opens another.
    pub(super) fn close(&self) {
        self.conn.lock().expect("no code panics while it holds the reader").take();
    }

    pub(super) async fn queues(&self, clock: &Clock) -> Result<Vec<QueueStats>> {
        let now = micros(clock.now());
        self.read(move |conn| queues(conn, now)).await
    }

    pub(super) async fn peek(&self, queue: &QueueName, page: Page) -> Result<Vec<Envelope>> {
        let queue = queue.clone();
        self.read(move |conn| peek(conn, &queue, page)).await
    }

    pub(super) async fn find(&self, id: &JobId, clock: &Clock) -> Result<Option<Found>> {
        let (id, now) = (id.clone(), micros(clock.now()));
        self.read(move |conn| find(conn, &id, now)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let Self { site, conn } = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut conn = conn.lock().expect("no code panics while it holds the reader");
            let conn = match &mut *conn {
                Some(conn) => conn,
                none => none.insert(open_reader(&site).map_err(|fault| site.error(&fault))?),
            };
            // One snapshot for all of it.
            let snapshot = conn.unchecked_transaction().map_err(|error| site.error(&error.into()))?;
            work(&snapshot).map_err(|fault| site.error(&fault))
        });
        done.await.unwrap_or_else(|_| Err(self.site.closed()))
    }
}

/// Takes waiting jobs for an operator.
pub(super) async fn take(port: &Port, clock: &Clock, queue: &QueueName, which: Which) -> Result<Vec<Delivery>> {
    let name = queue.clone();
    let taken = port.call(Manner::Publish, move |session| {
        let Some(number) = session.catalog.find(&session.conn, &name)? else { return Ok(None) };
        let claimed = match &which {
            Which::Id(id) => claim_id(session, number, &StoredId(id))?,
            Which::First(count) => claim_first(session, number, *count)?,
        };
        Ok(Some((number, claimed)))
    });
    let Some((queue_number, Claimed { claim, rows })) = taken.await.map_err(|fault| port.site.error(&fault))? else {
        return Ok(Vec::new());
    };
    let outlet = Arc::new(Outlet { queue: queue.clone(), queue_number, clock: clock.clone(), port: port.clone() });
    Ok(rows.into_iter().map(|row| outlet.delivery(Token { seq: row.seq, claim }, row, None)).collect())
}

fn queues(conn: &Connection, now: i64) -> Result<Vec<QueueStats>, Fault> {
    let mut statement = conn.prepare_cached(&format!(
        "WITH kept AS (SELECT queue, count(*) AS count FROM jobs GROUP BY queue) \
         SELECT name, coalesce(kept.count, 0), \
         (SELECT count(*) FROM jobs WHERE queue = q.id AND state = {READY}), \
         (SELECT count(*) FROM jobs WHERE queue = q.id AND state = {DELAYED}), \
         (SELECT count(*) FROM jobs WHERE queue = q.id AND state = {DELAYED} AND due <= ?1), \
         (SELECT min(due) FROM jobs WHERE queue = q.id AND state = {READY}), \
         (SELECT min(due) FROM jobs WHERE queue = q.id AND state = {DELAYED} AND due <= ?1) \
         FROM queues q LEFT JOIN kept ON kept.queue = q.id WHERE is_declared OR kept.queue IS NOT NULL ORDER BY name"
    ))?;
    let rows = statement.query_map([now], |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let (all, ready, delayed, due) = (count(1)?, count(2)?, count(3)?, count(4)?);
        let oldest: [Option<i64>; 2] = [row.get(5)?, row.get(6)?];
        Ok(QueueStats {
            name: queue_name(row, 0)?,
            ready: Some(ready + due),
            delayed: Some(delayed - due),
            running: Some(all - ready - delayed),
            oldest_ready: oldest.into_iter().flatten().min().map(instant),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn peek(conn: &Connection, queue: &QueueName, page: Page) -> Result<Vec<Envelope>, Fault> {
    let mut statement = conn.prepare_cached(&format!(
        "WITH page AS (SELECT due, seq FROM jobs WHERE queue = (SELECT id FROM queues WHERE name = ?1) AND state = {READY} \
         UNION ALL SELECT due, seq FROM jobs WHERE queue = (SELECT id FROM queues WHERE name = ?1) AND state = {DELAYED} \
         ORDER BY 1, 2 LIMIT ?2 OFFSET ?3) \
         SELECT {COLUMNS} FROM jobs WHERE seq IN (SELECT seq FROM page) ORDER BY due, seq"
    ))?;
    let rows = statement.query_map(params![queue.as_str(), limit(page.limit), limit(page.offset)], Row::read)?;
    rows.map(|row| Ok(row?.decode().0)).collect()
}

fn find(conn: &Connection, id: &JobId, now: i64) -> Result<Option<Found>, Fault> {
    let columns = COLUMNS.split(", ").map(|column| format!("j.{column}")).collect::<Vec<_>>().join(", ");
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {columns}, q.name, j.state FROM queues q JOIN jobs j ON j.queue = q.id AND j.id = ?1"
    ))?;
    let rows = statement.query_map([StoredId(id)], |row| found(row, now))?;
    let all: Vec<Found> = rows.collect::<rusqlite::Result<_>>()?;
    // A job that was redriven is its new life, not a copy that is about to go.
    let rank = |found: &Found| match found.state {
        JobState::Running => 0,
        JobState::Ready | JobState::Delayed(_) => 1,
        JobState::Dead => 2,
    };
    Ok(all.into_iter().min_by_key(rank))
}

fn found(row: &SqlRow<'_>, now: i64) -> rusqlite::Result<Found> {
    let count = COLUMNS.split(", ").count();
    let queue = queue_name(row, count)?;
    let stored = Row::read(row)?;
    let state = match row.get::<_, i64>(count + 1)? {
        CLAIMED => JobState::Running,
        _ if queue.is_dead() => JobState::Dead,
        _ if stored.due > now => JobState::Delayed(instant(stored.due)),
        _ => JobState::Ready,
    };
    Ok(Found { queue, state, envelope: stored.decode().0 })
}

fn queue_name(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<QueueName> {
    let text: String = row.get(column)?;
    QueueName::parse_any(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}
