//! A message may come with the marks of deaths elsewhere (`x-death`). RabbitMQ takes one for a circle that names the queue to
//! which it would go next, and such a job would never reach the dead of its queue. What we send again has no such marks.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod amqp_bench;
mod amqp_node;

use std::collections::BTreeSet;
use std::process::Command;

use job_core::broker::{Broker, Outcome, Page};
use job_core::clock::Clock;
use job_core::topology::Topology;
use lapin::options::{BasicGetOptions, BasicNackOptions, BasicPublishOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use amqp_bench::{connect, consume, eventually, mail, namespaced, one, settle};

/// More deliveries than a queue of jobs allows.
const DELIVERIES: usize = 1100;

/// Another client, which knows the queue by its name on the broker.
struct Stranger {
    channel: Channel,
    queue: String,
}

impl Stranger {
    async fn connect(url: &str) -> Self {
        let (address, namespace) = url.split_once("?namespace=").unwrap();
        let connection = Connection::connect(address, ConnectionProperties::default()).await.unwrap();
        Self { channel: connection.create_channel().await.unwrap(), queue: format!("{namespace}.mail") }
    }

    /// Returns the marks of a message that has died in the dead queue.
    fn marks(&self) -> FieldTable {
        let text = |value: &str| AMQPValue::LongString(value.into());
        let mut death = FieldTable::default();
        death.insert("queue".into(), text(&format!("{}.dead", self.queue)));
        death.insert("reason".into(), text("expired"));
        death.insert("count".into(), AMQPValue::LongLongInt(1));
        let mut headers = FieldTable::default();
        headers.insert("x-death".into(), AMQPValue::FieldArray(vec![AMQPValue::FieldTable(death)].into()));
        headers
    }

    async fn send(&self, id: &str, headers: FieldTable) {
        self.send_by("", id, headers).await;
    }

    async fn send_by(&self, exchange: &str, id: &str, headers: FieldTable) {
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_type("greet".into())
            .with_message_id(id.into())
            .with_headers(headers);
        let options = BasicPublishOptions::default();
        let sent = self.channel.basic_publish(exchange.into(), self.queue.as_str().into(), options, b"{}", properties);
        sent.await.unwrap().await.unwrap();
    }

    /// Takes and returns whatever is in the queue, until RabbitMQ has had enough of it.
    async fn exhaust(&self) {
        let mut deliveries = 0;
        let returned = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        eventually("the message", async || self.take_and_return(returned).await.then_some(())).await;
        while self.take_and_return(returned).await {
            deliveries += 1;
            assert!(deliveries < DELIVERIES, "the queue has no limit");
        }
    }

    async fn take_and_return(&self, returned: BasicNackOptions) -> bool {
        let Some(got) = self.channel.basic_get(self.queue.as_str().into(), BasicGetOptions::default()).await.unwrap()
        else {
            return false;
        };
        got.acker.nack(returned).await.unwrap();
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_sent_again_is_no_circle_whatever_it_came_with() {
    let url = namespaced(amqp_node::url());
    let broker = connect(&url).await;
    broker.declare(&Topology::default()).await.unwrap();
    let stranger = Stranger::connect(&url).await;
    // Before there is its queue: moved as it is, later.
    stranger.send_by(&stranger.queue.replace(".mail", ".jobs"), "moved", stranger.marks()).await;
    broker.declare(&Topology::default().queue(mail())).await.unwrap();
    stranger.exhaust().await;
    stranger.send("retried", stranger.marks()).await;
    let mut consumer = consume(&broker).await;
    let delivery = one(&mut *consumer).await;
    let mut envelope = delivery.envelope.clone();
    assert_eq!((envelope.attempt, delivery.redeliveries, &delivery.defect), (1, 0, &None));
    let headers = envelope.details.headers.clone();
    envelope.attempt = 2;
    settle(delivery, Outcome::Later { at: Clock::system().now(), envelope }).await.unwrap();
    consumer.close().await;
    stranger.exhaust().await;
    // The control: nobody has sent this one again.
    stranger.send("untouched", stranger.marks()).await;
    stranger.exhaust().await;
    stranger.send("plain", FieldTable::default()).await;
    stranger.exhaust().await;
    let inspect = broker.inspect().unwrap();
    let dead = eventually("the last one among the dead", async || {
        let page = inspect.peek(&mail().dead(), Page { offset: 0, limit: 10 }).await.unwrap();
        let ids: BTreeSet<String> = page.iter().map(|envelope| envelope.id.to_string()).collect();
        ids.contains("plain").then_some(ids)
    })
    .await;
    assert_eq!((dead, headers), (["moved", "plain", "retried"].map(str::to_owned).into(), [].into()));
    broker.close().await.unwrap();
}

/// Breaks the promise, and requires that the test above sees the loss.
#[test]
fn who_keeps_the_marks_loses_a_job() {
    let program = std::env::current_exe().unwrap();
    let test = "a_job_that_was_sent_again_is_no_circle_whatever_it_came_with";
    let output = Command::new(program).args([test, "--exact"]).env("JOB_MUTANT", "keep_x_death").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("left: ({\"plain\""), "{text}");
}
