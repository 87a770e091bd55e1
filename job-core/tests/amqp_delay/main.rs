//! Delayed jobs on RabbitMQ, through the wheel: on time, once, and not lost, whatever dies in between.

#![allow(clippy::unwrap_used, reason = "the exemption for tests does not reach their helpers")]

mod alarm;
#[path = "../amqp_node/mod.rs"]
mod amqp_node;
mod arrivals;
mod depths;
mod outage;

use std::time::Duration;

use job_core::QueueName;
use job_core::broker::Broker;
use job_core::clock::Clock;
use job_core::topology::Topology;

use amqp_node::Node;
use arrivals::{Arrivals, delay, mail, message, process};
use depths::{await_depths, depths, eventually, is_slot};
use outage::{Load, SLOTS, slow, turning};

const SECOND: Duration = Duration::from_secs(1);

fn between(from: Duration, to: Duration) -> Duration {
    from + (to - from).mul_f64(fastrand::f64())
}

/// A namespace of its own in the shared node.
fn namespace() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(12).collect()
}

/// Counts the slots of a namespace among queues.
fn slots(queues: &str, namespace: &str) -> usize {
    queues.lines().filter(|queue| queue.starts_with(namespace) && is_slot(queue)).count()
}

#[tokio::test]
async fn jobs_come_once_and_on_time_with_two_pumps() {
    let (url, name) = (amqp_node::url(), namespace());
    let (one, two) = (process(url, &name, SECOND).await, process(url, &name, SECOND).await);
    let arrivals = Arrivals::new();
    arrivals.take_from(&one);
    arrivals.take_from(&two);
    eventually("all slots are there", || slots(&amqp_node::ctl(&["list_queues", "name"]), &name) == SLOTS).await;
    let ids = delay(&one, &mail(), 1000, |_| between(SECOND, 8 * SECOND)).await;
    arrivals.wait(ids.len(), 60 * SECOND).await;
    let lateness = arrivals.check(&ids);
    assert_eq!(lateness.duplicates, 0);
    assert!(lateness.p50 <= 700 * slow() && lateness.max <= 2000 * slow(), "{lateness:?}");
    two.close().await.unwrap();
    one.close().await.unwrap();
}

