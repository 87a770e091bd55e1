//! What an operator sees and takes: dead jobs, counts, and a clear word where AMQP cannot tell.

use super::*;
use crate::broker::amqp::AmqpBroker;
use crate::broker::amqp::scene::{broker, envelope, namespace, queue, within};
use crate::broker::{Broker, Inspect, Outcome, Outgoing, Window};
use crate::envelope::DeathReason;
use crate::name::JobId;
use crate::topology::Topology;

/// Lets so many jobs die, one after the other.
async fn dead(broker: &AmqpBroker, count: usize) -> Vec<JobId> {
    let mail = queue("mail");
    broker.declare(&Topology::default().queue(mail.clone())).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..count {
        let mut job = envelope(&number.to_string());
        job.declare_dead(job.enqueued_at, DeathReason::Discarded, "boom");
        ids.push(job.id.clone());
        broker.office.publisher.bury(&mail, &job).await.unwrap();
    }
    ids
}

async fn counts(broker: &AmqpBroker) -> Vec<(String, Option<u64>)> {
    let queues = within("queues", broker.queues()).await.unwrap();
    queues.into_iter().map(|stats| (stats.name.as_str().to_owned(), stats.ready)).collect()
}

async fn take(broker: &AmqpBroker, which: Which) -> Vec<Delivery> {
    within("take", broker.take(&queue("mail.dead"), which)).await.unwrap()
}

async fn peek(broker: &AmqpBroker, page: Page) -> Vec<JobId> {
    let shown = within("peek", broker.peek(&queue("mail.dead"), page)).await.unwrap();
    shown.into_iter().map(|envelope| envelope.id).collect()
}

const EVERYTHING: Page = Page { offset: 0, limit: 1000 };

/// Waits until so many wait in the dead queue: what is given back takes a moment.
async fn dead_are(broker: &AmqpBroker, count: u64) {
    within(&format!("{count} dead"), async {
        while !counts(broker).await.contains(&("mail.dead".into(), Some(count))) {}
    })
    .await;
}

fn counted(names: &[(&str, u64)]) -> Vec<(String, Option<u64>)> {
    names.iter().map(|(name, count)| ((*name).to_owned(), Some(*count))).collect()
}

#[tokio::test]
async fn queues_of_all_processes_are_counted() {
    let namespace = namespace();
    let (worker, operator) = (broker(&namespace).await, broker(&namespace).await);
    dead(&worker, 2).await;
    for _ in 0..3 {
        worker
            .publish(vec![
                Outgoing::to_queue(queue("mail"), envelope("")),
                Outgoing::to_queue(queue("x"), envelope("")),
            ])
            .await;
    }
    let expected = counted(&[("jobs.unrouted", 3), ("mail", 3), ("mail.dead", 2)]);
    assert_eq!(counts(&worker).await, expected);
    // Another process reads it in the ledger, once it is written there.
    within("the other process", async { while counts(&operator).await != expected {} }).await;
    for stats in operator.queues().await.unwrap() {
        assert_eq!((stats.delayed, stats.running, stats.oldest_ready), (None, None, None), "nobody can tell");
    }
    worker.close().await.unwrap();
    // And after its end.
    let late = broker(&namespace).await;
    assert_eq!(counts(&late).await, expected);
    operator.close().await.unwrap();
}

#[tokio::test]
async fn pages_of_the_dead_are_stable_and_nothing_is_taken() {
    let broker = broker(&namespace()).await;
    let ids = dead(&broker, 50).await;
    assert_eq!(peek(&broker, EVERYTHING).await, ids, "in the order of dying");
    dead_are(&broker, 50).await;
    for offset in [0, 20, 40, 60] {
        let expected: Vec<_> = ids.iter().skip(offset).take(20).cloned().collect();
        assert_eq!(peek(&broker, Page { offset, limit: 20 }).await, expected, "however often they are looked at");
        dead_are(&broker, 50).await;
    }
    broker.close().await.unwrap();
}

#[tokio::test]
async fn an_empty_or_unknown_queue_has_nothing_to_show() {
    let broker = broker(&namespace()).await;
    dead(&broker, 0).await;
    assert!(peek(&broker, EVERYTHING).await.is_empty());
    assert!(take(&broker, Which::First(3)).await.is_empty());
    assert!(within("peek", broker.peek(&queue("none.dead"), EVERYTHING)).await.unwrap().is_empty());
    broker.close().await.unwrap();
}

