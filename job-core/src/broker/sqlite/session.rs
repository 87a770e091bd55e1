//! What an operation works with inside its transaction, and what its commit makes visible.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::broker::sqlite::catalog::Catalog;
use crate::clock::Clock;
use crate::name::QueueName;

/// The one connection that writes, and what its thread remembers.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) conn: Connection,
    pub(super) catalog: Catalog,
    pub(super) clock: Clock,
    /// This process in the column `owner`.
    pub(super) owner: i64,
    /// The latest claim number; never used twice by an owner.
    pub(super) claim: i64,
    pub(super) effects: Effects,
    /// What goes with this process, to be made anew when others took it for dead.
    pub(super) process_queues: Vec<ProcessQueue>,
}

/// A queue that goes with this process.
#[derive(Clone, Debug)]
pub(super) struct ProcessQueue {
    pub(super) name: QueueName,
    pub(super) number: i64,
    /// As they are stored.
    pub(super) patterns: Vec<String>,
}

/// What others have to be told once the transaction is committed.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Queues that may have something to deliver, now or later.
    pub(super) queues: BTreeSet<i64>,
    /// The ledger has a new entry.
    pub(super) has_ledger_entry: bool,
}

impl Effects {
    /// Notes that a queue got a job.
    pub(super) fn wake(&mut self, queue: i64) {
        self.queues.insert(queue);
    }

    /// Adds what another transaction made visible.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.queues.append(&mut other.queues);
        self.has_ledger_entry |= std::mem::take(&mut other.has_ledger_entry);
    }
}
