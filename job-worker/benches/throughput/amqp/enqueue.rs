//! Publishes jobs and has them confirmed: one by one, by many callers on one channel, and with a window in flight.

use futures_util::{StreamExt, stream};
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel};

use crate::amqp::connection::{close, confirming, connect};
use crate::amqp::ground::{RAW, RAW_EVENTS};
use crate::job::Noop;

/// Messages in flight.
const WINDOW: usize = 1024;

pub(super) async fn one_by_one(url: &str, jobs: usize) {
    let connection = connect(url).await;
    let channel = confirming(&connection).await;
    for account in 0..jobs {
        publish_one(&channel, "", RAW, account).await;
    }
    close(connection).await;
}

pub(super) async fn for_callers(url: &str, jobs: usize, callers: usize) {
    let connection = connect(url).await;
    let channel = confirming(&connection).await;
    let call = |caller: usize| {
        let channel = channel.clone();
        tokio::spawn(async move {
            for account in (caller..jobs).step_by(callers) {
                publish_one(&channel, "", RAW, account).await;
            }
        })
    };
    let tasks: Vec<_> = (0..callers).map(call).collect();
    for task in tasks {
        task.await.expect("the caller has ended");
    }
    close(connection).await;
}

pub(super) async fn many(url: &str, jobs: usize) {
    with_window(url, "", RAW, jobs).await;
}

/// Publishes events, of which each bound queue gets a copy.
pub(super) async fn publish(url: &str, events: usize) {
    with_window(url, RAW_EVENTS, "", events).await;
}

async fn with_window(url: &str, exchange: &str, key: &str, messages: usize) {
    let connection = connect(url).await;
    let channel = confirming(&connection).await;
    let publish = |account| publish_one(&channel, exchange, key, account);
    stream::iter(0..messages).map(publish).buffer_unordered(WINDOW).for_each(async |()| {}).await;
    close(connection).await;
}

pub(super) async fn publish_one(channel: &Channel, exchange: &str, key: &str, account: usize) {
    let (body, options) = (Noop::new(account).to_json(), BasicPublishOptions::default());
    let publish = channel.basic_publish(exchange.into(), key.into(), options, &body, properties(account));
    let confirm = publish.await.expect("it is sent").await.expect("it is answered");
    assert!(confirm.is_ack());
}

fn properties(account: usize) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_type("noop".into())
        .with_message_id(account.to_string().into())
}
