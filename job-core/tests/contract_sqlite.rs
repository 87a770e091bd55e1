//! The conformance suite on the embedded broker.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use job_core::broker::BoxFuture;
use job_core::broker::contract::{Fixture, Process};
use job_core::broker::sqlite::{SqliteBroker, SqliteOptions};
use job_core::clock::Clock;
use tempfile::TempDir;

/// One file, opened by as many writers as a case has processes.
struct File {
    directory: TempDir,
    clock: Clock,
}

impl File {
    fn new() -> Self {
        let start = "2026-01-01T00:00:00Z".parse().expect("a valid instant");
        Self { directory: TempDir::new().expect("a directory for the case"), clock: Clock::manual(start) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("jobs.db")
    }
}

impl Fixture for File {
    fn open(&self) -> BoxFuture<'_, Process> {
        Box::pin(async {
            let options = SqliteOptions { is_shared: false, ..SqliteOptions::default() };
            let broker = SqliteBroker::open(self.path(), options, self.clock.clone()).await.expect("the file opens");
            let victim = Arc::clone(&broker);
            Process::new(broker, move || {
                Box::pin(async move {
                    victim.kill();
                })
            })
        })
    }

    fn pass(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.clock.advance(duration);
        Box::pin(std::future::ready(()))
    }
}

job_core::contract_tests!(File::new());
