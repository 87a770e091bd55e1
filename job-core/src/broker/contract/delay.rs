//! Cases of time: nothing comes before it is due, and all comes once it is.

use std::time::Duration;

use crate::broker::contract::bench::Bench;
use crate::broker::contract::message::{mail, map, queue};
use crate::broker::contract::reader::{done, settle};
use crate::broker::contract::wait::eventually;
use crate::broker::{Outcome, Outgoing};
use crate::clock::later;
use crate::envelope::Envelope;
use crate::topology::{HeadersMode, Pattern, Target, Topology};

/// The finest step that a broker must tell apart.
const STEP: Duration = Duration::from_millis(1);

pub(super) async fn a_delayed_publish_is_invisible_until_due(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    let stored = process.send(&mail(), &sent).await;
    bench.check_copies(stored, 1);
    let mut reader = process.read_mail().await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn later_is_invisible_until_due(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let at = later(process.now(), bench.delay());
    let next = Envelope { attempt: 2, not_before: Some(at), ..delivery.envelope.clone() };
    settle(delivery, Outcome::Later { at, envelope: next.clone() }).await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&next]).await;
}

pub(super) async fn later_puts_its_instant_into_the_envelope(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let at = later(process.now(), bench.delay());
    let next = Envelope { not_before: None, ..delivery.envelope.clone() };
    settle(delivery, Outcome::Later { at, envelope: next.clone() }).await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&Envelope { not_before: Some(at), ..next }]).await;
}

pub(super) async fn a_later_that_is_due_comes_at_once(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let at = process.now();
    let next = Envelope { sequence: 1, not_before: Some(at), ..delivery.envelope.clone() };
    settle(delivery, Outcome::Later { at, envelope: next.clone() }).await;
    reader.finish_exactly(&[&next]).await;
}

pub(super) async fn a_delay_ends_at_its_instant(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    process.send(&mail(), &sent).await;
    let mut reader = process.read_mail().await;
    bench.pass(bench.delay() - STEP).await;
    reader.nothing_else().await;
    bench.pass(STEP).await;
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn a_delay_that_has_passed_is_none(bench: Bench) {
    let process = bench.open_mail().await;
    let mut sent = process.envelope("late");
    sent.not_before = Some(process.now() - bench.delay());
    process.send(&mail(), &sent).await;
    process.read_mail().await.finish_exactly(&[&sent]).await;
}

pub(super) async fn a_producer_whose_clock_is_ahead_delays_nothing(bench: Bench) {
    let process = bench.open_mail().await;
    let mut sent = process.envelope("hello");
    sent.enqueued_at = later(process.now(), bench.delay());
    process.send(&mail(), &sent).await;
    process.read_mail().await.finish_exactly(&[&sent]).await;
}

pub(super) async fn only_can_be_delayed_too(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    process.publish(Outgoing::only(mail(), sent.clone())).await.expect("a delayed message is stored");
    let mut reader = process.read_mail().await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn a_delayed_follower_is_invisible_until_due(bench: Bench) {
    let process = bench.open_mail().await;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let follower = process.delayed("follower", bench.delay());
    let then = vec![Outgoing::only(mail(), follower.clone())];
    settle(reader.one().await, Outcome::Done { then }).await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&follower]).await;
}

pub(super) async fn a_delay_outlives_its_process(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    process.send(&mail(), &sent).await;
    process.close().await;
    let another = bench.open_mail().await;
    let mut reader = another.read_mail().await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn the_longest_delay_is_kept(bench: Bench) {
    let process = bench.open_mail().await;
    let century = Duration::from_secs(100 * 365 * 24 * 3600);
    process.send(&mail(), &process.delayed("in a century", century)).await;
    let mut reader = process.read_mail().await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.nothing_else().await;
}

pub(super) async fn a_delayed_id_is_held(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.delayed("later", bench.delay());
    process.send(&mail(), &sent).await;
    let stored = process.send(&mail(), &Envelope { not_before: None, ..sent.clone() }).await;
    bench.check_copies(stored, 0);
    let mut reader = process.read_mail().await;
    reader.nothing_else().await;
    bench.pass(bench.delay()).await;
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn an_event_cannot_be_delayed(bench: Bench) {
    let process = bench.open().await;
    let all = Pattern::Headers { mode: HeadersMode::All, values: map(&[]) };
    let patterns = [Pattern::Topic("#".into()), Pattern::Direct("a".into()), all, Pattern::Fanout("a".into())];
    let bind = |topology: Topology, pattern: Pattern| topology.bind(queue("audit"), pattern);
    process.declare(patterns.into_iter().fold(Topology::default(), bind)).await;
    let targets = [Target::Topic("a".into()), Target::Direct("a".into()), Target::Headers, Target::Fanout("a".into())];
    for target in targets {
        let message = Outgoing::event(target.clone(), process.delayed("later", bench.delay()));
        let answer = process.publish(message).await;
        assert!(answer.as_ref().is_err_and(|error| error.is_invalid()), "{target:?}: {answer:?}");
    }
    bench.pass(bench.delay()).await;
    process.read(&queue("audit")).await.nothing_else().await;
}

pub(super) async fn messages_come_by_due_time(bench: Bench) {
    let process = bench.open_mail().await;
    let unit = bench.delay() / 4;
    let mut sent = [3, 1, 2].map(|n| process.delayed(&n.to_string(), unit * n)).to_vec();
    for envelope in &sent {
        process.send(&mail(), envelope).await;
    }
    bench.pass(bench.delay()).await;
    sent.sort_by_key(|envelope| envelope.not_before);
    let mut reader = process.read_mail().await;
    for envelope in &sent {
        assert_eq!(reader.finish_one().await, *envelope);
    }
}

pub(super) async fn messages_of_one_instant_come_in_the_order_of_publishing(bench: Bench) {
    let process = bench.open_mail().await;
    let sent: Vec<_> = (0..50).map(|n: i32| process.envelope(&n.to_string())).collect();
    let messages = sent.iter().map(|envelope| Outgoing::to_queue(mail(), envelope.clone())).collect();
    for answer in eventually("publish", process.broker.publish(messages)).await {
        answer.expect("the message is stored");
    }
    let mut reader = process.read_mail().await;
    for envelope in &sent {
        assert_eq!(reader.finish_one().await, *envelope);
    }
}

pub(super) async fn a_later_takes_its_place_by_its_instant(bench: Bench) {
    let process = bench.open_mail().await;
    let unit = bench.delay() / 4;
    process.send_mail("hello").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    let (early, late) = (process.delayed("early", unit), process.delayed("late", unit * 3));
    process.send(&mail(), &late).await;
    let at = later(process.now(), unit * 2);
    let middle = Envelope { attempt: 2, not_before: Some(at), ..delivery.envelope.clone() };
    settle(delivery, Outcome::Later { at, envelope: middle.clone() }).await;
    process.send(&mail(), &early).await;
    bench.pass(bench.delay()).await;
    for envelope in [early, middle, late] {
        assert_eq!(reader.finish_one().await, envelope);
    }
}

pub(super) async fn a_release_keeps_its_place(bench: Bench) {
    let process = bench.open_mail().await;
    let first = process.send_mail("first").await;
    let second = process.send_mail("second").await;
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    assert_eq!(delivery.envelope, first);
    reader.close().await;
    settle(delivery, Outcome::Release).await;
    let mut reader = process.read_mail().await;
    let taken = reader.take(2).await;
    assert_eq!(taken.iter().map(|delivery| &delivery.envelope).collect::<Vec<_>>(), [&first, &second]);
    for delivery in taken {
        done(delivery).await;
    }
}
