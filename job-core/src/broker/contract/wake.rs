//! Cases of waiting: a consumer that waits already is woken by each reason there is, and can be cancelled.

use std::collections::HashSet;
use std::time::Duration;

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::Need;
use crate::broker::contract::message::mail;
use crate::broker::contract::reader::{Reader, done, settle};
use crate::broker::contract::wait::{begin_to_wait, eventually, poll_at_most};
use crate::broker::{Delivery, Outcome};
use crate::clock::{Clock, later};
use crate::envelope::Envelope;

/// Lets a reader begin to wait, does something, and returns what the reader gets.
async fn woken_by(reader: &mut Reader, what: impl AsyncFnOnce()) -> Delivery {
    let mut next = reader.consumer.next_many(1);
    begin_to_wait("next_many on an empty queue", &mut next).await;
    let (deliveries, ()) = tokio::join!(biased; eventually("a delivery that wakes", next), what());
    let mut deliveries = deliveries.expect("an open consumer delivers");
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    deliveries.remove(0)
}

pub(super) async fn a_publish_wakes_a_waiting_consumer(bench: Bench) {
    let process = bench.open_mail().await;
    let mut reader = process.read_mail().await;
    let sent = process.envelope("hello");
    let delivery = woken_by(&mut reader, async || _ = process.send(&mail(), &sent).await).await;
    assert_eq!(delivery.envelope, sent);
}

pub(super) async fn a_publish_of_another_process_wakes(bench: Bench) {
    let worker = bench.open_mail().await;
    let producer = bench.open_mail().await;
    let mut reader = worker.read_mail().await;
    let sent = producer.envelope("hello");
    let delivery = woken_by(&mut reader, async || _ = producer.send(&mail(), &sent).await).await;
    assert_eq!(delivery.envelope, sent);
}

pub(super) async fn the_end_of_a_delay_wakes(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    process.send(&mail(), &sent).await;
    let mut reader = process.read_mail().await;
    let delivery = woken_by(&mut reader, async || bench.pass(bench.delay()).await).await;
    assert_eq!(delivery.envelope, sent);
}

pub(super) async fn the_end_of_a_delay_that_came_while_waiting_wakes(bench: Bench) {
    let worker = bench.open_mail().await;
    let producer = bench.open_mail().await;
    producer.send(&mail(), &producer.delayed("last", bench.delay() * 3)).await;
    let mut reader = worker.read_mail().await;
    let sent = producer.delayed("sooner", bench.delay());
    let delivery = woken_by(&mut reader, async || {
        producer.send(&mail(), &sent).await;
        // It waits anew, now for the sooner one.
        tokio::task::yield_now().await;
        bench.pass(bench.delay()).await;
    });
    assert_eq!(delivery.await.envelope, sent);
}

pub(super) async fn a_publish_wakes_one_that_waits_for_a_delay(bench: Bench) {
    let process = bench.open_mail().await;
    process.send(&mail(), &process.delayed("later", bench.delay() * 3)).await;
    let mut reader = process.read_mail().await;
    let sent = process.envelope("now");
    let delivery = woken_by(&mut reader, async || _ = process.send(&mail(), &sent).await).await;
    assert_eq!(delivery.envelope, sent);
}

pub(super) async fn a_release_wakes_a_waiting_consumer(bench: Bench) {
    let worker = bench.open_mail().await;
    let another = bench.open_mail().await;
    let sent = another.send_mail("hello").await;
    let mut first = another.read_mail().await;
    let held = first.one().await;
    first.close().await;
    let mut reader = worker.read_mail().await;
    let delivery = woken_by(&mut reader, async || settle(held, Outcome::Release).await).await;
    assert_eq!(delivery.envelope, sent);
}

pub(super) async fn a_later_wakes_a_waiting_consumer(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let held = reader.one().await;
    let at = later(process.now(), bench.delay());
    let envelope = Envelope { attempt: 2, not_before: Some(at), ..held.envelope.clone() };
    let delivery = woken_by(&mut reader, async || {
        settle(held, Outcome::Later { at, envelope }).await;
        tokio::task::yield_now().await;
        bench.pass(bench.delay()).await;
    });
    assert_eq!(delivery.await.envelope.attempt, 2);
}

pub(super) async fn a_death_wakes_a_waiting_consumer(bench: Bench) {
    let worker = bench.open_mail().await;
    let doomed = bench.open_mail().await;
    let sent = doomed.send_mail("hello").await;
    let mut first = doomed.read_mail().await;
    let held = first.one().await;
    let mut reader = worker.read_mail().await;
    let delivery = woken_by(&mut reader, async || bench.kill(doomed).await).await;
    assert_eq!(delivery.envelope, sent);
    drop((held, first));
}

pub(super) async fn ready_waits_and_takes_nothing(bench: Bench) {
    let process = bench.open_mail().await;
    let mut reader = process.read_mail().await;
    let mut ready = reader.consumer.ready();
    begin_to_wait("ready on an empty queue", &mut ready).await;
    let sent = process.send_mail("hello").await;
    assert!(eventually("ready", ready).await.expect("an open consumer becomes ready"), "an open consumer is open");
    assert!(eventually("ready", reader.consumer.ready()).await.expect("it stays ready"), "and it stays open");
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn next_many_returns_at_once_when_ready(bench: Bench) {
    let process = bench.open_mail().await;
    let another = bench.open_mail().await;
    let mut reader = process.read_mail().await;
    process.send_mail("hello").await;
    assert!(eventually("ready", reader.consumer.ready()).await.expect("an open consumer becomes ready"));
    // A competitor that waits must not make the promise a lie.
    let mut competitor = another.read_mail().await;
    let mut wait = competitor.consumer.next_many(1);
    begin_to_wait("next_many of a competitor", &mut wait).await;
    done(reader.one().await).await;
}

pub(super) async fn a_ready_consumer_that_is_dropped_gives_back(bench: Bench) {
    let process = bench.open_mail().await;
    let another = bench.open_mail().await;
    let sent = process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    assert!(eventually("ready", reader.consumer.ready()).await.expect("an open consumer becomes ready"));
    drop(reader);
    let delivery = another.read_mail().await.one().await;
    assert_eq!(delivery.envelope, sent);
    if bench.has(Need::Redeliveries) {
        assert_eq!(delivery.redeliveries, 0, "what was not handed out is not redelivered");
    }
}

pub(super) async fn cancelling_next_many_loses_nothing(bench: Bench) {
    const COUNT: usize = 100;
    let process = bench.open_mail().await;
    let producer = bench.open_mail().await;
    let publish = async {
        for number in 0..COUNT {
            producer.send_mail(&number.to_string()).await;
        }
    };
    let mut reader = process.read_mail().await;
    let mut seen = HashSet::new();
    let read = async {
        while seen.len() < COUNT {
            // Given up after the first polls, at any point where it waits; or else after a while.
            let polls = fastrand::u32(1..=3);
            let limit = Duration::from_millis(fastrand::u64(1..=5));
            let next = reader.consumer.next_many(3);
            let next = Clock::system().timeout(limit, poll_at_most(polls, next)).await.flatten();
            tokio::task::yield_now().await;
            for delivery in next.transpose().expect("an open consumer delivers").unwrap_or_default() {
                assert!(seen.insert(delivery.envelope.id.clone()), "{delivery:?} came twice");
                done(delivery).await;
            }
        }
    };
    eventually("all messages, in spite of cancelling", async { tokio::join!(publish, read) }).await;
    reader.nothing_else().await;
}
