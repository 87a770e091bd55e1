//! Copies of events in the embedded broker's file, which stores sixteen of them by one statement.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach their helpers")]

mod sqlite_bench;

use job_core::broker::{Broker, Inspect, Outgoing};
use job_core::name::QueueName;
use job_core::topology::{Pattern, Target, Topology};
use sqlite_bench::{Place, envelope, open};

fn bound(numbers: std::ops::Range<u32>) -> Topology {
    numbers.fold(Topology::default(), |topology, number| {
        let queue = QueueName::parse(&format!("listener.{number}")).unwrap();
        topology.queue(queue.clone()).bind(queue, Pattern::Topic("news".into()))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_queues_takes_one_copy_of_an_event_and_none_of_the_same_event_again() {
    let place = Place::new();
    let broker = open(&place.path).await;
    let [first, second] = [1, 2].map(|number| Outgoing::event(Target::Topic("news".into()), envelope(number)));
    let publish = async |events: &[&Outgoing]| {
        let stored = broker.publish(events.iter().map(|event| (*event).clone()).collect()).await;
        stored.into_iter().map(|stored| stored.unwrap().copies.unwrap()).collect::<Vec<u32>>()
    };
    assert_eq!(publish(&[&first]).await, [0], "nobody listens");
    broker.declare(&bound(0..35)).await.unwrap();
    assert_eq!(publish(&[&first, &first, &second]).await, [35, 0, 35]);
    broker.declare(&bound(35..40)).await.unwrap();
    assert_eq!(publish(&[&first]).await, [5]);

    let kept = broker.queues().await.unwrap();
    let holding = |count| kept.iter().filter(|queue| !queue.name.is_dead() && queue.ready == Some(count)).count();
    assert_eq!([holding(2), holding(1)], [35, 5]);
}
