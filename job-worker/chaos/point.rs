//! The fail points: all places between two durable steps at which a process is made to die.

use crate::broker::BrokerKind;
use crate::process::Role;

/// A fail point, and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) reach: Reach,
}

impl Point {
    /// True when a worker comes by it only where more waits than it runs.
    pub(crate) fn needs_backlog(&self) -> bool {
        self.name.contains("release")
    }
}

/// How a process comes by a fail point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// At this passage, while it works.
    Working(u32),
    /// As the first of its role, when there is nothing yet.
    Beginning,
    /// When it is told to stop.
    Stopping,
    /// When it gives back what a dead process had.
    Burying,
}

/// Those of the worker, whatever the broker.
const WORKER: [Point; 4] = [
    point("run.begun", Role::Worker, Reach::Working(5)),
    point("run.ended", Role::Worker, Reach::Working(5)),
    point("settle.begun", Role::Worker, Reach::Working(5)),
    point("settle.ended", Role::Worker, Reach::Working(5)),
];

/// Those of the embedded broker.
const SQLITE: [Point; 25] = [
    point("owner.locked", Role::Producer, Reach::Working(1)),
    point("register.written", Role::Worker, Reach::Working(1)),
    point("register.committed", Role::Worker, Reach::Working(1)),
    point("publish.written", Role::Producer, Reach::Working(4)),
    point("publish.committed", Role::Producer, Reach::Working(4)),
    point("claim.written", Role::Worker, Reach::Working(3)),
    point("claim.committed", Role::Worker, Reach::Working(3)),
    point("done.written", Role::Worker, Reach::Working(5)),
    point("done.committed", Role::Worker, Reach::Working(5)),
    point("later.written", Role::Worker, Reach::Working(3)),
    point("later.committed", Role::Worker, Reach::Working(3)),
    point("dead.written", Role::Worker, Reach::Working(1)),
    point("dead.committed", Role::Worker, Reach::Working(1)),
    point("done.written", Role::Relay, Reach::Working(2)),
    point("then.written", Role::Relay, Reach::Working(2)),
    point("then.committed", Role::Relay, Reach::Working(2)),
    point("release.written", Role::Worker, Reach::Stopping),
    point("release.committed", Role::Worker, Reach::Stopping),
    point("retire.written", Role::Worker, Reach::Stopping),
    point("retire.committed", Role::Worker, Reach::Stopping),
    point("stop.retired", Role::Worker, Reach::Stopping),
    point("stop.folded", Role::Worker, Reach::Stopping),
    point("bury.locked", Role::Worker, Reach::Burying),
    point("retire.written", Role::Worker, Reach::Burying),
    point("retire.committed", Role::Worker, Reach::Burying),
];

/// Those of RabbitMQ: before and after each answer of the broker.
const RABBITMQ: [Point; 16] = [
    point("amqp.base.declared", Role::Producer, Reach::Beginning),
    point("amqp.queue.declared", Role::Worker, Reach::Beginning),
    point("amqp.ledger.confirmed", Role::Worker, Reach::Beginning),
    point("amqp.unrouted.confirmed", Role::Worker, Reach::Beginning),
    // Later, others may always be quicker to move what is due.
    point("amqp.pump.confirmed", Role::Worker, Reach::Beginning),
    point("amqp.slot.declared", Role::Producer, Reach::Working(1)),
    point("amqp.publish.sent", Role::Producer, Reach::Working(4)),
    point("amqp.publish.sent", Role::Worker, Reach::Working(3)),
    point("amqp.publish.confirmed", Role::Producer, Reach::Working(4)),
    point("amqp.later.confirmed", Role::Worker, Reach::Working(3)),
    point("amqp.dead.confirmed", Role::Worker, Reach::Working(1)),
    point("amqp.then.confirmed", Role::Relay, Reach::Working(2)),
    point("amqp.redrive.confirmed", Role::Operator, Reach::Working(1)),
    point("amqp.ack.sent", Role::Worker, Reach::Working(3)),
    point("amqp.release.sent", Role::Worker, Reach::Stopping),
    point("amqp.drain.acknowledged", Role::Worker, Reach::Stopping),
];

/// Returns the fail points that a run with a broker comes by.
pub(crate) fn points(broker: BrokerKind) -> Vec<Point> {
    let own: &[Point] = match broker {
        BrokerKind::Sqlite => &SQLITE,
        BrokerKind::Rabbitmq => &RABBITMQ,
    };
    WORKER.iter().chain(own).copied().collect()
}

const fn point(name: &'static str, role: Role, reach: Reach) -> Point {
    Point { name, role, reach }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::points;
    use crate::broker::BrokerKind;

    /// The names in a folder of sources: `fail_point("a.b")`, and two for each `written("a")`.
    fn names(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let quoted = |call: &str| {
                let texts = text.split(call).skip(1).filter_map(|rest| rest.strip_prefix('"'));
                texts.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect::<Vec<_>>()
            };
            found.extend(quoted("fail_point("));
            found.extend(
                quoted("written(").iter().flat_map(|name| [format!("{name}.written"), format!("{name}.committed")]),
            );
        }
    }

    #[test]
    fn the_list_has_every_point_of_the_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = BTreeSet::new();
        names(&root.join("job-core/src"), &mut found);
        names(&root.join("job-worker/src"), &mut found);
        // One that is chosen by a condition.
        found.extend(["dead.written", "dead.committed", "later.written", "later.committed"].map(str::to_owned));
        let brokers = [BrokerKind::Sqlite, BrokerKind::Rabbitmq];
        let listed: BTreeSet<String> =
            brokers.into_iter().flat_map(points).map(|point| point.name.to_owned()).collect();
        assert_eq!(listed, found);
    }
}
