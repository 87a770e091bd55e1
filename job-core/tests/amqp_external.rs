//! Queues that are not ours alone: those that somebody else declared, used as they are, of any type, with our own retries
//! beside them; and those that go with their process.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod amqp_node;

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::amqp::{AmqpBroker, AmqpOptions};
use job_core::broker::{Broker, Consumer, Delivery, Inspect, Outcome, Outgoing, Which, Window};
use job_core::clock::{Clock, later};
use job_core::envelope::{Content, DeathReason, Envelope};
use job_core::name::{JobId, Kind, QueueName};
use job_core::topology::{Pattern, Target, Topology};
use lapin::options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};

const LIMIT: Duration = Duration::from_secs(20);

fn word() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(12).collect()
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    Clock::system().timeout(LIMIT, future).await.unwrap_or_else(|| panic!("{what}: not within {LIMIT:?}"))
}

/// A classic durable queue, as another program declares it, and a broker of ours with a namespace.
struct Scene {
    connection: Connection,
    queue: QueueName,
    broker: Arc<AmqpBroker>,
}

impl Scene {
    async fn open() -> Self {
        let connect = Connection::connect(amqp_node::url(), ConnectionProperties::default());
        let connection = connect.await.unwrap();
        let queue = QueueName::parse(&format!("theirs-{}", word())).unwrap();
        let channel = connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
        let broker = broker(&word()).await;
        broker.declare(&Topology::default().external_queue(queue.clone())).await.unwrap();
        Self { connection, queue, broker }
    }

    /// Sends as a client of AMQP does that knows nothing of us.
    async fn send(&self, body: &str, properties: BasicProperties) {
        let channel = self.connection.create_channel().await.unwrap();
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), self.queue.as_str().into(), options, body.as_bytes(), properties);
        sent.await.unwrap().await.unwrap();
        channel.close(200, "OK".into()).await.unwrap();
    }

    async fn consume(&self) -> Box<dyn Consumer> {
        within("consume", self.broker.consume(&self.queue, Window::new(5))).await.unwrap()
    }

    /// Returns how many messages wait in their queue.
    async fn waiting(&self) -> u32 {
        let channel = self.connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(self.queue.as_str().into(), options, FieldTable::default()).await.unwrap().message_count()
    }

    async fn end(self) {
        self.broker.close().await.unwrap();
        let channel = self.connection.create_channel().await.unwrap();
        channel.queue_delete(self.queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        self.connection.close(200, "OK".into()).await.unwrap();
    }
}

async fn broker(namespace: &str) -> Arc<AmqpBroker> {
    let options = AmqpOptions { queue_youth: Duration::ZERO, ..AmqpOptions::default() };
    let url = format!("{}?namespace={namespace}", amqp_node::url());
    AmqpBroker::connect(&url, options, Clock::system()).await.unwrap()
}

async fn one(consumer: &mut dyn Consumer) -> Delivery {
    within("a delivery", consumer.next_many(1)).await.unwrap().remove(0)
}

async fn settle(delivery: Delivery, outcome: Outcome) {
    within("settle", delivery.settle.settle(outcome)).await.unwrap();
}

