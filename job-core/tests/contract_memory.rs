//! Runs the contract on the broker in memory.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use job_core::broker::contract::{Fixture, Process};
use job_core::broker::memory::MemoryBroker;
use job_core::broker::{BoxFuture, Broker};
use job_core::clock::Clock;

/// One store in memory, and the clock that its processes share.
struct Memory(Arc<MemoryBroker>);

impl Memory {
    fn new() -> Self {
        let start = "2026-01-01T12:00:00Z".parse().expect("a valid instant");
        Self(MemoryBroker::new(Clock::manual(start)))
    }
}

impl Fixture for Memory {
    fn open(&self) -> BoxFuture<'_, Process> {
        let broker = self.0.another();
        let process = Process::new(broker.clone(), move || {
            broker.kill();
            Box::pin(ready(()))
        });
        Box::pin(ready(process))
    }

    fn pass(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.0.clock().advance(duration);
        Box::pin(ready(()))
    }
}

job_core::contract_tests!(Memory::new());
