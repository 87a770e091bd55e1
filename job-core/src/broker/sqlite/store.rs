//! Stores messages: finds the queues they reach, and inserts a row into each.

use rusqlite::{CachedStatement, Connection};

use crate::broker::Outgoing;
use crate::broker::sqlite::catalog::Catalog;
use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::row::{StoredId, encode_content, encode_details, micros, micros_up, waiting_state};
use crate::broker::sqlite::schema::READY;
use crate::broker::sqlite::session::{Effects, Session};
use crate::clock::Timestamp;
use crate::envelope::{Content, Envelope};
use crate::error::Result;
use crate::name::Kind;
use crate::sabotage;

const COLUMNS: &str = "INSERT INTO jobs(queue, kind, id, due, enqueued_at, payload, state, attempt, sequence, content, \
                       not_before, details, redeliveries) VALUES(?1, ?2, ?3, ?4, ?5, ?6";

const ONCE: &str = "ON CONFLICT(queue, id) DO NOTHING";

/// Stores messages, and returns for each how many queues took a copy; an inner error says why none was allowed to.
pub(super) fn publish_all(session: &mut Session, messages: &[Outgoing]) -> Result<Vec<Result<u32>>, Fault> {
    let Session { conn, catalog, clock, effects, .. } = session;
    let mut inserter = Inserter::new(conn, effects, clock.now());
    messages.iter().map(|message| publish_one(&mut inserter, catalog, message)).collect()
}

/// Stores one message.
pub(super) fn publish(session: &mut Session, message: &Outgoing) -> Result<Result<u32>, Fault> {
    let mut answers = publish_all(session, std::slice::from_ref(message))?;
    Ok(answers.pop().expect("one message has one answer"))
}

/// Returns the queues that a message reaches.
pub(super) fn route(session: &mut Session, message: &Outgoing) -> Result<Result<Vec<i64>>, Fault> {
    route_by(&session.conn, &mut session.catalog, message)
}

/// Stores a copy in each of the queues.
pub(super) fn insert(session: &mut Session, queues: &[i64], envelope: &Envelope) -> Result<u32, Fault> {
    let now = session.clock.now();
    Inserter::new(&session.conn, &mut session.effects, now).insert(queues, envelope)
}

fn publish_one(inserter: &mut Inserter<'_>, catalog: &mut Catalog, message: &Outgoing) -> Result<Result<u32>, Fault> {
    let queues = match route_by(inserter.conn, catalog, message)? {
        Ok(queues) => queues,
        Err(error) => return Ok(Err(error)),
    };
    let copies = inserter.insert(&queues, &message.envelope)?;
    sabotage::written("publish");
    Ok(Ok(copies))
}

fn route_by(conn: &Connection, catalog: &mut Catalog, message: &Outgoing) -> Result<Result<Vec<i64>>, Fault> {
    if let Err(error) = message.check() {
        return Ok(Err(error));
    }
    let Some(name) = message.target.queue() else {
        let queues = catalog.route(conn, &message.target, &message.envelope.details.headers)?;
        return Ok(message.check_reach(queues.len()).map(|()| queues));
    };
    Ok(Ok(vec![catalog.ensure(conn, name)?]))
}

/// Inserts rows of one transaction. Preparing and binding cost as much as the insertion itself: a statement is looked up
/// once, and what rows have in common is bound once.
struct Inserter<'a> {
    conn: &'a Connection,
    effects: &'a mut Effects,
    now: i64,
    plain: Option<Insert<'a>>,
    full: Option<Insert<'a>>,
}

/// A statement, and what is bound to it.
struct Insert<'a> {
    statement: CachedStatement<'a>,
    queue: Option<i64>,
    kind: Option<Kind>,
}

impl<'a> Inserter<'a> {
    fn new(conn: &'a Connection, effects: &'a mut Effects, now: Timestamp) -> Self {
        Self { conn, effects, now: micros(now), plain: None, full: None }
    }