async fn done(delivery: Delivery) {
    settle(delivery, Outcome::Done { then: Vec::new() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_any_program_is_delivered_as_text_and_json_as_json() {
    let scene = Scene::open().await;
    let plain = BasicProperties::default;
    let octets = || plain().with_content_type("application/octet-stream".into());
    scene.send("Hello", octets()).await;
    scene.send("Hello", plain()).await;
    scene.send(r#"{"n":1}"#, octets()).await;
    scene.send("Hello", plain().with_content_type("application/json".into())).await;
    scene.send("7", plain().with_content_type("text/plain; charset=utf-8".into())).await;
    let mut consumer = scene.consume().await;
    for expected in [Content::Text, Content::Text, Content::Json, Content::Json, Content::Text] {
        let delivery = one(&mut *consumer).await;
        assert_eq!((delivery.envelope.content, &delivery.queue), (expected, &scene.queue));
        done(delivery).await;
    }
    consumer.close().await;
    assert_eq!(scene.waiting().await, 0);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_comes_back_to_the_same_consumer_and_never_to_their_queue() {
    let scene = Scene::open().await;
    scene.send("Hello", BasicProperties::default()).await;
    let mut consumer = scene.consume().await;
    let delivery = one(&mut *consumer).await;
    let retry = Envelope { attempt: 2, ..delivery.envelope.clone() };
    let clock = Clock::system();
    let at = later(clock.now(), Duration::from_secs(1));
    settle(delivery, Outcome::Later { at, envelope: retry.clone() }).await;
    assert_eq!(scene.waiting().await, 0, "their queue gets nothing of ours");
    let again = one(&mut *consumer).await;
    assert!(clock.now() >= at - Duration::from_millis(1), "it came early");
    assert_eq!((again.envelope.id.clone(), again.envelope.attempt), (retry.id.clone(), 2));
    assert_eq!((again.envelope.content, &again.queue), (Content::Text, &scene.queue));
    assert_eq!(again.envelope.payload, b"Hello");
    done(again).await;
    consumer.close().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_of_their_queue_are_kept_by_us_and_can_be_sent_back() {
    let scene = Scene::open().await;
    scene.send("Hello", BasicProperties::default()).await;
    let mut consumer = scene.consume().await;
    let delivery = one(&mut *consumer).await;
    let mut envelope = delivery.envelope.clone();
    envelope.declare_dead(Clock::system().now(), DeathReason::Discarded, "no");
    settle(delivery, Outcome::Dead { envelope: envelope.clone() }).await;

    let dead = scene.queue.dead();
    let mut taken = within("take", scene.broker.take(&dead, Which::First(10))).await.unwrap();
    assert_eq!(taken.len(), 1);
    let delivery = taken.remove(0);
    assert_eq!(delivery.envelope.payload, b"Hello");
    let again = Outgoing::only(scene.queue.clone(), Envelope { sequence: 1, ..delivery.envelope.clone() });
    settle(delivery, Outcome::Done { then: vec![again] }).await;
    let delivery = one(&mut *consumer).await;
    assert_eq!((delivery.envelope.id.clone(), delivery.envelope.sequence), (envelope.id, 1));
    done(delivery).await;
    assert_eq!(scene.waiting().await, 0);
    consumer.close().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_ours_for_their_queue_reaches_whoever_consumes_it() {
    let scene = Scene::open().await;
    let clock = Clock::system();
    let envelope = Envelope::new(JobId::new(clock.now()), Kind::parse("greet").unwrap(), b"{}".to_vec(), clock.now());
    let message = Outgoing::to_queue(scene.queue.clone(), envelope.clone());
    within("publish", scene.broker.publish(vec![message])).await.remove(0).unwrap();
    assert_eq!(scene.waiting().await, 0);
    let mut consumer = scene.consume().await;
    let delivery = one(&mut *consumer).await;
    assert_eq!(delivery.envelope.id, envelope.id);
    done(delivery).await;
    consumer.close().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn their_queue_is_shown_by_its_own_name_and_never_removed() {
    let scene = Scene::open().await;
    scene.send("Hello", BasicProperties::default()).await;
    let stats = within("queues", scene.broker.queues()).await.unwrap();
    let ready = |name: &QueueName| stats.iter().find(|stats| stats.name == *name).map(|stats| stats.ready);
    assert_eq!(ready(&scene.queue), Some(Some(1)), "{stats:?}");
    assert_eq!(ready(&scene.queue.retry()), Some(Some(0)), "{stats:?}");
    assert_eq!(ready(&scene.queue.dead()), Some(Some(0)), "{stats:?}");
    let error = within("undeclare", scene.broker.undeclare(&scene.queue)).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
    assert_eq!(scene.waiting().await, 1);

    let gone = QueueName::parse("theirs-missing").unwrap();
    let error = scene.broker.declare(&Topology::default().external_queue(gone)).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("theirs-missing"), "{error}");
    scene.end().await;
}

/// Cuts the connections of a broker by which it consumes.
fn cut(program: &str) {
    let listed = amqp_node::ctl(&["list_connections", "pid", "client_properties"]);
    let name = format!("\"{program} consume ");
    let ours = |line: &&str| line.contains(&name);
    let pids: Vec<&str> = listed.lines().filter(ours).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(pids.len(), 1, "{listed}");
    amqp_node::ctl(&["close_connection", pids[0], "a test cuts it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_a_process_comes_back_with_its_bindings_after_its_connection_was_cut() {
    let (namespace, program) = (word(), word());
    let (cache, teller) = (broker(&format!("{namespace}&connection_name={program}")).await, broker(&namespace).await);
    let queue = QueueName::parse("shop.cache.1").unwrap();
    let topology = Topology::default().process_queue(queue.clone());
    cache.declare(&topology.bind(queue.clone(), Pattern::Topic("a.*".into()))).await.unwrap();
    let mut consumer = within("consume", cache.consume(&queue, Window::new(1))).await.unwrap();
    let clock = Clock::system();
    let event = || {
        let envelope = Envelope::new(JobId::new(clock.now()), Kind::parse("e").unwrap(), b"{}".to_vec(), clock.now());
        Outgoing { must_reach: true, ..Outgoing::event(Target::Topic("a.b".into()), envelope) }
    };
    within("publish", teller.publish(vec![event()])).await.remove(0).unwrap();
    done(one(&mut *consumer).await).await;

    cut(&program);
    // Until it is there again, nobody hears.
    let heard = async {
        while within("publish", teller.publish(vec![event()])).await.remove(0).is_err() {
            tokio::task::yield_now().await;
        }
    };
    within("the queue comes back", heard).await;
    done(one(&mut *consumer).await).await;
    consumer.close().await;
    cache.close().await.unwrap();
    teller.close().await.unwrap();
}
