//! What the tests of the embedded broker share: a file of their own, messages, and waits with a bound.

#![allow(dead_code, reason = "each test program uses its part")]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use job_core::broker::sqlite::{SqliteBroker, SqliteOptions};
use job_core::broker::{Broker, Consumer, Delivery, Outcome, Outgoing, Stored, Window};
use job_core::clock::Clock;
use job_core::envelope::Envelope;
use job_core::error::{Error, Result};
use job_core::name::{JobId, Kind, QueueName};
use job_core::topology::Topology;
use rusqlite::Connection;
use tempfile::TempDir;

/// A directory with the path of a database that does not exist yet.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a directory for the test");
        let path = directory.path().join("jobs.db");
        Self { directory, path }
    }

    /// Returns the place with a database in which messages wait, and their ids.
    pub(crate) async fn with_messages(count: usize) -> (Self, Vec<JobId>) {
        let place = Self::new();
        let broker = open(&place.path).await;
        let mut ids = Vec::new();
        for _ in 0..count {
            let envelope = envelope(200);
            ids.push(envelope.id.clone());
            publish(&*broker, envelope).await.expect("the message is stored");
        }
        broker.close().await.expect("the broker closes");
        (place, ids)
    }

    pub(crate) fn text(&self) -> String {
        self.path.display().to_string()
    }
}

pub(crate) fn mail() -> QueueName {
    QueueName::parse("mail").expect("a valid queue")
}

pub(crate) fn envelope(bytes: usize) -> Envelope {
    let now = Clock::system().now();
    Envelope::new(JobId::new(now), Kind::parse("greet").expect("a valid kind"), vec![b'x'; bytes], now)
}

pub(crate) fn options() -> SqliteOptions {
    SqliteOptions { is_shared: false, ..SqliteOptions::default() }
}

pub(crate) async fn try_open(path: &Path, options: SqliteOptions) -> Result<Arc<SqliteBroker>> {
    SqliteBroker::open(path, options, Clock::system()).await
}

/// Opens a file as a process of its own would, and declares the queue `mail`.
pub(crate) async fn open(path: &Path) -> Arc<SqliteBroker> {
    open_with(path, options()).await
}

pub(crate) async fn open_with(path: &Path, options: SqliteOptions) -> Arc<SqliteBroker> {
    let broker = try_open(path, options).await.expect("the file opens");
    broker.declare(&Topology::default().queue(mail())).await.expect("the queue is declared");
    broker
}

pub(crate) async fn open_error(path: &Path) -> Error {
    try_open(path, options()).await.expect_err("the file does not open")
}

pub(crate) async fn publish(broker: &dyn Broker, envelope: Envelope) -> Result<Stored> {
    broker.publish(vec![Outgoing::to_queue(mail(), envelope)]).await.remove(0)
}

pub(crate) async fn consume(broker: &dyn Broker) -> Box<dyn Consumer> {
    broker.consume(&mail(), Window::new(10)).await.expect("the queue can be consumed")
}

pub(crate) async fn done(delivery: Delivery) {
    delivery.settle.settle(Outcome::Done { then: Vec::new() }).await.expect("the delivery is ours");
}

/// Takes and finishes `count` messages, and returns their ids in order.
pub(crate) async fn drain(broker: &dyn Broker, count: usize) -> Vec<JobId> {
    let mut consumer = consume(broker).await;
    let mut ids = Vec::new();
    while ids.len() < count {
        let deliveries = within(10, consumer.next_many(100)).await.expect("an open consumer delivers");
        ids.extend(deliveries.iter().map(|delivery| delivery.envelope.id.clone()));
        // Begun together: one by one, each would wait for company.
        let settled: Vec<_> =
            deliveries.into_iter().map(|d| d.settle.settle(Outcome::Done { then: Vec::new() })).collect();
        for settled in settled {
            settled.await.expect("the delivery is ours");
        }
    }
    consumer.close().await;
    ids
}

/// Checks that exactly these messages are stored, and the database is sound.
pub(crate) async fn check_kept(path: &Path, expected: &[JobId]) {
    let broker = open(path).await;
    let mut ids = drain(&*broker, expected.len()).await;
    ids.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(ids, expected);
    let mut consumer = consume(&*broker).await;
    let more = Clock::system().timeout(Duration::from_millis(50), consumer.next_many(1)).await;
    assert!(more.is_none(), "{more:?}");
    broker.close().await.expect("the broker closes");
    let verdict: String =
        sql(path).query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked");
    assert_eq!(verdict, "ok");
}

/// Opens the database beside the broker, as the `sqlite3` shell would.
pub(crate) fn sql(path: &Path) -> Connection {
    Connection::open(path).expect("the database opens")
}

/// Waits for a future, for so many seconds; four times as long where the environment has `CI`.
pub(crate) async fn within<T>(seconds: u64, future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(seconds) * if std::env::var_os("CI").is_some() { 4 } else { 1 };
    match Clock::system().timeout(limit, future).await {
        Some(value) => value,
        None => panic!("nothing happened within {limit:?}"),
    }
}
