//! Random delays, in the middle of which the one who keeps them dies: a single node, or the member of a cluster that leads
//! all slots.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use job_core::QueueName;
use job_core::broker::amqp::AmqpBroker;
use job_core::broker::{Broker, Consumer, Window};
use job_core::clock::Clock;
use job_core::topology::Topology;

use crate::amqp_node::Node;
use crate::arrivals::{Arrivals, delay, mail, process};
use crate::depths::{await_depths, eventually, is_slot, table};

const SECOND: Duration = Duration::from_secs(1);

/// The member that dies.
const VICTIM: usize = 1;

/// How long it stays dead in a cluster: longer than the others take to go on without it.
const ABSENCE: Duration = Duration::from_secs(15);

/// What a job may be late beyond the outage.
const LATE_MAX: Duration = Duration::from_secs(3);

/// Slots of a wheel.
pub(crate) const SLOTS: usize = 128;

/// What is delayed while all is well, and moved while it is not.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) jobs: usize,
    /// Delays are random ones from a second to this.
    pub(crate) delay_max: Duration,
    pub(crate) workers: usize,
}

impl Load {
    /// Kills a single node when a quarter of the jobs have come, and starts it again at once.
    pub(crate) async fn outlives_its_node(self, name: &'static str) {
        let node = Node::single(name);
        declare_slots(&node, node.url()).await;
        self.run(&node, Duration::ZERO).await;
    }

    /// Kills the member of a cluster that leads all slots, and the queue of the jobs, when a quarter of them have come.
    pub(crate) async fn outlives_its_leader(self, name: &'static str) {
        let node = Node::cluster(name);
        // A queue is led by the member through which it is declared.
        declare_slots(&node, &one_member(node.url())).await;
        let leaders = leaders(&node, VICTIM);
        assert_eq!(leaders.len(), 1, "one member leads all slots: {leaders:?}");
        assert!(leaders.iter().all(|leader| leader.contains(&VICTIM.to_string())), "{leaders:?}");
        self.run(&node, ABSENCE).await;
    }

    async fn run(self, node: &Node, absence: Duration) {
        let Self { jobs, delay_max, workers } = self;
        let (clock, arrivals) = (Clock::system(), Arrivals::new());
        let mut processes = Vec::new();
        for _ in 0..workers {
            let process = process(node.url(), "a", SECOND).await;
            arrivals.take_from(&process);
            processes.push(process);
        }
        let random = |_| SECOND + delay_max.saturating_sub(SECOND).mul_f64(fastrand::f64());
        let ids = delay(&processes[0], &mail(), jobs, random).await;
        arrivals.wait(jobs / 4, delay_max + 60 * SECOND).await;
        let died = clock.now();
        node.kill(VICTIM);
        clock.sleep(absence).await;
        node.bring_back();
        let back = clock.now();
        let outage = (back - died).num_milliseconds();
        arrivals.wait(jobs, delay_max + 300 * SECOND).await;
        let (lateness, late_since) = (arrivals.check(&ids), arrivals.late_since(back));
        println!("{jobs} delays of 1 s to {delay_max:?}, {workers} workers, {outage} ms without the node");
        println!("none came later than {late_since} ms after it was due and the node was back");
        let late_max = i64::try_from(LATE_MAX.as_millis()).unwrap() * slow();
        assert!(lateness.max <= outage + late_max, "late by the outage of {outage} ms and little more: {lateness:?}");
        assert!(late_since <= late_max, "late by {late_since} ms since the node was back");
        await_depths(node, &[("a.mail", 0), ("a.jobs.unrouted", 0)]).await;
    }
}

/// How many times longer all may take where other work takes the machine.
pub(crate) fn slow() -> i64 {
    if std::env::var_os("CI").is_some() { 4 } else { 1 }
}

/// Has a pump make all slots before anything is delayed, and ends it.
async fn declare_slots(node: &Node, url: &str) {
    let maker = process(url, "a", SECOND).await;
    let consumer = turning(&maker).await;
    eventually("all slots are there", || {
        table(node, 1, "type").iter().filter(|(name, _)| is_slot(name)).count() == SLOTS
    })
    .await;
    consumer.close().await;
    maker.close().await.unwrap();
}

/// Begins to turn the wheel in a process to which no job comes.
pub(crate) async fn turning(process: &Arc<AmqpBroker>) -> Box<dyn Consumer> {
    // A pump begins with the first consumer; to this one nothing comes.
    let idle = QueueName::parse("idle").unwrap();
    process.declare(&Topology::default().queue(idle.clone())).await.unwrap();
    process.consume(&idle, Window::new(1)).await.unwrap()
}

/// The URL of a cluster's first member alone.
fn one_member(url: &str) -> String {
    let (first, rest) = url.split_once(',').unwrap();
    format!("{first}/{}", rest.rsplit_once('/').unwrap().1)
}

/// Returns who leads the slots, by what a member knows.
fn leaders(node: &Node, member: usize) -> BTreeSet<String> {
    let rows = table(node, member, "leader").into_iter();
    rows.filter(|(name, _)| is_slot(name) || name == "a.mail").map(|(_, leader)| leader).collect()
}
