//! Wakes those who wait: at once for this process's commits, within 35 ms for those of others and for what becomes due.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::sqlite::committer::Committer;
use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::held::Held;
use crate::broker::sqlite::ledger;
use crate::broker::sqlite::row::{instant, micros};
use crate::broker::sqlite::schema::{DELAYED, READY};
use crate::broker::sqlite::session::Session;
use crate::broker::sqlite::shared::Shared;
use crate::clock::duration_until;

/// How often other processes' commits are looked for while somebody waits. Each look costs a wake-up of the thread, some
/// 120 µs where waking is expensive: at this pace an idle worker uses 0.4 % of a core, and a job starts within 50 ms.
const LOOK_EVERY: Duration = Duration::from_millis(35);

/// What was seen at the last look.
pub(super) struct Waker {
    shared: Arc<Shared>,
    version: i64,
    next_due: Option<i64>,
    /// Something changed of which the last look does not know.
    is_stale: bool,
    was_damaged: bool,
}

impl Waker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, version: 0, next_due: None, is_stale: true, was_damaged: false }
    }

    /// Learns that somebody began to wait.
    pub(super) fn nudge(&mut self) {
        self.is_stale = true;
    }

    /// Returns how long nobody needs a look.
    pub(super) fn patience(&self, committer: &Committer, limit: Duration) -> Duration {
        let consumers = self.shared.consumers();
        let is_awaited = |held: &Arc<Held>| held.is_awaited() || held.is_far_ahead();
        if !self.shared.is_ledger_awaited() && !consumers.iter().any(is_awaited) {
            return limit;
        }
        let now = committer.session.clock.now();
        let due = self.next_due.map_or(LOOK_EVERY, |due| duration_until(now, instant(due)));
        // The next look is never at once, or a clock that stands still would make this spin.
        due.clamp(Duration::from_micros(500), LOOK_EVERY)
    }

    /// Wakes whoever has something to find.
    pub(super) fn look(&mut self, committer: &mut Committer) {
        let effects = committer.take_effects();
        let is_damaged = committer.is_damaged() && !std::mem::replace(&mut self.was_damaged, committer.is_damaged());
        let consumers = self.shared.consumers();
        for held in &consumers {
            if is_damaged || effects.queues.contains(&held.queue) {
                held.wake();
            }
            if held.is_far_ahead() {
                held.check_runs();
            }
        }
        self.is_stale |= !effects.queues.is_empty() || effects.has_ledger_entry;
        let is_awaited = self.shared.is_ledger_awaited() || consumers.iter().any(|held| held.is_awaited());
        if is_awaited || effects.has_ledger_entry {
            // A look that fails is repeated; what is wrong with the file shows in the next operation.
            let _ = self.look_into(&committer.session, &consumers);
        }
    }

    fn look_into(&mut self, session: &Session, consumers: &[Arc<Held>]) -> Result<(), Fault> {
        let now = micros(session.clock.now());
        let version = session.conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        let is_due = self.next_due.is_some_and(|due| due <= now);
        if version == self.version && !self.is_stale && !is_due {
            return Ok(());
        }
        let mut next_due: Option<i64> = None;
        for held in consumers.iter().filter(|held| held.is_awaited()) {
            match earliest(session, held.queue)? {
                Some(due) if due <= now => held.wake(),
                Some(due) => next_due = Some(next_due.map_or(due, |next| next.min(due))),
                None => {}
            }
        }
        self.shared.set_ledger(ledger::latest(session)?);
        self.next_due = next_due;
        self.version = version;
        self.is_stale = false;
        Ok(())
    }
}

/// Returns when a queue has its next job.
fn earliest(session: &Session, queue: i64) -> Result<Option<i64>, Fault> {
    // By `LIMIT`, one step in each index; a `min` inside a filtered subquery walks all that waits.
    let first = |state| format!("(SELECT due FROM jobs WHERE queue = ?1 AND state = {state} ORDER BY due LIMIT 1)");
    let sql = format!("SELECT min(due) FROM (SELECT {} AS due UNION ALL SELECT {})", first(READY), first(DELAYED));
    let mut statement = session.conn.prepare_cached(&sql)?;
    Ok(statement.query_row([queue], |row| row.get(0))?)
}
