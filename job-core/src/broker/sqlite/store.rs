//! Stores messages: finds the queues they reach, and inserts a row into each.

use std::collections::BTreeMap;

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
use crate::topology::Target;

// Without FAIL, SQLite would keep a copy of each page that several rows touch, to undo a half-done statement: that takes
// twice the time of the rest, and a statement that fails undoes its whole transaction here.
const COLUMNS: &str = "INSERT OR FAIL INTO jobs(queue, kind, id, due, enqueued_at, payload, state, attempt, sequence, \
                       content, not_before, details, redeliveries)";

const ONCE: &str = "ON CONFLICT(id, queue) DO NOTHING";

/// The parameter of the first queue.
const QUEUE: usize = 13;

/// Copies of one statement at the most: starting one costs a quarter of a copy.
const REACH: usize = 16;

/// Stores messages, and returns for each how many queues took a copy; an inner error says why none was allowed to.
pub(super) fn publish_all(session: &mut Session, messages: &[Outgoing]) -> Result<Vec<Result<u32>>, Fault> {
    let Session { conn, catalog, clock, effects, .. } = session;
    let mut inserter = Inserter::new(conn, effects, clock.now());
    let mut router = Router { conn, catalog, before: None };
    messages.iter().map(|message| publish_one(&mut inserter, &mut router, message)).collect()
}

/// Stores one message.
pub(super) fn publish(session: &mut Session, message: &Outgoing) -> Result<Result<u32>, Fault> {
    let mut answers = publish_all(session, std::slice::from_ref(message))?;
    Ok(answers.pop().expect("one message has one answer"))
}

/// Returns the queues that a message reaches.
pub(super) fn route(session: &mut Session, message: &Outgoing) -> Result<Result<Vec<i64>>, Fault> {
    let Session { conn, catalog, .. } = session;
    let mut router = Router { conn, catalog, before: None };
    Ok(router.route(message)?.map(<[i64]>::to_vec))
}

/// Stores a copy in each of the queues.
pub(super) fn insert(session: &mut Session, queues: &[i64], envelope: &Envelope) -> Result<u32, Fault> {
    let now = session.clock.now();
    Inserter::new(&session.conn, &mut session.effects, now).insert(queues, envelope)
}

fn publish_one<'a>(
    inserter: &mut Inserter<'_>,
    router: &mut Router<'a>,
    message: &'a Outgoing,
) -> Result<Result<u32>, Fault> {
    let queues = match router.route(message)? {
        Ok(queues) => queues,
        Err(error) => return Ok(Err(error)),
    };
    let copies = inserter.insert(queues, &message.envelope)?;
    sabotage::written("publish");
    Ok(Ok(copies))
}

/// Finds the queues of messages of one transaction, in which no other process can add a queue or a binding.
struct Router<'a> {
    conn: &'a Connection,
    catalog: &'a mut Catalog,
    before: Option<Routed<'a>>,
}

/// Where the message before went; the next one of a batch goes there too, as a rule.
struct Routed<'a> {
    target: &'a Target,
    headers: &'a BTreeMap<String, String>,
    queues: Vec<i64>,
}

impl<'a> Router<'a> {
    fn route(&mut self, message: &'a Outgoing) -> Result<Result<&[i64]>, Fault> {
        if let Err(error) = message.check() {
            return Ok(Err(error));
        }
        let (target, headers) = (&message.target, &message.envelope.details.headers);
        let is_same = self.before.as_ref().is_some_and(|it| it.target == target && it.headers == headers);
        let routed = match self.before.take().filter(|_| is_same) {
            Some(routed) => routed,
            None => Routed { target, headers, queues: self.find(target, headers)? },
        };
        let queues = &self.before.insert(routed).queues;
        Ok(match target.queue() {
            Some(_) => Ok(queues),
            None => message.check_reach(queues.len()).map(|()| queues.as_slice()),
        })
    }

    fn find(&mut self, target: &Target, headers: &BTreeMap<String, String>) -> Result<Vec<i64>, Fault> {
        match target.queue() {
            Some(name) => Ok(vec![self.catalog.ensure(self.conn, name)?]),
            None => self.catalog.route(self.conn, target, headers),
        }
    }
}

/// Inserts rows of one transaction. Preparing and binding cost as much as the insertion itself: a statement is looked up
/// once, and what rows have in common is bound once.
struct Inserter<'a> {
    conn: &'a Connection,
    effects: &'a mut Effects,
    now: i64,
    inserts: [Option<Insert<'a>>; 4],
}

/// A statement that stores copies of one message in several queues, and what is bound to it.
struct Insert<'a> {
    statement: CachedStatement<'a>,
    queues: Vec<i64>,
    kind: Option<Kind>,
}

impl<'a> Inserter<'a> {
    fn new(conn: &'a Connection, effects: &'a mut Effects, now: Timestamp) -> Self {
        Self { conn, effects, now: micros(now), inserts: [const { None }; 4] }
    }

    /// Stores a copy in each of the queues, and returns how many did not hold its id before.
    fn insert(&mut self, queues: &[i64], envelope: &Envelope) -> Result<u32, Fault> {
        let due = self.due(envelope);
        let (is_plain, is_single) = (is_plain(envelope), queues.len() == 1);
        let place = &mut self.inserts[2 * usize::from(is_plain) + usize::from(is_single)];
        let insert = match place {
            Some(insert) => insert,
            None => place.insert(Insert::prepare(self.conn, is_plain, is_single)?),
        };
        if !is_plain {
            insert.bind_rest(waiting_state(due, self.now), envelope)?;
        }
        insert.bind(due, envelope)?;
        let mut copies = 0;
        for queues in queues.chunks(if is_single { 1 } else { REACH }) {
            copies += insert.execute(queues)?;
            queues.iter().for_each(|queue| self.effects.wake(*queue));
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
    /// Prepares the insertion of anything, or of first attempts that are due at once and have nothing special; into one
    /// queue, or into as many as [`REACH`] at once.
    fn prepare(conn: &'a Connection, is_plain: bool, is_single: bool) -> Result<Self, Fault> {
        let plain = format!("?2, ?3, ?4, ?5, ?6, {READY}, 1, 0, 0, NULL, NULL, 0");
        let rest = if is_plain { &plain } else { "?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0" };
        let rows = if is_single {
            format!("VALUES(?{QUEUE}, {rest})")
        } else {
            let numbers: Vec<String> = (QUEUE..QUEUE + REACH).map(|at| format!("(?{at})")).collect();
            let numbers = numbers.join(", ");
            format!("SELECT column1, {rest} FROM (VALUES {numbers}) WHERE column1 IS NOT NULL")
        };
        let statement = conn.prepare_cached(&format!("{COLUMNS} {rows} {ONCE}"))?;
        Ok(Self { statement, queues: Vec::new(), kind: None })
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

    /// Stores a copy in each of the queues; returns how many did not hold the id already.
    fn execute(&mut self, queues: &[i64]) -> Result<u32, Fault> {
        if self.queues != queues {
            for (at, place) in (QUEUE..).zip(0..queues.len().max(self.queues.len())) {
                self.statement.raw_bind_parameter(at, queues.get(place))?;
            }
            self.queues.clear();
            self.queues.extend_from_slice(queues);
        }
        let copies = self.statement.raw_execute()?;
        Ok(u32::try_from(copies).expect("no more than queues were given"))
    }
}

fn is_plain(envelope: &Envelope) -> bool {
    envelope.attempt == 1
        && envelope.sequence == 0
        && envelope.content == Content::Json
        && envelope.not_before.is_none()
        && envelope.details.is_default()
}
