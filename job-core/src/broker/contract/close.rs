//! Cases of the end: a closed broker refuses everything, keeps nothing, and leaves the others alone.

use crate::broker::contract::bench::Bench;
use crate::broker::contract::message::mail;
use crate::broker::contract::reader::settle;
use crate::broker::contract::wait::{begin_to_wait, eventually};
use crate::broker::{Entry, Outcome, Outgoing, Window};
use crate::error::Result;
use crate::topology::Topology;

fn check_refused<T>(what: &str, result: Result<T>) {
    match result {
        Ok(_) => panic!("{what}: a closed broker took it"),
        Err(error) => assert!(error.is_unavailable(), "{what}: {error}"),
    }
}

pub(super) async fn a_closed_broker_refuses(bench: Bench) {
    let process = bench.open_mail().await;
    let another = bench.open_mail().await;
    let broker = process.broker.clone();
    let ledger = broker.ledger();
    let messages = [process.envelope("0"), process.envelope("1")].map(|sent| Outgoing::to_queue(mail(), sent));
    process.close().await;

    let answers = eventually("publish", broker.publish(messages.to_vec())).await;
    assert_eq!(answers.len(), 2, "each message is answered");
    answers.into_iter().for_each(|answer| check_refused("publish", answer));
    check_refused("declare", eventually("declare", broker.declare(&Topology::default().queue(mail()))).await);
    check_refused("consume", eventually("consume", broker.consume(&mail(), Window::new(1))).await);
    check_refused("lead", eventually("lead", broker.lead("role")).await);
    check_refused("read", eventually("read", ledger.read()).await);
    check_refused("changed", eventually("changed", ledger.changed()).await);
    let entry = Entry { key: "a".into(), version: 1, value: true.into() };
    check_refused("append", eventually("append", ledger.append(entry)).await);
    if let Some(inspect) = broker.inspect() {
        check_refused("queues", eventually("queues", inspect.queues()).await);
    }
    another.read_mail().await.nothing_else().await;
}

pub(super) async fn the_consumers_of_a_closed_broker_end(bench: Bench) {
    let process = bench.open_mail().await;
    let mut waiting = process.read_mail().await;
    let mut idle = process.read_mail().await;
    let mut next = waiting.consumer.next_many(1);
    begin_to_wait("next_many on an empty queue", &mut next).await;
    process.close().await;
    let last = eventually("the end of a consumer that waits", next).await;
    assert!(last.expect("an end is no error").is_empty(), "the end has no deliveries");
    let ready = eventually("ready after the end", idle.consumer.ready()).await;
    assert!(!ready.expect("an end is no error"), "a consumer that ended is not ready");
    let next = eventually("next_many after the end", idle.consumer.next_many(1)).await;
    assert!(next.expect("an end is no error").is_empty(), "the end has no deliveries");
}

pub(super) async fn a_closed_broker_gives_back_what_was_not_settled(bench: Bench) {
    let process = bench.open_mail().await;
    let another = bench.open_mail().await;
    let sent = [process.send_mail("0").await, process.send_mail("1").await];
    let mut reader = process.read_mail().await;
    let delivery = reader.one().await;
    process.close().await;
    let mut heir = another.read_mail().await;
    let inherited = heir.take(2).await;
    let late = eventually("settle", delivery.settle.settle(Outcome::Done { then: Vec::new() })).await;
    assert!(late.is_err(), "a delivery that was given back is not settled");
    for delivery in inherited {
        assert!(sent.contains(&delivery.envelope), "{delivery:?}");
        settle(delivery, Outcome::Release).await;
    }
    heir.finish_exactly(&[&sent[0], &sent[1]]).await;
}

pub(super) async fn the_others_go_on_when_one_closes(bench: Bench) {
    let process = bench.open_mail().await;
    let another = bench.open_mail().await;
    let mut reader = another.read_mail().await;
    let mut next = reader.consumer.next_many(1);
    begin_to_wait("next_many on an empty queue", &mut next).await;
    process.close().await;
    another.send_mail("hello").await;
    let deliveries = eventually("a delivery", next).await.expect("an open consumer delivers");
    assert_eq!(deliveries.len(), 1);
}
