//! What the RabbitMQ broker does when the server, a connection, a channel, a queue or a permission is gone or differs: it
//! says so, comes back by itself where it can, and loses nothing.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod amqp_bench;
mod amqp_node;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use job_core::broker::amqp::{AmqpBroker, AmqpOptions};
use job_core::broker::{Broker, Outcome, Outgoing, Page};
use job_core::clock::Clock;
use job_core::connect::connect as connect_by_url;
use job_core::error::Error;
use job_core::name::QueueName;
use job_core::topology::{Lifetime, Queue, Topology};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};

use amqp_bench::{
    connect, connect_mail, consume, done, envelope, eventually, mail, namespaced, one, publish, send, settle, within,
};
use amqp_node::Node;

/// Everything that an error shows: itself, its cause, and how `main` prints it.
fn all_texts(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{error}\n{error:?}\n{cause}")
}

async fn connect_error(url: &str) -> Error {
    let options = AmqpOptions { connect_patience: Duration::from_secs(2), ..AmqpOptions::default() };
    AmqpBroker::connect(url, options, Clock::system()).await.unwrap_err()
}

fn with_credentials(url: &str, credentials: &str) -> String {
    url.replacen("guest:guest", credentials, 1)
}

/// A channel of a stranger, to do to the node what nobody should.
async fn stranger(url: &str) -> (Connection, Channel) {
    let base = url.split('?').next().unwrap();
    let connection = Connection::connect(base, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

fn namespace(url: &str) -> &str {
    url.split_once("?namespace=").unwrap().1
}

/// Lets the queues of a fresh node grow old enough for its death. One that RabbitMQ 3.10.8 created within the last second
/// comes back without a leader, and with nothing in it.
async fn grow_up() {
    Clock::system().sleep(Duration::from_secs(3)).await;
}

#[tokio::test]
async fn a_wrong_password_is_denied_at_once_and_never_shown() {
    let url = with_credentials(amqp_node::url(), "guest:hunter2");
    let error = connect_error(&url).await;
    assert!(error.is_denied(), "{error:?}");
    assert!(error.to_string().contains("as the user \"guest\"; check the user and the password in the URL"), "{error}");
    assert!(!all_texts(&error).contains("hunter2"), "{}", all_texts(&error));
}

#[tokio::test]
async fn a_virtual_host_that_does_not_exist_is_named() {
    let url = amqp_node::url().replace("/%2f", "/nowhere");
    let error = connect_error(&url).await;
    assert!(error.is_denied(), "{error:?}");
    assert!(all_texts(&error).contains("nowhere"), "{}", all_texts(&error));
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = connect_error(&format!("amqp://someone:hunter2@127.0.0.1:{port}/")).await;
    assert!(error.is_unavailable(), "{error:?}");
    assert!(
        error.to_string().starts_with(&format!("cannot connect to RabbitMQ at 127.0.0.1:{port}; check host and port"))
    );
    assert!(!all_texts(&error).contains("hunter2"), "{}", all_texts(&error));
}

#[tokio::test]
async fn one_address_of_several_is_enough() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = namespaced(&amqp_node::url().replacen('@', &format!("@127.0.0.1:{port},"), 1));
    let broker = connect_mail(&url).await;
    let sent = send(&broker, "hello").await;
    assert_eq!(one(&mut *consume(&broker).await).await.envelope, sent);
}

#[tokio::test]
async fn a_url_of_rabbitmq_connects_by_its_scheme() {
    let broker = connect_by_url(&namespaced(amqp_node::url()), Clock::system()).await.unwrap();
    assert_eq!(broker.capabilities().name, "rabbitmq");
    broker.close().await.unwrap();
}

#[tokio::test]
async fn a_missing_permission_names_what_it_was_for() {
    let base = namespaced(amqp_node::url());
    let user = format!("reader-{}", namespace(&base));
    amqp_node::ctl(&["add_user", &user, "hunter2"]);
    amqp_node::ctl(&["set_permissions", &user, "^$", "^$", ".*"]);
    let url = with_credentials(&base, &format!("{user}:hunter2"));
    let broker = connect(&url).await;
    let error = broker.declare(&Topology::default().queue(mail())).await.unwrap_err();
    assert!(error.is_denied(), "{error:?}");
    assert!(all_texts(&error).contains(&format!("{}.", namespace(&url))), "{}", all_texts(&error));
    let error = publish(&broker, &envelope("hello")).await.unwrap_err();
    assert!(error.is_denied() && error.is_rejected(), "{error:?}");
    assert!(!all_texts(&error).contains("hunter2"), "{}", all_texts(&error));
}

#[tokio::test]
async fn who_may_only_write_publishes_to_what_others_declared() {
    let url = namespaced(amqp_node::url());
    let owner = connect_mail(&url).await;
    let user = format!("producer-{}", namespace(&url));
    amqp_node::ctl(&["add_user", &user, "hunter2"]);
    amqp_node::ctl(&["set_permissions", &user, "^$", &format!("^{}[.]jobs$", namespace(&url)), "^$"]);
    let producer = connect(&with_credentials(&url, &format!("{user}:hunter2"))).await;
    let sent = send(&producer, "hello").await;
    assert_eq!(one(&mut *consume(&owner).await).await.envelope, sent);
}

#[tokio::test]
async fn a_queue_that_differs_is_named_with_argument_and_both_values() {
    let url = namespaced(amqp_node::url());
    let (_connection, channel) = stranger(&url).await;
    let name = format!("{}.mail", namespace(&url));
    let dead = format!("{}.jobs.dead", namespace(&url));
    let texts = [
        ("x-queue-type", "quorum"),
        ("x-dead-letter-exchange", &dead),
        ("x-dead-letter-routing-key", &name),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ];
    let mut arguments = FieldTable::default();
    for (argument, value) in texts {
        arguments.insert(argument.into(), AMQPValue::LongString(value.into()));
    }
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(3));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.as_str().into(), options, arguments).await.unwrap();
    let error = connect(&url).await.declare(&Topology::default().queue(mail())).await.unwrap_err();
    assert!(error.is_invalid(), "{error:?}");
    let expected = format!(
        "the queue \"{name}\" exists already and differs: its \"x-delivery-limit\" is \"3\", and \"1000\" is needed; \
         we never change a queue: delete it once it is empty, or take a namespace of your own with \"?namespace=…\""
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn an_external_queue_is_looked_for_and_never_declared() {
    let broker = connect(&namespaced(amqp_node::url())).await;
    let external = |name| Topology {
        queues: vec![Queue { name, is_external: true, lifetime: Lifetime::Durable }],
        ..Topology::default()
    };
    let error = broker.declare(&external(mail())).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("\"mail\""), "{error:?}");
}