#[tokio::test]
async fn a_queue_whose_jobs_run_is_not_looked_at_and_told_why() {
    let broker = broker(&namespace()).await;
    dead(&broker, 1).await;
    for error in [
        broker.peek(&queue("mail"), EVERYTHING).await.map(drop).unwrap_err(),
        broker.take(&queue("mail"), Which::First(1)).await.map(drop).unwrap_err(),
        broker.find(&envelope("").id).await.map(drop).unwrap_err(),
    ] {
        assert!(error.is_unsupported() && error.to_string().starts_with("on RabbitMQ the job"), "{error}");
    }
    broker.close().await.unwrap();
}

#[tokio::test]
async fn one_is_taken_by_its_id_and_the_others_stay() {
    let broker = broker(&namespace()).await;
    let ids = dead(&broker, 30).await;
    let taken = take(&broker, Which::Id(ids[17].clone())).await;
    assert_eq!(taken.iter().map(|delivery| &delivery.envelope.id).collect::<Vec<_>>(), [&ids[17]]);
    dead_are(&broker, 29).await;
    for delivery in taken {
        delivery.settle.settle(Outcome::Done { then: Vec::new() }).await.unwrap();
    }
    assert!(take(&broker, Which::Id(ids[17].clone())).await.is_empty());
    dead_are(&broker, 29).await;
    let mut left = peek(&broker, EVERYTHING).await;
    left.sort();
    let mut expected: Vec<_> = ids.iter().filter(|id| **id != ids[17]).cloned().collect();
    expected.sort();
    assert_eq!(left, expected);
    broker.close().await.unwrap();
}

#[tokio::test]
async fn the_first_are_redriven_released_buried_again_or_dropped_one_by_one() {
    let broker = broker(&namespace()).await;
    let ids = dead(&broker, 6).await;
    let mut taken = take(&broker, Which::First(5)).await;
    assert_eq!(taken.len(), 5);
    dead_are(&broker, 1).await;
    let mut redriven = taken.remove(0);
    redriven.envelope.revive();
    let then = vec![Outgoing::only(queue("mail"), redriven.envelope)];
    redriven.settle.settle(Outcome::Done { then }).await.unwrap();
    taken.remove(0).settle.settle(Outcome::Done { then: Vec::new() }).await.unwrap();
    taken.remove(0).settle.settle(Outcome::Release).await.unwrap();
    let mut buried = taken.remove(0);
    buried.envelope.declare_dead(Clock::system().now(), DeathReason::Poison, "again");
    buried.settle.settle(Outcome::Dead { envelope: buried.envelope }).await.unwrap();
    // The last goes back when it is dropped.
    drop(taken);
    dead_are(&broker, 4).await;
    let mut left = peek(&broker, EVERYTHING).await;
    left.sort();
    let mut expected = ids[2..].to_vec();
    expected.sort();
    assert_eq!(left, expected);
    let mut consumer = broker.consume(&queue("mail"), Window::new(1)).await.unwrap();
    let delivery = within("the redriven job", consumer.next_many(1)).await.unwrap().remove(0);
    assert_eq!(
        (&delivery.envelope.id, delivery.envelope.sequence, delivery.envelope.details.death),
        (&ids[0], 1, None)
    );
    broker.close().await.unwrap();
}

#[tokio::test]
async fn an_operator_that_dies_has_taken_nothing() {
    let namespace = namespace();
    let (operator, other) = (broker(&namespace).await, broker(&namespace).await);
    let ids = dead(&other, 3).await;
    let taken = take(&operator, Which::First(2)).await;
    assert_eq!(taken.len(), 2);
    operator.kill();
    dead_are(&other, 3).await;
    for delivery in taken {
        let settled = delivery.settle.settle(Outcome::Done { then: Vec::new() }).await;
        assert!(settled.as_ref().is_err_and(Error::is_lost), "{settled:?}");
    }
    assert_eq!(peek(&other, EVERYTHING).await, ids);
    other.close().await.unwrap();
}
