//! The raw programs for RabbitMQ: lapin, durable quorum queues, confirms, and nothing that they could do without.
//!
//! They do what a job needs, and no more: they make its JSON, and send it with its kind and an id. They count ids in place
//! of making them, publish to a queue by its name, and give up at the first thing that goes wrong.
//!
//! A drain is over, for either side, when all is acknowledged, the channel is closed, and the queue says that it holds
//! nothing: no message is ready and nobody is counted as its consumer, which RabbitMQ goes on doing for as long as one of
//! his messages is unacknowledged. `rabbitmqctl list_queues` would tell the same up to five seconds later.
//!
//! The node is one of the benchmark's own, made by `scripts/rabbitmq` and wiped in the end; `JOB_BROKER` names another
//! one, whose processor time stays unknown.

use std::sync::OnceLock;
use std::time::Duration;

use crate::rival::{Place, Rival};
use crate::size::Size;

mod connection;
mod drain;
mod enqueue;
mod ground;
mod latency;
#[path = "../../../job-core/tests/amqp_node/mod.rs"]
mod node;

use ground::Ground;

/// RabbitMQ, on one node.
#[derive(Default)]
pub(crate) struct Amqp {
    ground: OnceLock<Ground>,
}

/// The queues of the node, all of them empty.
struct Queues<'a>(&'a Ground);

impl Rival for Amqp {
    fn name(&self) -> &'static str {
        "amqp"
    }

    fn figures(&self) -> &'static [&'static str] {
        &["enqueue1", "enqueue64", "enqueue_many", "publish10", "drain", "drain_waiting", "latency", "rss"]
    }

    fn size(&self, size: Size) -> Size {
        // Its drains are short beside what a worker and a channel take to begin and to end.
        Size { drain: 3 * size.drain, ..size }
    }

    fn drains(&self) -> &'static [&'static str] {
        &[""]
    }

    fn place(&self) -> Box<dyn Place + '_> {
        Box::new(Queues(self.ground.get_or_init(Ground::prepare)))
    }
}

impl Place for Queues<'_> {
    fn url(&self) -> String {
        self.0.url().to_owned()
    }

    fn server(&self) -> Option<u32> {
        self.0.server()
    }

    fn is_over_when_empty(&self) -> bool {
        true
    }

    fn wait_empty(&self) {
        self.0.wait_ours_empty();
    }

    fn prepare(&self, jobs: usize) {
        self.enqueue_many(jobs);
    }

    fn enqueue_one_by_one(&self, jobs: usize) {
        self.0.run(enqueue::one_by_one(self.0.raw_url(), jobs));
    }

    fn enqueue_for_callers(&self, jobs: usize, callers: usize) {
        self.0.run(enqueue::for_callers(self.0.raw_url(), jobs, callers));
    }

    fn enqueue_many(&self, jobs: usize) {
        self.0.run(enqueue::many(self.0.raw_url(), jobs));
    }

    fn publish(&self, events: usize, queues: &[String]) {
        assert_eq!(queues.len(), ground::COPIES, "an event goes to each of the queues that are bound");
        self.0.run(enqueue::publish(self.0.raw_url(), events));
    }

    fn drain(&self, jobs: usize, _way: &str) {
        self.0.run(drain::drain(self.0.raw_url(), jobs));
        self.0.wait_empty(ground::RAW);
    }

    fn latencies(&self, jobs: usize, every: Duration) -> Vec<Duration> {
        self.0.run(latency::latencies(self.0.raw_url(), jobs, every))
    }
}

impl Drop for Queues<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}
