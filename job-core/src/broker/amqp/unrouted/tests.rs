//! Jobs that came before their queue: kept, moved once it exists, as they were.

use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeleteOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, ExchangeKind};
use std::collections::BTreeMap;

use super::*;
use crate::broker::amqp::AmqpBroker;
use crate::broker::amqp::scene::{LIMIT, broker, envelope, namespace, queue, within};
use crate::broker::{Broker, Outcome, Window};
use crate::clock::later;
use crate::topology::Topology;

async fn send(broker: &AmqpBroker, message: Outgoing) {
    for answer in within("publish", broker.publish(vec![message])).await {
        answer.unwrap();
    }
}

/// Makes a queue exist without its broker noticing, which would move its jobs.
async fn declare_quietly(broker: &AmqpBroker, name: &str) {
    let session = broker.consuming.session(LIMIT).await.unwrap();
    let declarer = Declarer::new(Arc::clone(&broker.names), &broker.options);
    for thing in [Thing::Base, Thing::Queue(queue(name))] {
        declarer.ensure(&session, &thing).await.unwrap();
    }
}

async fn waiting(broker: &AmqpBroker, name: &str) -> u32 {
    let session = broker.consuming.session(LIMIT).await.unwrap();
    ready(&session, &broker.names.queue(&queue(name))).await.unwrap().unwrap()
}

/// Waits until so many are unrouted: what is given back takes a moment.
async fn unrouted(broker: &AmqpBroker, count: u32) {
    within(&format!("{count} unrouted"), async { while waiting(broker, "jobs.unrouted").await != count {} }).await;
}

async fn sweep(broker: &AmqpBroker) -> (u64, u64) {
    let Sweep { moved, left } = within("sweep", broker.realm.census.mover.sweep()).await.unwrap();
    (moved, left)
}

/// Takes all that waits in a queue, in order.
async fn payloads(broker: &AmqpBroker, name: &str, count: usize) -> Vec<String> {
    let mut consumer = broker.consume(&queue(name), Window::exact(1)).await.unwrap();
    let mut payloads = Vec::new();
    while payloads.len() < count {
        for delivery in within("a delivery", consumer.next_many(1)).await.unwrap() {
            payloads.push(String::from_utf8(delivery.envelope.payload.clone()).unwrap());
            delivery.settle.settle(Outcome::Done { then: Vec::new() }).await.unwrap();
        }
    }
    consumer.close().await;
    payloads
}

