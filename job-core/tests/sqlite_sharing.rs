//! How processes share one file: what is held ahead, whose turn it is, and who counts as alive.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod sqlite_bench;

use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use job_core::broker::sqlite::{SqliteBroker, SqliteOptions};
use job_core::broker::{Broker, Delivery, Inspect, Outcome, Outgoing, Window};
use job_core::clock::Clock;
use job_core::topology::Topology;

use sqlite_bench::{Place, check_kept, consume, done, envelope, mail, open, open_with, options, publish, sql, within};

const SLOTS: usize = 10;

async fn publish_many(broker: &dyn Broker, count: usize) {
    let messages = (0..count).map(|_| Outgoing::to_queue(mail(), envelope(20)));
    for answer in broker.publish(messages.collect()).await {
        answer.unwrap();
    }
}

async fn finish(deliveries: Vec<Delivery>) {
    let settled: Vec<_> = deliveries.into_iter().map(|d| d.settle.settle(Outcome::Done { then: Vec::new() })).collect();
    for settled in settled {
        settled.await.unwrap();
    }
}

/// Returns how many jobs of the queue are claimed.
async fn claimed(broker: &SqliteBroker) -> usize {
    let stats = broker.queues().await.unwrap();
    let mail = stats.iter().find(|queue| queue.name == mail()).unwrap();
    usize::try_from(mail.running.unwrap()).unwrap()
}

/// Waits until a look finds what it wants.
async fn eventually<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    within(10, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            Clock::system().sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

async fn open_at(path: &Path, clock: &Clock) -> Arc<SqliteBroker> {
    let broker = SqliteBroker::open(path, options(), clock.clone()).await.unwrap();
    broker.declare(&Topology::default().queue(mail())).await.unwrap();
    broker
}

#[tokio::test]
async fn short_jobs_are_claimed_far_ahead_and_a_long_one_gives_back_at_once() {
    let place = Place::new();
    let clock = Clock::manual(Clock::system().now());
    let broker = open_at(&place.path, &clock).await;
    publish_many(&*broker, 1000).await;
    let mut consumer = broker.consume(&mail(), Window::new(SLOTS)).await.unwrap();
    let mut most = 0;
    for _ in 0..40 {
        finish(within(10, consumer.next_many(SLOTS)).await.unwrap()).await;
        most = most.max(claimed(&broker).await);
    }
    assert!(most > 5 * SLOTS, "{most} claimed at the most");
    assert!(most <= 11 * SLOTS, "{most} claimed at the most");
    let running = within(10, consumer.next_many(1)).await.unwrap();
    assert!(claimed(&broker).await > 2 * SLOTS);
    clock.advance(Duration::from_millis(101));
    eventually(async || (claimed(&broker).await <= 2 * SLOTS).then_some(())).await;
    finish(running).await;
    consumer.close().await;
    assert_eq!(claimed(&broker).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_process_does_not_starve_another() {
    const PUBLISHES: usize = 50;
    let place = Place::new();
    let busy = open(&place.path).await;
    let other = open_with(&place.path, SqliteOptions { busy_timeout: Duration::from_secs(3), ..options() }).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let flood = |_| {
        let (busy, is_over) = (Arc::clone(&busy), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                publish_many(&*busy, 200).await;
            }
        })
    };
    let flood: Vec<_> = (0..8).map(flood).collect();
    for _ in 0..PUBLISHES {
        // SQLite keeps no queue of those who wait; the busy one leaves gaps, since it answers between two commits.
        within(10, publish(&*other, envelope(100))).await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    for task in flood {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_process_whose_lock_file_was_removed_becomes_visible_again() {
    let (place, ids) = Place::with_messages(1).await;
    let broker = open(&place.path).await;
    let locks = place.directory.path().join("jobs.db.locks");
    let owners = || {
        let connection = sql(&place.path);
        let mut statement = connection.prepare("SELECT id FROM owners").unwrap();
        statement.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    let before = owners();
    fs::remove_dir_all(&locks).unwrap();
    let after = eventually(async || Some(owners()).filter(|owners| owners.len() == 1 && *owners != before)).await;
    assert!(locks.join(format!("owner-{:016x}", after[0])).exists());
    // What it claims from now on is its own, for others too.
    let mut consumer = consume(&*broker).await;
    let delivery = within(10, consumer.next_many(1)).await.unwrap().remove(0);
    assert_eq!(delivery.envelope.id, ids[0]);
    done(delivery).await;
    broker.close().await.unwrap();
    check_kept(&place.path, &[]).await;
}

#[tokio::test]
async fn a_process_that_others_buried_claims_nothing_under_its_old_name() {
    let place = Place::new();
    let broker = open(&place.path).await;
    let mut consumer = consume(&*broker).await;
    let owners = || {
        let count = sql(&place.path).query_row("SELECT count(*) FROM owners", [], |row| row.get::<_, i64>(0));
        count.unwrap()
    };
    // As others do who think it dead, since its lock file is gone.
    assert_eq!(sql(&place.path).execute("DELETE FROM owners", []).unwrap(), 1);
    let envelope = envelope(20);
    publish(&*broker, envelope.clone()).await.unwrap();
    let delivery = within(10, consumer.next_many(1)).await.unwrap().remove(0);
    eventually(async || Some(owners()).filter(|count| *count == 1)).await;
    // A claim under a name that nobody knows could be neither settled nor given back, by anybody.
    assert_eq!(delivery.envelope.id, envelope.id);
    done(delivery).await;
    broker.close().await.unwrap();
    check_kept(&place.path, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_open_a_fresh_file_at_once_take_it_for_their_own() {
    // Whoever looked while another made the tables took them for somebody else's, about once in a hundred openings.
    for _ in 0..30 {
        let place = Place::new();
        let openings: Vec<_> = (0..6)
            .map(|_| {
                let path = place.path.clone();
                tokio::spawn(async move { SqliteBroker::open(path, options(), Clock::system()).await.map(drop) })
            })
            .collect();
        for opening in openings {
            opening.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn processes_that_open_a_file_by_different_links_know_of_each_other() {
    let (place, ids) = Place::with_messages(1).await;
    let link = place.directory.path().join("link.db");
    std::os::unix::fs::symlink(&place.path, &link).unwrap();
    let one = open(&place.path).await;
    let _two = open(&link).await;
    let mut consumer = consume(&*one).await;
    let held = within(10, consumer.next_many(1)).await.unwrap();
    let locks = fs::read_dir(place.directory.path().join("jobs.db.locks")).unwrap();
    let owners = locks.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("owner-"));
    assert_eq!(owners.count(), 2);
    assert_eq!(held[0].envelope.id, ids[0]);
    finish(held).await;
}

#[tokio::test]
async fn the_claims_of_a_copied_file_are_given_back() {
    let (place, ids) = Place::with_messages(3).await;
    let broker = open(&place.path).await;
    let mut consumer = consume(&*broker).await;
    let held = within(10, consumer.next_many(3)).await.unwrap();
    let copy = Place::new();
    sql(&place.path).execute("VACUUM INTO ?1", [copy.text()]).unwrap();
    check_kept(&copy.path, &ids).await;
    finish(held).await;
}
