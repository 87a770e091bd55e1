//! What was settled on RabbitMQ before a consumer, a look or a sweep ended in order stays settled: nothing of it comes again.
//!
//! RabbitMQ's channel keeps acknowledgements to itself while the queue has not yet taken 32 of them, and loses those when
//! it is closed. So each case settles many more one by one, over gaps, and ends at once.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod amqp_bench;
mod amqp_node;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::try_join_all;
use job_core::broker::amqp::AmqpBroker;
use job_core::broker::{Broker, Consumer, Delivery, Outcome, Outgoing, Page, Which, Window};
use job_core::{JobId, QueueName};

use amqp_bench::{connect_mail, done, envelope, eventually, mail, namespaced, settle, within};

const JOBS: usize = 400;

/// Publishes jobs to a queue, and returns their ids.
async fn fill(broker: &AmqpBroker, queue: &QueueName) -> BTreeSet<JobId> {
    let messages: Vec<Outgoing> = (0..JOBS).map(|_| Outgoing::to_queue(queue.clone(), envelope("hello"))).collect();
    let ids = messages.iter().map(|message| message.envelope.id.clone()).collect();
    for stored in within("the answers to publishes", broker.publish(messages)).await {
        stored.unwrap();
    }
    ids
}

async fn take(consumer: &mut dyn Consumer, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(within("deliveries", consumer.next_many(count - taken.len())).await.unwrap());
    }
    taken
}

fn ids(deliveries: &[Delivery]) -> BTreeSet<JobId> {
    deliveries.iter().map(|delivery| delivery.envelope.id.clone()).collect()
}

/// Takes jobs, settles every second one, and gives the consumer up in the same instant. Returns the ids of the others.
async fn settle_every_second(broker: &Arc<AmqpBroker>) -> BTreeSet<JobId> {
    let mut consumer = within("a consumer", broker.consume(&mail(), Window::new(JOBS))).await.unwrap();
    let taken = take(&mut *consumer, JOBS).await;
    let (mut left, mut settlements) = (BTreeSet::new(), Vec::new());
    for (n, delivery) in taken.into_iter().enumerate() {
        if n % 2 == 0 {
            left.insert(delivery.envelope.id.clone());
        } else {
            settlements.push(delivery.settle);
        }
    }
    for settlement in settlements {
        settlement.settle(Outcome::Done { then: Vec::new() }).await.unwrap();
    }
    within("the consumer's end", consumer.close()).await;
    left
}

#[tokio::test]
async fn what_was_settled_one_by_one_does_not_come_again_when_its_consumer_ends() {
    for _ in 0..3 {
        let url = namespaced(amqp_node::url());
        let (broker, other) = (connect_mail(&url).await, connect_mail(&url).await);
        fill(&broker, &mail()).await;
        let left = settle_every_second(&broker).await;
        // Another process: this one remembers what it has settled.
        let mut consumer = within("a consumer", other.consume(&mail(), Window::new(JOBS))).await.unwrap();
        let again = ids(&take(&mut *consumer, left.len()).await);
        assert_eq!(again.difference(&left).count(), 0, "of {} that were left", left.len());
    }
}

#[tokio::test]
async fn what_was_settled_does_not_come_again_when_its_broker_is_closed() {
    let url = namespaced(amqp_node::url());
    let (broker, other) = (connect_mail(&url).await, connect_mail(&url).await);
    fill(&broker, &mail()).await;
    let left = settle_every_second(&broker).await;
    broker.close().await.unwrap();
    let mut consumer = within("a consumer", other.consume(&mail(), Window::new(JOBS))).await.unwrap();
    let again = ids(&take(&mut *consumer, left.len()).await);
    assert_eq!(again.difference(&left).count(), 0, "of {} that were left", left.len());
}

#[tokio::test]
async fn what_an_operator_took_out_is_out_when_that_is_answered() {
    let broker = connect_mail(&namespaced(amqp_node::url())).await;
    let mut consumer = within("a consumer", broker.consume(&mail(), Window::new(JOBS))).await.unwrap();
    fill(&broker, &mail()).await;
    let died = take(&mut *consumer, JOBS).await.into_iter().map(|delivery| {
        let envelope = delivery.envelope.clone();
        settle(delivery, Outcome::Dead { envelope })
    });
    try_join_all(died).await.unwrap();
    let inspect = broker.inspect().unwrap();
    let taken = inspect.take(&mail().dead(), Which::First(JOBS)).await.unwrap();
    assert_eq!(taken.len(), JOBS);
    let (given_back, taken_out): (Vec<_>, Vec<_>) = taken.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    let left: BTreeSet<JobId> = given_back.into_iter().map(|(_, delivery)| delivery.envelope.id).collect();
    try_join_all(taken_out.into_iter().map(|(_, delivery)| done(delivery))).await.unwrap();
    let page = Page { offset: 0, limit: JOBS };
    let found: BTreeSet<JobId> = eventually("those that were given back", async || {
        let found = inspect.peek(&mail().dead(), page).await.unwrap();
        (found.len() >= left.len()).then(|| found.into_iter().map(|envelope| envelope.id).collect())
    })
    .await;
    assert_eq!(found, left);
}
