//! What the queues of a node hold.

use std::collections::HashMap;
use std::time::Duration;

use job_core::clock::Clock;

use crate::amqp_node::Node;

const SECOND: Duration = Duration::from_secs(1);

/// Waits until queues hold so many messages, and the slots of the wheel none.
pub(crate) async fn await_depths(node: &Node, expected: &[(&str, u64)]) {
    let all = async {
        let mut readings = 0;
        loop {
            let depths = depths(node);
            let waiting: u64 = depths.iter().filter(|(name, _)| is_slot(name)).map(|(_, depth)| depth).sum();
            let is_there = |(name, depth): &(&str, u64)| depths.get(*name).is_some_and(|found| found == depth);
            readings = if waiting == 0 && expected.iter().all(is_there) { readings + 1 } else { 0 };
            // RabbitMQ counts what is in a queue every five seconds: a reading may be older than what it is to show.
            if readings == 2 {
                return;
            }
            Clock::system().sleep(6 * SECOND).await;
        }
    };
    let in_time = Clock::system().timeout(120 * SECOND, all).await;
    assert!(in_time.is_some(), "expected {expected:?} and empty slots, found {:?}", depths(node));
}

/// Looks again and again until something is true.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::system();
    let waiting = async {
        while !holds() {
            clock.sleep(SECOND / 10).await;
        }
    };
    assert!(clock.timeout(120 * SECOND, waiting).await.is_some(), "it did not come true that {what}");
}

/// Says whether a queue is a slot of the wheel; another one beside them counts the pumps.
pub(crate) fn is_slot(queue: &str) -> bool {
    let slot = queue.split_once(".jobs.delay.v1.").and_then(|(_, slot)| slot.split_once('.'));
    slot.is_some_and(|(_, index)| index.parse::<u8>().is_ok())
}

/// Returns the messages in each queue, those that are taken included.
pub(crate) fn depths(node: &Node) -> HashMap<String, u64> {
    table(node, 1, "messages").into_iter().filter_map(|(name, depth)| Some((name, depth.parse().ok()?))).collect()
}

/// Asks a member for something about all queues.
pub(crate) fn table(node: &Node, member: usize, column: &str) -> Vec<(String, String)> {
    let listed = node.ctl(member, &["list_queues", "name", column]);
    let rows = listed.lines().filter_map(|line| line.rsplit_once('\t'));
    rows.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
