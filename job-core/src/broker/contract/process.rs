//! Cases of several processes: what one has, no other gets; what a dead one had, the others get; late hands do nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::{Need, Process};
use crate::broker::contract::message::mail;
use crate::broker::contract::reader::{Reader, done, settle};
use crate::broker::contract::wait::{eventually, eventually_some};
use crate::broker::{Delivery, Outcome, Outgoing};
use crate::clock::later;
use crate::envelope::Envelope;
use crate::name::JobId;

/// Messages of the cases in which consumers compete.
const MANY: usize = 400;

/// Opens a process, and lets it take one message that is then in its hands.
async fn take_one(bench: &Bench) -> (Process, Delivery) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    reader.close().await;
    (process, delivery)
}

pub(super) async fn a_delivery_taken_by_one_process_is_not_taken_by_another(bench: Bench) {
    let (process, delivery) = take_one(&bench).await;
    let another = bench.open_mail().await;
    let mut reader = another.read_mail().await;
    reader.nothing_else().await;
    done(delivery).await;
    reader.nothing_else().await;
    process.close().await;
}

pub(super) async fn a_long_running_delivery_is_not_given_away(bench: Bench) {
    let (process, delivery) = take_one(&bench).await;
    let another = bench.open_mail().await;
    let mut reader = another.read_mail().await;
    bench.pass(bench.delay() * 2).await;
    bench.pass(bench.delay()).await;
    reader.nothing_else().await;
    // It is still ours.
    done(delivery).await;
    reader.nothing_else().await;
    process.close().await;
}

pub(super) async fn a_handed_out_delivery_outlives_its_consumer(bench: Bench) {
    let (process, delivery) = take_one(&bench).await;
    let mut reader = process.read_mail().await;
    reader.nothing_else().await;
    done(delivery).await;
    reader.nothing_else().await;
}

pub(super) async fn a_closed_consumer_gives_back_what_it_held(bench: Bench) {
    given_back(&bench, async |reader: Reader| reader.close().await).await;
}

pub(super) async fn a_dropped_consumer_gives_back_what_it_held(bench: Bench) {
    given_back(&bench, async |reader: Reader| drop(reader)).await;
}

/// Lets a consumer take one of many messages and end, and checks that another process gets the rest.
async fn given_back(bench: &Bench, end: impl AsyncFnOnce(Reader)) {
    let process = bench.open_mail().await;
    let another = bench.open_mail().await;
    let mut sent = Vec::new();
    for number in 0..50 {
        sent.push(process.send_mail(&number.to_string()).await);
    }
    let mut reader = process.read_mail().await;
    let first = reader.one().await;
    end(reader).await;
    let mut reader = another.read_mail().await;
    for _ in 1..sent.len() {
        let delivery = reader.one().await;
        assert_ne!(delivery.envelope.id, first.envelope.id, "what was handed out is not given back");
        if bench.has(Need::Redeliveries) {
            assert_eq!(delivery.redeliveries, 0, "what was not handed out is not redelivered");
        }
        // Settled as it comes: a broker need not hand out more than the window that it was told.
        done(delivery).await;
    }
    done(first).await;
    reader.nothing_else().await;
}

pub(super) async fn a_dead_process_gives_back_its_deliveries_counted(bench: Bench) {
    let (mut process, mut delivery) = take_one(&bench).await;
    let sent = delivery.envelope.clone();
    for deaths in 1..=3 {
        let heir = bench.open_mail().await;
        bench.kill(process).await;
        let mut reader = heir.read_mail().await;
        delivery = reader.one().await;
        reader.close().await;
        assert_eq!(delivery.envelope, sent);
        assert!(delivery.redeliveries >= 1, "a death counts");
        if bench.has(Need::Redeliveries) {
            assert_eq!(delivery.redeliveries, deaths, "each death counts once");
        }
        process = heir;
    }
    done(delivery).await;
    process.read_mail().await.nothing_else().await;
}

pub(super) async fn a_retry_starts_with_no_redeliveries(bench: Bench) {
    let (process, delivery) = take_one(&bench).await;
    drop(delivery);
    let heir = bench.open_mail().await;
    bench.kill(process).await;
    let mut reader = heir.read_mail().await;
    let delivery = reader.one().await;
    let now = heir.now();
    let envelope = Envelope { attempt: 2, not_before: Some(now), ..delivery.envelope.clone() };
    settle(delivery, Outcome::Later { at: now, envelope }).await;
    assert_eq!(reader.one().await.redeliveries, 0, "it is a new message");
}

pub(super) async fn a_death_gives_back_nothing_that_was_settled(bench: Bench) {
    let process = bench.open_mail().await;
    let sent: [Envelope; 4] = ["open", "done", "dead", "later"].map(|payload| process.envelope(payload));
    for envelope in &sent {
        process.send(&mail(), envelope).await;
    }
    let mut reader = process.read_mail().await;
    let mut taken: BTreeMap<JobId, _> = BTreeMap::new();
    for delivery in reader.take(4).await {
        taken.insert(delivery.envelope.id.clone(), delivery);
    }
    let mut delivery = |n: usize| taken.remove(&sent[n].id).expect("each was taken");
    done(delivery(1)).await;
    settle(delivery(2), Outcome::Dead { envelope: sent[2].clone() }).await;
    let at = later(process.now(), bench.delay() * 10);
    settle(delivery(3), Outcome::Later { at, envelope: sent[3].clone() }).await;
    eventually("flush", process.broker.flush()).await;
    bench.kill(process).await;
    let heir = bench.open_mail().await;
    heir.read_mail().await.finish_exactly(&[&sent[0]]).await;
    heir.read(&mail().dead()).await.finish_exactly(&[&sent[2]]).await;
}

