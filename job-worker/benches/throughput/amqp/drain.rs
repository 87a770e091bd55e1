//! Takes jobs, and acknowledges a hundred with each `multiple`.

use std::hint::black_box;

use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

use crate::amqp::connection::{close, connect};
use crate::amqp::ground::RAW;

/// Messages that are on their way ahead, as many as our worker has.
const PREFETCH: u16 = 1000;

/// Messages of one acknowledgement.
const BATCH: usize = 100;

pub(super) async fn drain(url: &str, jobs: usize) {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.expect("a channel");
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.expect("a window");
    let consume = channel.basic_consume(RAW.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
    let mut messages = consume.await.expect("the queue is there");
    for done in 1..=jobs {
        let message = messages.next().await.expect("there is another one").expect("it can be read");
        black_box((message.properties.kind(), &message.data));
        if done % BATCH == 0 || done == jobs {
            let options = BasicAckOptions { multiple: true };
            assert!(message.acker.ack(options).await.expect("it is sent"));
        }
    }
    // An answer says that what was sent before has arrived.
    let cancel = channel.basic_cancel(messages.tag(), BasicCancelOptions::default());
    cancel.await.expect("it is cancelled");
    channel.close(200, "OK".into()).await.expect("it is closed");
    close(connection).await;
}