    /// Stores a copy in each of the queues, and returns how many did not hold its id before.
    fn insert(&mut self, queues: &[i64], envelope: &Envelope) -> Result<u32, Fault> {
        let due = self.due(envelope);
        let insert = if is_plain(envelope) {
            insert_into(&mut self.plain, || Insert::plain(self.conn))?
        } else {
            let insert = insert_into(&mut self.full, || Insert::full(self.conn))?;
            insert.bind_rest(waiting_state(due, self.now), envelope)?;
            insert
        };
        insert.bind(due, envelope)?;
        let mut copies = 0;
        for queue in queues {
            if insert.execute(*queue)? {
                copies += 1;
                self.effects.wake(*queue);
            }
        }
        Ok(copies)
    }

    fn due(&self, envelope: &Envelope) -> i64 {
        match envelope.not_before.map(micros_up) {
            Some(at) if at > self.now => at,
            // A producer whose clock is ahead must not delay its jobs.
            _ => micros(envelope.runnable_since()).min(self.now),
        }
    }
}

impl<'a> Insert<'a> {
    /// Inserts first attempts that are due at once and have nothing special.
    fn plain(conn: &'a Connection) -> Result<Self, Fault> {
        Self::prepare(conn, &format!("{COLUMNS}, {READY}, 1, 0, 0, NULL, NULL, 0) {ONCE}"))
    }

    /// Inserts anything.
    fn full(conn: &'a Connection) -> Result<Self, Fault> {
        Self::prepare(conn, &format!("{COLUMNS}, ?7, ?8, ?9, ?10, ?11, ?12, 0) {ONCE}"))
    }

    fn prepare(conn: &'a Connection, sql: &str) -> Result<Self, Fault> {
        Ok(Self { statement: conn.prepare_cached(sql)?, queue: None, kind: None })
    }

    fn bind_rest(&mut self, state: i64, envelope: &Envelope) -> Result<(), Fault> {
        self.statement.raw_bind_parameter(7, state)?;
        self.statement.raw_bind_parameter(8, envelope.attempt)?;
        self.statement.raw_bind_parameter(9, envelope.sequence)?;
        self.statement.raw_bind_parameter(10, encode_content(envelope.content))?;
        self.statement.raw_bind_parameter(11, envelope.not_before.map(micros))?;
        self.statement.raw_bind_parameter(12, encode_details(&envelope.details))?;
        Ok(())
    }

    /// Binds what all copies of a message share.
    fn bind(&mut self, due: i64, envelope: &Envelope) -> Result<(), Fault> {
        if self.kind != envelope.kind {
            self.statement.raw_bind_parameter(2, envelope.kind.as_ref().map(Kind::as_str))?;
            self.kind.clone_from(&envelope.kind);
        }
        self.statement.raw_bind_parameter(3, StoredId(&envelope.id))?;
        self.statement.raw_bind_parameter(4, due)?;
        self.statement.raw_bind_parameter(5, micros(envelope.enqueued_at))?;
        self.statement.raw_bind_parameter(6, &envelope.payload)?;
        Ok(())
    }

    /// Stores a copy; returns false when the queue holds the id already.
    fn execute(&mut self, queue: i64) -> Result<bool, Fault> {
        if self.queue != Some(queue) {
            self.statement.raw_bind_parameter(1, queue)?;
            self.queue = Some(queue);
        }
        Ok(self.statement.raw_execute()? > 0)
    }
}

fn insert_into<'s, 'a>(
    place: &'s mut Option<Insert<'a>>,
    prepare: impl FnOnce() -> Result<Insert<'a>, Fault>,
) -> Result<&'s mut Insert<'a>, Fault> {
    Ok(match place {
        Some(insert) => insert,
        None => place.insert(prepare()?),
    })
}

fn is_plain(envelope: &Envelope) -> bool {
    envelope.attempt == 1
        && envelope.sequence == 0
        && envelope.content == Content::Json
        && envelope.not_before.is_none()
        && envelope.details.is_default()
}