#[tokio::test]
async fn jobs_wait_for_their_queue_and_come_there_in_order() {
    let broker = broker(&namespace()).await;
    for number in 0..20 {
        send(&broker, Outgoing::to_queue(queue("mail"), envelope(&number.to_string()))).await;
        send(&broker, Outgoing::only(queue("nowhere"), envelope("stays"))).await;
    }
    assert_eq!(sweep(&broker).await, (0, 40));
    unrouted(&broker, 40).await;
    declare_quietly(&broker, "mail").await;
    assert_eq!(sweep(&broker).await, (20, 20));
    unrouted(&broker, 20).await;
    assert_eq!(sweep(&broker).await, (0, 20), "what is left is looked at once a sweep");
    unrouted(&broker, 20).await;
    let mut moved = payloads(&broker, "mail", 20).await;
    // A look at them scrambles what is given back; RabbitMQ promises nothing there.
    moved.sort_by_key(|payload| payload.parse::<u32>().unwrap());
    assert_eq!(moved, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    broker.close().await.unwrap();
}

#[tokio::test]
async fn the_first_look_keeps_the_order() {
    let broker = broker(&namespace()).await;
    for number in 0..50 {
        send(&broker, Outgoing::to_queue(queue("mail"), envelope(&number.to_string()))).await;
    }
    declare_quietly(&broker, "mail").await;
    assert_eq!(sweep(&broker).await, (50, 0));
    assert_eq!(payloads(&broker, "mail", 50).await, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    broker.close().await.unwrap();
}

#[tokio::test]
async fn who_declares_a_queue_fetches_its_jobs() {
    let namespace = namespace();
    let (producer, worker) = (broker(&namespace).await, broker(&namespace).await);
    send(&producer, Outgoing::to_queue(queue("mail"), envelope("early"))).await;
    worker.declare(&Topology::default().queue(queue("mail"))).await.unwrap();
    assert_eq!(payloads(&worker, "mail", 1).await, ["early"]);
    producer.close().await.unwrap();
    worker.close().await.unwrap();
}

#[tokio::test]
async fn dead_and_delayed_jobs_find_their_way_too() {
    let broker = broker(&namespace()).await;
    declare_quietly(&broker, "mail").await;
    let session = broker.publishing.session(LIMIT).await.unwrap();
    let channel = session.channel().await.unwrap();
    // Dead, when the dead queue was gone for a moment; delayed, when the slot was.
    channel.queue_delete(broker.names.queue(&queue("mail.dead")).into(), QueueDeleteOptions::default()).await.unwrap();
    let options = BasicPublishOptions::default();
    let dead = wire::properties(&envelope("dead"), None).unwrap();
    let (exchange, key) = (broker.names.dead_exchange(), broker.names.queue(&queue("mail")));
    channel.basic_publish(exchange.into(), key.into(), options, b"dead", dead).await.unwrap();
    let mut delayed = envelope("delayed");
    delayed.not_before = Some(later(Clock::system().now(), Duration::from_secs(600)));
    let properties = wire::properties(&delayed, Some(&queue("mail"))).unwrap();
    let (exchange, key) = (broker.names.only(), broker.names.slot(3, 31));
    channel.basic_publish(exchange.into(), key.into(), options, b"delayed", properties).await.unwrap();
    session.answer("close", channel.close(200, "OK".into())).await.unwrap();
    within("both to be unrouted", async { while waiting(&broker, "jobs.unrouted").await < 2 {} }).await;

    declare_quietly(&broker, "mail").await;
    assert_eq!(sweep(&broker).await, (2, 0));
    assert_eq!((waiting(&broker, "mail.dead").await, waiting(&broker, "mail").await), (1, 0));
    unrouted(&broker, 0).await;
    broker.close().await.unwrap();
}

#[tokio::test]
async fn what_nobody_can_move_hides_nothing_and_never_spins() {
    let broker = broker(&namespace()).await;
    let messages = |name: &str, count: usize| {
        (0..count).map(|n| Outgoing::to_queue(queue(name), envelope(&n.to_string()))).collect::<Vec<_>>()
    };
    within("publish", broker.publish(messages("nowhere", usize::from(WINDOW) + 100))).await;
    within("publish", broker.publish(messages("mail", 10))).await;
    declare_quietly(&broker, "mail").await;
    assert_eq!(sweep(&broker).await, (0, WINDOW.into()), "the first fill the window");
    unrouted(&broker, u32::from(WINDOW) + 110).await;
    let (moved, left) = sweep(&broker).await;
    assert_eq!(moved, 10, "and stood behind the others for the next: {left}");
    assert_eq!(payloads(&broker, "mail", 10).await.len(), 10);
    broker.close().await.unwrap();
}

#[tokio::test]
async fn what_came_by_an_exchange_that_leads_nowhere_any_more_is_kept() {
    let broker = broker(&namespace()).await;
    declare_quietly(&broker, "mail").await;
    let session = broker.publishing.session(LIMIT).await.unwrap();
    let channel = session.channel().await.unwrap();
    let (foreign, here) = (format!("{}.foreign", broker.names.unrouted()), broker.names.unrouted());
    let (options, none) = (ExchangeDeclareOptions::default(), FieldTable::default());
    channel.exchange_declare(foreign.as_str().into(), ExchangeKind::Fanout, options, none.clone()).await.unwrap();
    let (queue, from) = (here.as_str(), foreign.as_str());
    channel.queue_bind(queue.into(), from.into(), "".into(), QueueBindOptions::default(), none.clone()).await.unwrap();
    for _ in 0..WINDOW {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish(from.into(), "theirs".into(), options, b"", properties).await.unwrap();
    }
    unrouted(&broker, WINDOW.into()).await;
    channel.queue_unbind(queue.into(), from.into(), "".into(), none).await.unwrap();
    assert_eq!(sweep(&broker).await, (0, WINDOW.into()), "it fills the window, and is put behind all others");
    unrouted(&broker, WINDOW.into()).await;
    channel.exchange_delete(from.into(), ExchangeDeleteOptions::default()).await.unwrap();
    broker.close().await.unwrap();
}

#[tokio::test]
async fn a_foreign_message_is_moved_as_it_was() {
    let broker = broker(&namespace()).await;
    declare_quietly(&broker, "other").await;
    let session = broker.publishing.session(LIMIT).await.unwrap();
    let channel = session.channel().await.unwrap();
    let mut headers = FieldTable::default();
    headers.insert("count".into(), AMQPValue::LongInt(7));
    let sent = BasicProperties::default().with_type("mail".into()).with_reply_to("r".into()).with_headers(headers);
    let (exchange, key) = (broker.names.jobs(), broker.names.queue(&queue("mail")));
    let options = BasicPublishOptions::default();
    channel.basic_publish(exchange.into(), key.clone().into(), options, b"\xff", sent.clone()).await.unwrap();
    // A key that no queue of ours has, and one that is reserved.
    for odd in ["a b", "jobs.lock.x"] {
        let key = format!("{}{odd}", key.strip_suffix("mail").unwrap());
        channel.basic_publish(broker.names.jobs().into(), key.into(), options, b"", sent.clone()).await.unwrap();
    }
    within("all to be unrouted", async { while waiting(&broker, "jobs.unrouted").await < 3 {} }).await;
    declare_quietly(&broker, "mail").await;
    assert_eq!(sweep(&broker).await, (1, 2));
    let got = channel.basic_get(key.into(), lapin::options::BasicGetOptions::default()).await.unwrap().unwrap();
    // What a message that is got has beside its own.
    let count = BTreeMap::from([("x-delivery-count".into(), AMQPValue::LongLongInt(0))]);
    let mut expected = sent.headers().clone().unwrap();
    count.into_iter().for_each(|(name, value)| _ = expected.insert(name, value));
    assert_eq!(got.delivery.properties, sent.with_delivery_mode(2).with_headers(expected));
    assert_eq!(got.delivery.data, b"\xff");
    broker.close().await.unwrap();
}
