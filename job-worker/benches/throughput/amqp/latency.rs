//! Publishes a job, has it confirmed, and notes when the consumer has got it, each on a connection of its own.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use job_core::clock::Clock;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::mpsc;

use crate::amqp::connection::{close, confirming, connect};
use crate::amqp::enqueue::publish_one;
use crate::amqp::ground::RAW;

const PREFETCH: u16 = 1000;

pub(super) async fn latencies(url: &str, jobs: usize, every: Duration) -> Vec<Duration> {
    let (sender, sent) = mpsc::unbounded_channel();
    let consuming = connect(url).await;
    let channel = consuming.create_channel().await.expect("a channel");
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.expect("a window");
    let consume = channel.basic_consume(RAW.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
    let consumer = tokio::spawn(note_each(consume.await.expect("the queue is there"), sent));
    let publishing = connect(url).await;
    let channel = confirming(&publishing).await;
    let clock = Clock::system();
    let begun = clock.monotonic();
    for turn in 0..u32::try_from(jobs).expect("few") {
        clock.sleep((begun + every * (turn + 1)).saturating_duration_since(clock.monotonic())).await;
        sender.send(Instant::now()).expect("somebody waits");
        publish_one(&channel, "", RAW, jobs).await;
    }
    drop(sender);
    let late = consumer.await.expect("the consumer has ended");
    close(publishing).await;
    close(consuming).await;
    late
}

/// Messages come in the order in which they were sent.
async fn note_each(mut messages: lapin::Consumer, mut sent: mpsc::UnboundedReceiver<Instant>) -> Vec<Duration> {
    let mut late = Vec::new();
    while let Some(sent) = sent.recv().await {
        let message = messages.next().await.expect("there is another one").expect("it can be read");
        late.push(sent.elapsed());
        assert!(message.acker.ack(BasicAckOptions::default()).await.expect("it is sent"));
    }
    late
}
