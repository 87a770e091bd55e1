//! Where the jobs of each linked kind wait, and what has to exist for that: queues, and the bindings of subscriptions.
//!
//! The worker declares what it consumes, `topology apply` all that outlives a process.

use std::collections::{BTreeMap, BTreeSet};

use job_core::error::Result;
use job_core::job::JobType;
use job_core::name::QueueName;
use job_core::registry::Registry;
use job_core::topology::{Pattern, Topology};

/// The place of each kind.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    places: BTreeMap<&'static str, Place>,
}

/// The place of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) kind: &'static str,
    /// The queue to consume.
    pub(crate) queue: QueueName,
    /// What people call it: one name, where every process has a queue of its own.
    pub(crate) name: QueueName,
    /// Somebody else declared the queue.
    pub(crate) is_external: bool,
    pub(crate) subscription: Option<Subscribed>,
}

/// What a kind listens to.
#[derive(Clone, Debug)]
pub(crate) struct Subscribed {
    pub(crate) group: &'static str,
    pub(crate) patterns: Vec<Pattern>,
    /// The queue goes with this process.
    pub(crate) is_ephemeral: bool,
}

impl Placement {
    /// Finds the places of the linked kinds, with queues of its own for ephemeral subscriptions.
    ///
    /// # Errors
    /// When the name of a queue is invalid, or a subscription has no group.
    pub(crate) fn new(registry: &Registry) -> Result<Self> {
        // Enough that no two workers of a broker meet: a queue of somebody else is refused, and not taken.
        let process = format!("{:012x}", fastrand::u64(..1 << 48));
        let place = |job: &JobType| Ok((job.kind, Place::new(job, &process)?));
        Ok(Self { places: registry.iter().map(|descriptor| place(&descriptor.job)).collect::<Result<_>>()? })
    }

    /// Returns the place of a linked kind.
    pub(crate) fn of(&self, kind: &str) -> Option<&Place> {
        self.places.get(kind)
    }

    /// Returns all places in the order of the kinds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.places.values()
    }

    /// Returns the queues of the linked kinds.
    pub(crate) fn queues(&self) -> BTreeSet<QueueName> {
        self.iter().map(|place| place.queue.clone()).collect()
    }

    /// Returns the queue that people mean by a name.
    pub(crate) fn resolve(&self, name: &QueueName) -> QueueName {
        self.iter().find(|place| place.name == *name).map_or_else(|| name.clone(), |place| place.queue.clone())
    }

    /// Returns the subscription whose queue it is.
    pub(crate) fn subscription(&self, queue: &QueueName) -> Option<(&Place, &Subscribed)> {
        let place = self.iter().find(|place| place.queue == *queue)?;
        Some((place, place.subscription.as_ref()?))
    }

    /// True for a queue that goes with this process.
    pub(crate) fn is_of_process(&self, queue: &QueueName) -> bool {
        self.subscription(queue).is_some_and(|(_, subscribed)| subscribed.is_ephemeral)
    }

    /// True for a queue that somebody else declared.
    pub(crate) fn is_external(&self, queue: &QueueName) -> bool {
        self.iter().any(|place| place.queue == *queue && place.is_external)
    }

    /// Returns what must exist so that these queues can be consumed.
    pub(crate) fn topology<'a>(&self, queues: impl IntoIterator<Item = &'a QueueName>) -> Topology {
        queues.into_iter().fold(Topology::default(), |topology, queue| self.declared(topology, queue))
    }

    fn declared(&self, topology: Topology, queue: &QueueName) -> Topology {
        let subscribed = self.subscription(queue).map(|(_, subscribed)| subscribed);
        let topology = match subscribed {
            Some(subscribed) if subscribed.is_ephemeral => topology.process_queue(queue.clone()),
            _ if self.is_external(queue) => topology.external_queue(queue.clone()).queue(queue.suspect()),
            _ => topology.queue(queue.clone()).queue(queue.suspect()),
        };
        let patterns = subscribed.map(|subscribed| subscribed.patterns.as_slice()).unwrap_or_default();
        patterns.iter().fold(topology, |topology, pattern| topology.bind(queue.clone(), pattern.clone()))
    }
}

impl Place {
    fn new(job: &JobType, process: &str) -> Result<Self> {
        let kind = job.kind;
        let Some(subscription) = &job.options.subscription else {
            let queue = job.queue()?;
            let is_external = job.options.is_external;
            return Ok(Self { kind, name: queue.clone(), queue, is_external, subscription: None });
        };
        let name = subscription.queue(kind)?;
        let is_ephemeral = subscription.is_ephemeral;
        let queue = if is_ephemeral { subscription.process_queue(kind, process)? } else { name.clone() };
        let (group, patterns) = (subscription.group()?, subscription.patterns()?);
        let subscription = Some(Subscribed { group, patterns, is_ephemeral });
        Ok(Self { kind, queue, name, is_external: false, subscription })
    }
}