#[tokio::test]
async fn nothing_reaches_a_queue_before_it_would_outlive_its_node() {
    let url = namespaced(amqp_node::url());
    let (declaring, sending) = (connect(&url).await, connect(&url).await);
    // Makes what all queues need, which takes its time as well.
    let first = send(&sending, "before its queue").await;
    let topology = Topology::default().queue(mail());
    let mut declared = declaring.declare(&topology);
    let unrouted = QueueName::parse_any("jobs.unrouted").unwrap();
    let page = Page { offset: 0, limit: 100 };
    let mut sent = vec![first.id];
    loop {
        let begun = Clock::system().timeout(Duration::from_millis(100), &mut declared).await;
        if let Some(declared) = begun {
            break declared.unwrap();
        }
        sent.push(send(&sending, "too early").await.id);
        let kept = sending.inspect().unwrap().peek(&unrouted, page).await.unwrap();
        // The last one may have come when the queue was there already.
        let kept: Vec<_> = kept.into_iter().map(|envelope| envelope.id).collect();
        assert!(sent[..sent.len() - 1].iter().all(|id| kept.contains(id)), "{sent:?} in {kept:?}");
    }
    assert!(sent.len() > 3, "the queue was there at once");
    let mut consumer = consume(&declaring).await;
    while !sent.is_empty() {
        let delivery = one(&mut *consumer).await;
        sent.retain(|id| *id != delivery.envelope.id);
        done(delivery).await.unwrap();
    }
}

