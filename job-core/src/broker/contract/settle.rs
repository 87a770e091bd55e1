//! Cases of settling: each outcome does what it says, once, and only for the one who has the delivery.

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::Need;
use crate::broker::contract::message::{mail, queue};
use crate::broker::contract::reader::{done, settle};
use crate::broker::contract::wait::eventually;
use crate::broker::{Outcome, Outgoing};
use crate::envelope::{DeathReason, Envelope};
use crate::topology::{Pattern, ROUTING_KEY_BYTES_MAX, Target, Topology};

pub(super) async fn done_stores_its_followers(bench: Bench) {
    let process = bench.open_mail().await;
    process.declare(Topology::default().queue(queue("images"))).await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let (first, second) = (process.envelope("first"), process.envelope("second"));
    let then = vec![Outgoing::only(mail(), first.clone()), Outgoing::to_queue(queue("images"), second.clone())];
    settle(reader.one().await, Outcome::Done { then }).await;
    reader.finish_exactly(&[&first]).await;
    process.read(&queue("images")).await.finish_exactly(&[&second]).await;
}

pub(super) async fn dead_is_kept_with_reason_and_bytes(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("\u{0}not json").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let mut dead = delivery.envelope.clone();
    dead.push_failure(process.now(), "boom");
    dead.declare_dead(process.now(), DeathReason::Attempts, "boom");
    settle(delivery, Outcome::Dead { envelope: dead.clone() }).await;
    reader.nothing_else().await;
    process.read(&mail().dead()).await.finish_exactly(&[&dead]).await;
}

pub(super) async fn a_follower_can_be_an_event(bench: Bench) {
    let process = bench.open_mail().await;
    process.declare(Topology::default().bind(queue("audit"), Pattern::Topic("mail.#".into()))).await;
    process.send_mail("hello").await;
    let event = process.envelope("sent");
    let then = vec![Outgoing::event(Target::Topic("mail.sent".into()), event.clone())];
    settle(process.read_mail().await.one().await, Outcome::Done { then }).await;
    process.read(&queue("audit")).await.finish_exactly(&[&event]).await;
}

pub(super) async fn a_follower_may_have_the_id_of_what_it_follows(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let follower = Envelope { payload: b"again".to_vec(), ..delivery.envelope.clone() };
    settle(delivery, Outcome::Done { then: vec![Outgoing::only(mail(), follower.clone())] }).await;
    reader.finish_exactly(&[&follower]).await;
}

pub(super) async fn a_bad_follower_gives_the_job_back(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let bad = Target::Direct("a".repeat(ROUTING_KEY_BYTES_MAX + 1));
    let good = Outgoing::only(mail(), process.envelope("follower"));
    let then = vec![good, Outgoing::event(bad, process.envelope("follower"))];
    let settled = eventually("settle", reader.one().await.settle.settle(Outcome::Done { then })).await;
    assert!(settled.as_ref().is_err_and(|error| error.is_invalid()), "{settled:?}");
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn a_released_delivery_comes_back_unchanged(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    settle(reader.one().await, Outcome::Release).await;
    let delivery = reader.one().await;
    assert_eq!(delivery.envelope, sent);
    if bench.has(Need::Redeliveries) {
        assert_eq!(delivery.redeliveries, 0, "a release is no redelivery");
    }
    done(delivery).await;
    reader.nothing_else().await;
}

pub(super) async fn each_of_many_deliveries_is_settled_by_itself(bench: Bench) {
    let process = bench.open_mail().await;
    for number in 0..4 {
        process.send_mail(&number.to_string()).await;
    }
    let mut reader = process.read_mail().await;
    let mut taken = reader.take(4).await;
    // Out of order: a broker that acknowledges "up to here" would take the others along.
    let (last, second) = (taken.remove(3), taken.remove(1));
    done(last).await;
    done(second).await;
    reader.close().await;
    let open: Vec<_> = taken.iter().map(|delivery| delivery.envelope.clone()).collect();
    for delivery in taken {
        settle(delivery, Outcome::Release).await;
    }
    process.read_mail().await.finish_exactly(&open.iter().collect::<Vec<_>>()).await;
}

pub(super) async fn a_dead_message_can_be_redriven(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let dead = dead(&delivery.envelope, DeathReason::Discarded);
    settle(delivery, Outcome::Dead { envelope: dead.clone() }).await;

    let mut dead_reader = process.read(&mail().dead()).await;
    let delivery = dead_reader.one().await;
    assert_eq!(delivery.envelope, dead);
    let mut revived = dead;
    revived.revive();
    process.publish(Outgoing::only(mail(), revived.clone())).await.expect("the redriven job is stored");
    done(delivery).await;
    reader.finish_exactly(&[&revived]).await;
    dead_reader.nothing_else().await;
}

pub(super) async fn a_job_that_dies_again_while_it_is_redriven_is_kept(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let first = dead(&delivery.envelope, DeathReason::Attempts);
    settle(delivery, Outcome::Dead { envelope: first.clone() }).await;

    let mut dead_reader = process.read(&mail().dead()).await;
    let redrive = dead_reader.one().await;
    let mut revived = first;
    revived.revive();
    process.publish(Outgoing::only(mail(), revived)).await.expect("the redriven job is stored");
    let delivery = reader.one().await;
    let second = dead(&delivery.envelope, DeathReason::Discarded);
    settle(delivery, Outcome::Dead { envelope: second.clone() }).await;
    // Lost or not: what the redrive has taken is not what is dead now.
    let _ = eventually("settle", redrive.settle.settle(Outcome::Done { then: Vec::new() })).await;
    dead_reader.finish_exactly(&[&second]).await;
}

pub(super) async fn the_latest_death_of_an_id_is_kept(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    for reason in [DeathReason::Attempts, DeathReason::Expired] {
        let delivery = reader.one().await;
        let envelope = dead(&delivery.envelope, reason);
        settle(delivery, Outcome::Dead { envelope }).await;
        process.send(&mail(), &sent).await;
    }
    let latest = dead(&sent, DeathReason::Expired);
    process.read(&mail().dead()).await.finish_exactly(&[&latest]).await;
}

pub(super) async fn a_job_that_dies_in_the_dead_queue_stays_there(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.envelope("hello");
    process.send(&mail().dead(), &sent).await;
    let mut reader = process.read(&mail().dead()).await;
    let again = dead(&sent, DeathReason::Undecodable);
    settle(reader.one().await, Outcome::Dead { envelope: again.clone() }).await;
    reader.finish_exactly(&[&again]).await;
}

pub(super) async fn a_settled_future_dropped_still_settles(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let now = process.now();
    let next = Envelope { attempt: 2, not_before: Some(now), ..sent };
    drop(reader.one().await.settle.settle(Outcome::Later { at: now, envelope: next.clone() }));
    let delivery = reader.one().await;
    assert_eq!(delivery.envelope, next);
    drop(delivery.settle.settle(Outcome::Done { then: Vec::new() }));
    drop(reader);
    // Closing finishes what is under way.
    process.close().await;
    bench.open_mail().await.read_mail().await.nothing_else().await;
}

fn dead(envelope: &Envelope, reason: DeathReason) -> Envelope {
    let mut dead = envelope.clone();
    dead.declare_dead(envelope.enqueued_at, reason, reason.as_str());
    dead
}
