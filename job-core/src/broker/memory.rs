//! The reference model: a broker in memory, for tests. One lock around plain data, so that it is easy to believe.
//!
//! It keeps nothing beyond its last handle. What it does is what the contract asks of every broker.

mod consumer;
mod inspect;
mod leadership;
mod ledger;
mod queue;
mod state;
mod store;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::{BoxFuture, Broker, Capabilities, Consumer, Inspect, Leadership, Ledger, Outgoing, Stored, Window};
use crate::clock::Clock;
use crate::error::Result;
use crate::name::QueueName;
use crate::topology::Topology;

use consumer::MemoryConsumer;
use leadership::MemoryLeadership;
use ledger::MemoryLedger;
use state::ProcessId;
use store::Store;

const CAPABILITIES: Capabilities = Capabilities {
    name: "memory",
    can_cancel: true,
    can_find: true,
    is_then_atomic: true,
    is_fire_exact: true,
    is_deduplicating: true,
    delay_min: Duration::ZERO,
    hold_max: None,
};

/// A broker in memory, seen by one process. [`another`](Self::another) makes the handle of a second one.
pub struct MemoryBroker {
    store: Arc<Store>,
    process: ProcessId,
}

impl MemoryBroker {
    /// Makes an empty broker whose messages are due by `clock`.
    pub fn new(clock: Clock) -> Arc<Self> {
        Self::join(Arc::new(Store::new(clock)))
    }

    /// Opens the same store as another process would.
    #[must_use]
    pub fn another(&self) -> Arc<Self> {
        Self::join(Arc::clone(&self.store))
    }

    /// Ends this process as a crash would: what it had not settled comes back to the others and counts as redelivered,
    /// its leaderships are free, and whatever it still does fails.
    pub fn kill(&self) {
        self.store.update(|state, _| state.end_process(self.process));
    }

    fn join(store: Arc<Store>) -> Arc<Self> {
        let process = store.lock().begin_process();
        Arc::new(Self { store, process })
    }
}

impl Broker for MemoryBroker {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn clock(&self) -> &Clock {
        &self.store.clock
    }

    fn declare<'a>(&'a self, topology: &'a Topology) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(self.store.update_as(self.process, |state, _| state.declare(topology, self.process))))
    }

    fn undeclare<'a>(&'a self, queue: &'a QueueName) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(self.store.update_as(self.process, |state, _| {
            state.undeclare(queue);
            Ok(())
        })))
    }

    fn publish(&self, messages: Vec<Outgoing>) -> BoxFuture<'_, Vec<Result<Stored>>> {
        let publish = |message| self.store.update_as(self.process, |state, now| state.publish(message, now));
        Box::pin(ready(messages.into_iter().map(publish).collect()))
    }

    fn consume<'a>(&'a self, queue: &'a QueueName, _window: Window) -> BoxFuture<'a, Result<Box<dyn Consumer>>> {
        let checked = self.store.read_as(self.process, |state, _| state.check_consumable(queue, self.process));
        let consumer = || {
            let consumer = MemoryConsumer::new(Arc::clone(&self.store), self.process, queue.clone());
            Box::new(consumer) as Box<dyn Consumer>
        };
        Box::pin(ready(checked.flatten().map(|()| consumer())))
    }

    fn lead<'a>(&'a self, role: &'a str) -> BoxFuture<'a, Result<Option<Box<dyn Leadership>>>> {
        let token = self.store.update_as(self.process, |state, _| Ok(state.lead(self.process, role)));
        let leadership = |token| {
            let store = Arc::clone(&self.store);
            Box::new(MemoryLeadership { store, role: role.to_owned(), token }) as Box<dyn Leadership>
        };
        Box::pin(ready(token.map(|token| token.map(leadership))))
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(MemoryLedger::new(Arc::clone(&self.store), self.process))
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(ready(self.store.update_as(self.process, |state, _| {
            state.end_process(self.process);
            Ok(())
        })))
    }
}

impl std::fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryBroker(process {})", self.process)
    }
}
