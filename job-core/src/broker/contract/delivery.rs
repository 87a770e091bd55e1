//! Cases of publishing and delivering: what was stored comes, once, whole, and alone.

use std::time::Duration;

use serde_json::json;

use crate::broker::contract::bench::Bench;
use crate::broker::contract::message::{mail, map, queue};
use crate::broker::contract::reader::done;
use crate::broker::contract::wait::eventually;
use crate::broker::{Outgoing, Window};
use crate::clock::Timestamp;
use crate::envelope::{Chained, Content, Death, DeathReason, Details, Envelope, Failure, Step};
use crate::name::{JobId, Kind};
use crate::topology::{ROUTING_KEY_BYTES_MAX, Target, Topology};
use crate::trace::TraceParent;

pub(super) async fn a_published_message_is_delivered_once(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.envelope("hello");
    let stored = process.send(&mail(), &sent).await;
    bench.check_copies(stored, 1);

    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    assert_eq!(delivery.envelope, sent);
    assert_eq!(delivery.redeliveries, 0);
    reader.nothing_else().await;
    done(delivery).await;
    reader.nothing_else().await;
}

pub(super) async fn a_message_is_delivered_to_another_process(bench: Bench) {
    let producer = bench.open_mail().await;
    let worker = bench.open().await;
    let mut reader = worker.read_mail().await;
    let sent = producer.send_mail("hello").await;
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn every_field_of_an_envelope_survives(bench: Bench) {
    let process = bench.open_mail().await;
    let mut full = process.envelope("hello");
    full.content = Content::Text;
    full.not_before = Some(process.now());
    full.attempt = 7;
    full.sequence = 3;
    full.details = details(process.now());
    let mut bare = process.envelope("");
    bare.id = JobId::parse("order 17, „größer“").expect("a valid id");
    bare.kind = None;

    process.send(&mail(), &full).await;
    process.send(&mail(), &bare).await;
    process.read_mail().await.finish_exactly(&[&full, &bare]).await;
}

fn details(now: Timestamp) -> Details {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    Details {
        max_attempts: Some(9),
        expires: Some(now),
        crashes: 2,
        is_armed: true,
        cursor: Some(json!({"page": 3, "after": "ä", "ratio": 0.5, "none": null, "seen": [1, -2]})),
        stalls: 4,
        snoozes: 5,
        parked_since: Some(now),
        failures: vec![Failure { attempt: 1, at: now, error: "line 1\nline 2: \"ü\"".into() }],
        death: Some(Death { reason: DeathReason::TooDeep, error: "too deep".into(), at: now }),
        chain: Some(chained()),
        trace: Some(TraceParent::parse(trace).expect("a valid trace parent")),
        trace_state: Some("vendor=1,other=2".into()),
        headers: map(&[("tenant", "größer"), ("empty", ""), ("Number", "1")]),
    }
}

fn chained() -> Chained {
    let step = Step {
        kind: Kind::parse("ship").expect("a valid kind"),
        queue: mail(),
        payload: "{\"to\": \"größer\"} \n".into(),
        expires: Some(Duration::from_millis(1500)),
        max_attempts: Some(3),
    };
    let first = Some(JobId::parse("order 17").expect("a valid id"));
    Chained { first, place: 1, rest: vec![step] }
}

pub(super) async fn payload_bytes_come_back_untouched(bench: Bench) {
    let process = bench.open_mail().await;
    let all_bytes: Vec<u8> = (0..=u8::MAX).collect();
    let large = all_bytes.repeat(1024);
    assert_eq!(large.len(), 256 * 1024);
    let payloads = [Vec::new(), all_bytes, large, b" {\"b\": 1, \"a\": 1.0} \n".to_vec()];
    let sent = payloads.map(|payload| Envelope { payload, ..process.envelope("") });
    for envelope in &sent {
        process.send(&mail(), envelope).await;
    }
    process.read_mail().await.finish_exactly(&sent.each_ref()).await;
}

pub(super) async fn an_id_is_stored_once_while_it_is_stored(bench: Bench) {
    let process = bench.open_mail().await;
    let first = process.send_mail("first").await;
    let second = Envelope { payload: b"second".to_vec(), ..first.clone() };
    let stored = process.send(&mail(), &second).await;
    bench.check_copies(stored, 0);

    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    assert_eq!(delivery.envelope, first, "the one that was stored counts");
    let stored = process.send(&mail(), &second).await;
    bench.check_copies(stored, 0);
    reader.nothing_else().await;
    done(delivery).await;
    reader.nothing_else().await;
}

pub(super) async fn an_id_twice_in_one_call_is_stored_once(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.envelope("hello");
    let twice = vec![Outgoing::to_queue(mail(), sent.clone()), Outgoing::only(mail(), sent.clone())];
    let answers = eventually("publish", process.broker.publish(twice)).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("both are answered as stored")).collect();
    bench.check_copies(answers[0], 1);
    bench.check_copies(answers[1], 0);
    process.read_mail().await.finish_exactly(&[&sent]).await;
}