#[tokio::test]
async fn a_queue_deleted_under_a_consumer_ends_it_with_an_error_and_is_made_again_by_declaring() {
    let url = namespaced(amqp_node::url());
    let broker = connect_mail(&url).await;
    let mut consumer = consume(&broker).await;
    send(&broker, "lost with the queue").await;
    let held = one(&mut *consumer).await;
    let (_connection, channel) = stranger(&url).await;
    let name = format!("{}.mail", namespace(&url));
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let error = within("the end of the consumer", consumer.next_many(1)).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("\"mail\""), "{error:?}");
    assert!(done(held).await.unwrap_err().is_lost());

    // As a worker does that starts anew.
    let another = connect_mail(&url).await;
    let sent = send(&another, "hello").await;
    assert_eq!(one(&mut *consume(&another).await).await.envelope, sent);
}

#[tokio::test]
async fn a_message_to_a_deleted_exchange_is_never_confirmed_and_the_exchange_is_made_again() {
    let url = namespaced(amqp_node::url());
    let broker = connect_mail(&url).await;
    send(&broker, "before").await;
    let (_connection, channel) = stranger(&url).await;
    let jobs = format!("{}.jobs", namespace(&url));
    channel.exchange_delete(jobs.as_str().into(), lapin::options::ExchangeDeleteOptions::default()).await.unwrap();
    let error = publish(&broker, &envelope("into nothing")).await.unwrap_err();
    assert!(error.is_unconfirmed(), "{error:?}");
    // The exchange is there again, and the queue is bound to it again by whoever declares.
    broker.close().await.unwrap();
    let broker = connect_mail(&url).await;
    send(&broker, "after").await;
}

