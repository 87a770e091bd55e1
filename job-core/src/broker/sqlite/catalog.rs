//! Which queues and bindings exist, remembered by the thread that writes.
//!
//! Queues are never removed, so what is remembered stays true; a rollback forgets everything, as it may have undone
//! some of it.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, params};

use crate::broker::sqlite::fault::Fault;
use crate::name::QueueName;
use crate::topology::{Binding, Pattern, Target};

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

    /// Returns the number of a declared queue.
    pub(super) fn find_declared(&mut self, conn: &Connection, name: &QueueName) -> Result<Option<i64>, Fault> {
        let Some(id) = self.find(conn, name)? else { return Ok(None) };
        let is_declared = "SELECT is_declared FROM queues WHERE id = ?1";
        Ok(conn.query_row(is_declared, [id], |row| row.get::<_, bool>(0))?.then_some(id))
    }

    /// Adds a binding, and its queue, if need be.
    pub(super) fn bind(&mut self, conn: &Connection, binding: &Binding) -> Result<(), Fault> {
        self.declare(conn, &binding.queue)?;
        let queue = self.ensure(conn, &binding.queue)?;
        let pattern = serde_json::to_string(&binding.pattern).expect("patterns are text and maps of text");
        conn.execute("INSERT OR IGNORE INTO bindings(queue, pattern) VALUES(?1, ?2)", params![queue, pattern])?;
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