pub(super) async fn an_id_can_be_stored_again_when_it_is_done(bench: Bench) {
    let process = bench.open_mail().await;
    let mut reader = process.read_mail().await;
    let sent = process.send_mail("hello").await;
    reader.finish_exactly(&[&sent]).await;
    let stored = process.send(&mail(), &sent).await;
    bench.check_copies(stored, 1);
    reader.finish_exactly(&[&sent]).await;
}

pub(super) async fn the_same_id_may_be_stored_in_two_queues(bench: Bench) {
    let process = bench.open_mail().await;
    process.declare(Topology::default().queue(queue("images"))).await;
    let sent = process.send_mail("hello").await;
    let stored = process.send(&queue("images"), &sent).await;
    bench.check_copies(stored, 1);
    process.read_mail().await.finish_exactly(&[&sent]).await;
    process.read(&queue("images")).await.finish_exactly(&[&sent]).await;
}

pub(super) async fn one_bad_message_of_many_spoils_only_itself(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = [process.envelope("0"), process.envelope("1"), process.envelope("2")];
    let mut messages = sent.clone().map(|envelope| Outgoing::to_queue(mail(), envelope)).to_vec();
    messages[1].target = Target::Topic("a".repeat(ROUTING_KEY_BYTES_MAX + 1));

    let answers = eventually("publish", process.broker.publish(messages)).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true], "{answers:?}");
    let error = answers[1].as_ref().expect_err("the bad message has an error");
    assert!(error.is_invalid() && error.is_rejected(), "{error}");
    process.read_mail().await.finish_exactly(&[&sent[0], &sent[2]]).await;
}

pub(super) async fn publishing_nothing_answers_nothing(bench: Bench) {
    let process = bench.open_mail().await;
    assert!(eventually("publish", process.broker.publish(Vec::new())).await.is_empty());
}

pub(super) async fn next_many_respects_max(bench: Bench) {
    let process = bench.open_mail().await;
    let mut sent = Vec::new();
    for number in 0..20 {
        sent.push(process.send_mail(&number.to_string()).await);
    }
    let mut reader = process.read_mail().await;
    let mut ids = Vec::new();
    while ids.len() < sent.len() {
        let max = 1 + ids.len() % 3;
        // Settled as they come: a broker need not hand out more than the window that it was told.
        for delivery in reader.next_many(max).await {
            ids.push(delivery.envelope.id.clone());
            done(delivery).await;
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), sent.len(), "each message once");
}

pub(super) async fn publishing_to_an_undeclared_queue_keeps_the_message(bench: Bench) {
    let process = bench.open().await;
    let sent = process.send_mail("hello").await;
    process.declare(Topology::default().queue(mail())).await;
    process.read_mail().await.finish_exactly(&[&sent]).await;
}

pub(super) async fn consuming_an_undeclared_queue_fails(bench: Bench) {
    let process = bench.open_mail().await;
    let name = queue("nobody-declared-this");
    let consumer = eventually("consume", process.broker.consume(&name, Window::new(1))).await;
    let error = consumer.map(|_| ()).expect_err("a queue that does not exist cannot be consumed");
    assert!(error.to_string().contains(name.as_str()), "{error}");
}

pub(super) async fn declare_is_idempotent(bench: Bench) {
    let process = bench.open_mail().await;
    let sent = process.send_mail("hello").await;
    process.declare(Topology::default().queue(mail())).await;
    let another = bench.open_mail().await;
    another.read_mail().await.finish_exactly(&[&sent]).await;
}
