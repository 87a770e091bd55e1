//! The node and the queues that are measured, made once and emptied again and again: a new namespace would be measured
//! while its worker makes the slots of the delay wheel, which is done once in its life.

use std::time::Duration;

use job_core::broker::Window;
use job_core::clock::Clock;
use job_core::topology::Topology;
use job_core::{Client, QueueName};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ExchangeKind};
use tokio::runtime::Runtime;

use crate::amqp::connection::connect;
use crate::amqp::node::Node;

/// The queue of the raw programs, and what their events go through.
pub(super) const RAW: &str = "raw";
pub(super) const RAW_EVENTS: &str = "raw.events";

/// Queues to which an event is copied.
pub(super) const COPIES: usize = 10;

/// Our own queue of jobs.
const QUEUE: &str = "default";

/// As long as a pump needs to make all slots of a new namespace, and to sweep them once.
const SETTLED: Duration = Duration::from_secs(15);

/// Between two looks at a queue that is to be empty.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What is measured on.
pub(super) struct Ground {
    raw_url: String,
    namespace: String,
    url: String,
    runtime: Runtime,
    admin: Connection,
    /// `None` for a broker that was there before. Last: what is connected goes before it.
    node: Option<Node>,
}

impl Ground {
    /// Makes node and queues.
    pub(super) fn prepare() -> Self {
        let given = std::env::var("JOB_BROKER").ok();
        let node = given.is_none().then(|| Node::single("bench"));
        let raw_url = given.or_else(|| node.as_ref().map(|node| node.url().to_owned())).expect("one of them");
        let namespace: String = std::iter::repeat_with(fastrand::lowercase).take(8).collect();
        let mark = if raw_url.contains('?') { '&' } else { '?' };
        let url = format!("{raw_url}{mark}namespace={namespace}");
        let runtime = Runtime::new().expect("a runtime");
        let admin = runtime.block_on(connect(&raw_url));
        let ground = Self { node, raw_url, namespace, url, runtime, admin };
        ground.run(ground.make_ours());
        ground.run(ground.make_raw());
        ground
    }

    /// Returns the URL of the raw programs.
    pub(super) fn raw_url(&self) -> &str {
        &self.raw_url
    }

    /// Returns the URL of our client.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the node's process.
    pub(super) fn server(&self) -> Option<u32> {
        self.node.as_ref().map(Node::pid)
    }

    pub(super) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        // Who calls may be within a runtime of its own.
        tokio::task::block_in_place(|| self.runtime.block_on(work))
    }

    /// Waits until our queue of jobs is empty.
    pub(super) fn wait_ours_empty(&self) {
        self.wait_empty(&self.ours(QUEUE));
    }

    /// Waits until a queue holds nothing, and nobody has anything of it.
    pub(super) fn wait_empty(&self, queue: &str) {
        self.run(async {
            let channel = self.admin.create_channel().await.expect("a channel");
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            loop {
                let declare = channel.queue_declare(queue.into(), options, FieldTable::default());
                let seen = declare.await.expect("the queue is there");
                if (seen.message_count(), seen.consumer_count()) == (0, 0) {
                    break;
                }
                Clock::system().sleep(LOOK_EVERY).await;
            }
            // RabbitMQ also says 0 when it could not count in time. What it purges it has counted.
            let left = channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.expect("it is purged");
            assert_eq!(left, 0, "the queue \"{queue}\" was not empty");
            channel.close(200, "OK".into()).await.expect("it is closed");
        });
    }

    /// Empties all queues.
    pub(super) fn clear(&self) {
        let copies = (0..COPIES).flat_map(|n| [self.ours(&copy(n)), format!("{RAW}.{n}")]);
        let queues: Vec<String> = copies.chain([self.ours(QUEUE), RAW.to_owned()]).collect();
        self.run(async {
            let channel = self.admin.create_channel().await.expect("a channel");
            for queue in queues {
                channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.expect("the queue is there");
            }
            channel.close(200, "OK".into()).await.expect("it is closed");
        });
    }

    /// Makes our queues, and has a consumer turn the wheel until all slots are there.
    async fn make_ours(&self) {
        let client = Client::connect(&self.url).await.expect("the broker is there");
        let name = |name: &str| QueueName::parse(name).expect("a queue's name");
        let topology = (0..COPIES).fold(Topology::default().queue(name(QUEUE)), |t, n| t.queue(name(&copy(n))));
        client.broker().declare(&topology).await.expect("they are made");
        let consumer = client.broker().consume(&name(QUEUE), Window::new(1)).await.expect("it is there");
        Clock::system().sleep(SETTLED).await;
        consumer.close().await;
        client.close().await.expect("it is closed");
    }

    async fn make_raw(&self) {
        let channel = self.admin.create_channel().await.expect("a channel");
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declare = channel.exchange_declare(RAW_EVENTS.into(), ExchangeKind::Fanout, options, FieldTable::default());
        declare.await.expect("an exchange");
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(RAW.into(), options, arguments.clone()).await.expect("a queue");
        for copy in 0..COPIES {
            let queue = format!("{RAW}.{copy}");
            channel.queue_declare(queue.as_str().into(), options, arguments.clone()).await.expect("a queue");
            let bind = channel.queue_bind(
                queue.into(),
                RAW_EVENTS.into(),
                "".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            bind.await.expect("it is bound");
        }
        channel.close(200, "OK".into()).await.expect("it is closed");
    }

    fn ours(&self, queue: &str) -> String {
        format!("{}.{queue}", self.namespace)
    }
}

/// Returns the name of one of the queues to which an event is copied.
fn copy(n: usize) -> String {
    format!("noops.{n}")
}