#[tokio::test]
async fn jobs_come_down_from_coarse_levels_on_time() {
    // Twenty times as fast: 0.9 s on level 0, 14 s on level 1, and level 2 beyond.
    let (url, name, width) = (amqp_node::url(), namespace(), SECOND / 20);
    let (one, two) = (process(url, &name, width).await, process(url, &name, width).await);
    let arrivals = Arrivals::new();
    arrivals.take_from(&one);
    arrivals.take_from(&two);
    // As wide as these are, making them takes a whole turn of the wheel.
    eventually("all slots are there", || slots(&amqp_node::ctl(&["list_queues", "name"]), &name) == SLOTS).await;
    let ids = delay(&one, &mail(), 500, |_| between(SECOND / 2, 25 * SECOND)).await;
    arrivals.wait(ids.len(), 90 * SECOND).await;
    let lateness = arrivals.check(&ids);
    assert_eq!(lateness.duplicates, 0);
    assert!(lateness.max <= 1000 * slow(), "{lateness:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_makes_jobs_late_and_loses_none() {
    Load { jobs: 2000, delay_max: 40 * SECOND, workers: 3 }.outlives_its_node("delay-death").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_slots_lose_their_leader_makes_jobs_late_and_loses_none() {
    Load { jobs: 2000, delay_max: 40 * SECOND, workers: 3 }.outlives_its_leader("delay-leader").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pump_that_dies_between_confirm_and_acknowledgement_duplicates_a_prefetch_at_most() {
    let node = Node::single("delay-pump");
    let (survivor, victim) = (process(node.url(), "a", SECOND).await, process(node.url(), "a", SECOND).await);
    let _consumer = turning(&victim).await;
    let due = Clock::system().now() + 6 * SECOND;
    let ids = delay(&survivor, &mail(), 20_000, |_| (due - Clock::system().now()).to_std().unwrap_or_default()).await;
    let arrivals = Arrivals::new();
    // Only now, so that for once the victim alone turns the wheel.
    eventually("the first jobs are moved", || depths(&node).get("a.mail").is_some_and(|depth| *depth > 0)).await;
    victim.kill();
    arrivals.take_from(&survivor);
    arrivals.wait(ids.len(), 60 * SECOND).await;
    await_depths(&node, &[("a.mail", 0), ("a.jobs.unrouted", 0)]).await;
    let lateness = arrivals.check(&ids);
    assert!(lateness.duplicates <= 256, "{lateness:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_queue_is_kept_and_keeps_nobody_waiting() {
    let node = Node::single("delay-unrouted");
    let broker = process(node.url(), "a", SECOND).await;
    let nowhere = QueueName::parse("nowhere").unwrap();
    delay(&broker, &nowhere, 100, |_| between(SECOND, 2 * SECOND)).await;
    let arrivals = Arrivals::new();
    arrivals.take_from(&broker);
    let ids = delay(&broker, &mail(), 100, |_| between(SECOND, 2 * SECOND)).await;
    arrivals.wait(ids.len(), 60 * SECOND).await;
    assert_eq!(arrivals.check(&ids).duplicates, 0);
    await_depths(&node, &[("a.jobs.unrouted", 100)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_keeps_no_other_waiting() {
    let node = Node::single("delay-full");
    let broker = process(node.url(), "a", SECOND).await;
    let full = QueueName::parse("full").unwrap();
    broker.declare(&Topology::default().queue(full.clone())).await.unwrap();
    node.ctl(1, &["set_policy", "full", "^a\\.full$", r#"{"max-length":1}"#, "--apply-to", "queues"]);
    delay(&broker, &full, 600, |_| 4 * SECOND).await;
    let arrivals = Arrivals::new();
    arrivals.take_from(&broker);
    let ids = delay(&broker, &mail(), 600, |_| 4 * SECOND).await;
    arrivals.wait(ids.len(), 60 * SECOND).await;
    assert_eq!(arrivals.check(&ids).duplicates, 0);
    node.ctl(1, &["clear_policy", "full"]);
    await_depths(&node, &[("a.full", 600)]).await;
}

/// As a quorum queue does for ever after whose node was killed right after the queue was made.
#[tokio::test(flavor = "multi_thread")]
async fn slots_that_do_not_answer_stop_nobody_and_make_jobs_late_by_little() {
    let node = Node::single("delay-mute");
    let maker = process(node.url(), "a", SECOND).await;
    let first = Arrivals::new();
    first.take_from(&maker);
    let ids = delay(&maker, &mail(), 400, |_| between(SECOND, 40 * SECOND)).await;
    first.wait(ids.len(), 120 * SECOND).await;
    maker.close().await.unwrap();
    for slot in ["0.4", "1.2"] {
        node.ctl(1, &["eval", &format!("sys:suspend({{'%2F_a.jobs.delay.v1.{slot}', node()}}).")]);
    }
    let broker = process(node.url(), "a", SECOND).await;
    let arrivals = Arrivals::new();
    arrivals.take_from(&broker);
    let ids = delay(&broker, &mail(), 400, |_| between(SECOND, 40 * SECOND)).await;
    arrivals.wait(ids.len(), 90 * SECOND).await;
    let lateness = arrivals.check(&ids);
    assert_eq!(lateness.duplicates, 0);
    // Who delays and who moves each wait once until they take a slot for silent: three seconds.
    assert!(lateness.p50 <= 700 * slow() && lateness.max <= 8000 * slow(), "{lateness:?}");
}

/// RabbitMQ 3.10.8 forgets a queue, and what it has confirmed, when it is killed within a second of the first declaration.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_into_a_new_slot_is_not_stored_before_the_slot_would_outlive_its_node() {
    let node = Node::single("delay-youth");
    let broker = process(node.url(), "a", SECOND).await;
    let clock = Clock::system();
    // The queues behind the slots are to live.
    clock.sleep(3 * SECOND).await;
    let publish = broker.publish(vec![message(&mail(), 5 * SECOND)]);
    let kill = async {
        clock.sleep(SECOND).await;
        node.kill(1);
    };
    let (mut stored, ()) = tokio::join!(publish, kill);
    let error = stored.remove(0).expect_err("the slot is too young to be trusted");
    assert!(error.is_unconfirmed(), "{error:?}");
    node.bring_back();
}
