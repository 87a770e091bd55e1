//! Which queues and bindings exist, remembered by the thread that writes.
//!
//! Durable queues are never removed, and the numbers of those that go with a process are never used again, so what is
//! remembered of names stays true. Bindings can be removed: that leaves a mark, and whoever sees it reads them all again.
//! A rollback forgets everything, as it may have undone some of it.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, params};

use crate::broker::sqlite::fault::Fault;
use crate::name::QueueName;
use crate::topology::{Binding, Pattern, Target};

/// Stands for a removal among the bindings: no pattern is written like that.
const REMOVAL: &str = "removed";

/// The remembered part of the tables `queues` and `bindings`.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    queues: HashMap<QueueName, i64>,
    bindings: Vec<(i64, Pattern)>,
    newest_binding: i64,
}

impl Catalog {
    /// Returns the number of a queue; `None` when nobody has named it yet.
    pub(super) fn find(&mut self, conn: &Connection, name: &QueueName) -> Result<Option<i64>, Fault> {
        if let Some(id) = self.queues.get(name) {
            return Ok(Some(*id));
        }
        let mut statement = conn.prepare_cached("SELECT id FROM queues WHERE name = ?1")?;
        let id = statement.query_row([name.as_str()], |row| row.get(0)).optional()?;
        if let Some(id) = id {
            self.queues.insert(name.clone(), id);
        }
        Ok(id)
    }

    /// Returns the number of a queue, which exists from now on. It keeps messages before anybody declares it: a producer
    /// may start before its workers.
    pub(super) fn ensure(&mut self, conn: &Connection, name: &QueueName) -> Result<i64, Fault> {
        if let Some(id) = self.find(conn, name)? {
            return Ok(id);
        }
        conn.execute("INSERT INTO queues(name, is_declared) VALUES(?1, 0)", [name.as_str()])?;
        let id = conn.last_insert_rowid();
        self.queues.insert(name.clone(), id);
        Ok(id)
    }

    /// Makes a queue exist and be consumable, its dead jobs' queue too.
    pub(super) fn declare(&mut self, conn: &Connection, name: &QueueName) -> Result<(), Fault> {
        for name in [name, &name.dead()] {
            let id = self.ensure(conn, name)?;
            conn.execute("UPDATE queues SET is_declared = 1 WHERE id = ?1 AND is_declared = 0", [id])?;
        }
        Ok(())
    }

    /// Remembers a queue that was just made.
    pub(super) fn remember(&mut self, name: QueueName, id: i64) {
        self.queues.insert(name, id);
    }

    /// Forgets a queue that was just removed.
    pub(super) fn forget(&mut self, name: &QueueName) {
        self.queues.remove(name);
    }

    /// Adds a binding of a declared queue.
    pub(super) fn bind(&mut self, conn: &Connection, binding: &Binding) -> Result<(), Fault> {
        let queue = self.ensure(conn, &binding.queue)?;
        let pattern = Self::written(&binding.pattern);
        conn.execute("INSERT OR IGNORE INTO bindings(queue, pattern) VALUES(?1, ?2)", params![queue, pattern])?;
        Ok(())
    }

    /// Returns a pattern as it is stored.
    pub(super) fn written(pattern: &Pattern) -> String {
        serde_json::to_string(pattern).expect("patterns are text and maps of text")
    }

    /// Removes the bindings of a queue.
    pub(super) fn unbind(conn: &Connection, queue: i64) -> Result<(), Fault> {
        // The mark takes a number above all others, and replaces the mark before it: a number that is given again after a
        // removal would hide it from those who remember.
        let newest: i64 = conn.query_row("SELECT coalesce(max(id), 0) FROM bindings", [], |row| row.get(0))?;
        conn.execute("DELETE FROM bindings WHERE queue = ?1 OR pattern = ?2", params![queue, REMOVAL])?;
        conn.execute("INSERT INTO bindings(id, queue, pattern) VALUES(?1, 0, ?2)", params![newest + 1, REMOVAL])?;
        Ok(())
    }

    /// Returns the queues that take an event, each once.
    pub(super) fn route(
        &mut self,
        conn: &Connection,
        target: &Target,
        headers: &BTreeMap<String, String>,
    ) -> Result<Vec<i64>, Fault> {
        self.refresh_bindings(conn)?;
        let is_match = |(_, pattern): &&(i64, Pattern)| pattern.matches(target, headers);
        let mut queues: Vec<i64> = self.bindings.iter().filter(is_match).map(|(queue, _)| *queue).collect();
        queues.sort_unstable();
        queues.dedup();
        Ok(queues)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn refresh_bindings(&mut self, conn: &Connection) -> Result<(), Fault> {
        let mut newest = conn.prepare_cached("SELECT coalesce(max(id), 0) FROM bindings")?;
        let newest: i64 = newest.query_row([], |row| row.get(0))?;
        if newest == self.newest_binding {
            return Ok(());
        }
        let removals = "SELECT count(*) FROM bindings WHERE id > ?1 AND pattern = ?2";
        let removals: i64 = conn.query_row(removals, params![self.newest_binding, REMOVAL], |row| row.get(0))?;
        if removals > 0 {
            self.bindings.clear();
            self.newest_binding = 0;
        }
        let mut added = conn.prepare_cached("SELECT queue, pattern FROM bindings WHERE id > ?1")?;
        let mut rows = added.query([self.newest_binding])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            // A pattern of a later version, which this one cannot match: those events are not for us to route.
            if let Ok(pattern) = serde_json::from_str(&text) {
                self.bindings.push((row.get(0)?, pattern));
            }
        }
        self.newest_binding = newest;
        Ok(())
    }
}
