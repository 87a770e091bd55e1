//! Leaders that hand over, and leaders that lose their connection.

use super::*;
use crate::broker::amqp::scene::{LIMIT, namespace, within};
use crate::broker::amqp::{AmqpBroker, scene};
use crate::broker::{Broker, Window};
use crate::name::QueueName;
use crate::topology::Topology;

const ROLE: &str = "schedules/shop";

async fn broker(namespace: &str) -> Arc<AmqpBroker> {
    let broker = scene::broker(namespace).await;
    broker.declare(&Topology::default().queue(mail())).await.unwrap();
    broker
}

fn mail() -> QueueName {
    scene::queue("mail")
}

fn message() -> Outgoing {
    Outgoing::to_queue(mail(), scene::envelope("{}"))
}

fn tick(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_268_800 + second, 0).unwrap()
}

async fn lead(broker: &AmqpBroker) -> AmqpLeadership {
    within("the leadership", async {
        loop {
            if let Some(leadership) = broker.realm.leaders.lead(ROLE).await.unwrap() {
                return leadership;
            }
        }
    })
    .await
}

async fn fire(leadership: &AmqpLeadership, schedule: &str, second: i64) -> Result<Fire> {
    within("fire", leadership.fire(schedule, tick(second), message())).await
}

/// Returns how many messages wait in the queue, by taking them.
async fn fired(broker: &AmqpBroker, count: usize) {
    let mut consumer = broker.consume(&mail(), Window::new(10)).await.unwrap();
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(within("a fired job", consumer.next_many(10)).await.unwrap());
    }
    assert_eq!(taken.len(), count);
}

#[tokio::test]
async fn a_successor_knows_every_tick_that_an_orderly_leader_fired() {
    let namespace = namespace();
    let (one, two) = (broker(&namespace).await, broker(&namespace).await);
    let leader = lead(&one).await;
    for second in 0..5 {
        // All within the minute for which only the first is written down at once.
        assert_eq!(fire(&leader, "nightly", second).await.unwrap(), Fire::Fired);
        assert_eq!(fire(&leader, "hourly", second).await.unwrap(), Fire::Fired);
    }
    let ledger = two.ledger();
    ledger.read().await.unwrap();
    let released = ledger.changed();
    drop(leader);
    within("the word that the role is free", released).await.unwrap();
    assert!(ledger.read().await.unwrap().iter().any(|entry| entry.key == format!("released/{ROLE}")));
    let successor = lead(&two).await;
    for (schedule, second, expected) in [
        ("nightly", 4, Fire::Stale),
        ("nightly", 3, Fire::Stale),
        ("hourly", 4, Fire::Stale),
        ("hourly", 5, Fire::Fired),
    ] {
        assert_eq!(fire(&successor, schedule, second).await.unwrap(), expected, "{schedule} {second}");
    }
    fired(&two, 11).await;
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test]
async fn a_closed_broker_hands_over_as_a_dropped_leader_does() {
    let namespace = namespace();
    let (one, two) = (broker(&namespace).await, broker(&namespace).await);
    let leader = lead(&one).await;
    for second in 0..3 {
        assert_eq!(fire(&leader, "nightly", second).await.unwrap(), Fire::Fired);
    }
    one.close().await.unwrap();
    within("the loss", leader.lost()).await;
    assert!(fire(&leader, "nightly", 9).await.unwrap_err().is_lost());
    let successor = lead(&two).await;
    assert_eq!(fire(&successor, "nightly", 2).await.unwrap(), Fire::Stale);
    two.close().await.unwrap();
}

#[tokio::test]
async fn a_leader_without_its_connection_leads_no_more_and_gets_no_other_one() {
    let namespace = namespace();
    let (one, two) = (broker(&namespace).await, broker(&namespace).await);
    let leader = lead(&one).await;
    leader.held.session.condemn();
    within("the loss", leader.lost()).await;
    assert!(fire(&leader, "nightly", 0).await.unwrap_err().is_lost());
    let successor = lead(&two).await;
    assert_eq!(fire(&successor, "nightly", 0).await.unwrap(), Fire::Fired);
    let link = &leader.held.connection.link;
    assert!(within("no other connection", link.session(LIMIT)).await.is_err());
    fired(&two, 1).await;
    one.close().await.unwrap();
    two.close().await.unwrap();
}
