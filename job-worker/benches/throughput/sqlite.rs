//! The raw programs for SQLite: rusqlite, a table, WAL, and nothing that they could do without.
//!
//! They do what a job needs, and no more: they make its JSON, and keep it with its queue and its kind. They count ids in
//! place of making them, so they would store a job twice that is sent twice, and nobody else could claim beside them.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::rival::{Place, Rival};

mod drain;
mod enqueue;
mod latency;
mod table;

/// The embedded broker.
pub(crate) struct Sqlite;

struct File {
    folder: TempDir,
}

impl Rival for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn figures(&self) -> &'static [&'static str] {
        &["enqueue1", "enqueue64", "enqueue_many", "publish10", "drain", "drain_1m", "latency", "rss"]
    }

    fn drains(&self) -> &'static [&'static str] {
        &["", "normal"]
    }

    fn place(&self) -> Box<dyn Place + '_> {
        Box::new(File { folder: TempDir::new().expect("a temporary folder") })
    }
}

impl File {
    fn path(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }
}

impl Place for File {
    fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    fn prepare(&self, jobs: usize) {
        table::create(&self.path());
        enqueue::many(&self.path(), jobs);
    }

    fn enqueue_one_by_one(&self, jobs: usize) {
        enqueue::one_by_one(&self.path(), jobs);
    }

    fn enqueue_for_callers(&self, jobs: usize, callers: usize) {
        enqueue::for_callers(&self.path(), jobs, callers);
    }

    fn enqueue_many(&self, jobs: usize) {
        enqueue::many(&self.path(), jobs);
    }

    fn publish(&self, events: usize, queues: &[String]) {
        enqueue::publish(&self.path(), events, queues);
    }

    fn drain(&self, jobs: usize, way: &str) {
        drain::drain(&self.path(), jobs, if way.is_empty() { "FULL" } else { "NORMAL" });
    }

    fn latencies(&self, jobs: usize, every: Duration) -> Vec<Duration> {
        latency::latencies(&self.path(), jobs, every)
    }
}
