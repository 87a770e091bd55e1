//! How long a queue is there, in the embedded broker's file: over versions of the file, and over doubts about a process.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach their helpers")]

mod sqlite_bench;

use std::fs;
use std::sync::Arc;

use job_core::broker::sqlite::SqliteBroker;
use job_core::broker::{Broker, Outgoing, Window};
use job_core::clock::Clock;
use job_core::name::QueueName;
use job_core::topology::{Pattern, Target, Topology};
use sqlite_bench::{Place, check_kept, envelope, open, options, publish, sql, within};

fn own() -> QueueName {
    QueueName::parse("cache.1").unwrap()
}

/// A process with a queue of its own that is bound.
async fn open_bound(place: &Place) -> Arc<SqliteBroker> {
    let broker = open(&place.path).await;
    let topology = Topology::default().process_queue(own()).bind(own(), Pattern::Topic("a".into()));
    broker.declare(&topology).await.unwrap();
    broker
}

async fn copies(broker: &SqliteBroker) -> Option<u32> {
    let event = Outgoing::event(Target::Topic("a".into()), envelope(1));
    broker.publish(vec![event]).await.remove(0).unwrap().copies
}

fn count(place: &Place, query: &str) -> i64 {
    sql(&place.path).query_row(query, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_first_version_is_brought_up_to_date_with_all_that_it_holds() {
    let place = Place::new();
    let broker = open(&place.path).await;
    let job = envelope(20);
    publish(&*broker, job.clone()).await.unwrap();
    broker.close().await.unwrap();
    // What the first version did not have.
    let older = "ALTER TABLE queues DROP COLUMN owner; CREATE UNIQUE INDEX jobs_id ON jobs(queue, id); \
                 DROP INDEX jobs_copies; PRAGMA user_version = 1;";
    sql(&place.path).execute_batch(older).unwrap();

    let broker = open_bound(&place).await;
    assert_eq!(count(&place, "PRAGMA user_version"), 3);
    assert_eq!(copies(&broker).await, Some(1));
    broker.close().await.unwrap();
    check_kept(&place.path, &[job.id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_the_queues_of_processes_that_ended() {
    let place = Place::new();
    for (name, is_killed) in [("cache.1", true), ("cache.2", false), ("cache.3", true)] {
        let broker = open(&place.path).await;
        let name = QueueName::parse(name).unwrap();
        let pattern = Pattern::Topic(name.to_string());
        broker.declare(&Topology::default().process_queue(name.clone()).bind(name.clone(), pattern)).await.unwrap();
        let event = Outgoing::event(Target::Topic(name.to_string()), envelope(1));
        assert_eq!(broker.publish(vec![event]).await.remove(0).unwrap().copies, Some(1));
        if is_killed {
            broker.kill()
        } else {
            broker.close().await.unwrap()
        }
        drop(broker);
    }
    let watcher = open(&place.path).await;
    let gone = async {
        while count(&place, "SELECT count(*) FROM queues WHERE owner IS NOT NULL") > 0 {
            Clock::system().sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    within(10, gone).await;
    assert_eq!(count(&place, "SELECT count(*) FROM jobs"), 0);
    assert_eq!(count(&place, "SELECT count(*) FROM bindings"), 1, "the mark of the latest removal");
    watcher.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_closes_takes_its_queues_along_and_leaves_those_of_others() {
    let place = Place::new();
    let shared =
        || SqliteBroker::open(&place.path, job_core::broker::sqlite::SqliteOptions::default(), Clock::system());
    let (one, two) = (shared().await.unwrap(), shared().await.unwrap());
    let topology = Topology::default().process_queue(own()).bind(own(), Pattern::Topic("a".into()));
    one.declare(&topology).await.unwrap();
    assert_eq!(copies(&two).await, Some(1));
    one.close().await.unwrap();
    assert_eq!(copies(&two).await, Some(0));
    two.declare(&topology).await.unwrap();
    assert_eq!(copies(&two).await, Some(1));
    two.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_taken_for_dead_has_its_queues_again() {
    let place = Place::new();
    let broker = open_bound(&place).await;
    let mut consumer = broker.consume(&own(), Window::new(1)).await.unwrap();
    // Without its lock file it seems dead, and the other process removes what went with it.
    let other = SqliteBroker::open(&place.path, options(), Clock::system()).await.unwrap();
    fs::remove_dir_all(place.directory.path().join("jobs.db.locks")).unwrap();
    let renamed = "SELECT count(*) FROM queues WHERE owner IN (SELECT id FROM owners)";
    let before = count(&place, "SELECT owner FROM queues WHERE owner IS NOT NULL");
    let again = async {
        loop {
            let owner = "SELECT coalesce(max(owner), 0) FROM queues WHERE owner IS NOT NULL";
            if ![0, before].contains(&count(&place, owner)) && count(&place, renamed) == 1 {
                return;
            }
            Clock::system().sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    within(10, again).await;
    assert_eq!(copies(&other).await, Some(1));
    let delivered = within(10, consumer.next_many(1)).await.unwrap();
    assert_eq!(delivered.len(), 1);
    other.close().await.unwrap();
    drop(delivered);
    broker.close().await.unwrap();
}
