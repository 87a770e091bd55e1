//! The driver by itself: what the wheel is measured against, and by.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use job_core::clock::Clock;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

/// As many as a pump takes ahead.
const WINDOW: u16 = 256;

/// Two connections, as the broker has them.
pub(crate) struct Raw {
    publishing: Connection,
    consuming: Connection,
    looking: Channel,
}

impl Raw {
    pub(crate) async fn connect(url: &str) -> Self {
        let connect = || Connection::connect(url, ConnectionProperties::default());
        let (publishing, consuming) = (connect().await.unwrap(), connect().await.unwrap());
        let looking = consuming.create_channel().await.unwrap();
        Self { publishing, consuming, looking }
    }

    /// Makes a quorum queue.
    pub(crate) async fn make(&self, queue: &str) {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.looking.queue_declare(queue.into(), options, arguments).await.unwrap();
    }

    /// Makes a queue and puts so many messages into it, with headers of these names.
    pub(crate) async fn fill(&self, queue: &str, messages: usize, headers: &[&str]) {
        self.make(queue).await;
        let channel = self.confirming().await;
        let mut table = FieldTable::default();
        for name in headers {
            table.insert((*name).into(), AMQPValue::LongString("a value of some length".into()));
        }
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(table);
        let mut confirms = FuturesOrdered::new();
        for _ in 0..messages {
            confirms.push_back(publish(&channel, queue, b"{}", properties.clone()));
            if confirms.len() == 1000 {
                confirms.next().await;
            }
        }
        while confirms.next().await.is_some() {}
    }

    /// Consumes from one queue, publishes to the other, has that confirmed, and acknowledges: the least that moves a message
    /// without losing it.
    pub(crate) async fn carry(&self, from: &str, to: &str, messages: usize) {
        let source = self.consuming.create_channel().await.unwrap();
        source.basic_qos(WINDOW, BasicQosOptions::default()).await.unwrap();
        let options = BasicConsumeOptions::default();
        let mut stream = source.basic_consume(from.into(), "".into(), options, FieldTable::default()).await.unwrap();
        let target = self.confirming().await;
        let mut confirms = FuturesOrdered::new();
        let mut moved = 0;
        while moved < messages {
            tokio::select! {
                biased;
                Some(tag) = confirms.next(), if !confirms.is_empty() => {
                    source.basic_ack(tag, BasicAckOptions::default()).await.unwrap();
                    moved += 1;
                }
                Some(message) = stream.next() => {
                    let message = message.unwrap();
                    let target = &target;
                    confirms.push_back(async move {
                        publish(target, to, &message.data, message.properties).await;
                        message.delivery_tag
                    });
                }
            }
        }
    }

    /// Removes all messages of a queue.
    pub(crate) async fn empty(&self, queue: &str) {
        self.looking.queue_purge(queue.into(), QueuePurgeOptions::default()).await.unwrap();
    }

    /// Returns how many messages a second come to a queue, until so many are there.
    pub(crate) async fn arrival_rate(&self, queue: &str, messages: usize) -> f64 {
        let clock = Clock::system();
        let mut first = None;
        loop {
            let depth = self.depth(queue).await;
            let now = clock.monotonic();
            if depth > 0 {
                let (begun, before) = *first.get_or_insert((now, depth));
                if depth >= messages {
                    return (depth - before) as f64 / (now - begun).as_secs_f64();
                }
            }
            clock.sleep(Duration::from_millis(10)).await;
        }
    }

    async fn depth(&self, queue: &str) -> usize {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.looking.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count() as usize
    }

    async fn confirming(&self) -> Channel {
        let channel = self.publishing.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel
    }
}

async fn publish(channel: &Channel, queue: &str, body: &[u8], properties: BasicProperties) {
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish("".into(), queue.into(), options, body, properties).await.unwrap();
    assert!(confirm.await.unwrap().is_ack());
}