pub(super) async fn settling_a_lost_delivery_says_so_and_changes_nothing(bench: Bench) {
    let follower = |delivery: &Delivery| {
        let envelope = Envelope { id: delivery.envelope.id.derive("follower"), ..delivery.envelope.clone() };
        vec![Outgoing::only(mail(), envelope)]
    };
    let outcomes: [fn(&Envelope) -> Outcome; 3] = [
        |_| Outcome::Release,
        |envelope| Outcome::Later { at: envelope.enqueued_at, envelope: envelope.clone() },
        |envelope| Outcome::Dead { envelope: envelope.clone() },
    ];
    for number in 0..=outcomes.len() {
        let (process, delivery) = take_one(&bench).await;
        let heir = bench.open_mail().await;
        bench.kill(process).await;
        let mut reader = heir.read_mail().await;
        let inherited = reader.one().await;
        let outcome = match outcomes.get(number) {
            Some(outcome) => outcome(&delivery.envelope),
            None => Outcome::Done { then: follower(&delivery) },
        };
        let text = format!("{outcome:?}");
        let settled = eventually("settle", delivery.settle.settle(outcome)).await;
        assert!(settled.as_ref().is_err_and(|error| error.is_lost()), "{text} of a lost delivery: {settled:?}");
        reader.nothing_else().await;
        done(inherited).await;
        reader.nothing_else().await;
        heir.read(&mail().dead()).await.nothing_else().await;
        reader.close().await;
        heir.close().await;
    }
}

pub(super) async fn settling_what_waits_again_is_lost_too(bench: Bench) {
    let (process, delivery) = take_one(&bench).await;
    let sent = delivery.envelope.clone();
    let heir = bench.open_mail().await;
    bench.kill(process).await;
    // Nobody consumes: it is given back as soon as somebody looks.
    let mut reader = heir.read_mail().await;
    assert!(eventually("ready", reader.consumer.ready()).await.expect("the heir's consumer becomes ready"));
    let settled = eventually("settle", delivery.settle.settle(Outcome::Done { then: Vec::new() })).await;
    assert!(settled.as_ref().is_err_and(|error| error.is_lost()), "{settled:?}");
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn what_is_stored_outlives_every_process(bench: Bench) {
    let process = bench.open_mail().await;
    let first = process.send_mail("first").await;
    process.close().await;
    let process = bench.open_mail().await;
    let second = process.send_mail("second").await;
    bench.kill(process).await;
    bench.open().await.read_mail().await.finish_exactly(&[&first, &second]).await;
}

pub(super) async fn competing_consumers_share_without_overlap(bench: Bench) {
    let processes = [bench.open_mail().await, bench.open_mail().await];
    let seen = Mutex::new(BTreeMap::<JobId, u32>::new());
    let work = async |process: &Process| {
        let mut reader = process.read_mail().await;
        loop {
            for delivery in reader.consumer.next_many(7).await.expect("an open consumer delivers") {
                *seen.lock().expect("no holder panics").entry(delivery.envelope.id.clone()).or_default() += 1;
                done(delivery).await;
            }
        }
    };
    let publish = async {
        for number in 0..MANY {
            processes[number % 2].send_mail(&number.to_string()).await;
        }
        eventually_all(&seen).await;
    };
    tokio::select! {
        () = publish => {}
        () = work(&processes[0]) => {}
        () = work(&processes[0]) => {}
        () = work(&processes[1]) => {}
        () = work(&processes[1]) => {}
    }
    let seen = seen.into_inner().expect("no holder panics");
    assert_eq!(seen.values().filter(|count| **count > 1).count(), 0, "messages that were delivered twice");
    processes[0].read_mail().await.nothing_else().await;
}

async fn eventually_all(seen: &Mutex<BTreeMap<JobId, u32>>) {
    eventually_some("all messages", async || (seen.lock().expect("no holder panics").len() == MANY).then_some(()))
        .await;
}

pub(super) async fn competing_producers_of_one_id_store_it_once(bench: Bench) {
    let processes = [bench.open_mail().await, bench.open_mail().await];
    for _ in 0..50 {
        let sent = processes[0].envelope("hello");
        let (mail, mail_too) = (mail(), mail());
        let (one, two) = tokio::join!(processes[0].send(&mail, &sent), processes[1].send(&mail_too, &sent));
        if let (Some(one), Some(two)) = (one.copies, two.copies) {
            assert_eq!(one + two, 1, "copies of one id");
        }
        processes[1].read_mail().await.finish_exactly(&[&sent]).await;
    }
}