#[tokio::test]
async fn a_killed_node_loses_nothing_and_all_come_back_by_themselves() {
    let node = Node::single("killed-under-load");
    let url = namespaced(node.url());
    let (producer, worker) = (connect_mail(&url).await, connect_mail(&url).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let produce = tokio::spawn({
        let is_over = Arc::clone(&is_over);
        async move {
            let mut stored = BTreeSet::new();
            while !is_over.load(Ordering::Acquire) {
                let sent = envelope("job");
                // Again under the same id, as a client does, until it is stored.
                while publish(&producer, &sent).await.is_err() {}
                stored.insert(sent.id.to_string());
            }
            stored
        }
    });
    let consumed = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let work = tokio::spawn({
        let consumed = Arc::clone(&consumed);
        async move {
            let mut consumer = consume(&worker).await;
            loop {
                for delivery in consumer.next_many(4).await.unwrap() {
                    let id = delivery.envelope.id.to_string();
                    if done(delivery).await.is_ok() {
                        consumed.lock().unwrap().insert(id);
                    }
                }
            }
        }
    });
    let count = |seen: &std::sync::Mutex<BTreeSet<String>>| seen.lock().unwrap().len();
    eventually("some jobs", async || (count(&consumed) > 50).then_some(())).await;
    grow_up().await;
    for _ in 0..2 {
        node.kill(1);
        node.bring_back();
        let before = count(&consumed);
        eventually("jobs after the return", async || (count(&consumed) > before + 50).then_some(())).await;
    }
    is_over.store(true, Ordering::Release);
    let stored = within("the last publish", produce).await.unwrap();
    eventually("every stored job", async || stored.is_subset(&consumed.lock().unwrap()).then_some(())).await;
    work.abort();
}

#[tokio::test]
async fn a_run_that_outlived_its_connection_is_not_run_again_here() {
    let node = Node::single("outlived");
    let url = namespaced(node.url());
    let broker = connect_mail(&url).await;
    let mut consumer = consume(&broker).await;
    let first = send(&broker, "first").await;
    let running = one(&mut *consumer).await;
    grow_up().await;
    node.kill(1);
    // Whether the loss is noticed before or after: it has run.
    let _ = done(running).await;
    node.bring_back();
    let sent = eventually("a publish after the return", async || {
        let sent = envelope("second");
        publish(&broker, &sent).await.is_ok().then_some(sent)
    })
    .await;
    let next = one(&mut *consumer).await;
    assert_eq!(next.envelope.id, sent.id, "{} ran a second time", first.id);
    done(next).await.unwrap();
}

#[tokio::test]
async fn an_alarm_stops_publishes_and_not_acknowledgements() {
    let node = Node::single("alarm");
    let url = namespaced(node.url());
    let options = AmqpOptions { publish_patience: Duration::from_secs(2), ..AmqpOptions::default() };
    let broker = AmqpBroker::connect(&url, options, Clock::system()).await.unwrap();
    broker.declare(&Topology::default().queue(mail())).await.unwrap();
    let mut consumer = consume(&broker).await;
    let sent = [send(&broker, "0").await, send(&broker, "1").await, send(&broker, "2").await];
    let taken = [one(&mut *consumer).await, one(&mut *consumer).await, one(&mut *consumer).await];
    assert_eq!(taken.each_ref().map(|delivery| delivery.envelope.id.clone()), sent.map(|envelope| envelope.id));

    node.ctl(1, &["set_vm_memory_high_watermark", "0.00001"]);
    // The first one may be on its way already when the node says that it is blocked.
    let first = publish(&broker, &envelope("on its way")).await.unwrap_err();
    assert!(first.is_unconfirmed() || first.is_unavailable(), "{first:?}");
    let refused = publish(&broker, &envelope("refused")).await.unwrap_err();
    assert!(refused.is_rejected() && refused.to_string().contains("low on memory"), "{refused:?}");
    let [finished, failed, released] = taken;
    done(finished).await.unwrap();
    let again = failed.envelope.clone();
    let later = Outcome::Later { at: again.enqueued_at, envelope: again };
    assert!(settle(failed, later).await.is_err(), "what cannot be kept is not acknowledged");
    settle(released, Outcome::Release).await.unwrap();
    // What was given back comes again during the alarm, and can be acknowledged.
    for _ in 0..2 {
        done(one(&mut *consumer).await).await.unwrap();
    }

    node.ctl(1, &["set_vm_memory_high_watermark", "0.4"]);
    let after = eventually("a publish after the alarm", async || {
        let sent = envelope("after");
        publish(&broker, &sent).await.is_ok().then_some(sent)
    })
    .await;
    // Not the one that was refused before it was sent; the one on its way may or may not be there.
    loop {
        let delivery = one(&mut *consumer).await;
        let (id, payload) = (delivery.envelope.id.clone(), delivery.envelope.payload.clone());
        done(delivery).await.unwrap();
        assert_ne!(payload, b"refused");
        if id == after.id {
            break;
        }
    }
    broker.close().await.unwrap();
    let name = format!("{}.mail", namespace(&url));
    // A node counts the messages of a quorum queue every few seconds.
    eventually("an empty queue", async || {
        let left = node.ctl(1, &["list_queues", "--silent", "name", "messages"]);
        left.lines().any(|line| line.split_whitespace().eq([name.as_str(), "0"])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_drain_under_load_leaves_nothing_unacknowledged() {
    let url = namespaced(amqp_node::url());
    let broker = connect_mail(&url).await;
    let messages = (0..500).map(|_| Outgoing::to_queue(mail(), envelope("job"))).collect();
    within("the publishes", broker.publish(messages))
        .await
        .into_iter()
        .for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    let mut finished = BTreeSet::new();
    for _ in 0..20 {
        let worker = connect(&url).await;
        let mut consumer = consume(&worker).await;
        for delivery in within("deliveries", consumer.next_many(4)).await.unwrap() {
            assert!(finished.insert(delivery.envelope.id.to_string()), "{delivery:?} ran twice");
            done(delivery).await.unwrap();
        }
        consumer.close().await;
        worker.close().await.unwrap();
    }
}
