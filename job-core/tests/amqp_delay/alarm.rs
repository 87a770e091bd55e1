//! A broker that takes nothing for a while: what a pump has sent by then may be stored when that is over.

use std::sync::Arc;
use std::time::Duration;

use job_core::JobId;
use job_core::broker::amqp::AmqpBroker;
use job_core::clock::Clock;

use crate::amqp_node::Node;
use crate::arrivals::{Arrivals, delay, mail, process};
use crate::depths::{await_depths, eventually, is_slot, table};

const SECOND: Duration = Duration::from_secs(1);

/// Jobs that are due, and under way in a pump, while their node takes no publishes.
struct Alarm {
    node: Node,
    _process: Arc<AmqpBroker>,
    arrivals: Arrivals,
    ids: Vec<JobId>,
}

impl Alarm {
    async fn begin(name: &'static str) -> Self {
        let node = Node::single(name);
        let process = process(node.url(), "a", SECOND).await;
        let ids = delay(&process, &mail(), 200, |_| 2 * SECOND).await;
        node.ctl(1, &["set_vm_memory_high_watermark", "0.00001"]);
        eventually("the alarm is there", || node.ctl(1, &["eval", "rabbit_alarm:get_alarms()."]).contains("memory"))
            .await;
        let arrivals = Arrivals::new();
        // A pump begins with the first consumer: only now.
        arrivals.take_from(&process);
        let are_taken = |rows: Vec<(String, String)>| rows.iter().any(|(name, taken)| is_slot(name) && taken != "0");
        eventually("a pump has taken what is due", || are_taken(table(&node, 1, "messages_unacknowledged"))).await;
        Self { node, _process: process, arrivals, ids }
    }

    fn end(&self) {
        self.node.ctl(1, &["set_vm_memory_high_watermark", "0.4"]);
    }

    async fn check(self) {
        self.arrivals.wait(self.ids.len(), 120 * SECOND).await;
        await_depths(&self.node, &[("a.mail", 0), ("a.jobs.unrouted", 0)]).await;
        assert_eq!(self.arrivals.check(&self.ids).duplicates, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_makes_jobs_late_and_moves_none_twice() {
    let alarm = Alarm::begin("delay-alarm").await;
    // Longer than a drain waits for a confirm: what it has sent by then is stored when the alarm is over.
    Clock::system().sleep(20 * SECOND).await;
    alarm.end();
    alarm.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_only_seconds_after_an_alarm_is_moved_once() {
    let alarm = Alarm::begin("delay-confirm").await;
    let clock = Clock::system();
    clock.sleep(17 * SECOND).await;
    // The queue takes what was published as soon as that is let in, and answers long afterwards.
    alarm.node.ctl(1, &["eval", "sys:suspend({'%2F_a.mail', node()})."]);
    alarm.end();
    clock.sleep(6 * SECOND).await;
    alarm.node.ctl(1, &["eval", "sys:resume({'%2F_a.mail', node()})."]);
    alarm.check().await;
}
