//! The conformance suite on RabbitMQ: one node that all cases share, and a namespace of its own for each.

mod amqp_node;

use std::sync::Arc;
use std::time::Duration;

use job_core::broker::BoxFuture;
use job_core::broker::amqp::{AmqpBroker, AmqpOptions};
use job_core::broker::contract::{Fixture, Need, Process};
use job_core::clock::Clock;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};

/// A namespace of the shared node.
struct Namespace {
    name: String,
    url: String,
}

impl Namespace {
    fn new() -> Self {
        // Never the one of an earlier run: its queues are still there.
        let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(12).collect();
        let url = format!("{}?namespace={name}", amqp_node::url());
        Self { name, url }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        amqp_node::forget(&self.name);
    }
}

impl Fixture for Namespace {
    fn open(&self) -> BoxFuture<'_, Process> {
        Box::pin(async {
            // No case kills the node, and most begin with new queues.
            let options = AmqpOptions { queue_youth: Duration::ZERO, ..AmqpOptions::default() };
            let connect = AmqpBroker::connect(&self.url, options, Clock::system());
            let broker = connect.await.expect("the node takes the connection");
            let victim = Arc::clone(&broker);
            Process::new(broker, move || {
                Box::pin(async move {
                    victim.kill();
                })
            })
        })
    }

    fn pass(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { Clock::system().sleep(duration).await })
    }

    fn own_exchange<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let connect = Connection::connect(amqp_node::url(), ConnectionProperties::default());
            let connection = connect.await.expect("the node takes the connection");
            let channel = connection.create_channel().await.expect("a channel opens");
            // Gone with its last binding, or the node would fill up with them.
            let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
            let declare = channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default());
            declare.await.expect("the exchange is declared");
        })
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(1200)
    }

    fn lacks(&self) -> &'static [Need] {
        &[
            Need::Dedup,
            Need::FireExact,
            Need::Find,
            Need::Cancel,
            Need::Counts,
            Need::Order,
            Need::Redeliveries,
            Need::ManualClock,
        ]
    }
}

job_core::contract_tests!(Namespace::new());
