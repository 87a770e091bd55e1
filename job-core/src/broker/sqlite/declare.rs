//! Makes queues and bindings exist, and takes them back.
//!
//! A queue that goes with its process has a negative number that is never used again, and its process in the column
//! `owner`: whoever gives back what a dead process had removes its queues too.

use rusqlite::{OptionalExtension, params};

use crate::broker::sqlite::catalog::Catalog;
use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::session::{ProcessQueue, Session};
use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::topology::{Lifetime, Queue, Topology};

/// True for the number of a queue that goes with its process.
pub(super) fn is_of_process(queue: i64) -> bool {
    queue < 0
}

/// Makes everything exist; the inner error says what exists already and differs.
pub(super) fn declare(session: &mut Session, topology: &Topology) -> Result<Result<()>, Fault> {
    if let Err(error) = topology.bindings.iter().try_for_each(|binding| binding.pattern.check()) {
        return Ok(Err(error));
    }
    let bound = topology.bindings.iter().map(|binding| &binding.queue);
    let is_listed = |name: &&QueueName| topology.queues.iter().any(|queue| queue.name == **name);
    let implied = bound.filter(|name| !is_listed(name)).map(|name| (name, Lifetime::Durable));
    let queues: Vec<(&QueueName, Lifetime)> =
        topology.queues.iter().map(|Queue { name, lifetime, .. }| (name, *lifetime)).chain(implied).collect();
    for (name, lifetime) in &queues {
        if let Some(error) = clash(session, name, *lifetime)? {
            return Ok(Err(error));
        }
    }
    for (name, lifetime) in queues {
        match lifetime {
            Lifetime::Durable => session.catalog.declare(&session.conn, name)?,
            Lifetime::Process => declare_of_process(session, name, topology)?,
        }
    }
    topology.bindings.iter().try_for_each(|binding| session.catalog.bind(&session.conn, binding))?;
    Ok(Ok(()))
}

/// Takes back what was declared of a queue.
pub(super) fn undeclare(session: &mut Session, name: &QueueName) -> Result<(), Fault> {
    session.process_queues.retain(|queue| queue.name != *name);
    let Some(number) = session.catalog.find(&session.conn, name)? else { return Ok(()) };
    if is_of_process(number) {
        session.catalog.forget(name);
        return remove(session, number);
    }
    Catalog::unbind(&session.conn, number)?;
    session.conn.execute("UPDATE queues SET is_declared = 0 WHERE id = ?1", [number])?;
    Ok(())
}

/// Removes the queues of processes that are not known any more.
pub(super) fn remove_orphans(session: &mut Session) -> Result<(), Fault> {
    let orphans = "SELECT id FROM queues WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM owners)";
    let orphans: Vec<i64> = {
        let mut statement = session.conn.prepare_cached(orphans)?;
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
    };
    orphans.into_iter().try_for_each(|number| remove(session, number))
}

/// Makes the queues of this process its own again, after others may have thought it dead and removed them.
pub(super) fn restore(session: &mut Session) -> Result<(), Fault> {
    let Session { conn, process_queues, owner, .. } = &*session;
    for ProcessQueue { name, number, patterns } in process_queues.iter() {
        conn.execute(
            "INSERT INTO queues(id, name, is_declared, owner) VALUES(?1, ?2, 1, ?3) \
             ON CONFLICT(id) DO UPDATE SET owner = excluded.owner",
            params![number, name.as_str(), owner],
        )?;
        for pattern in patterns {
            conn.execute("INSERT OR IGNORE INTO bindings(queue, pattern) VALUES(?1, ?2)", params![number, pattern])?;
        }
    }
    Ok(())
}

/// Returns the number of a queue that may be consumed here; the inner error says why it may not.
pub(super) fn find_consumable(session: &mut Session, name: &QueueName) -> Result<Result<i64>, Fault> {
    Ok(match look(session, name)? {
        Some(Known { is_declared: true, owner: Some(owner), .. }) if owner != session.owner => {
            Err(Error::invalid(format!("queue \"{name}\" belongs to another process")))
        }
        Some(Known { is_declared: true, number, .. }) => Ok(number),
        _ => Err(Error::invalid(format!("queue \"{name}\" is not declared; add it to the topology before consuming"))),
    })
}

struct Known {
    number: i64,
    is_declared: bool,
    owner: Option<i64>,
}

fn look(session: &Session, name: &QueueName) -> Result<Option<Known>, Fault> {
    let mut statement = session.conn.prepare_cached("SELECT id, is_declared, owner FROM queues WHERE name = ?1")?;
    let known = statement.query_row([name.as_str()], |row| {
        Ok(Known { number: row.get(0)?, is_declared: row.get(1)?, owner: row.get(2)? })
    });
    Ok(known.optional()?)
}

fn clash(session: &Session, name: &QueueName, lifetime: Lifetime) -> Result<Option<Error>, Fault> {
    let Some(known) = look(session, name)? else { return Ok(None) };
    Ok(match (lifetime, known.owner) {
        (Lifetime::Durable, None) => None,
        (Lifetime::Durable, Some(_)) => {
            Some(Error::invalid(format!("queue \"{name}\" exists and goes with its process; it is not durable")))
        }
        (Lifetime::Process, Some(owner)) if owner == session.owner => None,
        (Lifetime::Process, _) => Some(Error::invalid(format!("queue \"{name}\" exists, and is not of this process"))),
    })
}

fn declare_of_process(session: &mut Session, name: &QueueName, topology: &Topology) -> Result<(), Fault> {
    let number = match session.catalog.find(&session.conn, name)? {
        Some(number) => number,
        None => {
            let number = -fastrand::i64(1..);
            let insert = "INSERT INTO queues(id, name, is_declared, owner) VALUES(?1, ?2, 1, ?3)";
            session.conn.execute(insert, params![number, name.as_str(), session.owner])?;
            session.catalog.remember(name.clone(), number);
            number
        }
    };
    let bindings = topology.bindings.iter().filter(|binding| binding.queue == *name);
    let patterns = bindings.map(|binding| Catalog::written(&binding.pattern)).collect();
    session.process_queues.retain(|queue| queue.name != *name);
    session.process_queues.push(ProcessQueue { name: name.clone(), number, patterns });
    Ok(())
}

fn remove(session: &mut Session, number: i64) -> Result<(), Fault> {
    Catalog::unbind(&session.conn, number)?;
    session.conn.execute("DELETE FROM jobs WHERE queue = ?1", [number])?;
    session.conn.execute("DELETE FROM queues WHERE id = ?1", [number])?;
    Ok(())
}
